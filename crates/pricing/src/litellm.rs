//! The map of prices that LiteLLM publishes (`model_prices_and_context_window.json`), as price files.
//!
//! One JSON object: a key for each model, and in it fields such as `input_cost_per_token`. Numbers are read
//! from their text, exponents included, and never as floats (rule M1). Fields are understood by their whole name
//! or not at all: of a model with a tier that is not understood nothing is taken (rule M6), any other price that is
//! not understood is left out, and what was left out is told.

mod decimal;
mod fields;
mod object;
mod ranges;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use thiserror::Error;
use weighbridge_units::Bucket;

use crate::book::PriceBook;
use crate::error::PriceError;
use crate::litellm::fields::{Meaning, Place, meaning};
use crate::litellm::object::Object;
use crate::rate::Rate;
use crate::tier::ServiceTier;
use crate::write::{Entry, EntryRow};

/// Why a text is not a map at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MapError {
    /// It is not JSON, or has been cut.
    #[error("the map of prices cannot be read: {0}; nothing of it was taken")]
    Json(#[from] serde_json::Error),
    /// It holds no price of any model.
    #[error("the map has no price that could be understood: it has an object of fields for each model")]
    Empty,
}

/// What was read of a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entries that a price book can be made of: each of them loads.
    pub entries: Vec<Entry>,
    /// What was not understood, in the order of the map.
    pub left_out: Vec<LeftOut>,
}

/// Something of a map that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The map's name for the model.
    pub model: String,
    /// The field; empty where it is the model as a whole.
    pub field: String,
    /// Why.
    pub why: String,
    /// Whether nothing of the model was taken.
    pub whole: bool,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, field, why, whole } = self;
        f.write_str(model)?;
        if !field.is_empty() {
            write!(f, ", {field}")?;
        }
        write!(f, ": {why}{}", if *whole { "; nothing of the model was taken" } else { "" })
    }
}

impl Imported {
    /// Reads a map. `source` and `date` (`YYYY-MM-DD`) are what its entries say of where they are from.
    ///
    /// # Errors
    /// [`MapError`] where there is nothing to take.
    pub fn read(json: &str, source: &str, date: &str) -> Result<Self, MapError> {
        let map: Object<'_> = serde_json::from_str(json)?;
        let mut reading = Reading::default();
        for (key, value) in map.iter() {
            if key != "sample_spec" {
                reading.model(key, value);
            }
        }
        let mut imported = Self { entries: Vec::new(), left_out: reading.left_out };
        for ((provider, model), found) in reading.models {
            let rows = found.rows.into_iter().map(|row| row.row).collect();
            let (source, date) = (source.to_owned(), date.to_owned());
            let entry = Entry { provider, models: vec![model], from: None, source, date, rows };
            match PriceBook::from_toml(&[("", &entry.to_toml())]) {
                Ok(_) => imported.entries.push(entry),
                Err(error) => imported.left_out.push(LeftOut {
                    model: found.key,
                    field: String::new(),
                    why: first_problem(&error),
                    whole: true,
                }),
            }
        }
        if imported.entries.is_empty() { Err(MapError::Empty) } else { Ok(imported) }
    }

    /// The entries as one price file.
    pub fn to_toml(&self) -> String {
        if self.entries.is_empty() {
            return "price = []\n".to_owned();
        }
        self.entries.iter().map(Entry::to_toml).collect()
    }
}

fn first_problem(error: &PriceError) -> String {
    match error {
        PriceError::Load(mistakes) => {
            mistakes.iter().next().map_or_else(|| error.to_string(), |mistake| mistake.problem.clone())
        }
        other => other.to_string(),
    }
}

#[derive(Default)]
struct Reading {
    models: BTreeMap<(String, String), Found>,
    left_out: Vec<LeftOut>,
}

/// The rows of a model, and what the map calls it.
#[derive(Default)]
struct Found {
    key: String,
    rows: Vec<KeyedRow>,
}

struct KeyedRow {
    tier: ServiceTier,
    row: EntryRow,
}

impl Found {
    fn row(&mut self, tier: ServiceTier, above: u64, variant: Option<&str>) -> &mut EntryRow {
        let is_it = |row: &KeyedRow| {
            row.tier == tier && row.row.above == above && row.row.variant.as_deref() == variant
        };
        let at = self.rows.iter().position(is_it).unwrap_or_else(|| {
            let row = EntryRow { above, variant: variant.map(str::to_owned), ..EntryRow::of(tier.as_str()) };
            self.rows.push(KeyedRow { tier, row });
            self.rows.len() - 1
        });
        &mut self.rows[at].row
    }

    /// Puts ranges of the prompt's length in. What stands beside them must not contradict them, nor be something of
    /// tokens that they do not state: the publisher takes it as the range's input, and we as what is stated.
    fn take_ranges(&mut self, ranges: Vec<EntryRow>) -> Result<(), String> {
        if self.rows.iter().any(|row| row.tier != ServiceTier::Standard || row.row.above > 0) {
            return Err("stands beside prices of other tiers".to_owned());
        }
        let first = ranges.first().map_or(&[][..], |first| &first.rates);
        let beside = self.rows.iter().filter(|row| row.row.variant.is_none());
        for (name, rate) in beside.flat_map(|row| &row.row.rates) {
            match first.iter().find(|(ranged, _)| ranged == name) {
                Some((_, ranged)) if ranged != rate => {
                    return Err(format!("begins with {ranged} for `{name}`, beside which stands {rate}"));
                }
                None if Bucket::ALL.iter().any(|bucket| bucket.is_token() && bucket.as_str() == name) => {
                    return Err(format!("does not state `{name}`, which stands beside it"));
                }
                _ => {}
            }
        }
        for range in ranges {
            let row = self.row(ServiceTier::Standard, range.above, None);
            row.rates.retain(|(name, _)| !range.rates.iter().any(|(ranged, _)| ranged == name));
            row.rates.extend(range.rates);
        }
        Ok(())
    }

    /// States in every row what the map leaves to a lower one: a context tier has the rates of the one below it, and
    /// a service tier those of the standard one, where it does not say otherwise. A service tier without an input
    /// and an output of its own is no tier: it is taken out, and named.
    fn fill(&mut self) -> Vec<ServiceTier> {
        self.rows.sort_by_key(|row| (row.tier, row.row.variant.clone(), row.row.above));
        let standard: Vec<EntryRow> = self
            .rows
            .iter()
            .filter(|row| row.tier == ServiceTier::Standard)
            .map(|row| row.row.clone())
            .collect();
        let base = standard.iter().find(|row| row.variant.is_none() && row.above == 0);
        let mut taken_out = Vec::new();
        for tier in ServiceTier::ALL.into_iter().filter(|tier| *tier != ServiceTier::Standard) {
            let own = self.rows.iter().find(|row| row.tier == tier && row.row.above == 0);
            let needs =
                |bucket: &str| base.is_some_and(|base| base.rates.iter().any(|(name, _)| name == bucket));
            let has =
                |bucket: &str| own.is_some_and(|row| row.row.rates.iter().any(|(name, _)| name == bucket));
            let lacks =
                ["input", "output", "output_audio", "output_image"].iter().any(|b| needs(b) && !has(b));
            if lacks && self.rows.iter().any(|row| row.tier == tier) {
                self.rows.retain(|row| row.tier != tier);
                taken_out.push(tier);
            }
        }
        let mut below: Option<(ServiceTier, EntryRow)> = None;
        for KeyedRow { tier, row } in self.rows.iter_mut().filter(|row| row.row.variant.is_none()) {
            let lower = match &below {
                Some((of, lower)) if of == tier => Some(lower),
                _ => base,
            };
            for (bucket, rate) in lower.iter().flat_map(|lower| &lower.rates) {
                if !row.rates.iter().any(|(name, _)| name == bucket) {
                    row.rates.push((bucket.clone(), rate.clone()));
                }
            }
            below = Some((*tier, row.clone()));
        }
        taken_out
    }
}

impl Reading {
    fn leave(&mut self, model: &str, field: &str, why: impl Into<String>, whole: bool) {
        self.left_out.push(LeftOut {
            model: model.to_owned(),
            field: field.to_owned(),
            why: why.into(),
            whole,
        });
    }

    fn model(&mut self, key: &str, value: &RawValue) {
        let Ok(fields) = serde_json::from_str::<Object<'_>>(value.get()) else {
            return self.leave(key, "", "is not an object of fields", true);
        };
        let Some(provider) = fields.text("litellm_provider") else {
            return self.leave(key, "litellm_provider", "is missing", true);
        };
        let mode = fields.text("mode").unwrap_or(Cow::Borrowed(""));
        let name = fields::Name::of(key, &provider);
        let mut found = Found { key: key.to_owned(), rows: Vec::new() };
        let mut ranges = None;
        for (field, value) in fields.iter() {
            let meaning = match meaning(field, &mode, &fields) {
                Meaning::Nothing => continue,
                Meaning::Ranges => {
                    ranges = Some((field, value));
                    continue;
                }
                Meaning::Unknown(why) => {
                    self.leave(key, field, why, false);
                    continue;
                }
                Meaning::UnknownTier => {
                    return self.leave(key, field, "is a tier that is not understood", true);
                }
                Meaning::Price(place) => place,
            };
            let Place { bucket, tier, above, variant, per } = meaning;
            match rate(value, per) {
                Ok(None) => {}
                Ok(Some(rate)) => {
                    let variant = variant.as_deref().or(name.variant.as_deref());
                    found.row(tier, above, variant).state(bucket, rate);
                }
                Err(why) if above > 0 || tier != ServiceTier::Standard => {
                    return self.leave(key, field, why, true);
                }
                Err(why) => self.leave(key, field, why, false),
            }
        }
        if let Some((field, value)) = ranges {
            let taken = match &name.variant {
                None => ranges::read(value, &mode).and_then(|rows| found.take_ranges(rows)),
                Some(_) => Err("stands with a model of one size".to_owned()),
            };
            if let Err(why) = taken {
                return self.leave(key, field, why, true);
            }
        }
        for tier in found.fill() {
            self.leave(key, "", format!("tier {tier} does not state all that it needs"), false);
        }
        if found.rows.is_empty() {
            return;
        }
        let place = (fields::provider_of(&provider).to_owned(), name.model.into_owned());
        match self.models.get_mut(&place) {
            None => drop(self.models.insert(place, found)),
            Some(known) => {
                // Sizes and qualities stand under names of their own.
                let clashes = found.rows.iter().any(|row| {
                    let same = |other: &&KeyedRow| {
                        other.tier == row.tier
                            && other.row.above == row.row.above
                            && other.row.variant == row.row.variant
                    };
                    known.rows.iter().find(same).is_some_and(|other| other.row != row.row)
                });
                if clashes {
                    let why =
                        format!("is the same model as `{}` at another price; that one is taken", known.key);
                    return self.leave(key, "", why, true);
                }
                for KeyedRow { tier, row } in found.rows {
                    known.row(tier, row.above, row.variant.as_deref()).rates = row.rates;
                }
            }
        }
    }
}

/// Dollars per million units from the number's text; `None` for `null`.
fn rate(value: &RawValue, per: u32) -> Result<Option<Rate>, String> {
    let text = value.get();
    if text == "null" {
        return Ok(None);
    }
    let text = match text.starts_with('{') {
        true => same_for_all(text)?,
        false => text.to_owned(),
    };
    // Six places from a unit to a million of them, less those of the units that the figure is for.
    let plain = decimal::shifted(&text, 6_i32.saturating_sub_unsigned(per)).ok_or("is not a number")?;
    plain.parse().map(Some).map_err(|error: crate::RateError| error.to_string())
}

/// What searches cost, which the map states by the size of their context: one figure, or it is not understood.
fn same_for_all(text: &str) -> Result<String, String> {
    let sizes: Object<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut figures = sizes.iter().map(|(_, value)| value.get());
    let first = figures.next().ok_or("is empty")?;
    let same = figures.all(|figure| decimal::shifted(figure, 0) == decimal::shifted(first, 0));
    if same { Ok(first.to_owned()) } else { Err("costs differ by the size of the context".to_owned()) }
}

#[cfg(test)]
mod tests;
