//! Errors, to and from the canonical model.

use weighbridge_protocol::json::{Raw, Writer};
use weighbridge_protocol::openai_chat::error::{ErrorParts, read, write};
use weighbridge_units::ErrorClass;

use crate::ApiError;
use crate::error::{class_of_status, recorded_status, status_for};

pub(super) fn decode(status: u16, body: Raw<'_>) -> Option<ApiError> {
    let parts = read(body)?;
    let class = classify(status, &parts);
    let status = recorded_status(status, parts.status, class);
    let message = parts.message.filter(|message| !message.is_empty()).map_or_else(
        || format!("the provider answered with status {status} and no message"),
        |message| message.into_owned(),
    );
    let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| text.into_owned());
    Some(ApiError { class, status, message, code: owned(parts.code), param: owned(parts.param) })
}

/// By code first: the same cause comes under different statuses.
fn classify(status: u16, parts: &ErrorParts<'_>) -> ErrorClass {
    let by_name = [&parts.code, &parts.kind].into_iter().find_map(|name| class_of_name(name.as_deref()?));
    if let Some(class) = by_name {
        return class;
    }
    let message = parts.message.as_deref().unwrap_or_default();
    if message.contains("maximum context length") {
        return ErrorClass::ContextTooLong;
    }
    let status = if status >= 400 { Some(status) } else { parts.status };
    match status.and_then(class_of_status) {
        Some(class) => class,
        None if parts.kind.as_deref() == Some("invalid_request_error") => ErrorClass::BadRequest,
        None => ErrorClass::Server,
    }
}

/// <https://platform.openai.com/docs/guides/error-codes>, and what others on this route say.
fn class_of_name(name: &str) -> Option<ErrorClass> {
    Some(match name {
        "context_length_exceeded" | "exceed_context_size_error" => ErrorClass::ContextTooLong,
        "content_filter" | "content_policy_violation" | "moderation_blocked" => ErrorClass::ContentPolicy,
        "invalid_api_key" | "authentication_error" => ErrorClass::Authentication,
        "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active" => ErrorClass::Billing,
        "unsupported_country_region_territory" | "permission_error" => ErrorClass::Permission,
        "model_not_found" => ErrorClass::NotFound,
        "rate_limit_exceeded" | "rate_limit_error" | "RateLimitReached" => ErrorClass::RateLimit,
        "overloaded_error" | "server_overloaded" => ErrorClass::Overloaded,
        _ => return None,
    })
}

pub(super) fn encode(error: &ApiError, _request_id: &str) -> (u16, Vec<u8>) {
    let form = form(error.class);
    let mut body = Vec::new();
    let code = error.code.as_deref().or(form.code);
    write(form.kind, code, &error.message, error.param.as_deref(), Writer::new(&mut body));
    (status_for(error, form.statuses), body)
}

pub(super) fn encode_event(error: &ApiError, request_id: &str) -> Vec<u8> {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&encode(error, request_id).1);
    event.extend_from_slice(b"\n\n");
    event
}

/// How a class of errors looks in this protocol.
struct Form {
    kind: &'static str,
    code: Option<&'static str>,
    /// What the SDK maps to the right exception; the first is the usual one.
    statuses: &'static [u16],
}

const fn form(class: ErrorClass) -> Form {
    const INVALID: &str = "invalid_request_error";
    let (kind, code, statuses): (_, _, &[u16]) = match class {
        ErrorClass::BadRequest => (INVALID, None, &[400, 405, 409, 422]),
        ErrorClass::ContextTooLong => (INVALID, Some("context_length_exceeded"), &[400, 413]),
        ErrorClass::ContentPolicy => (INVALID, Some("content_filter"), &[400, 403]),
        ErrorClass::Authentication => (INVALID, Some("invalid_api_key"), &[401]),
        // The SDKs know no 402.
        ErrorClass::Billing => ("insufficient_quota", Some("insufficient_quota"), &[429]),
        ErrorClass::Permission => (INVALID, Some("permission_denied"), &[403]),
        ErrorClass::NotFound => (INVALID, Some("model_not_found"), &[404]),
        ErrorClass::TooLarge => (INVALID, Some("request_too_large"), &[413, 431]),
        ErrorClass::RateLimit => ("rate_limit_error", Some("rate_limit_exceeded"), &[429]),
        ErrorClass::Timeout => ("server_error", Some("timeout"), &[504, 408]),
        ErrorClass::Overloaded => ("server_error", Some("server_overloaded"), &[503]),
        _ => ("server_error", None, &[500, 502]),
    };
    Form { kind, code, statuses }
}
