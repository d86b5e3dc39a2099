use super::*;
use crate::{
    Decision, FleetLimits, FleetReturn, FleetStanding, FleetWorld, KeyHash, LimitOwner, Limits, Standing,
    Tenant, TenantName, TenantNode, VirtualKey, Want,
};
use async_trait::async_trait;
use futures::executor::block_on;
use proptest::prelude::*;
use std::time::Duration;
use weighbridge_units::{KeyId, Timestamp};

const NOW: Monotonic = Monotonic::from_micros(5_000_000);

fn principal(rpm: Option<u64>, tpm: Option<u64>) -> Arc<Principal> {
    alone(key(rpm, tpm), None)
}

fn alone(key: VirtualKey, former: Option<&Principal>) -> Arc<Principal> {
    Arc::new(Principal::new(Arc::new(key), [None, None], former))
}

fn key(rpm: Option<u64>, tpm: Option<u64>) -> VirtualKey {
    let tenant = TenantName::new("t").unwrap();
    let hash = KeyHash::from_bytes([0; 32]);
    let mut key = VirtualKey::new(KeyId::from_bits(1), "k", tenant, hash, Timestamp::default());
    key.limits = Limits { rpm, tpm, ..Limits::NONE };
    key
}

fn left(principal: &Principal) -> (Option<u64>, Option<u64>) {
    (principal.requests(NOW).map(|s| s.remaining), principal.tokens(NOW).map(|s| s.remaining))
}

#[test]
fn r8_a_refusal_by_tokens_gives_the_request_back() {
    let principal = principal(Some(10), Some(100));
    let refusal = principal.admit(NOW, 101).unwrap_err();
    assert_eq!((refusal.kind, refusal.needed, refusal.can_never_pass()), (LimitKind::Tpm, 101, true));
    assert_eq!(left(&principal), (Some(10), Some(100)));
}

#[test]
fn r8_a_refusal_by_requests_takes_no_tokens() {
    let principal = principal(Some(1), Some(100));
    let _held = principal.admit(NOW, 10).unwrap();
    let refusal = principal.admit(NOW, 10).unwrap_err();
    assert_eq!(refusal.kind, LimitKind::Rpm);
    assert_eq!(refusal.retry_after, Duration::from_secs(60));
    assert_eq!(left(&principal), (Some(0), Some(90)));
    assert_eq!(
        refusal.to_string(),
        "the key's limit of 1 requests per minute has room for 0 and this request needs 1: wait and try again"
    );
}

#[test]
fn r8_what_is_found_later_counts_as_if_it_had_been_known() {
    let principal = principal(Some(10), Some(100));
    let mut more = principal.admit(NOW, 10).unwrap();
    more.take_more(80, NOW).unwrap();
    assert_eq!(left(&principal), (Some(9), Some(10)));
    let refusal = more.take_more(20, NOW).unwrap_err();
    assert_eq!((refusal.kind, refusal.needed, refusal.remaining), (LimitKind::Tpm, 110, 100));
    assert!(refusal.can_never_pass());
    assert_eq!(left(&principal), (Some(9), Some(10)), "nothing more was taken");
    drop(more);
    assert_eq!(left(&principal), (Some(10), Some(100)), "dropped before the dispatch");
    let mut sent = principal.admit(NOW, 10).unwrap();
    sent.take_more(40, NOW).unwrap();
    sent.true_up(30, NOW);
    assert_eq!(left(&principal), (Some(9), Some(70)), "trued up");
    let free = self::principal(None, None);
    free.admit(NOW, 1).unwrap().take_more(u64::MAX, NOW).unwrap();
}

#[test]
fn r8_a_place_is_released_once_on_every_way_out() {
    let principal = principal(Some(10), Some(100));
    drop(principal.admit(NOW, 10).unwrap());
    assert_eq!(left(&principal), (Some(10), Some(100)), "dropped before the dispatch");
    principal.admit(NOW, 10).unwrap().refund(NOW);
    assert_eq!(left(&principal), (Some(10), Some(100)), "refunded");
    principal.admit(NOW, 10).unwrap().true_up(25, NOW);
    assert_eq!(left(&principal), (Some(9), Some(75)), "trued up");
    let mut sent = principal.admit(NOW, 10).unwrap();
    sent.dispatched();
    drop(sent);
    assert_eq!(left(&principal), (Some(8), Some(65)), "dropped after the dispatch");
    principal.admit(NOW, 65).unwrap().true_up(0, NOW);
    assert_eq!(left(&principal), (Some(7), Some(65)), "nothing was used");
}

#[test]
fn r8_a_panic_gives_the_place_back() {
    let principal = principal(Some(10), None);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = principal.admit(NOW, 1).unwrap();
        panic!("on the way");
    }));
    assert!(caught.is_err());
    assert_eq!(left(&principal), (Some(10), None));
}

#[test]
fn without_limits_everything_is_admitted() {
    let principal = principal(None, None);
    principal.admit(NOW, u64::MAX).unwrap().true_up(u64::MAX, NOW);
    assert_eq!(left(&principal), (None, None));
}

#[test]
fn limits_survive_a_change_of_the_key() {
    let old = principal(Some(10), Some(100));
    old.admit(NOW, 50).unwrap().true_up(50, NOW);
    let mut changed = key(Some(20), Some(100));
    changed.name = "renamed".to_owned();
    let new = alone(changed, Some(&old));
    assert_eq!(left(&new), (Some(18), Some(50)));
}

#[test]
fn r8_threads_share_a_limit_exactly() {
    let principal = principal(Some(500), Some(100_000));
    let admitted: usize = std::thread::scope(|scope| {
        let worker = || {
            let admit = |n| match principal.admit(NOW, 100) {
                // Every third goes away before the dispatch.
                Ok(admission) if n % 3 != 0 => {
                    admission.true_up(10, NOW);
                    true
                }
                _ => false,
            };
            (0..300).filter(|n| admit(*n)).count()
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let used = admitted as u64;
    assert!(used <= 500);
    assert_eq!(left(&principal), (Some(500 - used), Some(100_000 - 10 * used)));
}

/// A key of two requests a minute and more, in a team and an organisation with limits of their own.
fn in_tenants(key: Limits, team: Limits, organisation: Limits) -> Arc<Principal> {
    let node = |name: &str, limits| {
        let mut tenant = Tenant::new(TenantName::new(name).unwrap(), Timestamp::default());
        tenant.limits = limits;
        Some(Arc::new(TenantNode::new(Arc::new(tenant), None)))
    };
    let mut definition = self::key(None, None);
    definition.limits = key;
    let tenants = [node("acme", organisation), node("acme/search", team)];
    Arc::new(Principal::new(Arc::new(definition), tenants, None))
}

fn limits(rpm: u64, tpm: u64, usd: i64, concurrency: u64) -> Limits {
    Limits {
        rpm: Some(rpm),
        tpm: Some(tpm),
        usd_per_minute: Some(NanoUsd::new(usd)),
        concurrency: Some(concurrency),
    }
}

/// What is left of every limit of every owner.
fn all_left(principal: &Principal, others: &[&Arc<LimitCells>]) -> Vec<Option<u64>> {
    let owned = principal.tenants().map(|node| node.limits()).chain([principal.limits()]);
    owned
        .chain(others.iter().copied())
        .flat_map(|cells| {
            let left = |standing: Option<Standing>| standing.map(|standing| standing.remaining);
            [left(cells.requests(NOW)), left(cells.tokens(NOW)), left(cells.money(NOW)), cells.running()]
        })
        .collect()
}

#[test]
fn r8_the_first_limit_in_order_refuses_whoever_s_it_is() {
    let wide = limits(100, 10_000, 1_000, 10);
    let refusal = |key: Limits, team: Limits, organisation: Limits| {
        let principal = in_tenants(key, team, organisation);
        let before = all_left(&principal, &[]);
        let refusal = principal.admit(NOW, 100).unwrap_err();
        assert_eq!(all_left(&principal, &[]), before, "a refusal takes nothing");
        (refusal.whose, refusal.kind)
    };
    let (no_rpm, no_tpm, no_slot) = (limits(0, 10_000, 1, 1), limits(9, 99, 1, 1), limits(9, 10_000, 1, 0));
    assert_eq!(refusal(no_rpm, no_tpm, no_slot), (LimitOwner::Key, LimitKind::Rpm));
    assert_eq!(refusal(no_tpm, no_rpm, no_slot), (LimitOwner::Team, LimitKind::Rpm));
    assert_eq!(refusal(no_slot, no_tpm, wide), (LimitOwner::Team, LimitKind::Tpm));
    assert_eq!(refusal(wide, wide, no_slot), (LimitOwner::Organisation, LimitKind::Concurrency));
}

#[test]
fn r8_an_attempt_that_is_refused_for_money_leaves_everything_as_it_was() {
    let principal = in_tenants(limits(9, 999, 500, 9), Limits::NONE, limits(9, 999, 300, 9));
    let target = Arc::new(LimitCells::new(LimitOwner::Deployment, "p/m", &limits(9, 999, 999, 1), None));
    let admission = principal.admit(NOW, 100).unwrap();
    let before = all_left(&principal, &[&target]);
    let refusal =
        admission.attempt(Some(&target), AttemptMoney::at_cost(NanoUsd::new(301)), NOW).unwrap_err();
    assert_eq!((refusal.whose, refusal.kind), (LimitOwner::Organisation, LimitKind::UsdPerMinute));
    assert_eq!(all_left(&principal, &[&target]), before);
    assert!(refusal.to_string().contains("limit of 0.000000300 USD per minute"), "{refusal}");

    let first = admission.attempt(Some(&target), AttemptMoney::at_cost(NanoUsd::new(300)), NOW).unwrap();
    let second = admission.attempt(Some(&target), AttemptMoney::at_cost(NanoUsd::new(1)), NOW).unwrap_err();
    assert_eq!((second.whose, second.kind), (LimitOwner::Deployment, LimitKind::Concurrency));
    first.settle(40, NanoUsd::new(70), NanoUsd::new(60), NOW);
    admission.true_up(40, NOW);
    let left: Vec<_> = all_left(&principal, &[&target]).into_iter().map(Option::unwrap_or_default).collect();
    assert_eq!(left, [8, 959, 240, 0, /* team */ 0, 0, 0, 0, 8, 959, 440, 0, 8, 959, 929, 0]);
}

#[test]
fn r8_slots_outlive_a_change_of_their_number() {
    let concurrency = |most| Limits { concurrency: Some(most), ..Limits::NONE };
    let mut definition = key(None, None);
    definition.limits = concurrency(1);
    let old = alone(definition.clone(), None);
    let running = old.admit(NOW, 0).unwrap();
    definition.limits = concurrency(2);
    let new = alone(definition, Some(&old));
    let second = new.admit(NOW, 0).unwrap();
    assert_eq!(new.admit(NOW, 0).unwrap_err().kind, LimitKind::Concurrency);
    drop((running, second));
    assert_eq!(new.limits().running(), Some(0));
}

proptest! {
    /// Whatever limits there are and however attempts end: once nothing runs, what is taken of each limit is
    /// what was used, and nothing else.
    #[test]
    fn r8_every_owner_is_charged_what_was_used_and_nothing_else(
        rooms in proptest::collection::vec((1_u64..6, 1_u64..400, 1_i64..400, 1_u64..4), 5),
        steps in proptest::collection::vec((0_u64..120, 0_i64..120, 0_u8..4, 0_u64..60, 0_i64..60), 0..30)
    ) {
        let of = |at: usize| {
            let (rpm, tpm, usd, concurrency) = rooms[at];
            limits(rpm, tpm, usd, concurrency)
        };
        let principal = in_tenants(of(0), of(1), of(2));
        let model = Arc::new(LimitCells::new(LimitOwner::Model, "m", &of(3), None));
        let target = Arc::new(LimitCells::new(LimitOwner::Deployment, "p/m", &of(4), None));
        let (mut requests, mut tokens, mut charged, mut cost) = (0_u64, 0_u64, 0_u64, 0_u64);
        for (estimate, worst, end, used, price) in steps {
            let Ok(admission) = principal.admit_for(Some(&model), Share::WHOLE, NOW, estimate) else { continue };
            let worst = AttemptMoney::at_cost(NanoUsd::new(worst));
            let Ok(claim) = admission.attempt(Some(&target), worst, NOW) else { continue };
            match end {
                0 => drop((admission, claim)),
                1 => {
                    drop(claim);
                    admission.refund(NOW);
                }
                _ => {
                    claim.settle(used, NanoUsd::new(price * 2), NanoUsd::new(price), NOW);
                    admission.true_up(used, NOW);
                    requests += 1;
                    tokens += used;
                    charged += price as u64;
                    cost += price as u64 * 2;
                }
            }
        }
        // In the order of `all_left`: organisation, team, key, model, target.
        let owners = [2, 1, 0, 3, 4];
        for (left, at) in all_left(&principal, &[&model, &target]).chunks(4).zip(owners) {
            let (rpm, tpm, usd, _) = rooms[at];
            let money = if at == 4 { cost } else { charged };
            let expected = [
                Some(rpm - requests),
                Some(tpm.saturating_sub(tokens)),
                Some((usd as u64).saturating_sub(money)),
                Some(0),
            ];
            prop_assert_eq!(left, expected, "owner {}", at);
        }
    }

    /// A sequence of admissions with every kind of end leaves exactly what was really used.
    #[test]
    fn r8_only_what_was_used_stays_taken(
        steps in proptest::collection::vec((0_u64..200, 0_u8..4, 0_u64..200), 0..80)
    ) {
        let principal = principal(Some(40), Some(4_000));
        let (mut requests, mut tokens, mut held) = (0_u64, 0_u64, Vec::new());
        for (estimate, end, truth) in steps {
            let (free_requests, free_tokens) = (40 - requests, 4_000_u64.saturating_sub(tokens));
            match principal.admit(NOW, estimate) {
                Ok(admission) => match end {
                    0 => drop(admission),
                    1 => admission.refund(NOW),
                    2 => {
                        admission.true_up(truth, NOW);
                        (requests, tokens) = (requests + 1, tokens + truth);
                    }
                    _ => {
                        held.push(admission);
                        (requests, tokens) = (requests + 1, tokens + estimate);
                    }
                },
                Err(refusal) => {
                    let room = if refusal.kind == LimitKind::Rpm { free_requests } else { free_tokens };
                    prop_assert_eq!(refusal.remaining, room);
                    prop_assert!(refusal.needed > room || tokens > 4_000);
                }
            }
            prop_assert_eq!(left(&principal), (Some(40 - requests), Some(4_000_u64.saturating_sub(tokens))));
        }
        for admission in held {
            admission.refund(NOW);
        }
    }
}

/// A common count that cannot be asked, among so many instances.
#[derive(Debug)]
struct Away(u32);

#[async_trait]
impl FleetLimits for Away {
    fn share(&self) -> Share {
        Share::among(self.0)
    }
    async fn take(&self, _: &[Want], _: Monotonic) -> Decision {
        Decision::Away(self.share())
    }
    fn occupy(&self, _: &Arc<LimitCells>) -> u64 {
        0
    }
    fn give(&self, _: FleetReturn) {}
    fn standing(&self) -> FleetStanding {
        FleetStanding::default()
    }
    async fn begin(&self, _: &dyn FleetWorld) {}
    async fn run(&self, _: &dyn FleetWorld) {}
    async fn leave(&self) {}
}

proptest! {
    /// Also where it is the only one, and its part is the whole: nothing counts twice.
    #[test]
    fn c5_while_nobody_can_be_asked_an_instance_gives_out_its_part_and_no_less(
        instances in 1_u32..5, rpm in 1_u64..40, used in 0_u64..50
    ) {
        let principal = principal(Some(rpm), Some(1_000 * rpm));
        let fleet: Arc<dyn FleetLimits> = Arc::new(Away(instances));
        let (share, nothing) = (fleet.share(), AttemptMoney::at_cost(NanoUsd::ZERO));
        let mut admitted = 0;
        while let Ok(mut admission) = principal.admit_for(None, share, NOW, 50) {
            let mut claim = block_on(admission.attempt_among(&fleet, None, nothing, NOW)).unwrap();
            admission.adopt(&mut claim);
            claim.settle(used, NanoUsd::ZERO, NanoUsd::ZERO, NOW);
            admission.true_up(used, NOW);
            admitted += 1;
        }
        prop_assert_eq!(admitted, share.of(rpm));
        let tokens = principal.tokens(NOW).unwrap().remaining;
        prop_assert!(instances > 1 || tokens == 1_000 * rpm - admitted * used, "{} tokens", tokens);
    }
}
