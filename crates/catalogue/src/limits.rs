mod azure;
mod bedrock;
mod google;
mod hosts;
mod makers;

use crate::model::ModelInfo;

pub(crate) use azure::AZURE;
pub(crate) use bedrock::BEDROCK;
pub(crate) use google::{GEMINI, VERTEX};
pub(crate) use hosts::{FIREWORKS, GROQ, TOGETHER};
pub(crate) use makers::{COHERE, DEEPSEEK, MISTRAL, MOONSHOT, QWEN, XAI, ZHIPU};

/// The limits of OpenAI's chat and reasoning models, newest first.
///
/// The context window is the largest figure of the PyPI packages genai-prices 0.2.3 (`context_window`),
/// litellm 1.110.2 and, where LangChain has a profile of the model, that (both `max_input_tokens`), all read on
/// 2026-11-27: litellm's leaves the room for the answer out for some models, and no prompt may exceed what is said
/// here. The largest answer is litellm's `max_output_tokens`, or the profile's where litellm states none. Models of
/// which no package states both are left out. `data/sources.tsv` has the figures, and a test keeps the tables to it.
pub(crate) static OPENAI: &[ModelInfo] = &[
    openai("gpt-6.1-sol", 1_050_000, 128_000),
    openai("gpt-6.1-terra", 1_050_000, 128_000),
    openai("gpt-6-astra", 1_050_000, 128_000),
    openai("gpt-6-astra-law", 922_000, 128_000),
    openai("gpt-6-cyber", 922_000, 128_000),
    openai("gpt-6-luna", 1_050_000, 128_000),
    openai("gpt-6-rosalind", 922_000, 128_000),
    openai("gpt-6-sol", 1_050_000, 128_000),
    openai("gpt-5.6", 1_050_000, 128_000),
    openai("gpt-5.6-cyber", 400_000, 128_000),
    openai("gpt-5.6-luna", 1_050_000, 128_000),
    openai("gpt-5.6-sol", 1_050_000, 128_000),
    openai("gpt-5.6-terra", 1_050_000, 128_000),
    openai("gpt-5.5", 1_050_000, 128_000),
    openai("gpt-5.5-pro", 1_050_000, 128_000),
    openai("gpt-5.4", 1_050_000, 128_000),
    openai("gpt-5.4-mini", 400_000, 128_000),
    openai("gpt-5.4-nano", 400_000, 128_000),
    openai("gpt-5.4-pro", 1_050_000, 128_000),
    openai("gpt-5.3-chat-latest", 128_000, 16_384),
    openai("gpt-5.3-codex", 400_000, 128_000),
    openai("gpt-5.2", 400_000, 128_000),
    openai("gpt-5.2-chat-latest", 400_000, 16_384),
    openai("gpt-5.2-codex", 400_000, 128_000),
    openai("gpt-5.2-pro", 400_000, 128_000),
    openai("gpt-5.1", 400_000, 128_000),
    openai("gpt-5.1-chat-latest", 400_000, 16_384),
    openai("gpt-5.1-codex", 400_000, 128_000),
    openai("gpt-5.1-codex-max", 400_000, 128_000),
    openai("gpt-5.1-codex-mini", 400_000, 128_000),
    openai("gpt-5", 400_000, 128_000),
    openai("gpt-5-chat", 400_000, 16_384),
    openai("gpt-5-chat-latest", 400_000, 16_384),
    openai("gpt-5-codex", 400_000, 128_000),
    openai("gpt-5-mini", 400_000, 128_000),
    openai("gpt-5-nano", 400_000, 128_000),
    openai("gpt-5-pro", 400_000, 272_000),
    openai("gpt-5-search-api", 272_000, 128_000),
    openai("gpt-4.1", 1_047_576, 32_768),
    openai("gpt-4.1-mini", 1_047_576, 32_768),
    openai("gpt-4.1-nano", 1_047_576, 32_768),
    // Disputed: litellm says 4,096. See the test of the sources.
    openai("gpt-4", 8_192, 8_192),
    openai("gpt-4-0613", 8_192, 8_192),
    openai("gpt-4-1106-preview", 128_000, 4_096),
    openai("gpt-4-turbo", 128_000, 4_096),
    openai("gpt-4o", 128_000, 16_384),
    openai("gpt-4o-2024-05-13", 128_000, 4_096),
    openai("gpt-4o-audio-preview-2024-12-17", 128_000, 16_384),
    openai("gpt-4o-audio-preview-2025-06-03", 128_000, 16_384),
    openai("gpt-4o-mini", 128_000, 16_384),
    openai("gpt-4o-mini-audio-preview-2024-12-17", 128_000, 16_384),
    openai("gpt-4o-mini-search-preview", 128_000, 16_384),
    openai("gpt-4o-search-preview", 128_000, 16_384),
    openai("gpt-3.5-turbo", 16_385, 4_096),
    openai("gpt-3.5-turbo-0125", 16_385, 4_096),
    openai("gpt-3.5-turbo-1106", 16_385, 4_096),
    openai("gpt-3.5-turbo-16k", 16_385, 4_096),
    openai("o4-mini", 200_000, 100_000),
    openai("o4-mini-deep-research", 200_000, 100_000),
    openai("o3", 200_000, 100_000),
    openai("o3-deep-research", 200_000, 100_000),
    openai("o3-mini", 200_000, 100_000),
    openai("o3-pro", 200_000, 100_000),
    openai("o1", 200_000, 100_000),
    openai("o1-pro", 200_000, 100_000),
    openai("chat-latest", 400_000, 128_000),
    openai("computer-use-preview", 8_192, 1_024),
    openai("daybreak-blue-latest", 922_000, 128_000),
    openai("daybreak-red-latest", 400_000, 128_000),
    openai("gpt-audio", 128_000, 16_384),
    openai("gpt-audio-1.5", 128_000, 16_384),
    openai("gpt-audio-mini", 128_000, 16_384),
    openai("gpt-daybreak-blue-latest", 1_050_000, 128_000),
    openai("gpt-daybreak-red-latest", 400_000, 128_000),
];

/// The limits of Anthropic's models, newest first; sources as for [`OPENAI`].
///
/// Of models that Anthropic no longer serves, litellm states the largest answer for other platforms
/// only (Amazon Bedrock, Vertex AI, for Claude 3.7 Vercel's gateway): the largest of these is taken.
/// Claude Fable 5.2 and Mythos 5.2 are left out: neither package states their largest answer.
pub(crate) static ANTHROPIC: &[ModelInfo] = &[
    anthropic("claude-haiku-5-5", 1_000_000, 128_000),
    anthropic("claude-opus-5-5", 1_000_000, 128_000),
    anthropic("claude-sonnet-5-5", 1_000_000, 128_000),
    anthropic("claude-fable-5-1", 1_000_000, 128_000),
    anthropic("claude-mythos-5-1", 1_000_000, 128_000),
    anthropic("claude-fable-5", 1_000_000, 128_000),
    anthropic("claude-mythos-5", 1_000_000, 128_000),
    anthropic("claude-opus-5", 1_000_000, 128_000),
    anthropic("claude-sonnet-5", 1_000_000, 128_000),
    anthropic("claude-mythos-preview", 1_000_000, 128_000),
    anthropic("claude-opus-4-8", 1_000_000, 128_000),
    anthropic("claude-opus-4-7", 1_000_000, 128_000),
    anthropic("claude-opus-4-6", 1_000_000, 128_000),
    anthropic("claude-sonnet-4-6", 1_000_000, 128_000),
    anthropic("claude-haiku-4-5", 200_000, 64_000),
    anthropic("claude-opus-4-5", 200_000, 64_000),
    anthropic("claude-sonnet-4-5", 200_000, 64_000),
    anthropic("claude-opus-4-1", 200_000, 32_000),
    anthropic("claude-opus-4", 200_000, 32_000),
    anthropic("claude-opus-4-0", 200_000, 32_000),
    anthropic("claude-sonnet-4", 200_000, 64_000),
    anthropic("claude-sonnet-4-0", 200_000, 64_000),
    anthropic("claude-3-7-sonnet", 200_000, 64_000),
    anthropic("claude-3-7-sonnet-latest", 200_000, 64_000),
    anthropic("claude-3-5-haiku", 200_000, 8_192),
    anthropic("claude-3-5-haiku-latest", 200_000, 8_192),
    anthropic("claude-3-5-sonnet", 200_000, 8_192),
    anthropic("claude-3-5-sonnet-latest", 200_000, 8_192),
    anthropic("claude-3-haiku", 200_000, 4_096),
    anthropic("claude-3-opus", 200_000, 4_096),
    anthropic("claude-3-opus-latest", 200_000, 4_096),
    anthropic("claude-3-sonnet", 200_000, 4_096),
];

const fn openai(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "openai", id, context_window, max_output }
}

const fn anthropic(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "anthropic", id, context_window, max_output }
}
