use std::fmt;

/// How one attempt at a provider ended. The charge is a function of this (rule A2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// A whole answer was received.
    Success,
    /// The client went away while the provider was working.
    ClientLeft,
    /// The provider refused the request (4xx), or failed before any output.
    FailedBeforeOutput,
    /// The answer broke after output had begun: cut, malformed, or an error in mid-stream.
    FailedMidStream,
    /// No byte, or no further byte, came in time.
    TimedOut,
    /// Another attempt of the same request won.
    LostHedge,
    /// A copy of a request, whose answer nobody gets; however it ended.
    Shadow,
    /// The gateway died, or lost track of the attempt, after it was dispatched.
    Crashed,
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::ClientLeft,
        Self::FailedBeforeOutput,
        Self::FailedMidStream,
        Self::TimedOut,
        Self::LostHedge,
        Self::Shadow,
        Self::Crashed,
    ];

    /// The name in metrics, records and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ClientLeft => "client-left",
            Self::FailedBeforeOutput => "failed-before-output",
            Self::FailedMidStream => "failed-mid-stream",
            Self::TimedOut => "timed-out",
            Self::LostHedge => "lost-hedge",
            Self::Shadow => "shadow",
            Self::Crashed => "crashed",
        }
    }

    /// Whether the tenant pays for the attempt's usage.
    pub const fn tenant_pays(self) -> bool {
        matches!(self, Self::Success | Self::ClientLeft)
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a usage figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provenance {
    /// The provider told it.
    Reported,
    /// Counted by us with the model's own tokeniser.
    Tokenised,
    /// A bound or guess, because nobody told.
    Estimated,
}

impl Provenance {
    /// The name in records and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Tokenised => "tokenised",
            Self::Estimated => "estimated",
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
