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
    /// The address asks for certificates not to be checked.
    #[error(
        "certificates of Redis are always checked: take the `#` and what follows out of its address, and give the certificate of a private authority as a file (a `#` in a password is written %23)"
    )]
    Unchecked,
    /// The certificates cannot be read, or the address does not ask for TLS.
    #[error(
        "the certificates for Redis cannot be used: give a file of PEM certificates, and an address that begins with rediss://"
    )]
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
    #[error("{}", told(.0))]
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

/// What went wrong, and what to do about it where the two sides do not agree about encryption: that does not pass by
/// itself, as an outage does. The client keeps the type of the error to itself, so that its words decide; a test knows
/// each of them.
fn told(error: &redis::RedisError) -> String {
    let said = error.to_string();
    let advice = [
        (
            "UnknownIssuer",
            "nobody who is trusted has signed its certificate: give the authority's own as `redis_ca`",
        ),
        (
            "not valid for name",
            "write the host into the address by a name that stands in its certificate (subjectAltName), or give it one \
             for this name",
        ),
        ("expired", "give it a certificate that is valid now, or set the clock of this machine"),
        (
            "CaUsedAsEndEntity",
            "its certificate is an authority's (CA:TRUE), and no server's: sign one for it with that",
        ),
        ("CertificateRequired", "it wants a certificate of ours: set `tls-auth-clients no` there"),
        (
            "InvalidContentType",
            "it speaks no TLS there: give the port that its `tls-port` says, or write redis:// where the network in \
             between can be trusted",
        ),
    ];
    match advice.iter().find(|(word, _)| said.contains(word)) {
        Some((_, advice)) => format!("{said}; {advice}"),
        None => said,
    }
}
