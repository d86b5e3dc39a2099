use crate::model::ModelInfo;

/// The limits of Gemini's chat models at the Gemini API, newest first; sources as for
/// [`super::OPENAI`].
///
/// For Gemini 3 Pro, which the Gemini API no longer serves, litellm's figures for Vertex AI are taken.
pub(crate) static GEMINI: &[ModelInfo] = &[
    gemini("gemini-4-argon", 1_048_576, 1_048_576),
    gemini("gemini-3.8-flash", 1_048_576, 65_536),
    gemini("gemini-3.7-flash", 1_048_576, 65_536),
    gemini("gemini-3.6-flash", 1_048_576, 65_536),
    gemini("gemini-3.5-flash", 1_048_576, 65_536),
    gemini("gemini-3.5-flash-lite", 1_048_576, 65_536),
    gemini("gemini-3.1-pro-preview", 1_048_576, 65_536),
    gemini("gemini-3.1-flash-lite", 1_048_576, 65_536),
    gemini("gemini-3.1-flash-lite-preview", 1_048_576, 65_536),
    gemini("gemini-3-pro-preview", 1_048_576, 65_535),
    gemini("gemini-3-flash-preview", 1_048_576, 65_536),
    gemini("gemini-2.5-pro", 1_048_576, 65_536),
    gemini("gemini-2.5-flash", 1_048_576, 65_536),
    gemini("gemini-2.5-flash-lite", 1_048_576, 65_536),
    gemini("gemini-flash-latest", 1_048_576, 65_536),
    gemini("gemini-flash-lite-latest", 1_048_576, 65_536),
    gemini("gemini-pro-latest", 1_048_576, 65_536),
];

/// The limits of Gemini's and Anthropic's chat models at Vertex AI, each newest first; sources as for
/// [`super::OPENAI`]. Claude Fable 5.2 is left out: neither package states its largest answer.
pub(crate) static VERTEX: &[ModelInfo] = &[
    vertex("gemini-4-argon", 1_048_576, 1_048_576),
    vertex("gemini-3.8-flash", 1_048_576, 65_536),
    vertex("gemini-3.7-flash", 1_048_576, 65_536),
    vertex("gemini-3.6-flash", 1_048_576, 65_536),
    vertex("gemini-3.5-flash", 1_048_576, 65_535),
    vertex("gemini-3.5-flash-lite", 1_048_576, 65_536),
    vertex("gemini-3.1-pro-preview", 1_048_576, 65_536),
    vertex("gemini-3.1-flash-lite", 1_048_576, 65_536),
    vertex("gemini-3.1-flash-lite-preview", 1_048_576, 65_536),
    vertex("gemini-3-pro-preview", 1_048_576, 65_535),
    vertex("gemini-3-flash-preview", 1_048_576, 65_535),
    vertex("gemini-2.5-pro", 1_048_576, 65_535),
    vertex("gemini-2.5-flash", 1_048_576, 65_535),
    vertex("gemini-2.5-flash-lite", 1_048_576, 65_535),
    vertex("claude-haiku-5-5", 1_000_000, 128_000),
    vertex("claude-haiku-5-5@default", 1_000_000, 128_000),
    vertex("claude-opus-5-5", 1_000_000, 128_000),
    vertex("claude-opus-5-5@default", 1_000_000, 128_000),
    vertex("claude-sonnet-5-5", 1_000_000, 128_000),
    vertex("claude-sonnet-5-5@default", 1_000_000, 128_000),
    vertex("claude-fable-5-1", 1_000_000, 128_000),
    vertex("claude-fable-5-1@default", 1_000_000, 128_000),
    vertex("claude-fable-5", 1_000_000, 128_000),
    vertex("claude-fable-5@default", 1_000_000, 128_000),
    vertex("claude-opus-5", 1_000_000, 128_000),
    vertex("claude-opus-5@default", 1_000_000, 128_000),
    vertex("claude-sonnet-5", 1_000_000, 128_000),
    vertex("claude-sonnet-5@default", 1_000_000, 128_000),
    vertex("claude-opus-4-8", 1_000_000, 128_000),
    vertex("claude-opus-4-8@default", 1_000_000, 128_000),
    vertex("claude-opus-4-7", 1_000_000, 128_000),
    vertex("claude-opus-4-7@default", 1_000_000, 128_000),
    vertex("claude-opus-4-6", 1_000_000, 128_000),
    vertex("claude-opus-4-6@default", 1_000_000, 128_000),
    vertex("claude-sonnet-4-6", 1_000_000, 64_000),
    vertex("claude-sonnet-4-6@default", 1_000_000, 64_000),
    vertex("claude-haiku-4-5", 200_000, 64_000),
    vertex("claude-opus-4-5", 200_000, 64_000),
    vertex("claude-sonnet-4-5", 200_000, 64_000),
];

const fn gemini(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "gemini", id, context_window, max_output }
}

const fn vertex(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "vertex", id, context_window, max_output }
}
