//! Opening SQLite files: one set of rules for all that live in them.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use thiserror::Error;

/// Migrations of the file that holds the ledger and the keys.
///
/// They are read with all folders below, so migrations of another file need a folder beside this one.
mod migrations {
    refinery::embed_migrations!("migrations");
    pub(super) use migrations::runner;
}

/// How long a write waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often, and after which pause, a step of opening a file is tried once more that another process may be at.
const TRIES: usize = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// How a file is laid out, which is settled when it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    page_bytes: u32,
    /// Whether pages that hold nothing any more can be given back while the file is in use.
    shrinks: bool,
}

impl Layout {
    /// For many small commits. A lone one changes a row or two in each of half a dozen tables, and writes each
    /// page that it touched as a whole: with pages of a quarter of the usual size it takes half the time, and
    /// writes a third. What is written has to reach the disk some time, and commits are held up while it does.
    pub(crate) const COMMITS: Self = Self { page_bytes: 1024, shrinks: false };
    /// For values of some kilobytes to some megabytes that come and go.
    pub(crate) const BULK: Self = Self { page_bytes: 4096, shrinks: true };
}

/// Why an SQLite file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be created or opened.
    #[error("cannot open `{path}`: check that its folder exists and may be written")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite refuses the file.
    #[error("SQLite cannot use `{path}`")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// SQLite did not do as asked.
    #[error("SQLite answered {setting} = `{answer}` for `{path}`: the file system may lack what WAL needs")]
    Setting {
        /// The file.
        path: PathBuf,
        /// What was set.
        setting: &'static str,
        /// What it is.
        answer: String,
    },
    /// The tables could not be brought up to date.
    #[error("the tables of `{path}` cannot be brought up to date: was it written by a newer release?")]
    Migration {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<refinery::Error>,
    },
    /// A thread could not be started.
    #[error("cannot start a thread of the store")]
    Thread(#[source] io::Error),
}

/// How much a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The death of the process, `kill -9` included. A power cut may lose the last commits, never mix them up.
    #[default]
    Process,
    /// A power cut: every commit waits for the disk.
    Fsync,
}

/// Opens the file of ledger and keys, creating it readable by its owner only, and brings its tables up to date.
pub(crate) fn open_migrated(path: &Path, durability: Durability) -> Result<Connection, OpenError> {
    let mut connection = open(path, durability)?;
    migrate(path, &mut connection, migrations::runner())?;
    Ok(connection)
}

/// Opens the file of ledger and keys as a release made it whose newest migration had this number.
#[cfg(test)]
pub(crate) fn open_as_of(path: &Path, version: refinery::SchemaVersion) -> Result<Connection, OpenError> {
    let mut connection = open(path, Durability::Process)?;
    let until = migrations::runner().set_target(refinery::Target::Version(version));
    migrate(path, &mut connection, until)?;
    Ok(connection)
}

/// Brings the tables of a file up to date, wholly or not at all.
pub(crate) fn migrate(
    path: &Path,
    connection: &mut Connection,
    migrations: refinery::Runner,
) -> Result<(), OpenError> {
    // Else the note that a migration was made is a transaction of its own: who dies between the two leaves a file on
    // which the same migration fails for ever.
    let migrations = migrations.set_grouped(true);
    let run = || migrations.run(connection).map(drop);
    // Whatever the reason: a migration that another process has just made fails in many ways.
    again_while(|_| true, run)
        .map_err(|source| OpenError::Migration { path: path.into(), source: source.into() })
}

/// Several processes may make one file at once, and meet at each of the steps: whoever comes second finds the step
/// done a little later.
fn again_while<T, E>(may_pass: fn(&E) -> bool, mut step: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..TRIES {
        match step() {
            Err(error) if may_pass(&error) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    step()
}

/// Opens an SQLite file, creating it readable by its owner only. SQLite gives its side files the same mode.
pub(crate) fn open(path: &Path, durability: Durability) -> Result<Connection, OpenError> {
    open_as(path, durability, Layout::COMMITS)
}

/// As [`open`], for a file of another layout.
pub(crate) fn open_as(path: &Path, durability: Durability, layout: Layout) -> Result<Connection, OpenError> {
    make_private(path).map_err(|source| OpenError::File { path: path.into(), source })?;
    let set_up = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(64);
        // Both have an effect on a new file only.
        connection.pragma_update(None, "page_size", layout.page_bytes)?;
        if layout.shrinks {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        let synchronous = match durability {
            Durability::Process => "NORMAL",
            Durability::Fsync => "FULL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        Ok((connection, mode))
    };
    // The change to WAL does not wait its turn: SQLite says at once that another process is at it.
    match again_while(
        |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy),
        set_up,
    ) {
        Ok((connection, mode)) if mode == "wal" => Ok(connection),
        Ok((_, answer)) => Err(OpenError::Setting { path: path.into(), setting: "journal_mode", answer }),
        Err(source) => Err(OpenError::Sqlite { path: path.into(), source }),
    }
}

/// Makes a database's file, for its owner only, where there is none.
///
/// It never opens one that is there. A process that closes a file loses all its POSIX locks on it, those of SQLite's
/// own descriptors included (<https://www.sqlite.org/howtocorrupt.html>, 2.2): another process would then take itself
/// for the last one that uses the database. A recent SQLite has a second look before it deletes the write-ahead log
/// that this process goes on writing to; older ones do not.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    /// Held until the maker has closed the file: nobody else in the process opens it sooner.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Opens a file that is no database, creating it for its owner only.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Begins a transaction that will write: it takes the file's write lock now, so that it cannot fail half-way.
pub(crate) fn write(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}
