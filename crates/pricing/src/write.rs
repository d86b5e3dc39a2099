use std::fmt::Write;

use weighbridge_units::{Bucket, Timestamp};

use crate::card::PriceCard;
use crate::rate::Rate;

/// An entry of a price file that is yet to be written: what an override, an update or a foreign map says.
///
/// Nothing of it has been checked: that is the loader's work, and it names what is wrong.
///
/// ```
/// use weighbridge_pricing::{Entry, EntryRow, PriceBook};
///
/// let mut row = EntryRow::of("standard");
/// row.rates = vec![("input".to_owned(), "2.50".to_owned()), ("output".to_owned(), "10".to_owned())];
/// let entry = Entry {
///     provider: "acme".to_owned(),
///     models: vec!["weigh-1".to_owned()],
///     from: None,
///     source: "our contract of May".to_owned(),
///     date: "2026-05-01".to_owned(),
///     rows: vec![row],
/// };
/// let book = PriceBook::from_toml(&[("contract", &entry.to_toml())])?;
/// assert_eq!(book.models(), [("acme", "weigh-1")]);
/// # Ok::<(), weighbridge_pricing::PriceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose models.
    pub provider: String,
    /// Their exact names.
    pub models: Vec<String>,
    /// From when on; `None` for as long as can be looked back.
    pub from: Option<Timestamp>,
    /// Where the figures are from.
    pub source: String,
    /// The day on which they were read: `YYYY-MM-DD`, or `unknown`.
    pub date: String,
    /// A row per tier, context tier and variant.
    pub rows: Vec<EntryRow>,
}

/// A row of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// The service tier.
    pub tier: String,
    /// For prompts of more than this many tokens; 0 for any.
    pub above: u64,
    /// For one variant of a piece.
    pub variant: Option<String>,
    /// Dollars per million units, by the bucket's name.
    pub rates: Vec<(String, String)>,
}

impl EntryRow {
    /// A row of a service tier that states nothing yet.
    pub fn of(tier: &str) -> Self {
        Self { tier: tier.to_owned(), above: 0, variant: None, rates: Vec::new() }
    }

    /// States a rate, in place of what was stated for the bucket.
    pub(crate) fn state(&mut self, bucket: Bucket, rate: Rate) {
        let (name, text) = (bucket.as_str(), rate.to_string());
        match self.rates.iter_mut().find(|(known, _)| known == name) {
            Some((_, stated)) => *stated = text,
            None => self.rates.push((name.to_owned(), text)),
        }
    }
}

impl Entry {
    /// The entry as a price file has it, with an empty line before it.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let models: Vec<String> = self.models.iter().map(|model| quoted(model)).collect();
        writeln!(text, "\n[[price]]\nprovider = {}", quoted(&self.provider))?;
        writeln!(text, "models = [{}]", models.join(", "))?;
        writeln!(text, "from = {}", quoted(&self.from.map_or_else(|| "start".to_owned(), instant)))?;
        writeln!(text, "source = {}\ndate = {}", quoted(&self.source), quoted(&self.date))?;
        writeln!(text, "rates = [")?;
        for EntryRow { tier, above, variant, rates } in &self.rows {
            write!(text, "  {{ tier = {}", quoted(tier))?;
            if *above > 0 {
                write!(text, ", above = {above}")?;
            }
            if let Some(variant) = variant {
                write!(text, ", variant = {}", quoted(variant))?;
            }
            for (bucket, rate) in rates {
                write!(text, ", {} = {}", key(bucket), quoted(rate))?;
            }
            writeln!(text, " }},")?;
        }
        writeln!(text, "]")
    }
}

impl PriceCard {
    /// The rows that say what the card says.
    pub fn rows(&self) -> Vec<EntryRow> {
        let row = |above, variant, rates: &[(Bucket, Rate)]| {
            let mut row = EntryRow { above, variant, ..EntryRow::of(self.tier.as_str()) };
            rates.iter().for_each(|(bucket, rate)| row.state(*bucket, *rate));
            row
        };
        let plain = self.stated().map(|(above, rates)| row(above, None, &rates));
        let varied =
            self.rates.variants.iter().map(|variant| row(0, Some(variant.name.to_string()), &variant.rates));
        plain.filter(|row| !row.rates.is_empty()).chain(varied).collect()
    }
}

/// A second of a day, as the `from` of an entry has it.
fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}Z", text.split_once('.').map_or(&*text, |(seconds, _)| seconds))
}

/// A key of TOML: bare, where it may be.
fn key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A basic string of TOML, as keys and values have it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{PriceBook, ServiceTier};

    proptest! {
        /// Whatever names hold, they are read as they were written.
        #[test]
        fn any_name_round_trips(provider in "\\PC{1,12}", model in "\\PC{0,3}[\"\\\\\u{1}\n]\\PC{0,3}", at in 0..4_000_000_000_i64) {
            prop_assume!(!provider.trim().is_empty() && model.trim() == model);
            let mut row = EntryRow::of("standard");
            row.state(Bucket::Input, "1.5".parse().unwrap());
            row.state(Bucket::Output, "2".parse().unwrap());
            let entry = Entry {
                provider: provider.clone(),
                models: vec![model.clone()],
                from: Some(Timestamp::from_secs(at)),
                source: "s \"1\"".to_owned(),
                date: "2026-11-26".to_owned(),
                rows: vec![row],
            };
            let book = PriceBook::from_toml(&[("t", &entry.to_toml())]).unwrap();
            let card = book.find(&provider, &model, ServiceTier::Standard, Timestamp::from_secs(at)).unwrap();
            prop_assert_eq!(card.from(), entry.from);
            prop_assert_eq!(card.rows(), entry.rows);
            prop_assert!(book.find(&provider, &model, ServiceTier::Standard, Timestamp::from_secs(at - 1)).is_none());
        }
    }

    /// P2: what is written of a card is read as the same card.
    #[test]
    fn p2_every_shipped_card_is_read_as_it_is_written() {
        let book = PriceBook::builtin().unwrap();
        let now = Timestamp::from_secs(1_795_226_938);
        let cards = book.cards(now);
        let text: String = cards
            .iter()
            .map(|card| {
                let entry = Entry {
                    provider: format!("{}#{}", card.provider(), card.tier()),
                    models: vec![card.model().to_owned()],
                    from: None,
                    source: card.source().to_owned(),
                    date: card.checked().to_owned(),
                    rows: card.rows(),
                };
                entry.to_toml()
            })
            .collect();
        let again = PriceBook::from_toml(&[("again", &text)]).unwrap();
        for card in cards {
            let provider = format!("{}#{}", card.provider(), card.tier());
            let read = again.find(&provider, card.model(), card.tier(), now).unwrap();
            assert_eq!(read.rows(), card.rows(), "{card:?}");
        }
    }
}
