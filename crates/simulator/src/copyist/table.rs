//! The vendors, each after its own documentation where that says something; the pages are named beside them.

use super::{Copyist, Errors, UsageAt};

const PLAIN: Copyist = Copyist {
    name: "",
    host: "",
    chat: Some("/v1/chat/completions"),
    responses: None,
    refused: &[],
    only: None,
    refused_in_messages: &[],
    called: &[],
    knows_developer: true,
    refuses_with: 400,
    errors: Errors::OpenAi,
    thoughts: None,
    usage: UsageAt::Asked,
    ends: &[],
    comments: false,
    wants_key: true,
};

/// A server on one's own machine.
const OWN: Copyist = Copyist { wants_key: false, ..PLAIN };

/// Every vendor that is simulated so.
pub static COPYISTS: [Copyist; 23] = [
    // The schema is closed; its fields are those of the vendor's client, mistralai 3.7.0 (PyPI). `model_length` and
    // `error` are reasons to end.
    Copyist {
        name: "mistral",
        host: "api.mistral.ai",
        only: Some(&[
            "model",
            "messages",
            "temperature",
            "top_p",
            "max_tokens",
            "stream",
            "stop",
            "random_seed",
            "metadata",
            "response_format",
            "tools",
            "tool_choice",
            "presence_penalty",
            "frequency_penalty",
            "min_tokens",
            "repetition_penalty",
            "top_k",
            "logprobs",
            "top_logprobs",
            "prompt_logprobs",
            "n",
            "prediction",
            "parallel_tool_calls",
            "prompt_mode",
            "reasoning_effort",
            "guardrails",
            "prompt_cache_key",
            "safe_prompt",
        ]),
        refused_in_messages: &[
            "name",
            "refusal",
            "annotations",
            "audio",
            "function_call",
            "reasoning_content",
            "reasoning",
        ],
        called: &[("random_seed", "seed")],
        knows_developer: false,
        refuses_with: 422,
        errors: Errors::Pydantic,
        usage: UsageAt::Unasked,
        ends: &[("length", "model_length")],
        ..PLAIN
    },
    // <https://api-docs.deepseek.com/api/create-chat-completion>
    Copyist {
        name: "deepseek",
        host: "api.deepseek.com",
        chat: Some("/chat/completions"),
        thoughts: Some("reasoning_content"),
        ends: &[("content_filter", "insufficient_system_resource")],
        ..PLAIN
    },
    // <https://docs.x.ai/docs/api-reference>
    Copyist {
        name: "xai",
        host: "api.x.ai",
        responses: Some("/v1/responses"),
        errors: Errors::Text,
        thoughts: Some("reasoning_content"),
        ..PLAIN
    },
    // <https://console.groq.com/docs/openai>
    Copyist {
        name: "groq",
        host: "api.groq.com",
        chat: Some("/openai/v1/chat/completions"),
        refused: &["logprobs", "logit_bias", "top_logprobs"],
        refused_in_messages: &["name"],
        thoughts: Some("reasoning"),
        usage: UsageAt::XGroq,
        ..PLAIN
    },
    // <https://docs.cohere.com/docs/compatibility-api>
    Copyist {
        name: "cohere",
        host: "api.cohere.ai",
        chat: Some("/compatibility/v1/chat/completions"),
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
            "stream_options",
            "max_completion_tokens",
        ],
        refuses_with: 422,
        errors: Errors::Message,
        usage: UsageAt::Unasked,
        ..PLAIN
    },
    Copyist {
        name: "qwen",
        host: "dashscope-intl.aliyuncs.com",
        chat: Some("/compatible-mode/v1/chat/completions"),
        thoughts: Some("reasoning_content"),
        ..PLAIN
    },
    Copyist { name: "moonshot", host: "api.moonshot.ai", thoughts: Some("reasoning_content"), ..PLAIN },
    Copyist {
        name: "zhipu",
        host: "api.z.ai",
        chat: Some("/api/paas/v4/chat/completions"),
        thoughts: Some("reasoning_content"),
        ends: &[("content_filter", "sensitive")],
        ..PLAIN
    },
    Copyist { name: "minimax", host: "api.minimax.io", thoughts: Some("reasoning_content"), ..PLAIN },
    Copyist {
        name: "perplexity",
        host: "api.perplexity.ai",
        chat: None,
        responses: Some("/v1/responses"),
        ..PLAIN
    },
    Copyist { name: "together", host: "api.together.ai", ends: &[("stop", "eos")], ..PLAIN },
    Copyist {
        name: "fireworks",
        host: "api.fireworks.ai",
        chat: Some("/inference/v1/chat/completions"),
        ..PLAIN
    },
    // <https://openrouter.ai/docs/api-reference/errors>
    Copyist {
        name: "openrouter",
        host: "openrouter.ai",
        chat: Some("/api/v1/chat/completions"),
        errors: Errors::NumberedCode,
        thoughts: Some("reasoning"),
        comments: true,
        ..PLAIN
    },
    // <https://inference-docs.cerebras.ai/resources/openai>, as it was in 2025
    Copyist {
        name: "cerebras",
        host: "api.cerebras.ai",
        refused: &[
            "frequency_penalty",
            "logit_bias",
            "presence_penalty",
            "parallel_tool_calls",
            "service_tier",
        ],
        knows_developer: false,
        thoughts: Some("reasoning"),
        ..PLAIN
    },
    Copyist { name: "sambanova", host: "api.sambanova.ai", ..PLAIN },
    Copyist {
        name: "nvidia",
        host: "integrate.api.nvidia.com",
        thoughts: Some("reasoning_content"),
        ..PLAIN
    },
    Copyist { name: "huggingface", host: "router.huggingface.co", ..PLAIN },
    Copyist { name: "ollama", host: "127.0.0.1:11434", thoughts: Some("reasoning"), ..OWN },
    Copyist { name: "vllm", host: "127.0.0.1:8000", thoughts: Some("reasoning_content"), ..OWN },
    Copyist { name: "sglang", host: "127.0.0.1:30000", thoughts: Some("reasoning_content"), ..OWN },
    Copyist { name: "lm-studio", host: "127.0.0.1:1234", ..OWN },
    Copyist { name: "llama-cpp", host: "127.0.0.1:8080", errors: Errors::NumberedCode, ..OWN },
    Copyist { name: "openai-compatible", host: "house.test", ..OWN },
];
