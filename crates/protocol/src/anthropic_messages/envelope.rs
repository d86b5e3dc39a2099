//! The envelope of a request.

use crate::Body;
use crate::envelope::{Envelope, model, optional};
use crate::json::{Fields, ReadError};

/// Reads the envelope.
///
/// # Errors
/// [`ReadError`] where a field has the wrong type.
pub fn read(body: &Body) -> Result<Envelope, ReadError> {
    let end_user = match optional::<Fields<'_>>(body, "metadata")? {
        Some(mut metadata) => metadata.take("user_id")?.value(),
        None => None,
    };
    Ok(Envelope {
        model: model(body)?,
        stream: optional(body, "stream")?.unwrap_or(false),
        wants_usage: true,
        max_output: optional(body, "max_tokens")?,
        candidates: 1,
        end_user,
        service_tier: optional(body, "service_tier")?,
    })
}
