//! Administrative acts, in the same file as keys and ledger.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Row, named_params};
use weighbridge_records::{AuditLog, AuditRecord, LogError};
use weighbridge_units::Timestamp;

use crate::connection::open_migrated;
use crate::worker::Worker;
use crate::{Durability, OpenError};

const INSERT: &str = "INSERT INTO audit (at, actor, action, object, details) \
     VALUES (:at, :actor, :action, :object, :details)";
const RECENT: &str = "SELECT at, actor, action, object, details FROM audit ORDER BY seq DESC LIMIT ?1";

/// An [`AuditLog`] in an SQLite file. An act is on the disk when its call returns.
#[derive(Debug)]
pub struct SqliteAuditLog {
    worker: Arc<Worker>,
}

impl SqliteAuditLog {
    /// Opens the file, creating and migrating it where needed.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be opened or migrated.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = open_migrated(path, Durability::Fsync)?;
        Ok(Self::on(Arc::new(Worker::start("weighbridge-audit", connection)?)))
    }

    pub(crate) const fn on(worker: Arc<Worker>) -> Self {
        Self { worker }
    }
}

#[async_trait]
impl AuditLog for SqliteAuditLog {
    async fn append(&self, record: AuditRecord) -> Result<(), LogError> {
        self.worker
            .log(move |connection| {
                let parameters = named_params! {
                    ":at": record.at.as_micros(),
                    ":actor": one_line(&record.actor),
                    ":action": one_line(&record.action),
                    ":object": one_line(&record.object),
                    ":details": write_details(&record.details),
                };
                connection.execute(INSERT, parameters).map(|_| ())
            })
            .await
    }

    async fn recent(&self, limit: usize) -> Result<Vec<AuditRecord>, LogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.worker
            .log(move |connection| {
                let mut statement = connection.prepare_cached(RECENT)?;
                let records = statement.query_map([limit], read)?;
                records.collect()
            })
            .await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    let details: String = row.get(4)?;
    Ok(AuditRecord {
        at: Timestamp::from_micros(row.get(0)?),
        actor: row.get(1)?,
        action: row.get(2)?,
        object: row.get(3)?,
        details: read_details(&details),
    })
}

/// A name or value is told from the next by its line end, so it may hold none.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
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

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use proptest::prelude::*;

    use super::*;

    fn record(object: &str) -> AuditRecord {
        AuditRecord {
            at: Timestamp::from_secs(7),
            actor: "command line".into(),
            action: "key.create".into(),
            object: object.into(),
            details: vec![("name".into(), "a b".into()), ("rpm".into(), String::new())],
        }
    }

    #[test]
    fn acts_survive_a_restart_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        {
            let log = SqliteAuditLog::open(&path).unwrap();
            block_on(log.append(record("first"))).unwrap();
            block_on(log.append(record("second"))).unwrap();
        }
        let log = SqliteAuditLog::open(&path).unwrap();
        assert_eq!(block_on(log.recent(10)).unwrap(), [record("second"), record("first")]);
        assert_eq!(block_on(log.recent(1)).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn details_are_read_back(details in proptest::collection::vec(("[^\n\r]{0,8}", "[^\n\r]{0,8}"), 0..4)) {
            prop_assert_eq!(read_details(&write_details(&details)), details);
        }
    }
}
