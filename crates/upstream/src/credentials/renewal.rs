//! When a credential is renewed. Pure: the wall clock is an argument.

use std::time::{Duration, SystemTime};

use weighbridge_transport::Generation;

/// The longest time before its end in which a credential is renewed.
const LONGEST_MARGIN: Duration = Duration::from_secs(300);
/// The longest time before its end in which a credential is not used any more: it has to get there.
const LONGEST_LEEWAY: Duration = Duration::from_secs(10);
/// How long an issuer is left alone after a first failure; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest time for which an issuer is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How far two renewals are apart that providers' refusals bring about.
const REFUSALS_APART: Duration = Duration::from_secs(30);

/// From when until when a credential is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: SystemTime,
    /// `None`: for ever.
    pub(super) until: Option<SystemTime>,
}

impl Validity {
    fn before_end(&self, divisor: u32, most: Duration) -> Option<SystemTime> {
        let until = self.until?;
        let life = until.duration_since(self.from).unwrap_or_default();
        until.checked_sub((life / divisor).min(most))
    }

    /// When the next one is asked for.
    pub(super) fn renew_at(&self) -> Option<SystemTime> {
        self.before_end(5, LONGEST_MARGIN)
    }

    /// Whether it may still be sent.
    pub(super) fn usable(&self, now: SystemTime) -> bool {
        self.until.is_none() || self.before_end(10, LONGEST_LEEWAY).is_some_and(|end| now < end)
    }
}

/// What a request does that needs a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It uses the one at hand.
    Use,
    /// It uses the one at hand, and starts a renewal beside.
    UseAndRenew,
    /// It waits for the renewal that is running.
    Wait,
    /// It starts a renewal, and waits for it.
    RenewAndWait,
    /// It fails: the issuer gave none, and is left alone for now.
    Refuse,
}

/// One credential's life, as far as it decides what comes next.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    validity: Option<Validity>,
    generation: u64,
    running: bool,
    failures: u32,
    not_before: Option<SystemTime>,
    /// A provider did not accept the one at hand, and nothing has been asked since.
    refused: bool,
    refused_at: Option<SystemTime>,
}

impl Renewal {
    /// What to do now. Where that starts a renewal, it counts as running from here on.
    pub(super) fn step(&mut self, now: SystemTime) -> Step {
        let usable = self.usable(now);
        let due = self.validity.is_none_or(|held| held.renew_at().is_some_and(|at| now >= at));
        let may_start = !self.running && self.may_ask(now);
        let step = match (usable && !self.refused, due || self.refused) {
            (true, false) => Step::Use,
            (true, true) if may_start => Step::UseAndRenew,
            (true, true) => Step::Use,
            (false, _) if self.running => Step::Wait,
            (false, _) if may_start => Step::RenewAndWait,
            (false, _) if usable => Step::Use,
            (false, _) => Step::Refuse,
        };
        self.running |= matches!(step, Step::UseAndRenew | Step::RenewAndWait);
        step
    }

    /// Whether the one at hand may be sent, if there is one.
    pub(super) fn usable(&self, now: SystemTime) -> bool {
        self.validity.is_some_and(|held| held.usable(now))
    }

    /// A renewal has brought a new one.
    pub(super) fn succeeded(&mut self, validity: Validity) -> Generation {
        let (generation, refused_at) = (self.generation + 1, self.refused_at);
        *self = Self { validity: Some(validity), generation, refused_at, ..Self::default() };
        Generation(generation)
    }

    /// A renewal that began at `now` has failed: what is at hand stays in use.
    pub(super) fn failed(&mut self, now: SystemTime) {
        let doubled = 2_u32.saturating_pow(self.failures.min(31));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.checked_add(FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE));
        (self.running, self.refused) = (false, false);
    }

    /// A provider did not accept that one. Tells whether another is at hand, or will be asked for.
    pub(super) fn refused(&mut self, generation: Generation, now: SystemTime) -> bool {
        if generation.0 != self.generation || self.refused {
            return true;
        }
        // A clock that went back must not keep renewals away.
        let lately = self.refused_at.is_some_and(|at| now >= at && now < at + REFUSALS_APART);
        if lately || !(self.running || self.may_ask(now)) {
            return false;
        }
        (self.refused, self.refused_at) = (true, Some(now));
        true
    }

    fn may_ask(&self, now: SystemTime) -> bool {
        // Nor does a clock that went back prolong a pause.
        self.not_before.is_none_or(|at| now >= at || at > now + LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn for_seconds(from: u64, life: u64) -> Validity {
        Validity { from: at(from), until: Some(at(from + life)) }
    }

    fn held(from: u64, life: u64) -> Renewal {
        let mut renewal = Renewal::default();
        assert_eq!(renewal.step(at(from)), Step::RenewAndWait);
        renewal.succeeded(for_seconds(from, life));
        renewal
    }

    #[test]
    fn a_token_of_an_hour_is_renewed_five_minutes_before_its_end() {
        let mut renewal = held(0, 3600);
        assert_eq!(renewal.step(at(3299)), Step::Use);
        assert_eq!(renewal.step(at(3300)), Step::UseAndRenew);
        assert_eq!(renewal.step(at(3301)), Step::Use, "one renewal is enough");
        assert_eq!(renewal.step(at(3589)), Step::Use);
        assert_eq!(renewal.step(at(3590)), Step::Wait, "too late to be sent");
        assert_eq!(renewal.succeeded(for_seconds(3590, 3600)), Generation(2));
        assert_eq!(renewal.step(at(3591)), Step::Use);
    }

    #[test]
    fn a_token_that_the_issuer_keeps_itself_is_not_asked_for_at_every_request() {
        // Google's metadata server gives the same token until five minutes before its end.
        let mut renewal = held(0, 310);
        assert_eq!(renewal.step(at(240)), Step::Use);
        assert_eq!(renewal.step(at(249)), Step::UseAndRenew);
    }

    #[test]
    fn a_failing_renewal_keeps_the_old_one_and_backs_off() {
        let mut renewal = held(0, 3600);
        let mut now = 3300;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(renewal.step(at(now)), Step::UseAndRenew, "{now}");
            renewal.failed(at(now));
            assert_eq!(renewal.step(at(now + pause - 1)), Step::Use);
            now += pause;
        }
        assert_eq!(renewal.step(at(now)), Step::UseAndRenew);
        renewal.failed(at(3599));
        assert_eq!(renewal.step(at(3599)), Step::Refuse);
        assert_eq!(renewal.step(at(3659)), Step::RenewAndWait);
        assert_eq!(renewal.step(at(0)), Step::Use, "the clock went back");
    }

    #[test]
    fn what_a_provider_refuses_is_replaced_once() {
        let mut renewal = held(0, 3600);
        assert!(renewal.refused(Generation(1), at(10)));
        assert!(renewal.refused(Generation(1), at(10)), "told by another request");
        assert_eq!(renewal.step(at(10)), Step::RenewAndWait);
        assert_eq!(renewal.step(at(10)), Step::Wait);
        renewal.succeeded(for_seconds(10, 3600));
        assert!(renewal.refused(Generation(1), at(11)), "a newer one is at hand");
        assert_eq!(renewal.step(at(11)), Step::Use);
        assert!(!renewal.refused(Generation(2), at(12)), "a new one is no better");
        assert_eq!(renewal.step(at(12)), Step::Use);
        assert!(renewal.refused(Generation(2), at(40)));
    }

    #[test]
    fn where_nothing_better_is_to_be_had_the_refused_one_is_used_on() {
        let mut renewal = held(0, 3600);
        assert!(renewal.refused(Generation(1), at(10)));
        assert_eq!(renewal.step(at(10)), Step::RenewAndWait);
        renewal.failed(at(10));
        assert_eq!(renewal.step(at(10)), Step::Use);
        assert!(!renewal.refused(Generation(1), at(10)));
    }

    proptest! {
        /// Whatever happens: at most one renewal runs, nothing is used outside of its validity, and an
        /// issuer is asked again, however long it failed and wherever the clock went.
        #[test]
        fn renewals_never_overlap_and_never_end(events in prop::collection::vec((0_u8..5, 0_u64..4_000), 1..80)) {
            let mut renewal = Renewal::default();
            let (mut running, mut validity) = (false, None::<Validity>);
            for (event, time) in events {
                let now = at(time);
                match event {
                    0 if running => {
                        let new = for_seconds(time, 100 + time % 900);
                        renewal.succeeded(new);
                        (running, validity) = (false, Some(new));
                    }
                    1 if running => {
                        renewal.failed(now);
                        running = false;
                    }
                    2 => {
                        renewal.refused(Generation(1), now);
                    }
                    _ => {
                        let step = renewal.step(now);
                        if matches!(step, Step::UseAndRenew | Step::RenewAndWait) {
                            prop_assert!(!running);
                            running = true;
                        }
                        if matches!(step, Step::Use | Step::UseAndRenew) {
                            prop_assert!(validity.is_some_and(|held| held.until.is_some_and(|end| now < end)));
                        }
                        prop_assert_eq!(step == Step::Wait && !running, false);
                    }
                }
            }
            if running {
                renewal.failed(at(4_000));
            }
            let late = renewal.step(at(100_000));
            prop_assert_eq!(late, Step::RenewAndWait);
        }
    }
}
