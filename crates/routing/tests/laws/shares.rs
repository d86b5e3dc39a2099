//! Weighted round robin: shares equal weights.

use proptest::prelude::*;
use weighbridge_routing::Plan;
use weighbridge_units::ErrorClass;

use crate::world::{START, after, route, status, target, weighted};

fn first_choices(weights: &[u32], requests: usize) -> Vec<usize> {
    let route = route(weighted(weights), vec![]);
    let choose = |random: usize| {
        let pick = Plan::new(route.clone()).next(START, random as u64).unwrap();
        let chosen = pick.target().get();
        pick.succeeded(START);
        chosen
    };
    (0..requests).map(choose).collect()
}

#[test]
fn turns_are_spread_out() {
    assert_eq!(first_choices(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn a_weight_of_zero_takes_a_target_out_even_for_want_of_another() {
    assert!(first_choices(&[0, 1], 10).iter().all(|chosen| *chosen == 1));
    let route = route(weighted(&[0]), vec![target("fallback")]);
    let mut plan = Plan::new(route);
    let pick = plan.next(START, 0).unwrap();
    assert_eq!(pick.target().get(), 1);
    plan.failed(pick, &status(ErrorClass::Server), START);
    assert!(plan.next(START, 0).is_none());
}

#[test]
fn the_others_share_the_turns_of_a_target_that_is_away() {
    let route = route(weighted(&[2, 1, 1]), vec![]);
    for _ in 0..5 {
        let target = route.targets().next().unwrap();
        target.health().failed(&status(ErrorClass::Server), START, false, START);
    }
    let mut counts = [0; 3];
    for request in 0..100 {
        // Without the cool-down's end, at which the first would be probed.
        let pick = Plan::new(route.clone()).next(after(500), request).unwrap();
        counts[pick.target().get()] += 1;
        pick.succeeded(after(500));
    }
    assert_eq!(counts, [0, 50, 50]);
}

proptest! {
    #[test]
    fn shares_equal_weights(weights in prop::collection::vec(1_u32..20, 1..12), rounds in 1_usize..4) {
        let total: u32 = weights.iter().sum();
        let chosen = first_choices(&weights, total as usize * rounds);
        for (target, weight) in weights.iter().enumerate() {
            let turns = chosen.iter().filter(|at| **at == target).count();
            prop_assert_eq!(turns, *weight as usize * rounds, "target {} of {:?}", target, &weights);
        }
    }

    /// Nobody waits for a whole round: after any number of turns, everyone is within one turn per
    /// other target of its share.
    #[test]
    fn shares_are_kept_at_every_moment(weights in prop::collection::vec(1_u32..20, 2..8)) {
        let total: u32 = weights.iter().sum();
        let chosen = first_choices(&weights, total as usize);
        let mut turns = vec![0_u32; weights.len()];
        for (done, at) in (1_u32..).zip(chosen) {
            turns[at] += 1;
            for (turns, weight) in turns.iter().zip(&weights) {
                let fair = f64::from(done) * f64::from(*weight) / f64::from(total);
                let most = (weights.len() - 1) as f64;
                prop_assert!((f64::from(*turns) - fair).abs() <= most, "{} turns, fair {}", turns, fair);
            }
        }
    }
}
