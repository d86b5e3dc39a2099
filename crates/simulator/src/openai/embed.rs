//! OpenAI Embeddings: <https://platform.openai.com/docs/api-reference/embeddings>.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::refusal;
use crate::embedding::{Embedding, vector};
use crate::price::{self, Model};
use crate::refusal::Refusal;
use crate::schema::{Schema, SchemaError};
use crate::{Vendor, base64, tokens};

/// Most inputs of one request.
const MOST: usize = 2_048;

/// The embeddings that a body asks for.
pub(crate) fn embed(body: &Value) -> Result<Embedding, Refusal> {
    static SCHEMA: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    let text = include_str!("../../schemas/openai-embeddings-request.json");
    match SCHEMA.get_or_init(|| Schema::compile(text)) {
        Ok(schema) => schema.check(body).map_err(|violation| refusal::of_violation(&violation))?,
        Err(error) => return Err(Refusal::new(500, "server_error", error.to_string())),
    }
    let name = body["model"].as_str().unwrap_or_default();
    let model = price::model(Vendor::OpenAi, name)
        .filter(|model| model.dimensions.is_some())
        .ok_or_else(|| refusal::no_such_model(name))?;
    let inputs = inputs(&body["input"]);
    check(body, &inputs, model)?;
    let wanted = body["dimensions"].as_u64().and_then(|wanted| usize::try_from(wanted).ok());
    let as_base64 = body["encoding_format"] == "base64";
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let values = vector(model, &input.to_string(), wanted);
            let embedding = match as_base64 {
                true => {
                    json!(base64::encode(&values.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>()))
                }
                false => json!(values),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens = inputs.iter().map(counted).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    let answer = json!({"object": "list", "data": data, "model": model.snapshot, "usage": usage});
    Ok(Embedding { model, tokens, answer, told: true })
}

/// Texts, or lists of tokens.
fn inputs(input: &Value) -> Vec<Value> {
    match input.as_array() {
        Some(items) if items.first().is_some_and(|item| !item.is_number()) => items.clone(),
        Some(items) if items.is_empty() => Vec::new(),
        _ => vec![input.clone()],
    }
}

fn counted(input: &Value) -> u64 {
    match input {
        Value::Array(tokens) => tokens.len() as u64,
        text => text.as_str().map_or(0, tokens::count),
    }
}

fn check(body: &Value, inputs: &[Value], model: &Model) -> Result<(), Refusal> {
    let invalid = |message: &str| Refusal::new(400, "invalid_request_error", message);
    if inputs.is_empty() || inputs.iter().any(|input| counted(input) == 0) {
        return Err(invalid(
            "'$.input' is invalid. Please check the API reference: \
             https://platform.openai.com/docs/api-reference.",
        ));
    }
    if inputs.len() > MOST {
        return Err(invalid(&format!(
            "Invalid 'input': array too long. Expected an array with maximum length {MOST}."
        )));
    }
    if let Some(long) = inputs.iter().map(counted).find(|tokens| *tokens > model.context_window) {
        return Err(invalid(&format!(
            "This model's maximum context length is {} tokens, however you requested {long} tokens ({long} in your \
             prompt; 0 for the completion). Please reduce your prompt; or completion length.",
            model.context_window
        )));
    }
    let most = model.dimensions.unwrap_or(0);
    match body["dimensions"].as_i64() {
        Some(wanted) if wanted < 1 || wanted > most as i64 => Err(invalid(&format!(
            "Invalid value for 'dimensions' = {wanted}. Must be less than or equal to {most}."
        ))),
        _ => Ok(()),
    }
}
