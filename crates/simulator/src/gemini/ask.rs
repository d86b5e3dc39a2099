//! Reads what a checked body asks for, and counts its prompt.

use serde_json::{Value, json};

use super::call::Dialect;
use super::conversation::parts;
use super::refusal;
use super::rules::thinks_in_levels;
use super::tools::declarations;
use crate::ask::{Ask, Choice, Form, House, Prompt, Reasoning, Tool, directive};
use crate::openai::cached_prefix;
use crate::prefix_cache::PrefixCache;
use crate::price::Model;
use crate::refusal::Refusal;
use crate::tokens;

/// What only this API asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    pub(super) dialect: Dialect,
    /// Whether calls have ids.
    pub(super) call_ids: bool,
    /// Whether thoughts are signed.
    pub(super) signs: bool,
}

/// Tokens around each content.
const PER_CONTENT: u64 = 1;
/// An image, or a page: <https://ai.google.dev/gemini-api/docs/tokens>.
const MEDIUM: u64 = 258;

pub(super) fn read(
    body: &Value,
    model: &'static Model,
    dialect: Dialect,
    form: Form,
    cache: &PrefixCache,
) -> Result<Ask, Refusal> {
    let contents = body["contents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let users =
        |content: &&Value| content["role"] != "model" && parts(content).any(|part| !part["text"].is_null());
    let last_user = contents.iter().rev().find(users).unwrap_or(&Value::Null);
    // Contents of the user that follow each other are one turn.
    let turn = contents.iter().rev().skip_while(|content| !users(content));
    let mut turn: Vec<&Value> = turn.take_while(|content| content["role"] != "model").collect();
    turn.reverse();
    let said = turn.into_iter().flat_map(parts);
    let last_text: String = said.filter_map(|part| part["text"].as_str()).collect();
    let last = contents.last().unwrap_or(&Value::Null);
    let results = parts(last).map(|part| &part["functionResponse"]).filter(|result| result.is_object());
    let total = prompt_tokens(body);
    if total > model.context_window {
        return Err(refusal::context_too_long(total, model.context_window));
    }
    let cache_read = match directive(&last_text, "cached") {
        Some(cached) => cached.min(total),
        None => {
            let text: String = contents.iter().map(Value::to_string).collect();
            cached_prefix(&format!("{}{text}", body["systemInstruction"]), total, model, cache)
        }
    };
    let config = &body["generationConfig"];
    let reasoning = reasoning(&config["thinkingConfig"], model);
    let tools: Vec<Tool> = declarations(body).map(tool).collect();
    let own = Own {
        dialect,
        call_ids: thinks_in_levels(model),
        signs: reasoning != Reasoning::Off && (thinks_in_levels(model) || !tools.is_empty()),
    };
    Ok(Ask {
        own: crate::ask::Own::Gemini(own),
        house: House::Maker,
        model,
        form,
        include_usage: true,
        candidates: config["candidateCount"].as_u64().map_or(1, |count| count.min(8) as usize),
        max_output: config["maxOutputTokens"]
            .as_u64()
            .unwrap_or(model.max_output)
            .min(model.context_window - total),
        stops: config["stopSequences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|stop| stop.as_str().map(str::to_owned))
            .collect(),
        images: parts(last_user).filter(|part| is_image(part)).count(),
        results: results.map(told_result).collect(),
        last_text,
        choice: choice(&body["toolConfig"]["functionCallingConfig"]),
        tools,
        parallel: true,
        json: json_format(config),
        logprobs: config["responseLogprobs"] == true,
        reasoning,
        blocked: false,
        prompt: Prompt { input: total - cache_read, cache_read, ..Prompt::default() },
    })
}

fn is_image(part: &Value) -> bool {
    ["inlineData", "fileData"]
        .iter()
        .any(|kind| part[*kind]["mimeType"].as_str().is_some_and(|kind| kind.starts_with("image/")))
}

/// The text of a function's result: Google wants an object, and suggests these two names for plain ones.
fn told_result(result: &Value) -> String {
    let response = &result["response"];
    let plain = response["output"].as_str().or(response["result"].as_str());
    plain.map_or_else(|| response.to_string(), str::to_owned)
}

fn reasoning(config: &Value, model: &Model) -> Reasoning {
    let budget = config["thinkingBudget"].as_i64();
    let thinks = match budget {
        Some(0) => false,
        Some(_) => true,
        // The smallest one does not think unless told to.
        None => model.reasons,
    };
    let limit = match budget {
        Some(budget) => u64::try_from(budget).unwrap_or(u64::MAX),
        None => u64::MAX,
    };
    match (thinks, config["includeThoughts"] == true) {
        (false, _) => Reasoning::Off,
        (true, false) => Reasoning::Hidden,
        (true, true) => Reasoning::Visible(limit),
    }
}

fn tool(function: &Value) -> Tool {
    let schema = match (&function["parameters"], &function["parametersJsonSchema"]) {
        (Value::Null, Value::Null) => json!({"type": "object"}),
        (Value::Null, schema) => schema.clone(),
        (schema, _) => lower_case(schema),
    };
    Tool { name: function["name"].as_str().unwrap_or_default().to_owned(), schema, free_text: false }
}

/// A schema of Google's as JSON Schema: types in lower case.
fn lower_case(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match (name.as_str(), value.as_str()) {
                ("type", Some(kind)) => (name.clone(), json!(kind.to_lowercase())),
                _ => (name.clone(), lower_case(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(lower_case).collect(),
        other => other.clone(),
    }
}

fn choice(config: &Value) -> Choice {
    match (config["mode"].as_str(), config["allowedFunctionNames"][0].as_str()) {
        (Some("NONE"), _) => Choice::None,
        (Some("ANY"), Some(name)) => Choice::Named(name.to_owned()),
        (Some("ANY"), None) => Choice::Required,
        _ => Choice::Auto,
    }
}

fn json_format(config: &Value) -> Option<Value> {
    if config["responseMimeType"] != "application/json" {
        return None;
    }
    Some(match (&config["responseSchema"], &config["responseJsonSchema"]) {
        (Value::Null, Value::Null) => json!({"type": "object", "properties": {"answer": {"type": "string"}}}),
        (Value::Null, schema) => schema.clone(),
        (schema, _) => lower_case(schema),
    })
}

/// All prompt tokens.
pub(super) fn prompt_tokens(body: &Value) -> u64 {
    let contents = body["contents"].as_array().into_iter().flatten();
    let contents: u64 = contents.map(|content| PER_CONTENT + content_tokens(content)).sum();
    let tools = if body["tools"].is_null() { 0 } else { tokens::count_all(&body["tools"]) };
    contents + content_tokens(&body["systemInstruction"]) + tools
}

/// The tokens of a content's parts.
pub(super) fn content_tokens(content: &Value) -> u64 {
    parts(content)
        .map(|part| match part["text"].as_str() {
            Some(text) => tokens::count(text),
            None if part["inlineData"].is_object() || part["fileData"].is_object() => MEDIUM,
            None => ["functionCall", "functionResponse", "executableCode", "codeExecutionResult"]
                .iter()
                .filter(|kind| !part[**kind].is_null())
                .map(|kind| tokens::count_all(&part[*kind]))
                .sum(),
        })
        .sum()
}
