//! Who serves a protocol, where that changes the request.

use std::fmt;

use weighbridge_units::{Loss, Protocol};

use crate::{Edits, anthropic_messages};

/// Who serves a protocol. The protocol is the same, but some put a field elsewhere, want another one,
/// or refuse what they do not know.
///
/// Answers are read alike from all of them: what one adds is tolerated from each.
///
/// | dialect | protocol | what is different |
/// |---|---|---|
/// | [`Azure`](Self::Azure) | OpenAI | the model (a deployment) stands in the body, and in older versions in the path too |
/// | [`Compatible`](Self::Compatible) | OpenAI Chat | `max_tokens` for `max_completion_tokens`, `system` for `developer`; nothing that only OpenAI's platform has (`store`, `metadata`, `prompt_cache_key`, …) |
/// | [`Compatible`](Self::Compatible) | OpenAI Responses | nothing that the client did not ask for: no `store: false`, no `include` of encrypted reasoning |
/// | [`Vertex`](Self::Vertex) | Anthropic | `anthropic_version` in the body, the model only in the path; <https://docs.anthropic.com/en/api/claude-on-vertex-ai> |
/// | [`Vertex`](Self::Vertex) | Gemini | `labels`; no `store`; files by `gs:` address; <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference> |
/// | [`Bedrock`](Self::Bedrock) | Anthropic | `anthropic_version` in the body, the model only in the path, names of beta features too; no `stream`, no `service_tier`, no media by address; <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html> |
///
/// A pair that is not in the table is the same as [`Native`](Self::Native).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// The protocol's own provider, or one that copies it closely.
    #[default]
    Native,
    /// A server that speaks the protocol as it was years ago, and may refuse what came later.
    Compatible,
    /// Microsoft Azure.
    Azure,
    /// Google Vertex AI.
    Vertex,
    /// Amazon Bedrock, its call `InvokeModel`.
    Bedrock,
}

impl Dialect {
    /// Every dialect, in the order of the documentation's tables.
    pub const ALL: [Self; 5] = [Self::Native, Self::Compatible, Self::Azure, Self::Vertex, Self::Bedrock];

    /// The name in configuration and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Compatible => "compatible",
            Self::Azure => "azure",
            Self::Vertex => "vertex",
            Self::Bedrock => "bedrock",
        }
    }

    /// Whether a request names its model in its body; else the model stands in the address alone.
    pub const fn names_model_in_body(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::OpenAiChat | Protocol::OpenAiResponses => true,
            Protocol::AnthropicMessages => !matches!(self, Self::Vertex | Self::Bedrock),
            Protocol::GeminiGenerateContent | Protocol::BedrockConverse => false,
        }
    }

    /// Changes a request that passes as it came, so that this house takes it, and says what was lost.
    /// To be called behind all other edits of top-level fields: it takes the model out again where the
    /// house has it in the path only.
    ///
    /// `betas` are the values of the client's [`anthropic_messages::header::BETA`] headers. Where this
    /// puts them into the body ([`Self::has_betas_in_body`]) the header says nothing.
    ///
    /// Only Anthropic's format is changed. What the other protocols' houses refuse is refused by them:
    /// nothing of it can be left out without changing what was asked for.
    pub fn edit<'h>(
        self,
        protocol: Protocol,
        betas: impl IntoIterator<Item = &'h str>,
        edits: &mut Edits,
    ) -> Vec<Loss> {
        match protocol {
            Protocol::AnthropicMessages => anthropic_messages::house::edit(self, betas, edits),
            Protocol::OpenAiChat
            | Protocol::OpenAiResponses
            | Protocol::GeminiGenerateContent
            | Protocol::BedrockConverse => Vec::new(),
        }
    }

    /// Whether names of Anthropic's beta features stand in the body, and not in a header.
    pub const fn has_betas_in_body(self) -> bool {
        matches!(self, Self::Bedrock)
    }

    /// The dialect of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
