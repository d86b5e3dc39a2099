//! `tiered_pricing`: prices by ranges of the prompt's length.

use serde_json::value::RawValue;

use super::decimal::shifted;
use super::fields::{Meaning, Place, meaning};
use super::object::Object;
use super::rate;
use crate::tier::ServiceTier;
use crate::write::EntryRow;

/// More ranges than that are no list of prices.
const MOST: usize = 64;

/// Reads ranges such as `{"range": [32000, 128000], "input_cost_per_token": 5e-07, …}`, as rows for prompts of more
/// tokens than each range begins with.
///
/// As the map's publisher takes them (`litellm_core_utils/llm_cost_calc/tiered_pricing.py`): the whole prompt decides
/// which range holds for all tokens of a request, a prompt of exactly a range's end belongs to it, and beyond the last
/// one the last one holds. Ranges that overlap or leave something out, that state different buckets, or that are of
/// anything but tokens, are refused.
pub(super) fn read(value: &RawValue, mode: &str) -> Result<Vec<EntryRow>, String> {
    let objects: Vec<Object<'_>> =
        serde_json::from_str(value.get()).map_err(|_| "is no list of ranges".to_owned())?;
    if !(1..=MOST).contains(&objects.len()) {
        return Err(format!("has {} ranges, and 1 to {MOST} can be read", objects.len()));
    }
    let mut ranges =
        objects.iter().map(|object| Ok((bounds(object)?, object))).collect::<Result<Vec<_>, String>>()?;
    ranges.sort_by_key(|((from, _), _)| *from);
    let mut rows: Vec<EntryRow> = Vec::with_capacity(ranges.len());
    let mut end = 0;
    for ((from, to), object) in ranges {
        if from != end || to <= from {
            return Err(format!("has a range from {from} to {to} where one from {end} on is expected"));
        }
        end = to;
        let row = EntryRow { above: from, ..row(object, mode)? };
        let names = |row: &EntryRow| row.rates.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if rows.first().is_some_and(|first| names(first) != names(&row)) {
            return Err(format!("states other prices from {from} on than in the first range"));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// From more than the first to the second, in tokens.
fn bounds(range: &Object<'_>) -> Result<(u64, u64), String> {
    if let Some((field, _)) = range.iter().find(|(field, _)| field.ends_with("_range")) {
        return Err(format!("goes by `{field}`, and only lengths of prompts can be read"));
    }
    let stated = range.get("range").ok_or("has a range without bounds")?;
    let bounds: Vec<&RawValue> =
        serde_json::from_str(stated.get()).map_err(|_| "has a range without two bounds".to_owned())?;
    let whole = |bound: &RawValue| shifted(bound.get(), 0)?.parse().ok();
    let [from, to] = bounds[..] else { return Err("has a range without two bounds".to_owned()) };
    whole(from)
        .zip(whole(to))
        .ok_or_else(|| format!("has a range from {from} to {to}, which are no numbers of tokens"))
}

/// The prices of one range, by bucket.
fn row(range: &Object<'_>, mode: &str) -> Result<EntryRow, String> {
    let mut row = EntryRow::of(ServiceTier::Standard.as_str());
    for (field, value) in range.iter().filter(|(field, _)| *field != "range") {
        let Meaning::Price(Place { bucket, tier: ServiceTier::Standard, above: 0, variant: None, per }) =
            meaning(field, mode, range)
        else {
            return Err(format!("has `{field}` in a range, which is not understood there"));
        };
        if let Some(rate) = rate(value, per).map_err(|why| format!("has `{field}` in a range: {why}"))? {
            if row.rates.iter().any(|(name, _)| name == bucket.as_str()) {
                return Err(format!("has two prices of `{bucket}` in one range"));
            }
            row.state(bucket, rate);
        }
    }
    row.rates.sort();
    Ok(row)
}
