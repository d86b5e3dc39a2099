//! The envelope of a request.

use crate::Body;
use crate::envelope::{Envelope, optional};
use crate::json::{Fields, ReadError};

/// Reads the envelope.
///
/// The model and whether the answer is streamed stand in the path, so they are not told here, but for a
/// model that the body names as the SDKs do, in `modelId`.
///
/// # Errors
/// [`ReadError`] where a field has the wrong type.
pub fn read(body: &Body) -> Result<Envelope, ReadError> {
    let max_output = match optional::<Fields<'_>>(body, "inferenceConfig")? {
        Some(mut config) => config.take("maxTokens")?.value(),
        None => None,
    };
    let service_tier = match optional::<Fields<'_>>(body, "serviceTier")? {
        Some(mut tier) => tier.take("type")?.value(),
        None => None,
    };
    Ok(Envelope {
        model: optional(body, "modelId")?.unwrap_or_default(),
        stream: false,
        wants_usage: true,
        max_output,
        candidates: 1,
        end_user: None,
        service_tier,
    })
}
