use crate::model::ModelInfo;

/// The limits of Mistral's chat models at its own API, in the order of the price book.
///
/// Sources as for [`super::OPENAI`].
pub(crate) static MISTRAL: &[ModelInfo] = &[
    mistral("mistral-large-4", 1_048_576, 1_048_576),
    mistral("mistral-large-4-0", 1_048_576, 1_048_576),
    mistral("mistral-large-2512", 262_144, 262_144),
    mistral("mistral-large-3", 262_144, 262_144),
    mistral("mistral-large-latest", 262_144, 262_144),
    mistral("mistral-large-2411", 131_072, 16_384),
    mistral("mistral-medium-3-5", 262_144, 262_144),
    mistral("mistral-medium-3.5", 262_144, 262_144),
    mistral("mistral-medium-2604", 262_144, 262_144),
    mistral("mistral-medium-3", 262_144, 262_144),
    mistral("mistral-medium-latest", 262_144, 262_144),
    mistral("mistral-medium", 262_144, 262_144),
    mistral("mistral-vibe-cli-latest", 262_144, 262_144),
    mistral("mistral-vibe-cli-with-tools", 262_144, 262_144),
    mistral("mistral-medium-2508", 262_144, 262_144),
    mistral("mistral-medium-2505", 131_072, 131_072),
    mistral("magistral-medium-latest", 262_144, 262_144),
    mistral("mistral-small-2603", 262_144, 262_144),
    mistral("mistral-small-latest", 262_144, 262_144),
    mistral("mistral-vibe-cli-fast", 262_144, 262_144),
    mistral("mistral-small", 32_000, 8_191),
    mistral("mistral-small-2506", 128_000, 16_384),
    mistral("magistral-small-latest", 262_144, 262_144),
    mistral("ministral-14b-2512", 262_144, 262_144),
    mistral("ministral-14b-latest", 262_144, 262_144),
    mistral("ministral-3-14b-2512", 262_144, 262_144),
    mistral("ministral-8b-2512", 262_144, 262_144),
    mistral("ministral-8b-latest", 262_144, 262_144),
    mistral("ministral-3-8b-2512", 262_144, 262_144),
    mistral("ministral-3b-2512", 131_072, 131_072),
    mistral("ministral-3b-latest", 131_072, 131_072),
    mistral("ministral-3-3b-2512", 131_072, 131_072),
    mistral("open-mistral-nemo", 128_000, 128_000),
    mistral("open-mistral-7b", 8_000, 8_000),
    mistral("mistral-tiny", 32_000, 8_191),
    mistral("codestral-2508", 256_000, 128_000),
    mistral("codestral-latest", 256_000, 128_000),
    mistral("mistral-code-latest", 128_000, 128_000),
    mistral("mistral-code-fim-latest", 128_000, 128_000),
    mistral("devstral-latest", 262_144, 256_000),
    mistral("devstral-medium-latest", 262_144, 256_000),
    mistral("mistral-code-agent-latest", 256_000, 256_000),
    mistral("devstral-2512", 262_144, 262_144),
    mistral("devstral-small-latest", 256_000, 256_000),
    mistral("devstral-small-2507", 128_000, 128_000),
    mistral("devstral-small-2505", 128_000, 128_000),
    mistral("labs-devstral-small-2512", 256_000, 256_000),
    mistral("codestral-mamba-latest", 256_000, 256_000),
    mistral("pixtral-large-latest", 128_000, 128_000),
    mistral("pixtral-12b", 128_000, 128_000),
    mistral("voxtral-small-2507", 32_768, 32_768),
    mistral("voxtral-small-latest", 32_768, 32_768),
    mistral("zai-glm-5-3", 1_048_576, 131_072),
    mistral("zai-glm-5", 1_048_576, 131_072),
    mistral("zai-glm-latest", 1_048_576, 131_072),
    mistral("zai-glm-5-2", 1_048_576, 131_072),
    mistral("glm-5-2", 1_048_576, 131_072),
    mistral("zai-glm-5-3-flash", 1_048_576, 131_072),
    mistral("deepseek-v4-1-flash-1017", 1_048_576, 131_072),
];

/// The limits of DeepSeek's models at its own API; sources as for [`MISTRAL`].
pub(crate) static DEEPSEEK: &[ModelInfo] = &[
    deepseek("deepseek-flash", 1_000_000, 393_216),
    deepseek("deepseek-v4-pro", 1_000_000, 393_216),
    deepseek("deepseek-v4-flash", 1_000_000, 393_216),
    deepseek("deepseek-v4-flash-vision-exp", 1_000_000, 393_216),
    deepseek("deepseek-chat", 131_072, 8_192),
    deepseek("deepseek-reasoner", 131_072, 65_536),
];

/// The limits of xAI's chat models; sources as for [`MISTRAL`].
pub(crate) static XAI: &[ModelInfo] = &[
    xai("grok-4.7", 500_000, 500_000),
    xai("grok-4.6", 500_000, 500_000),
    xai("grok-4.5", 500_000, 500_000),
    xai("grok-4.5-latest", 500_000, 500_000),
    xai("grok-build-latest", 500_000, 500_000),
    xai("grok-4.3", 1_000_000, 1_000_000),
    xai("grok-4.3-latest", 1_000_000, 1_000_000),
    xai("grok-4.20", 1_000_000, 1_000_000),
    xai("grok-4.20-0309-reasoning", 1_000_000, 1_000_000),
    xai("grok-4.20-0309-non-reasoning", 1_000_000, 1_000_000),
    xai("grok-4.20-multi-agent", 1_000_000, 1_000_000),
    xai("grok-4.20-multi-agent-latest", 1_000_000, 1_000_000),
    xai("grok-4.20-multi-agent-0309", 1_000_000, 1_000_000),
    xai("grok-4.20-0309", 1_000_000, 1_000_000),
    xai("grok-4.20-reasoning", 1_000_000, 1_000_000),
    xai("grok-4.20-reasoning-latest", 1_000_000, 1_000_000),
    xai("grok-4.20-non-reasoning", 1_000_000, 1_000_000),
    xai("grok-4.20-non-reasoning-latest", 1_000_000, 1_000_000),
    xai("grok-build-0.1", 256_000, 256_000),
    xai("grok-code-fast-1", 256_000, 256_000),
    xai("grok-code-fast", 256_000, 256_000),
];

/// The limits of Cohere's chat models at its own API; sources as for [`MISTRAL`].
pub(crate) static COHERE: &[ModelInfo] = &[
    cohere("command-a-03-2025", 256_000, 8_000),
    cohere("command-r-plus-08-2024", 128_000, 4_096),
    cohere("command-r-08-2024", 128_000, 4_096),
    cohere("command-r7b-12-2024", 128_000, 4_096),
    cohere("c4ai-aya-expanse-32b", 128_000, 4_000),
];

/// The limits of the chat models at DashScope outside of China, which only litellm lists; sources as for
/// [`MISTRAL`].
pub(crate) static QWEN: &[ModelInfo] = &[
    qwen("qwen3.8-max", 991_808, 131_072),
    qwen("qwen3.8-flash", 991_808, 131_072),
    qwen("qwen3.8-omni-flash", 991_808, 131_072),
    qwen("qwen3.7-max", 991_808, 65_536),
    qwen("qwen3.7-plus", 991_808, 65_536),
    qwen("qwen3.5-plus", 991_808, 65_536),
    qwen("qwen3-max", 258_048, 65_536),
    qwen("qwen3-max-2026-01-23", 258_048, 65_536),
    qwen("qwen3-max-preview", 258_048, 65_536),
    qwen("qwen-max", 30_720, 8_192),
    qwen("qwen-plus-latest", 997_952, 32_768),
    qwen("qwen-plus-2025-09-11", 997_952, 32_768),
    qwen("qwen-plus-2025-07-28", 997_952, 32_768),
    qwen("qwen-plus", 129_024, 16_384),
    qwen("qwen-plus-2025-01-25", 129_024, 8_192),
    qwen("qwen-plus-2025-07-14", 129_024, 16_384),
    qwen("qwen-plus-2025-04-28", 129_024, 16_384),
    qwen("qwen-flash", 997_952, 32_768),
    qwen("qwen-flash-2025-07-28", 997_952, 32_768),
    qwen("qwen-turbo", 129_024, 16_384),
    qwen("qwen-turbo-latest", 1_000_000, 16_384),
    qwen("qwen-turbo-2025-04-28", 1_000_000, 16_384),
    qwen("qwen-turbo-2024-11-01", 1_000_000, 8_192),
    qwen("qwen3-next-80b-a3b-instruct", 262_144, 65_536),
    qwen("qwen3-next-80b-a3b-thinking", 262_144, 65_536),
    qwen("qwq-plus", 98_304, 8_192),
    qwen("qwen3-coder-plus", 997_952, 65_536),
    qwen("qwen3-coder-plus-2025-07-22", 997_952, 65_536),
    qwen("qwen3-coder-flash", 997_952, 65_536),
    qwen("qwen3-coder-flash-2025-07-28", 997_952, 65_536),
    qwen("qwen-coder", 1_000_000, 16_384),
    qwen("qwen3-vl-plus", 260_096, 32_768),
    qwen("qwen3-vl-235b-a22b-instruct", 131_072, 32_768),
    qwen("qwen3-vl-235b-a22b-thinking", 131_072, 32_768),
    qwen("qwen3-vl-32b-instruct", 131_072, 32_768),
    qwen("qwen3-vl-32b-thinking", 131_072, 32_768),
    qwen("deepseek-v4-pro", 1_000_000, 393_216),
    qwen("deepseek-v4-flash", 1_000_000, 393_216),
    qwen("deepseek-v4-flash-0731", 1_000_000, 393_216),
    qwen("glm-5.2", 1_048_576, 131_072),
    qwen("glm-5.1", 202_745, 131_072),
    qwen("kimi-k2.7-code", 229_376, 16_384),
];

/// The limits of Moonshot's models at its own API; sources as for [`MISTRAL`].
pub(crate) static MOONSHOT: &[ModelInfo] = &[
    moonshot("kimi-k3.1-pro", 1_048_576, 1_048_576),
    moonshot("kimi-k3.1-pro-highspeed", 1_048_576, 1_048_576),
    moonshot("kimi-k3", 1_048_576, 1_048_576),
    moonshot("kimi-k2.7-code", 262_144, 262_144),
    moonshot("kimi-k2.6", 262_144, 262_144),
    moonshot("kimi-k2.5", 262_144, 262_144),
    moonshot("moonshot-v1-128k", 131_072, 131_072),
    moonshot("moonshot-v1-128k-vision-preview", 131_072, 131_072),
    moonshot("moonshot-v1-auto", 131_072, 131_072),
    moonshot("moonshot-v1-32k", 32_768, 32_768),
    moonshot("moonshot-v1-32k-vision-preview", 32_768, 32_768),
    moonshot("moonshot-v1-8k", 8_192, 8_192),
    moonshot("moonshot-v1-8k-vision-preview", 8_192, 8_192),
];

/// The limits of Zhipu's chat models at Z.ai; sources as for [`MISTRAL`].
pub(crate) static ZHIPU: &[ModelInfo] = &[
    zhipu("glm-5.3", 1_000_000, 128_000),
    zhipu("glm-5.2", 1_000_000, 128_000),
    zhipu("glm-5.1", 200_000, 128_000),
    zhipu("glm-5.3-flash", 1_048_576, 128_000),
    zhipu("glm-5", 200_000, 128_000),
    zhipu("glm-5-code", 200_000, 128_000),
    zhipu("glm-5v-turbo", 200_000, 128_000),
    zhipu("glm-4.7", 200_000, 128_000),
    zhipu("glm-4.6", 200_000, 128_000),
    zhipu("glm-4.5", 128_000, 32_000),
    zhipu("glm-4.5v", 128_000, 32_000),
    zhipu("glm-4.5-x", 128_000, 32_000),
    zhipu("glm-4.5-air", 128_000, 32_000),
    zhipu("glm-4.5-airx", 128_000, 32_000),
    zhipu("glm-4-32b-0414-128k", 128_000, 32_000),
];

const fn mistral(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "mistral", id, context_window, max_output }
}

const fn deepseek(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "deepseek", id, context_window, max_output }
}

const fn xai(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "xai", id, context_window, max_output }
}

const fn cohere(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "cohere", id, context_window, max_output }
}

const fn qwen(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "qwen", id, context_window, max_output }
}

const fn moonshot(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "moonshot", id, context_window, max_output }
}

const fn zhipu(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "zhipu", id, context_window, max_output }
}
