use std::sync::Arc;

use crate::book::{ANY, PriceBook};
use crate::error::PriceError;

/// A price file: its name, as mistakes call it, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceText {
    /// The name.
    pub name: Arc<str>,
    /// The text.
    pub text: Arc<str>,
}

impl PriceText {
    /// A file of that name and text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    fn parts(&self) -> (&str, &str) {
        (&self.name, &self.text)
    }
}

/// All that a price book is made of: kept, so that an update can make the next book of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceSources {
    /// Price files, the shipped ones among them.
    pub files: Vec<PriceText>,
    /// What updates have added since.
    pub updates: Option<PriceText>,
    /// What takes the place of all that.
    pub overrides: Vec<PriceText>,
}

impl PriceSources {
    /// The book of all of it.
    ///
    /// # Errors
    /// [`PriceError::Load`] with every mistake.
    pub fn book(&self) -> Result<PriceBook, PriceError> {
        let overrides: Vec<_> = self.overrides.iter().map(PriceText::parts).collect();
        PriceBook::with_overrides(&self.listed(), &overrides)
    }

    /// The book without overrides: what updates are compared with, so that an override is not taken for news.
    ///
    /// # Errors
    /// As [`Self::book`].
    pub fn listed_book(&self) -> Result<PriceBook, PriceError> {
        PriceBook::from_toml(&self.listed())
    }

    /// The same with other updates.
    #[must_use]
    pub fn with_updates(&self, updates: Option<PriceText>) -> Self {
        Self { updates, ..self.clone() }
    }

    fn listed(&self) -> Vec<(&str, &str)> {
        self.files.iter().chain(&self.updates).map(PriceText::parts).collect()
    }
}

/// The provider and the model of the entry that stands for every model without one.
pub const DEFAULT_ENTRY: (&str, &str) = (ANY, ANY);
