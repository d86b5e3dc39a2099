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
    /// A certificate of our own, or its key, cannot be used.
    #[error(
        "the client certificate cannot be used: {problem}; give the certificate and its own private key as PEM"
    )]
    Identity {
        /// What is wrong with it.
        problem: String,
    },
    /// A proxy cannot be used. The message does not repeat its address, which may hold a password.
    #[error("the proxy cannot be used: {problem}; write it like `http://proxy.example.com:3128`")]
    Proxy {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// One origin is to be connected to in two ways.
    #[error(
        "{origin} is to be connected to in two ways; give all providers there the same HTTP version, certificates and proxy"
    )]
    TwoWays {
        /// The origin.
        origin: String,
    },
    /// Keys of AWS cannot be used. The message names none of them.
    #[error("these AWS credentials cannot be used: {problem}; take them as AWS shows them")]
    AwsCredentials {
        /// What is wrong with them.
        problem: &'static str,
    },
    /// A region or service of AWS cannot be one.
    #[error("`{name}` is neither a region nor a service of AWS; write them like `us-east-1` and `bedrock`")]
    AwsScope {
        /// The name as it was given.
        name: String,
    },
    /// A source of credentials cannot be one. The message names no secret.
    #[error("this credential cannot be used: {problem}")]
    Credential {
        /// What is wrong with it.
        problem: String,
    },
}
