use weighbridge_units::{model_aliases, names_of, vendor_of};

use crate::limits::{
    ANTHROPIC, AZURE, BEDROCK, COHERE, DEEPSEEK, FIREWORKS, GEMINI, GROQ, MISTRAL, MOONSHOT, OPENAI, QWEN,
    TOGETHER, VERTEX, XAI, ZHIPU,
};

/// The lists of all providers, each of one and never empty.
const LISTS: [&[ModelInfo]; 16] = [
    OPENAI, ANTHROPIC, GEMINI, VERTEX, BEDROCK, AZURE, MISTRAL, DEEPSEEK, XAI, GROQ, COHERE, QWEN, MOONSHOT,
    ZHIPU, TOGETHER, FIREWORKS,
];

/// The limits of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The provider's [`crate::Preset::name`].
    pub provider: &'static str,
    /// The name that the provider knows it by.
    pub id: &'static str,
    /// The most tokens of prompt and answer together: no prompt is ever longer.
    pub context_window: u64,
    /// The most tokens of one answer, reasoning included.
    pub max_output: u64,
}

/// The model of that name, if its limits are known. A dated snapshot has those of its family, and a further name those
/// of its model ([`names_of`]), unless it is listed itself.
///
/// `provider` is a [`crate::Preset::name`], or a region of one as the price book names it; `None` says nothing about
/// whether the model exists.
pub fn model(provider: &str, id: &str) -> Option<&'static ModelInfo> {
    names_of(vendor_of(provider), id).find_map(|name| models(provider).find(|model| model.id == name))
}

/// Every model of a provider whose limits are known, newest first.
pub fn models(provider: &str) -> impl Iterator<Item = &'static ModelInfo> {
    let provider = vendor_of(provider);
    let of_it = move |models: &&[ModelInfo]| models.first().is_some_and(|model| model.provider == provider);
    LISTS.into_iter().filter(of_it).flatten()
}

/// Every name of a provider's models whose limits are known, each with the limits: those of [`models`], and then what
/// else the vendor calls them ([`model_aliases`]), sorted.
///
/// ```
/// use weighbridge_catalogue::known_names;
///
/// let window = |wanted| known_names("anthropic").find(|(name, _)| *name == wanted).map(|(_, info)| info.context_window);
/// assert_eq!(window("claude-sonnet-4-5"), Some(200_000));
/// assert_eq!(window("claude-sonnet-4-5-20250929"), Some(200_000));
/// ```
pub fn known_names(provider: &str) -> impl Iterator<Item = (&'static str, &'static ModelInfo)> {
    let is_listed = |name: &&str| models(provider).any(|model| model.id == *name);
    let named = model_aliases(vendor_of(provider)).flat_map(|known| [known.alias, known.id]);
    let mut further: Vec<&'static str> = named.filter(|name| !is_listed(name)).collect();
    further.sort_unstable();
    further.dedup();
    let further = further.into_iter().filter_map(|name| Some((name, model(provider, name)?)));
    models(provider).map(|info| (info.id, info)).chain(further)
}
