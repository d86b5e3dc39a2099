//! Price files: TOML in, cards out. Every mistake is found, and each knows its place.

mod fields;
mod region;
mod rows;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeArray, DeTable};

use crate::book::{Period, Shelf};
use crate::card::{PriceCard, Rates};
use crate::error::Mistake;
use crate::tier::ServiceTier;
use crate::version::PriceVersion;
use fields::{Fields, Notes};
use region::Region;
use rows::Row;

/// What `date` says of a source that was read on no day in particular, such as a configuration.
pub(crate) const UNKNOWN_DAY: &str = "unknown";

/// Whether an entry adds to what the book says, or takes its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Price,
    Override,
}

/// Reads price files into a shelf, lets `overrides` take the place of what these say, folds regions in, and
/// lists every mistake.
pub(crate) fn load(
    files: &[(&str, &str)],
    overrides: &[(&str, &str)],
    version: &PriceVersion,
) -> (Shelf, Vec<Mistake>) {
    let mut loader = Loader { version, role: Role::Price, shelf: Shelf::new(), entries: Vec::new() };
    let mut regions = Vec::new();
    let mut mistakes = Vec::new();
    for (role, files) in [(Role::Price, files), (Role::Override, overrides)] {
        loader.role = role;
        for (name, text) in files {
            let mut notes = Notes::new(name, text);
            let (document, syntax_errors) = DeTable::parse_recoverable(text);
            for error in &syntax_errors {
                notes.add(error.span().unwrap_or(0..0), error.message());
            }
            // What recovery leaves of a broken file would only give mistakes that are none.
            if syntax_errors.is_empty() {
                loader.file(document.get_ref(), &mut regions, &mut notes);
            }
            notes.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
            mistakes.append(&mut notes.mistakes);
        }
    }
    for periods in loader.shelf.values_mut().flat_map(HashMap::values_mut) {
        periods.sort_by_key(|period| period.from);
    }
    // What is overridden for a provider holds in its regions too, unless it is said for the region itself.
    let (regional, general): (Vec<_>, Vec<_>) =
        std::mem::take(&mut loader.entries).into_iter().partition(|entry| entry.provider.contains('@'));
    general.into_iter().for_each(|entry| entry.overrule(&mut loader.shelf));
    for region in regions {
        region.fold_into(&mut loader.shelf, &mut mistakes);
    }
    regional.into_iter().for_each(|entry| entry.overrule(&mut loader.shelf));
    (loader.shelf, mistakes)
}

struct Loader<'v> {
    version: &'v PriceVersion,
    role: Role,
    shelf: Shelf,
    /// Entries that take the place of others.
    entries: Vec<Overriding>,
}

impl Loader<'_> {
    fn file(&mut self, document: &DeTable<'_>, regions: &mut Vec<Region>, notes: &mut Notes<'_>) {
        let mut fields = Fields::of(document, 0..0);
        let provider = fields.maybe_text("provider", notes);
        let entries = fields.array("price", notes);
        let factors = fields.maybe_array("region", notes);
        fields.finish("a price file", notes);
        for region in factors.into_iter().flatten() {
            match (region.get_ref().as_table(), provider) {
                (Some(table), Some(provider)) => {
                    regions.extend(Region::read(provider, Fields::of(table, region.span()), notes));
                }
                (None, _) => notes.add(region.span(), "a region is a table: write `[[region]]`"),
                (_, None) => notes.add(region.span(), "a region needs the file's `provider`"),
            }
        }
        let provider = provider.map(Arc::from);
        for entry in entries.into_iter().flatten() {
            match entry.get_ref().as_table() {
                Some(table) => self.entry(provider.as_ref(), Fields::of(table, entry.span()), notes),
                None => notes.add(entry.span(), "an entry is a table: write `[[price]]`"),
            }
            notes.entry.clear();
        }
    }

    fn entry(&mut self, provider: Option<&Arc<str>>, mut fields: Fields<'_, '_>, notes: &mut Notes<'_>) {
        let place = fields.place();
        let own = fields.maybe_text("provider", notes).map(Arc::from);
        let models = fields.array("models", notes).map(|models| model_names(models, notes));
        notes.entry = models.iter().flatten().next().map_or_else(String::new, |(name, _)| name.clone());
        if models.as_ref().is_some_and(Vec::is_empty) {
            notes.add(place.clone(), "`models` is empty: name at least one");
        }
        let Some(provider) = own.as_ref().or(provider) else {
            notes.add(place, "`provider` is missing: name it in the entry, or at the top of the file");
            return;
        };
        let from = fields.text("from", notes).and_then(|text| match text {
            "start" => Some(None),
            date => fields.instant("from", date, notes).map(Some),
        });
        let source = fields.text("source", notes);
        let checked = fields.text("date", notes);
        if let Some(date) = checked.filter(|date| *date != UNKNOWN_DAY) {
            fields.date("date", date, notes);
        }
        let rates = fields.array("rates", notes);
        fields.finish("an entry", notes);

        let Some(rates) = rates else { return };
        let rows = rows(rates, place, notes);
        let tiers = rows::by_tier(rows, notes);
        let (Some(models), Some(from), Some(source)) = (models, from, source) else { return };
        // What models of an entry have in common is there once: a book has more than a thousand cards.
        let (source, checked): (Arc<str>, Arc<str>) = (source.into(), checked.unwrap_or_default().into());
        for (model, span) in models {
            let model: Arc<str> = model.into();
            let card = |(tier, rates): &(ServiceTier, Arc<Rates>)| {
                Arc::new(PriceCard {
                    provider: provider.clone(),
                    model: model.clone(),
                    tier: *tier,
                    from,
                    source: Arc::clone(&source),
                    checked: Arc::clone(&checked),
                    version: self.version.clone(),
                    rates: Arc::clone(rates),
                    chosen: None,
                })
            };
            let mut period = Period { from, cards: Default::default() };
            for tier in &tiers {
                period.cards[tier.0 as usize] = Some(card(tier));
            }
            if self.role == Role::Override {
                self.entries.push(Overriding { provider: provider.clone(), model, period });
                continue;
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

/// An entry that takes the place of what the book says of its tiers, from its date on.
struct Overriding {
    provider: Arc<str>,
    model: Arc<str>,
    period: Period,
}

impl Overriding {
    fn overrule(self, shelf: &mut Shelf) {
        let Self { provider, model, period } = self;
        let periods = shelf.entry(provider).or_default().entry(model).or_default();
        if !periods.iter().any(|known| known.from == period.from) {
            let before = periods.iter().rev().find(|known| known.from < period.from);
            let cards = before.map_or_else(Default::default, |known| known.cards.clone());
            periods.push(Period { from: period.from, cards });
            periods.sort_by_key(|period| period.from);
        }
        for later in periods.iter_mut().filter(|known| known.from >= period.from) {
            for (card, overruling) in later.cards.iter_mut().zip(&period.cards) {
                if overruling.is_some() {
                    card.clone_from(overruling);
                }
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
