use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use weighbridge_units::{Timestamp, names_of, vendor_of};

use crate::card::PriceCard;
use crate::error::{Mistakes, PriceError};
use crate::file;
use crate::tier::ServiceTier;
use crate::version::PriceVersion;

/// The price files that come with the crate, as name and text: what [`PriceBook::builtin`] reads.
///
/// To add prices, load them together with these: `from_toml(&[BUILTIN_FILES, &[(name, text)]].concat())`.
pub const BUILTIN_FILES: &[(&str, &str)] = &[
    ("openai.toml", include_str!("../data/openai.toml")),
    ("anthropic.toml", include_str!("../data/anthropic.toml")),
    ("gemini.toml", include_str!("../data/gemini.toml")),
    ("vertex.toml", include_str!("../data/vertex.toml")),
    ("bedrock.toml", include_str!("../data/bedrock.toml")),
    ("azure.toml", include_str!("../data/azure.toml")),
    ("mistral.toml", include_str!("../data/mistral.toml")),
    ("deepseek.toml", include_str!("../data/deepseek.toml")),
    ("xai.toml", include_str!("../data/xai.toml")),
    ("groq.toml", include_str!("../data/groq.toml")),
    ("cohere.toml", include_str!("../data/cohere.toml")),
    ("qwen.toml", include_str!("../data/qwen.toml")),
    ("moonshot.toml", include_str!("../data/moonshot.toml")),
    ("zhipu.toml", include_str!("../data/zhipu.toml")),
    ("together.toml", include_str!("../data/together.toml")),
    ("fireworks.toml", include_str!("../data/fireworks.toml")),
    ("perplexity.toml", include_str!("../data/perplexity.toml")),
    ("openai-media.toml", include_str!("../data/openai-media.toml")),
    ("gemini-media.toml", include_str!("../data/gemini-media.toml")),
    ("vertex-media.toml", include_str!("../data/vertex-media.toml")),
    ("bedrock-media.toml", include_str!("../data/bedrock-media.toml")),
    ("azure-media.toml", include_str!("../data/azure-media.toml")),
    ("mistral-media.toml", include_str!("../data/mistral-media.toml")),
    ("xai-media.toml", include_str!("../data/xai-media.toml")),
    ("groq-media.toml", include_str!("../data/groq-media.toml")),
    ("cohere-media.toml", include_str!("../data/cohere-media.toml")),
    ("qwen-media.toml", include_str!("../data/qwen-media.toml")),
    ("together-media.toml", include_str!("../data/together-media.toml")),
    ("fireworks-media.toml", include_str!("../data/fireworks-media.toml")),
];

/// The provider and the model of the default entry.
pub(crate) const ANY: &str = "*";

const TIERS: usize = ServiceTier::ALL.len();

/// The cards of a model from one date on, by service tier.
pub(crate) struct Period {
    pub(crate) from: Option<Timestamp>,
    pub(crate) cards: [Option<Arc<PriceCard>>; TIERS],
}

/// The periods of each model, oldest first, by provider and model.
pub(crate) type Shelf = HashMap<Arc<str>, HashMap<Arc<str>, Vec<Period>>>;

/// Effective-dated prices of many models, loaded wholly or not at all, and never changed.
///
/// An update is another book that takes this one's place; what was dispatched under this one
/// still holds its [`PriceCard`] (rules P1, P2).
pub struct PriceBook {
    shelf: Shelf,
    version: PriceVersion,
}

impl PriceBook {
    /// The prices that come with the crate ([`BUILTIN_FILES`]).
    ///
    /// # Errors
    /// None in a released crate: a test loads the files.
    pub fn builtin() -> Result<Self, PriceError> {
        Self::from_toml(BUILTIN_FILES)
    }

    /// Reads price files, given as name and text. The crate's page shows the format.
    ///
    /// # Errors
    /// [`PriceError::Load`] with every mistake in every file.
    pub fn from_toml(files: &[(&str, &str)]) -> Result<Self, PriceError> {
        Self::with_overrides(files, &[])
    }

    /// Reads price files, and `overrides` in the same format, whose entries take the place of whatever the
    /// files say of the same model and tier from the same instant on. What is overridden for a provider holds
    /// in its regions too.
    ///
    /// # Errors
    /// As [`Self::from_toml`].
    pub fn with_overrides(files: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<Self, PriceError> {
        let version = PriceVersion::of(files, overrides);
        let (shelf, mistakes) = file::load(files, overrides, &version);
        if mistakes.is_empty() {
            Ok(Self { shelf, version })
        } else {
            Err(PriceError::Load(Mistakes(mistakes)))
        }
    }

    /// Names the book's content.
    pub fn version(&self) -> &PriceVersion {
        &self.version
    }

    /// The card of a provider's model in a service tier at an instant.
    ///
    /// A dated snapshot without an entry of its own (`gpt-4.1-2025-04-14`, `claude-haiku-4-5-20251001`)
    /// has its family's price, and a further name of a model that of the model ([`names_of`]). `None` is "no price is known", never "free" (rule M7); so it is for
    /// [`ServiceTier::Unknown`].
    pub fn find(
        &self,
        provider: &str,
        model: &str,
        tier: ServiceTier,
        at: Timestamp,
    ) -> Option<Arc<PriceCard>> {
        self.period(provider, model, at)?.cards.get(tier as usize)?.clone()
    }

    /// The price of a model that the book does not know, where one was agreed on: the entry of provider `*`
    /// and model `*`, whichever tier is asked for. Whether it may be used is up to the caller.
    pub fn find_default(&self, at: Timestamp) -> Option<Arc<PriceCard>> {
        self.find(ANY, ANY, ServiceTier::Standard, at)
    }

    /// The card that a log names as the one that priced an attempt ([`crate::PricedBy`]).
    pub fn find_as_priced(
        &self,
        provider: &str,
        model: &str,
        tier: ServiceTier,
        at: Timestamp,
    ) -> Option<Arc<PriceCard>> {
        if provider == ANY { self.find_default(at) } else { self.find(provider, model, tier, at) }
    }

    /// Every card that holds at an instant: by provider, model and tier.
    pub fn cards(&self, at: Timestamp) -> Vec<Arc<PriceCard>> {
        let names = self.models();
        let periods = names.into_iter().filter_map(|(provider, model)| self.period(provider, model, at));
        periods.flat_map(|period| period.cards.iter().flatten().cloned()).collect()
    }

    fn period(&self, provider: &str, model: &str, at: Timestamp) -> Option<&Period> {
        // A region has only the models whose rates are others there.
        let vendor = vendor_of(provider);
        let here = self.shelf.get(provider)?;
        let periods =
            periods(here, vendor, model).or_else(|| periods(self.shelf.get(vendor)?, vendor, model))?;
        let holds = |period: &&Period| period.from.is_none_or(|from| from <= at);
        periods.iter().rev().find(holds)
    }

    /// Whether the book knows a provider, or a region of one as `provider@region`.
    pub fn knows(&self, provider: &str) -> bool {
        self.shelf.contains_key(provider)
    }

    /// Every provider and model that has an entry, sorted.
    pub fn models(&self) -> Vec<(&str, &str)> {
        let mut names: Vec<_> = self
            .shelf
            .iter()
            .flat_map(|(provider, models)| models.keys().map(move |model| (&**provider, &**model)))
            .collect();
        names.sort_unstable();
        names
    }
}

/// The periods of a vendor's model, under the nearest of its names.
fn periods<'s>(
    models: &'s HashMap<Arc<str>, Vec<Period>>,
    vendor: &str,
    model: &str,
) -> Option<&'s [Period]> {
    names_of(vendor, model).find_map(|name| models.get(name)).map(Vec::as_slice)
}

impl fmt::Debug for PriceBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PriceBook({}, {} models)", self.version, self.models().len())
    }
}
