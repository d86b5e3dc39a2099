//! The laws of the breaker, in virtual time.

use std::time::Duration;

use proptest::prelude::*;
use weighbridge_routing::{Availability, Exclusion, FailureCause, Health, HealthPolicy, Plan};
use weighbridge_units::{ErrorClass, Monotonic};

use crate::world::{START, after, callers_own, route, status, status_after, target, targets_own};

const BROKEN: FailureCause = FailureCause::Broken;

fn benched() -> Health {
    let health = Health::new(HealthPolicy::default());
    (0..5).for_each(|_| health.failed(&BROKEN, START, false, START));
    assert!(matches!(health.availability(START), Availability::Benched { .. }));
    health
}

#[test]
fn it_opens_on_failures_in_a_row() {
    for cause in targets_own() {
        let health = Health::new(HealthPolicy::default());
        for _ in 0..4 {
            health.failed(&cause, START, false, START);
            assert_eq!(health.availability(START), Availability::Ready);
        }
        health.succeeded(START, START);
        for _ in 0..4 {
            health.failed(&cause, START, false, START);
            assert_eq!(health.availability(START), Availability::Ready, "{cause:?} after a success");
        }
        health.failed(&cause, START, false, START);
        assert_eq!(health.availability(START), Availability::Benched { until: after(1_000) });
    }
}

#[test]
fn it_opens_on_a_share_of_failures_but_not_below_the_volume() {
    let health = Health::new(HealthPolicy::default());
    for outcome in 0..19 {
        if outcome % 2 == 0 {
            health.failed(&BROKEN, START, false, START);
        } else {
            health.succeeded(START, START);
        }
        assert_eq!(health.availability(START), Availability::Ready, "after {outcome}");
    }
    health.failed(&BROKEN, START, false, START);
    assert_eq!(health.availability(START), Availability::Benched { until: after(1_000) });
}

#[test]
fn outcomes_outside_of_the_window_are_forgotten() {
    let health = Health::new(HealthPolicy::default());
    for outcome in 0..200 {
        // Half of them fail, but never twenty within ten seconds.
        let now = after(outcome * 600);
        if outcome % 2 == 0 {
            health.failed(&BROKEN, now, false, now)
        } else {
            health.succeeded(now, now)
        }
        assert_eq!(health.availability(now), Availability::Ready, "after {outcome}");
    }
}

#[test]
fn outcomes_within_the_window_are_not_forgotten() {
    // Wherever the window's halves begin: at the first outcome, long before.
    for first in [0, 2_500, 4_999] {
        let health = Health::new(HealthPolicy::default());
        health.succeeded(after(first), after(first));
        let at = |outcome: u64| after(first + 5_000 + outcome * 500);
        for outcome in 0..20 {
            let now = at(outcome);
            assert_eq!(health.availability(now), Availability::Ready, "{outcome} outcomes");
            if outcome % 2 == 1 {
                health.failed(&BROKEN, now, false, now)
            } else {
                health.succeeded(now, now)
            }
        }
        assert!(matches!(health.availability(at(19)), Availability::Benched { .. }));
    }
}

#[test]
fn after_a_good_probe_the_past_is_forgotten() {
    let health = Health::new(HealthPolicy::default());
    for outcome in 0..21 {
        if outcome % 2 == 0 {
            health.failed(&BROKEN, START, false, START)
        } else {
            health.succeeded(START, START)
        }
    }
    let now = after(1_000);
    assert_eq!(health.availability(now), Availability::Probe);
    health.succeeded(now, now);
    health.failed(&BROKEN, now, false, now);
    assert_eq!(health.availability(now), Availability::Ready);
}

#[test]
fn a_shorter_retry_after_does_not_end_a_longer_one() {
    let health = Health::new(HealthPolicy::default());
    for (class, seconds) in [(ErrorClass::Overloaded, 9), (ErrorClass::RateLimit, 4)] {
        health.failed(&status_after(class, seconds), START, false, START);
        let until = after(9_000);
        let class = ErrorClass::Overloaded;
        assert_eq!(health.availability(after(8_999)), Availability::LeftAlone { until, class });
    }
    assert_eq!(health.availability(after(9_000)), Availability::Ready);
}

#[test]
fn one_request_probes_and_its_success_closes() {
    let route = route(vec![(target("a"), 1)], vec![target("b")]);
    let only = route.targets().next().unwrap();
    (0..5).for_each(|_| only.health().failed(&BROKEN, START, false, START));

    let probe = Plan::new(route.clone()).next(after(1_000), 0).unwrap();
    assert!(probe.is_probe() && probe.target().get() == 0);
    let mut plan = Plan::new(route.clone());
    let beside = plan.next(after(1_001), 0).unwrap();
    let until = after(1_000);
    assert_eq!(plan.into_decision().excluded, [(probe.target(), Exclusion::Benched { until })]);
    assert_eq!(beside.target().get(), 1, "a second request stays away");
    beside.succeeded(after(1_001));
    probe.succeeded(after(1_200));

    let next = Plan::new(route).next(after(1_200), 0).unwrap();
    assert!(!next.is_probe() && next.target().get() == 0);
    next.succeeded(after(1_200));
}

#[test]
fn a_probe_whose_client_leaves_makes_room_for_another() {
    let route = route(vec![(target("a"), 1)], vec![target("b")]);
    let only = route.targets().next().unwrap();
    (0..5).for_each(|_| only.health().failed(&BROKEN, START, false, START));
    for _ in 0..3 {
        let probe = Plan::new(route.clone()).next(after(1_000), 0).unwrap();
        assert!(probe.is_probe());
        drop(probe);
    }
}

#[test]
fn a_probe_that_streams_for_long_does_not_keep_the_others_waiting() {
    let route = route(vec![(target("a"), 1)], vec![target("b")]);
    let only = route.targets().next().unwrap();
    (0..5).for_each(|_| only.health().failed(&BROKEN, START, false, START));
    let mut probe = Plan::new(route.clone()).next(after(1_000), 0).unwrap();
    probe.began(after(1_100));
    for _ in 0..5 {
        let beside = Plan::new(route.clone()).next(after(1_200), 0).unwrap();
        assert_eq!((beside.target().get(), beside.is_probe()), (0, false));
        beside.succeeded(after(1_300));
    }
    // It breaks later: one failure among others.
    probe.failed(&BROKEN, after(300_000));
    assert_eq!(only.health().availability(after(300_000)), Availability::Ready);
}

#[test]
fn a_probe_that_has_found_out_does_not_end_a_later_one() {
    let route = route(vec![(target("a"), 1)], vec![target("b")]);
    let only = route.targets().next().unwrap();
    (0..5).for_each(|_| only.health().failed(&BROKEN, START, false, START));
    let mut first = Plan::new(route.clone()).next(after(1_000), 0).unwrap();
    first.began(after(1_100));
    (0..5).for_each(|_| only.health().failed(&BROKEN, after(1_200), false, after(1_200)));
    let second = Plan::new(route.clone()).next(after(9_000), 0).unwrap();
    assert!(second.is_probe());
    drop(first);
    let third = Plan::new(route).next(after(9_000), 0).unwrap();
    assert_eq!(third.target().get(), 1, "the second still probes");
    drop((second, third));
}

#[test]
fn failing_probes_double_the_cool_down_up_to_the_cap() {
    let health = benched();
    let mut now = START;
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let until = now + Duration::from_secs(seconds);
        assert_eq!(health.availability(now), Availability::Benched { until });
        now = until;
        assert_eq!(health.availability(now), Availability::Probe);
        health.failed(&BROKEN, now, true, now);
    }
}

#[test]
fn a_relapse_soon_after_doubles_too_and_one_after_a_good_while_does_not() {
    // A good while is longer than the window.
    for (healthy_for, cool_down) in [(1_000, 2_000), (10_000, 2_000), (10_001, 1_000)] {
        let health = benched();
        health.succeeded(after(1_000), after(1_000));
        assert_eq!(health.availability(after(1_000)), Availability::Ready);
        let now = after(1_000 + healthy_for);
        (0..5).for_each(|_| health.failed(&BROKEN, now, false, now));
        let until = now + Duration::from_millis(cool_down);
        assert_eq!(health.availability(now), Availability::Benched { until });
    }
}

#[test]
fn what_was_sent_before_the_outage_proves_nothing() {
    let health = benched();
    health.succeeded(START - Duration::from_secs(1), after(100));
    assert!(matches!(health.availability(after(100)), Availability::Benched { .. }));
    health.succeeded(START, after(200));
    assert_eq!(health.availability(after(200)), Availability::Ready);
}

#[test]
fn requests_for_want_of_another_do_not_prolong_the_cool_down() {
    let health = benched();
    (0..100).for_each(|at| health.failed(&BROKEN, after(at), false, after(at)));
    assert_eq!(health.availability(after(1_000)), Availability::Probe);
}

#[test]
fn a_hostile_retry_after_is_believed_for_an_hour_at_most() {
    let health = Health::new(HealthPolicy::default());
    let cause = FailureCause::Status {
        class: ErrorClass::RateLimit,
        retry_after: Some(Duration::from_secs(u64::MAX)),
    };
    health.failed(&cause, START, false, START);
    assert_eq!(health.availability(after(3_600_000)), Availability::Ready);
}

proptest! {
    /// Whatever callers do, in whatever mixture with successes and failures of the target's own, the
    /// breaker stands as if they had not been there.
    #[test]
    fn callers_own_errors_leave_no_trace(steps in prop::collection::vec((0_usize..12, 0_u64..3_000), 0..200)) {
        let (health, control) = (Health::new(HealthPolicy::default()), Health::new(HealthPolicy::default()));
        let mut now = START;
        for (kind, millis) in steps {
            now = now + Duration::from_millis(millis);
            match callers_own().get(kind) {
                Some(cause) => health.failed(cause, now, false, now),
                None if kind < 10 => [&health, &control].map(|h| h.failed(&BROKEN, now, false, now)).into_iter().collect(),
                None => [&health, &control].map(|h| h.succeeded(now, now)).into_iter().collect(),
            }
            prop_assert_eq!(health.availability(now), control.availability(now));
        }
    }

    /// Of those that do not fail in a row, the share of failures decides, and only where there are enough outcomes.
    #[test]
    fn it_opens_at_the_share_that_is_allowed_and_not_below(
        percent in 1_u32..=100,
        minimum_volume in 1_u32..40,
        fails in prop::collection::vec(any::<bool>(), 1..120),
    ) {
        let policy = HealthPolicy {
            failure_percent: percent,
            minimum_volume,
            consecutive_failures: u32::MAX,
            ..HealthPolicy::default()
        };
        let health = Health::new(policy);
        let (mut failed, mut all) = (0, 0);
        for fails in fails {
            all += 1;
            if fails {
                failed += 1;
                health.failed(&BROKEN, START, false, START);
            } else {
                health.succeeded(START, START);
            }
            if fails && all >= minimum_volume && 100 * failed / all >= percent {
                prop_assert!(matches!(health.availability(START), Availability::Benched { .. }), "{failed} of {all}");
                return Ok(());
            }
            prop_assert_eq!(health.availability(START), Availability::Ready, "{} of {}", failed, all);
        }
    }

    /// A benched target is always offered a probe again within the longest cool-down.
    #[test]
    fn nobody_is_benched_for_longer_than_the_cap(steps in prop::collection::vec((any::<bool>(), 0_u64..90_000), 1..100)) {
        let health = Health::new(HealthPolicy::default());
        let mut now: Monotonic = START;
        for (fails, millis) in steps {
            now = now + Duration::from_millis(millis);
            let probe = health.availability(now) == Availability::Probe;
            if fails {
                (0..5).for_each(|_| health.failed(&status(ErrorClass::Server), now, probe, now));
            } else {
                health.succeeded(now, now);
            }
            let later = now + HealthPolicy::default().cool_down_cap;
            prop_assert!(matches!(health.availability(later), Availability::Ready | Availability::Probe));
        }
    }
}
