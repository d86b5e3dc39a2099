use std::fmt;
use std::time::Duration;

use thiserror::Error;
use weighbridge_units::NanoUsd;

/// Which limit is meant. The names are those of `x-gateway-limit-kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Requests per minute.
    Rpm,
    /// Tokens per minute.
    Tpm,
    /// Requests at once.
    Concurrency,
    /// Money per minute.
    UsdPerMinute,
}

impl LimitKind {
    /// The name in headers, metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rpm => "rpm",
            Self::Tpm => "tpm",
            Self::Concurrency => "concurrency",
            Self::UsdPerMinute => "usd-per-minute",
        }
    }

    /// So many units of the limit, in words.
    pub fn amount(self, units: u64) -> String {
        match self {
            Self::Rpm => format!("{units} requests per minute"),
            Self::Tpm => format!("{units} tokens per minute"),
            Self::Concurrency => format!("{units} requests at once"),
            Self::UsdPerMinute => {
                format!("{} USD per minute", NanoUsd::new(i64::try_from(units).unwrap_or(i64::MAX)))
            }
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitOwner {
    /// The key's.
    Key,
    /// That of the key's team.
    Team,
    /// That of the key's organisation.
    Organisation,
    /// That of the model that is asked for.
    Model,
    /// That of one model at one provider.
    Deployment,
}

impl fmt::Display for LimitOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::Organisation => "organisation",
            Self::Model => "model",
            Self::Deployment => "deployment",
        })
    }
}

/// A limit has no room. Nothing was taken from any limit (rule R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the {whose}'s limit of {limit} has room for {remaining} and this request needs {needed}: {advice}",
    limit = self.kind.amount(self.limit),
    advice = if self.can_never_pass() { "make it smaller or ask for a higher limit" } else { "wait and try again" }
)]
pub struct LimitRefusal {
    /// Which limit.
    pub kind: LimitKind,
    /// Whose.
    pub whose: LimitOwner,
    /// When it is worth trying again.
    pub retry_after: Duration,
    /// Units that the limit allows; of money, nano-dollars.
    pub limit: u64,
    /// Units that were left.
    pub remaining: u64,
    /// Units that the request needs.
    pub needed: u64,
}

impl LimitRefusal {
    /// Whether the request needs more than the limit ever holds, so that waiting does not help.
    pub const fn can_never_pass(&self) -> bool {
        self.needed > self.limit
    }
}
