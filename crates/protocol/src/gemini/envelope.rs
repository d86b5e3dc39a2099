//! The envelope of a request.

use super::names::{self, Whole};
use crate::Body;
use crate::envelope::{Envelope, optional};
use crate::json::{Fields, FromRaw, ReadError};

/// Reads the envelope, as far as a body tells it: the model and the wish for a stream stand in the path
/// ([`Route`](super::Route)).
///
/// The model is empty where the body names none, which is the rule.
///
/// # Errors
/// [`ReadError`] where a field has the wrong type.
pub fn read(body: &Body) -> Result<Envelope, ReadError> {
    let model: Option<String> = optional(body, "model")?;
    let mut config: Option<Fields<'_>> = either(body, "generationConfig", "generation_config")?;
    let mut figure = |camel, snake| match &mut config {
        Some(config) => names::take::<Whole>(config, camel, snake).map(|whole| whole.map(|whole| whole.0)),
        None => Ok(None),
    };
    Ok(Envelope {
        model: model.map(|name| name.strip_prefix("models/").unwrap_or(&name).to_owned()).unwrap_or_default(),
        stream: false,
        wants_usage: true,
        max_output: figure("maxOutputTokens", "max_output_tokens")?,
        // Zero is the same as no field.
        candidates: figure("candidateCount", "candidate_count")?.unwrap_or(1).max(1),
        end_user: None,
        service_tier: either(body, "serviceTier", "service_tier")?,
    })
}

fn either<'a, T: FromRaw<'a>>(body: &'a Body, camel: &str, snake: &str) -> Result<Option<T>, ReadError> {
    match optional(body, camel)? {
        Some(value) => Ok(Some(value)),
        None => optional(body, snake),
    }
}
