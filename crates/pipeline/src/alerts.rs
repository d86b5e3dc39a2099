//! Alerts of budgets, by webhook: signed, and delivered at least once by a job.
//!
//! Each webhook has a queue of its own, so that one that is away holds up no other. An alert that cannot be
//! delivered is tried again with growing pauses, and given up in the end; it is in the log in any case.
//!
//! Alerts are kept in a store until they are delivered or given up: what waits when a process ends is delivered by
//! the next one that starts, or after a while by another instance, once more if need be.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use tokio::sync::mpsc;
use weighbridge_access::WebhookSecret;
use weighbridge_ledger::EntityId;
use weighbridge_records::{AlertStore, KeptAlert, LogError, MemoryAlertStore, WebhookId};
use weighbridge_transport::Post;
use weighbridge_units::{NanoUsd, Timestamp};

use crate::jobs::report;
use crate::pipeline::Core;
use crate::watch::Alert;

/// Alerts that wait for one webhook; those beyond are not delivered to it.
const QUEUE: usize = 1_000;
/// How long one delivery may take.
const TIME: Duration = Duration::from_secs(10);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(300);
/// Deliveries that are tried, within some nine minutes.
const TRIES: u32 = 10;
/// How often a webhook without anything to do looks for alerts that somebody else has left behind.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// From this age on an alert that waits was left behind: whoever raised it would have given it up.
const LEFT_BEHIND: Duration = Duration::from_secs(15 * 60);
/// How long the end of its window lies back when an alert is forgotten. Until then its window cannot come again: no
/// clock is as wrong as that.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Where alerts of budgets are delivered.
pub struct AlertDelivery {
    /// The addresses.
    pub webhooks: Vec<String>,
    /// What each delivery is signed with.
    pub secret: WebhookSecret,
    /// By what. It has to be guarded.
    pub by: Arc<dyn Post>,
}

/// Where alerts are kept, and who waits for them.
pub(crate) struct AlertKeeping {
    store: Arc<dyn AlertStore>,
    webhooks: Vec<WebhookId>,
}

impl AlertKeeping {
    pub(crate) fn new(store: Arc<dyn AlertStore>, webhooks: &[String]) -> Self {
        Self { store, webhooks: webhooks.iter().map(|url| webhook_id(url)).collect() }
    }

    pub(crate) fn in_memory() -> Self {
        Self::new(Arc::new(MemoryAlertStore::new()), &[])
    }

    /// Keeps an alert for its webhooks, and for those that listen beside. Says whether it is new.
    pub(crate) async fn keep(
        &self,
        notice: &Notice,
        at: Timestamp,
        until: Option<Timestamp>,
        mut listening: Vec<WebhookId>,
    ) -> Result<bool, LogError> {
        listening.extend(&self.webhooks);
        listening.sort_unstable();
        listening.dedup();
        let body = String::from_utf8_lossy(&notice.body).into_owned();
        self.store.raise(KeptAlert { id: notice.id.clone(), at, until, body }, &listening).await
    }

    /// Forgets what cannot be raised again.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<u64, LogError> {
        self.store.sweep(earlier(now, REMEMBERED)).await
    }
}

impl fmt::Debug for AlertKeeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertKeeping").field("webhooks", &self.webhooks).finish_non_exhaustive()
    }
}

fn webhook_id(url: &str) -> WebhookId {
    WebhookId::from_bits(EntityId::of(&format!("webhook {url}")).get())
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_sub(micros))
}

/// What is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The same for the same threshold, budget and window, whoever sends it and how often.
    id: String,
    body: Bytes,
}

impl Notice {
    pub(crate) fn new(alert: &Alert, at: Timestamp) -> Self {
        let Alert { owner, account, budget, end, percent, used } = alert;
        let id = format!("alert_{:016x}_{percent}", account.get());
        let amount = |amount: i64| match account.measure() {
            weighbridge_ledger::Measure::Usd => NanoUsd::new(amount).to_string(),
            _ => amount.to_string(),
        };
        let body = json!({
            "id": id,
            "type": "budget.threshold",
            "at": at.to_string(),
            "owner": owner,
            "budget": budget.to_string(),
            "window_ends": end.map(|end| end.to_string()),
            "threshold": percent,
            "unit": account.measure().to_string(),
            "posted": amount(*used),
            "limit": amount(budget.limit.amount()),
        });
        Self { id, body: body.to_string().into() }
    }

    fn of(kept: KeptAlert) -> Self {
        Self { id: kept.id, body: kept.body.into() }
    }

    fn headers(&self, secret: &WebhookSecret, at: Timestamp) -> Vec<(HeaderName, HeaderValue)> {
        let said = [
            (ID, self.id.clone()),
            (TIMESTAMP, at.as_secs().to_string()),
            (SIGNATURE, secret.sign(&self.id, at, &self.body)),
        ];
        said.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
    }
}

/// The jobs of a delivery: one for each webhook, from now on told of every alert.
pub(crate) fn jobs(
    core: &Arc<Core>,
    delivery: AlertDelivery,
) -> impl Iterator<Item = impl Future<Output = ()> + Send + use<>> {
    let AlertDelivery { webhooks, secret, by } = delivery;
    let core = Arc::clone(core);
    webhooks.into_iter().enumerate().map(move |(number, url)| {
        let (sender, notices) = mpsc::channel(QUEUE);
        let id = webhook_id(&url);
        core.watch.add_listener(id, sender);
        let webhook = Webhook { id, number: number + 1, url, secret: secret.clone(), by: Arc::clone(&by) };
        deliver(Arc::clone(&core), webhook, notices)
    })
}

struct Webhook {
    id: WebhookId,
    /// Its place in the configuration, by which the log names it: an address may hold a secret.
    number: usize,
    url: String,
    secret: WebhookSecret,
    by: Arc<dyn Post>,
}

async fn deliver(core: Arc<Core>, webhook: Webhook, mut notices: mpsc::Receiver<Arc<Notice>>) {
    // At first all that waits, whatever clocks say of its age: few others can be about to deliver it.
    let mut left_behind = Some(Timestamp::from_micros(i64::MAX));
    // What was raised meanwhile may have been among it.
    let mut seen_to = HashSet::new();
    loop {
        if let Some(before) = left_behind.take() {
            match webhook.deliver_kept(&core, before).await {
                Ok(ids) => seen_to = ids,
                Err(error) => {
                    report("alerts", Err::<(), _>(error));
                    left_behind = Some(before);
                }
            }
        }
        match tokio::time::timeout(LOOK_EVERY, notices.recv()).await {
            Ok(Some(notice)) if seen_to.remove(&notice.id) => {}
            Ok(Some(notice)) => webhook.see_to(&core, &notice).await,
            Ok(None) => return,
            Err(_) => left_behind = left_behind.or_else(|| Some(earlier(core.env.now(), LEFT_BEHIND))),
        }
    }
}

impl Webhook {
    /// Delivers what waits and was raised before that, and says what it was.
    async fn deliver_kept(&self, core: &Core, before: Timestamp) -> Result<HashSet<String>, LogError> {
        let mut seen_to = HashSet::new();
        for kept in core.watch.keeping().store.waiting(self.id, before, QUEUE).await? {
            let notice = Notice::of(kept);
            self.see_to(core, &notice).await;
            seen_to.insert(notice.id);
        }
        Ok(seen_to)
    }

    /// Delivers an alert or gives it up, and remembers that it waits no more.
    async fn see_to(&self, core: &Core, notice: &Notice) {
        let is_delivered = self.deliver(core, notice).await;
        core.watch.count_delivery(is_delivered);
        if !is_delivered {
            tracing::error!(id = notice.id, webhook = self.number, "an alert was given up");
        }
        report("alerts", core.watch.keeping().store.settle(&notice.id, self.id).await);
    }

    async fn deliver(&self, core: &Core, notice: &Notice) -> bool {
        let mut pause = PAUSE_FIRST;
        for tried in 1..=TRIES {
            let headers = notice.headers(&self.secret, core.env.now());
            let answer = self.by.post(&self.url, headers, notice.body.clone(), TIME).await;
            let why = match answer {
                Ok(status) if status.is_success() => return true,
                // Whoever is gone does not want to be asked again.
                Ok(StatusCode::GONE) => return false,
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(
                id = notice.id,
                webhook = self.number,
                tried,
                why,
                "an alert could not be delivered"
            );
            if tried < TRIES {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
        }
        false
    }
}
