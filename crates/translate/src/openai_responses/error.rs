//! Errors, to and from the canonical model.
//!
//! Bodies are those of Chat Completions. Events of a stream are flat, with `code` and `message` beside
//! `type`, or have an `error` object; an answer that failed has one too. What is written here has both:
//! strict models want the one, and SDKs raise where they see the other.

use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Object, Raw, Writer};
use weighbridge_protocol::openai_responses::event;
use weighbridge_units::ErrorClass;

use crate::error::usual_status;
use crate::openai_chat::OpenAiChat;
use crate::{Adapter as _, ApiError};

/// Sorts an error: a body, an event of a stream, or an answer that failed.
pub(super) fn decode(status: u16, body: Raw<'_>) -> Option<ApiError> {
    let nested = body.get("error").or_else(|| body.get("response")?.get("error"));
    let told = nested.filter(|error| !error.is_null());
    let is_event = body.get("type").is_some_and(|kind| kind.str().is_ok_and(|kind| kind == event::ERROR));
    let (code, message) = match told {
        Some(error) => (text(error, "code"), text(error, "message")),
        None if is_event => (text(body, "code"), text(body, "message")),
        None => (None, None),
    };
    // Names that only answers which failed have.
    if let Some(class) = code.as_deref().and_then(class_of_failure) {
        let param = text(told.unwrap_or(body), "param").map(Cow::into_owned);
        let status = if status >= 400 { status } else { usual_status(class) };
        let message = message.map_or_else(|| "the provider's answer failed".to_owned(), Cow::into_owned);
        return Some(ApiError { class, status, message, code: code.map(Cow::into_owned), param });
    }
    if is_event && told.is_none() {
        let mut wrapped = Vec::new();
        Writer::new(&mut wrapped).object().key("error").raw(body.text());
        let wrapped = String::from_utf8(wrapped).ok()?;
        let raw = Raw::parse(&wrapped, &Default::default()).ok()?;
        return OpenAiChat.decode_error(status, raw);
    }
    match body.get("response") {
        Some(response) if told.is_some() => OpenAiChat.decode_error(status, response),
        _ => OpenAiChat.decode_error(status, body),
    }
}

fn text<'a>(object: Raw<'a>, name: &str) -> Option<Cow<'a, str>> {
    object.get(name)?.str().ok()
}

/// Codes of `response.error`: <https://platform.openai.com/docs/api-reference/responses/object>.
fn class_of_failure(code: &str) -> Option<ErrorClass> {
    Some(match code {
        "server_error" => ErrorClass::Server,
        // So the provider calls a prompt that its policies forbid.
        "invalid_prompt"
        | "bio_policy"
        | "misalignment_policy_violation"
        | "image_content_policy_violation"
        | "data_residency_mismatch" => ErrorClass::ContentPolicy,
        "vector_store_timeout" => ErrorClass::Timeout,
        "previous_response_not_found" | "image_file_not_found" => ErrorClass::NotFound,
        "image_too_large" | "image_file_too_large" => ErrorClass::TooLarge,
        "invalid_image"
        | "invalid_image_format"
        | "invalid_base64_image"
        | "invalid_image_url"
        | "image_too_small"
        | "image_parse_error"
        | "invalid_image_mode"
        | "unsupported_image_media_type"
        | "empty_image_file"
        | "failed_to_download_image"
        | "invalid_encrypted_content" => ErrorClass::BadRequest,
        _ => return None,
    })
}

/// Status and body. An unknown model has status 400 at OpenAI here, and 404 at others: each is kept. So is the
/// 404 of an unknown item, which has no code.
pub(super) fn encode(error: &ApiError, request_id: &str) -> (u16, Vec<u8>) {
    let (status, body) = OpenAiChat.encode_error(error, request_id);
    let is_kept =
        matches!((error.class, error.status), (ErrorClass::NotFound, 400) | (ErrorClass::BadRequest, 404));
    (if is_kept { error.status } else { status }, body)
}

pub(super) fn encode_event(error: &ApiError, request_id: &str, sequence: u64) -> Vec<u8> {
    let mut frame = Vec::new();
    write_event(error, request_id, sequence, &mut frame);
    frame
}

/// Writes the event that tells an error, as the `sequence`th of its stream.
pub(super) fn write_event(error: &ApiError, request_id: &str, sequence: u64, out: &mut Vec<u8>) {
    let (_, body) = encode(error, request_id);
    let body = String::from_utf8(body).unwrap_or_default();
    let nested = Raw::parse(&body, &Default::default()).ok().and_then(|body| body.get("error"));
    out.extend_from_slice(b"event: error\ndata: ");
    let mut object = Writer::new(out).object();
    object.key("type").string(event::ERROR);
    if let Some(nested) = nested {
        repeat(nested, &mut object);
        object.key("error").raw(nested.text());
    }
    object.key("sequence_number").number(sequence);
    drop(object);
    out.extend_from_slice(b"\n\n");
}

/// The flat form's fields.
fn repeat(error: Raw<'_>, object: &mut Object<'_>) {
    let Ok(mut fields) = Fields::read(error) else { return };
    for name in ["code", "message", "param"] {
        match fields.offer::<Raw<'_>>(name) {
            Some(value) => object.key(name).raw(value.text()),
            None => object.key(name).null(),
        }
    }
}

/// The code of an answer that failed, which is one of few.
pub(super) fn failure_code(error: &ApiError) -> &'static str {
    match error.class {
        ErrorClass::RateLimit | ErrorClass::Billing => "rate_limit_exceeded",
        ErrorClass::BadRequest
        | ErrorClass::ContextTooLong
        | ErrorClass::ContentPolicy
        | ErrorClass::TooLarge => "invalid_prompt",
        _ => "server_error",
    }
}
