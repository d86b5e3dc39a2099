//! Error bodies: <https://docs.anthropic.com/en/api/errors>.
//!
//! `{"type": "error", "error": {"type", "message"}, "request_id"}`.

use std::borrow::Cow;

use crate::json::{Fields, Raw, Writer};

/// The request is malformed.
pub const INVALID_REQUEST: &str = "invalid_request_error";
/// The credential is missing or wrong.
pub const AUTHENTICATION: &str = "authentication_error";
/// There is no credit.
pub const BILLING: &str = "billing_error";
/// The credential may not do this.
pub const PERMISSION: &str = "permission_error";
/// There is no such model or object.
pub const NOT_FOUND: &str = "not_found_error";
/// The body is too large.
pub const TOO_LARGE: &str = "request_too_large";
/// Too many requests or tokens for now.
pub const RATE_LIMIT: &str = "rate_limit_error";
/// It took too long.
pub const TIMEOUT: &str = "timeout_error";
/// The provider failed.
pub const API: &str = "api_error";
/// The provider is over capacity.
pub const OVERLOADED: &str = "overloaded_error";

/// What an error body says, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorParts<'a> {
    /// The message for people.
    pub message: Option<Cow<'a, str>>,
    /// The kind of error.
    pub kind: Option<Cow<'a, str>>,
}

/// Reads an error body; `None` where the document is no error.
pub fn read(raw: Raw<'_>) -> Option<ErrorParts<'_>> {
    let mut fields = Fields::read(raw).ok()?;
    let tagged = fields.variant("type").as_deref() == Some("error");
    let error = fields.offer::<Raw<'_>>("error").filter(|error| !error.is_null());
    match (error, tagged) {
        (None, false) => None,
        (None, true) => Some(ErrorParts::default()),
        (Some(error), _) => {
            let Ok(mut parts) = Fields::read(error) else {
                return Some(ErrorParts { message: error.str().ok(), kind: None });
            };
            Some(ErrorParts { message: parts.offer("message"), kind: parts.offer("type") })
        }
    }
}

/// Writes an error body.
pub fn write(kind: &str, message: &str, request_id: &str, writer: Writer<'_>) {
    let mut object = writer.object();
    object.key("type").string("error");
    let mut error = object.key("error").object();
    error.key("type").string(kind);
    error.key("message").string(message);
    drop(error);
    object.key("request_id").string(request_id);
}
