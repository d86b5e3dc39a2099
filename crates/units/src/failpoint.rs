//! Named places on the way of money at which a test may let the process die, panic, wait or fail.
//!
//! Each stands where something has just become true outside of the program, or is about to: the boundary of
//! a transaction, of a request to a provider, of an answer to a client. Without the feature `failpoints` nothing of
//! it is compiled in. With it, the binary sets one hook, which decides what happens; nothing here does.

use thiserror::Error;

/// Whether tests may intervene. What happens rarely may then happen often, so that they get to see it.
pub const MAY_INTERVENE: bool = cfg!(feature = "failpoints");

/// Declares the places with their names, so that the list of them cannot be incomplete.
macro_rules! failpoints {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A place at which a test may intervene.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Failpoint {
            $($(#[$doc])* $variant,)+
        }

        impl Failpoint {
            /// All of them, in the order in which a request meets them, store by store.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name, as tests and the environment spell it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

failpoints! {
    /// The intent is committed, nothing was sent.
    Reserved = "pipeline.reserved",
    /// The request was handed to the transport, and no head has come.
    Sending = "pipeline.sending",
    /// The head of an answer came, nothing of its body was read.
    HeadCame = "pipeline.head-came",
    /// The usage is read and priced, the end is not handed over.
    Metered = "pipeline.metered",
    /// The end is handed over, the last bytes have not left.
    HandedOver = "pipeline.handed-over",
    /// The answer is on its way, and the ends that were handed over are about to be committed.
    Settling = "pipeline.settling",
    /// SQLite: a new epoch is in the file, and nothing is written under it.
    SqliteEpoch = "sqlite.epoch",
    /// SQLite: a transaction has begun.
    SqliteBegun = "sqlite.begun",
    /// SQLite: the rows of a batch are written, `COMMIT` is not.
    SqliteWritten = "sqlite.written",
    /// SQLite: a transaction is committed, and nobody was told.
    SqliteCommitted = "sqlite.committed",
    /// SQLite: the tables beside the journal are brought up to date, `COMMIT` is not made.
    SqliteFolded = "sqlite.folded",
    /// SQLite: seals are written, `COMMIT` is not.
    SqliteSealed = "sqlite.sealed",
    /// SQLite: the write-ahead log is about to be carried over into the database.
    SqliteCarrying = "sqlite.carrying",
    /// SQLite: what could be is carried over, and the log may begin anew.
    SqliteCarried = "sqlite.carried",
    /// SQLite: dead writers are closed, and what they left open is not ended.
    SqliteDeadClosed = "sqlite.dead-closed",
    /// SQLite: some of what dead writers left open is ended, and recovery goes on.
    SqliteRecovered = "sqlite.recovered",
    /// PostgreSQL: a new epoch is committed, and nothing is written under it.
    PostgresEpoch = "postgres.epoch",
    /// PostgreSQL: a transaction has the journal's lock, and has read.
    PostgresBegun = "postgres.begun",
    /// PostgreSQL: the rows of a batch are on their way, `COMMIT` is not.
    PostgresWritten = "postgres.written",
    /// PostgreSQL: a transaction is committed, and nobody was told.
    PostgresCommitted = "postgres.committed",
    /// PostgreSQL: seals are decided on, and not written.
    PostgresSealed = "postgres.sealed",
    /// PostgreSQL: dead writers are closed, and what they left open is not ended.
    PostgresDeadClosed = "postgres.dead-closed",
    /// PostgreSQL: some of what dead writers left open is ended, and recovery goes on.
    PostgresRecovered = "postgres.recovered",
}

impl Failpoint {
    /// Whether an error may be injected here: where a store could fail anyway.
    pub const fn may_fail(self) -> bool {
        !matches!(
            self,
            Self::Reserved
                | Self::Sending
                | Self::HeadCame
                | Self::Metered
                | Self::HandedOver
                | Self::Settling
        )
    }
}

/// A failure that a test has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a test lets `{}` fail", .0.name())]
pub struct Injected(pub Failpoint);

/// What is asked at each place; `Err` only where [`Failpoint::may_fail`].
#[cfg(feature = "failpoints")]
pub type Hook = Box<dyn Fn(Failpoint) -> Result<(), Injected> + Send + Sync>;

#[cfg(feature = "failpoints")]
static HOOK: std::sync::OnceLock<Hook> = std::sync::OnceLock::new();

/// Sets what is asked at each place, once in the life of the process. Says whether it was the first.
#[cfg(feature = "failpoints")]
pub fn set_hook(hook: Hook) -> bool {
    HOOK.set(hook).is_ok()
}

/// Passes a place where nothing can fail.
#[inline]
pub fn reach(point: Failpoint) {
    let _ = pass(point);
}

/// Passes a place where a store could fail anyway.
///
/// # Errors
/// Where a test wants it; never without the feature `failpoints`.
#[inline]
pub fn pass(point: Failpoint) -> Result<(), Injected> {
    #[cfg(feature = "failpoints")]
    if let Some(hook) = HOOK.get() {
        return hook(point);
    }
    let _ = point;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_nothing_fails_unasked() {
        let names: HashSet<_> = Failpoint::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Failpoint::ALL.len());
        for point in Failpoint::ALL {
            assert_eq!(pass(*point), Ok(()));
        }
    }
}
