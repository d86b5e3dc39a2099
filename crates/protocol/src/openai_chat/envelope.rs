//! The envelope of a request.

use crate::Body;
use crate::envelope::{Envelope, model, optional};
use crate::json::{Fields, ReadError};

/// Reads the envelope.
///
/// Where both names of the output cap are given the larger counts, because some servers read one
/// and some the other, and a reservation must cover either.
///
/// # Errors
/// [`ReadError`] where a field has the wrong type.
pub fn read(body: &Body) -> Result<Envelope, ReadError> {
    let wants_usage = match optional::<Fields<'_>>(body, "stream_options")? {
        Some(mut options) => options.take("include_usage")?.value().unwrap_or(false),
        None => false,
    };
    let candidates = match optional(body, "n")? {
        Some(0) => return Err(ReadError::new(body.get("n").unwrap_or(body.root()), "a number from 1")),
        Some(count) => count,
        None => 1,
    };
    let user = optional(body, "user")?;
    let safety_identifier = optional(body, "safety_identifier")?;
    Ok(Envelope {
        model: model(body)?,
        stream: optional(body, "stream")?.unwrap_or(false),
        wants_usage,
        max_output: optional(body, "max_completion_tokens")?.max(optional(body, "max_tokens")?),
        candidates,
        end_user: user.or(safety_identifier),
        service_tier: optional(body, "service_tier")?,
    })
}
