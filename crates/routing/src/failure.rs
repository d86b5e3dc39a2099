use std::time::Duration;

use weighbridge_units::ErrorClass;

/// Why an attempt failed, as far as it matters to what comes next.
///
/// A client that leaves is no failure of anyone's: the [`Pick`](crate::Pick) is simply dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureCause {
    /// The connection could not be made, or broke before the head of an answer.
    Transport {
        /// Whether the provider may have worked on the request.
        sent: Sent,
    },
    /// The provider answered with an error status.
    Status {
        /// What kind of error.
        class: ErrorClass,
        /// How long the provider asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The provider answered 200, and an error inside of it.
    InBand {
        /// What kind of error.
        class: ErrorClass,
    },
    /// The answer is not of the provider's protocol: HTML, nothing, malformed JSON or events.
    Garbage,
    /// The answer broke off: a cut body, a reset, an end without a terminal event.
    Broken,
    /// Something did not come within a bound that the gateway's configuration sets.
    TimedOut(TimeLimit),
    /// Something did not come within a bound that the caller set. Nobody else is to blame.
    CallerDeadline,
    /// Nothing was sent: the issuer of the provider's credential gave none that is valid.
    NoCredential,
}

/// Whether a request that broke may have reached the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// It certainly did not.
    No,
    /// It may have, and may have been worked on and billed.
    Maybe,
}

/// The time limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeLimit {
    /// To connect, TLS included.
    Connect,
    /// From the request to the first byte of the answer.
    FirstByte,
    /// From the request to the first content of a streamed answer.
    FirstToken,
    /// Between two pieces of the answer.
    Idle,
    /// For the whole attempt.
    Total,
}

/// What may follow a failure before the commit point. After it, nothing may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The next target may try.
    Next,
    /// Another credential of the same provider may try, then the next target.
    NextKey,
    /// The client gets this answer: every target would give it.
    Stop,
}

/// Which failures of a route's primaries its fallbacks may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FallbackRules {
    /// What fails, is benched, or has no credential left goes on to the fallbacks. Without this, other primaries
    /// only.
    pub on_error: bool,
    /// What has come to a rate limit goes on to the fallbacks. Without this, other primaries only.
    pub on_rate_limit: bool,
    /// A prompt that is too long for the target goes on to the fallbacks.
    pub on_context: bool,
    /// A prompt that the target's content policy refused goes on to the fallbacks.
    pub on_content: bool,
}

impl Default for FallbackRules {
    /// Errors and rate limits, and nothing that a request brings upon itself.
    fn default() -> Self {
        Self { on_error: true, on_rate_limit: true, on_context: false, on_content: false }
    }
}

impl FallbackRules {
    /// Whether fallbacks may serve what failed for this cause.
    pub(crate) const fn serve(self, cause: &FailureCause) -> bool {
        match cause.class() {
            Some(ErrorClass::RateLimit) => self.on_rate_limit,
            // What these allow is decided by the verdict.
            Some(ErrorClass::ContextTooLong | ErrorClass::ContentPolicy) => true,
            _ => self.on_error,
        }
    }
}

impl FailureCause {
    /// The class of error that the provider itself gave, if it gave one.
    pub const fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Status { class, .. } | Self::InBand { class } => Some(*class),
            _ => None,
        }
    }

    /// How long the provider asked to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the failure speaks against the target's health.
    ///
    /// What a caller can bring about alone never does: a bad request, a name that does not exist,
    /// a deadline of its own, an answer so long that the total limit cuts it. Nor does a refused
    /// credential, which speaks against the credential ([`Self::blames_key`]).
    pub const fn blames_target(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Garbage | Self::Broken => true,
            Self::TimedOut(limit) => !matches!(limit, TimeLimit::Total),
            Self::CallerDeadline | Self::NoCredential => false,
            Self::Status { class, .. } | Self::InBand { class } => matches!(
                class,
                ErrorClass::Server | ErrorClass::Overloaded | ErrorClass::Timeout | ErrorClass::RateLimit
            ),
        }
    }

    /// Whether the failure speaks against the credential that was used.
    pub const fn blames_key(&self) -> bool {
        matches!(self, Self::NoCredential)
            || matches!(
                self.class(),
                Some(ErrorClass::Authentication | ErrorClass::Permission | ErrorClass::Billing)
            )
    }

    /// Whether only fallbacks, not equals of the target, could do better.
    pub(crate) const fn skips_equals(&self) -> bool {
        matches!(self.class(), Some(ErrorClass::ContextTooLong | ErrorClass::ContentPolicy))
    }
}

/// What may follow a failure before the commit point.
///
/// ```
/// use weighbridge_routing::{FailureCause, FallbackRules, Verdict, verdict};
/// use weighbridge_units::ErrorClass;
///
/// let too_long = FailureCause::Status { class: ErrorClass::ContextTooLong, retry_after: None };
/// assert_eq!(verdict(&too_long, FallbackRules::default()), Verdict::Stop);
/// let rules = FallbackRules { on_context: true, ..FallbackRules::default() };
/// assert_eq!(verdict(&too_long, rules), Verdict::Next);
/// ```
pub const fn verdict(cause: &FailureCause, rules: FallbackRules) -> Verdict {
    let class = match cause {
        FailureCause::CallerDeadline => return Verdict::Stop,
        FailureCause::NoCredential => return Verdict::NextKey,
        FailureCause::Status { class, .. } | FailureCause::InBand { class } => *class,
        FailureCause::Transport { .. }
        | FailureCause::Garbage
        | FailureCause::Broken
        | FailureCause::TimedOut(_) => return Verdict::Next,
    };
    match class {
        ErrorClass::BadRequest | ErrorClass::TooLarge => Verdict::Stop,
        ErrorClass::ContextTooLong if !rules.on_context => Verdict::Stop,
        ErrorClass::ContentPolicy if !rules.on_content => Verdict::Stop,
        ErrorClass::Authentication | ErrorClass::Permission | ErrorClass::Billing => Verdict::NextKey,
        // A model that the provider does not know is a mistake of the configuration, not of the
        // client, whose model name the gateway has translated.
        _ => Verdict::Next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [ErrorClass; 12] = [
        ErrorClass::BadRequest,
        ErrorClass::ContextTooLong,
        ErrorClass::ContentPolicy,
        ErrorClass::Authentication,
        ErrorClass::Billing,
        ErrorClass::Permission,
        ErrorClass::NotFound,
        ErrorClass::TooLarge,
        ErrorClass::RateLimit,
        ErrorClass::Timeout,
        ErrorClass::Server,
        ErrorClass::Overloaded,
    ];

    fn status(class: ErrorClass) -> FailureCause {
        FailureCause::Status { class, retry_after: None }
    }

    #[test]
    fn what_a_request_brings_upon_itself_stops() {
        let plain = FallbackRules::default();
        for class in CLASSES {
            let expected = match class {
                ErrorClass::BadRequest
                | ErrorClass::ContextTooLong
                | ErrorClass::ContentPolicy
                | ErrorClass::TooLarge => Verdict::Stop,
                ErrorClass::Authentication | ErrorClass::Billing | ErrorClass::Permission => Verdict::NextKey,
                _ => Verdict::Next,
            };
            assert_eq!(verdict(&status(class), plain), expected, "{class}");
            assert_eq!(verdict(&FailureCause::InBand { class }, plain), expected, "{class} under 200");
        }
        assert_eq!(verdict(&FailureCause::CallerDeadline, plain), Verdict::Stop);
    }

    #[test]
    fn configured_fallbacks_serve_their_own_cause_only() {
        let on_context = FallbackRules { on_context: true, ..FallbackRules::default() };
        let on_content = FallbackRules { on_content: true, ..FallbackRules::default() };
        let (long, refused) = (status(ErrorClass::ContextTooLong), status(ErrorClass::ContentPolicy));
        assert_eq!(verdict(&long, on_context), Verdict::Next);
        assert_eq!(verdict(&refused, on_context), Verdict::Stop);
        assert_eq!(verdict(&long, on_content), Verdict::Stop);
        assert_eq!(verdict(&refused, on_content), Verdict::Next);
        assert_eq!(verdict(&status(ErrorClass::BadRequest), on_context), Verdict::Stop);
    }

    #[test]
    fn callers_own_errors_blame_nobody() {
        for class in [
            ErrorClass::BadRequest,
            ErrorClass::ContextTooLong,
            ErrorClass::ContentPolicy,
            ErrorClass::NotFound,
            ErrorClass::TooLarge,
        ] {
            assert!(!status(class).blames_target() && !status(class).blames_key(), "{class}");
        }
        assert!(!FailureCause::CallerDeadline.blames_target());
        assert!(!FailureCause::TimedOut(TimeLimit::Total).blames_target());
    }

    #[test]
    fn a_refused_credential_blames_the_key_and_not_the_target() {
        for class in [ErrorClass::Authentication, ErrorClass::Permission, ErrorClass::Billing] {
            assert!(status(class).blames_key() && !status(class).blames_target(), "{class}");
        }
        let none = FailureCause::NoCredential;
        assert!(none.blames_key() && !none.blames_target());
        assert_eq!(verdict(&none, FallbackRules::default()), Verdict::NextKey);
    }
}
