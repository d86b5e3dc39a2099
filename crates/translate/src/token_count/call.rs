//! How providers are asked.

use weighbridge_protocol::anthropic_messages::models::Claude;
use weighbridge_protocol::bedrock_converse::model_path;
use weighbridge_protocol::gemini;
use weighbridge_units::Protocol;

use crate::Dialect;

/// A provider's call that counts tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Anthropic: <https://docs.anthropic.com/en/api/messages-count-tokens>.
    Anthropic,
    /// Claude on Vertex AI: <https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens>.
    AnthropicVertex,
    /// OpenAI: <https://platform.openai.com/docs/api-reference/responses/input-tokens>.
    Responses,
    /// The Gemini API: <https://ai.google.dev/api/tokens>.
    Gemini,
    /// Gemini on Vertex AI: <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens>.
    GeminiVertex,
    /// Bedrock, about a request of Converse:
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html>.
    BedrockConverse,
    /// The same, about a request of `InvokeModel`.
    BedrockInvoke,
}

impl Call {
    /// Every call.
    pub const ALL: [Self; 7] = [
        Self::Anthropic,
        Self::AnthropicVertex,
        Self::Responses,
        Self::Gemini,
        Self::GeminiVertex,
        Self::BedrockConverse,
        Self::BedrockInvoke,
    ];

    /// How a provider that speaks `protocol` in that dialect is asked about `model`; `None` where it has no
    /// such call.
    ///
    /// Bedrock counts for Claude only, and not for each of its models: those that came with inference
    /// profiles alone it refuses, as does a compatible server that lacks the call. After a refusal the count
    /// can still be estimated.
    pub fn of(protocol: Protocol, dialect: Dialect, model: &str) -> Option<Self> {
        match (protocol, dialect) {
            (Protocol::AnthropicMessages, Dialect::Vertex) => Some(Self::AnthropicVertex),
            (Protocol::AnthropicMessages, Dialect::Bedrock) => Some(Self::BedrockInvoke),
            (Protocol::AnthropicMessages, _) => Some(Self::Anthropic),
            (Protocol::OpenAiResponses, Dialect::Native) => Some(Self::Responses),
            (Protocol::GeminiGenerateContent, Dialect::Vertex) => Some(Self::GeminiVertex),
            (Protocol::GeminiGenerateContent, _) => Some(Self::Gemini),
            (Protocol::BedrockConverse, _) => Claude::named(model).map(|_| Self::BedrockConverse),
            (Protocol::OpenAiChat | Protocol::OpenAiResponses, _) => None,
        }
    }

    /// What the question is written in, and whose errors its answer has.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Anthropic | Self::AnthropicVertex | Self::BedrockInvoke => Protocol::AnthropicMessages,
            Self::Responses => Protocol::OpenAiResponses,
            Self::Gemini | Self::GeminiVertex => Protocol::GeminiGenerateContent,
            Self::BedrockConverse => Protocol::BedrockConverse,
        }
    }

    /// The dialect of its protocol.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::AnthropicVertex | Self::GeminiVertex => Dialect::Vertex,
            Self::BedrockInvoke => Dialect::Bedrock,
            Self::Anthropic | Self::Responses | Self::Gemini | Self::BedrockConverse => Dialect::Native,
        }
    }

    /// The path below a provider's base URL, as of a call for an answer: nothing (Anthropic, Bedrock), `/v1`
    /// (OpenAI), `/v1beta` (Gemini), `/publishers/anthropic` or `/publishers/google` (Vertex AI).
    ///
    /// Bedrock refuses inference profiles here, so that the name of a region before a model is left out.
    ///
    /// ```
    /// use weighbridge_translate::token_count::Call;
    ///
    /// assert_eq!(
    ///     Call::BedrockConverse.path("us.anthropic.claude-haiku-4-5-20251001-v1:0"),
    ///     "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens"
    /// );
    /// ```
    pub fn path(self, model: &str) -> String {
        match self {
            Self::Anthropic => "/v1/messages/count_tokens".to_owned(),
            Self::AnthropicVertex => "/models/count-tokens:rawPredict".to_owned(),
            Self::Responses => "/responses/input_tokens".to_owned(),
            Self::Gemini | Self::GeminiVertex => gemini::Call::CountTokens.path(model),
            Self::BedrockConverse | Self::BedrockInvoke => {
                let model = model.find("anthropic.").and_then(|at| model.get(at..)).unwrap_or(model);
                model_path(model, "count-tokens")
            }
        }
    }

    /// Whether a request of its protocol must name an output cap.
    pub(super) const fn demands_cap(self) -> bool {
        matches!(self.protocol(), Protocol::AnthropicMessages)
    }

    /// Whether it counts the schema that an answer must match.
    pub(super) const fn takes_format(self) -> bool {
        !matches!(self, Self::BedrockConverse)
    }

    /// Whether a field of a request is one of a question too.
    pub(super) fn takes(self, name: &str) -> bool {
        match self {
            Self::Anthropic | Self::AnthropicVertex => !matches!(name, "max_tokens" | "stream"),
            Self::Responses => !matches!(name, "store" | "stream" | "include"),
            Self::GeminiVertex => {
                matches!(name, "contents" | "systemInstruction" | "tools" | "generationConfig")
            }
            Self::BedrockConverse => {
                matches!(name, "messages" | "system" | "toolConfig" | "additionalModelRequestFields")
            }
            Self::Gemini | Self::BedrockInvoke => true,
        }
    }
}
