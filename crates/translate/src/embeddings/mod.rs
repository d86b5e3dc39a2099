//! Embeddings: requests for vectors, and the vectors, from one format to another.
//!
//! One hub here too: each format reads and writes [`EmbeddingsRequest`] and [`EmbeddingsAnswer`], and what
//! the target cannot say is reported.
//!
//! A vector is only worth something beside others of its kind, so a request is either sent whole or refused
//! ([`TranslateError::Unsupported`]): tokens of a model's own vocabulary for a provider that takes texts,
//! media for one that has none, and **more inputs than the provider takes in one call**. One attempt is one
//! request to a provider, priced and reserved as one, so a batch is never split here: half of it could fail
//! after the other half was paid for. The refusal says how many inputs fit; a client sends them in as many
//! requests, and a route may go on to a provider that takes them ([`EmbeddingsProtocol::inputs_max`]).
//!
//! ```
//! use weighbridge_translate::EmbeddingsProtocol::{GeminiBatchEmbed, OpenAi};
//! use weighbridge_translate::embeddings::{self, AnswerTarget, RequestTarget};
//!
//! let body = r#"{"model": "small", "input": ["Weigh this."], "dimensions": 256, "encoding_format": "base64"}"#;
//! let asked = embeddings::asked(OpenAi, body)?;
//! assert_eq!((asked.model.as_deref(), asked.inputs), (Some("small"), 1));
//!
//! let sent = embeddings::request(OpenAi, GeminiBatchEmbed, body, &RequestTarget::new("gemini-embedding-001"))?;
//! assert_eq!(
//!     std::str::from_utf8(&sent.value)?,
//!     r#"{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"Weigh this."}]},"outputDimensionality":256}]}"#,
//! );
//! assert!(sent.losses.is_empty());
//!
//! let answered = r#"{"embeddings": [{"values": [0.5, -2]}], "usageMetadata": {"promptTokenCount": 4}}"#;
//! let target = AnswerTarget { encoding: asked.encoding, ..AnswerTarget::new("small") };
//! let answer = embeddings::answer(GeminiBatchEmbed, OpenAi, answered, &target)?;
//! assert_eq!(
//!     std::str::from_utf8(&answer.value.0)?,
//!     r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAAMA="}],"model":"small","usage":{"prompt_tokens":4,"total_tokens":4}}"#,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod bedrock;
mod gemini;
#[cfg(test)]
mod laws;
mod openai;
mod request;
mod vector;
mod vertex;

use weighbridge_protocol::json::{Fields, Raw, ReadError, ScanLimits};
use weighbridge_protocol::{Dialect, EmbeddingsProtocol};
use weighbridge_units::Usage;

use crate::adapter::adapter;
use crate::losses::Losses;
use crate::place::Place;
use crate::{TranslateError, Translated};

pub use answer::{Embedding, EmbeddingsAnswer, Vector};
pub use request::{EmbeddingsRequest, Encoding, Input, InputContent, Task, Truncation, Wishes};

/// What a request gets from its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// The model, as the provider names it.
    pub model: &'a str,
    /// Who serves the format: Vertex AI has some fields elsewhere.
    pub dialect: Dialect,
}

impl<'a> RequestTarget<'a> {
    /// A model at the provider that the format is named after.
    pub const fn new(model: &'a str) -> Self {
        Self { model, dialect: Dialect::Native }
    }
}

/// What an answer gets where its provider does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerTarget<'a> {
    /// The model, as the client knows it.
    pub model_fallback: &'a str,
    /// How the client asked for numbers ([`Asked::encoding`]).
    pub encoding: Encoding,
    /// The tokens of the prompt, where a header told them
    /// ([`TOKENS_HEADER`](weighbridge_protocol::bedrock_embeddings::TOKENS_HEADER)).
    pub tokens_header: Option<u64>,
    /// The tokens that are told to a client whose format demands them, where neither the body nor a header
    /// does. Using them is reported; they are no part of [`EmbeddingsFacts::usage`].
    pub tokens_estimate: u64,
}

impl<'a> AnswerTarget<'a> {
    /// For a client that knows the model by that name and asked for plain numbers.
    pub const fn new(model_fallback: &'a str) -> Self {
        Self { model_fallback, encoding: Encoding::Float, tokens_header: None, tokens_estimate: 0 }
    }
}

/// What must be known of a request before it is sent, and until it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The model that the client asked for; Gemini names it in the path.
    pub model: Option<String>,
    /// How many vectors are asked for.
    pub inputs: usize,
    /// How their numbers are wanted.
    pub encoding: Encoding,
    /// The end user on whose behalf the client asks, as the client names them.
    pub end_user: Option<String>,
    /// Whether the bytes of the body bound its tokens, as those of texts and tokens do, and those of media
    /// do not.
    pub is_bounded: bool,
}

/// What a record and a bill need of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingsFacts {
    /// The tokens of the prompt; untold where the provider does not tell.
    pub usage: Usage,
    /// The model that answered, where it is named.
    pub model: Option<String>,
    /// How many vectors there are.
    pub vectors: usize,
}

/// Reads what must be known of a client's request.
///
/// # Errors
/// [`TranslateError`] where the body is not JSON, or a field that is understood is missing or wrongly typed.
pub fn asked(client: EmbeddingsProtocol, body: &str) -> Result<Asked, TranslateError> {
    let root = Raw::parse(body, &ScanLimits::default())?;
    let request = decode_request(client, root).map_err(|error| TranslateError::read(body, error))?;
    Ok(Asked {
        model: request.model.as_deref().map(str::to_owned),
        inputs: request.inputs.len(),
        encoding: request.encoding.map_or(Encoding::Float, |encoding| encoding.value),
        end_user: request.end_user.as_ref().map(|user| user.value.as_ref().to_owned()),
        is_bounded: !request.inputs.iter().any(|input| matches!(input.content, InputContent::Parts(_))),
    })
}

/// Translates a request.
///
/// Between two formats that are the same it gives the model its name, wherever the format has it: in
/// `requests` of `batchEmbedContents` too, which edits of a body do not reach.
///
/// # Errors
/// [`TranslateError::Unsupported`] where the target cannot serve the request whole; the others where the
/// body is not JSON, or a field that is understood is missing or wrongly typed.
pub fn request(
    from: EmbeddingsProtocol,
    to: EmbeddingsProtocol,
    body: &str,
    target: &RequestTarget<'_>,
) -> Result<Translated<Vec<u8>>, TranslateError> {
    let root = Raw::parse(body, &ScanLimits::default())?;
    let request = decode_request(from, root).map_err(|error| TranslateError::read(body, error))?;
    let mut losses = Losses::to_other(to.as_str(), is_same(from, to));
    let refused = |(place, reason)| TranslateError::unsupported(body, place, reason);
    request.fits(to).map_err(refused)?;
    let value = encode_request(to, &request, target, &mut losses).map_err(refused)?;
    Ok(Translated { value, losses: losses.into_list(body) })
}

/// Translates an answer, and gives its facts.
///
/// # Errors
/// [`TranslateError::InBandError`] where the body is an error, whatever its status; the others where it
/// has no vectors, or one whose numbers cannot be written as the client wants them.
pub fn answer(
    provider: EmbeddingsProtocol,
    client: EmbeddingsProtocol,
    body: &str,
    target: &AnswerTarget<'_>,
) -> Result<Translated<(Vec<u8>, EmbeddingsFacts)>, TranslateError> {
    let root = successful(provider, body)?;
    let located = |error| TranslateError::read(body, error);
    let mut answer = decode_answer(provider, root).map_err(located)?;
    answer.hear(target.tokens_header);
    let mut losses = Losses::to_other(client.as_str(), is_same(provider, client));
    let value = encode_answer(client, &answer, target, &mut losses).map_err(located)?;
    Ok(Translated { value: (value, answer.facts()), losses: losses.into_list(body) })
}

/// The facts of an answer that passes untranslated; `tokens_header` as in
/// [`AnswerTarget::tokens_header`].
///
/// # Errors
/// As [`answer`].
pub fn answer_facts(
    provider: EmbeddingsProtocol,
    body: &str,
    tokens_header: Option<u64>,
) -> Result<EmbeddingsFacts, TranslateError> {
    let root = successful(provider, body)?;
    let mut answer = decode_answer(provider, root).map_err(|error| TranslateError::read(body, error))?;
    answer.hear(tokens_header);
    Ok(answer.facts())
}

/// Why a request cannot be sent, and the place in it.
type Refused<'a> = (Place<'a>, String);

fn decode_request(from: EmbeddingsProtocol, body: Raw<'_>) -> Result<EmbeddingsRequest<'_>, ReadError> {
    match from {
        EmbeddingsProtocol::OpenAi => openai::decode_request(body),
        EmbeddingsProtocol::GeminiEmbed | EmbeddingsProtocol::GeminiBatchEmbed => {
            gemini::decode_request(body)
        }
        EmbeddingsProtocol::VertexPredict => vertex::decode_request(body),
        EmbeddingsProtocol::Bedrock(maker) => bedrock::decode_request(maker, body),
    }
}

fn encode_request<'a>(
    to: EmbeddingsProtocol,
    request: &EmbeddingsRequest<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> Result<Vec<u8>, Refused<'a>> {
    match to {
        EmbeddingsProtocol::OpenAi => openai::encode_request(request, target, losses),
        EmbeddingsProtocol::GeminiEmbed => gemini::encode_request(request, target, losses, false),
        EmbeddingsProtocol::GeminiBatchEmbed => gemini::encode_request(request, target, losses, true),
        EmbeddingsProtocol::VertexPredict => vertex::encode_request(request, losses),
        EmbeddingsProtocol::Bedrock(maker) => bedrock::encode_request(maker, request, losses),
    }
}

fn decode_answer(provider: EmbeddingsProtocol, body: Raw<'_>) -> Result<EmbeddingsAnswer<'_>, ReadError> {
    match provider {
        EmbeddingsProtocol::OpenAi => openai::decode_answer(body),
        EmbeddingsProtocol::GeminiEmbed | EmbeddingsProtocol::GeminiBatchEmbed => gemini::decode_answer(body),
        EmbeddingsProtocol::VertexPredict => vertex::decode_answer(body),
        EmbeddingsProtocol::Bedrock(_) => bedrock::decode_answer(body),
    }
}

fn encode_answer<'a>(
    client: EmbeddingsProtocol,
    answer: &EmbeddingsAnswer<'a>,
    target: &AnswerTarget<'_>,
    losses: &mut Losses<'a>,
) -> Result<Vec<u8>, ReadError> {
    match client {
        EmbeddingsProtocol::OpenAi => openai::encode_answer(answer, target, losses),
        EmbeddingsProtocol::GeminiEmbed => gemini::encode_answer(answer, losses, false),
        EmbeddingsProtocol::GeminiBatchEmbed => gemini::encode_answer(answer, losses, true),
        EmbeddingsProtocol::VertexPredict => vertex::encode_answer(answer, losses),
        EmbeddingsProtocol::Bedrock(maker) => bedrock::encode_answer(maker, answer, losses),
    }
}

/// Whether two formats have the same fields, so that what is not understood goes from one to the other.
fn is_same(one: EmbeddingsProtocol, other: EmbeddingsProtocol) -> bool {
    let is_gemini =
        |format| matches!(format, EmbeddingsProtocol::GeminiEmbed | EmbeddingsProtocol::GeminiBatchEmbed);
    one == other || (is_gemini(one) && is_gemini(other))
}

/// Checks an answer's body, and makes sure that it is no error.
fn successful(provider: EmbeddingsProtocol, body: &str) -> Result<Raw<'_>, TranslateError> {
    let fields = Fields::parse(body, &ScanLimits::default())?;
    let adapter = adapter(provider.family());
    match adapter.may_be_error(&fields).then(|| adapter.decode_error(200, fields.raw())).flatten() {
        Some(error) => Err(TranslateError::InBandError(error)),
        None => Ok(fields.raw()),
    }
}
