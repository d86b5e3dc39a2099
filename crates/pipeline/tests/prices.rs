//! Prices of running gateways: pinned, swapped, refreshed, and applied again to what is past (rules P1, P2, M7).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_access::{KeyStore, MemoryKeyStore};
use weighbridge_pipeline::settings::UnknownModel;
use weighbridge_pipeline::{Fetched, Jobs, NextPrices, PriceKeeper, PriceRefresh};
use weighbridge_pricing::{
    BUILTIN_FILES, DEFAULT_ENTRY, Entry, EntryRow, Factor, PastAttempt, PriceBook, PriceSources, PriceText,
    PricedBy, Rerated, Rerating, ServiceTier,
};
use weighbridge_records::LoggedRequest;
use weighbridge_simulator::Fault;
use weighbridge_transport::{BoxFuture, Fetch, FetchBounds, FetchError};
use weighbridge_units::{Bucket, Timestamp};
use world::{CHAT, MESSAGES, World, monthly, post};

/// Prices everything of a request's record again.
fn rerate(book: &PriceBook, records: &[Value]) -> Rerated {
    let mut rerating = Rerating::new();
    for record in records {
        let request = LoggedRequest::read(&record.to_string()).unwrap();
        let tenant = request.tenant().unwrap().to_owned();
        for attempt in request.attempts {
            let target = format!("{}/{}", attempt.provider, attempt.model);
            let priced = attempt.priced.map(|by| PricedBy {
                provider: by.provider,
                model: by.model,
                tier: by.tier,
                at: by.at,
            });
            let (usage, cost) = (attempt.usage, attempt.cost);
            rerating.add(book, &PastAttempt { tenant: tenant.clone(), target, priced, usage, cost }).unwrap();
        }
    }
    rerating.total().unwrap()
}

fn entry(provider: &str, model: &str, input: &str, output: &str) -> String {
    let rates = [("input", input), ("output", output)].map(|(name, rate)| (name.to_owned(), rate.to_owned()));
    Entry {
        provider: provider.to_owned(),
        models: vec![model.to_owned()],
        from: None,
        source: "a test".to_owned(),
        date: "unknown".to_owned(),
        rows: vec![EntryRow { rates: rates.to_vec(), ..EntryRow::of("standard") }],
    }
    .to_toml()
}

fn with_override(text: &str) -> PriceBook {
    PriceBook::with_overrides(BUILTIN_FILES, &[("override", text)]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn p1_pricing_the_log_again_by_the_pinned_book_gives_it_exactly() {
    let world = World::new();
    let mut records = Vec::new();
    for round in 0..40 {
        for (model, path) in [("gpt", CHAT), ("claude", MESSAGES), ("claude", CHAT), ("gpt", MESSAGES)] {
            let fault = match round % 5 {
                0 => Some(Fault::CutMidStream { after_frames: round }),
                1 => Some(Fault::Status { code: 503, retry_after: None }),
                2 => Some(Fault::NoUsage),
                _ => None,
            };
            if let Some(fault) = fault {
                world.openai.push_fault(fault.clone());
                world.anthropic.push_fault(fault);
            }
            let mut body = json!({
                "model": model, "stream": round % 2 == 0, "max_tokens": 200,
                "messages": [{ "role": "user", "content": format!("words:{round}") }],
            });
            if path == CHAT && round % 7 == 0 {
                body["service_tier"] = json!("priority");
            }
            let answer = world.post(path, &body).await;
            records.push(world.record(&answer).await);
        }
    }
    let pinned = rerate(&PriceBook::builtin().unwrap(), &records);
    assert!(pinned.attempts > 160 && pinned.before.get() > 0, "{pinned:?}");
    assert_eq!((pinned.before, pinned.changed, pinned.unpriced), (pinned.after, 0, 0));

    // Another book gives another sum, and by the first it is still the first.
    let other = with_override(&entry("openai", "gpt-4o-mini", "1500", "6000"));
    let by_other = rerate(&other, &records);
    assert_eq!(by_other.before, pinned.before);
    assert!(by_other.after > by_other.before && by_other.changed > 0);
    assert_eq!(rerate(&PriceBook::builtin().unwrap(), &records), pinned);
}

#[tokio::test(start_paused = true)]
async fn p1_what_is_in_flight_keeps_the_book_that_it_was_dispatched_under() {
    let world = World::new();
    let first = world.pipeline.prices();
    let second = Arc::new(with_override(&entry("openai", "gpt-4o-mini", "1500", "6000")));
    let body = json!({ "model": "only-gpt", "stream": true, "messages": [{ "role": "user", "content": "words:30" }] });
    let open = world.open(post(CHAT, &world.key, &body)).await;
    let id = open.headers()["x-request-id"].to_str().unwrap().to_owned();
    world.pipeline.swap_prices(Arc::clone(&second));
    open.into_body().collect().await.unwrap();
    let record = world.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(record["attempts"][0]["price_version"], first.version().as_str());
    assert_eq!(rerate(&first, std::slice::from_ref(&record)).changed, 0);

    let answer = world.post(CHAT, &body).await;
    let record = world.record(&answer).await;
    assert_eq!(record["attempts"][0]["price_version"], second.version().as_str());
    assert_eq!(rerate(&second, std::slice::from_ref(&record)).changed, 0);
    assert_eq!(rerate(&first, std::slice::from_ref(&record)).changed, 1);
}

#[tokio::test(start_paused = true)]
async fn m7_a_default_rate_is_for_keys_without_a_budget() {
    let mut world = World::with_settings(1, |settings| settings.unknown_model = UnknownModel::DefaultRate);
    let limited = world.add_key(|key| key.budgets = monthly(1_000_000_000));
    // A book that knows no model but the default one.
    let (provider, model) = DEFAULT_ENTRY;
    let text = entry(provider, model, "5", "20");
    let book = Arc::new(PriceBook::from_toml(&[("default", &text)]).unwrap());
    world.pipeline.swap_prices(Arc::clone(&book));
    let body = json!({ "model": "only-gpt", "messages": [{ "role": "user", "content": "words:30" }] });
    let refused = world.send(post(CHAT, &limited, &body)).await;
    assert_ne!(refused.status, 200);
    let answer = world.post(CHAT, &body).await;
    assert_eq!(answer.status, 200);
    let record = world.record(&answer).await;
    let usage = &record["attempts"][0]["usage"];
    let count = |name: &str| usage[name].as_i64().unwrap_or_default();
    let nanos =
        (count("input") + count("cache_read")) * 5_000 + (count("output") + count("reasoning")) * 20_000;
    let cost: weighbridge_units::NanoUsd =
        record["attempts"][0]["cost_usd"].as_str().unwrap().parse().unwrap();
    assert_eq!(cost.get(), nanos);
    assert_eq!(rerate(&book, &[record]).changed, 0, "P1");

    // Without a default entry such models are refused to everybody.
    world.pipeline.swap_prices(Arc::new(PriceBook::from_toml(&[("none", "price = []")]).unwrap()));
    assert_ne!(world.post(CHAT, &body).await.status, 200);
}

/// Gives one text after the other, and then the last again and again.
struct Texts(Mutex<VecDeque<Result<&'static str, FetchError>>>);

impl Fetch for Texts {
    fn fetch<'a>(
        &'a self,
        _url: &'a str,
        bounds: &'a FetchBounds,
    ) -> BoxFuture<'a, Result<weighbridge_transport::Fetched, FetchError>> {
        let mut texts = self.0.lock().unwrap();
        let next = if texts.len() > 1 { texts.pop_front() } else { texts.front().cloned() };
        let fetched = next.unwrap().and_then(|text| bounds.settle(None, Bytes::from_static(text.as_bytes())));
        Box::pin(async { fetched })
    }
}

#[derive(Default)]
struct Kept(Mutex<Option<String>>);

impl PriceKeeper for Kept {
    fn kept(&self) -> BoxFuture<'_, io::Result<Option<String>>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().clone()) })
    }

    fn replace<'a>(&'a self, next: &'a mut NextPrices<'a>) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            let mut kept = self.0.lock().unwrap();
            if let Some(next) = next(kept.as_deref()) {
                *kept = Some(next);
            }
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn p2_a_failed_or_partial_fetch_keeps_the_last_good_book() {
    const GOOD: &str = r#"{"gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 2e-07,
        "output_cost_per_token": 6e-07, "cache_read_input_token_cost": 7.5e-08}}"#;
    const JUMP: &str = r#"{"gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 9e-07,
        "output_cost_per_token": 6e-07, "cache_read_input_token_cost": 7.5e-08}}"#;
    let texts = [
        Err(FetchError::TimedOut { after: Duration::from_secs(60) }),
        Ok(GOOD),
        Ok(&GOOD[..GOOD.len() - 9]),
        Ok("<html>not found</html>"),
        Ok(r#"{"gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": -1}}"#),
        Ok(JUMP),
    ];
    let world = World::new();
    let files = BUILTIN_FILES.iter().map(|(name, text)| PriceText::new(*name, *text)).collect();
    let sources = PriceSources { files, ..PriceSources::default() };
    let keeper = Arc::new(Kept::default());
    let mut jobs = Jobs::start(&world.pipeline, Arc::new(MemoryKeyStore::new()) as Arc<dyn KeyStore>);
    let first = world.pipeline.prices();
    jobs.refresh_prices(
        &world.pipeline,
        PriceRefresh {
            sources: sources.clone(),
            keeper: Arc::clone(&keeper) as Arc<dyn PriceKeeper>,
            fetched: Some(Fetched {
                url: "https://prices.test/map.json".to_owned(),
                every: Duration::from_secs(3_600),
                by: Arc::new(Texts(Mutex::new(VecDeque::from(texts)))),
            }),
            max_jump: Factor::TWO,
        },
    );
    let later = Timestamp::from_date(2027, 1, 1).unwrap();
    let input = || {
        let card =
            world.pipeline.prices().find("openai", "gpt-4o-mini", ServiceTier::Standard, later).unwrap();
        card.rate(Bucket::Input, 1).unwrap().to_string()
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.pipeline.prices().version(), first.version(), "the first fetch timed out");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(input(), "0.2");
    let good = world.pipeline.prices();
    let kept = keeper.kept().await.unwrap().unwrap();
    for what in ["cut", "a page", "negative", "a jump", "a jump again"] {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(world.pipeline.prices().version(), good.version(), "{what}");
        assert_eq!(keeper.kept().await.unwrap().as_ref(), Some(&kept), "{what}");
    }
    // What another process keeps, an approval or a revert, is in force within seconds.
    keeper.replace(&mut |_| Some(String::new())).await.unwrap();
    *keeper.0.lock().unwrap() = None;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.pipeline.prices().version(), first.version());
    // What cannot be used is not.
    *keeper.0.lock().unwrap() = Some("[[price]]\nmodels = 7".to_owned());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.pipeline.prices().version(), first.version());
    jobs.stop().await;
}
