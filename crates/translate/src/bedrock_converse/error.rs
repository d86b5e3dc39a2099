//! Errors, to and from the canonical model.

use weighbridge_protocol::bedrock_converse::error as wire;
use weighbridge_protocol::json::{Raw, Writer};
use weighbridge_units::ErrorClass;

use crate::ApiError;
use crate::error::{class_of_status, recorded_status, status_for};

pub(super) fn decode(status: u16, body: Raw<'_>) -> Option<ApiError> {
    let parts = wire::read(body)?;
    Some(sorted(
        status,
        parts.kind.as_deref().unwrap_or_default(),
        parts.message.as_deref().unwrap_or_default(),
    ))
}

/// Sorts an error whose name stands outside of its body: in the header
/// [`ERROR_TYPE`](weighbridge_protocol::bedrock_converse::header::ERROR_TYPE) of an answer, or in the
/// headers of a stream's frame, whose status is that of success. Never fails.
pub fn named(kind: &str, status: u16, body: &str) -> ApiError {
    let raw = Raw::parse(body, &Default::default()).ok();
    let parts = raw.and_then(wire::read).unwrap_or_default();
    sorted(status, kind, parts.message.as_deref().unwrap_or_default())
}

fn sorted(status: u16, kind: &str, message: &str) -> ApiError {
    let name = wire::name(kind);
    let by_name = class_of_name(name, message);
    let class = by_name.or(class_without_name(status, message)).unwrap_or(ErrorClass::Server);
    let (usual_name, statuses) = form(class);
    // What comes in a stream has no status of its own.
    let status = recorded_status(status, statuses.first().copied(), class);
    let message = match (message.is_empty(), name.is_empty()) {
        (false, _) => message.to_owned(),
        (true, false) => format!("the provider answered with {name} and no message"),
        (true, true) => {
            format!("the provider answered with status {status}, which means {usual_name}, and no message")
        }
    };
    ApiError { class, status, message, code: None, param: None }
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html>. Names begin with a small
/// letter in streams.
fn class_of_name(name: &str, message: &str) -> Option<ErrorClass> {
    const TOO_MANY: &str = "TooManyRequestsException";
    const CREDENTIAL: [&str; 6] = [
        wire::UNRECOGNIZED_CLIENT,
        "ExpiredTokenException",
        "InvalidSignatureException",
        "IncompleteSignatureException",
        "MissingAuthenticationTokenException",
        "InvalidClientTokenIdException",
    ];
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    Some(if is(wire::VALIDATION) {
        class_of_request(message)
    } else if is(wire::THROTTLING) || is(wire::MODEL_NOT_READY) || is(TOO_MANY) {
        ErrorClass::RateLimit
    } else if is(wire::QUOTA_EXCEEDED) {
        ErrorClass::Billing
    } else if CREDENTIAL.into_iter().any(is) {
        ErrorClass::Authentication
    } else if is(wire::ACCESS_DENIED) {
        class_of_refusal(message)
    } else if is(wire::NOT_FOUND) {
        ErrorClass::NotFound
    } else if is(wire::MODEL_TIMEOUT) {
        ErrorClass::Timeout
    } else if is(wire::SERVICE_UNAVAILABLE) {
        ErrorClass::Overloaded
    } else if is(wire::INTERNAL_SERVER) || is(wire::MODEL_ERROR) || is(wire::MODEL_STREAM_ERROR) {
        ErrorClass::Server
    } else {
        return None;
    })
}

/// What a status says where the name is lost.
fn class_without_name(status: u16, message: &str) -> Option<ErrorClass> {
    match status {
        400 => Some(class_of_request(message)),
        403 => Some(class_of_refusal(message)),
        // The model failed, through no fault of the request.
        424 => Some(ErrorClass::Server),
        status => class_of_status(status),
    }
}

/// Causes that have no name of their own and are known by their message.
fn class_of_request(message: &str) -> ErrorClass {
    const TOO_LONG: [&str; 5] = [
        "Input is too long",
        "prompt is too long",
        "exceed context limit",
        "maximum context length",
        "Input Tokens Exceeded",
    ];
    if TOO_LONG.into_iter().any(|words| message.contains(words)) {
        ErrorClass::ContextTooLong
    } else if message.starts_with("The provided model identifier is invalid") {
        ErrorClass::NotFound
    } else {
        ErrorClass::BadRequest
    }
}

/// A credential that is wrong is refused under the same status as one that may not do this.
fn class_of_refusal(message: &str) -> ErrorClass {
    const CREDENTIAL: [&str; 3] = ["security token", "Authentication failed", "signature"];
    if CREDENTIAL.into_iter().any(|words| message.contains(words)) {
        ErrorClass::Authentication
    } else {
        ErrorClass::Permission
    }
}

pub(super) fn encode(error: &ApiError) -> (u16, Vec<u8>) {
    let (name, statuses) = form(error.class);
    let mut body = Vec::new();
    wire::write(name, &error.message, Writer::new(&mut body));
    (status_for(error, statuses), body)
}

/// An exception in mid-stream, in the text form that [`ConverseWriter`](super::stream::ConverseWriter)
/// has for frames.
pub(super) fn encode_event(error: &ApiError) -> Vec<u8> {
    let name = match error.class {
        ErrorClass::RateLimit | ErrorClass::Billing => wire::THROTTLING,
        ErrorClass::Timeout => wire::MODEL_STREAM_ERROR,
        ErrorClass::Overloaded => wire::SERVICE_UNAVAILABLE,
        ErrorClass::Server => wire::INTERNAL_SERVER,
        _ => wire::VALIDATION,
    };
    let (first, rest) = name.split_at(1);
    let mut frame = format!("event: {}{rest}\ndata: ", first.to_ascii_lowercase()).into_bytes();
    Writer::new(&mut frame).object().key("message").string(&error.message);
    frame.extend_from_slice(b"\n\n");
    frame
}

/// How a class of errors looks in this protocol: its name, and what statuses it may have, the usual one
/// first.
const fn form(class: ErrorClass) -> (&'static str, &'static [u16]) {
    match class {
        ErrorClass::BadRequest
        | ErrorClass::ContextTooLong
        | ErrorClass::ContentPolicy
        | ErrorClass::TooLarge => (wire::VALIDATION, &[400]),
        ErrorClass::Authentication => (wire::UNRECOGNIZED_CLIENT, &[403]),
        ErrorClass::Billing => (wire::QUOTA_EXCEEDED, &[400]),
        ErrorClass::Permission => (wire::ACCESS_DENIED, &[403]),
        ErrorClass::NotFound => (wire::NOT_FOUND, &[404]),
        ErrorClass::RateLimit => (wire::THROTTLING, &[429]),
        ErrorClass::Timeout => (wire::MODEL_TIMEOUT, &[408]),
        ErrorClass::Overloaded => (wire::SERVICE_UNAVAILABLE, &[503]),
        _ => (wire::INTERNAL_SERVER, &[500]),
    }
}
