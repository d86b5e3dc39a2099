//! Errors, to and from the canonical model.

use weighbridge_protocol::anthropic_messages::error as wire;
use weighbridge_protocol::anthropic_messages::event;
use weighbridge_protocol::json::{Raw, Writer};
use weighbridge_units::ErrorClass;

use crate::ApiError;
use crate::error::{class_of_status, recorded_status, status_for};

pub(super) fn decode(status: u16, body: Raw<'_>) -> Option<ApiError> {
    let parts = wire::read(body)?;
    let message = parts.message.unwrap_or_default();
    let by_kind = parts.kind.as_deref().and_then(|kind| class_of_kind(kind, &message));
    let class = by_kind.or(class_of_status(status)).unwrap_or(ErrorClass::Server);
    // In a stream no status comes with it.
    let usual = form(class).1.first().copied();
    let status = recorded_status(status, usual, class);
    let message = match message.is_empty() {
        true => format!("the provider answered with status {status} and no message"),
        false => message.into_owned(),
    };
    Some(ApiError { class, status, message, code: None, param: None })
}

/// <https://docs.anthropic.com/en/api/errors>. Two causes have no name of their own and are known
/// by their message.
fn class_of_kind(kind: &str, message: &str) -> Option<ErrorClass> {
    Some(match kind {
        wire::INVALID_REQUEST if message.starts_with("prompt is too long") => ErrorClass::ContextTooLong,
        wire::INVALID_REQUEST if message.contains("credit balance is too low") => ErrorClass::Billing,
        wire::INVALID_REQUEST => ErrorClass::BadRequest,
        wire::AUTHENTICATION => ErrorClass::Authentication,
        wire::BILLING => ErrorClass::Billing,
        wire::PERMISSION => ErrorClass::Permission,
        wire::NOT_FOUND => ErrorClass::NotFound,
        wire::TOO_LARGE => ErrorClass::TooLarge,
        wire::RATE_LIMIT => ErrorClass::RateLimit,
        wire::TIMEOUT => ErrorClass::Timeout,
        wire::OVERLOADED => ErrorClass::Overloaded,
        wire::API => ErrorClass::Server,
        _ => return None,
    })
}

pub(super) fn encode(error: &ApiError, request_id: &str) -> (u16, Vec<u8>) {
    let (kind, statuses) = form(error.class);
    let mut body = Vec::new();
    wire::write(kind, &error.message, request_id, Writer::new(&mut body));
    (status_for(error, statuses), body)
}

pub(super) fn encode_event(error: &ApiError, request_id: &str) -> Vec<u8> {
    let mut frame = format!("event: {}\ndata: ", event::ERROR).into_bytes();
    frame.extend_from_slice(&encode(error, request_id).1);
    frame.extend_from_slice(b"\n\n");
    frame
}

/// How a class of errors looks in this protocol: its type, and what statuses the SDK maps to the
/// right exception, the usual one first.
const fn form(class: ErrorClass) -> (&'static str, &'static [u16]) {
    match class {
        ErrorClass::BadRequest => (wire::INVALID_REQUEST, &[400, 405, 409, 422]),
        ErrorClass::ContextTooLong => (wire::INVALID_REQUEST, &[400, 413]),
        ErrorClass::ContentPolicy => (wire::INVALID_REQUEST, &[400, 403]),
        ErrorClass::Authentication => (wire::AUTHENTICATION, &[401]),
        ErrorClass::Billing => (wire::BILLING, &[402, 429]),
        ErrorClass::Permission => (wire::PERMISSION, &[403]),
        ErrorClass::NotFound => (wire::NOT_FOUND, &[404]),
        ErrorClass::TooLarge => (wire::TOO_LARGE, &[413, 431]),
        ErrorClass::RateLimit => (wire::RATE_LIMIT, &[429]),
        ErrorClass::Timeout => (wire::TIMEOUT, &[504, 408]),
        ErrorClass::Overloaded => (wire::OVERLOADED, &[529, 503]),
        _ => (wire::API, &[500, 502]),
    }
}
