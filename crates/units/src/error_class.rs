use std::fmt;

/// What kind of error a provider, or the gateway itself, answered with.
///
/// Providers give the same cause different statuses and codes; the adapters in `translate` sort
/// them into these classes, and what may fail over depends on the class alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The request is malformed or asks for what cannot be done.
    BadRequest,
    /// The prompt does not fit into the model's context window.
    ContextTooLong,
    /// The content was refused by a policy.
    ContentPolicy,
    /// The credential is missing or wrong.
    Authentication,
    /// The account behind the credential has no credit.
    Billing,
    /// The credential may not do this.
    Permission,
    /// The model or object does not exist.
    NotFound,
    /// The body is larger than accepted.
    TooLarge,
    /// Too many requests or tokens for now.
    RateLimit,
    /// It took too long.
    Timeout,
    /// The other side failed.
    Server,
    /// The other side is temporarily over capacity.
    Overloaded,
}

impl ErrorClass {
    /// The name in metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::ContextTooLong => "context-too-long",
            Self::ContentPolicy => "content-policy",
            Self::Authentication => "authentication",
            Self::Billing => "billing",
            Self::Permission => "permission",
            Self::NotFound => "not-found",
            Self::TooLarge => "too-large",
            Self::RateLimit => "rate-limit",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::Overloaded => "overloaded",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
