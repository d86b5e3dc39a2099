//! Error bodies: <https://platform.openai.com/docs/guides/error-codes>.
//!
//! `{"error": {"message", "type", "param", "code"}}`. Others on this route answer `{"error": "text"}`
//! (xAI, Venice), `{"object": "error", "message", …}` or `{"detail": "text"}` (Mistral), `{"message": "text"}`
//! (Cohere), and numbers where a code should be a string (llama.cpp, OpenRouter).

use std::borrow::Cow;

use crate::json::{Fields, Kind, Raw, Writer};

/// What an error body says, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorParts<'a> {
    /// The message for people.
    pub message: Option<Cow<'a, str>>,
    /// The kind of error.
    pub kind: Option<Cow<'a, str>>,
    /// The precise cause; also where it was a number.
    pub code: Option<Cow<'a, str>>,
    /// The parameter at fault.
    pub param: Option<Cow<'a, str>>,
    /// The HTTP status that the body itself names, if any.
    pub status: Option<u16>,
}

/// Reads an error body; `None` where the document is no error.
pub fn read(raw: Raw<'_>) -> Option<ErrorParts<'_>> {
    let mut fields = Fields::read(raw).ok()?;
    if let Some(error) = fields.offer::<Raw<'_>>("error").filter(|error| !error.is_null()) {
        return Some(match error.kind() {
            Kind::Object => parts(Fields::read(error).ok()?),
            Kind::String => ErrorParts { message: error.str().ok(), ..ErrorParts::default() },
            _ => ErrorParts::default(),
        });
    }
    if fields.offer::<Cow<'_, str>>("object").as_deref() == Some("error") {
        return Some(parts(fields));
    }
    if raw.get("choices").is_some() {
        return None;
    }
    let Some(detail) = fields.offer::<Raw<'_>>("detail") else {
        let parts = parts(fields);
        return parts.message.is_some().then_some(parts);
    };
    let message = detail.str().unwrap_or(Cow::Borrowed(detail.text()));
    Some(ErrorParts { message: Some(message), ..ErrorParts::default() })
}

fn parts(mut fields: Fields<'_>) -> ErrorParts<'_> {
    let code = scalar(&mut fields, "code");
    let status = fields.offer::<u64>("status").and_then(error_status);
    ErrorParts {
        message: scalar(&mut fields, "message"),
        kind: scalar(&mut fields, "type"),
        param: scalar(&mut fields, "param"),
        status: status.or_else(|| error_status(code.as_ref()?.parse().ok()?)),
        code,
    }
}

/// A string, or the text of a number.
fn scalar<'a>(fields: &mut Fields<'a>, name: &'static str) -> Option<Cow<'a, str>> {
    let raw = fields.offer::<Raw<'a>>(name)?;
    match raw.kind() {
        Kind::String => raw.str().ok(),
        Kind::Number => Some(Cow::Borrowed(raw.text())),
        _ => None,
    }
}

fn error_status(number: u64) -> Option<u16> {
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// Writes an error body.
pub fn write(kind: &str, code: Option<&str>, message: &str, param: Option<&str>, writer: Writer<'_>) {
    let mut object = writer.object();
    let mut error = object.key("error").object();
    error.key("message").string(message);
    error.key("type").string(kind);
    error.key("param").string_or_null(param);
    error.key("code").string_or_null(code);
}
