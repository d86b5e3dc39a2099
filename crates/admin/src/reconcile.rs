//! The ledger beside a provider's own figures.
//!
//! Providers tell sums per day and model, so that is what is compared; where a file has one line per request,
//! with the attempt's id, each attempt is compared for itself. Reading and comparing are pure.

mod export;
mod ledger_side;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use weighbridge_units::{AttemptId, Bucket, NanoUsd, Timestamp, Usage, Usd};

pub(crate) use export::Export;
pub use export::{ExportError, ExportFormat};
pub(crate) use ledger_side::LedgerSide;

/// What both sides count. A provider tells some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    Prompt,
    UncachedInput,
    CacheRead,
    CacheWrite,
    CacheWrite5m,
    CacheWrite1h,
    Answer,
    WebSearch,
}

impl Figure {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "input tokens",
            Self::UncachedInput => "uncached input tokens",
            Self::CacheRead => "cache read tokens",
            Self::CacheWrite => "cache write tokens",
            Self::CacheWrite5m => "cache write tokens (5m)",
            Self::CacheWrite1h => "cache write tokens (1h)",
            Self::Answer => "output tokens",
            Self::WebSearch => "web searches",
        }
    }

    /// The same figure of what the ledger has.
    fn of(self, usage: &Usage) -> u64 {
        let sum = |buckets: &[Bucket]| buckets.iter().map(|bucket| usage.get(*bucket)).sum();
        match self {
            Self::Prompt => usage.prompt(),
            Self::UncachedInput => sum(&[Bucket::Input, Bucket::InputAudio, Bucket::ToolPrompt]),
            Self::CacheRead => usage.get(Bucket::CacheRead),
            Self::CacheWrite => sum(&[Bucket::CacheWrite5m, Bucket::CacheWrite1h]),
            Self::CacheWrite5m => usage.get(Bucket::CacheWrite5m),
            Self::CacheWrite1h => usage.get(Bucket::CacheWrite1h),
            Self::Answer => usage.answer(),
            Self::WebSearch => usage.get(Bucket::WebSearch),
        }
    }
}

/// What is compared as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A day, by its number since 1970, and one model or all of them.
    Day(i64, Option<String>),
    /// One attempt.
    Attempt(AttemptId),
}

impl Subject {
    fn shown(&self) -> String {
        match self {
            Self::Day(day, model) => {
                let (year, month, date) = Timestamp::from_secs(day.saturating_mul(86_400)).date();
                let model = model.as_deref().unwrap_or("all models");
                format!("{year:04}-{month:02}-{date:02} {model}")
            }
            Self::Attempt(attempt) => attempt.to_string(),
        }
    }
}

/// What one side says of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Figures {
    pub(crate) counts: BTreeMap<Figure, u64>,
    pub(crate) cost: Option<Usd>,
}

impl Figures {
    /// Adds what another line says of the same subject.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), ExportError> {
        for (figure, count) in &other.counts {
            let sum = self.counts.entry(*figure).or_default();
            *sum = sum.checked_add(*count).ok_or(ExportError::TooLarge)?;
        }
        if let Some(cost) = other.cost {
            let sum = self.cost.unwrap_or_default().plus(cost).map_err(|_| ExportError::TooLarge)?;
            self.cost = Some(sum);
        }
        Ok(())
    }

    fn is_nothing(&self) -> bool {
        self.counts.values().all(|count| *count == 0) && self.cost.is_none_or(|cost| cost == Usd::ZERO)
    }
}

/// How one figure of one subject compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Both say the same: counts exactly, dollars to a nano-dollar.
    Equal,
    /// They differ, and the ledger has an estimate among its entries.
    Estimated,
    /// They differ.
    Different,
    /// Only the export has it.
    MissingInLedger,
    /// Only the ledger has it.
    MissingInExport,
}

impl Verdict {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Estimated => "estimated",
            Self::Different => "DIFFERENT",
            Self::MissingInLedger => "MISSING in the ledger",
            Self::MissingInExport => "MISSING in the export",
        }
    }
}

/// One figure on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReconciledLine {
    /// A day and a model, or an attempt.
    pub subject: String,
    /// What is compared: `input tokens`, `cost USD`, …
    pub figure: &'static str,
    /// What the provider says.
    pub export: String,
    /// What the ledger says.
    pub ledger: String,
    /// How they compare.
    pub verdict: Verdict,
}

/// What comparing came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReconciliationView {
    /// The provider, as the configuration calls it.
    pub provider: String,
    /// Whether nothing differs or is missing but for estimates, and the export is whole.
    pub balanced: bool,
    /// Whether the export is whole: its last page says that no other follows.
    pub complete: bool,
    /// Every figure of every subject, in order.
    pub lines: Vec<ReconciledLine>,
}

impl ReconciliationView {
    /// How many figures have that verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.verdict == verdict).count()
    }
}

/// Compares both sides. `model` tells a model's name.
pub(crate) fn reconcile(
    provider: &str,
    export: &Export,
    ledger: &LedgerSide,
    model: impl Fn(weighbridge_ledger::EntityId) -> String,
) -> Result<ReconciliationView, ExportError> {
    let mut lines = Vec::new();
    for part in export.parts() {
        let mut rest = ledger.grouped(&part, &model)?;
        for (subject, said) in &part.said {
            let found = rest.remove(subject);
            compare(subject, said, found.as_ref(), &mut lines);
        }
        // What the export has days or attempts of, but not these.
        for (subject, found) in rest.iter().filter(|(_, found)| !found.figures.is_nothing()) {
            missing(subject, found, &part.figures(), &mut lines);
        }
    }
    let fails = |line: &ReconciledLine| !matches!(line.verdict, Verdict::Equal | Verdict::Estimated);
    let balanced = export.complete && !lines.iter().any(fails);
    Ok(ReconciliationView { provider: provider.to_owned(), balanced, complete: export.complete, lines })
}

/// What the ledger has of a subject.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) figures: Figures,
    /// Entries whose usage the provider did not report.
    pub(crate) estimates: u64,
}

fn compare(subject: &Subject, said: &Figures, found: Option<&Found>, lines: &mut Vec<ReconciledLine>) {
    let mut line = |figure, export: String, ledger: Option<String>, equal: bool| {
        let verdict = match found {
            None => Verdict::MissingInLedger,
            Some(_) if equal => Verdict::Equal,
            Some(found) if found.estimates > 0 => Verdict::Estimated,
            Some(_) => Verdict::Different,
        };
        let ledger = ledger.unwrap_or_else(|| "–".to_owned());
        lines.push(ReconciledLine { subject: subject.shown(), figure, export, ledger, verdict });
    };
    if found.is_none() && said.is_nothing() {
        return;
    }
    for (figure, count) in &said.counts {
        let ours = found.map(|found| found.figures.counts.get(figure).copied().unwrap_or_default());
        line(figure.as_str(), count.to_string(), ours.map(|ours| ours.to_string()), ours == Some(*count));
    }
    if let Some(cost) = said.cost {
        let ours = found.map(|found| found.figures.cost.unwrap_or_default());
        let equal = ours.is_some_and(|ours| is_near(ours, cost));
        line("cost USD", cost.to_string(), ours.map(|ours| ours.to_string()), equal);
    }
}

/// Providers write sums of costs as floating numbers: equal is what rounds to within a nano-dollar.
fn is_near(ours: Usd, theirs: Usd) -> bool {
    let (Ok(ours), Ok(theirs)) = (ours.post(), theirs.post()) else { return false };
    ours.minus(theirs).is_ok_and(|apart| (-1..=1).contains(&apart.get()))
}

fn missing(
    subject: &Subject,
    found: &Found,
    told: &BTreeSet<Option<Figure>>,
    lines: &mut Vec<ReconciledLine>,
) {
    let mut line = |figure, ledger: String| {
        let (subject, export, verdict) = (subject.shown(), "–".to_owned(), Verdict::MissingInExport);
        // An estimate of what the provider never billed is no gap.
        let verdict = if found.estimates > 0 { Verdict::Estimated } else { verdict };
        lines.push(ReconciledLine { subject, figure, export, ledger, verdict });
    };
    for (figure, count) in found.figures.counts.iter().filter(|(_, count)| **count > 0) {
        if told.contains(&Some(*figure)) {
            line(figure.as_str(), count.to_string());
        }
    }
    let cost = found.figures.cost.unwrap_or_default();
    if told.contains(&None) && cost.post().is_ok_and(|cost| cost != NanoUsd::ZERO) {
        line("cost USD", cost.to_string());
    }
}

/// A model's name without the date of its snapshot: providers are asked for one, and bill the other.
pub(crate) fn family(model: &str) -> &str {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((name, date)) = model.rsplit_once('-')
        && digits(date, 8)
    {
        return name;
    }
    let mut parts = model.rsplitn(4, '-');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(day), Some(month), Some(year), Some(name))
            if digits(day, 2) && digits(month, 2) && digits(year, 4) =>
        {
            name
        }
        _ => model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_belong_to_their_family() {
        for (model, name) in [
            ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("gpt-4o-mini", "gpt-4o-mini"),
            ("o3", "o3"),
            ("claude-haiku-4-5", "claude-haiku-4-5"),
            ("2024-07-18", "2024-07-18"),
        ] {
            assert_eq!(family(model), name);
        }
    }
}
