//! Administrative acts.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::Row;
use weighbridge_records::{AuditLog, AuditRecord, LogError};
use weighbridge_units::Timestamp;

use crate::Database;
use crate::error::DbError;
use crate::session::Link;

const INSERT: &str = "INSERT INTO audit (at, actor, action, object, details) VALUES ($1, $2, $3, $4, $5)";
const RECENT: &str = "SELECT at, actor, action, object, details FROM audit ORDER BY seq DESC LIMIT $1";

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 2] = [INSERT, RECENT];

/// An [`AuditLog`] in a PostgreSQL database. An act is committed when its call returns.
#[derive(Debug)]
pub struct PostgresAuditLog {
    database: Database,
    link: Arc<Link>,
}

impl PostgresAuditLog {
    /// Opens the log of a database. Nothing is asked of the database yet.
    pub fn open(database: &Database) -> Self {
        Self { database: database.clone(), link: Arc::new(Link::new(database.connector())) }
    }
}

#[async_trait]
impl AuditLog for PostgresAuditLog {
    async fn append(&self, record: AuditRecord) -> Result<(), LogError> {
        let link = Arc::clone(&self.link);
        let details = write_details(&record.details);
        let [actor, action, object] = [&record.actor, &record.action, &record.object].map(|it| one_line(it));
        let append = async move {
            let mut lent = link.lend().await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&record.at.as_micros(), &actor, &action, &object, &details];
            lent.session.execute(INSERT, &values).await?;
            lent.give_back();
            Ok(())
        };
        self.database.run(append).await
    }

    async fn recent(&self, limit: usize) -> Result<Vec<AuditRecord>, LogError> {
        let link = Arc::clone(&self.link);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let recent = async move {
            let mut lent = link.lend().await?;
            let rows = lent.session.query(RECENT, &[&limit]).await?;
            lent.give_back();
            rows.iter().map(read).collect()
        };
        self.database.run(recent).await
    }
}

impl From<DbError> for LogError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Ended => Self::Closed,
            error => Self::Store(Box::new(error)),
        }
    }
}

fn read(row: &Row) -> Result<AuditRecord, LogError> {
    let text = |at| row.try_get::<_, String>(at).map_err(DbError::from);
    Ok(AuditRecord {
        at: Timestamp::from_micros(row.try_get(0).map_err(DbError::from)?),
        actor: text(1)?,
        action: text(2)?,
        object: text(3)?,
        details: read_details(&text(4)?),
    })
}

/// A name or value is told from the next by its line end, so it may hold none; and the database's texts hold no NUL.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r', '\0'], " ")
}

fn write_details(details: &[(String, String)]) -> String {
    details.iter().map(|(name, value)| format!("{}\n{}\n", one_line(name), one_line(value))).collect()
}

fn read_details(text: &str) -> Vec<(String, String)> {
    let mut lines = text.split('\n');
    let mut details = Vec::new();
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        details.push((name.to_owned(), value.to_owned()));
    }
    details
}
