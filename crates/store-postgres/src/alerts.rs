//! Alerts of budgets, which all instances raise once.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::Row;
use weighbridge_records::{AlertStore, KeptAlert, LogError, WebhookId};
use weighbridge_units::Timestamp;

use crate::Database;
use crate::error::DbError;
use crate::session::Link;

/// One statement, and so one transaction: who raises it first also says who waits for it.
const RAISE: &str = "WITH raised AS (INSERT INTO alert (id, at, ends_at, body) VALUES ($1, $2, $3, $4) \
     ON CONFLICT DO NOTHING RETURNING id), waits AS (INSERT INTO alert_waiting (webhook, alert) \
     SELECT webhook, id FROM raised, unnest($5::bigint[]) AS webhook) SELECT count(*) FROM raised";
const WAITING: &str = "SELECT id, at, ends_at, body FROM alert_waiting JOIN alert ON id = alert \
     WHERE webhook = $1 AND at < $2 ORDER BY at, id LIMIT $3";
const SETTLE: &str = "DELETE FROM alert_waiting WHERE webhook = $1 AND alert = $2";
const SWEEP: &str = "DELETE FROM alert WHERE ends_at < $1";

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 4] = [RAISE, WAITING, SETTLE, SWEEP];

/// An [`AlertStore`] in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresAlertStore {
    database: Database,
    link: Arc<Link>,
}

impl PostgresAlertStore {
    /// Opens the alerts of a database. Nothing is asked of the database yet.
    pub fn open(database: &Database) -> Self {
        Self { database: database.clone(), link: Arc::new(Link::new(database.connector())) }
    }
}

#[async_trait]
impl AlertStore for PostgresAlertStore {
    async fn raise(&self, alert: KeptAlert, webhooks: &[WebhookId]) -> Result<bool, LogError> {
        let link = Arc::clone(&self.link);
        let webhooks: Vec<i64> = webhooks.iter().copied().map(column).collect();
        let raise = async move {
            let mut lent = link.lend().await?;
            let KeptAlert { id, at, until, body } = &alert;
            let (at, until) = (at.as_micros(), until.map(Timestamp::as_micros));
            let row = lent.session.query_one(RAISE, &[id, &at, &until, body, &webhooks]).await?;
            lent.give_back();
            let raised: i64 = row.try_get(0).map_err(DbError::from)?;
            Ok(raised > 0)
        };
        self.database.run(raise).await
    }

    async fn waiting(
        &self,
        webhook: WebhookId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptAlert>, LogError> {
        let link = Arc::clone(&self.link);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let waiting = async move {
            let mut lent = link.lend().await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&column(webhook), &before.as_micros(), &limit];
            let rows = lent.session.query(WAITING, &values).await?;
            lent.give_back();
            rows.iter().map(read).collect()
        };
        self.database.run(waiting).await
    }

    async fn settle(&self, id: &str, webhook: WebhookId) -> Result<(), LogError> {
        let link = Arc::clone(&self.link);
        let id = id.to_owned();
        let settle = async move {
            let mut lent = link.lend().await?;
            lent.session.execute(SETTLE, &[&column(webhook), &id]).await?;
            lent.give_back();
            Ok(())
        };
        self.database.run(settle).await
    }

    async fn sweep(&self, before: Timestamp) -> Result<u64, LogError> {
        let link = Arc::clone(&self.link);
        let sweep = async move {
            let mut lent = link.lend().await?;
            let swept = lent.session.execute(SWEEP, &[&before.as_micros()]).await?;
            lent.give_back();
            Ok(swept)
        };
        self.database.run(sweep).await
    }
}

fn read(row: &Row) -> Result<KeptAlert, LogError> {
    let text = |at| row.try_get::<_, String>(at).map_err(DbError::from);
    let until: Option<i64> = row.try_get(2).map_err(DbError::from)?;
    Ok(KeptAlert {
        id: text(0)?,
        at: Timestamp::from_micros(row.try_get(1).map_err(DbError::from)?),
        until: until.map(Timestamp::from_micros),
        body: text(3)?,
    })
}

/// A hash as the database's integer, which has a sign.
const fn column(webhook: WebhookId) -> i64 {
    webhook.get().cast_signed()
}
