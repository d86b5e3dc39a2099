//! The store's own thread: carries the write-ahead log over into the database, sees to ends that nobody
//! flushed, and with `fsync` makes all commits.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::commit::{Shared, Woken};
use super::rows::StoreError;
use crate::OpenError;

/// How often the thread looks around on its own.
const ROUND: Duration = Duration::from_secs(1);
/// How long it gives others to carry along what a busy store was asked to flush, before it looks again.
const SOON: Duration = Duration::from_millis(5);
/// How long it leaves a store alone that could not be written.
const PAUSE: Duration = Duration::from_millis(200);
/// From so many pages on that were not carried over, they are: 16 MB.
const PAGES: i64 = 16_384;
/// From this length on commits wait while the rest is carried over: 128 MB. As long as they go on, the end is
/// never reached, and the log is never begun anew.
const PAGES_MAX: i64 = 131_072;

/// Starts the thread. It ends once [`Shared::stop`] is called.
pub(super) fn start(shared: Arc<Shared>, checkpoints: Connection) -> Result<JoinHandle<()>, OpenError> {
    let keep_house = move || {
        let mut looked = Instant::now();
        let mut others_see_to_it = false;
        while shared.wait(if others_see_to_it { SOON } else { ROUND }, others_see_to_it) == Woken::Work {
            others_see_to_it = shared.is_busy() && !shared.queue.is_empty();
            if !others_see_to_it {
                shared.about_to_look();
                if !shared.queue.is_empty() {
                    shared.combine();
                }
                if shared.failure().is_some() {
                    thread::sleep(PAUSE);
                }
            }
            if looked.elapsed() >= ROUND / 4 {
                looked = Instant::now();
                if let Err(error) = keep_log_short(&shared, &checkpoints) {
                    tracing::warn!(%error, "the ledger's write-ahead log cannot be carried over");
                }
            }
        }
    };
    thread::Builder::new().name("weighbridge-ledger".to_owned()).spawn(keep_house).map_err(OpenError::Thread)
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
    Log::read(db, "PRAGMA wal_checkpoint(PASSIVE)")
}
