use crate::model::ModelInfo;

/// The limits of the chat models at Groq, in the order of the price book.
///
/// Sources as for [`super::OPENAI`]. Of models that litellm no longer lists, the profiles alone state figures.
pub(crate) static GROQ: &[ModelInfo] = &[
    groq("openai/gpt-oss-120b", 131_072, 65_536),
    groq("openai/gpt-oss-20b", 131_072, 65_536),
    groq("openai/gpt-oss-safeguard-20b", 131_072, 65_536),
    groq("qwen/qwen3.8-27b", 131_072, 16_384),
    groq("moonshotai/kimi-k2-instruct-0905", 262_144, 16_384),
    groq("moonshotai/kimi-k2-instruct", 131_072, 16_384),
    groq("qwen/qwen3-32b", 131_072, 40_960),
    groq("meta-llama/llama-4-maverick-17b-128e-instruct", 131_072, 8_192),
    groq("meta-llama/llama-4-scout-17b-16e-instruct", 131_072, 8_192),
    groq("meta-llama/llama-guard-4-12b", 131_072, 1_024),
    groq("gemma2-9b-it", 8_192, 8_192),
    groq("llama-3.3-70b-versatile", 131_072, 32_768),
    groq("llama-3.1-8b-instant", 131_072, 131_072),
    groq("deepseek-r1-distill-llama-70b", 131_072, 8_192),
    groq("mistral-saba-24b", 32_768, 32_768),
];

/// The limits of the chat models at Together AI; sources as for [`GROQ`].
pub(crate) static TOGETHER: &[ModelInfo] = &[
    together("moonshotai/Kimi-K3.1-Pro", 1_048_576, 1_048_576),
    together("moonshotai/Kimi-K3", 1_048_576, 1_048_576),
    together("zai-org/GLM-5.3", 1_048_575, 128_000),
    together("zai-org/GLM-5.2", 1_048_575, 128_000),
    together("zai-org/GLM-5.3-Flash", 1_048_575, 128_000),
    together("zai-org/GLM-4.6", 202_752, 202_752),
    together("deepseek-ai/DeepSeek-V4-Pro-0813", 1_048_576, 1_048_576),
    together("deepseek-ai/DeepSeek-V4.1-Flash", 1_048_576, 1_048_576),
    together("deepseek-ai/DeepSeek-V4.1-Flash-1017", 1_048_576, 1_048_576),
    together("deepseek-ai/DeepSeek-V3", 65_536, 8_192),
    together("Qwen/Qwen3.7-Max", 1_000_000, 1_000_000),
    together("Qwen/Qwen3.7-Plus", 1_000_000, 1_000_000),
    together("Qwen/Qwen3.6-Plus", 1_000_000, 1_000_000),
    together("Qwen/Qwen3.8-Flash", 1_000_000, 1_000_000),
    together("Qwen/Qwen3.5-9B", 262_144, 262_144),
    together("Qwen/Qwen2.5-72B-Instruct", 32_768, 32_768),
    together("Qwen/Qwen2.5-14B-Instruct", 32_768, 32_768),
    together("Qwen/Qwen2-1.5B-Instruct", 32_768, 32_768),
    together("MiniMaxAI/MiniMax-M3.1-Flash", 1_048_576, 1_048_576),
    together("meta-models/Muse-Spark-Open-816B-A42B", 1_048_576, 1_048_576),
    together("meta-models/Muse-Glimmer-30B", 131_072, 131_072),
    together("meta-llama/Llama-3.1-405B-Instruct", 4_096, 4_096),
    together("meta-llama/Llama-3.2-3B-Instruct", 131_072, 131_072),
    together("meta-llama/Llama-3.2-1B-Instruct", 131_072, 131_072),
    together("nvidia/NVIDIA-Nemotron-3.5-Super-VL", 262_144, 262_144),
    together("reflection/Beam-1.0-501B-A23B", 1_048_576, 1_048_576),
    together("ricursive-ai/Ripple-65B-Preview", 131_072, 131_072),
    together("openai/gpt-oss-120b", 131_072, 131_072),
    together("arcee-ai/trinity-mini", 128_000, 128_000),
];

/// The limits of the chat models at Fireworks AI; sources as for [`GROQ`].
///
/// Left out are models whose answers litellm says may be longer than what they take in all.
pub(crate) static FIREWORKS: &[ModelInfo] = &[
    fireworks("accounts/fireworks/models/kimi-k3p1-pro", 1_048_576, 131_072),
    fireworks("accounts/fireworks/models/kimi-k3", 1_048_576, 131_072),
    fireworks("accounts/fireworks/models/ember-1", 1_048_576, 131_072),
    fireworks("accounts/fireworks/routers/kimi-k3-fast", 1_048_576, 131_072),
    fireworks("accounts/fireworks/routers/kimi-k3-us", 1_048_576, 131_072),
    fireworks("accounts/fireworks/routers/kimi-k3-spot", 1_048_576, 131_072),
    fireworks("accounts/fireworks/models/kimi-k2p5", 262_144, 32_768),
    fireworks("accounts/fireworks/models/glm-5p3", 1_048_576, 128_000),
    fireworks("accounts/fireworks/routers/glm-5p3-us", 1_048_576, 128_000),
    fireworks("accounts/fireworks/routers/glm-5p3-fast", 1_048_576, 1_048_576),
    fireworks("accounts/fireworks/routers/glm-5p3-spot", 1_048_576, 128_000),
    fireworks("accounts/fireworks/models/glm-5p3-flash", 1_048_576, 1_048_576),
    fireworks("accounts/fireworks/models/glm-5p1", 202_752, 131_072),
    fireworks("accounts/fireworks/routers/glm-5p1-fast", 202_800, 131_072),
    fireworks("accounts/fireworks/models/glm-4p7", 202_800, 202_800),
    fireworks("accounts/fireworks/models/deepseek-v4p1-flash-1017", 1_048_576, 393_216),
    fireworks("accounts/fireworks/models/deepseek-v4p1-flash", 1_048_576, 393_216),
    fireworks("accounts/fireworks/models/deepseek-v4p1-flash-1017-us", 1_048_576, 393_216),
    fireworks("accounts/fireworks/routers/deepseek-v4p1-flash-us", 1_048_576, 393_216),
    fireworks("accounts/fireworks/routers/deepseek-v4p1-flash-1017-ultrafast", 1_048_576, 393_216),
    fireworks("accounts/fireworks/routers/deepseek-v4p1-flash-1017-spot", 1_048_576, 393_216),
    fireworks("accounts/fireworks/routers/deepseek-v4p1-flash-spot", 1_048_576, 393_216),
    fireworks("accounts/fireworks/models/deepseek-v3p2", 163_840, 163_840),
    fireworks("accounts/fireworks/models/deepseek-r1-0528", 163_840, 160_000),
    fireworks("accounts/fireworks/models/deepseek-v3-0324", 163_840, 163_840),
    fireworks("accounts/fireworks/models/qwen2p5-vl-72b-instruct", 128_000, 128_000),
    fireworks("accounts/fireworks/models/qwen3p8-max", 262_144, 131_072),
    fireworks("accounts/fireworks/models/qwen3p7-plus", 262_144, 65_536),
    fireworks("accounts/fireworks/models/qwen3-235b-a22b", 131_072, 131_072),
    fireworks("accounts/fireworks/models/llama4-maverick-instruct-basic", 1_000_000, 131_072),
    fireworks("accounts/fireworks/models/minimax-m3p1-flash", 1_048_576, 1_048_576),
    fireworks("accounts/fireworks/models/minimax-m3", 524_288, 512_000),
    fireworks("accounts/fireworks/models/minimax-m2p1", 204_800, 204_800),
    fireworks("accounts/fireworks/models/ultramarine-1-flash-us", 1_048_576, 1_048_576),
    fireworks("accounts/fireworks/models/gpt-oss-20b", 131_072, 32_768),
    fireworks("accounts/fireworks/models/llama-v3p1-8b-instruct", 131_072, 16_384),
    fireworks("accounts/fireworks/models/gemma-3-27b-it", 131_072, 131_072),
];

const fn groq(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "groq", id, context_window, max_output }
}

const fn together(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "together", id, context_window, max_output }
}

const fn fireworks(id: &'static str, context_window: u64, max_output: u64) -> ModelInfo {
    ModelInfo { provider: "fireworks", id, context_window, max_output }
}
