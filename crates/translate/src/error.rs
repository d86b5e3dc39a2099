//! Errors of providers, and refusals of our own, in the client's protocol.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;
use weighbridge_protocol::Dialect;
use weighbridge_protocol::json::{Raw, ReadError, ScanError, pointers_of};
use weighbridge_units::{ErrorClass, Protocol};

use crate::adapter::adapter;
use crate::place::Place;

/// An error in one vocabulary: what a provider answered, or what the gateway itself refuses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind of error. What may be retried or failed over depends on this alone.
    pub class: ErrorClass,
    /// The HTTP status that it came with, or [`usual_status`] of its class.
    pub status: u16,
    /// For people: what happened, and what to do about it.
    pub message: String,
    /// The precise cause, where there is a name for it.
    pub code: Option<String>,
    /// The parameter at fault, if one is.
    pub param: Option<String>,
}

impl ApiError {
    /// An error with the usual status of its class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, status: usual_status(class), message: message.into(), code: None, param: None }
    }

    /// The same error with another status.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same error with a precise cause.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same error with the parameter at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }
}

/// Why a document was not translated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// It is not an acceptable JSON document.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A field is missing or wrongly typed.
    #[error("{}: {source}", if .pointer.is_empty() { "the body" } else { .pointer })]
    Read {
        /// JSON pointer to the field.
        pointer: String,
        /// What is wrong with it.
        source: ReadError,
    },
    /// The target cannot do what is asked, and a part of it would be something else. Another target may.
    #[error("{}: {reason}", if .pointer.is_empty() { "the body" } else { .pointer })]
    Unsupported {
        /// JSON pointer to what cannot be sent.
        pointer: String,
        /// Why, and what to do about it.
        reason: Cow<'static, str>,
    },
    /// A provider put an error where its answer should be, under a status of success.
    #[error("the provider answered with an error under a status of success: {0}")]
    InBandError(ApiError),
}

impl TranslateError {
    /// `source`, located in the document `root`.
    pub(crate) fn read(root: &str, source: ReadError) -> Self {
        Self::Read { pointer: source.pointer(root), source }
    }

    /// What stands at `place` of the document `root` cannot be sent.
    pub(crate) fn unsupported(root: &str, place: Place<'_>, reason: impl Into<Cow<'static, str>>) -> Self {
        let pointer = pointers_of(root, [place.text(root)]).pop().unwrap_or_default();
        Self::Unsupported { pointer, reason: reason.into() }
    }
}

/// Sorts a provider's error answer. Never fails: HTML, nothing, or JSON of any shape is an error of
/// the class that its status suggests.
///
/// Under a status of success, the class comes from the body, and the status from the body or class.
pub fn decode_error(provider: Protocol, status: u16, body: &[u8]) -> ApiError {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let raw = Raw::parse(text, &Default::default()).ok();
    raw.and_then(|raw| adapter(provider).decode_error(status, raw))
        .unwrap_or_else(|| without_body(status, text))
}

/// The protocol that a house's error is in. Houses that serve Anthropic's format hand its errors on, and have
/// errors of their own beside them: Google's at Vertex AI, alone in an array where a stream was asked for, and
/// AWS's at Bedrock.
///
/// ```
/// use weighbridge_protocol::Dialect;
/// use weighbridge_translate::error_protocol;
/// use weighbridge_units::Protocol::{AnthropicMessages, GeminiGenerateContent};
///
/// let of = |body: &str| error_protocol(AnthropicMessages, Dialect::Vertex, body.as_bytes());
/// assert_eq!(of(r#"[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]"#), GeminiGenerateContent);
/// assert_eq!(of(r#"{"type": "error", "error": {"type": "invalid_request_error"}}"#), AnthropicMessages);
/// ```
pub fn error_protocol(provider: Protocol, dialect: Dialect, body: &[u8]) -> Protocol {
    let own = match (provider, dialect) {
        (Protocol::AnthropicMessages, Dialect::Vertex) => Protocol::GeminiGenerateContent,
        (Protocol::AnthropicMessages, Dialect::Bedrock) => Protocol::BedrockConverse,
        _ => return provider,
    };
    let text = std::str::from_utf8(body).unwrap_or_default();
    let raw = Raw::parse(text, &Default::default()).ok();
    let is_handed_on = raw.and_then(|raw| raw.get("type")?.str().ok()).is_some_and(|kind| kind == "error");
    if is_handed_on { provider } else { own }
}

/// How long a provider asks to wait before the next attempt, where the body of its error says so. Most say
/// it in the header `retry-after`, which comes first.
pub fn retry_delay(provider: Protocol, body: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(body).ok()?;
    adapter(provider).retry_delay(Raw::parse(text, &Default::default()).ok()?)
}

/// The status and body that tell `error` to a client, as its SDK expects them.
pub fn encode_error(client: Protocol, error: &ApiError, request_id: &str) -> (u16, Vec<u8>) {
    adapter(client).encode_error(error, request_id)
}

/// One complete event that tells `error` to a client in mid-stream, for whoever does not know how many events
/// stand before it. Nothing may follow it.
pub fn encode_stream_error(client: Protocol, error: &ApiError, request_id: &str) -> Vec<u8> {
    encode_stream_error_after(0, client, error, request_id)
}

/// One complete event that tells `error` to a client after so many `events` of its stream, which OpenAI Responses
/// numbers. Nothing may follow it.
pub fn encode_stream_error_after(
    events: u64,
    client: Protocol,
    error: &ApiError,
    request_id: &str,
) -> Vec<u8> {
    adapter(client).encode_stream_error(error, request_id, events)
}

/// The class that a status alone suggests; `None` for a status of success.
pub(crate) const fn class_of_status(status: u16) -> Option<ErrorClass> {
    Some(match status {
        401 => ErrorClass::Authentication,
        402 => ErrorClass::Billing,
        403 => ErrorClass::Permission,
        404 => ErrorClass::NotFound,
        408 | 504 => ErrorClass::Timeout,
        413 => ErrorClass::TooLarge,
        429 => ErrorClass::RateLimit,
        503 | 529 => ErrorClass::Overloaded,
        400..500 => ErrorClass::BadRequest,
        500..600 => ErrorClass::Server,
        _ => return None,
    })
}

/// The status that an error of the class usually has.
pub const fn usual_status(class: ErrorClass) -> u16 {
    match class {
        ErrorClass::BadRequest | ErrorClass::ContextTooLong | ErrorClass::ContentPolicy => 400,
        ErrorClass::Authentication => 401,
        ErrorClass::Billing => 402,
        ErrorClass::Permission => 403,
        ErrorClass::NotFound => 404,
        ErrorClass::TooLarge => 413,
        ErrorClass::RateLimit => 429,
        ErrorClass::Timeout => 504,
        ErrorClass::Overloaded => 503,
        _ => 500,
    }
}

/// An error's own status, where SDKs of the protocol expect it for the class; else the first of
/// those that they expect.
pub(crate) fn status_for(error: &ApiError, expected: &[u16]) -> u16 {
    if expected.contains(&error.status) {
        return error.status;
    }
    expected.first().copied().unwrap_or(500)
}

/// The status that an error of `class` is recorded with: its own, the one that the body names, or
/// the usual one.
pub(crate) fn recorded_status(status: u16, named: Option<u16>, class: ErrorClass) -> u16 {
    if status >= 400 { status } else { named.unwrap_or_else(|| usual_status(class)) }
}

/// How much of a plain-text error is repeated, in characters.
const PLAIN_TEXT_MAX: usize = 300;

/// An error whose body says nothing that its protocol documents.
fn without_body(status: u16, text: &str) -> ApiError {
    let class = class_of_status(status).unwrap_or(ErrorClass::Server);
    let text = text.trim();
    // A page of HTML helps nobody.
    let message = if text.is_empty() || text.starts_with('<') || text.starts_with('{') {
        format!("the provider answered with status {status} and no readable error")
    } else {
        let start: String = text.chars().filter(|c| !c.is_control()).take(PLAIN_TEXT_MAX).collect();
        format!("the provider answered with status {status}: {start}")
    };
    ApiError { status: recorded_status(status, None, class), ..ApiError::new(class, message) }
}
