//! The store's own threads: one sees to ends that nobody flushed, and with `fsync` makes all commits; the other
//! carries the write-ahead log over into the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use weighbridge_units::Failpoint;
use weighbridge_units::failpoint::{self, pass};

use super::commit::{Shared, Woken};
use super::rows::StoreError;
use crate::OpenError;
use crate::worker::stand_back;

/// How often the threads look around on their own.
const ROUND: Duration = Duration::from_millis(250);
/// How long it leaves a store alone that could not be written.
const PAUSE: Duration = Duration::from_millis(200);
/// From so many pages on that were not carried over, they are: 16 MB.
const PAGES: i64 = if failpoint::MAY_INTERVENE { 64 } else { 16_384 };
/// From this length on commits wait while the rest is carried over: 128 MB. As long as they go on, the end is
/// never reached, and the log is never begun anew.
const PAGES_MAX: i64 = if failpoint::MAY_INTERVENE { 1_024 } else { 131_072 };

/// Starts the threads. They end once [`Shared::stop`] is called.
pub(super) fn start(shared: &Arc<Shared>, checkpoints: Connection) -> Result<[JoinHandle<()>; 2], OpenError> {
    let commits = Arc::clone(shared);
    let commit = move || {
        while commits.wait(ROUND) == Woken::Work {
            let combine = || {
                if !commits.queue.is_empty() {
                    commits.combine();
                }
            };
            // Whatever it is, with `fsync` nobody else makes commits.
            let panicked = catch_unwind(AssertUnwindSafe(combine)).is_err();
            if panicked || commits.failure().is_some() {
                thread::sleep(PAUSE);
            }
        }
    };
    let shared = Arc::clone(shared);
    let carry_over = move || {
        stand_back();
        carry_over(&shared, ROUND, || keep_log_short(&shared, &checkpoints));
    };
    let thread = |name: &str| thread::Builder::new().name(name.to_owned());
    let committing = thread("weighbridge-ledger").spawn(commit).map_err(OpenError::Thread)?;
    let carrying = thread("weighbridge-checkpoint").spawn(carry_over).map_err(OpenError::Thread)?;
    Ok([committing, carrying])
}

/// Keeps the log short until the ledger is closed. Whatever becomes of a round, a panic too, the next one comes: nobody
/// else carries the log over, and it would grow for ever.
pub(super) fn carry_over(
    shared: &Shared,
    every: Duration,
    mut round: impl FnMut() -> Result<(), StoreError>,
) {
    while shared.wait_for_stop(every) == Woken::Work {
        let Ok(done) = catch_unwind(AssertUnwindSafe(&mut round)) else {
            shared.count_failed_checkpoint();
            tracing::error!("what carries the ledger's write-ahead log over panics, which is a bug");
            continue;
        };
        if let Err(error) = done {
            shared.count_failed_checkpoint();
            tracing::warn!(%error, "the ledger's write-ahead log cannot be carried over");
        }
    }
}

fn keep_log_short(shared: &Shared, db: &Connection) -> Result<(), StoreError> {
    let log = Log::read(db, "PRAGMA wal_checkpoint(NOOP)")?;
    if log.left() < PAGES {
        return Ok(());
    }
    let log = checkpoint(db)?;
    if log.pages >= PAGES_MAX && log.left() > 0 {
        // Commits came meanwhile. Once more, so that the part for which commits wait is short.
        checkpoint(db)?;
        let rest = shared.with_writer(|_| checkpoint(db));
        rest.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    }
    Ok(())
}

/// The write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log {
    /// Pages in it. It begins anew with the first commit after all of them were carried over.
    pages: i64,
    carried_over: i64,
}

impl Log {
    fn read(db: &Connection, sql: &str) -> Result<Self, StoreError> {
        let read = |row: &rusqlite::Row<'_>| Ok(Self { pages: row.get(1)?, carried_over: row.get(2)? });
        Ok(db.prepare_cached(sql)?.query_row([], read)?)
    }

    /// Pages that are not carried over yet.
    pub(super) const fn left(self) -> i64 {
        self.pages - self.carried_over
    }
}

/// Carries over what it can without waiting for anybody.
pub(super) fn checkpoint(db: &Connection) -> Result<Log, StoreError> {
    pass(Failpoint::SqliteCarrying)?;
    let log = Log::read(db, "PRAGMA wal_checkpoint(PASSIVE)")?;
    pass(Failpoint::SqliteCarried)?;
    Ok(log)
}
