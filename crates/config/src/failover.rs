//! `[providers.NAME.health]` and what a model says of failover: what is said of it, and what that means.

use std::time::Duration;

use weighbridge_catalogue::near;
use weighbridge_pipeline::settings::{
    FailoverSettings, HEDGES_MOST, HealthSettings, HedgeAfter, HedgeSettings, ProbeSettings, SHADOWS_MOST,
    ShadowSettings,
};
use weighbridge_routing::{FallbackRules, HealthPolicy};

use crate::duration;
use crate::keys;
use crate::problem::Problems;
use crate::reader::{Given, Mismatch, Reader, Table};

const PROBE_EVERY: Duration = Duration::from_secs(10);

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
    probe: Given<String>,
    probe_every: Given<Duration>,
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
            probe: reader.parsed(table, "probe", probe_path),
            probe_every: reader.duration(table, "probe_every"),
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
        let every = said_or(&self.probe_every, PROBE_EVERY);
        let probe = self.probe.said().map(|said| ProbeSettings { path: said.value.as_str().into(), every });
        HealthSettings { policy, probe }
    }
}

/// What `[models.NAME]` says of failover.
pub(crate) struct SaidFailover {
    on_error: Given<bool>,
    on_rate_limit: Given<bool>,
    on_context: Given<bool>,
    on_content: Given<bool>,
    max_outliers_percent: Given<u64>,
    hedge: Option<SaidHedge>,
    shadow: Option<SaidShadow>,
    resume: Given<bool>,
}

struct SaidHedge {
    after: Given<HedgeAfter>,
    most: Given<u64>,
}

struct SaidShadow {
    span: Option<std::ops::Range<usize>>,
    to: Given<String>,
    share: Given<u32>,
    most: Given<u64>,
}

impl SaidFailover {
    pub(crate) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            on_error: reader.flag(table, "fallback_on_error"),
            on_rate_limit: reader.flag(table, "fallback_on_rate_limit"),
            on_context: reader.flag(table, "fallback_on_context"),
            on_content: reader.flag(table, "fallback_on_content"),
            max_outliers_percent: reader.integer(table, "max_outliers_percent", 0..=100),
            hedge: reader.table(table, "hedge", &keys::HEDGE).map(|hedge| SaidHedge {
                after: reader.parsed(&hedge, "after", hedge_after),
                most: reader.integer(&hedge, "most", 1..=u64::from(HEDGES_MOST)),
            }),
            shadow: reader.table(table, "shadow", &keys::SHADOW).map(|shadow| SaidShadow {
                span: table.span_of("shadow"),
                to: reader.text(&shadow, "to"),
                share: reader.parsed(&shadow, "share", permille),
                most: reader.integer(&shadow, "most", 1..=10_000),
            }),
            resume: reader.flag(table, "resume"),
        }
    }

    /// What it means in a file that has these models and providers.
    pub(crate) fn settings(
        &self,
        models: &[&str],
        providers: &[&str],
        problems: &mut Problems,
    ) -> FailoverSettings {
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
            hedge: self.hedge.as_ref().map(|hedge| HedgeSettings {
                after: said_or(&hedge.after, HedgeAfter::Percentile(95)),
                most: u32::try_from(said_or(&hedge.most, 1)).unwrap_or(1),
            }),
            shadow: self.shadow.as_ref().and_then(|shadow| shadow.settings(models, providers, problems)),
            resume: said_or(&self.resume, usual.resume),
        }
    }
}

impl SaidShadow {
    fn settings(
        &self,
        models: &[&str],
        providers: &[&str],
        problems: &mut Problems,
    ) -> Option<ShadowSettings> {
        if (self.to.is_absent() || self.share.is_absent())
            && let Some(span) = &self.span
        {
            problems
                .at(span.clone(), "`shadow` needs `to`, a model, and `share`, how many requests are copied")
                .hint(r#"write it like this: shadow = { to = "openai/gpt-4o", share = "5%" }"#);
        }
        let (to, share) = (self.to.said()?, self.share.said()?);
        let is_direct =
            to.value.split_once('/').is_some_and(|(at, model)| providers.contains(&at) && !model.is_empty());
        if !is_direct && !models.contains(&to.value.as_str()) {
            let hint = match near(&to.value, models.iter().copied()).first() {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name a model of this file, or write provider/model".to_owned(),
            };
            problems.at(to.span.clone(), format!("there is no model `{}`", to.value)).hint(hint);
        }
        let most = usize::try_from(said_or(&self.most, SHADOWS_MOST as u64)).unwrap_or(SHADOWS_MOST);
        Some(ShadowSettings { to: to.value.as_str().into(), permille: share.value, most })
    }
}

/// A path of visible characters behind the base URL.
fn probe_path(text: &str) -> Result<String, Mismatch> {
    let fits = text.starts_with('/') && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic());
    let mismatch = || Mismatch::new("a path").with_hint("write \"/models\", or any other that costs nothing");
    if fits { Ok(text.to_owned()) } else { Err(mismatch()) }
}

/// `p95`, or a time.
fn hedge_after(text: &str) -> Result<HedgeAfter, Mismatch> {
    let percent = text.strip_prefix('p').and_then(|percent| percent.parse().ok());
    match percent.filter(|percent| (50..=99).contains(percent)) {
        Some(percent) => Ok(HedgeAfter::Percentile(percent)),
        None => duration::parse(text, duration::LONGEST)
            .map(HedgeAfter::Time)
            .ok_or_else(|| Mismatch::new("a percentile from p50 to p99, or a duration such as 800ms")),
    }
}

/// `5%`, `0.5%`: in thousandths.
fn permille(text: &str) -> Result<u32, Mismatch> {
    let why = || Mismatch::new("a share such as 5% or 0.5%, above zero and at most 100%");
    let number = text.strip_suffix('%').ok_or_else(why)?;
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    let (Some(whole), Some(tenth), 1) = (digits(whole), digits(tenth), tenth.len()) else {
        return Err(why());
    };
    let permille = whole.saturating_mul(10).saturating_add(tenth);
    if (1..=1_000).contains(&permille) { Ok(permille) } else { Err(why()) }
}

fn said_or<T: Copy>(given: &Given<T>, usual: T) -> T {
    given.said().map_or(usual, |said| said.value)
}
