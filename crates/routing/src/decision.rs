use weighbridge_units::{ErrorClass, Monotonic};

use crate::choice::Choice;
use crate::target_set::TargetIndex;

/// Why a target was not chosen, though the route names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exclusion {
    /// Its weight is 0.
    Drained,
    /// Its breaker is open.
    Benched {
        /// The end of the cool-down.
        until: Monotonic,
    },
    /// It asked to be left alone.
    LeftAlone {
        /// The end of its `retry-after`.
        until: Monotonic,
        /// A rate limit, or overload.
        class: ErrorClass,
    },
    /// Its provider said that nothing is left of its limits.
    Exhausted {
        /// Until they are full again.
        until: Monotonic,
    },
    /// It is a fallback, and the route's fallbacks do not serve what happened.
    OnlyPrimaries,
    /// Every credential of its provider is benched, or was tried by this request.
    NoKey,
    /// The request's failure is one that only fallbacks may serve.
    OnlyFallbacks,
    /// The caller rejected it.
    Rejected(Rejection),
}

/// Why the caller of a plan rejected a target before sending anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The key may not use the model.
    Access,
    /// Only credentials of the caller's own may be used, and there is none for the provider.
    OwnKey,
    /// No price is known.
    Price,
    /// The budget has no room for its worst cost.
    Budget,
    /// One of its limits per minute, or of requests at once, has no room.
    Limit,
    /// A guard forbids it.
    Guard,
    /// It lies outside of the regions that the request may go to.
    Residency,
    /// The translation would lose what the caller wants kept.
    Loss,
    /// The request does not fit: context window, capabilities.
    Misfit,
}

impl Exclusion {
    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Benched { .. } => "benched",
            Self::LeftAlone { .. } => "left-alone",
            Self::Exhausted { .. } => "exhausted",
            Self::OnlyPrimaries => "only-primaries",
            Self::NoKey => "no-key",
            Self::OnlyFallbacks => "only-fallbacks",
            Self::Rejected(rejection) => rejection.as_str(),
        }
    }
}

impl Rejection {
    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::OwnKey => "own-key",
            Self::Price => "price",
            Self::Budget => "budget",
            Self::Limit => "limit",
            Self::Guard => "guard",
            Self::Residency => "residency",
            Self::Loss => "loss",
            Self::Misfit => "misfit",
        }
    }
}

/// How a request was routed, beside its attempts: kept with its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The strategy that chose the first target, or would have, had there been a choice.
    pub strategy: &'static str,
    /// How the first target was chosen, where there were several.
    pub choice: Option<Choice>,
    /// The targets that were passed over, in the order in which that was found out. One that was
    /// benched at first may have been tried later, for want of another.
    pub excluded: Vec<(TargetIndex, Exclusion)>,
    /// Whether the retry budget ended the request's tries.
    pub retries_refused: bool,
}
