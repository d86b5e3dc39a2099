//! Alerts of budgets on their way to webhooks, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use weighbridge_access::{KeyStore, MemoryKeyStore, WebhookSecret};
use weighbridge_ledger::MemoryLedger;
use weighbridge_pipeline::{AlertDelivery, Jobs};
use weighbridge_records::{AlertStore, KeptAlert, LogError, MemoryAlertStore, WebhookId};
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
    started(World::new(), webhooks, receivers).await
}

/// The same in a world of the test's own.
async fn started(mut world: World, webhooks: &[&str], receivers: &Arc<Receivers>) -> (World, String, Jobs) {
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

/// A ledger and alerts that outlive the processes that use them.
struct Stores {
    ledger: MemoryLedger,
    alerts: Arc<MemoryAlertStore>,
}

impl Stores {
    fn new() -> Self {
        Self { ledger: MemoryLedger::with_rows(10_000_000), alerts: Arc::new(MemoryAlertStore::new()) }
    }

    /// A process over them, with the same key as any other.
    async fn process(&self, webhooks: &[&str], receivers: &Arc<Receivers>) -> (World, String, Jobs) {
        let world = World::over(self.ledger.restart(), 1, |_| {}, None);
        let urls: Vec<String> = webhooks.iter().map(|url| (*url).to_owned()).collect();
        world.pipeline.keep_alerts(Arc::clone(&self.alerts) as Arc<dyn AlertStore>, &urls);
        started(world, webhooks, receivers).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_a_process_ends_is_delivered_by_the_next_without_a_use_and_told_once() {
    let stores = Stores::new();
    let receivers = Arc::new(Receivers::default());
    let (world, key, jobs) = stores.process(&[GOOD, BAD], &receivers).await;
    ask(&world, &key).await;
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(receivers.at(GOOD).len(), 1);
    assert!(receivers.at(BAD).len() > 1, "it is tried, and has not been taken");
    let id = receivers.at(GOOD)[0].1["id"].clone();
    drop((world, jobs)); // As a process that is killed.

    let receivers = Arc::new(Receivers::default());
    receivers.says.lock().unwrap().push_back(Ok(StatusCode::OK));
    let (world, _, jobs) = stores.process(&[GOOD, BAD], &receivers).await;
    tokio::time::sleep(5 * SECOND).await;
    let (taken, again) = (receivers.at(BAD), receivers.at(GOOD));
    assert_eq!(taken.iter().map(|(_, told)| &told["id"]).collect::<Vec<_>>(), [&id]);
    assert_eq!(again, [], "who was told is not told again");
    assert_eq!((world.pipeline.budget_alerts(), world.pipeline.alert_deliveries()), (0, (1, 0)));
    drop((world, jobs));

    // What is delivered waits no more, and what is given up does not, either.
    let (world, key, jobs) = stores.process(&[GOOD, BAD], &receivers).await;
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!((receivers.at(GOOD).len(), receivers.at(BAD).len()), (0, 1));
    ask(&world, &key).await;
    tokio::time::sleep(700 * SECOND).await;
    assert_eq!((receivers.at(GOOD).len(), receivers.at(BAD).len()), (1, 11));
    drop((world, jobs));
    let (_world, _, jobs) = stores.process(&[GOOD, BAD], &receivers).await;
    tokio::time::sleep(1_500 * SECOND).await;
    assert_eq!((receivers.at(GOOD).len(), receivers.at(BAD).len()), (1, 11));
    jobs.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_threshold_that_nobody_has_seen_before_the_end_is_found_by_the_next_process() {
    let stores = Stores::new();
    let receivers = Arc::new(Receivers::default());
    let (world, key, jobs) = stores.process(&[GOOD], &receivers).await;
    // No job runs between the use and the end.
    drop(jobs);
    ask(&world, &key).await;
    ask(&world, &key).await;
    drop(world);
    assert_eq!(receivers.at(GOOD), []);
    let (world, _, jobs) = stores.process(&[GOOD], &receivers).await;
    tokio::time::sleep(2 * SECOND).await;
    let told = receivers.at(GOOD);
    assert_eq!(told.iter().map(|(_, told)| told["threshold"].clone()).collect::<Vec<_>>(), [json!(50)]);
    assert_eq!(world.pipeline.budget_alerts(), 1);
    jobs.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_instances_one_tells() {
    let stores = Stores::new();
    let receivers = Arc::new(Receivers::default());
    let (one, key, of_one) = stores.process(&[GOOD], &receivers).await;
    let (two, _, of_two) = stores.process(&[GOOD], &receivers).await;
    // Both note the budget, and both look at it. A memory ledger takes whoever was there before for dead, once.
    let body = json!({ "model": "only-gpt", "messages": [{ "role": "user", "content": "Hi" }] });
    for world in [&one, &two, &one] {
        while world.send(post(CHAT, &key, &body)).await.status != 200 {}
    }
    tokio::time::sleep(5 * SECOND).await;
    let mut ids: Vec<String> = receivers.at(GOOD).iter().map(|(_, told)| told["id"].to_string()).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(
        (ids.len(), count as u64),
        (count, one.pipeline.budget_alerts() + two.pipeline.budget_alerts())
    );
    assert!(count >= 1, "{ids:?}");
    of_one.stop().await;
    of_two.stop().await;
}

/// Keeps nothing for a while.
struct Away {
    alerts: MemoryAlertStore,
    is_away: AtomicBool,
}

#[async_trait]
impl AlertStore for Away {
    async fn raise(&self, alert: KeptAlert, webhooks: &[WebhookId]) -> Result<bool, LogError> {
        if self.is_away.load(Ordering::Acquire) {
            return Err(LogError::Closed);
        }
        self.alerts.raise(alert, webhooks).await
    }

    async fn waiting(
        &self,
        webhook: WebhookId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptAlert>, LogError> {
        self.alerts.waiting(webhook, before, limit).await
    }

    async fn settle(&self, id: &str, webhook: WebhookId) -> Result<(), LogError> {
        self.alerts.settle(id, webhook).await
    }

    async fn sweep(&self, before: Timestamp) -> Result<u64, LogError> {
        self.alerts.sweep(before).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_cannot_be_kept_is_told_once_it_can() {
    let receivers = Arc::new(Receivers::default());
    let store = Arc::new(Away { alerts: MemoryAlertStore::new(), is_away: AtomicBool::new(true) });
    let world = World::new();
    world.pipeline.keep_alerts(Arc::clone(&store) as Arc<dyn AlertStore>, &[GOOD.to_owned()]);
    let (world, key, jobs) = started(world, &[GOOD], &receivers).await;
    ask(&world, &key).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((receivers.at(GOOD).len(), world.pipeline.budget_alerts()), (0, 0));
    store.is_away.store(false, Ordering::Release);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!((receivers.at(GOOD).len(), world.pipeline.budget_alerts()), (1, 1));
    jobs.stop().await;
}
