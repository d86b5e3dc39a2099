//! The store's own thread: carries the write-ahead log over into the database, sees to ends that nobody
//! flushed, and with `fsync` makes all commits.

use std::fs;
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
/// From this size on the log is carried over.
const LOG_BYTES: u64 = 16 << 20;
/// From this size on commits wait while it is: as long as they go on, its end is never reached, and it grows.
const LOG_BYTES_MAX: u64 = 64 << 20;

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
    let mut log = shared.path.as_os_str().to_owned();
    log.push("-wal");
    let bytes = fs::metadata(&log).map_or(0, |log| log.len());
    // The file keeps its size after it was carried over; it is used again from its start.
    if bytes >= LOG_BYTES && checkpoint(db)? > 0 && bytes >= LOG_BYTES_MAX {
        let rest = shared.with_writer(|_| checkpoint(db));
        rest.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    }
    Ok(())
}

/// Carries over what it can without waiting for anybody; says how many pages are left.
pub(super) fn checkpoint(db: &Connection) -> Result<i64, StoreError> {
    let (pages, done): (i64, i64) = db
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
        .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?;
    Ok(pages - done)
}
