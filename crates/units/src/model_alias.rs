//! Further names of models, as data.

use std::fmt;
use std::iter::{once, once_with};

use crate::model_name::family_of;

/// A vendor's further name for a model: `claude-sonnet-4-5` for `claude-sonnet-4-5-20250929`.
///
/// It is a fact of the day on which it was read: a vendor may let a name mean another model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelAlias {
    /// The vendor, as the catalogue and the price book name it.
    pub provider: &'static str,
    /// The further name.
    pub alias: &'static str,
    /// The model's own name.
    pub id: &'static str,
    /// Who says so.
    pub source: AliasSource,
}

/// Who says what a name stands for; all were read on 2026-11-27.
///
/// What litellm itself lets `…-latest` mean (its `alias_of`) is no source: its client replaces those names, and
/// vendors do not know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AliasSource {
    /// The model's page that litellm 1.110.2 (PyPI) names as its source of the further name is that of the model.
    LitellmPage,
    /// litellm 1.110.2 lists the family, and this one dated model of it.
    LitellmDated,
    /// genai-prices 0.2.3 (PyPI) counts the name among those of the model.
    GenaiPrices,
    /// A page of the vendor's.
    Vendor(&'static str),
}

impl fmt::Display for AliasSource {
    /// The source in a few words, for documentation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LitellmPage => f.write_str("litellm 1.110.2, by the page that it names"),
            Self::LitellmDated => f.write_str("litellm 1.110.2, as the only dated one"),
            Self::GenaiPrices => f.write_str("genai-prices 0.2.3"),
            Self::Vendor(page) => write!(f, "<{page}>"),
        }
    }
}

/// The vendor of a name in the price book, which may be of one of its regions: `vertex` of `vertex@regional`.
///
/// Prices differ by region; models, their limits and names do not.
pub fn vendor_of(price_as: &str) -> &str {
    price_as.split_once('@').map_or(price_as, |(vendor, _)| vendor)
}

/// The further names of a vendor's models.
pub fn model_aliases(vendor: &str) -> impl Iterator<Item = &'static ModelAlias> {
    ALIASES.iter().filter(move |known| known.provider == vendor)
}

/// The names under which something may be known of a vendor's model, nearest first: its own, its
/// [family's](family_of), that of the model which it is a further name of, and that one's family.
///
/// Whoever looks something up takes the first that is found. What is said of a name itself goes before what is said
/// of the model that it stands for.
///
/// ```
/// use weighbridge_units::names_of;
///
/// let names: Vec<&str> = names_of("xai", "grok-4.7-latest").collect();
/// assert_eq!(names, ["grok-4.7-latest", "grok-4.7"]);
/// let names: Vec<&str> = names_of("openai", "gpt-4.1-2025-04-14").collect();
/// assert_eq!(names, ["gpt-4.1-2025-04-14", "gpt-4.1"]);
/// ```
pub fn names_of<'m>(vendor: &'m str, model: &'m str) -> impl Iterator<Item = &'m str> {
    let family = once_with(move || family_of(model)).flatten();
    let meant = once_with(move || meant(vendor, model)).flatten();
    once(model).chain(family).chain(meant.flat_map(|id| once(id).chain(family_of(id))))
}

/// The model that a name is a further name of.
fn meant<'m>(vendor: &str, model: &str) -> Option<&'m str> {
    model_aliases(vendor).find(|known| known.alias == model).map(|known| known.id)
}

const fn paged(provider: &'static str, alias: &'static str, id: &'static str) -> ModelAlias {
    ModelAlias { provider, alias, id, source: AliasSource::LitellmPage }
}

const fn dated(provider: &'static str, alias: &'static str, id: &'static str) -> ModelAlias {
    ModelAlias { provider, alias, id, source: AliasSource::LitellmDated }
}

const fn priced(provider: &'static str, alias: &'static str, id: &'static str) -> ModelAlias {
    ModelAlias { provider, alias, id, source: AliasSource::GenaiPrices }
}

const fn told(
    provider: &'static str,
    alias: &'static str,
    id: &'static str,
    page: &'static str,
) -> ModelAlias {
    ModelAlias { provider, alias, id, source: AliasSource::Vendor(page) }
}

/// DeepSeek's page of how to begin.
const DEEPSEEK: &str = "https://api-docs.deepseek.com/quick_start/your_first_api_call.md";

/// A name whose meaning the sources dispute is left out (`grok-latest`), and so is a family with several dated models
/// (`gpt-4o`). Of Mistral's names genai-prices knows some by what they meant before; there litellm's pages count, with
/// which the release dates of langchain-mistralai 1.1.6 agree.
static ALIASES: &[ModelAlias] = &[
    dated("openai", "gpt-5.5", "gpt-5.5-2026-04-23"),
    dated("openai", "gpt-5.5-pro", "gpt-5.5-pro-2026-04-23"),
    dated("openai", "gpt-5.4", "gpt-5.4-2026-03-05"),
    dated("openai", "gpt-5.4-mini", "gpt-5.4-mini-2026-03-17"),
    dated("openai", "gpt-5.4-nano", "gpt-5.4-nano-2026-03-17"),
    dated("openai", "gpt-5.4-pro", "gpt-5.4-pro-2026-03-05"),
    dated("openai", "gpt-5.2", "gpt-5.2-2025-12-11"),
    dated("openai", "gpt-5.2-pro", "gpt-5.2-pro-2025-12-11"),
    dated("openai", "gpt-5.1", "gpt-5.1-2025-11-13"),
    dated("openai", "gpt-5", "gpt-5-2025-08-07"),
    dated("openai", "gpt-5-mini", "gpt-5-mini-2025-08-07"),
    dated("openai", "gpt-5-nano", "gpt-5-nano-2025-08-07"),
    dated("openai", "gpt-5-pro", "gpt-5-pro-2025-10-06"),
    dated("openai", "gpt-5-search-api", "gpt-5-search-api-2025-10-14"),
    dated("openai", "gpt-4.1", "gpt-4.1-2025-04-14"),
    dated("openai", "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"),
    dated("openai", "gpt-4.1-nano", "gpt-4.1-nano-2025-04-14"),
    dated("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    dated("openai", "gpt-4o-mini-search-preview", "gpt-4o-mini-search-preview-2025-03-11"),
    dated("openai", "gpt-4o-search-preview", "gpt-4o-search-preview-2025-03-11"),
    dated("openai", "gpt-4-turbo", "gpt-4-turbo-2024-04-09"),
    dated("openai", "gpt-audio", "gpt-audio-2025-08-28"),
    dated("openai", "o4-mini", "o4-mini-2025-04-16"),
    dated("openai", "o4-mini-deep-research", "o4-mini-deep-research-2025-06-26"),
    dated("openai", "o3", "o3-2025-04-16"),
    dated("openai", "o3-deep-research", "o3-deep-research-2025-06-26"),
    dated("openai", "o3-mini", "o3-mini-2025-01-31"),
    dated("openai", "o3-pro", "o3-pro-2025-06-10"),
    dated("openai", "o1", "o1-2024-12-17"),
    dated("openai", "o1-pro", "o1-pro-2025-03-19"),
    dated("openai", "computer-use-preview", "computer-use-preview-2025-03-11"),
    priced("openai", "gpt-4", "gpt-4-0613"),
    priced("openai", "gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
    priced("openai", "gpt-5.6", "gpt-5.6-sol"),
    dated("anthropic", "claude-opus-4-7", "claude-opus-4-7-20260416"),
    dated("anthropic", "claude-opus-4-6", "claude-opus-4-6-20260205"),
    dated("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001"),
    dated("anthropic", "claude-opus-4-5", "claude-opus-4-5-20251101"),
    dated("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    priced("anthropic", "claude-opus-4-0", "claude-opus-4-20250514"),
    priced("anthropic", "claude-opus-5-latest", "claude-opus-5"),
    priced("gemini", "gemini-flash-latest", "gemini-3.8-flash"),
    priced("gemini", "gemini-flash-lite-latest", "gemini-3.5-flash-lite"),
    priced("gemini", "gemini-pro-latest", "gemini-3.1-pro-preview"),
    priced("gemini", "gemini-2.5-flash-latest", "gemini-2.5-flash"),
    priced("gemini", "gemini-3-pro-text-preview", "gemini-3-pro-preview"),
    paged("mistral", "mistral-large-latest", "mistral-large-2512"),
    paged("mistral", "mistral-medium-latest", "mistral-medium-2604"),
    paged("mistral", "magistral-medium-latest", "mistral-medium-2604"),
    paged("mistral", "mistral-vibe-cli-latest", "mistral-medium-2604"),
    priced("mistral", "mistral-medium-3-5", "mistral-medium-2604"),
    priced("mistral", "mistral-medium-3.5", "mistral-medium-2604"),
    priced("mistral", "mistral-medium-3", "mistral-medium-2604"),
    paged("mistral", "mistral-small-latest", "mistral-small-2603"),
    paged("mistral", "magistral-small-latest", "mistral-small-2603"),
    paged("mistral", "ministral-14b-latest", "ministral-14b-2512"),
    paged("mistral", "ministral-3b-latest", "ministral-3b-2512"),
    paged("mistral", "codestral-latest", "codestral-2508"),
    paged("mistral", "mistral-code-latest", "codestral-2508"),
    paged("mistral", "mistral-code-fim-latest", "codestral-2508"),
    paged("mistral", "devstral-small-latest", "labs-devstral-small-2512"),
    paged("mistral", "voxtral-small-latest", "voxtral-small-2507"),
    paged("mistral", "zai-glm-latest", "zai-glm-5-3"),
    priced("mistral", "pixtral-12b-latest", "pixtral-12b"),
    told("deepseek", "deepseek-v4-flash", "deepseek-flash", DEEPSEEK),
    told("deepseek", "deepseek-v4-flash-vision-exp", "deepseek-flash", DEEPSEEK),
    priced("xai", "grok-4.7-latest", "grok-4.7"),
    priced("xai", "grok-4.6-latest", "grok-4.6"),
    priced("xai", "grok-4.5-latest", "grok-4.5"),
    priced("xai", "grok-4.3-latest", "grok-4.3"),
    priced("xai", "grok-4.20-multi-agent", "grok-4.20-multi-agent-0309"),
    priced("xai", "grok-4.20-multi-agent-latest", "grok-4.20-multi-agent-0309"),
    priced("xai", "grok-4.20-multi-agent-beta-0309", "grok-4.20-multi-agent-0309"),
    priced("xai", "grok-4.20-multi-agent-beta-latest", "grok-4.20-multi-agent-0309"),
    priced("xai", "grok-code-fast", "grok-code-fast-1"),
    priced("xai", "grok-code-fast-1-0825", "grok-code-fast-1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_model_that_is_no_further_name_itself() {
        for known in ALIASES {
            let named = model_aliases(known.provider).filter(|other| other.alias == known.alias);
            assert_eq!(named.count(), 1, "{known:?}");
            assert!(model_aliases(known.provider).all(|other| other.alias != known.id), "{known:?}");
            assert_ne!(known.alias, known.id);
        }
    }

    #[test]
    fn names_come_nearest_first_and_only_of_the_vendor() {
        let names = |vendor, model| names_of(vendor, model).collect::<Vec<_>>();
        assert_eq!(
            names("anthropic", "claude-opus-4-0"),
            ["claude-opus-4-0", "claude-opus-4-20250514", "claude-opus-4"]
        );
        assert_eq!(names("mistral", "codestral-latest"), ["codestral-latest", "codestral-2508"]);
        assert_eq!(names("openai", "grok-4.7-latest"), ["grok-4.7-latest"]);
        assert_eq!(names("xai", ""), [""]);
        assert_eq!((vendor_of("vertex@regional"), vendor_of("xai")), ("vertex", "xai"));
    }
}
