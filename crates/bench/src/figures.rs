//! What a measurement gives, and what several of them give together.

use std::time::Duration;

/// Durations of many events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    /// The duration that `share` of the events (0 to 1) did not exceed, in microseconds.
    pub(crate) fn percentile_us(&self, share: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let at = (share * last as f64).round() as usize;
        self.sorted.get(at).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e6)
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Self {
        let mut sorted: Vec<_> = durations.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }
}

/// What was done in a time, and what it cost the process under test.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) done: u64,
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
}

impl Work {
    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }

    /// Processor time for each unit done, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.done as f64
    }
}

/// The median of what rounds gave; rounds that gave nothing usable are left out.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut usable: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    usable.sort_unstable_by(f64::total_cmp);
    match usable.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => usable[count / 2],
        count => (usable[count / 2 - 1] + usable[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_medians_are_those_of_the_sorted_values() {
        let latencies: Latencies = (0..=100).rev().map(Duration::from_micros).collect();
        let whole = |value: f64| value.round() as u64;
        assert_eq!([0.5, 0.99, 1.0].map(|share| whole(latencies.percentile_us(share))), [50, 99, 100]);
        assert!(Latencies::default().percentile_us(0.5).is_nan());
        assert_eq!(whole(median([3.0, 1.0, 2.0])), 2);
        assert_eq!(whole(median([1.0, f64::NAN, 3.0])), 2);
    }
}
