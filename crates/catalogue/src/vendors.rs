//! Vendors that speak a protocol of OpenAI's at an address of their own, each known by one entry.

use weighbridge_protocol::Dialect;
use weighbridge_protocol::openai_chat::Quirks;
use weighbridge_units::Protocol;

use crate::preset::{AuthStyle, CHAT, PACKAGED, Preset, RECORDED, RESPONSES};
use crate::spoken::{ModelFilter, Spoken};

/// Chat Completions, as most vendors speak it.
const CHAT_AS_COPIED: Spoken =
    Spoken::by(Dialect::Compatible, Protocol::OpenAiChat, CHAT, CHAT, ModelFilter::All);

const RESPONSES_AS_COPIED: Spoken =
    Spoken::by(Dialect::Compatible, Protocol::OpenAiResponses, RESPONSES, RESPONSES, ModelFilter::All);

pub(crate) const CHAT_OF_A_VENDOR: &[Spoken] = &[CHAT_AS_COPIED];

/// The schema of the API admits no field that it does not name, in messages neither: what is listed here are
/// the fields of OpenAI's that the vendor's own client, mistralai 3.7.0 (PyPI), does not have. Roles are those of its
/// client. Of service tiers it knows `auto`, which says nothing, and none of OpenAI's others.
const MISTRALS: Quirks = Quirks {
    renamed: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
    refused: &[
        "store",
        "user",
        "logit_bias",
        "service_tier",
        "verbosity",
        "safety_identifier",
        "modalities",
        "audio",
        "web_search_options",
    ],
    refused_in_messages: &[
        "name",
        "refusal",
        "annotations",
        "audio",
        "function_call",
        "reasoning_content",
        "reasoning",
        "reasoning_details",
    ],
    no_developer: true,
};

pub(crate) const MISTRAL: Preset = Preset {
    spoken: &[CHAT_AS_COPIED.telling_usage_unasked().with_quirks(MISTRALS)],
    unread: &["https://docs.mistral.ai/api"],
    instead: "recorded traffic, and the vendor's own client, mistralai 3.7.0 (PyPI)",
    remarks: "Refuses every field that its schema does not name, `stream_options` among them. `safe_prompt` \
              and `prompt_mode` pass.",
    ..vendor(
        "mistral",
        "Mistral",
        "https://api.mistral.ai/v1",
        &["MISTRAL_API_KEY"],
        &[
            "https://github.com/mistralai/client-python/blob/main/docs/models/chatcompletionrequest.md",
            "https://github.com/mistralai/platform-docs-public/issues/7",
            "https://github.com/avante-corp/avante.nvim/issues/2347",
        ],
    )
};

pub(crate) const DEEPSEEK: Preset = Preset {
    remarks: "Reasoning is told in `reasoning_content`, cached tokens in `prompt_cache_hit_tokens`; an answer \
              may end with `insufficient_system_resource`.",
    ..vendor(
        "deepseek",
        "DeepSeek",
        "https://api.deepseek.com",
        &["DEEPSEEK_API_KEY"],
        &["https://api-docs.deepseek.com"],
    )
};

pub(crate) const XAI: Preset = Preset {
    spoken: &[CHAT_AS_COPIED, RESPONSES_AS_COPIED],
    unread: &[
        "https://docs.x.ai/api/integrations",
        "https://docs.x.ai/developers/model-capabilities/text/best-practices",
    ],
    instead: RECORDED,
    remarks: "Reasoning tokens stand beside `completion_tokens`. Models that reason refuse \
              `presence_penalty`, `frequency_penalty` and `stop`, which is left to them. The vendor calls Chat \
              Completions deprecated.",
    ..vendor(
        "xai",
        "xAI",
        "https://api.x.ai/v1",
        &["XAI_API_KEY"],
        &["https://docs.x.ai/developers/model-capabilities/text/comparison"],
    )
};

pub(crate) const GROQ: Preset = Preset {
    spoken: &[CHAT_AS_COPIED.with_quirks(Quirks {
        refused: &["logprobs", "top_logprobs", "logit_bias"],
        refused_in_messages: &["name"],
        ..Quirks::NONE
    })],
    remarks: "The usage of a stream may stand in `x_groq`. Takes one candidate only, which is left to it.",
    ..vendor(
        "groq",
        "Groq",
        "https://api.groq.com/openai/v1",
        &["GROQ_API_KEY"],
        &["https://console.groq.com/docs/openai"],
    )
};

/// The list is the vendor's own; of `n` only 1 can be meant.
const COHERES: Quirks = Quirks {
    renamed: &[("max_completion_tokens", "max_tokens")],
    refused: &[
        "store",
        "metadata",
        "logit_bias",
        "top_logprobs",
        "n",
        "modalities",
        "prediction",
        "audio",
        "service_tier",
        "parallel_tool_calls",
    ],
    ..Quirks::NONE
};

// The second variable is that of Cohere's own SDK.
pub(crate) const COHERE: Preset = Preset {
    spoken: &[CHAT_AS_COPIED.telling_usage_unasked().with_quirks(COHERES)],
    remarks: "Called at its Compatibility API, which refuses `stream_options`: that is reported of it, and not \
              in its documentation.",
    ..vendor(
        "cohere",
        "Cohere",
        "https://api.cohere.ai/compatibility/v1",
        &["COHERE_API_KEY", "CO_API_KEY"],
        &[
            "https://docs.cohere.com/docs/compatibility-api",
            "https://strandsagents.com/docs/user-guide/concepts/model-providers/cohere/",
        ],
    )
};

pub(crate) const QWEN: Preset = Preset {
    remarks: "Singapore's address; keys are bound to their region. The vendor advises an address of the workspace's \
              own instead, which is a `base_url`. Reasoning is told in `reasoning_content`.",
    ..vendor(
        "qwen",
        "Qwen (DashScope)",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["DASHSCOPE_API_KEY"],
        &["https://www.alibabacloud.com/help/en/model-studio/base-url"],
    )
};

pub(crate) const MOONSHOT: Preset = Preset {
    unread: &["https://platform.kimi.ai/docs/api/overview"],
    instead: PACKAGED,
    remarks: "The address outside of China.",
    ..vendor(
        "moonshot",
        "Moonshot (Kimi)",
        "https://api.moonshot.ai/v1",
        &["MOONSHOT_API_KEY"],
        &["https://www.developersdigest.tech/reference/api-compatibility/moonshot"],
    )
};

pub(crate) const ZHIPU: Preset = Preset {
    remarks: "The address outside of China; keys of the Coding Plan have another, \
              `https://api.z.ai/api/coding/paas/v4`. Reasoning is told in `reasoning_content`.",
    ..vendor(
        "zhipu",
        "Zhipu (Z.ai)",
        "https://api.z.ai/api/paas/v4",
        &["ZAI_API_KEY"],
        &["https://docs.z.ai/api-reference/introduction"],
    )
};

pub(crate) const MINIMAX: Preset = Preset {
    remarks: "The address outside of China. Older models tell their reasoning in `<think>` tags of the \
              content, which stay there.",
    ..vendor(
        "minimax",
        "MiniMax",
        "https://api.minimax.io/v1",
        &["MINIMAX_API_KEY"],
        &["https://platform.minimax.io/docs/api-reference/text-openai-api"],
    )
};

pub(crate) const PERPLEXITY: Preset = Preset {
    spoken: &[RESPONSES_AS_COPIED],
    remarks: "Called at its Agent API: Sonar at Chat Completions ended on 27 September 2026.",
    ..vendor(
        "perplexity",
        "Perplexity",
        "https://api.perplexity.ai/v1",
        &["PERPLEXITY_API_KEY"],
        &[
            "https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar",
            "https://www.truefoundry.com/docs/change-announcements/perplexity-agent-api-migration",
            "https://docs.stigg.io/documentation/ai-agents/llm-wrappers/providers/perplexity",
        ],
    )
};

/// A vendor that speaks Chat Completions, takes its key as a bearer token, and has prices under its name.
pub(crate) const fn vendor(
    name: &'static str,
    title: &'static str,
    base_url: &'static str,
    env_vars: &'static [&'static str],
    docs: &'static [&'static str],
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
        docs,
        unread: &[],
        instead: "",
        remarks: "",
    }
}
