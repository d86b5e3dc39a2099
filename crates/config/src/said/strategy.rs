//! How a model's targets are chosen.

use std::time::Duration;

use http::HeaderName;
use weighbridge_pipeline::settings::{AffinityBy, LatencyOf};

use crate::duration;
use crate::reader::{Given, Mismatch, Reader, Said, Table};

/// A strategy as the file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StrategyName {
    WeightedRoundRobin,
    Random,
    LeastLatency,
    LeastBusy,
    LowestCost,
    Headroom,
    Sticky,
    Split,
}

impl StrategyName {
    pub(crate) const ALL: [(&'static str, Self); 8] = [
        ("weighted-round-robin", Self::WeightedRoundRobin),
        ("random", Self::Random),
        ("least-latency", Self::LeastLatency),
        ("least-busy", Self::LeastBusy),
        ("lowest-cost", Self::LowestCost),
        ("headroom", Self::Headroom),
        ("sticky", Self::Sticky),
        ("split", Self::Split),
    ];
}

pub(crate) struct Strategy {
    pub(crate) order: Given<Vec<Said<StrategyName>>>,
    pub(crate) affinity: Given<AffinityBy>,
    /// `None` is `off`.
    pub(crate) sticky_ttl: Given<Option<Duration>>,
    pub(crate) sticky_load_percent: Given<u64>,
    pub(crate) latency_of: Given<LatencyOf>,
}

impl Strategy {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            order: reader.choices(table, "strategy", &StrategyName::ALL),
            affinity: reader.parsed(table, "affinity", affinity),
            sticky_ttl: reader.parsed(table, "sticky_ttl", |text| match text {
                "off" => Ok(None),
                text => duration::parse(text, duration::LONGEST).map(Some).ok_or_else(|| {
                    let longest = duration::display(duration::LONGEST);
                    Mismatch::new(format!("`off` or a duration such as 5m, at most {longest}"))
                }),
            }),
            sticky_load_percent: reader.integer(table, "sticky_load_percent", 100..=10_000),
            latency_of: reader.choice(
                table,
                "latency_of",
                &[("answer", LatencyOf::Answer), ("first-token", LatencyOf::FirstToken)],
            ),
        }
    }
}

fn affinity(text: &str) -> Result<AffinityBy, Mismatch> {
    match text {
        "prefix" => return Ok(AffinityBy::Prefix),
        "key" => return Ok(AffinityBy::Key),
        "user" => return Ok(AffinityBy::User),
        _ => {}
    }
    let name = text.strip_prefix("header:").and_then(|name| HeaderName::try_from(name).ok());
    name.map(AffinityBy::Header)
        .ok_or_else(|| Mismatch::new("one of `prefix`, `key`, `user`, or `header:` and a header's name"))
}
