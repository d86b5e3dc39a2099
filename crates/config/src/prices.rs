//! What a file means by its prices: the texts that the price book is made of, and the book.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weighbridge_pipeline::settings::{ProviderSettings, UnknownModel};
use weighbridge_pricing::{
    BUILTIN_FILES, DEFAULT_ENTRY, Entry, EntryRow, Factor, Imported, PriceBook, PriceError, PriceSources,
    PriceText,
};
use weighbridge_units::Timestamp;

use crate::Surroundings;
use crate::config::{KeptIn, PriceRefresh, PriceUpdates, StorageConfig};
use crate::means::note;
use crate::problem::Problems;
use crate::reader::{Given, Said};
use crate::said::{self, Unknown};

/// How often prices are fetched where an address is given.
const REFRESH_EVERY: Duration = Duration::from_secs(86_400);
/// The file of updates, beside the database.
const UPDATES_EXTENSION: &str = "prices.toml";
/// What entries that the configuration makes name as their source.
const SOURCE: &str = "the configuration";
/// And as the day on which it was read: the version of a book must not change from one day to the next.
const UNKNOWN_DAY: &str = "unknown";
/// How the name of a map ends that is of LiteLLM's shape.
const MAP_EXTENSION: &str = ".json";

/// Overrides that stand together: of a provider's model, from one instant on.
type OverrideKey = (String, String, Option<Timestamp>);

/// What becomes of a model without a price.
pub(crate) fn unknown_model(said: &said::Prices) -> UnknownModel {
    match said.unknown_model.said().map(|said| &said.value) {
        Some(Unknown::As(what)) => *what,
        Some(Unknown::Rates(_)) => UnknownModel::DefaultRate,
        None => UnknownModel::default(),
    }
}

/// Where updates are kept: in the file that is named, else beside the database, or in one that several instances
/// share.
pub(crate) fn updates_kept(said: &said::Prices, storage: Option<&StorageConfig>, folder: &Path) -> KeptIn {
    match (said.updates.said(), storage) {
        (Some(path), _) => KeptIn::File(folder.join(&path.value)),
        (None, Some(StorageConfig::Sqlite { path, .. })) => {
            KeptIn::File(path.with_extension(UPDATES_EXTENSION))
        }
        (None, Some(StorageConfig::Postgres { .. })) => KeptIn::Database,
        (None, Some(StorageConfig::Memory) | None) => KeptIn::Nowhere,
    }
}

/// The texts, and the book of them; every mistake in them is noted where the configuration names them.
pub(crate) fn read(
    said: &said::Prices,
    kept: KeptIn,
    folder: &Path,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<(Arc<PriceBook>, PriceUpdates)> {
    let mut places: Vec<(Arc<str>, Range<usize>)> = Vec::new();
    let (mut sources, mut left_out) = (PriceSources::default(), Vec::new());
    if said.builtin.said().is_none_or(|said| said.value) {
        sources.files.extend(BUILTIN_FILES.iter().map(|(name, text)| PriceText::new(*name, *text)));
    }
    for file in said.files.said().map_or(&[][..], |files| &files.value) {
        match surroundings.file(&folder.join(&file.value)) {
            Ok(text) if file.value.ends_with(MAP_EXTENSION) => {
                match Imported::read(&text, &file.value, UNKNOWN_DAY) {
                    Ok(imported) => {
                        // It takes the place of what the files say, as a person who names it wants.
                        sources.overrides.push(PriceText::new(file.value.as_str(), imported.to_toml()));
                        left_out.extend(imported.left_out);
                    }
                    Err(error) => drop(problems.at(file.span.clone(), error.to_string())),
                }
            }
            Ok(text) => {
                let text = PriceText::new(file.value.as_str(), text);
                places.push((Arc::clone(&text.name), file.span.clone()));
                sources.files.push(text);
            }
            Err(why) => problems
                .at(file.span.clone(), format!("the price file cannot be read: {why}"))
                .hint("relative paths start at the folder of this file"),
        }
    }
    if let KeptIn::File(path) = &kept {
        let span = said.updates.said().map(|said| said.span.clone());
        match surroundings.file(path) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => sources.updates = Some(PriceText::new(path.display().to_string(), text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(why) => {
                note(
                    problems,
                    span,
                    format!("the updates of prices in {} cannot be read: {why}", path.display()),
                );
            }
        }
    }
    if let Some(entry) = default_entry(said) {
        sources.overrides.push(PriceText::new("unknown_model", entry.to_toml()));
        let span = said.unknown_model.said().map(|said| said.span.clone()).unwrap_or_default();
        places.push(("unknown_model".into(), span));
    }
    overrides(said, &mut sources, &mut places, problems);
    let book = match sources.book() {
        Ok(book) => book,
        Err(PriceError::Load(mistakes)) => {
            for mistake in mistakes.iter() {
                let span =
                    places.iter().find(|(name, _)| **name == *mistake.file).map(|(_, span)| span.clone());
                // An entry that the configuration made has no place of its own.
                let is_made = sources.overrides.iter().any(|made| *made.name == *mistake.file);
                let message = match is_made {
                    true => format!(
                        "`prices.{}`: {}",
                        mistake.file.split('#').next().unwrap_or_default(),
                        mistake.problem
                    ),
                    false => format!("a price file has a mistake: {mistake}"),
                };
                note(problems, span, message);
            }
            return None;
        }
        Err(other) => {
            problems.elsewhere(format!("the prices cannot be used: {other}"));
            return None;
        }
    };
    let refresh = said.refresh.as_ref().and_then(|refresh| self::refresh(refresh, &kept, problems));
    let networks = said.refresh.as_ref().and_then(|refresh| refresh.allowed_networks.said());
    let updates = PriceUpdates {
        sources,
        left_out,
        kept,
        refresh,
        max_jump: said
            .refresh
            .as_ref()
            .and_then(|refresh| refresh.max_jump.said())
            .map_or(Factor::TWO, |jump| jump.value),
        allowed_networks: networks
            .map(|ranges| ranges.value.iter().map(|range| range.value).collect())
            .unwrap_or_default(),
    };
    Some((Arc::new(book), updates))
}

/// The entry for every model without one, if there is to be one.
fn default_entry(said: &said::Prices) -> Option<Entry> {
    let Some(Said { value: Unknown::Rates(rates), .. }) = said.unknown_model.said() else { return None };
    let (provider, model) = DEFAULT_ENTRY;
    Some(Entry {
        provider: provider.to_owned(),
        models: vec![model.to_owned()],
        from: None,
        source: SOURCE.to_owned(),
        date: UNKNOWN_DAY.to_owned(),
        rows: vec![EntryRow { rates: rates.clone(), ..EntryRow::of("standard") }],
    })
}

/// The overrides as price files: one for each model and date, so that its rows stand together.
fn overrides(
    said: &said::Prices,
    sources: &mut PriceSources,
    places: &mut Vec<(Arc<str>, Range<usize>)>,
    problems: &mut Problems,
) {
    let mut entries: BTreeMap<OverrideKey, (Entry, Range<usize>)> = BTreeMap::new();
    for said in said.overrides.said().map_or(&[][..], |overrides| &overrides.value) {
        let mut needed = |given: &Given<String>, name: &str| {
            if given.is_absent() {
                problems
                    .at(said.span.clone(), format!("an override of a price needs `{name}`"))
                    .hint(r#"write it like this: { provider = "openai", model = "gpt-4o-mini", rates = { input = "0.12", output = "0.48" } }"#);
            }
            given.said().map(|said| said.value.clone())
        };
        let (provider, model) = (needed(&said.provider, "provider"), needed(&said.model, "model"));
        if said.rates.is_absent() {
            problems
                .at(said.span.clone(), "an override of a price needs `rates`")
                .hint(r#"money is text: rates = { input = "0.12", output = "0.48" }"#);
        }
        let (Some(provider), Some(model), Some(rates)) = (provider, model, said.rates.said()) else {
            continue;
        };
        let from = said.from.said().and_then(|said| said.value);
        let text = |given: &Given<String>| given.said().map(|said| said.value.clone());
        let row = EntryRow {
            above: said.above.said().map_or(0, |said| said.value),
            variant: text(&said.variant),
            rates: rates.value.iter().map(|(name, rate)| (name.value.clone(), rate.value.clone())).collect(),
            ..EntryRow::of(text(&said.tier).as_deref().unwrap_or("standard"))
        };
        let (entry, _) = entries.entry((provider.clone(), model.clone(), from)).or_insert_with(|| {
            let source = text(&said.source).unwrap_or_else(|| SOURCE.to_owned());
            let entry = Entry {
                provider,
                models: vec![model],
                from,
                source,
                date: UNKNOWN_DAY.to_owned(),
                rows: Vec::new(),
            };
            (entry, said.span.clone())
        });
        entry.rows.push(row);
    }
    for (at, (entry, span)) in entries.into_values().enumerate() {
        let text = PriceText::new(format!("overrides#{at}"), entry.to_toml());
        places.push((Arc::clone(&text.name), span));
        sources.overrides.push(text);
    }
}

fn refresh(said: &said::PriceRefresh, kept: &KeptIn, problems: &mut Problems) -> Option<PriceRefresh> {
    if said.url.is_absent() {
        problems
            .at(said.span.clone(), "`prices.refresh` needs `url`")
            .hint(r#"write it like this: url = "https://example.com/prices.json""#);
    }
    if *kept == KeptIn::Nowhere {
        problems
            .at(said.span.clone(), "prices that are fetched need a place to be kept in")
            .hint("set prices.updates, such as updates = \"weighbridge.prices.toml\"");
    }
    let every = said.every.said().map_or(REFRESH_EVERY, |said| said.value);
    Some(PriceRefresh { url: said.url.said()?.value.clone(), every })
}

/// The regions of the price book that the file names itself, by the provider's name.
pub(crate) fn regions_said(providers: &[said::Provider]) -> Vec<(String, Range<usize>)> {
    let said = providers.iter().filter_map(|provider| Some((&provider.name, provider.price_as.said()?)));
    let regional = said.filter(|(_, price_as)| price_as.value.contains('@'));
    regional.map(|(name, price_as)| (name.value.clone(), price_as.span.clone())).collect()
}

/// A region that the book does not know is a mistake where the file names it, and else has the provider's own
/// prices.
pub(crate) fn check_regions(
    book: &PriceBook,
    providers: &mut [ProviderSettings],
    said: &[(String, Range<usize>)],
    problems: &mut Problems,
) {
    for provider in providers {
        let Some((whole, region)) = provider.price_as.split_once('@') else { continue };
        if book.knows(&provider.price_as) {
            continue;
        }
        match said.iter().find(|(name, _)| **name == *provider.name) {
            Some((_, span)) => {
                problems.at(span.clone(), format!("the price book has no region `{region}` of `{whole}`"));
            }
            None => provider.price_as = whole.into(),
        }
    }
}
