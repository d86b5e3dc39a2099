use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use weighbridge_units::Timestamp;

use crate::log::LogError;

/// An alert of a budget, as it is kept for whoever is to be told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAlert {
    /// The same for the same threshold, budget and window.
    pub id: String,
    /// When the threshold was seen to be reached.
    pub at: Timestamp,
    /// When the window ends, if it does: from then on the alert need not be remembered.
    pub until: Option<Timestamp>,
    /// What is told: one JSON object.
    pub body: String,
}

/// A webhook, by a hash of its address, which may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookId(u64);

impl WebhookId {
    /// The webhook of that hash.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The hash.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Keeps alerts until everybody is told who is to be, and that they were raised for as long as they could be raised
/// again. All instances share one.
///
/// [`crate::testkit::check_alert_store`] says what a store promises.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Keeps an alert, and that each of those webhooks waits for it, in one step. `false` where it is known already;
    /// then nothing changes. Survives the death of the process once it has returned.
    ///
    /// # Errors
    /// [`LogError`] where it could not be kept; raise it again.
    async fn raise(&self, alert: KeptAlert, webhooks: &[WebhookId]) -> Result<bool, LogError>;

    /// The alerts that a webhook waits for and that were raised before `before`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`LogError`] where they cannot be read.
    async fn waiting(
        &self,
        webhook: WebhookId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptAlert>, LogError>;

    /// The webhook waits for that alert no more: it was told, or given up. Doing it twice changes nothing.
    ///
    /// # Errors
    /// [`LogError`] where that could not be kept; settle it again, or it is told once more.
    async fn settle(&self, id: &str, webhook: WebhookId) -> Result<(), LogError>;

    /// Forgets the alerts whose windows ended before `before`, whoever waits for them, and says how many they were.
    ///
    /// # Errors
    /// [`LogError`] where they cannot be forgotten now.
    async fn sweep(&self, before: Timestamp) -> Result<u64, LogError>;
}

/// Alerts in memory, for tests and for embedding: they are gone with the process.
#[derive(Debug, Default)]
pub struct MemoryAlertStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    alerts: BTreeMap<String, KeptAlert>,
    waiting: BTreeSet<(WebhookId, String)>,
}

impl MemoryAlertStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AlertStore for MemoryAlertStore {
    async fn raise(&self, alert: KeptAlert, webhooks: &[WebhookId]) -> Result<bool, LogError> {
        let mut state = self.state();
        if state.alerts.contains_key(&alert.id) {
            return Ok(false);
        }
        state.waiting.extend(webhooks.iter().map(|webhook| (*webhook, alert.id.clone())));
        state.alerts.insert(alert.id.clone(), alert);
        Ok(true)
    }

    async fn waiting(
        &self,
        webhook: WebhookId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptAlert>, LogError> {
        let state = self.state();
        let of_webhook = state.waiting.iter().filter(|(waits, _)| *waits == webhook);
        let alerts = of_webhook.filter_map(|(_, id)| state.alerts.get(id));
        let mut found: Vec<KeptAlert> = alerts.filter(|alert| alert.at < before).cloned().collect();
        found.sort_by(|one, next| (one.at, &one.id).cmp(&(next.at, &next.id)));
        found.truncate(limit);
        Ok(found)
    }

    async fn settle(&self, id: &str, webhook: WebhookId) -> Result<(), LogError> {
        self.state().waiting.remove(&(webhook, id.to_owned()));
        Ok(())
    }

    async fn sweep(&self, before: Timestamp) -> Result<u64, LogError> {
        let mut state = self.state();
        let count = state.alerts.len();
        state.alerts.retain(|_, alert| alert.until.is_none_or(|until| until >= before));
        let State { alerts, waiting } = &mut *state;
        waiting.retain(|(_, id)| alerts.contains_key(id));
        Ok((count - alerts.len()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn alerts_in_memory_keep_the_promises_of_their_store() {
        block_on(crate::testkit::check_alert_store(&MemoryAlertStore::new())).unwrap();
    }
}
