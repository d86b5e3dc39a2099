use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde::Serialize;
use weighbridge_units::Timestamp;

use crate::log::LogError;
use crate::text;

/// One administrative act: who did what to which object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// When.
    #[serde(serialize_with = "text::displayed")]
    pub at: Timestamp,
    /// Who: `cli`, or the name of the admin credential.
    pub actor: String,
    /// What: a verb after the object's kind, such as `key.create` or `key.revoke`.
    pub action: String,
    /// The object's public id; never a secret.
    pub object: String,
    /// What was set, field by field; never a secret.
    #[serde(serialize_with = "text::details")]
    pub details: Vec<(String, String)>,
}

impl AuditRecord {
    /// The record as one JSON object on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Keeps administrative acts. Unlike a [`RequestLog`](crate::RequestLog) it may not drop any: an
/// act that cannot be written down is refused.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Writes an act down, durably, before it takes effect.
    ///
    /// # Errors
    /// [`LogError`] where it could not be written.
    async fn append(&self, record: AuditRecord) -> Result<(), LogError>;

    /// The latest acts, newest first.
    ///
    /// # Errors
    /// [`LogError`] where the log cannot be read.
    async fn recent(&self, limit: usize) -> Result<Vec<AuditRecord>, LogError>;
}

/// Keeps the latest acts in memory, up to a number: for tests and embedders.
pub struct MemoryAuditLog {
    capacity: usize,
    records: Mutex<VecDeque<AuditRecord>>,
}

impl MemoryAuditLog {
    /// A log of at most `capacity` acts; the oldest make room.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, records: Mutex::default() }
    }
}

#[async_trait]
impl AuditLog for MemoryAuditLog {
    async fn append(&self, record: AuditRecord) -> Result<(), LogError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push_back(record);
        if records.len() > self.capacity {
            records.pop_front();
        }
        Ok(())
    }

    async fn recent(&self, limit: usize) -> Result<Vec<AuditRecord>, LogError> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(records.iter().rev().take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn acts_are_kept_newest_first_and_rendered_without_secrets() {
        let log = MemoryAuditLog::new(2);
        for number in 0..3 {
            let act = AuditRecord {
                at: Timestamp::from_secs(number),
                actor: "cli".into(),
                action: "key.create".into(),
                object: format!("key {number}"),
                details: vec![("note".into(), "was sk-CANARY0123456789".into())],
            };
            block_on(log.append(act)).unwrap();
        }
        let acts = block_on(log.recent(10)).unwrap();
        assert_eq!(acts.iter().map(|act| &*act.object).collect::<Vec<_>>(), ["key 2", "key 1"]);
        insta::assert_snapshot!(acts[0].to_json(), @r#"{"at":"1970-01-01T00:00:02.000Z","actor":"cli","action":"key.create","object":"key 2","details":{"note":"was sk-[redacted]"}}"#);
    }
}
