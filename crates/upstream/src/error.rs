//! What can be wrong with the set-up of a transport.

use thiserror::Error;

/// A transport cannot be set up like this.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpstreamError {
    /// A base URL is not an absolute `http` or `https` address.
    #[error(
        "`{url}` is not the address of a provider: {problem}; write it like `https://api.example.com/v1`"
    )]
    Origin {
        /// The address as it was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A bundle of extra certificate authorities cannot be used.
    #[error(
        "the bundle of certificate authorities cannot be used: {problem}; it must be PEM with at least one CERTIFICATE section"
    )]
    Certificates {
        /// What is wrong with it.
        problem: String,
    },
}
