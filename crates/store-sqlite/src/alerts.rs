//! Alerts of budgets, in the same file as keys and ledger.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{TransactionBehavior, named_params, params};
use weighbridge_records::{AlertStore, KeptAlert, LogError, WebhookId};
use weighbridge_units::Timestamp;

use crate::connection::open_migrated;
use crate::worker::Worker;
use crate::{Durability, OpenError};

const RAISE: &str =
    "INSERT INTO alert (id, at, until, body) VALUES (:id, :at, :until, :body) ON CONFLICT DO NOTHING";
const WAIT: &str = "INSERT INTO alert_waiting (webhook, alert) VALUES (?1, ?2)";
const WAITING: &str = "SELECT id, at, until, body FROM alert_waiting JOIN alert ON id = alert \
     WHERE webhook = ?1 AND at < ?2 ORDER BY at, id LIMIT ?3";
const SETTLE: &str = "DELETE FROM alert_waiting WHERE webhook = ?1 AND alert = ?2";
const SWEEP_WAITING: &str =
    "DELETE FROM alert_waiting WHERE alert IN (SELECT id FROM alert WHERE until < ?1)";
const SWEEP: &str = "DELETE FROM alert WHERE until < ?1";

/// An [`AlertStore`] in an SQLite file.
#[derive(Debug)]
pub struct SqliteAlertStore {
    worker: Arc<Worker>,
}

impl SqliteAlertStore {
    /// Opens the file, creating and migrating it where needed.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be opened or migrated.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = open_migrated(path, Durability::Process)?;
        Ok(Self::on(Arc::new(Worker::start("weighbridge-alerts", connection)?)))
    }

    pub(crate) const fn on(worker: Arc<Worker>) -> Self {
        Self { worker }
    }
}

#[async_trait]
impl AlertStore for SqliteAlertStore {
    async fn raise(&self, alert: KeptAlert, webhooks: &[WebhookId]) -> Result<bool, LogError> {
        let webhooks = webhooks.to_vec();
        self.worker
            .log(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let KeptAlert { id, at, until, body } = &alert;
                let until = until.map(Timestamp::as_micros);
                let row = named_params! { ":id": id, ":at": at.as_micros(), ":until": until, ":body": body };
                let is_new = transaction.execute(RAISE, row)? > 0;
                if is_new {
                    for webhook in webhooks {
                        transaction.execute(WAIT, params![column(webhook), id])?;
                    }
                }
                transaction.commit()?;
                Ok(is_new)
            })
            .await
    }

    async fn waiting(
        &self,
        webhook: WebhookId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptAlert>, LogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.worker
            .log(move |connection| {
                let mut statement = connection.prepare_cached(WAITING)?;
                let rows =
                    statement.query_map(params![column(webhook), before.as_micros(), limit], |row| {
                        Ok(KeptAlert {
                            id: row.get(0)?,
                            at: Timestamp::from_micros(row.get(1)?),
                            until: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_micros),
                            body: row.get(3)?,
                        })
                    })?;
                rows.collect()
            })
            .await
    }

    async fn settle(&self, id: &str, webhook: WebhookId) -> Result<(), LogError> {
        let id = id.to_owned();
        self.worker
            .log(move |connection| connection.execute(SETTLE, params![column(webhook), id]).map(drop))
            .await
    }

    async fn sweep(&self, before: Timestamp) -> Result<u64, LogError> {
        self.worker
            .log(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                transaction.execute(SWEEP_WAITING, [before.as_micros()])?;
                let swept = transaction.execute(SWEEP, [before.as_micros()])?;
                transaction.commit()?;
                Ok(swept as u64)
            })
            .await
    }
}

/// A hash as SQLite's integer, which has a sign.
const fn column(webhook: WebhookId) -> i64 {
    webhook.get().cast_signed()
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use weighbridge_records::testkit::check_alert_store;

    use super::*;

    #[test]
    fn alerts_keep_the_promises_of_their_store_and_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.db");
        let store = SqliteAlertStore::open(&path).unwrap();
        block_on(check_alert_store(&store)).unwrap();
        let waiting = |store: &SqliteAlertStore| {
            block_on(store.waiting(WebhookId::from_bits(u64::MAX), Timestamp::from_secs(1_000), 10)).unwrap()
        };
        let before = waiting(&store);
        drop(store);
        let store = SqliteAlertStore::open(&path).unwrap();
        assert_eq!((before.len(), waiting(&store)), (1, before));
    }
}
