//! OpenAI Responses: <https://platform.openai.com/docs/api-reference/responses>.

mod answer;
mod ask;
mod conversation;
mod item;
mod kept;
mod rules;
mod stream;

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::ask::Ask;
use crate::openai::refusal;
use crate::prefix_cache::PrefixCache;
use crate::price::{self, Model};
use crate::refusal::Refusal;
use crate::scatter::Scatter;
use crate::schema::{Schema, SchemaError};
use crate::{Vendor, tokens};

pub(crate) use answer::{keep, whole};
pub(crate) use ask::Own;
pub(crate) use kept::KeptResponses;
pub(crate) use stream::{MALFORMED_FRAME, error_frame, frames};

/// Checks a body as the API does, and reads what it asks for.
pub(crate) fn read(
    body: &Value,
    cache: &PrefixCache,
    kept: &KeptResponses,
    ids: &mut Scatter,
) -> Result<Ask, Refusal> {
    let model = checked(body)?;
    rules::check(body, model)?;
    let items = items(body, kept)?;
    conversation::check(&items, kept)?;
    ask::read(body, model, items, cache, ids)
}

/// `POST /v1/responses/input_tokens`: what the prompt of a request would count.
pub(crate) fn count(body: &Value, kept: &KeptResponses) -> Result<Value, Refusal> {
    let model = checked(body)?;
    let items = items(body, kept)?;
    conversation::check(&items, kept)?;
    Ok(json!({"object": "response.input_tokens", "input_tokens": ask::prompt_tokens(body, &items, model)}))
}

/// The model of a body that satisfies the schema.
fn checked(body: &Value) -> Result<&'static Model, Refusal> {
    static SCHEMA: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    let text = include_str!("../../schemas/openai-responses-request.json");
    match SCHEMA.get_or_init(|| Schema::compile(text)) {
        Ok(schema) => schema.check(body).map_err(|violation| refusal::of_violation(&violation))?,
        Err(error) => return Err(Refusal::new(500, "server_error", error.to_string())),
    }
    let Some(name) = body["model"].as_str() else {
        return Err(refusal::missing("model"));
    };
    price::model(Vendor::OpenAi, name).filter(|model| model.dimensions.is_none()).ok_or_else(|| {
        Refusal::invalid("model", "model_not_found", format!("The requested model '{name}' does not exist."))
    })
}

/// The conversation: what an earlier response has kept, then the input.
fn items(body: &Value, kept: &KeptResponses) -> Result<Vec<Value>, Refusal> {
    let mut items = match body["previous_response_id"].as_str() {
        None => Vec::new(),
        Some(id) => kept.conversation(id).ok_or_else(|| {
            let message = format!("Previous response with id '{id}' not found.");
            Refusal::invalid("previous_response_id", "previous_response_not_found", message)
        })?,
    };
    match &body["input"] {
        Value::Null if body["previous_response_id"].is_null() => {
            let message = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.";
            return Err(Refusal::invalid("", "missing_required_parameter", message));
        }
        Value::String(text) => items.push(json!({"type": "message", "role": "user", "content": text})),
        input => items.extend(input.as_array().into_iter().flatten().cloned()),
    }
    Ok(items)
}

/// What the API puts instead of the text of a kept reasoning: it cannot be read, but is known again.
fn encrypted(reasoning_id: &str) -> String {
    Scatter::of_bytes(reasoning_id.as_bytes()).id("gAAAAAB", 64)
}

/// Tokens of the text of an item's content, whatever its parts.
fn text_tokens(content: &Value) -> u64 {
    match content.as_str() {
        Some(text) => tokens::count(text),
        None => tokens::count_all(content),
    }
}
