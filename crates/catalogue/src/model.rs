use weighbridge_units::family_of;

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

/// The model of that name, if its limits are known. A dated snapshot has those of its family, unless
/// it is listed itself.
///
/// `provider` is a [`crate::Preset::name`]; `None` says nothing about whether the model exists.
pub fn model(provider: &str, id: &str) -> Option<&'static ModelInfo> {
    let listed = |id: &str| models(provider).find(|model| model.id == id);
    listed(id).or_else(|| listed(family_of(id)?))
}

/// Every model of a provider whose limits are known, newest first.
pub fn models(provider: &str) -> impl Iterator<Item = &'static ModelInfo> {
    let of_it = move |models: &&[ModelInfo]| models.first().is_some_and(|model| model.provider == provider);
    LISTS.into_iter().filter(of_it).flatten()
}
