//! Why an issuer gave no credential.

use thiserror::Error;

/// Why there is no new credential. Nothing in it is a secret: it may be logged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// No answer came.
    #[error("{issuer} cannot be reached: {problem}")]
    Unreachable {
        /// Scheme and host of the issuer.
        issuer: String,
        /// What happened.
        problem: String,
    },
    /// It answered that it gives none.
    #[error(
        "{issuer} refused with status {status} ({code}): look at what the account there may do, and at its secret"
    )]
    Refused {
        /// Scheme and host of the issuer.
        issuer: String,
        /// Status of its answer.
        status: u16,
        /// What it calls the reason, such as `invalid_grant` or `AccessDenied`.
        code: String,
    },
    /// It answered with something else than a credential.
    #[error("the answer of {issuer} holds no credential: {problem}")]
    Unreadable {
        /// Scheme and host of the issuer.
        issuer: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file that proves who is asking cannot be used.
    #[error("the token file {path} cannot be used: {problem}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The question to the issuer cannot be signed.
    #[error("the question to the issuer cannot be made: {problem}")]
    Unaskable {
        /// What is wrong.
        problem: String,
    },
    /// It took too long.
    #[error("the issuer did not answer within {milliseconds} ms")]
    TimedOut {
        /// How long it had.
        milliseconds: u128,
    },
    /// The runtime that was asking has ended.
    #[error("the renewal was broken off")]
    BrokenOff,
}
