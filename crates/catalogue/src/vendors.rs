//! Vendors that speak a protocol of OpenAI's at an address of their own, each known by one entry.

use weighbridge_protocol::Dialect;
use weighbridge_units::Protocol;

use crate::preset::{AuthStyle, CHAT, Preset, RESPONSES};
use crate::spoken::{ModelFilter, Spoken};

const CHAT_OF_A_VENDOR: &[Spoken] =
    &[Spoken::by(Dialect::Compatible, Protocol::OpenAiChat, CHAT, CHAT, ModelFilter::All)];

const CHAT_TELLING_USAGE_UNASKED: &[Spoken] =
    &[Spoken::by(Dialect::Compatible, Protocol::OpenAiChat, CHAT, CHAT, ModelFilter::All)
        .telling_usage_unasked()];

const RESPONSES_OF_A_VENDOR: &[Spoken] =
    &[Spoken::by(Dialect::Compatible, Protocol::OpenAiResponses, RESPONSES, RESPONSES, ModelFilter::All)];

// <https://docs.mistral.ai/api>; it refuses `stream_options`:
// <https://github.com/openai/openai-agents-python/issues/442>.
pub(crate) const MISTRAL: Preset = Preset {
    spoken: CHAT_TELLING_USAGE_UNASKED,
    ..vendor("mistral", "Mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"])
};

// <https://api-docs.deepseek.com>
pub(crate) const DEEPSEEK: Preset =
    vendor("deepseek", "DeepSeek", "https://api.deepseek.com", &["DEEPSEEK_API_KEY"]);

// <https://docs.x.ai/api/integrations>
pub(crate) const XAI: Preset = vendor("xai", "xAI", "https://api.x.ai/v1", &["XAI_API_KEY"]);

// <https://console.groq.com/docs/openai>
pub(crate) const GROQ: Preset = vendor("groq", "Groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"]);

// <https://docs.cohere.com/docs/compatibility-api>; it refuses `stream_options`:
// <https://strandsagents.com/docs/user-guide/concepts/model-providers/cohere/>. The second variable is
// that of Cohere's own SDK.
pub(crate) const COHERE: Preset = Preset {
    spoken: CHAT_TELLING_USAGE_UNASKED,
    ..vendor("cohere", "Cohere", "https://api.cohere.ai/compatibility/v1", &["COHERE_API_KEY", "CO_API_KEY"])
};

// <https://help.aliyun.com/en/model-studio/base-url>: Singapore's address. Keys are bound to their region.
pub(crate) const QWEN: Preset = vendor(
    "qwen",
    "Qwen (DashScope)",
    "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    &["DASHSCOPE_API_KEY"],
);

// <https://platform.kimi.ai/docs/api/overview>: the address outside of China.
pub(crate) const MOONSHOT: Preset =
    vendor("moonshot", "Moonshot (Kimi)", "https://api.moonshot.ai/v1", &["MOONSHOT_API_KEY"]);

// <https://docs.z.ai/api-reference/introduction>: the address outside of China.
pub(crate) const ZHIPU: Preset =
    vendor("zhipu", "Zhipu (Z.ai)", "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY"]);

// <https://docs.together.ai/docs/inference/openai-compatibility>
pub(crate) const TOGETHER: Preset =
    vendor("together", "Together AI", "https://api.together.ai/v1", &["TOGETHER_API_KEY"]);

// <https://ai-sdk.dev/v5/providers/ai-sdk-providers/fireworks>
pub(crate) const FIREWORKS: Preset =
    vendor("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", &["FIREWORKS_API_KEY"]);

// <https://docs.perplexity.ai/docs/grounded-llm/openai-compatibility>. Its Chat Completions ended in
// September 2026.
pub(crate) const PERPLEXITY: Preset = Preset {
    spoken: RESPONSES_OF_A_VENDOR,
    ..vendor("perplexity", "Perplexity", "https://api.perplexity.ai/v1", &["PERPLEXITY_API_KEY"])
};

/// A vendor that speaks Chat Completions, takes its key as a bearer token, and has prices under its name.
const fn vendor(
    name: &'static str,
    title: &'static str,
    base_url: &'static str,
    env_vars: &'static [&'static str],
) -> Preset {
    Preset {
        name,
        title,
        spoken: CHAT_OF_A_VENDOR,
        base_url: Some(base_url),
        auth: AuthStyle::Bearer,
        env_vars,
        headers: &[],
        price_as: Some(name),
        region_vars: &[],
        project_vars: &[],
        takes_aws_keys: false,
    }
}
