//! Errors, to and from the canonical model.

use std::time::Duration;

use weighbridge_protocol::gemini::EVENT_END;
use weighbridge_protocol::gemini::error::{ErrorBody, ErrorParts, read, write};
use weighbridge_protocol::json::{Raw, Writer};
use weighbridge_units::ErrorClass;

use crate::ApiError;
use crate::error::{class_of_status, recorded_status, status_for};

/// Reasons of our own, for causes that have no kind of their own.
const CONTEXT_TOO_LONG: &str = "CONTEXT_LENGTH_EXCEEDED";
const CONTENT_POLICY: &str = "CONTENT_POLICY_VIOLATION";
const NO_CREDIT: &str = "CREDIT_EXHAUSTED";

pub(super) fn decode(status: u16, body: Raw<'_>) -> Option<ApiError> {
    let parts = read(body)?;
    let class = classify(status, &parts);
    let status = recorded_status(status, parts.status, class);
    let message = match parts.message.filter(|message| !message.is_empty()) {
        Some(message) => message.into_owned(),
        None => format!("the provider answered with status {status} and no message"),
    };
    // The kind, and a reason that gives the class, are said by the class.
    let code = parts.reason.filter(|reason| class_of_reason(reason).is_none()).map(|name| name.into_owned());
    Some(ApiError { class, status, message, code, param: parts.field.map(|field| field.into_owned()) })
}

/// How long the provider asks to wait, where its error says so.
pub(super) fn retry_delay(body: Raw<'_>) -> Option<Duration> {
    read(body)?.retry_delay
}

/// By precise cause first, then by kind: a bad key is 400 here.
fn classify(status: u16, parts: &ErrorParts<'_>) -> ErrorClass {
    let status = if status >= 400 { Some(status) } else { parts.status };
    let message = parts.message.as_deref().unwrap_or_default();
    if let Some(class) = parts.reason.as_deref().and_then(class_of_reason) {
        return class;
    }
    let by_kind = parts.kind.as_deref().and_then(|kind| class_of_kind(kind, status, message));
    by_kind.or_else(|| class_of_status(status?)).unwrap_or(ErrorClass::Server)
}

fn class_of_reason(reason: &str) -> Option<ErrorClass> {
    Some(match reason {
        "API_KEY_INVALID" | "ACCESS_TOKEN_EXPIRED" | "CREDENTIALS_MISSING" => ErrorClass::Authentication,
        "BILLING_DISABLED" | NO_CREDIT => ErrorClass::Billing,
        CONTEXT_TOO_LONG => ErrorClass::ContextTooLong,
        CONTENT_POLICY => ErrorClass::ContentPolicy,
        _ => return None,
    })
}

/// <https://cloud.google.com/apis/design/errors#handling_errors>. Two causes have no name of their own
/// and are known by their message.
fn class_of_kind(kind: &str, status: Option<u16>, message: &str) -> Option<ErrorClass> {
    Some(match kind {
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" if is_too_long(message) => ErrorClass::ContextTooLong,
        "INVALID_ARGUMENT" if message.starts_with("API key not valid") => ErrorClass::Authentication,
        "INVALID_ARGUMENT" if status == Some(413) => ErrorClass::TooLarge,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" | "ALREADY_EXISTS" => {
            ErrorClass::BadRequest
        }
        "UNAUTHENTICATED" => ErrorClass::Authentication,
        "PERMISSION_DENIED" => ErrorClass::Permission,
        "NOT_FOUND" => ErrorClass::NotFound,
        // Prepaid credit that is used up comes under the same name as a quota.
        "RESOURCE_EXHAUSTED" if message.contains("credits are depleted") => ErrorClass::Billing,
        // Some put it under a status that says that they are overloaded.
        "RESOURCE_EXHAUSTED" if status.is_some_and(|status| status >= 500) => ErrorClass::Overloaded,
        "RESOURCE_EXHAUSTED" => ErrorClass::RateLimit,
        "DEADLINE_EXCEEDED" => ErrorClass::Timeout,
        "UNAVAILABLE" => ErrorClass::Overloaded,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "ABORTED" | "CANCELLED" => ErrorClass::Server,
        _ => return None,
    })
}

fn is_too_long(message: &str) -> bool {
    message.contains("exceeds the maximum number of tokens") || message.contains("exceeds the maximum length")
}

pub(super) fn encode(error: &ApiError, request_id: &str) -> (u16, Vec<u8>) {
    let (kind, statuses) = form(error.class);
    let status = status_for(error, statuses);
    let usual_reason = match error.class {
        ErrorClass::ContextTooLong => Some(CONTEXT_TOO_LONG),
        ErrorClass::ContentPolicy => Some(CONTENT_POLICY),
        ErrorClass::Billing => Some(NO_CREDIT),
        _ => None,
    };
    let body = ErrorBody {
        status,
        kind,
        message: &error.message,
        reason: error.code.as_deref().filter(|code| *code != kind).or(usual_reason),
        field: error.param.as_deref(),
        request_id,
    };
    let mut out = Vec::new();
    write(&body, Writer::new(&mut out));
    (status, out)
}

/// As an event of a stream.
pub(super) fn encode_event(error: &ApiError, request_id: &str) -> Vec<u8> {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&encode(error, request_id).1);
    event.extend_from_slice(EVENT_END.as_bytes());
    event
}

/// How a class of errors looks in this protocol: its kind, and what statuses go with it, the usual one
/// first. SDKs tell 4xx from 5xx, and read the kind.
const fn form(class: ErrorClass) -> (&'static str, &'static [u16]) {
    match class {
        ErrorClass::BadRequest => ("INVALID_ARGUMENT", &[400, 405, 409, 422]),
        ErrorClass::ContextTooLong | ErrorClass::ContentPolicy => ("INVALID_ARGUMENT", &[400]),
        ErrorClass::Authentication => ("UNAUTHENTICATED", &[401]),
        ErrorClass::Billing => ("RESOURCE_EXHAUSTED", &[429, 402]),
        ErrorClass::Permission => ("PERMISSION_DENIED", &[403]),
        ErrorClass::NotFound => ("NOT_FOUND", &[404]),
        ErrorClass::TooLarge => ("INVALID_ARGUMENT", &[413, 400, 431]),
        ErrorClass::RateLimit => ("RESOURCE_EXHAUSTED", &[429]),
        ErrorClass::Timeout => ("DEADLINE_EXCEEDED", &[504, 408]),
        ErrorClass::Overloaded => ("UNAVAILABLE", &[503, 529]),
        _ => ("INTERNAL", &[500, 502]),
    }
}
