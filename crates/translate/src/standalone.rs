//! Documents alone, without the HTTP around them: files, pipes, tests.
//!
//! What the translation of a gateway is told by routes and headers is told here by the caller or by the
//! document itself: the model, the status. Any pair goes, that of a protocol with itself too, where the
//! bytes pass.

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;
use weighbridge_protocol::json::{ScanError, ScanLimits, Writer};
use weighbridge_protocol::{Body, Dialect};
use weighbridge_units::Protocol;

use crate::error::decode_error;
use crate::{
    AnswerTarget, ApiError, RequestTarget, TranslateError, Translated, adapter, answer_facts, encode_error,
};

/// Why a document that stands alone was not translated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StandaloneError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] TranslateError),
    /// Neither the request nor the caller names the model, and the target writes it into the body.
    #[error("the request names no model (in {from} it stands in the path), and {to} needs one: say which")]
    NoModel {
        /// The protocol of the request.
        from: Protocol,
        /// The protocol that it was to be translated to.
        to: Protocol,
    },
}

impl From<ScanError> for StandaloneError {
    fn from(error: ScanError) -> Self {
        Self::Unreadable(error.into())
    }
}

/// Translates a request. `model` is the model as the target names it, if it is another than the request
/// names.
///
/// Within one protocol the bytes pass, but for the name of the model.
///
/// # Errors
/// [`StandaloneError`] where the request cannot be read, or the model is not known.
///
/// ```
/// use weighbridge_translate::{Dialect, standalone};
/// use weighbridge_units::Protocol::{GeminiGenerateContent, OpenAiChat};
///
/// let body = br#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}"#;
/// let sent = standalone::request(OpenAiChat, GeminiGenerateContent, body, None, Dialect::Native)?;
/// assert_eq!(sent.value, br#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#);
///
/// let same = standalone::request(OpenAiChat, OpenAiChat, body, Some("n"), Dialect::Native)?;
/// assert_eq!(same.value, br#"{"model": "n", "messages": [{"role": "user", "content": "Hi"}]}"#);
/// # Ok::<(), standalone::StandaloneError>(())
/// ```
pub fn request(
    from: Protocol,
    to: Protocol,
    body: &[u8],
    model: Option<&str>,
    dialect: Dialect,
) -> Result<Translated<Vec<u8>>, StandaloneError> {
    let body = Body::scan(Bytes::copy_from_slice(body), &ScanLimits::default())?;
    let text = body.text();
    let conversation =
        adapter(from).decode_request(body.root()).map_err(|error| TranslateError::read(text, error))?;
    if from == to {
        return Ok(without_loss(renamed(from, &body, model)));
    }
    let model = model.map_or(conversation.model, Cow::Borrowed);
    if model.is_empty() && names_model_in_body(to, dialect) {
        return Err(StandaloneError::NoModel { from, to });
    }
    let target = RequestTarget { dialect, ..RequestTarget::new(&model) };
    Ok(crate::request(from, to, text, &target)?)
}

/// The same request for another model.
fn renamed(protocol: Protocol, body: &Body, model: Option<&str>) -> Vec<u8> {
    let mut edits = body.edit();
    if let Some(model) = model.filter(|_| names_model_in_body(protocol, Dialect::Native)) {
        let mut name = Vec::new();
        Writer::new(&mut name).string(model);
        edits.set("model", name);
    }
    edits.rope().concat()
}

/// Whether a request has its model in the body, not in the path alone.
const fn names_model_in_body(protocol: Protocol, dialect: Dialect) -> bool {
    match protocol {
        Protocol::OpenAiChat | Protocol::OpenAiResponses => true,
        Protocol::AnthropicMessages => !matches!(dialect, Dialect::Vertex | Dialect::Bedrock),
        Protocol::GeminiGenerateContent | Protocol::BedrockConverse => false,
    }
}

/// What came of the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// An answer.
    Answer(Vec<u8>),
    /// The provider's error.
    Error {
        /// The status that the target's SDKs expect for it.
        status: u16,
        /// Its body.
        body: Vec<u8>,
        /// What it says.
        error: ApiError,
    },
}

/// Translates the body of an answer that came with this HTTP status: a whole answer, or an error.
///
/// Within one protocol the bytes pass. `request_id` is the id that an error names where its protocol
/// has one.
///
/// # Errors
/// [`TranslateError`] where it came with a status of success and is neither an answer nor an error.
///
/// ```
/// use weighbridge_translate::{AnswerTarget, standalone};
/// use weighbridge_units::Protocol::{AnthropicMessages, OpenAiChat};
///
/// let body = br#"{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}"#;
/// let target = AnswerTarget::new("chatcmpl-1", 1_700_000_000);
/// let answered = standalone::answer(AnthropicMessages, OpenAiChat, 529, body, &target, "req_1")?.value;
/// let standalone::Answered::Error { status: 503, body, .. } = answered else { panic!("it is an error") };
/// assert!(String::from_utf8_lossy(&body).contains(r#""message":"Overloaded""#));
/// # Ok::<(), weighbridge_translate::TranslateError>(())
/// ```
pub fn answer(
    from: Protocol,
    to: Protocol,
    status: u16,
    body: &[u8],
    target: &AnswerTarget<'_>,
    request_id: &str,
) -> Result<Translated<Answered>, TranslateError> {
    if status >= 400 {
        return Ok(without_loss(failed(from, to, body, decode_error(from, status, body), request_id)));
    }
    let text = text(body)?;
    let translated = if from == to {
        answer_facts(from, text).map(|_| without_loss(body.to_vec()))
    } else {
        crate::response(from, to, text, target)
            .map(|Translated { value: (body, _), losses }| Translated { value: body, losses })
    };
    match translated {
        Ok(Translated { value, losses }) => Ok(Translated { value: Answered::Answer(value), losses }),
        Err(TranslateError::InBandError(error)) => {
            Ok(without_loss(failed(from, to, body, error, request_id)))
        }
        Err(error) => Err(error),
    }
}

fn failed(from: Protocol, to: Protocol, body: &[u8], error: ApiError, request_id: &str) -> Answered {
    if from == to {
        return Answered::Error { status: error.status, body: body.to_vec(), error };
    }
    let (status, body) = encode_error(to, &error, request_id);
    Answered::Error { status, body, error }
}

const fn without_loss<T>(value: T) -> Translated<T> {
    Translated { value, losses: Vec::new() }
}

fn text(body: &[u8]) -> Result<&str, ScanError> {
    std::str::from_utf8(body).map_err(|error| ScanError::NotUtf8 { offset: error.valid_up_to() })
}
