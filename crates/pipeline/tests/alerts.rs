//! Alerts of budgets on their way to webhooks, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use weighbridge_access::{KeyStore, MemoryKeyStore, WebhookSecret};
use weighbridge_pipeline::{AlertDelivery, Jobs};
use weighbridge_transport::{BoxFuture, FetchError, Post};
use weighbridge_units::Timestamp;
use world::{CHAT, World, post};

const SECOND: Duration = Duration::from_secs(1);
const GOOD: &str = "https://good.test/hook";
const BAD: &str = "https://bad.test/hook";

/// When, where to, and what.
type Came = (Instant, String, Vec<(HeaderName, HeaderValue)>, Bytes);

/// Takes what is posted to `good.test`; says of everything else what it was told, and then 500.
#[derive(Default)]
struct Receivers {
    says: Mutex<VecDeque<Result<StatusCode, FetchError>>>,
    came: Mutex<Vec<Came>>,
}

impl Post for Receivers {
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        _: Duration,
    ) -> BoxFuture<'a, Result<StatusCode, FetchError>> {
        self.came.lock().unwrap().push((Instant::now(), url.to_owned(), headers, body));
        let says = match url {
            GOOD => Ok(StatusCode::NO_CONTENT),
            _ => self.says.lock().unwrap().pop_front().unwrap_or(Ok(StatusCode::INTERNAL_SERVER_ERROR)),
        };
        Box::pin(async { says })
    }
}

impl Receivers {
    fn at(&self, url: &str) -> Vec<(Instant, Value)> {
        let came = self.came.lock().unwrap();
        let at = came.iter().filter(|(_, to, ..)| to == url);
        at.map(|(when, _, _, body)| (*when, serde_json::from_slice(body).unwrap())).collect()
    }
}

fn secret() -> WebhookSecret {
    WebhookSecret::new("sixteen letters!".to_owned().into()).unwrap()
}

/// A world with a key whose budget has three thresholds, each reached by one more request, and its jobs.
async fn watched(webhooks: &[&str], receivers: &Arc<Receivers>) -> (World, String, Jobs) {
    let mut world = World::new();
    let key = world.add_key(|key| {
        key.budgets = vec!["requests=4 period=day thresholds=25,50,75".parse().unwrap()];
    });
    let store = MemoryKeyStore::new();
    for key in &world.keys {
        store.create(key.clone()).await.unwrap();
    }
    let mut jobs = Jobs::start(&world.pipeline, Arc::new(store));
    let webhooks = webhooks.iter().map(|url| (*url).to_owned()).collect();
    let by = Arc::clone(receivers) as Arc<dyn Post>;
    jobs.deliver_alerts(&world.pipeline, AlertDelivery { webhooks, secret: secret(), by });
    (world, key, jobs)
}

async fn ask(world: &World, key: &str) {
    let body = json!({ "model": "only-gpt", "messages": [{ "role": "user", "content": "Hi" }] });
    assert_eq!(world.send(post(CHAT, key, &body)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn each_threshold_is_told_within_a_second_signed_and_under_an_id_of_its_own() {
    let receivers = Arc::new(Receivers::default());
    let (world, key, jobs) = watched(&[GOOD], &receivers).await;
    let mut ids = Vec::new();
    for (asked, percent) in [25, 50, 75].into_iter().enumerate() {
        let began = Instant::now();
        ask(&world, &key).await;
        tokio::time::sleep(5 * SECOND).await;
        let came = receivers.at(GOOD);
        assert_eq!(came.len(), asked + 1);
        let (when, told) = came.last().unwrap();
        assert!(*when - began <= SECOND, "{:?}", *when - began);
        assert_eq!(
            (told["threshold"].as_u64(), told["type"].as_str()),
            (Some(percent), Some("budget.threshold"))
        );
        assert_eq!(told["posted"], (asked + 1).to_string());
        assert_eq!((&told["limit"], &told["unit"]), (&json!("4"), &json!("requests")));
        assert_eq!(told["window_ends"], "2026-11-22T00:00:00.000Z");
        ids.push(told["id"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(world.pipeline.alert_deliveries(), (3, 0));
    for (_, _, headers, body) in &*receivers.came.lock().unwrap() {
        let header = |name: &str| {
            let (_, value) = headers.iter().find(|(known, _)| known == name).unwrap();
            value.to_str().unwrap().to_owned()
        };
        let at = Timestamp::from_secs(header("webhook-timestamp").parse().unwrap());
        assert_eq!(header("webhook-signature"), secret().sign(&header("webhook-id"), at, body));
    }
    jobs.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_away_is_tried_again_and_holds_up_no_other() {
    let receivers = Arc::new(Receivers::default());
    receivers.says.lock().unwrap().extend([
        Err(FetchError::TimedOut { after: SECOND }),
        Ok(StatusCode::FOUND),
        Ok(StatusCode::OK),
    ]);
    let (world, key, jobs) = watched(&[BAD, GOOD], &receivers).await;
    ask(&world, &key).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!((receivers.at(GOOD).len(), receivers.at(BAD).len()), (1, 1));
    tokio::time::sleep(10 * SECOND).await;
    let tried = receivers.at(BAD);
    assert_eq!((tried.len(), world.pipeline.alert_deliveries()), (3, (2, 0)));
    assert_eq!(tried[2].0 - tried[0].0, 3 * SECOND, "after one second, then two");
    assert!(tried.iter().all(|(_, told)| told["id"] == tried[0].1["id"]));
    jobs.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_takes_is_given_up() {
    let receivers = Arc::new(Receivers::default());
    let (world, key, jobs) = watched(&[BAD], &receivers).await;
    ask(&world, &key).await;
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!((receivers.at(BAD).len(), world.pipeline.alert_deliveries()), (10, (0, 1)));
    receivers.says.lock().unwrap().push_back(Ok(StatusCode::GONE));
    ask(&world, &key).await;
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!((receivers.at(BAD).len(), world.pipeline.alert_deliveries()), (11, (0, 2)), "gone is gone");
    // A stop does not wait for who is away.
    ask(&world, &key).await;
    tokio::time::sleep(2 * SECOND).await;
    tokio::time::timeout(SECOND, jobs.stop()).await.unwrap();
}
