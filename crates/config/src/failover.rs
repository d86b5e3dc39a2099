//! `[providers.NAME.health]` and what a model says of failover: what is said of it, and what that means.

use std::time::Duration;

use weighbridge_pipeline::settings::{FailoverSettings, HealthSettings};
use weighbridge_routing::{FallbackRules, HealthPolicy};

use crate::duration;
use crate::problem::Problems;
use crate::reader::{Given, Reader, Table};

/// `[providers.NAME.health]`
#[derive(Default)]
pub(crate) struct SaidHealth {
    consecutive_failures: Given<u64>,
    minimum_volume: Given<u64>,
    failure_percent: Given<u64>,
    window: Given<Duration>,
    cool_down: Given<Duration>,
    max_cool_down: Given<Duration>,
    jitter_percent: Given<u64>,
    max_retry_after: Given<Duration>,
    limits_per_key: Given<bool>,
}

impl SaidHealth {
    pub(crate) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            consecutive_failures: reader.integer(table, "consecutive_failures", 1..=1_000_000),
            minimum_volume: reader.integer(table, "minimum_volume", 1..=1_000_000),
            failure_percent: reader.integer(table, "failure_percent", 1..=100),
            window: reader.duration(table, "window"),
            cool_down: reader.duration(table, "cool_down"),
            max_cool_down: reader.duration(table, "max_cool_down"),
            jitter_percent: reader.integer(table, "jitter_percent", 0..=100),
            max_retry_after: reader.duration(table, "max_retry_after"),
            limits_per_key: reader.flag(table, "limits_per_key"),
        }
    }

    pub(crate) fn settings(&self, problems: &mut Problems) -> HealthSettings {
        let usual = HealthPolicy::default();
        let number =
            |given: &Given<u64>, usual| said_or(given, u64::from(usual)).try_into().unwrap_or(u32::MAX);
        let policy = HealthPolicy {
            consecutive_failures: number(&self.consecutive_failures, usual.consecutive_failures),
            minimum_volume: number(&self.minimum_volume, usual.minimum_volume),
            failure_percent: number(&self.failure_percent, usual.failure_percent),
            window: said_or(&self.window, usual.window),
            cool_down: said_or(&self.cool_down, usual.cool_down),
            cool_down_cap: said_or(&self.max_cool_down, usual.cool_down_cap),
            jitter_percent: number(&self.jitter_percent, usual.jitter_percent),
            retry_after_cap: said_or(&self.max_retry_after, usual.retry_after_cap),
            limit_per_key: said_or(&self.limits_per_key, usual.limit_per_key),
        };
        if policy.cool_down > policy.cool_down_cap
            && let Some(said) = self.cool_down.said()
        {
            let cap = duration::display(policy.cool_down_cap);
            let message = format!("`cool_down` is longer than `max_cool_down`, which is {cap}");
            problems.at(said.span.clone(), message).hint("shorten it, or raise `max_cool_down`");
        }
        HealthSettings { policy }
    }
}

/// What `[models.NAME]` says of failover.
pub(crate) struct SaidFailover {
    on_error: Given<bool>,
    on_rate_limit: Given<bool>,
    on_context: Given<bool>,
    on_content: Given<bool>,
    max_outliers_percent: Given<u64>,
}

impl SaidFailover {
    pub(crate) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            on_error: reader.flag(table, "fallback_on_error"),
            on_rate_limit: reader.flag(table, "fallback_on_rate_limit"),
            on_context: reader.flag(table, "fallback_on_context"),
            on_content: reader.flag(table, "fallback_on_content"),
            max_outliers_percent: reader.integer(table, "max_outliers_percent", 0..=100),
        }
    }

    pub(crate) fn settings(&self) -> FailoverSettings {
        let usual = FailoverSettings::default();
        let outliers = said_or(&self.max_outliers_percent, u64::from(usual.outliers_percent));
        FailoverSettings {
            rules: FallbackRules {
                on_error: said_or(&self.on_error, usual.rules.on_error),
                on_rate_limit: said_or(&self.on_rate_limit, usual.rules.on_rate_limit),
                on_context: said_or(&self.on_context, usual.rules.on_context),
                on_content: said_or(&self.on_content, usual.rules.on_content),
            },
            outliers_percent: u32::try_from(outliers).unwrap_or(100),
        }
    }
}

fn said_or<T: Copy>(given: &Given<T>, usual: T) -> T {
    given.said().map_or(usual, |said| said.value)
}
