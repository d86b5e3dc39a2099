//! What strategies mean together, and with the keys that belong to them.

use std::time::Duration;

use weighbridge_pipeline::settings::{AffinityBy, StrategyKind, StrategySettings};

use crate::problem::Problems;
use crate::reader::{Given, Said};
use crate::said::{Strategy, StrategyName};

/// How long a place is remembered where nothing is said: what Anthropic's cache lives for without use, and OpenAI's at
/// least. <https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>,
/// <https://platform.openai.com/docs/guides/prompt-caching>
const STICKY_TTL: Duration = Duration::from_secs(300);
const STICKY_LOAD_PERCENT: u32 = 125;

pub(crate) fn settings(said: &Strategy, problems: &mut Problems) -> StrategySettings {
    let order = said.order.said().map_or(&[][..], |said| &said.value);
    if let Some(said) = said.order.said().filter(|said| said.value.is_empty()) {
        problems.at(said.span.clone(), "no strategy is named").hint("leave it out for weighted round robin");
    }
    check_order(order, problems);
    let has = |name| order.iter().any(|said| said.value == name);
    if !said.order.is_wrong() {
        let by_affinity = has(StrategyName::Sticky) || has(StrategyName::Split);
        needs(&said.affinity, "affinity", by_affinity, "`sticky` or `split`", problems);
        needs(&said.sticky_ttl, "sticky_ttl", has(StrategyName::Sticky), "`sticky`", problems);
        let name = "sticky_load_percent";
        needs(&said.sticky_load_percent, name, has(StrategyName::Sticky), "`sticky`", problems);
        needs(&said.latency_of, "latency_of", has(StrategyName::LeastLatency), "`least-latency`", problems);
    }
    let usual = if has(StrategyName::Split) { AffinityBy::Key } else { AffinityBy::Prefix };
    StrategySettings {
        order: order.iter().map(|name| kind(name.value, said)).collect(),
        affinity: said.affinity.said().map_or(usual, |said| said.value.clone()),
    }
}

fn kind(name: StrategyName, said: &Strategy) -> StrategyKind {
    match name {
        StrategyName::WeightedRoundRobin => StrategyKind::WeightedRoundRobin,
        StrategyName::Random => StrategyKind::Random,
        StrategyName::LeastLatency => {
            StrategyKind::LeastLatency(said.latency_of.said().map(|said| said.value).unwrap_or_default())
        }
        StrategyName::LeastBusy => StrategyKind::LeastBusy,
        StrategyName::LowestCost => StrategyKind::LowestCost,
        StrategyName::Headroom => StrategyKind::Headroom,
        StrategyName::Sticky => {
            let percent = said.sticky_load_percent.said().and_then(|said| u32::try_from(said.value).ok());
            StrategyKind::Sticky {
                ttl: said.sticky_ttl.said().map_or(Some(STICKY_TTL), |said| said.value),
                load_percent: percent.unwrap_or(STICKY_LOAD_PERCENT),
            }
        }
        StrategyName::Split => StrategyKind::Split,
    }
}

/// Each strategy must be one that is asked, and asked once.
fn check_order(order: &[Said<StrategyName>], problems: &mut Problems) {
    let written = |name: StrategyName| {
        StrategyName::ALL.iter().find(|(_, known)| *known == name).map_or("", |(text, _)| text)
    };
    for (at, Said { value, span }) in order.iter().enumerate() {
        let mut earlier = order.iter().take(at).map(|said| said.value);
        let text = written(*value);
        if earlier.clone().any(|other| other == *value) {
            problems.at(span.clone(), format!("`{text}` is named twice")).hint("name it once");
        } else if let Some(last) = earlier.clone().find(|other| leaves_one(*other)) {
            problems
                .at(span.clone(), format!("`{text}` is never asked: `{}` leaves one target", written(last)))
                .hint(format!("write `{}` last, or leave it out", written(last)));
        } else if by_affinity(*value)
            && let Some(other) = earlier.find(|other| by_affinity(*other))
        {
            problems
                .at(
                    span.clone(),
                    format!("`{text}` is never asked: `{}` goes by affinity too", written(other)),
                )
                .hint("keep one of the two");
        }
    }
}

fn leaves_one(name: StrategyName) -> bool {
    matches!(name, StrategyName::WeightedRoundRobin | StrategyName::Random)
}

/// They leave one target where there is an affinity value, and else have no opinion.
fn by_affinity(name: StrategyName) -> bool {
    matches!(name, StrategyName::Sticky | StrategyName::Split)
}

/// A key that means something only beside certain strategies.
fn needs<T>(given: &Given<T>, key: &str, is_there: bool, strategies: &str, problems: &mut Problems) {
    if let Some(said) = given.said().filter(|_| !is_there) {
        problems
            .at(said.span.clone(), format!("`{key}` means nothing here: no strategy is {strategies}"))
            .hint(format!("leave it out, or name {strategies} under `strategy`"));
    }
}
