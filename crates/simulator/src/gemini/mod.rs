//! Gemini: <https://ai.google.dev/api/generate-content>, Vertex's dialect of it, and Claude there.

mod answer;
mod ask;
mod call;
mod conversation;
mod embed;
mod embed_vertex;
pub(crate) mod refusal;
mod rules;
mod signature;
mod stream;
mod tools;

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::ask::{Ask, Form};
use crate::prefix_cache::PrefixCache;
use crate::price::{self, Model};
use crate::refusal::Refusal;
use crate::scatter::Scatter;
use crate::schema::{Schema, SchemaError};
use crate::{Vendor, anthropic};

pub(crate) use answer::whole;
pub(crate) use ask::Own;
pub(crate) use call::{Call, Dialect, Method};
pub(crate) use embed::embed;
pub(crate) use stream::{error_frame, frames, malformed_frame};

/// Checks a body as the API does, and reads what it asks for.
pub(crate) fn read(call: &Call, form: Form, body: &Value, cache: &PrefixCache) -> Result<Ask, Refusal> {
    let model = model(call)?;
    let body = checked(call.dialect, "GenerateContentRequest", body)?;
    rules::check(&body, model, call.dialect)?;
    conversation::check(&body, model)?;
    ask::read(&body, model, call.dialect, form, cache)
}

/// `countTokens`: <https://ai.google.dev/api/tokens>.
pub(crate) fn count(call: &Call, body: &Value) -> Result<Value, Refusal> {
    let model = model(call)?;
    let body = checked(call.dialect, "CountTokensRequest", body)?;
    let counted = match &body["generateContentRequest"] {
        Value::Null => &body,
        _ if !body["contents"].is_null() => {
            return Err(refusal::invalid(
                "Only one of 'contents' or 'generateContentRequest' may be set in the request.",
            ));
        }
        request => request,
    };
    if counted["contents"].as_array().is_none_or(Vec::is_empty) {
        return Err(refusal::invalid("contents is not specified"));
    }
    conversation::check(counted, model)?;
    let tokens = ask::prompt_tokens(counted);
    let mut answer =
        json!({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]});
    if call.dialect == Dialect::Vertex {
        answer["totalBillableCharacters"] = json!(counted["contents"].to_string().len());
    }
    Ok(answer)
}

/// The model that a path names, if it can do what is asked.
fn model(call: &Call) -> Result<&'static Model, Refusal> {
    let embeds = matches!(call.method, Method::Embed | Method::EmbedAll | Method::Predict);
    let fits = |model: &&Model| {
        let here = call.dialect == Dialect::Vertex || !is_vertexs_alone(model);
        here && model.dimensions.is_some() == embeds && is_claude(model) == call.is_claudes()
    };
    price::model(Vendor::Google, &call.model).filter(fits).ok_or_else(|| {
        let message = format!(
            "models/{} is not found for API version v1beta, or is not supported for {}. Call \
                 ModelService.ListModels to see the list of available models and their supported methods.",
            call.model,
            call.method.name()
        );
        Refusal::new(404, "NOT_FOUND", message)
    })
}

/// Whether Anthropic has made the model.
fn is_claude(model: &Model) -> bool {
    model.family.starts_with("claude")
}

/// Whether the Gemini API does not serve the model.
fn is_vertexs_alone(model: &Model) -> bool {
    is_claude(model) || model.family.starts_with("text-")
}

/// `rawPredict` and `streamRawPredict` of a model of Anthropic's.
pub(crate) fn raw(call: &Call, body: &Value, cache: &PrefixCache) -> Result<Ask, Refusal> {
    anthropic::read_at_vertex(model(call)?, body, cache)
}

/// A body that satisfies the message of that name, in its usual form.
fn checked(dialect: Dialect, name: &str, body: &Value) -> Result<Value, Refusal> {
    static GEMINI: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    static VERTEX: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    let schema = match dialect {
        Dialect::Gemini => {
            GEMINI.get_or_init(|| Schema::compile(include_str!("../../schemas/gemini-request.json")))
        }
        Dialect::Vertex => {
            VERTEX.get_or_init(|| Schema::compile(include_str!("../../schemas/vertex-request.json")))
        }
    };
    match schema {
        Ok(schema) => {
            schema.check_as(name, body).map_err(|violation| refusal::of_violation(&violation))?;
            Ok(schema.canonical(name, body))
        }
        Err(error) => Err(Refusal::new(500, "INTERNAL", error.to_string())),
    }
}

/// The id of a function call: only newer models give one.
pub(crate) fn call_id(own: &Own, ids: &mut Scatter) -> String {
    if own.call_ids { ids.id("", 8).to_lowercase() } else { String::new() }
}

/// `GET /v1beta/models`.
pub(crate) fn models() -> Value {
    json!({"models": price::models(Vendor::Google).filter(|model| !is_vertexs_alone(model)).map(told_model).collect::<Vec<_>>()})
}

/// `GET /v1beta/models/{model}`.
pub(crate) fn told(name: &str) -> Result<Value, Refusal> {
    price::model(Vendor::Google, name).map(told_model).ok_or_else(|| {
        Refusal::new(404, "NOT_FOUND", format!("Model is not found: models/{name} for api version v1beta"))
    })
}

fn told_model(model: &Model) -> Value {
    let methods = match model.dimensions {
        Some(_) => json!(["embedContent", "batchEmbedContents", "countTokens"]),
        None => json!(["generateContent", "countTokens"]),
    };
    json!({
        "name": format!("models/{}", model.family),
        "version": "001",
        "displayName": model.family,
        "inputTokenLimit": model.context_window,
        "outputTokenLimit": model.max_output.max(1),
        "supportedGenerationMethods": methods,
    })
}
