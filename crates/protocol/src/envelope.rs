//! What a gateway must know of a request before it decides anything.

use weighbridge_units::Protocol;

use crate::json::{Field, FromRaw, ReadError};
use crate::{Body, anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses};

/// The few fields of a request that routing, limits and budgets depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The model that the client asked for.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client asked to see usage in a stream. Always, where the protocol always tells.
    pub wants_usage: bool,
    /// The request's own cap on tokens of the answer, per candidate.
    pub max_output: Option<u64>,
    /// How many answers are asked for; at least 1.
    pub candidates: u64,
    /// The end user on whose behalf the client asks, as the client names them.
    pub end_user: Option<String>,
    /// The service tier asked for, in the protocol's own words.
    pub service_tier: Option<String>,
}

/// What the address of a request says of it, where a protocol or its provider puts that there: Gemini,
/// and Azure's deployments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addressed {
    /// The model.
    pub model: Option<String>,
    /// Whether the answer is to be streamed.
    pub stream: Option<bool>,
}

/// Reads the envelope of a request whose address says nothing of it.
///
/// # Errors
/// As [`envelope_at`].
pub fn envelope(protocol: Protocol, body: &Body) -> Result<Envelope, ReadError> {
    envelope_at(protocol, body, Addressed::default())
}

/// Reads the envelope of a request. Only the fields it needs are looked at; the address comes first.
///
/// # Errors
/// [`ReadError`] where nothing names a model, or a field that is needed has the wrong type.
pub fn envelope_at(protocol: Protocol, body: &Body, at: Addressed) -> Result<Envelope, ReadError> {
    let mut envelope = read(protocol, body)?;
    if let Some(model) = at.model {
        envelope.model = model;
    }
    if let Some(stream) = at.stream {
        envelope.stream = stream;
    }
    if envelope.model.is_empty() {
        return Err(match body.get("model") {
            Some(named) if !named.is_null() => ReadError::new(named, "the name of a model"),
            _ => ReadError::missing(body.root(), "model"),
        });
    }
    Ok(envelope)
}

fn read(protocol: Protocol, body: &Body) -> Result<Envelope, ReadError> {
    match protocol {
        Protocol::OpenAiChat => openai_chat::envelope::read(body),
        Protocol::AnthropicMessages => anthropic_messages::envelope::read(body),
        Protocol::OpenAiResponses => openai_responses::envelope::read(body),
        Protocol::GeminiGenerateContent => gemini::envelope::read(body),
        Protocol::BedrockConverse => bedrock_converse::envelope::read(body),
    }
}

/// What a body says under `name`; absent and `null` are the same here.
pub(crate) fn optional<'a, T: FromRaw<'a>>(body: &'a Body, name: &str) -> Result<Option<T>, ReadError> {
    let field = match body.get(name) {
        None => Field::Absent,
        Some(raw) if raw.is_null() => Field::Null,
        Some(raw) => Field::Value(raw.read()?),
    };
    Ok(field.value())
}

/// The name of the model, where the body has it; else empty.
pub(crate) fn model(body: &Body) -> Result<String, ReadError> {
    Ok(optional(body, "model")?.unwrap_or_default())
}
