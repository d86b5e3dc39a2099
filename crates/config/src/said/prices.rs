//! Prices, and what happens where there are none.

use std::ops::Range;
use std::time::Duration;

use weighbridge_access::Cidr;
use weighbridge_pipeline::settings::{CountAlarm, UnknownModel};
use weighbridge_pricing::{COUNT_LIMIT, Factor};
use weighbridge_units::Timestamp;

use super::cidr;
use crate::duration;
use crate::keys;
use crate::markup::{Kind, SaidMarkup};
use crate::reader::{Given, Item, Mismatch, Reader, Said, Table};

#[derive(Default)]
pub(crate) struct Prices {
    pub(crate) files: Given<Vec<Said<String>>>,
    pub(crate) builtin: Given<bool>,
    pub(crate) unknown_model: Given<Unknown>,
    pub(crate) overrides: Given<Vec<PriceOverride>>,
    pub(crate) updates: Given<String>,
    pub(crate) refresh: Option<PriceRefresh>,
    pub(crate) markup: SaidMarkup,
    pub(crate) surcharge: SaidMarkup,
}

/// What happens to a model without a price.
pub(crate) enum Unknown {
    As(UnknownModel),
    /// It costs what this says, by bucket.
    Rates(Vec<(String, String)>),
}

pub(crate) struct PriceOverride {
    /// Where the entry stands.
    pub(crate) span: Range<usize>,
    pub(crate) provider: Given<String>,
    pub(crate) model: Given<String>,
    pub(crate) tier: Given<String>,
    pub(crate) above: Given<u64>,
    pub(crate) variant: Given<String>,
    pub(crate) from: Given<Option<Timestamp>>,
    pub(crate) source: Given<String>,
    pub(crate) rates: Given<Vec<(Said<String>, Said<String>)>>,
}

pub(crate) struct PriceRefresh {
    pub(crate) span: Range<usize>,
    pub(crate) url: Given<String>,
    pub(crate) every: Given<Duration>,
    pub(crate) max_jump: Given<Factor>,
    pub(crate) allowed_networks: Given<Vec<Said<Cidr>>>,
}

impl Prices {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let refresh = reader.table(table, "refresh", &keys::PRICE_REFRESH);
        let markup = reader.table(table, "markup", &keys::MARKUP);
        let surcharge = reader.table(table, "surcharge", &keys::SURCHARGE);
        Self {
            markup: markup.map(|markup| SaidMarkup::read(reader, &markup, Kind::Markup)).unwrap_or_default(),
            surcharge: surcharge
                .map(|surcharge| SaidMarkup::read(reader, &surcharge, Kind::Surcharge))
                .unwrap_or_default(),
            files: reader.list(table, "files", |text| Ok(text.to_owned())),
            builtin: reader.flag(table, "builtin"),
            unknown_model: Unknown::read(reader, table),
            overrides: PriceOverride::read_all(reader, table),
            updates: reader.text(table, "updates"),
            refresh: refresh.map(|refresh| {
                let span = table.span_of("refresh").unwrap_or_default();
                PriceRefresh::read(reader, span, &refresh)
            }),
        }
    }
}

impl Unknown {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Given<Self> {
        const NAME: &str = "unknown_model";
        if table.holds_table(NAME) {
            return reader.pairs(table, NAME).map(|rates| {
                Self::Rates(rates.into_iter().map(|(bucket, rate)| (bucket.value, rate.value)).collect())
            });
        }
        let unknown = [("refuse", UnknownModel::Refuse), ("zero-and-flag", UnknownModel::ZeroAndFlag)];
        reader.choice(table, NAME, &unknown).map(Self::As)
    }
}

impl PriceOverride {
    fn read_all(reader: &mut Reader<'_>, table: &Table<'_>) -> Given<Vec<Self>> {
        let items = reader.items(table, "overrides", &keys::PRICE_OVERRIDE);
        let wrong = |given: &Given<_>| matches!(given, Given::Wrong);
        if wrong(&items) {
            return Given::Wrong;
        }
        let mut overrides = Vec::new();
        let mut is_wrong = false;
        let Given::Said(items) = items else { return Given::Absent };
        for (span, item) in items.value {
            match item {
                Item::Table(entry) => overrides.push(Self::read(reader, span, &entry)),
                Item::Text(_) => {
                    is_wrong = true;
                    reader.problems.at(span, "an override of a price is a table").hint(
                        r#"write it like this: { provider = "openai", model = "gpt-4o-mini", rates = { input = "0.12", output = "0.48" } }"#,
                    );
                }
            }
        }
        if is_wrong { Given::Wrong } else { Given::Said(Said { value: overrides, span: items.span }) }
    }

    pub(super) fn read(reader: &mut Reader<'_>, span: Range<usize>, table: &Table<'_>) -> Self {
        Self {
            span,
            provider: reader.text(table, "provider"),
            model: reader.text(table, "model"),
            tier: reader.text(table, "tier"),
            above: reader.integer(table, "above", 1..=COUNT_LIMIT - 1),
            variant: reader.text(table, "variant"),
            from: reader.parsed(table, "from", price_instant),
            source: reader.text(table, "source"),
            rates: reader.pairs(table, "rates"),
        }
    }
}

impl PriceRefresh {
    pub(super) fn read(reader: &mut Reader<'_>, span: Range<usize>, table: &Table<'_>) -> Self {
        Self {
            span,
            url: reader.parsed(table, "url", fetched_url),
            every: reader.parsed(table, "every", |text| {
                duration::parse(text, REFRESH_MOST)
                    .filter(|every| *every >= REFRESH_LEAST)
                    .ok_or_else(|| Mismatch::new("a duration such as 6h or 1d, from 1m to 366d"))
            }),
            max_jump: reader.parsed(table, "max_jump", |text| {
                let why = "a factor above 1 and at most 1000, such as 2 or 1.5";
                text.parse()
                    .ok()
                    .filter(|factor: &Factor| factor.is_above_one())
                    .ok_or_else(|| Mismatch::new(why))
            }),
            allowed_networks: reader.list(table, "allowed_networks", cidr),
        }
    }
}

/// When a provider's counts of tokens raise an alarm.
#[derive(Default)]
pub(crate) struct SaidCountAlarm {
    enabled: Given<bool>,
    ratio: Given<u64>,
    minimum: Given<u64>,
}

impl SaidCountAlarm {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            enabled: reader.flag(table, "enabled"),
            ratio: reader.integer(table, "ratio", 2..=1_000_000),
            minimum: reader.integer(table, "minimum", 1..=COUNT_LIMIT),
        }
    }

    /// What is meant: the default, but for what is said.
    pub(crate) fn alarm(&self) -> Option<CountAlarm> {
        let default = CountAlarm::default();
        let is_on = self.enabled.said().is_none_or(|said| said.value);
        is_on.then(|| CountAlarm {
            ratio: self.ratio.said().map_or(default.ratio, |said| said.value),
            minimum: self.minimum.said().map_or(default.minimum, |said| said.value),
        })
    }
}

/// How often prices may be fetched.
const REFRESH_LEAST: Duration = Duration::from_secs(60);

const REFRESH_MOST: Duration = Duration::from_secs(366 * 86_400);

/// From when on a price holds: `start`, a day, or a second of it.
fn price_instant(text: &str) -> Result<Option<Timestamp>, Mismatch> {
    let why = "a day such as 2026-12-01, a second such as 2026-12-01T09:00:00Z, or `start`";
    match text {
        "start" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| Mismatch::new(why)),
    }
}

pub(super) fn fetched_url(text: &str) -> Result<String, Mismatch> {
    let fits = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
    if fits { Ok(text.to_owned()) } else { Err(Mismatch::new("an http or https address")) }
}
