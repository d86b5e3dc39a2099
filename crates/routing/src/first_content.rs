use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long the first content of answers takes: a histogram that forgets, for hedging after a percentile.
///
/// Times from 1 ms to 2 minutes fall into classes that are an eighth apart at most, so that a percentile is never
/// below the true one and at most an eighth above it. After [`Self::REMEMBERED`] answers, what came before counts
/// half. Noting takes two atomic additions.
pub struct FirstContent {
    classes: [AtomicU32; CLASSES],
    count: AtomicU32,
}

/// Eight to each doubling.
const STEPS: u32 = 8;
const DOUBLINGS: u32 = 17;
/// In microseconds; what takes longer is taken for this.
const LONGEST: u64 = (1_000 << DOUBLINGS) - 1;
const CLASSES: usize = (STEPS * DOUBLINGS) as usize;

impl FirstContent {
    /// Answers below which a percentile means nothing.
    pub const LEAST: u32 = 20;
    /// Answers after which earlier ones count half.
    pub const REMEMBERED: u32 = 1_024;

    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { classes: [const { AtomicU32::new(0) }; CLASSES], count: AtomicU32::new(0) }
    }

    /// Takes note of how long an answer has taken, or has taken so far where it was given up.
    pub fn note(&self, time: Duration) {
        if let Some(class) = self.classes.get(class_of(time)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 == Self::REMEMBERED {
            // One caller gets here; what others note meanwhile may be halved too, which does no harm.
            let mut left = 0;
            for class in &self.classes {
                let half = class.load(Ordering::Relaxed) / 2;
                class.store(half, Ordering::Relaxed);
                left += half;
            }
            self.count.store(left, Ordering::Relaxed);
        }
    }

    /// The time within which so many percent of the latest answers have come; `None` while too few are known.
    pub fn percentile(&self, percent: u32) -> Option<Duration> {
        let counts: [u32; CLASSES] = std::array::from_fn(|at| self.classes[at].load(Ordering::Relaxed));
        let all: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        if all < u64::from(Self::LEAST) {
            return None;
        }
        let rank = (all * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut below = 0;
        let class = counts.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        });
        class.map(end_of)
    }
}

impl Default for FirstContent {
    fn default() -> Self {
        Self::new()
    }
}

/// The class that a time belongs to: the doubling of a millisecond that it lies in, and the eighth of that.
fn class_of(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).clamp(1_000, LONGEST);
    let (mut doubling, mut begin) = (0, 1_000_u64);
    while doubling + 1 < DOUBLINGS && micros >= begin * 2 {
        (doubling, begin) = (doubling + 1, begin * 2);
    }
    let step = ((micros - begin) * u64::from(STEPS) / begin).min(u64::from(STEPS) - 1);
    (doubling * STEPS) as usize + step as usize
}

/// Where a class ends.
fn end_of(class: usize) -> Duration {
    let (doubling, step) = (class as u32 / STEPS, class as u32 % STEPS);
    let begin = 1_000_u64 << doubling;
    Duration::from_micros(begin + begin * u64::from(step + 1) / u64::from(STEPS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_percentile_is_the_true_one_or_hardly_above(
            mut millis in proptest::collection::vec(1_u64..120_000, 20..400), percent in 1_u32..=100,
        ) {
            let times = FirstContent::new();
            millis.iter().for_each(|millis| times.note(Duration::from_millis(*millis)));
            millis.sort_unstable();
            let rank = (millis.len() * percent as usize).div_ceil(100).max(1);
            let truth = Duration::from_millis(millis[rank - 1]);
            let told = times.percentile(percent).unwrap();
            prop_assert!(told > truth && told <= truth + truth / 8 + Duration::from_millis(1), "{told:?} for {truth:?}");
        }
    }

    #[test]
    fn nothing_is_said_of_too_few() {
        let times = FirstContent::new();
        (1..FirstContent::LEAST).for_each(|_| times.note(Duration::from_secs(1)));
        assert_eq!(times.percentile(95), None);
        times.note(Duration::MAX);
        assert_eq!(times.percentile(50), Some(Duration::from_micros(1_024_000)));
        assert_eq!(times.percentile(100), Some(Duration::from_micros(131_072_000)));
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let times = FirstContent::new();
        (0..1_023).for_each(|_| times.note(Duration::from_secs(10)));
        (0..9_000).for_each(|_| times.note(Duration::from_millis(10)));
        assert!(times.percentile(99).unwrap() < Duration::from_millis(20));
    }
}
