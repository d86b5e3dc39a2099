//! What is told of health, failover, hedging and copies.

use std::sync::Arc;
use std::time::Duration;

use weighbridge_routing::{FallbackRules, HealthPolicy};

/// How the health of a provider's models is judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthSettings {
    /// When a model of it is benched, and for how long. Where this changes at a reload, its models start afresh.
    pub policy: HealthPolicy,
    /// Asks it whether it is back while a model of it is benched; `None` leaves that to requests.
    pub probe: Option<ProbeSettings>,
}

/// A question that costs nothing, to a provider of which a model is benched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSettings {
    /// What is fetched (`GET`), behind the provider's base URL, such as `/models`.
    pub path: Arc<str>,
    /// How often, at most once a second.
    pub every: Duration,
}

/// What follows failures and delays of a route's targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverSettings {
    /// What the fallbacks serve.
    pub rules: FallbackRules,
    /// The share of the targets, in percent, that may be benched at once for their share of failures; one always may.
    pub outliers_percent: u32,
    /// A further attempt at another target where the first is slow; `None` makes none.
    pub hedge: Option<HedgeSettings>,
    /// A copy of some requests to another model, whose answers nobody gets; `None` makes none.
    pub shadow: Option<ShadowSettings>,
    /// Whether a stream that breaks off is continued by another target, where one can.
    pub resume: bool,
}

impl Default for FailoverSettings {
    fn default() -> Self {
        Self {
            rules: FallbackRules::default(),
            outliers_percent: 50,
            hedge: None,
            shadow: None,
            resume: false,
        }
    }
}

/// When a further attempt is made beside a slow one. Whoever has content first answers, and the others are
/// cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgeSettings {
    /// How long the first content may take until then.
    pub after: HedgeAfter,
    /// Further attempts per request, each after as long again: 1 to [`HEDGES_MOST`].
    pub most: u32,
}

/// The most further attempts that a request may have beside its first.
pub const HEDGES_MOST: u32 = 3;

/// How long the first content may take until another target is asked as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// As long as so many percent of the route's latest answers have taken, 50 to 99. Nothing is hedged until enough
    /// of them are known ([`FirstContent`](weighbridge_routing::FirstContent)).
    Percentile(u32),
    /// So long.
    Time(Duration),
}

/// Copies of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowSettings {
    /// The model that gets them: a route, or `provider/model`.
    pub to: Arc<str>,
    /// How many of a thousand requests are copied.
    pub permille: u32,
    /// Copies of this route that run at once; further ones are not made.
    pub most: usize,
}

/// Copies that run at once, where the configuration does not say.
pub const SHADOWS_MOST: usize = 16;
