use thiserror::Error;
use tokio_postgres::error::SqlState;

/// Why a statement did not do what it should.
#[derive(Debug, Error)]
pub(crate) enum DbError {
    /// The server said no, or is gone. It may say yes later.
    #[error("{}", told(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No answer came.
    #[error("the database did not answer in {0} s")]
    Silent(u64),
    /// A row is not what it must be.
    #[error("{0}")]
    Corrupt(String),
    /// The writer panicked, which is a bug; its transaction is rolled back.
    #[error("the ledger's writer panicked")]
    Panicked,
    /// A test wants it so.
    #[error(transparent)]
    Injected(#[from] weighbridge_units::failpoint::Injected),
    /// The store's thread has died.
    #[error("the store's thread has ended")]
    Ended,
}

impl DbError {
    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }

    /// Whether the same may succeed on another connection at once: the connection broke, or somebody else's
    /// transaction was in the way.
    pub(crate) fn is_worth_a_retry(&self) -> bool {
        let Self::Postgres(error) = self else { return matches!(self, Self::Injected(_)) };
        let Some(state) = error.code() else { return error.is_closed() || error.as_db_error().is_none() };
        // Connection exceptions, rolled back transactions, and a server that goes down or comes up.
        let classes = ["08", "40", "57"];
        classes.iter().any(|class| state.code().starts_with(class))
            || [SqlState::UNIQUE_VIOLATION, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT].contains(state)
    }
}

/// What the server said; `tokio_postgres` itself says "db error" only. Never the address, which may hold a password.
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
