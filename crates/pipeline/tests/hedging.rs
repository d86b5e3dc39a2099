//! Hedges and copies: one answer, everything booked, nobody charged twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_access::{ModelScope, OwnKeys};
use weighbridge_ledger::{
    AccountId, AccountKind, AttemptEntry, Book, Ended, EntityId, LedgerStore, Quantity,
};
use weighbridge_pipeline::settings::{HedgeAfter, HedgeSettings, OnDisconnect, Settings, ShadowSettings};
use weighbridge_simulator::{Fault, Simulator};
use weighbridge_units::NanoUsd;
use world::{Answer, CHAT, MESSAGES, World, open_key, post};

const DELAY: Duration = Duration::from_millis(800);

fn chat(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "messages": [{ "role": "user", "content": "words:60" }],
        "max_tokens": 300,
        "stream": stream,
    })
}

fn hedged(after: HedgeAfter) -> World {
    World::with_settings(1, |settings| {
        hedge(settings, HedgeSettings { after, most: 1 });
    })
}

fn hedge(settings: &mut Settings, hedge: HedgeSettings) {
    settings.routes.iter_mut().for_each(|route| route.failover.hedge = Some(hedge));
}

async fn entries(world: &World, simulator: &Simulator) -> Vec<Ended> {
    let mut entries = Vec::new();
    for line in simulator.invoice() {
        match world.store.attempt(line.attempt.unwrap()).await.unwrap() {
            Some(AttemptEntry::Ended(ended)) => entries.push(ended),
            other => panic!("{other:?}"),
        }
    }
    entries
}

fn outcomes(record: &Value) -> Vec<(&str, &str)> {
    let attempts = record["attempts"].as_array().unwrap();
    attempts.iter().map(|a| (a["provider"].as_str().unwrap(), a["outcome"].as_str().unwrap())).collect()
}

/// Everything has ended, and the books agree with themselves.
async fn assert_settled(world: &World) {
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((world.pipeline.ledger().outstanding(), world.pipeline.open_requests()), (0, 0));
    for (account, balance) in world.store.balances().await.unwrap() {
        assert_eq!(balance.pending, Quantity::ZERO, "{account}");
    }
}

async fn absorbed(world: &World, reason: &str) -> i64 {
    let account = AccountId::new(Book::Platform, AccountKind::Absorbed, EntityId::of(reason));
    world.store.balance(account).await.unwrap().posted.get()
}

#[tokio::test(start_paused = true)]
async fn where_the_first_is_slow_another_answers_and_the_first_is_cancelled_and_booked() {
    for stream in [false, true] {
        for path in [CHAT, MESSAGES] {
            let world = hedged(HedgeAfter::Time(DELAY));
            world.openai.push_fault(Fault::StallBeforeHead);
            let before = tokio::time::Instant::now();
            let answer = world.post(path, &chat("gpt", stream)).await;
            let case = format!("{path} stream={stream}: {}", answer.text());
            assert_eq!(
                (answer.status, answer.header("x-gateway-provider")),
                (200, Some("anthropic")),
                "{case}"
            );
            assert_eq!(answer.header("x-gateway-attempts"), Some("2"), "{case}");
            let took = before.elapsed();
            assert!(took >= DELAY && took < DELAY + Duration::from_millis(100), "{case}: {took:?}");
            assert_settled(&world).await;
            assert_eq!(world.openai.open_answers(), 0, "{case}: cancelled");
            let record = world.record(&answer).await;
            assert_eq!(outcomes(&record), [("openai", "lost-hedge"), ("anthropic", "success")], "{record}");
            assert_eq!(record["attempts"][0]["charged_usd"], "0.000000000", "{record}");
            let won = &entries(&world, &world.anthropic).await[0];
            assert!(won.settlement.charged > NanoUsd::ZERO);
            assert_eq!(won.settlement.cost.get(), world.anthropic.invoice()[0].nano_usd);
            let lost = &entries(&world, &world.openai).await[0];
            assert_eq!(lost.settlement.charged, NanoUsd::ZERO);
            assert_eq!(absorbed(&world, "hedge").await, lost.settlement.cost.get());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_may_still_win() {
    for stream in [false, true] {
        let world = hedged(HedgeAfter::Time(DELAY));
        world.openai.push_fault(Fault::SlowHead(Duration::from_secs(2)));
        world.anthropic.push_fault(Fault::StallBeforeHead);
        let answer = world.post(CHAT, &chat("gpt", stream)).await;
        assert_eq!((answer.status, answer.header("x-gateway-provider")), (200, Some("openai")));
        assert_settled(&world).await;
        let record = world.record(&answer).await;
        assert_eq!(outcomes(&record), [("openai", "success"), ("anthropic", "lost-hedge")], "{record}");
        assert!(entries(&world, &world.openai).await[0].settlement.charged > NanoUsd::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_quick_has_nobody_beside_it() {
    let world = hedged(HedgeAfter::Time(DELAY));
    for stream in [false, true] {
        let answer = world.post(CHAT, &chat("gpt", stream)).await;
        assert_eq!(answer.header("x-gateway-attempts"), Some("1"));
        assert_eq!(outcomes(&world.record(&answer).await), [("openai", "success")]);
    }
    assert_eq!(world.anthropic.request_count(), 0);
    assert_settled(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_not_hedged_once_it_has_content() {
    let world = hedged(HedgeAfter::Time(DELAY));
    world.openai.push_fault(Fault::SlowFrames(Duration::from_millis(300)));
    let answer = world.post(CHAT, &chat("gpt", true)).await;
    assert!(answer.text().contains("[DONE]"), "{}", answer.text());
    assert_eq!((world.openai.request_count(), world.anthropic.request_count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_leaves_it_to_the_other() {
    // The first fails while the second runs, and the other way round.
    for [first, second] in [["slow", "late"], ["late", "fails"]] {
        let world = hedged(HedgeAfter::Time(DELAY));
        match first {
            "slow" => world.openai.push_fault(Fault::StallBeforeHead),
            _ => world.openai.push_fault(Fault::SlowHead(Duration::from_secs(5))),
        }
        match second {
            "late" => world.anthropic.push_fault(Fault::SlowHead(Duration::from_secs(70))),
            _ => world.anthropic.push_fault(Fault::Status { code: 500, retry_after: None }),
        }
        let answer = world.post(CHAT, &chat("gpt", false)).await;
        // The second has its own time limit for the first byte.
        let expected = if second == "late" { 504 } else { 200 };
        assert_eq!(answer.status, expected, "{first} {second}: {}", answer.text());
        assert_settled(&world).await;
        let record = world.record(&answer).await;
        let expected = match second {
            "late" => [("openai", "timed-out"), ("anthropic", "timed-out")],
            _ => [("openai", "success"), ("anthropic", "failed-before-output")],
        };
        assert_eq!(outcomes(&record), expected, "{record}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_request_brings_upon_itself_ends_all_of_its_attempts() {
    let world = hedged(HedgeAfter::Time(DELAY));
    world.openai.push_fault(Fault::StallBeforeHead);
    world.anthropic.push_fault(Fault::Status { code: 400, retry_after: None });
    let answer = world.post(CHAT, &chat("gpt", false)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_settled(&world).await;
    let record = world.record(&answer).await;
    assert_eq!(outcomes(&record), [("openai", "lost-hedge"), ("anthropic", "failed-before-output")]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_race_pays_for_one_attempt() {
    let world = hedged(HedgeAfter::Time(DELAY));
    world.openai.push_fault(Fault::StallBeforeHead);
    world.anthropic.push_fault(Fault::StallBeforeHead);
    let request = post(CHAT, &world.key, &chat("gpt", true));
    let waiting = tokio::time::timeout(Duration::from_secs(5), world.open(request)).await;
    assert!(waiting.is_err(), "nobody answers");
    assert_settled(&world).await;
    let [first, second] = [&world.openai, &world.anthropic];
    let (first, second) = (entries(&world, first).await, entries(&world, second).await);
    let outcome = |entries: &[Ended]| entries[0].settlement.outcome.as_str();
    assert_eq!((outcome(&first), outcome(&second)), ("client-left", "lost-hedge"));
    assert_eq!(second[0].settlement.charged, NanoUsd::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_race_goes_on_without_its_client_where_attempts_are_drained() {
    let world = World::with_settings(1, |settings| {
        settings.on_disconnect = OnDisconnect::Drain;
        hedge(settings, HedgeSettings { after: HedgeAfter::Time(DELAY), most: 1 });
    });
    world.openai.push_fault(Fault::StallBeforeHead);
    let request = post(CHAT, &world.key, &chat("gpt", true));
    let waiting = tokio::time::timeout(Duration::from_millis(400), world.open(request)).await;
    assert!(waiting.is_err(), "the client leaves before there is a second attempt");
    assert_settled(&world).await;
    let won = &entries(&world, &world.anthropic).await[0];
    assert_eq!(won.settlement.outcome.as_str(), "client-left");
    assert_eq!(
        won.settlement.charged.get(),
        world.anthropic.invoice()[0].nano_usd,
        "the exact usage is paid"
    );
    assert_eq!(entries(&world, &world.openai).await[0].settlement.outcome.as_str(), "lost-hedge");
}

#[tokio::test(start_paused = true)]
async fn after_a_percentile_nothing_is_hedged_until_enough_is_known() {
    let world = hedged(HedgeAfter::Percentile(95));
    let slow = || Fault::SlowHead(Duration::from_millis(300));
    for _ in 0..20 {
        world.openai.push_fault(slow());
        let answer = world.post(CHAT, &chat("gpt", true)).await;
        assert_eq!(answer.header("x-gateway-attempts"), Some("1"));
    }
    world.openai.push_fault(Fault::StallBeforeHead);
    let before = tokio::time::Instant::now();
    let answer = world.post(CHAT, &chat("gpt", true)).await;
    assert_eq!(answer.header("x-gateway-provider"), Some("anthropic"));
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(400), "{took:?}");
    // Whole answers are another matter.
    world.openai.push_fault(slow());
    world.openai.push_fault(slow());
    let answer = world.post(CHAT, &chat("gpt", false)).await;
    assert_eq!(answer.header("x-gateway-attempts"), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_takes_its_place_in_limits_and_budgets_or_is_not_made() {
    let mut world = hedged(HedgeAfter::Time(DELAY));
    // Room for the worst of one attempt, and not of two.
    let key = world.add_key(|key| key.budgets = world::monthly(400_000));
    world.openai.push_fault(Fault::SlowHead(Duration::from_secs(2)));
    let answer = world.send(post(CHAT, &key, &chat("gpt", false))).await;
    assert_eq!(
        (answer.status, answer.header("x-gateway-provider")),
        (200, Some("openai")),
        "{}",
        answer.text()
    );
    assert_eq!(world.anthropic.request_count(), 0);
    assert_settled(&world).await;
}

#[tokio::test(start_paused = true)]
async fn what_stands_under_an_idempotency_key_is_not_hedged() {
    let world = hedged(HedgeAfter::Time(DELAY));
    world.openai.push_fault(Fault::SlowHead(Duration::from_secs(2)));
    let mut request = post(CHAT, &world.key, &chat("gpt", false));
    request.headers_mut().insert("idempotency-key", "once".parse().unwrap());
    assert_eq!(world.send(request).await.header("x-gateway-provider"), Some("openai"));
    assert_eq!(world.anthropic.request_count(), 0);
}

fn shadowed(permille: u32) -> World {
    World::with_settings(1, |settings| {
        let shadow = ShadowSettings { to: "only-claude".into(), permille, most: 2 };
        settings.routes.iter_mut().for_each(|route| route.failover.shadow = Some(shadow.clone()));
    })
}

async fn tenants_debt(world: &World) -> i64 {
    let account = AccountId::new(Book::Platform, AccountKind::Receivable, EntityId::of("acme"));
    world.store.balance(account).await.unwrap().posted.get()
}

/// One request to OpenAI, and what it got.
async fn ask(world: &World, stream: bool) -> Answer {
    let answer = world.post(CHAT, &chat("only-gpt", stream)).await;
    assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("1")), "{}", answer.text());
    answer
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_to_another_model_at_the_installations_cost() {
    for stream in [false, true] {
        let world = shadowed(1_000);
        let answer = ask(&world, stream).await;
        assert_settled(&world).await;
        assert_eq!(outcomes(&world.record(&answer).await), [("openai", "success")]);
        let copy = &entries(&world, &world.anthropic).await[0];
        assert_eq!(copy.settlement.outcome.as_str(), "shadow");
        assert_eq!(copy.settlement.charged, NanoUsd::ZERO);
        let billed = world.anthropic.invoice()[0].nano_usd;
        assert!(billed > 0);
        assert_eq!((copy.settlement.cost.get(), absorbed(&world, "shadow").await), (billed, billed));
        assert_eq!(tenants_debt(&world).await, world.openai.invoice()[0].nano_usd);
    }
}

/// What the budgets of that measure have counted, account by account; nothing is reserved any more.
async fn budgeted(world: &World, kind: AccountKind) -> Vec<i64> {
    let balances = world.store.balances().await.unwrap();
    let of = balances.into_iter().filter(|(account, _)| account.kind() == kind);
    of.map(|(_, balance)| {
        assert_eq!(balance.pending.get(), 0);
        balance.posted.get()
    })
    .collect()
}

/// A world whose requests are all copied, with budgets of the installation's, the provider's and the copying model's.
fn shadowed_within(whole: &[&str], provider: &[&str], model: &[&str]) -> World {
    let budgets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    World::with_settings(1, |settings| {
        let shadow = ShadowSettings { to: "only-claude".into(), permille: 1_000, most: 2 };
        settings.routes.iter_mut().for_each(|route| route.failover.shadow = Some(shadow.clone()));
        settings.budgets = budgets(whole);
        let claude = settings.providers.iter_mut().find(|known| &*known.name == "anthropic").unwrap();
        claude.budgets = budgets(provider);
        let copies = settings.routes.iter_mut().find(|known| &*known.name == "only-claude").unwrap();
        copies.budgets = budgets(model);
    })
}

#[tokio::test(start_paused = true)]
async fn r9_what_copies_cost_counts_in_the_budgets_of_installation_provider_and_model() {
    let world = shadowed_within(&["usd=100"], &["usd=100"], &["usd=100"]);
    ask(&world, false).await;
    assert_settled(&world).await;
    let [own, copied] = [&world.openai, &world.anthropic].map(|at| at.invoice()[0].nano_usd);
    let mut counted = budgeted(&world, AccountKind::Budget).await;
    counted.sort_unstable();
    let mut expected = vec![copied, copied, own + copied];
    expected.sort_unstable();
    assert_eq!(counted, expected);
    assert_eq!((tenants_debt(&world).await, absorbed(&world, "shadow").await), (own, copied));
}

#[tokio::test(start_paused = true)]
async fn r9_a_copy_that_finds_no_room_is_left_out_and_counted_and_its_request_is_not() {
    for (provider, model) in [(&["requests=1"][..], &[][..]), (&[], &["requests=1"])] {
        let world = shadowed_within(&[], provider, model);
        for _ in 0..3 {
            ask(&world, false).await;
            assert_settled(&world).await;
        }
        assert_eq!((world.anthropic.request_count(), world.pipeline.copies_without_room()), (1, 2));
        assert_eq!(budgeted(&world, AccountKind::BudgetRequests).await, [1]);
    }
    // Money that would not last for the worst of it; what it would have cost in fact does not matter.
    let world = shadowed_within(&[], &["usd=0.000001"], &[]);
    ask(&world, true).await;
    assert_settled(&world).await;
    assert_eq!((world.anthropic.request_count(), world.pipeline.copies_without_room()), (0, 1));
    // A budget for each end user is none of a copy's.
    let world = shadowed_within(&["requests=1 for=user"], &[], &[]);
    ask(&world, false).await;
    assert_settled(&world).await;
    assert_eq!((world.anthropic.request_count(), world.pipeline.copies_without_room()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn whatever_befalls_copies_concerns_nobody() {
    let world = shadowed(1_000);
    for fault in [
        Fault::Status { code: 500, retry_after: None },
        Fault::Status { code: 429, retry_after: Some(60) },
        Fault::Status { code: 401, retry_after: None },
        Fault::CutMidStream { after_frames: 5 },
    ] {
        for _ in 0..8 {
            world.anthropic.push_fault(fault.clone());
            let before = tokio::time::Instant::now();
            ask(&world, true).await;
            assert_eq!(before.elapsed(), Duration::ZERO, "nobody waits");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    assert_settled(&world).await;
    assert_eq!(world.anthropic.request_count(), 32, "a copy is sent once");
    world.anthropic.clear_faults();
    // Neither the target nor its key is benched for those who ask for it themselves.
    let answer = world.post(CHAT, &chat("claude", false)).await;
    assert_eq!(answer.header("x-gateway-provider"), Some("anthropic"), "{}", answer.text());
    let billed: i64 = world.openai.invoice().iter().map(|line| line.nano_usd).sum();
    let own = entries(&world, &world.anthropic).await.last().unwrap().settlement.charged.get();
    assert_eq!(tenants_debt(&world).await, billed + own);
}

#[tokio::test(start_paused = true)]
async fn copies_are_bounded_and_refused_requests_have_none() {
    let world = shadowed(1_000);
    (0..5).for_each(|_| world.anthropic.push_fault(Fault::StallBeforeHead));
    for _ in 0..5 {
        ask(&world, false).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(world.anthropic.request_count(), 2, "no more at once than may be");
    tokio::time::sleep(Duration::from_secs(120)).await;
    world.afresh(None);
    let before = world.anthropic.request_count();
    world.openai.push_fault(Fault::Status { code: 400, retry_after: None });
    world.post(CHAT, &chat("only-gpt", false)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.anthropic.request_count(), before);
    assert_settled(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_nowhere_that_its_request_may_not() {
    let mut world = shadowed(1_000);
    let limited = world.add_key(|key| key.models = ModelScope::Only(vec!["only-gpt".parse().unwrap()]));
    world.send(post(CHAT, &limited, &chat("only-gpt", false))).await;
    // Nor on the installation's keys where the tenant brings its own.
    world.add_tenant("own", |tenant| tenant.own_keys = Some(OwnKeys::Prefer));
    let own = world.add_key(|key| key.tenant = "own".parse().unwrap());
    let keys = ["openai", "anthropic"].map(|at| open_key(7, "own", at, &format!("sk-own-{at}-0123456789")));
    world.pipeline.put_provider_keys(keys.to_vec()).unwrap();
    assert_eq!(world.send(post(CHAT, &own, &chat("only-gpt", false))).await.status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((world.openai.request_count(), world.anthropic.request_count()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_copy_keeps_to_the_labels_that_are_demanded() {
    for (labels, demanded, copied) in [
        ("region=us", "region=eu", false),
        ("region=eu", "region=eu", true),
        ("region=us", "law=gdpr", false),
    ] {
        let shadow = ShadowSettings { to: "only-claude".into(), permille: 1_000, most: 2 };
        let world = World::with_settings(1, |settings| {
            settings.routes.iter_mut().for_each(|route| route.failover.shadow = Some(shadow.clone()));
            for provider in &mut settings.providers {
                let of = if &*provider.name == "anthropic" { labels } else { "region=eu,law=gdpr" };
                provider.labels = of.parse().unwrap();
            }
        });
        let mut request = post(CHAT, &world.key, &chat("only-gpt", false));
        request.headers_mut().insert("x-gateway-require", demanded.parse().unwrap());
        assert_eq!(world.send(request).await.status, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.anthropic.request_count(), u64::from(copied), "{labels}, {demanded}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_requests_is_copied() {
    let world = shadowed(250);
    for _ in 0..200 {
        ask(&world, false).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let copies = world.anthropic.request_count();
    assert!((30..=70).contains(&copies), "{copies} of 200");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_its_stream_leaves_its_copy_alone() {
    let world = shadowed(1_000);
    let mut body = world.open(post(CHAT, &world.key, &chat("only-gpt", true))).await.into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    assert_settled(&world).await;
    assert!(entries(&world, &world.anthropic).await[0].used.usage.total() > 0);
}
