//! Error bodies: <https://cloud.google.com/apis/design/errors>.
//!
//! `{"error": {"code": 429, "message", "status": "RESOURCE_EXHAUSTED", "details": […]}}`; where a stream
//! was asked for without server-sent events, alone in an array. Details are named by `@type`:
//!
//! | detail | what is read |
//! |---|---|
//! | `google.rpc.RetryInfo` | `retryDelay`: when to come back; there is no `retry-after` header |
//! | `google.rpc.ErrorInfo` | `reason`: the precise cause, such as `API_KEY_INVALID` |
//! | `google.rpc.BadRequest` | `fieldViolations[].field`: the parameter at fault |

use std::borrow::Cow;
use std::time::Duration;

use crate::json::{Fields, Kind, Raw, Writer};

/// What an error body says, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorParts<'a> {
    /// The message for people.
    pub message: Option<Cow<'a, str>>,
    /// The kind of error, such as `INVALID_ARGUMENT`.
    pub kind: Option<Cow<'a, str>>,
    /// The HTTP status that the body itself names, if any.
    pub status: Option<u16>,
    /// The precise cause.
    pub reason: Option<Cow<'a, str>>,
    /// The parameter at fault.
    pub field: Option<Cow<'a, str>>,
    /// How long to wait before the next attempt.
    pub retry_delay: Option<Duration>,
}

/// Reads an error body; `None` where the document is no error.
pub fn read(raw: Raw<'_>) -> Option<ErrorParts<'_>> {
    if raw.kind() == Kind::Array {
        // The first is the error; nobody sends a second.
        return read(raw.items().ok()?.next()?);
    }
    let mut body = Fields::read(raw).ok()?;
    let error = body.offer::<Raw<'_>>("error").filter(|error| !error.is_null())?;
    let Ok(mut fields) = Fields::read(error) else {
        // What Google's token server says: the name of the error, and a sentence.
        let message = body.offer("error_description").or_else(|| error.str().ok());
        return Some(ErrorParts { message, ..ErrorParts::default() });
    };
    let mut parts = ErrorParts {
        message: fields.offer("message"),
        kind: fields.offer("status"),
        status: fields.offer("code").and_then(error_status),
        ..ErrorParts::default()
    };
    for mut detail in fields.offer::<Vec<Fields<'_>>>("details").unwrap_or_default() {
        let kind: Cow<'_, str> = detail.offer("@type").unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "RetryInfo" => {
                parts.retry_delay = detail.offer::<Raw<'_>>("retryDelay").and_then(duration);
            }
            "ErrorInfo" => parts.reason = detail.offer("reason"),
            "BadRequest" => {
                let violations: Option<Raw<'_>> = detail.offer("fieldViolations");
                let first = violations.and_then(|list| list.items().ok()?.next());
                parts.field = first.and_then(|violation| violation.get("field")?.str().ok());
            }
            _ => {}
        }
    }
    Some(parts)
}

fn error_status(number: u64) -> Option<u16> {
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// A duration in JSON form: seconds with up to nine places and an `s`, such as `34.4s`.
fn duration(raw: Raw<'_>) -> Option<Duration> {
    let text = raw.str().ok()?;
    let number = text.strip_suffix('s')?;
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || !is_digits(seconds) || fraction.len() > 9 || !is_digits(fraction) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}

/// An error to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The kind of error, such as `INVALID_ARGUMENT`.
    pub kind: &'a str,
    /// The message for people.
    pub message: &'a str,
    /// The precise cause, if there is a name for it.
    pub reason: Option<&'a str>,
    /// The parameter at fault, if one is.
    pub field: Option<&'a str>,
    /// The id of the request; may be empty.
    pub request_id: &'a str,
}

/// Writes an error body.
pub fn write(body: &ErrorBody<'_>, writer: Writer<'_>) {
    let mut object = writer.object();
    let mut error = object.key("error").object();
    error.key("code").number(body.status);
    error.key("message").string(body.message);
    error.key("status").string(body.kind);
    if body.reason.is_none() && body.field.is_none() && body.request_id.is_empty() {
        return;
    }
    let mut details = error.key("details").array();
    if let Some(reason) = body.reason {
        let mut detail = details.item().object();
        detail.key("@type").string("type.googleapis.com/google.rpc.ErrorInfo");
        detail.key("reason").string(reason);
        detail.key("domain").string("weighbridge");
    }
    if let Some(field) = body.field {
        let mut detail = details.item().object();
        detail.key("@type").string("type.googleapis.com/google.rpc.BadRequest");
        let mut violations = detail.key("fieldViolations").array();
        let mut violation = violations.item().object();
        violation.key("field").string(field);
        violation.key("description").string(body.message);
    }
    if !body.request_id.is_empty() {
        let mut detail = details.item().object();
        detail.key("@type").string("type.googleapis.com/google.rpc.RequestInfo");
        detail.key("requestId").string(body.request_id);
    }
}
