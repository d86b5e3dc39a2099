//! Alerts of budgets, by webhook: signed, and delivered at least once by a job.
//!
//! Each webhook has a queue of its own, so that one that is away holds up no other. An alert that cannot be
//! delivered is tried again with growing pauses, and given up in the end; it is in the log in any case.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use tokio::sync::mpsc;
use weighbridge_access::WebhookSecret;
use weighbridge_transport::Post;
use weighbridge_units::{NanoUsd, Timestamp};

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
        core.watch.add_listener(sender);
        let webhook = Webhook { number: number + 1, url, secret: secret.clone(), by: Arc::clone(&by) };
        deliver(Arc::clone(&core), webhook, notices)
    })
}

struct Webhook {
    /// Its place in the configuration, by which the log names it: an address may hold a secret.
    number: usize,
    url: String,
    secret: WebhookSecret,
    by: Arc<dyn Post>,
}

async fn deliver(core: Arc<Core>, webhook: Webhook, mut notices: mpsc::Receiver<Arc<Notice>>) {
    while let Some(notice) = notices.recv().await {
        let is_delivered = webhook.deliver(&core, &notice).await;
        core.watch.count_delivery(is_delivered);
        if !is_delivered {
            tracing::error!(id = notice.id, webhook = webhook.number, "an alert was given up");
        }
    }
}

impl Webhook {
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
