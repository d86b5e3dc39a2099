use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use weighbridge_units::{ErrorClass, Monotonic};

use crate::failure::FailureCause;

/// When a target is benched, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    /// Failures in a row that bench a target.
    pub consecutive_failures: u32,
    /// Outcomes within the window below which a share of failures means nothing.
    pub minimum_volume: u32,
    /// Share of failures within the window that benches a target, in percent.
    pub failure_percent: u32,
    /// The window that outcomes are counted in.
    pub window: Duration,
    /// How long a target is benched at first; each further time without a good while in between
    /// doubles it.
    pub cool_down: Duration,
    /// The longest time that a target is benched for.
    pub cool_down_cap: Duration,
    /// By how much a cool-down is prolonged at most, at random, in percent: what was benched together does not come
    /// back together.
    pub jitter_percent: u32,
    /// The longest time for which a provider's `retry-after` is believed.
    pub retry_after_cap: Duration,
    /// Whether each credential has limits of its own at the provider, so that another may be used where one has come
    /// to its limit. Where all are of one account they share its limits, and trying another is a try wasted.
    pub limit_per_key: bool,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            minimum_volume: 20,
            failure_percent: 50,
            window: Duration::from_secs(10),
            cool_down: Duration::from_secs(1),
            cool_down_cap: Duration::from_secs(60),
            jitter_percent: 10,
            retry_after_cap: Duration::from_secs(3_600),
            limit_per_key: false,
        }
    }
}

/// Whether a target may be sent a request now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Availability {
    /// It is healthy.
    Ready,
    /// It was benched, and one request may find out whether it is back.
    Probe,
    /// It is benched until then, or until a probe that is under way comes back.
    Benched {
        /// The end of the cool-down; it may have passed while a probe is under way.
        until: Monotonic,
    },
    /// It asked to be left alone until then.
    LeftAlone {
        /// The end of its `retry-after`.
        until: Monotonic,
        /// [`ErrorClass::RateLimit`] where it said that a limit is reached, else
        /// [`ErrorClass::Overloaded`].
        class: ErrorClass,
    },
    /// Its provider said with an answer that nothing is left of its limits. It is used for want of anything better:
    /// limits fill up all the time, and only when they are full again was told.
    Exhausted {
        /// When the first of its credentials has a full limit again, as far as that is believed.
        until: Monotonic,
    },
}

/// The health of one target, shared by all requests: a circuit breaker that listens to outcomes.
///
/// Closed: requests pass, outcomes are counted. Open: benched for a cool-down that grows. Half
/// open: one request probes, the others still stay away. Reading takes two atomic loads; only
/// outcomes take a short lock.
pub struct Health {
    policy: HealthPolicy,
    /// End of the cool-down in microseconds; 0 while the breaker is closed.
    open_until: AtomicU64,
    /// End of a `retry-after` in microseconds, shifted by one; the lowest bit tells a rate limit.
    left_alone: AtomicU64,
    probing: AtomicBool,
    /// It was benched for its share of failures, not for failures in a row: some of its answers are good.
    outlier: AtomicBool,
    tally: Mutex<Tally>,
}

/// What the outcomes so far amount to.
#[derive(Default, Clone)]
struct Tally {
    /// Outcomes in the running half of the window, and in the half before.
    halves: [Counts; 2],
    half_began: Monotonic,
    consecutive_failures: u32,
    /// How often in a row the target was benched without a good while in between.
    benched_in_a_row: u32,
    opened_at: Monotonic,
    closed_at: Monotonic,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    succeeded: u32,
    failed: u32,
}

impl Health {
    /// A healthy target.
    pub fn new(policy: HealthPolicy) -> Self {
        Self {
            policy,
            open_until: AtomicU64::new(0),
            left_alone: AtomicU64::new(0),
            probing: AtomicBool::new(false),
            outlier: AtomicBool::new(false),
            tally: Mutex::default(),
        }
    }

    /// What is known by now, apart from what will be.
    pub(crate) fn copied(&self) -> Self {
        let copied = |from: &AtomicU64| AtomicU64::new(from.load(Ordering::Acquire));
        // Outcomes are counted behind this lock: what is copied belongs together.
        let tally = self.lock();
        Self {
            policy: self.policy,
            open_until: copied(&self.open_until),
            left_alone: copied(&self.left_alone),
            probing: AtomicBool::new(self.probing.load(Ordering::Acquire)),
            outlier: AtomicBool::new(self.is_outlier()),
            tally: Mutex::new(tally.clone()),
        }
    }

    /// The policy that it was made with.
    pub fn policy(&self) -> &HealthPolicy {
        &self.policy
    }

    /// Whether the target may be sent a request now.
    pub fn availability(&self, now: Monotonic) -> Availability {
        let left_alone = self.left_alone.load(Ordering::Relaxed);
        let until = Monotonic::from_micros(left_alone >> 1);
        if now < until {
            let class = if left_alone & 1 == 1 { ErrorClass::RateLimit } else { ErrorClass::Overloaded };
            return Availability::LeftAlone { until, class };
        }
        self.breaker(now)
    }

    /// What outcomes say, whatever the provider asked for.
    fn breaker(&self, now: Monotonic) -> Availability {
        match self.open_until.load(Ordering::Acquire) {
            0 => Availability::Ready,
            until if now.as_micros() < until || self.probing.load(Ordering::Relaxed) => {
                Availability::Benched { until: Monotonic::from_micros(until) }
            }
            _ => Availability::Probe,
        }
    }

    /// Whether the target may be sent a request with a credential of another account: a rate limit that it told of was
    /// not that one's.
    pub fn availability_with_own_key(&self, now: Monotonic) -> Availability {
        match self.availability(now) {
            Availability::LeftAlone { class: ErrorClass::RateLimit, .. } => self.breaker(now),
            other => other,
        }
    }

    /// Whether a benched target was benched for its share of failures.
    pub(crate) fn is_outlier(&self) -> bool {
        self.outlier.load(Ordering::Relaxed)
    }

    /// An active probe has found the provider answering: the cool-down is over, and the next request finds out
    /// whether the target is back. Without effect where it is not benched.
    pub fn answered_probe(&self, now: Monotonic) {
        let _tally = self.lock();
        let until = self.open_until.load(Ordering::Relaxed);
        if until > now.as_micros() {
            self.open_until.store(now.as_micros().max(1), Ordering::Release);
        }
    }

    /// Takes the one place of a probe; whether it was free.
    pub(crate) fn claim_probe(&self) -> bool {
        !self.probing.swap(true, Ordering::AcqRel)
    }

    /// Gives the place of a probe back.
    pub(crate) fn release_probe(&self) {
        self.probing.store(false, Ordering::Release);
    }

    /// Takes note of an answer to a request that was sent at `started`.
    ///
    /// A request that was sent before the target was benched proves nothing about it now.
    pub fn succeeded(&self, started: Monotonic, now: Monotonic) {
        let mut tally = self.lock();
        let open = self.open_until.load(Ordering::Relaxed) != 0;
        if open {
            if started < tally.opened_at {
                return;
            }
            tally.close(now);
            self.outlier.store(false, Ordering::Relaxed);
            self.open_until.store(0, Ordering::Release);
        }
        tally.consecutive_failures = 0;
        tally.running_half(now, self.policy.window).succeeded += 1;
    }

    /// Takes note of the failure of a request that was sent at `started`; `probe` tells whether it
    /// was the one that should find out. Failures that do not speak against the target are ignored.
    pub fn failed(&self, cause: &FailureCause, started: Monotonic, probe: bool, now: Monotonic) {
        self.failed_at(cause, started, probe, now, 0);
    }

    /// As [`Self::failed`], with a random number that spreads the ends of cool-downs.
    pub(crate) fn failed_at(
        &self,
        cause: &FailureCause,
        started: Monotonic,
        probe: bool,
        now: Monotonic,
        random: u64,
    ) {
        if !cause.blames_target() {
            return;
        }
        if let Some(retry_after) = cause.retry_after() {
            // The provider told when it is back: nothing has to be found out.
            self.leave_alone(retry_after, cause.class(), now);
            return;
        }
        let mut tally = self.lock();
        if self.open_until.load(Ordering::Relaxed) != 0 {
            // Requests that came for want of any other target do not prolong the cool-down.
            if probe && started >= tally.opened_at {
                self.open(&mut tally, now, random);
            }
            return;
        }
        tally.consecutive_failures = tally.consecutive_failures.saturating_add(1);
        tally.running_half(now, self.policy.window).failed += 1;
        if tally.is_bad(&self.policy) {
            let good_while = now.since(tally.closed_at) > self.policy.window;
            if good_while {
                tally.benched_in_a_row = 0;
            }
            let in_a_row = tally.consecutive_failures >= self.policy.consecutive_failures;
            self.outlier.store(!in_a_row, Ordering::Relaxed);
            self.open(&mut tally, now, random);
        }
    }

    pub(crate) fn leave_alone(&self, retry_after: Duration, class: Option<ErrorClass>, now: Monotonic) {
        let until = (now + retry_after.min(self.policy.retry_after_cap)).as_micros();
        let rate_limited = u64::from(class == Some(ErrorClass::RateLimit));
        self.left_alone.fetch_max(until << 1 | rate_limited, Ordering::Relaxed);
    }

    fn open(&self, tally: &mut Tally, now: Monotonic, random: u64) {
        let doubled = 2_u32.saturating_pow(tally.benched_in_a_row);
        let cool_down = self.policy.cool_down.saturating_mul(doubled).min(self.policy.cool_down_cap);
        let cool_down = spread(cool_down, self.policy.jitter_percent, random);
        tally.benched_in_a_row = tally.benched_in_a_row.saturating_add(1);
        tally.opened_at = now;
        self.open_until.store((now + cool_down).as_micros().max(1), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time, prolonged at random by up to so many percent.
pub(crate) fn spread(time: Duration, percent: u32, random: u64) -> Duration {
    // The share in thousandths of a percent; the top bits of a random number are as good as any.
    let share = (u64::from(percent) * 1_000).saturating_mul(random >> 48) >> 16;
    time.saturating_add(time.saturating_mul(u32::try_from(share).unwrap_or(u32::MAX)) / 100_000)
}

impl Tally {
    /// The counts that `now` belongs to.
    fn running_half(&mut self, now: Monotonic, window: Duration) -> &mut Counts {
        let age = now.since(self.half_began);
        if age >= window {
            self.halves = [Counts::default(); 2];
            self.half_began = now;
        } else if age >= window / 2 {
            self.halves = [Counts::default(), self.halves[0]];
            self.half_began = now;
        }
        &mut self.halves[0]
    }

    fn is_bad(&self, policy: &HealthPolicy) -> bool {
        let failed = u64::from(self.halves[0].failed) + u64::from(self.halves[1].failed);
        let all = failed + u64::from(self.halves[0].succeeded) + u64::from(self.halves[1].succeeded);
        let share_is_bad = failed * 100 >= all * u64::from(policy.failure_percent);
        self.consecutive_failures >= policy.consecutive_failures
            || (all >= u64::from(policy.minimum_volume) && share_is_bad)
    }

    fn close(&mut self, now: Monotonic) {
        self.closed_at = now;
        self.halves = [Counts::default(); 2];
    }
}
