//! What is known of models that go on from the beginning of an answer that another has given.

use weighbridge_units::Protocol;

/// How a model goes on from the beginning of an answer: the last turn of its request, which is the assistant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continues {
    /// It says what follows, in Anthropic Messages. The beginning must not end in white space, and neither thinking
    /// nor a schema may be asked for.
    Prefill,
    /// The turn is marked with `"prefix": true`, in Chat Completions, and the answer repeats it.
    Prefix,
}

/// Families of Claude that take a prefill, on every platform that speaks Anthropic Messages.
///
/// <https://platform.claude.com/docs/en/build-with-claude/prompt-engineering/prefill-claudes-response>; from
/// Claude 4.6 on it is refused:
/// <https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-6#prefill-removal>.
static PREFILLED: &[&str] = &[
    "haiku-4-5",
    "opus-4-5",
    "sonnet-4-5",
    "opus-4-1",
    "opus-4",
    "opus-4-0",
    "sonnet-4",
    "sonnet-4-0",
    "3-7-sonnet",
    "3-5-haiku",
    "3-5-sonnet",
    "3-haiku",
    "3-opus",
];

/// How a model goes on from the beginning of an answer, where it is called in `protocol`; `None` where it does not,
/// or nobody knows.
///
/// `provider` is a [`crate::Preset::name`]. Of Mistral's models those are listed that only chat: see `prefix` in
/// <https://docs.mistral.ai/api>.
///
/// ```
/// use weighbridge_catalogue::{Continues, continues};
/// use weighbridge_units::Protocol::{AnthropicMessages, OpenAiChat};
///
/// assert_eq!(continues("anthropic", "claude-haiku-4-5", AnthropicMessages), Some(Continues::Prefill));
/// assert_eq!(continues("anthropic", "claude-opus-4-6", AnthropicMessages), None);
/// assert_eq!(continues("mistral", "mistral-large-latest", OpenAiChat), Some(Continues::Prefix));
/// assert_eq!(continues("openai", "gpt-4o", OpenAiChat), None);
/// ```
pub fn continues(provider: &str, model: &str, protocol: Protocol) -> Option<Continues> {
    match protocol {
        Protocol::AnthropicMessages => {
            let (_, name) = model.split_once("claude-")?;
            let words: Vec<&str> = name.split(['-', '.', '@', ':', '/']).collect();
            let is_known = PREFILLED.iter().any(|family| crate::prompt_cache::is_of(&words, family));
            is_known.then_some(Continues::Prefill)
        }
        Protocol::OpenAiChat if provider == "mistral" => {
            let chats = ["mistral-large", "mistral-medium", "mistral-small", "codestral"];
            chats.iter().any(|family| model.starts_with(family)).then_some(Continues::Prefix)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_known_to_continues() {
        let claude = |model| continues("anthropic", model, Protocol::AnthropicMessages);
        for model in [
            "claude-haiku-4-5-20251001",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-opus-4-20250514",
            "claude-3-haiku-20240307",
            "claude-haiku-4-5@20251001",
        ] {
            assert_eq!(claude(model), Some(Continues::Prefill), "{model}");
        }
        for model in [
            "claude-opus-4-6",
            "claude-sonnet-4-6",
            "claude-opus-4-7@default",
            "claude-sonnet-5",
            "claude-next",
            "claude",
            "glm-4.6",
        ] {
            assert_eq!(claude(model), None, "{model}");
        }
        let haiku = "anthropic.claude-haiku-4-5-20251001-v1:0";
        assert_eq!(continues("bedrock", haiku, Protocol::BedrockConverse), None);
        let mistral = |provider, model| continues(provider, model, Protocol::OpenAiChat);
        assert_eq!(mistral("mistral", "mistral-small-2506"), Some(Continues::Prefix));
        assert_eq!(mistral("mistral", "magistral-medium-latest"), None, "it thinks first");
        assert_eq!(mistral("groq", "mistral-small-2506"), None);
    }
}
