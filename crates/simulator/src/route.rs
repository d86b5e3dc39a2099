//! Where a request leads, by its method and path.

use http::Method;

use crate::api::Api;
use crate::{Vendor, azure, bedrock, gemini, openai};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// The list of models.
    Models,
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// OpenAI Embeddings.
    Embeddings,
    /// Anthropic Messages.
    Messages,
    /// How many tokens a message's prompt has.
    CountMessage,
    /// One of Google's methods.
    Google(gemini::Call),
    /// One of Bedrock's operations.
    Bedrock(bedrock::Call),
    /// One model of Google's.
    GoogleModel(String),
    /// How many tokens a response's input has.
    CountResponse,
    /// A response that was kept.
    KeptResponse(String),
    /// A kept response is to be deleted.
    DeleteResponse(String),
    /// Files and batches of OpenAI's.
    Stored(openai::StoredCall),
    /// One of OpenAI's calls at Azure.
    Azure(azure::Call),
}

impl Route {
    /// Where a request leads, if it leads anywhere.
    pub(crate) fn of(vendor: Vendor, method: &Method, target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default();
        match (vendor, method, path) {
            (Vendor::OpenAi | Vendor::Anthropic, &Method::GET, "/v1/models") => Some(Self::Models),
            (Vendor::OpenAi, &Method::POST, "/v1/chat/completions") => Some(Self::Chat),
            (Vendor::OpenAi, &Method::POST, "/v1/embeddings") => Some(Self::Embeddings),
            (Vendor::OpenAi, &Method::POST, "/v1/responses") => Some(Self::Responses),
            (Vendor::OpenAi, &Method::POST, "/v1/responses/input_tokens") => Some(Self::CountResponse),
            (Vendor::OpenAi, method, path) => {
                if let Some(call) = openai::StoredCall::of(method, path) {
                    return Some(Self::Stored(call));
                }
                let id = path.strip_prefix("/v1/responses/")?.to_owned();
                match *method {
                    Method::GET => Some(Self::KeptResponse(id)),
                    Method::DELETE => Some(Self::DeleteResponse(id)),
                    _ => None,
                }
            }
            (Vendor::Anthropic, &Method::POST, "/v1/messages") => Some(Self::Messages),
            (Vendor::Anthropic, &Method::POST, "/v1/messages/count_tokens") => Some(Self::CountMessage),
            (Vendor::Google, &Method::GET, "/v1beta/models" | "/v1/models") => Some(Self::Models),
            (Vendor::Google, &Method::GET, path) => {
                let name =
                    path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
                Some(Self::GoogleModel(name.to_owned()))
            }
            (Vendor::Google, &Method::POST, _) => gemini::Call::of(target).map(Self::Google),
            (Vendor::Aws, &Method::POST, _) => bedrock::Call::of(target).map(Self::Bedrock),
            (Vendor::Azure, &Method::POST, _) => azure::Call::of(target).map(Self::Azure),
            (Vendor::Azure, &Method::GET, "/openai/v1/models") => Some(Self::Models),
            _ => None,
        }
    }

    /// Whether Vertex serves a model of Anthropic's there.
    pub(crate) const fn is_claude_at_vertex(&self) -> bool {
        matches!(self, Self::Google(call) if call.is_claudes())
    }

    /// Whether Google's errors come inside an array there, as do elements of streams.
    pub(crate) const fn errors_in_arrays(&self) -> bool {
        matches!(self, Self::Google(gemini::Call { method: gemini::Method::StreamRawPredict, .. }))
    }

    /// The API that generates text there, if one does.
    pub(crate) const fn api(&self) -> Option<Api> {
        match self {
            Self::Chat => Some(Api::Chat),
            Self::Responses => Some(Api::Responses),
            Self::Messages => Some(Api::Messages),
            Self::Google(call) if call.is_claudes() => Some(Api::Messages),
            Self::Google(_) => Some(Api::Gemini),
            Self::Bedrock(_) => Some(Api::Converse),
            Self::Azure(azure::Call { operation: azure::Operation::Chat, .. }) => Some(Api::Chat),
            Self::Azure(azure::Call { operation: azure::Operation::Responses, .. }) => Some(Api::Responses),
            _ => None,
        }
    }
}
