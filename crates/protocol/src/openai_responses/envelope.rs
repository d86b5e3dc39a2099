//! The envelope of a request.

use crate::Body;
use crate::envelope::{Envelope, model, optional};
use crate::json::ReadError;

/// Reads the envelope. A stream of this protocol always tells its usage, and an answer has one
/// candidate.
///
/// # Errors
/// [`ReadError`] where a field has the wrong type.
pub fn read(body: &Body) -> Result<Envelope, ReadError> {
    let user = optional(body, "user")?;
    let safety_identifier = optional(body, "safety_identifier")?;
    Ok(Envelope {
        model: model(body)?,
        stream: optional(body, "stream")?.unwrap_or(false),
        wants_usage: true,
        max_output: optional(body, "max_output_tokens")?,
        candidates: 1,
        end_user: user.or(safety_identifier),
        service_tier: optional(body, "service_tier")?,
    })
}
