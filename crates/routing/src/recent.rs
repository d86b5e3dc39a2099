use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use weighbridge_units::Monotonic;

/// How many durations are remembered: the median turns with the ninth that is different.
const SAMPLES: usize = 16;
/// How long each is remembered, in seconds: what is not used for that long is unknown again, and worth a try.
const MEMORY: u32 = 60;

/// The latest durations of something, and their median.
///
/// Whoever adds one pays for the median, so that decisions only load it.
#[derive(Default)]
pub(crate) struct Recent {
    /// [`packed`], oldest overwritten first; 0 where there is none yet.
    samples: [AtomicU64; SAMPLES],
    added: AtomicUsize,
    /// [`packed`] with the instant of the latest.
    median: AtomicU64,
}

impl Recent {
    pub(crate) fn copied(&self) -> Self {
        let copied = |from: &AtomicU64| AtomicU64::new(from.load(Ordering::Relaxed));
        Self {
            samples: self.samples.each_ref().map(copied),
            added: AtomicUsize::new(self.added.load(Ordering::Relaxed)),
            median: copied(&self.median),
        }
    }

    pub(crate) fn note(&self, duration: Duration, now: Monotonic) {
        let at = self.added.fetch_add(1, Ordering::Relaxed) % SAMPLES;
        if let Some(sample) = self.samples.get(at) {
            sample.store(packed(duration, now), Ordering::Relaxed);
        }
        let (mut known, mut count) = ([0_u32; SAMPLES], 0);
        for sample in &self.samples {
            let sample = fresh(sample.load(Ordering::Relaxed), now);
            if let Some((micros, free)) = sample.zip(known.get_mut(count)) {
                *free = micros;
                count += 1;
            }
        }
        if let Some(known) = known.get_mut(..count).filter(|known| !known.is_empty()) {
            let (_, median, _) = known.select_nth_unstable((count - 1) / 2);
            self.median.store(packed(micros(*median), now), Ordering::Relaxed);
        }
    }

    pub(crate) fn median(&self, now: Monotonic) -> Option<Duration> {
        fresh(self.median.load(Ordering::Relaxed), now).map(micros)
    }
}

fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros.into())
}

/// When, in whole seconds, and how long, in microseconds: from 1 to an hour and eleven minutes.
fn packed(duration: Duration, now: Monotonic) -> u64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX).max(1);
    u64::from(seconds(now)) << 32 | u64::from(micros)
}

/// The microseconds of a packed duration that is not forgotten.
fn fresh(packed: u64, now: Monotonic) -> Option<u32> {
    let [at, micros] = [packed >> 32, packed].map(|half| half as u32);
    // A thread may have read its clock before another one wrote.
    (micros != 0 && seconds(now).saturating_sub(at) <= MEMORY).then_some(micros)
}

/// Fits for as long as a process may run: 136 years.
fn seconds(at: Monotonic) -> u32 {
    u32::try_from(at.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Monotonic = Monotonic::from_micros(5_000_000_000);

    proptest! {
        #[test]
        fn the_median_is_that_of_the_latest(noted in prop::collection::vec((1_u64..10_000_000, 0_u64..20), 1..100)) {
            let (recent, mut now, mut model) = (Recent::default(), START, Vec::new());
            for (micros, seconds) in noted {
                now = now + Duration::from_secs(seconds);
                recent.note(Duration::from_micros(micros), now);
                model.push((now, micros));
            }
            let mut latest: Vec<u64> = model.iter().rev().take(SAMPLES)
                .filter(|(at, _)| now.since(*at).as_secs() <= u64::from(MEMORY)).map(|(_, micros)| *micros).collect();
            latest.sort_unstable();
            prop_assert_eq!(recent.median(now), Some(Duration::from_micros(latest[(latest.len() - 1) / 2])));
        }
    }

    #[test]
    fn what_is_old_is_unknown() {
        let recent = Recent::default();
        assert_eq!(recent.median(START), None);
        recent.note(Duration::from_secs(9), START);
        assert_eq!(recent.median(START + Duration::from_secs(60)), Some(Duration::from_secs(9)));
        assert_eq!(recent.median(START + Duration::from_secs(61)), None);
        recent.note(Duration::MAX, START);
        assert!(recent.median(START - Duration::from_secs(1)).is_some(), "a clock that was read earlier");
    }
}
