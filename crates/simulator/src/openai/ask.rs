//! Reads what a checked body asks for, and counts its prompt.

use serde_json::{Value, json};

use crate::api::Api;
use crate::ask::{Ask, Choice, Form, House, Own, Prompt, Reasoning, Tool, directive};
use crate::prefix_cache::PrefixCache;
use crate::price::Model;
use crate::refusal::Refusal;
use crate::scatter::fnv1a;
use crate::tokens;

/// Tokens around each message, as in <https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken>.
const PER_MESSAGE: u64 = 3;
/// An image at low detail; anything else adds one tile.
const LOW_DETAIL_IMAGE: u64 = 85;
const IMAGE_TILE: u64 = 170;
/// Prompts from this size on may come from the cache, which reads this much.
const CACHED_PREFIX: u64 = 1_024;

pub(crate) fn read(body: &Value, model: &'static Model, cache: &PrefixCache) -> Result<Ask, Refusal> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last_user = messages.iter().rev().find(|message| message["role"] == "user").unwrap_or(&Value::Null);
    let last_text = text_of(&last_user["content"]);
    let prompt = prompt(body, messages, &last_text, model, cache);
    let prompt_tokens = prompt.input + prompt.cache_read;
    let limit = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
    let needed = prompt_tokens + limit.unwrap_or(0);
    if needed > model.context_window {
        return Err(Refusal::context_too_long(Api::Chat, needed, model.context_window));
    }
    let answered = messages.iter().rev().take_while(|message| message["role"] == "tool");
    let mut results: Vec<String> = answered.map(|message| text_of(&message["content"])).collect();
    results.reverse();
    Ok(Ask {
        own: Own::Chat,
        house: House::Maker,
        model,
        form: if body["stream"] == true { Form::Events } else { Form::Whole },
        include_usage: body["stream_options"]["include_usage"] == true,
        candidates: body["n"].as_u64().map_or(1, |n| n.min(128) as usize),
        max_output: limit.unwrap_or(model.max_output).min(model.context_window - prompt_tokens),
        stops: stops(&body["stop"]),
        images: parts_of(&last_user["content"]).filter(|part| part["type"] == "image_url").count(),
        last_text,
        results,
        tools: tools(body),
        choice: choice(&body["tool_choice"]),
        parallel: body["parallel_tool_calls"] != false,
        json: json_format(&body["response_format"]),
        logprobs: body["logprobs"] == true,
        reasoning: if model.reasons { Reasoning::Hidden } else { Reasoning::Off },
        blocked: false,
        prompt,
    })
}

fn parts_of(content: &Value) -> impl Iterator<Item = &Value> {
    content.as_array().into_iter().flatten()
}

/// The text of a content field, parts joined.
fn text_of(content: &Value) -> String {
    match content.as_str() {
        Some(text) => text.to_owned(),
        None => parts_of(content).filter_map(|part| part["text"].as_str()).collect(),
    }
}

fn stops(stop: &Value) -> Vec<String> {
    match stop {
        Value::String(text) => vec![text.clone()],
        _ => parts_of(stop).filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let functions =
        parts_of(&body["tools"]).filter(|tool| tool["type"] == "function").map(|t| &t["function"]);
    let tool = |function: &Value| Tool {
        name: function["name"].as_str().unwrap_or_default().to_owned(),
        schema: match &function["parameters"] {
            Value::Null => json!({"type": "object"}),
            schema => schema.clone(),
        },
        free_text: false,
    };
    functions.map(tool).collect()
}

fn choice(value: &Value) -> Choice {
    match (value.as_str(), value["function"]["name"].as_str()) {
        (Some("none"), _) => Choice::None,
        (Some("required"), _) => Choice::Required,
        (_, Some(name)) => Choice::Named(name.to_owned()),
        _ if value["allowed_tools"]["mode"] == "required" => Choice::Required,
        _ => Choice::Auto,
    }
}

fn json_format(format: &Value) -> Option<Value> {
    match format["type"].as_str() {
        Some("json_object") => Some(json!({"type": "object", "properties": {"answer": {"type": "string"}}})),
        Some("json_schema") => Some(format["json_schema"]["schema"].clone()),
        _ => None,
    }
}

/// Counts the prompt, and what of it comes from the cache: as many tokens as `cached:N` says, or the
/// first 1,024 of a prompt that begins like an earlier one.
fn prompt(body: &Value, messages: &[Value], last_text: &str, model: &Model, cache: &PrefixCache) -> Prompt {
    let asides = ["tools", "functions", "response_format"].map(|name| match &body[name] {
        Value::Null => 0,
        value => tokens::count_all(value),
    });
    let total = PER_MESSAGE + messages.iter().map(message_tokens).sum::<u64>() + asides.iter().sum::<u64>();
    let cache_read = match directive(last_text, "cached") {
        Some(cached) => cached.min(total),
        None => {
            let text = messages.iter().map(Value::to_string).collect::<String>();
            cached_prefix(&text, total, model, cache)
        }
    };
    Prompt { input: total - cache_read, cache_read, ..Prompt::default() }
}

/// What of a prompt with that text comes from the cache: its beginning, if it is long enough and was
/// seen before.
pub(crate) fn cached_prefix(text: &str, total: u64, model: &Model, cache: &PrefixCache) -> u64 {
    if total < CACHED_PREFIX {
        return 0;
    }
    let beginning = tokens::first(text, CACHED_PREFIX);
    let hash = fnv1a(format!("{}\n{beginning}", model.family).as_bytes());
    if cache.keep(hash) { 0 } else { CACHED_PREFIX }
}

/// The tokens of an image.
pub(crate) const fn image_tokens(low_detail: bool) -> u64 {
    if low_detail { LOW_DETAIL_IMAGE } else { LOW_DETAIL_IMAGE + IMAGE_TILE }
}

fn message_tokens(message: &Value) -> u64 {
    let parts = parts_of(&message["content"]).map(|part| match part["type"].as_str() {
        Some("image_url") => image_tokens(part["image_url"]["detail"] == "low"),
        _ => tokens::count_all(part),
    });
    let text = message["content"].as_str().map_or(0, tokens::count);
    let calls = match &message["tool_calls"] {
        Value::Null => 0,
        calls => tokens::count_all(calls),
    };
    PER_MESSAGE + text + parts.sum::<u64>() + calls
}
