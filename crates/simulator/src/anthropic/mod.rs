//! Anthropic Messages: <https://docs.anthropic.com/en/api/messages>.

mod answer;
mod ask;
mod blocks;
pub(crate) mod refusal;
mod rules;
mod thinking;

use std::sync::OnceLock;

use serde_json::Value;

use crate::ask::Ask;
use crate::prefix_cache::PrefixCache;
use crate::refusal::Refusal;
use crate::schema::{Schema, SchemaError};
use crate::{Vendor, price};

pub(crate) use answer::{ERROR_FRAME, MALFORMED_FRAME, frames, signature, whole};

/// What `anthropic-version` may say: <https://platform.claude.com/docs/en/api/versioning>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `2023-06-01`, and the one before it.
    June2023,
    /// `2026-10-21`, which refuses sampling parameters, documents in assistant messages, and
    /// citations in user messages: <https://platform.claude.com/docs/en/api/migration-2026-10-21>.
    October2026,
}

impl Version {
    /// The version of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "2023-01-01" | "2023-06-01" => Some(Self::June2023),
            "2026-10-21" => Some(Self::October2026),
            _ => None,
        }
    }
}

/// Checks a body as the API does, and reads what it asks for.
pub(crate) fn read(body: &Value, version: Version, cache: &PrefixCache) -> Result<Ask, Refusal> {
    static SCHEMA: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    match SCHEMA.get_or_init(|| Schema::compile(include_str!("../../schemas/anthropic-request.json"))) {
        Ok(schema) => {
            schema.check(body).map_err(|violation| Refusal::of_violation(Vendor::Anthropic, &violation))?;
        }
        Err(error) => return Err(Refusal::new(500, "api_error", error.to_string())),
    }
    let name = body["model"].as_str().unwrap_or_default();
    let model = price::model(Vendor::Anthropic, name)
        .ok_or_else(|| Refusal::new(404, "not_found_error", format!("model: {name}")))?;
    rules::check(body, model, version)?;
    ask::read(body, model, cache)
}
