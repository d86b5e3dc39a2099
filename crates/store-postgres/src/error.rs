use std::error::Error as _;
use std::io;

use rustls::CertificateError;
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
    let mut advice = None;
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if said == WITHOUT_TLS {
            advice = Some(ON_A_SERVER_WITHOUT_TLS);
        }
        let refused = cause.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        if let Some(refused) = refused.and_then(|error| error.downcast_ref::<rustls::Error>()) {
            advice = Some(on_encryption(refused));
        }
        text.push_str(": ");
        text.push_str(&said);
        source = cause.source();
    }
    match advice {
        Some(advice) => format!("{text}; {advice}"),
        None => text,
    }
}

/// What `tokio_postgres` says of a server that declines to encrypt.
const WITHOUT_TLS: &str = "server does not support TLS";
const ON_A_SERVER_WITHOUT_TLS: &str = "nothing was sent to it: switch `ssl` on at the server, or write `sslmode=disable` into the address where \
     the network in between can be trusted";

/// What to do about an encrypted connection that was refused.
fn on_encryption(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(why) = error else {
        return "the server speaks no TLS that this program speaks, which is 1.2 and 1.3, or wants a certificate of ours, \
                which it cannot be shown";
    };
    match why {
        CertificateError::UnknownIssuer => {
            "nobody who is trusted has signed its certificate: give the authority's own as `sslrootcert=FILE` in the \
             address"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "write the host into the address by a name that stands in its certificate (subjectAltName), or give the \
             server one for this name"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "give the server a certificate that is valid now, or set the clock of this machine"
        }
        // What `openssl req -x509` makes unless told otherwise.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's (CA:TRUE), and no server's: sign one for the server with it"
        }
        _ => "give the server another certificate",
    }
}
