//! Time and random numbers, passed in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weighbridge_units::{Monotonic, Timestamp};

/// Where the pipeline gets the wall clock, the monotonic clock, and random numbers from.
///
/// All that decides below the pipeline takes these as arguments; this trait is the only door.
pub trait Env: Send + Sync {
    /// The wall clock: for records, price dates and budget windows.
    fn now(&self) -> Timestamp;
    /// The clock that never jumps: for durations.
    fn monotonic(&self) -> Monotonic;
    /// 64 random bits: for ids and choices, never for secrets.
    fn random(&self) -> u64;

    /// 128 random bits, from two draws.
    fn random_wide(&self) -> u128 {
        u128::from(self.random()) << 64 | u128::from(self.random())
    }
}

/// The machine's clocks and a seeded generator.
///
/// The monotonic clock is tokio's, so that a paused runtime moves it along with its timers.
pub struct SystemEnv {
    start: tokio::time::Instant,
    wall: WallClock,
    state: AtomicU64,
}

enum WallClock {
    System,
    /// Follows the monotonic clock from a fixed start, for runs that must repeat.
    From(Timestamp),
}

impl SystemEnv {
    /// The machine's clocks; `seed` comes from the operating system's random source.
    pub fn new(seed: u64) -> Self {
        Self { start: tokio::time::Instant::now(), wall: WallClock::System, state: AtomicU64::new(seed) }
    }

    /// A wall clock that starts at `start` and moves with tokio's clock, and a fixed seed: two runs
    /// with the same arguments see the same times and numbers.
    pub fn repeatable(seed: u64, start: Timestamp) -> Self {
        Self { wall: WallClock::From(start), ..Self::new(seed) }
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Env for SystemEnv {
    fn now(&self) -> Timestamp {
        match self.wall {
            WallClock::From(start) => start + self.elapsed(),
            WallClock::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic::from_micros(u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// SplitMix64: one atomic addition, then mixing.
    fn random(&self) -> u64 {
        let mut z = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_repeatable_environment_repeats() {
        let start = Timestamp::from_secs(1_800_000_000);
        let (a, b) = (SystemEnv::repeatable(7, start), SystemEnv::repeatable(7, start));
        assert_eq!(a.random_wide(), b.random_wide());
        assert_ne!(a.random(), SystemEnv::repeatable(8, start).random());
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(a.now(), start + Duration::from_millis(1_500));
        assert_eq!(a.monotonic(), Monotonic::from_micros(1_500_000));
    }
}
