use crate::model::ModelInfo;

/// The limits of OpenAI's models on Azure, newest first, under the names of the models; a deployment may have
/// any other.
///
/// The context window is the larger of litellm's figure for Azure and genai-prices' for OpenAI; the largest
/// answer is litellm's for Azure. Versions and reasons as for [`super::OPENAI`].
pub(crate) static AZURE: &[ModelInfo] = &[
    azure("gpt-6.1-terra", 1_050_000, 128_000),
    azure("gpt-6.1-sol", 1_050_000, 128_000),
    azure("gpt-6-astra", 1_050_000, 128_000),
    azure("gpt-6-luna", 1_050_000, 128_000),
    azure("gpt-6-sol", 1_050_000, 128_000),
    azure("gpt-5.6", 1_050_000, 128_000),
    azure("gpt-5.6-sol", 1_050_000, 128_000),
    azure("gpt-5.6-terra", 1_050_000, 128_000),
    azure("gpt-5.6-luna", 1_050_000, 128_000),
    azure("gpt-5.5", 1_000_000, 128_000),
    azure("gpt-5.5-pro", 1_050_000, 128_000),
    azure("gpt-5.4", 1_050_000, 128_000),
    azure("gpt-5.4-pro", 1_050_000, 128_000),
    azure("gpt-5.4-mini", 400_000, 128_000),
    azure("gpt-5.4-nano", 400_000, 128_000),
    azure("gpt-5.2-chat", 400_000, 16_384),
    azure("gpt-5.3-chat", 128_000, 16_384),
    azure("gpt-5.2-codex", 400_000, 128_000),
    azure("gpt-5.2", 400_000, 128_000),
    azure("gpt-5.3-codex", 400_000, 128_000),
    azure("gpt-5.2-pro", 400_000, 128_000),
    azure("gpt-5.1-codex-2025-11-13", 272_000, 128_000),
    azure("gpt-5", 400_000, 128_000),
    azure("gpt-5.1", 400_000, 128_000),
    azure("gpt-5.1-codex-mini-2025-11-13", 272_000, 128_000),
    azure("gpt-5-mini", 400_000, 128_000),
    azure("gpt-5.1-codex-mini", 400_000, 128_000),
    azure("gpt-5-codex", 400_000, 128_000),
    azure("gpt-5-chat", 400_000, 16_384),
    azure("gpt-5.1-chat", 400_000, 16_384),
    azure("gpt-5.1-codex", 400_000, 128_000),
    azure("gpt-5.1-codex-max", 400_000, 128_000),
    azure("gpt-5-nano", 400_000, 128_000),
    azure("gpt-5-pro", 400_000, 128_000),
    azure("gpt-4.1", 1_047_576, 32_768),
    azure("gpt-4.1-mini", 1_047_576, 32_768),
    azure("gpt-4.1-nano", 1_047_576, 32_768),
    azure("gpt-4-turbo", 128_000, 4_096),
    azure("gpt-4o", 128_000, 16_384),
    azure("gpt-4o-2024-05-13", 128_000, 4_096),
    azure("gpt-4o-audio-preview-2024-12-17", 128_000, 16_384),
    azure("gpt-4o-mini", 128_000, 16_384),
    azure("gpt-4o-mini-audio-preview-2024-12-17", 128_000, 16_384),
    azure("gpt-chat-latest", 128_000, 128_000),
    azure("chat-latest", 272_000, 128_000),
    azure("o1", 200_000, 100_000),
    azure("o3", 200_000, 100_000),
    azure("o3-mini", 200_000, 100_000),
    azure("o3-pro", 200_000, 100_000),
    azure("o4-mini", 200_000, 100_000),
];

const fn azure(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "azure", id, context_window, max_output }
}
