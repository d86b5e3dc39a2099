//! Who serves models of others in Chat Completions: hosts, and servers on one's own machine.

use weighbridge_protocol::Dialect;
use weighbridge_protocol::openai_chat::Quirks;
use weighbridge_units::Protocol;

use crate::preset::{CHAT, PACKAGED, Preset, RECORDED};
use crate::spoken::{ModelFilter, Spoken};
use crate::vendors::vendor;

pub(crate) const TOGETHER: Preset = vendor(
    "together",
    "Together AI",
    "https://api.together.ai/v1",
    &["TOGETHER_API_KEY"],
    &["https://docs.together.ai/docs/inference/openai-compatibility"],
);

pub(crate) const FIREWORKS: Preset = Preset {
    unread: &["https://docs.fireworks.ai/tools-sdks/openai-compatibility"],
    instead: PACKAGED,
    ..vendor(
        "fireworks",
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS_API_KEY"],
        &["https://ai-sdk.dev/v5/providers/ai-sdk-providers/fireworks"],
    )
};

pub(crate) const OPENROUTER: Preset = Preset {
    remarks: "Reasoning is told in `reasoning`; streams hold comments while a model is waited for, and errors \
              with a number for a code.",
    ..vendor(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        &["OPENROUTER_API_KEY"],
        &[
            "https://openrouter.ai/docs/api-reference/overview",
            "https://openrouter.ai/announcements/standardized-finish-reasons",
        ],
    )
};

// The fields are those that the vendor's page named in 2025; it names none any more, nor does it say that
// they are taken. The source is the guide of a client library.
pub(crate) const CEREBRAS: Preset = Preset {
    spoken: &[Spoken::by(Dialect::Compatible, Protocol::OpenAiChat, CHAT, CHAT, ModelFilter::All)
        .with_quirks(Quirks {
            refused: &[
                "frequency_penalty",
                "presence_penalty",
                "logit_bias",
                "parallel_tool_calls",
                "service_tier",
            ],
            no_developer: true,
            ..Quirks::NONE
        })],
    remarks: "Has no role `developer`: `system` stands for it. Which fields it refuses is known from a client \
              library, and not from its own page.",
    ..vendor(
        "cerebras",
        "Cerebras",
        "https://api.cerebras.ai/v1",
        &["CEREBRAS_API_KEY"],
        &[
            "https://inference-docs.cerebras.ai/resources/openai",
            "https://hexdocs.pm/req_llm/ReqLLM.Providers.Cerebras.html",
        ],
    )
};

pub(crate) const SAMBANOVA: Preset = Preset {
    remarks: "Its page leaves the address to the account; this is SambaCloud's.",
    ..vendor(
        "sambanova",
        "SambaNova",
        "https://api.sambanova.ai/v1",
        &["SAMBANOVA_API_KEY"],
        &[
            "https://docs.sambanova.ai/docs/en/features/openai-compatibility",
            "https://docs.pipecat.ai/server/services/llm/sambanova",
        ],
    )
};

pub(crate) const NVIDIA: Preset = Preset {
    unread: &["https://docs.api.nvidia.com/nim/reference/llm-apis"],
    instead: PACKAGED,
    remarks: "The hosted catalogue; a NIM of one's own is at its own `base_url`.",
    ..vendor(
        "nvidia",
        "NVIDIA NIM",
        "https://integrate.api.nvidia.com/v1",
        &["NVIDIA_API_KEY"],
        &["https://docs.pipecat.ai/server/services/llm/nvidia"],
    )
};

pub(crate) const HUGGING_FACE: Preset = Preset {
    unread: &["https://huggingface.co/docs/inference-providers/index"],
    instead: RECORDED,
    remarks: "The router of Inference Providers; a model's name may end in `:provider`.",
    ..vendor(
        "huggingface",
        "Hugging Face",
        "https://router.huggingface.co/v1",
        &["HF_TOKEN"],
        &["https://docs.jambonz.org/guides/features/bring-your-own-llm/hugging-face"],
    )
};

/// Servers of one's own, at the port that they have by default. They need no key, and no variable names
/// one: a key must not reach a server that nobody named.
pub(crate) const OLLAMA: Preset = local(
    "ollama",
    "Ollama",
    "http://127.0.0.1:11434/v1",
    &["https://github.com/ollama/ollama/blob/main/docs/openai.md"],
);

pub(crate) const VLLM: Preset = local(
    "vllm",
    "vLLM",
    "http://127.0.0.1:8000/v1",
    &["https://docs.vllm.ai/en/v0.8.1/serving/openai_compatible_server.html"],
);

pub(crate) const SGLANG: Preset = Preset {
    unread: &["https://docs.sglang.ai/basic_usage/openai_api_completions.html"],
    instead: "the PyPI package sglang 0.5.23",
    ..local("sglang", "SGLang", "http://127.0.0.1:30000/v1", &[])
};

pub(crate) const LM_STUDIO: Preset =
    local("lm-studio", "LM Studio", "http://127.0.0.1:1234/v1", &["https://lmstudio.ai/docs/api/openai-api"]);

pub(crate) const LLAMA_CPP: Preset = local(
    "llama-cpp",
    "llama.cpp",
    "http://127.0.0.1:8080/v1",
    &["https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"],
);

const fn local(
    name: &'static str,
    title: &'static str,
    base_url: &'static str,
    docs: &'static [&'static str],
) -> Preset {
    Preset {
        price_as: None,
        remarks: "A server of one's own; needs no key.",
        ..vendor(name, title, base_url, &[], docs)
    }
}
