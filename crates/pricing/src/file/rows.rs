use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;
use weighbridge_units::Bucket;

use super::fields::{Fields, Notes};
use crate::card::Bracket;
use crate::rate::{COUNT_LIMIT, Rate};
use crate::tier::ServiceTier;

/// The rates of a tier: for any prompt, and for prompts above thresholds, lowest first.
pub(super) type Brackets = (Bracket, Vec<Bracket>);

/// What a row says of a bucket.
#[derive(Clone, Copy)]
enum Stated {
    Nothing,
    /// Something that is not a rate, which has been noted.
    Wrongly,
    As(Rate),
}

impl Stated {
    fn rate(self) -> Option<Rate> {
        match self {
            Self::As(rate) => Some(rate),
            Self::Nothing | Self::Wrongly => None,
        }
    }
}

/// One row of `rates`: a service tier, perhaps a context tier, and the rates that hold there.
pub(super) struct Row {
    tier: ServiceTier,
    above: u64,
    rates: [Stated; Bucket::ALL.len()],
    span: Range<usize>,
}

impl Row {
    /// Reads a row; `None` where a mistake makes it useless, which is noted.
    pub(super) fn read(mut fields: Fields<'_, '_>, notes: &mut Notes<'_>) -> Option<Self> {
        let span = fields.place();
        let tier = fields.text("tier", notes).and_then(|name| {
            let tier = ServiceTier::from_name(name);
            if tier.is_none() {
                let known = ServiceTier::ALL.map(ServiceTier::as_str).join("`, `");
                notes.add(span.clone(), format!("there is no tier `{name}`: there are `{known}`"));
            }
            tier
        });
        let above = match fields.optional("above") {
            Some(value) => threshold(value, notes),
            None => Some(0),
        };
        if let Some(source) = fields.optional("source") {
            check_source(source, notes);
        }
        let rates = Bucket::ALL.map(|bucket| {
            let Some(value) = fields.optional(bucket.as_str()) else { return Stated::Nothing };
            rate(bucket, value, notes).map_or(Stated::Wrongly, Stated::As)
        });
        fields.finish("a row of `rates`", notes);
        Some(Self { tier: tier?, above: above?, rates, span })
    }
}

/// Rows put together by tier, and checked against each other.
pub(super) fn by_tier(mut rows: Vec<Row>, notes: &mut Notes<'_>) -> Vec<(ServiceTier, Brackets)> {
    rows.sort_by_key(|row| (row.tier, row.above));
    rows.chunk_by(|one, next| one.tier == next.tier)
        .filter_map(|rows| Some((rows.first()?.tier, brackets(rows, notes)?)))
        .collect()
}

/// The brackets of one tier, from its rows, lowest first.
fn brackets(rows: &[Row], notes: &mut Notes<'_>) -> Option<Brackets> {
    let (first, others) = rows.split_first()?;
    if first.above > 0 {
        let problem = format!("tier `{}` needs a row without `above`, for shorter prompts", first.tier);
        notes.add(first.span.clone(), problem);
    }
    for bucket in [Bucket::Input, Bucket::Output] {
        if matches!(first.rates[bucket as usize], Stated::Nothing) {
            notes.add(first.span.clone(), format!("`{bucket}` is missing; \"0\" is free"));
        }
    }
    for pair in rows.windows(2) {
        if let [lower, higher] = pair {
            check_step(lower, higher, notes);
        }
    }
    let bracket = |row: &Row| Bracket::new(row.above, &row.rates.map(Stated::rate));
    Some((bracket(first), others.iter().map(bracket).collect()))
}

/// Checks that a longer prompt has a price for whatever a shorter one has, and never a lower one:
/// with it, a cost never falls when a bucket grows (rule M6).
fn check_step(lower: &Row, higher: &Row, notes: &mut Notes<'_>) {
    if lower.above == higher.above {
        let problem = format!("tier `{}` has another row with the same `above`: keep one", higher.tier);
        notes.add(higher.span.clone(), problem);
        return;
    }
    for bucket in Bucket::ALL {
        let (shorter, longer) = (lower.rates[bucket as usize], higher.rates[bucket as usize]);
        let problem = match (shorter, longer) {
            (Stated::As(_), Stated::Nothing) => {
                format!("`{bucket}` is missing: repeat it if it stays the same")
            }
            (Stated::Nothing, Stated::As(_)) => {
                format!("`{bucket}` is missing in the row for shorter prompts")
            }
            (Stated::As(shorter), Stated::As(longer)) if longer < shorter => format!(
                "`{bucket}` falls from {shorter} to {longer} for longer prompts, so that more would cost less"
            ),
            _ => continue,
        };
        notes.add(higher.span.clone(), problem);
    }
}

fn threshold(value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<u64> {
    let number = value.get_ref().as_integer().filter(|number| number.radix() == 10);
    let threshold =
        number.and_then(|number| number.as_str().parse().ok()).filter(|n| (1..COUNT_LIMIT).contains(n));
    if threshold.is_none() {
        notes.add(value.span(), "`above` is a whole number of prompt tokens, from 1");
    }
    threshold
}

fn rate(bucket: Bucket, value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<Rate> {
    let text = match value.get_ref() {
        DeValue::Table(table) => {
            let mut fields = Fields::of(table, value.span());
            let text = fields.text("usd", notes);
            if let Some(source) = fields.optional("source") {
                check_source(source, notes);
            }
            fields.finish("a rate", notes);
            text?
        }
        DeValue::String(text) => text,
        // A TOML number would be read as a float somewhere along the way (rule M1).
        _ => {
            notes.add(value.span(), format!("`{bucket}` must be a string such as \"2.50\": money is text"));
            return None;
        }
    };
    text.parse().map_err(|error: crate::RateError| notes.add(value.span(), format!("{bucket}: {error}"))).ok()
}

fn check_source(value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) {
    if value.get_ref().as_str().is_none_or(|text| text.trim().is_empty()) {
        notes.add(value.span(), "`source` must name a package and its version");
    }
}
