//! Which format asks for vectors, apart from the formats of conversations.

use std::fmt;

use weighbridge_units::Protocol;

use crate::Dialect;
use crate::bedrock_converse::model_path;
use crate::bedrock_embeddings::Maker;
use crate::gemini::Call;

/// A wire format that asks for embeddings.
///
/// | format | texts per call | spoken by |
/// |---|---|---|
/// | [`OpenAi`](Self::OpenAi): <https://platform.openai.com/docs/api-reference/embeddings> | 2,048 | clients and providers |
/// | [`GeminiEmbed`](Self::GeminiEmbed): <https://ai.google.dev/api/embeddings> | 1 | clients and providers |
/// | [`GeminiBatchEmbed`](Self::GeminiBatchEmbed) (same page) | 100 | clients and providers |
/// | [`VertexPredict`](Self::VertexPredict): <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api> | 250 | providers |
/// | [`Bedrock`](Self::Bedrock): see [`bedrock_embeddings`](crate::bedrock_embeddings) | [`Maker::texts_max`] | providers |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmbeddingsProtocol {
    /// OpenAI `POST /v1/embeddings`, which most others speak as well.
    OpenAi,
    /// Gemini `embedContent`: one content.
    GeminiEmbed,
    /// Gemini `batchEmbedContents`: several contents.
    GeminiBatchEmbed,
    /// Vertex AI `predict`, which its models before Gemini take.
    VertexPredict,
    /// Bedrock `InvokeModel` with a body of the model's maker.
    Bedrock(Maker),
}

impl EmbeddingsProtocol {
    /// What a provider that speaks `protocol` is asked for vectors of `model` in; `None` where it makes
    /// none.
    ///
    /// ```
    /// use weighbridge_protocol::{Dialect, EmbeddingsProtocol, bedrock_embeddings::Maker};
    /// use weighbridge_units::Protocol;
    ///
    /// let bedrock = |model| EmbeddingsProtocol::of_provider(Protocol::BedrockConverse, Dialect::Native, model);
    /// assert_eq!(bedrock("cohere.embed-v4:0"), Some(EmbeddingsProtocol::Bedrock(Maker::CohereV4)));
    /// assert_eq!(bedrock("amazon.nova-lite-v1:0"), None);
    /// ```
    pub fn of_provider(protocol: Protocol, dialect: Dialect, model: &str) -> Option<Self> {
        match protocol {
            Protocol::OpenAiChat | Protocol::OpenAiResponses => Some(Self::OpenAi),
            Protocol::AnthropicMessages => None,
            // As Google's SDK chooses.
            Protocol::GeminiGenerateContent if dialect == Dialect::Vertex && !model.contains("gemini") => {
                Some(if model.contains("maas") { Self::GeminiEmbed } else { Self::VertexPredict })
            }
            Protocol::GeminiGenerateContent => Some(Self::GeminiBatchEmbed),
            Protocol::BedrockConverse => Maker::of(model).map(Self::Bedrock),
        }
    }

    /// The format of conversations that belongs to the same API: it has the same errors.
    pub const fn family(self) -> Protocol {
        match self {
            Self::OpenAi => Protocol::OpenAiChat,
            Self::GeminiEmbed | Self::GeminiBatchEmbed | Self::VertexPredict => {
                Protocol::GeminiGenerateContent
            }
            Self::Bedrock(_) => Protocol::BedrockConverse,
        }
    }

    /// Whether clients may speak it.
    pub const fn is_clients(self) -> bool {
        matches!(self, Self::OpenAi | Self::GeminiEmbed | Self::GeminiBatchEmbed)
    }

    /// The most inputs of one call.
    pub const fn inputs_max(self) -> usize {
        match self {
            Self::OpenAi => 2_048,
            Self::GeminiEmbed => 1,
            Self::GeminiBatchEmbed => 100,
            Self::VertexPredict => 250,
            Self::Bedrock(maker) => maker.texts_max(),
        }
    }

    /// The path below a provider's base URL, as of a call for a conversation: `/v1` (OpenAI), `/v1beta` or
    /// `/publishers/google` (Google), nothing (Bedrock).
    ///
    /// ```
    /// use weighbridge_protocol::{EmbeddingsProtocol, bedrock_embeddings::Maker};
    ///
    /// assert_eq!(EmbeddingsProtocol::OpenAi.path("text-embedding-3-small"), "/embeddings");
    /// assert_eq!(
    ///     EmbeddingsProtocol::Bedrock(Maker::TitanV2).path("amazon.titan-embed-text-v2:0"),
    ///     "/model/amazon.titan-embed-text-v2%3A0/invoke"
    /// );
    /// ```
    pub fn path(self, model: &str) -> String {
        match self {
            Self::OpenAi => "/embeddings".to_owned(),
            Self::GeminiEmbed => Call::Embed.path(model),
            Self::GeminiBatchEmbed => Call::BatchEmbed.path(model),
            Self::VertexPredict => Call::Embed.path(model).replace(":embedContent", ":predict"),
            Self::Bedrock(_) => model_path(model, "invoke"),
        }
    }

    /// The name in metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai-embeddings",
            Self::GeminiEmbed => "gemini-embed",
            Self::GeminiBatchEmbed => "gemini-batch-embed",
            Self::VertexPredict => "vertex-predict",
            Self::Bedrock(Maker::CohereV3 | Maker::CohereV4) => "bedrock-cohere-embed",
            Self::Bedrock(Maker::Nova) => "bedrock-nova-embed",
            Self::Bedrock(_) => "bedrock-titan-embed",
        }
    }
}

impl fmt::Display for EmbeddingsProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_as_its_own_sdk_asks() {
        let google =
            |dialect, model| EmbeddingsProtocol::of_provider(Protocol::GeminiGenerateContent, dialect, model);
        let batch = Some(EmbeddingsProtocol::GeminiBatchEmbed);
        assert_eq!(google(Dialect::Native, "text-embedding-004"), batch);
        assert_eq!(google(Dialect::Vertex, "gemini-embedding-001"), batch);
        assert_eq!(google(Dialect::Vertex, "text-embedding-005"), Some(EmbeddingsProtocol::VertexPredict));
        let open = google(Dialect::Vertex, "intfloat/multilingual-e5-small-maas");
        assert_eq!(open, Some(EmbeddingsProtocol::GeminiEmbed));
        assert_eq!(
            EmbeddingsProtocol::of_provider(Protocol::AnthropicMessages, Dialect::Native, "claude"),
            None
        );
    }

    #[test]
    fn paths_name_the_model_where_the_body_does_not() {
        let path = EmbeddingsProtocol::VertexPredict.path("text-embedding-005");
        assert_eq!(path, "/models/text-embedding-005:predict");
        let path = EmbeddingsProtocol::GeminiBatchEmbed.path("gemini-embedding-001");
        assert_eq!(path, "/models/gemini-embedding-001:batchEmbedContents");
    }
}
