//! Why a gateway does not start.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// A gateway cannot be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another process using the port?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// No address was given.
    #[error("a gateway needs at least one address to listen on")]
    NoAddress,
    /// No transport was given.
    #[error("a gateway needs a transport: call `GatewayBuilder::transport`")]
    NoTransport,
    /// A thread or its runtime cannot be started.
    #[error("cannot start the thread `{thread}`: {source}")]
    Thread {
        /// Its name.
        thread: String,
        /// What the operating system said.
        source: io::Error,
    },
}
