//! Price files: TOML in, cards out. Every mistake is found, and each knows its place.

mod fields;
mod rows;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeArray, DeTable};
use weighbridge_units::Timestamp;

use crate::book::{Period, Shelf};
use crate::card::PriceCard;
use crate::error::Mistake;
use crate::tier::ServiceTier;
use crate::version::PriceVersion;
use fields::{Fields, Notes};
use rows::Row;

/// Reads price files into a shelf, and lists every mistake.
pub(crate) fn load(files: &[(&str, &str)], version: &PriceVersion) -> (Shelf, Vec<Mistake>) {
    let mut loader = Loader { version, shelf: Shelf::new() };
    let mut mistakes = Vec::new();
    for (name, text) in files {
        let mut notes = Notes::new(name, text);
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        for error in &syntax_errors {
            notes.add(error.span().unwrap_or(0..0), error.message());
        }
        // What recovery leaves of a broken file would only give mistakes that are none.
        if syntax_errors.is_empty() {
            loader.file(document.get_ref(), &mut notes);
        }
        notes.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        mistakes.append(&mut notes.mistakes);
    }
    for periods in loader.shelf.values_mut().flat_map(HashMap::values_mut) {
        periods.sort_by_key(|period| period.from);
    }
    (loader.shelf, mistakes)
}

struct Loader<'v> {
    version: &'v PriceVersion,
    shelf: Shelf,
}

impl Loader<'_> {
    fn file(&mut self, document: &DeTable<'_>, notes: &mut Notes<'_>) {
        let mut fields = Fields::of(document, 0..0);
        let provider = fields.text("provider", notes);
        let entries = fields.array("price", notes);
        fields.finish("a price file", notes);
        let (Some(provider), Some(entries)) = (provider, entries) else { return };
        for entry in entries {
            match entry.get_ref().as_table() {
                Some(table) => self.entry(&provider.into(), Fields::of(table, entry.span()), notes),
                None => notes.add(entry.span(), "an entry is a table: write `[[price]]`"),
            }
            notes.entry.clear();
        }
    }

    fn entry(&mut self, provider: &Arc<str>, mut fields: Fields<'_, '_>, notes: &mut Notes<'_>) {
        let place = fields.place();
        let models = fields.array("models", notes).map(|models| model_names(models, notes));
        notes.entry = models.iter().flatten().next().map_or_else(String::new, |(name, _)| name.clone());
        if models.as_ref().is_some_and(Vec::is_empty) {
            notes.add(place.clone(), "`models` is empty: name at least one");
        }
        let from = fields.text("from", notes).and_then(|text| match text {
            "start" => Some(None),
            date => fields.date("from", date, notes).map(Some),
        });
        let source = fields.text("source", notes);
        let checked = fields.text("date", notes);
        if let Some(date) = checked {
            fields.date("date", date, notes);
        }
        let rates = fields.array("rates", notes);
        fields.finish("an entry", notes);

        let Some(rates) = rates else { return };
        let rows = rows(rates, place, notes);
        let tiers = rows::by_tier(rows, notes);
        let (Some(models), Some(from), Some(source)) = (models, from, source) else { return };
        for (model, span) in models {
            let model: Arc<str> = model.into();
            let card = |(tier, (base, brackets)): &(ServiceTier, rows::Brackets)| {
                Arc::new(PriceCard {
                    provider: provider.clone(),
                    model: model.clone(),
                    tier: *tier,
                    from,
                    source: source.into(),
                    checked: checked.unwrap_or_default().into(),
                    version: self.version.clone(),
                    base: base.clone(),
                    brackets: brackets.clone(),
                })
            };
            let mut period = Period { from, cards: Default::default() };
            for tier in &tiers {
                period.cards[tier.0 as usize] = Some(card(tier));
            }
            let periods = self.shelf.entry(provider.clone()).or_default().entry(model.clone()).or_default();
            if periods.iter().any(|earlier| earlier.from == from) {
                let problem = format!("`{model}` has another entry with the same `from`: keep one");
                notes.add(span, problem);
            } else {
                periods.push(period);
            }
        }
    }
}

fn model_names(models: &DeArray<'_>, notes: &mut Notes<'_>) -> Vec<(String, Range<usize>)> {
    let mut names: Vec<(String, Range<usize>)> = Vec::new();
    for model in models {
        match model.get_ref().as_str() {
            Some(name) if names.iter().any(|(known, _)| known == name) => {
                notes.add(model.span(), format!("`{name}` is named twice: once is enough"));
            }
            Some(name) if !name.is_empty() && name.trim() == name => {
                names.push((name.to_owned(), model.span()));
            }
            _ => notes.add(model.span(), "a model's name is a string without spaces around it"),
        }
    }
    names
}

fn rows(rates: &DeArray<'_>, place: Range<usize>, notes: &mut Notes<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    if rates.is_empty() {
        notes.add(place, "`rates` is empty: add a row for tier \"standard\"");
    }
    for row in rates {
        match row.get_ref().as_table() {
            Some(table) => rows.extend(Row::read(Fields::of(table, row.span()), notes)),
            None => notes.add(row.span(), "a row of `rates` is a table: write `{ tier = \"standard\", … }`"),
        }
    }
    rows
}

/// Midnight UTC of a `YYYY-MM-DD`.
fn day(text: &str) -> Option<Timestamp> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return None;
    }
    Timestamp::from_date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}
