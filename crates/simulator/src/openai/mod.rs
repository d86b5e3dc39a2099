//! OpenAI Chat Completions: <https://platform.openai.com/docs/api-reference/chat>.

mod answer;
mod ask;
mod embed;
pub(crate) mod refusal;
mod rules;
mod stored;

use std::sync::OnceLock;

use serde_json::Value;

use crate::ask::Ask;
use crate::prefix_cache::PrefixCache;
use crate::refusal::Refusal;
use crate::schema::{Schema, SchemaError};
use crate::{Vendor, price};

pub(crate) use answer::{CREATED, ERROR_FRAME, MALFORMED_FRAME, frames, whole};
pub(crate) use ask::{cached_prefix, image_tokens};
pub(crate) use embed::embed;
pub(crate) use stored::{Call as StoredCall, Stored, Told};

/// Checks a body as the API does, and reads what it asks for.
pub(crate) fn read(body: &Value, cache: &PrefixCache) -> Result<Ask, Refusal> {
    static SCHEMA: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    match SCHEMA.get_or_init(|| Schema::compile(include_str!("../../schemas/openai-request.json"))) {
        Ok(schema) => {
            schema.check(body).map_err(|violation| Refusal::of_violation(Vendor::OpenAi, &violation))?;
        }
        Err(error) => return Err(Refusal::new(500, "server_error", error.to_string())),
    }
    let name = body["model"].as_str().unwrap_or_default();
    let model = price::model(Vendor::OpenAi, name)
        .filter(|model| model.dimensions.is_none())
        .ok_or_else(|| refusal::no_such_model(name))?;
    rules::check(body, model)?;
    ask::read(body, model, cache)
}
