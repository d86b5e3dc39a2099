//! What is told of health and failover.

use weighbridge_routing::{FallbackRules, HealthPolicy};

/// How the health of a provider's models is judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthSettings {
    /// When a model of it is benched, and for how long. Where this changes at a reload, its models start afresh.
    pub policy: HealthPolicy,
}

/// What follows failures of a route's targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverSettings {
    /// What the fallbacks serve.
    pub rules: FallbackRules,
    /// The share of the targets, in percent, that may be benched at once for their share of failures; one always may.
    pub outliers_percent: u32,
}

impl Default for FailoverSettings {
    fn default() -> Self {
        Self { rules: FallbackRules::default(), outliers_percent: 50 }
    }
}
