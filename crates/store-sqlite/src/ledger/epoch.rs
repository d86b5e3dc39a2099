//! Which openings of the ledger are alive.
//!
//! Every opening for writing is a row in `writer` and holds a lock on a file of its own beside the
//! database. The system releases the lock when the process dies, however it dies; so who can take the
//! lock knows that the writer is dead, at once and without clocks.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension};
use weighbridge_ledger::Epoch;

use super::rows::{StoreError, corrupt};
use crate::connection::{private_file, write};

/// The right to write as one epoch, held for as long as this lives.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) epoch: Epoch,
    path: PathBuf,
    /// Never read: holding it is the point.
    _lock: File,
}

impl Claim {
    /// Opens a new epoch.
    pub(super) fn new(db: &Connection, database: &Path) -> Result<Self, StoreError> {
        let transaction = write(db)?;
        transaction.execute("INSERT INTO writer (opened) VALUES (?1)", [now_micros()])?;
        let number = u32::try_from(transaction.last_insert_rowid());
        let epoch = Epoch::new(number.map_err(|_| corrupt("there are no epochs left"))?);
        // Locked before the row can be seen: nobody finds a live writer without its lock.
        let path = lock_path(database, epoch);
        let lock = private_file(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) => return Err(corrupt(format!("{} is locked", path.display()))),
        }
        transaction.commit()?;
        Ok(Self { epoch, path, _lock: lock })
    }

    /// Whether nobody has declared this writer dead.
    pub(super) fn is_open(&self, db: &Connection) -> Result<bool, StoreError> {
        let mut statement = db.prepare_cached("SELECT closed IS NULL FROM writer WHERE epoch = ?1")?;
        Ok(statement.query_row([self.epoch.get()], |row| row.get(0)).optional()?.unwrap_or(false))
    }

    /// Closes the epoch, when its ledger is closed in good order.
    pub(super) fn close(self, db: &Connection) -> Result<(), StoreError> {
        close(db, self.epoch)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Left behind, it would only be in the way: a missing lock file means a dead writer, too.
        let _ = fs::remove_file(&self.path);
    }
}

/// Finds the writers that died, marks them closed, and counts them. `own` is alive by definition.
pub(super) fn close_dead(db: &Connection, database: &Path, own: Epoch) -> Result<u64, StoreError> {
    let mut statement = db.prepare_cached("SELECT epoch FROM writer WHERE closed IS NULL AND epoch <> ?1")?;
    let open = statement.query_map([own.get()], |row| row.get(0).map(Epoch::new))?;
    let mut closed = 0;
    for epoch in open.collect::<Result<Vec<_>, _>>()? {
        let path = lock_path(database, epoch);
        if is_dead(&path)? {
            close(db, epoch)?;
            let _ = fs::remove_file(&path);
            closed += 1;
        }
    }
    Ok(closed)
}

fn close(db: &Connection, epoch: Epoch) -> Result<(), StoreError> {
    db.execute(
        "UPDATE writer SET closed = ?1 WHERE epoch = ?2 AND closed IS NULL",
        (now_micros(), epoch.get()),
    )?;
    Ok(())
}

fn is_dead(lock: &Path) -> Result<bool, StoreError> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn lock_path(database: &Path, epoch: Epoch) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(format!("-writer-{epoch}"));
    name.into()
}

fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(0)
}
