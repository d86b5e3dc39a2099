use thiserror::Error;

/// Why limits cannot be counted in Redis.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RedisLimitsError {
    /// The address cannot be used. It may hold a password, and is not repeated.
    #[error(
        "the address of Redis is not usable: write redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss://… for TLS"
    )]
    Address,
    /// The certificates cannot be read.
    #[error("the certificates for Redis cannot be used: give a file of PEM certificates")]
    Certificates,
    /// No thread for connections can be started.
    #[error("no thread for connections to Redis can be started: raise the limit of threads")]
    Thread(#[source] std::io::Error),
}

/// Why Redis is not asked any more.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// No answer in time.
    #[error("no answer in time")]
    Slow,
    /// An error, or no connection.
    #[error("{0}")]
    Failed(#[from] redis::RedisError),
    /// An answer that no script of ours gives.
    #[error("an answer that is not understood")]
    Odd,
    /// The count is not there any more, is another one, or this instance was taken for dead.
    #[error("the count that was known is gone")]
    Lost,
    /// The count is older than what is known of it.
    #[error("the count is older than it was")]
    WentBack,
    /// The server's clock jumped.
    #[error("the server's clock jumped")]
    ClockJumped,
}

impl Fault {
    /// Whether what is in Redis cannot be trusted.
    pub(crate) const fn wants_new_count(&self) -> bool {
        matches!(self, Self::WentBack | Self::ClockJumped)
    }
}
