use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use weighbridge_units::{KeyId, RequestId, Timestamp};

use crate::request::RequestRecord;

/// Is told of every request when it has ended.
///
/// It is called on the request's own thread: it must be quick, and neither block nor fail. What
/// takes longer goes into a [`Backlog`](crate::Backlog) that another thread works off.
pub trait Observer: Send + Sync {
    /// The request has ended; its record changes no more.
    fn ended(&self, record: &Arc<RequestRecord>);
}

/// Whose records may be seen.
///
/// Outside of its scope a record does not exist: asking for it tells nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every record: for the administration only.
    All,
    /// The records of one tenant's keys.
    Tenant(Arc<str>),
    /// The records of one key.
    Key(KeyId),
}

impl Scope {
    /// Whether a record lies within the scope.
    pub fn covers(&self, record: &RequestRecord) -> bool {
        match (self, &record.caller) {
            (Self::All, _) => true,
            (_, None) => false,
            (Self::Tenant(tenant), Some(caller)) => *tenant == caller.tenant,
            (Self::Key(key), Some(caller)) => *key == caller.key,
        }
    }
}

/// Keeps the records of requests, as many or as long as it is told to.
///
/// Ids come from clients and may repeat: within a scope the latest record of an id is found.
#[async_trait]
pub trait RequestLog: Send + Sync {
    /// Keeps a record. Never blocks and never fails: a log that cannot keep up drops records and
    /// counts them. From now on [`Self::get`] finds the record (rule Q1).
    fn append(&self, record: Arc<RequestRecord>);

    /// The latest record of that id within the scope, as JSON.
    ///
    /// # Errors
    /// [`LogError`] where the log cannot be read.
    async fn get(&self, scope: &Scope, id: &RequestId) -> Result<Option<String>, LogError>;

    /// The latest records within the scope, newest first, as JSON each.
    ///
    /// # Errors
    /// [`LogError`] where the log cannot be read.
    async fn recent(&self, scope: &Scope, limit: usize) -> Result<Vec<String>, LogError>;

    /// Records that arrived in `[from, until)`, in the order of their ends, as JSON each with its place: at most
    /// `limit` of those behind the place `after`, 0 being before the first. Fewer than `limit` are the last.
    ///
    /// # Errors
    /// [`LogError`] where the log cannot be read, or keeps no order.
    async fn between(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, LogError> {
        let _ = (from, until, after, limit);
        Err(LogError::Unordered)
    }

    /// How many records were dropped since the start.
    fn dropped(&self) -> u64;
}

/// Why a log cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The store behind it failed.
    #[error("the log's store failed: {0}; check its file and the space on its disk")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// More questions are waiting than it answers.
    #[error("the log is busy: ask again in a moment")]
    Busy,
    /// It cannot be read through in order.
    #[error("this log cannot be read through: its store keeps no order of records")]
    Unordered,
    /// It has been shut down.
    #[error("the log is closed: the process is shutting down")]
    Closed,
}
