//! `countTokens`: how many tokens a request has. <https://ai.google.dev/api/tokens>
//!
//! Asked either with the `contents` alone, or with a whole request in `generateContentRequest`, which
//! then names its model. Vertex AI takes the fields of a request directly.

use super::names::{self, Whole};
use crate::json::{Fields, Raw, ReadError, Writer};

/// Reads a question: the request whose tokens are to be counted.
///
/// # Errors
/// [`ReadError`] where it is no object.
pub fn read_request(body: Raw<'_>) -> Result<Raw<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let whole: Option<Raw<'_>> =
        names::take(&mut fields, "generateContentRequest", "generate_content_request")?;
    Ok(whole.unwrap_or(body))
}

/// Writes a question about a whole request.
///
/// # Errors
/// [`ReadError`] where the request is no object.
pub fn write_request(model: &str, request: Raw<'_>, writer: Writer<'_>) -> Result<(), ReadError> {
    let fields = Fields::read(request)?.rest();
    let mut object = writer.object();
    let mut whole = object.key("generateContentRequest").object();
    // Demanded here, though it stands in the path as well.
    if model.contains('/') {
        whole.key("model").string(model);
    } else {
        whole.key("model").string(&format!("models/{model}"));
    }
    for (name, value) in fields.iter().filter(|(name, _)| *name != "model") {
        whole.key(name).raw(value.text());
    }
    Ok(())
}

/// What an answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// All tokens of the request.
    pub total: u64,
    /// Those of them that are in a cache.
    pub cached: u64,
}

/// Reads an answer. A count that is missing is zero.
///
/// # Errors
/// [`ReadError`] where it is no object, or a count is none.
pub fn read_answer(body: Raw<'_>) -> Result<Counted, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut count = |name| Ok(fields.take::<Whole>(name)?.value().map_or(0, |whole| whole.0));
    Ok(Counted { total: count("totalTokens")?, cached: count("cachedContentTokenCount")? })
}

/// Writes an answer.
pub fn write_answer(counted: Counted, writer: Writer<'_>) {
    let mut object = writer.object();
    object.key("totalTokens").number(counted.total);
    if counted.cached > 0 {
        object.key("cachedContentTokenCount").number(counted.cached);
    }
}
