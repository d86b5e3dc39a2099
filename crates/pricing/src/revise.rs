//! An update as a whole: from a text that somebody fetched to the next price book.

use thiserror::Error;
use weighbridge_units::Timestamp;

use crate::book::PriceBook;
use crate::error::PriceError;
use crate::litellm::{Imported, LeftOut, MapError};
use crate::rate::Factor;
use crate::sources::{PriceSources, PriceText};
use crate::update::{Approval, Update};

/// How the kept file of updates begins.
const HEAD: &str = "# Prices that `weighbridge prices update` or [prices.refresh] took over, oldest first. Entries are only added.\n";

/// Why an update gives no book. The present one stays (rule P2).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReviseError {
    /// The map of prices cannot be read.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The text is neither a price file nor a map, or has mistakes.
    #[error("what was fetched cannot be used: {0}")]
    Incoming(#[source] PriceError),
    /// The present prices, with the news or without, make no book.
    #[error("the next price book cannot be made: {0}")]
    Book(#[source] PriceError),
}

/// What came of a text of prices.
#[derive(Debug)]
pub struct Revision {
    /// What differs from the present book, and what is held.
    pub update: Update,
    /// What of a map was not understood.
    pub left_out: Vec<LeftOut>,
    /// The next sources and their book; `None` where nothing is taken over.
    pub next: Option<(PriceSources, PriceBook)>,
}

/// Reads a text of prices, a price file or a map of LiteLLM's shape, into a book.
///
/// `name` is what its mistakes and the entries of a map call it, `day` the day on which it was read.
///
/// # Errors
/// [`ReviseError`].
pub fn read_prices(name: &str, text: &str, day: &str) -> Result<(PriceBook, Vec<LeftOut>), ReviseError> {
    let (toml, left_out) = match text.trim_start().starts_with('{') {
        true => {
            let imported = Imported::read(text, name, day)?;
            (imported.to_toml(), imported.left_out)
        }
        false => (text.to_owned(), Vec::new()),
    };
    let book = PriceBook::from_toml(&[(name, &toml)]).map_err(ReviseError::Incoming)?;
    Ok((book, left_out))
}

impl PriceSources {
    /// Takes a text of prices over into the next sources: whatever differs and is not held, or was approved.
    ///
    /// The text is judged as a whole, and so is the book that comes of it: there is a next book or an error, and
    /// nothing in between (rule P2).
    ///
    /// # Errors
    /// [`ReviseError`]; these sources then stay as they are.
    pub fn revise(
        &self,
        (name, text): (&str, &str),
        at: Timestamp,
        jump: Factor,
        approval: &Approval,
    ) -> Result<Revision, ReviseError> {
        let (year, month, day) = at.date();
        let (newer, left_out) = read_prices(name, text, &format!("{year:04}-{month:02}-{day:02}"))?;
        let present = self.listed_book().map_err(ReviseError::Book)?;
        let update = Update::plan(&present, &newer, at, jump);
        let next = match update.entries(approval) {
            None => None,
            Some(entries) => {
                let (name, kept) = match &self.updates {
                    Some(kept) => (kept.name.clone(), kept.text.as_ref()),
                    None => ("updates".into(), HEAD),
                };
                let updates = PriceText::new(name, format!("{kept}{entries}"));
                let next = self.with_updates(Some(updates));
                let book = next.book().map_err(ReviseError::Book)?;
                Some((next, book))
            }
        };
        Ok(Revision { update, left_out, next })
    }
}
