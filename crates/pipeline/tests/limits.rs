//! Limits per minute and of requests at once: of key, team, organisation, model and deployment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::time::Duration;

use serde_json::json;
use weighbridge_access::Limits;
use weighbridge_pipeline::settings::Settings;
use weighbridge_simulator::Fault;
use weighbridge_units::{Monotonic, NanoUsd};
use world::{Answer, CHAT, World, post};

fn hello(model: &str) -> serde_json::Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "echo:Hi" }] })
}

async fn ask(world: &World, key: &str, model: &str) -> Answer {
    world.send(post(CHAT, key, &hello(model))).await
}

fn kind(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-gateway-limit-kind"))
}

fn rpm(most: u64) -> Limits {
    Limits { rpm: Some(most), ..Limits::NONE }
}

fn limit_route(world_settings: &mut Settings, name: &str, limits: Limits) {
    world_settings.routes.iter_mut().find(|route| &*route.name == name).unwrap().limits = limits;
}

#[tokio::test(start_paused = true)]
async fn a_team_s_and_an_organisation_s_limits_are_one_for_all_their_keys() {
    let mut world = World::new();
    let keys = ["acme/search", "acme/search", "acme/ads"]
        .map(|tenant| world.add_key(|key| key.tenant = tenant.parse().unwrap()));
    world.add_tenant("acme", |acme| acme.limits = rpm(3));
    world.add_tenant("acme/search", |team| team.limits = rpm(2));
    assert_eq!(ask(&world, &keys[0], "only-gpt").await.status, 200);
    assert_eq!(ask(&world, &keys[1], "only-gpt").await.status, 200);
    let team = ask(&world, &keys[0], "only-gpt").await;
    assert_eq!(kind(&team), (429, Some("rpm")));
    assert!(team.text().contains("The team's limit of 2 requests per minute"), "{}", team.text());
    // The refusal took nothing of the organisation's.
    assert_eq!(ask(&world, &keys[2], "only-gpt").await.status, 200);
    let all = ask(&world, &keys[2], "only-gpt").await;
    assert!(all.text().contains("The organisation's limit of 3"), "{}", all.text());
    assert_eq!(world.openai.request_count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_model_s_limit_is_one_for_everybody_and_outlives_a_reload() {
    let mut world = World::with_settings(1, |settings| limit_route(settings, "only-gpt", rpm(2)));
    let other = world.add_key(|key| key.tenant = "other".parse().unwrap());
    assert_eq!(ask(&world, &other, "only-gpt").await.status, 200);
    let mut settings = world.settings.clone();
    limit_route(&mut settings, "only-gpt", rpm(1));
    world.pipeline.reload(&settings).unwrap();
    assert_eq!(kind(&ask(&world, &world.key, "only-gpt").await), (429, Some("rpm")));
    assert_eq!(ask(&world, &world.key, "gpt").await.status, 200, "another name, another limit");
}

#[tokio::test(start_paused = true)]
async fn r9_a_deployment_without_room_is_passed_over_and_alone_it_refuses() {
    let world = World::with_settings(1, |settings| settings.providers[0].limits = rpm(1));
    for provider in ["openai", "anthropic", "anthropic"] {
        let answer = ask(&world, &world.key, "gpt").await;
        assert_eq!((answer.status, answer.header("x-gateway-provider")), (200, Some(provider)));
    }
    // The same deployment under another name, and under its own.
    for name in ["only-gpt", "openai/gpt-4o-mini"] {
        let answer = ask(&world, &world.key, name).await;
        assert_eq!(kind(&answer), (429, Some("rpm")), "{name}");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(world.openai.request_count(), 1);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(ask(&world, &world.key, "only-gpt").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn r8_money_per_minute_is_taken_at_worst_and_trued_up() {
    // Room for the worst cost of one request, which then comes to much less.
    let limits = Limits { usd_per_minute: Some(NanoUsd::new(50_000)), ..Limits::NONE };
    let mut world = World::new();
    let key = world.add_key(|key| key.limits = Limits { rpm: Some(100), ..limits });
    let mut served = 0;
    let refused = loop {
        let answer = ask(&world, &key, "only-gpt").await;
        if answer.status != 200 {
            break answer;
        }
        served += 1;
    };
    assert_eq!(kind(&refused), (429, Some("usd-per-minute")));
    assert!(refused.text().contains("0.000050000 USD per minute"), "{}", refused.text());
    let spent: i64 = world.openai.invoice().iter().map(|line| line.nano_usd).sum();
    assert!(served > 1 && spent <= 50_000, "{served} for {spent}");
    // What was refused for money took no request, and reserved nothing.
    let id = world.keys.last().unwrap().id;
    let principal = world.directory.get(id).unwrap();
    let now = weighbridge_units::Monotonic::from_micros(0);
    let left = principal.requests(now).unwrap().remaining;
    assert_eq!(left, 100 - served, "rule R8");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(ask(&world, &key, "only-gpt").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn r8_slots_are_given_back_on_every_way_out() {
    let limits = Limits { concurrency: Some(1), ..Limits::NONE };
    let mut world = World::with_settings(1, |settings| {
        limit_route(settings, "only-gpt", limits);
        settings.providers[0].limits = limits;
    });
    let key = world.add_key(|key| key.limits = limits);
    world.add_tenant("acme", |acme| acme.limits = limits);
    // Answered, failed, broken off: each leaves a place for the next.
    for fault in [None, Some(Fault::Status { code: 500, retry_after: None }), None] {
        if let Some(fault) = fault {
            world.openai.push_fault(fault);
        }
        assert_ne!(ask(&world, &key, "only-gpt").await.status, 429);
    }
    // A stream holds its place until it is dropped.
    let mut body = hello("only-gpt");
    body["stream"] = true.into();
    let stream = world.open(post(CHAT, &key, &body)).await;
    assert_eq!(stream.status(), 200);
    let refused = ask(&world, &key, "only-gpt").await;
    assert_eq!(kind(&refused), (429, Some("concurrency")));
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(stream);
    assert_eq!(ask(&world, &key, "only-gpt").await.status, 200);
}

/// Two instances on one ledger, the second of which starts where the first ends; each with a key in a team.
fn one_after_another(change: impl Fn(&mut Settings), limited: Limits) -> ([World; 2], String) {
    let ledger = weighbridge_ledger::MemoryLedger::with_rows(100_000);
    let next = ledger.restart();
    let mut worlds = [World::over(ledger, 1, &change, None), World::over(next, 2, &change, None)];
    let keys = worlds.each_mut().map(|world| {
        world.add_tenant("acme/search", |team| team.limits = limited);
        world.add_key(|key| {
            key.tenant = "acme/search".parse().unwrap();
            key.limits = limited;
        })
    });
    let [key, same] = keys;
    assert_eq!(key, same);
    (worlds, key)
}

#[tokio::test(start_paused = true)]
async fn c7_a_restart_refills_no_limit() {
    let per_minute = Limits {
        rpm: Some(60),
        tpm: Some(10_000),
        usd_per_minute: Some(NanoUsd::new(50_000_000)),
        ..Limits::NONE
    };
    let ([before, after], key) = one_after_another(|_| {}, per_minute);
    for _ in 0..3 {
        assert_eq!(ask(&before, &key, "only-gpt").await.status, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let standing = |world: &World| {
        let now = Monotonic::from_micros(300_000);
        let cells = world.directory.limits();
        let mut all: Vec<_> = cells
            .iter()
            .map(|it| (it.name().to_owned(), it.requests(now), it.tokens(now), it.money(now)))
            .collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    let fresh = standing(&after);
    assert_eq!(after.pipeline.resume_limits().await.unwrap(), 3);
    assert_eq!(standing(&after), standing(&before));
    assert_ne!(standing(&after), fresh);
    // What has drained is free again.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(after.pipeline.resume_limits().await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn c7_a_restart_refills_no_limit_of_models_and_deployments() {
    let at_provider = |settings: &mut Settings| {
        settings.providers.iter_mut().for_each(|provider| provider.limits = rpm(3));
    };
    let at_model = |settings: &mut Settings| limit_route(settings, "only-gpt", rpm(3));
    type Change<'a> = &'a dyn Fn(&mut Settings);
    let changes: [(Change<'_>, &str); 3] =
        [(&at_model, "only-gpt"), (&at_provider, "only-gpt"), (&at_provider, "openai/gpt-4.1")];
    for (change, model) in changes {
        let ([before, after], key) = one_after_another(change, Limits::NONE);
        for _ in 0..3 {
            assert_eq!(ask(&before, &key, model).await.status, 200, "{model}");
        }
        after.pipeline.resume_limits().await.unwrap();
        assert_eq!(ask(&after, &key, model).await.status, 429, "{model}");
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(ask(&after, &key, model).await.status, 200, "{model}");
    }
}
