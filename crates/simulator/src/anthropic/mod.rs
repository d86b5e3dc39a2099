//! Anthropic Messages: <https://docs.anthropic.com/en/api/messages>.

mod answer;
mod ask;
mod blocks;
mod house;
pub(crate) mod refusal;
mod rules;
mod thinking;

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::Vendor;
use crate::ask::Ask;
use crate::prefix_cache::PrefixCache;
use crate::price::{self, Model};
use crate::refusal::Refusal;
use crate::schema::{Schema, SchemaError};

pub(crate) use house::{id_mark, policy_at_vertex, read_at_bedrock, read_at_vertex, too_long_at_vertex};

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
    let model = checked(body, version)?;
    ask::read(body, model, cache)
}

/// `POST /v1/messages/count_tokens`: <https://docs.anthropic.com/en/api/messages-count-tokens>.
pub(crate) fn count(body: &Value, version: Version) -> Result<Value, Refusal> {
    static SCHEMA: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    // It names the fields; what they hold is as in a message's request.
    let text = include_str!("../../schemas/anthropic-count-request.json");
    by(SCHEMA.get_or_init(|| Schema::compile(text)), body)?;
    let mut message = body.clone();
    let budget = body["thinking"]["budget_tokens"].as_u64().unwrap_or(0);
    message["max_tokens"] = json!(budget.saturating_add(1));
    let model = checked(&message, version)?;
    Ok(json!({"input_tokens": ask::prompt_tokens(&message, model)}))
}

/// Whether a body satisfies the schema.
fn schema_allows(body: &Value) -> Result<(), Refusal> {
    static SCHEMA: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    by(SCHEMA.get_or_init(|| Schema::compile(include_str!("../../schemas/anthropic-request.json"))), body)
}

/// The model of a body that breaks no rule.
fn checked(body: &Value, version: Version) -> Result<&'static Model, Refusal> {
    schema_allows(body)?;
    let name = body["model"].as_str().unwrap_or_default();
    let model = price::model(Vendor::Anthropic, name)
        .ok_or_else(|| Refusal::new(404, "not_found_error", format!("model: {name}")))?;
    rules::check(body, model, version)?;
    Ok(model)
}

fn by(schema: &Result<Schema, SchemaError>, body: &Value) -> Result<(), Refusal> {
    match schema {
        Ok(schema) => schema.check(body).map_err(|violation| refusal::of_violation(&violation)),
        Err(error) => Err(Refusal::new(500, "api_error", error.to_string())),
    }
}
