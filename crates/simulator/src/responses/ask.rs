//! Reads what a checked body asks for, counts its prompt, and begins the response.

use serde_json::{Value, json};

use super::item::{is_call_output, kind, parts, text_of};
use super::rules::{includes, not_strict};
use super::text_tokens;
use crate::ask::{Ask, Choice, Form, House, Prompt, Reasoning, Tool, directive};
use crate::openai::{self, refusal};
use crate::prefix_cache::PrefixCache;
use crate::price::Model;
use crate::refusal::Refusal;
use crate::scatter::Scatter;
use crate::tokens;

/// What only this API asks for.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    /// The response object before anything is generated.
    pub(super) envelope: Value,
    /// The conversation, if the response is to be kept.
    pub(super) keep: Option<Vec<Value>>,
    /// Whether reasoning is told encrypted.
    pub(super) encrypted: bool,
    /// Whether deltas are padded.
    pub(super) obfuscated: bool,
}

/// Tokens around each item.
const PER_ITEM: u64 = 3;

pub(super) fn read(
    body: &Value,
    model: &'static Model,
    items: Vec<Value>,
    cache: &PrefixCache,
    ids: &mut Scatter,
) -> Result<Ask, Refusal> {
    let is_user = |item: &&Value| kind(item) == "message" && item["role"] == "user";
    let last_user = items.iter().rev().find(is_user).unwrap_or(&Value::Null);
    let last_text = text_of(&last_user["content"]);
    let images = parts(&last_user["content"]).filter(|part| part["type"] == "input_image").count();
    let total = prompt_tokens(body, &items, model);
    let limit = body["max_output_tokens"].as_u64();
    if total > model.context_window {
        return Err(refusal::input_too_long());
    }
    let mut results: Vec<String> = items
        .iter()
        .rev()
        .take_while(|item| is_call_output(item))
        .map(|item| text_of(&item["output"]))
        .collect();
    results.reverse();
    let cache_read = match directive(&last_text, "cached") {
        Some(cached) => cached.min(total),
        None => {
            let text: String = items.iter().map(Value::to_string).collect();
            openai::cached_prefix(&format!("{}{text}", body["instructions"]), total, model, cache)
        }
    };
    let own = Own {
        envelope: envelope(body, model, ids),
        encrypted: includes(body, "reasoning.encrypted_content"),
        obfuscated: body["stream_options"]["include_obfuscation"] != false,
        keep: (body["store"] != false).then_some(items),
    };
    Ok(Ask {
        own: crate::ask::Own::Responses(own),
        house: House::Maker,
        model,
        form: if body["stream"] == true { Form::Events } else { Form::Whole },
        include_usage: true,
        candidates: 1,
        max_output: limit.unwrap_or(model.max_output).min(model.context_window - total),
        stops: Vec::new(),
        images,
        last_text,
        results,
        tools: tools(body),
        choice: choice(&body["tool_choice"]),
        parallel: body["parallel_tool_calls"] != false,
        json: match body["text"]["format"]["type"].as_str() {
            Some("json_object") => {
                Some(json!({"type": "object", "properties": {"answer": {"type": "string"}}}))
            }
            Some("json_schema") => Some(body["text"]["format"]["schema"].clone()),
            _ => None,
        },
        logprobs: includes(body, "message.output_text.logprobs"),
        reasoning: match (model.reasons, &body["reasoning"]["summary"]) {
            (false, _) => Reasoning::Off,
            (true, Value::Null) => Reasoning::Hidden,
            (true, _) => Reasoning::Visible(u64::MAX),
        },
        blocked: false,
        prompt: Prompt { input: total - cache_read, cache_read, ..Prompt::default() },
    })
}

fn tools(body: &Value) -> Vec<Tool> {
    let callable =
        parts(&body["tools"]).filter(|tool| matches!(tool["type"].as_str(), Some("function" | "custom")));
    let tool = |tool: &Value| Tool {
        name: tool["name"].as_str().unwrap_or_default().to_owned(),
        schema: match &tool["parameters"] {
            Value::Null => json!({"type": "object"}),
            schema => schema.clone(),
        },
        free_text: tool["type"] == "custom",
    };
    callable.map(tool).collect()
}

fn choice(value: &Value) -> Choice {
    match (value.as_str(), value["type"].as_str()) {
        (Some("none"), _) => Choice::None,
        (Some("required"), _) => Choice::Required,
        (_, Some("function" | "custom")) => {
            Choice::Named(value["name"].as_str().unwrap_or_default().to_owned())
        }
        (_, Some("allowed_tools")) => match (&value["mode"], value["tools"][0]["name"].as_str()) {
            (mode, Some(name)) if mode == "required" => Choice::Named(name.to_owned()),
            _ => Choice::Auto,
        },
        _ => Choice::Auto,
    }
}

/// All prompt tokens.
pub(super) fn prompt_tokens(body: &Value, items: &[Value], model: &Model) -> u64 {
    let asides = ["instructions", "tools"].map(|name| match &body[name] {
        Value::Null => 0,
        value => tokens::count_all(value),
    });
    let format = match &body["text"]["format"] {
        Value::Null => 0,
        format if format["type"] == "text" => 0,
        format => tokens::count_all(format),
    };
    PER_ITEM
        + items.iter().map(|item| item_tokens(item, model)).sum::<u64>()
        + asides.iter().sum::<u64>()
        + format
}

fn item_tokens(item: &Value, model: &Model) -> u64 {
    let inside = match kind(item) {
        "message" if item["content"].is_array() => parts(&item["content"])
            .map(|part| match part["type"].as_str() {
                Some("input_image") => openai::image_tokens(part["detail"] == "low"),
                _ => text_tokens(&part["text"]),
            })
            .sum(),
        "message" => text_tokens(&item["content"]),
        // What it stands for was counted as output once; what comes back is its length.
        "reasoning" if model.reasons => text_tokens(&item["encrypted_content"]),
        "reasoning" | "item_reference" => 0,
        _ => ["name", "arguments", "input", "output"]
            .into_iter()
            .filter(|name| !item[name].is_null())
            .map(|name| text_tokens(&item[name]))
            .sum(),
    };
    PER_ITEM + inside
}

/// The response object as `response.created` has it: what was asked for, with every default.
fn envelope(body: &Value, model: &Model, ids: &mut Scatter) -> Value {
    let or = |name: &str, default: Value| match &body[name] {
        Value::Null => default,
        given => given.clone(),
    };
    let reasoning = match model.reasons {
        true => json!({
            "effort": body["reasoning"]["effort"].as_str().unwrap_or("medium"),
            "summary": match body["reasoning"]["summary"].as_str() {
                Some("auto") => json!("detailed"),
                _ => body["reasoning"]["summary"].clone(),
            },
        }),
        false => json!({"effort": null, "summary": null}),
    };
    let format = match &body["text"]["format"] {
        Value::Null => json!({"type": "text"}),
        format => {
            let mut format = format.clone();
            if format["type"] == "json_schema" {
                format["strict"] = json!(format["strict"] == true);
                format["description"] = format["description"].clone();
            }
            format
        }
    };
    json!({
        "id": ids.id("resp_", 48),
        "object": "response",
        "created_at": openai::CREATED,
        "status": "in_progress",
        "background": false,
        "completed_at": null,
        "error": null,
        "frequency_penalty": 0.0,
        "incomplete_details": null,
        "instructions": body["instructions"],
        "max_output_tokens": body["max_output_tokens"],
        "max_tool_calls": body["max_tool_calls"],
        "metadata": or("metadata", json!({})),
        "model": model.snapshot,
        "output": [],
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "presence_penalty": 0.0,
        "previous_response_id": body["previous_response_id"],
        "prompt_cache_key": body["prompt_cache_key"],
        "reasoning": reasoning,
        "safety_identifier": body["safety_identifier"],
        "service_tier": or("service_tier", json!("auto")),
        "store": body["store"] != false,
        "temperature": or("temperature", json!(1.0)),
        "text": {"format": format, "verbosity": body["text"]["verbosity"].as_str().unwrap_or("medium")},
        "tool_choice": or("tool_choice", json!("auto")),
        "tools": parts(&body["tools"]).map(told_tool).collect::<Vec<_>>(),
        "top_logprobs": or("top_logprobs", json!(0)),
        "top_p": or("top_p", json!(1.0)),
        "truncation": or("truncation", json!("disabled")),
        "usage": null,
        "user": body["user"],
    })
}

/// A tool as the response repeats it: functions are strict where their schema can be.
fn told_tool(tool: &Value) -> Value {
    let mut told = tool.clone();
    if tool["type"] == "function" {
        told["description"] = tool["description"].clone();
        if tool["strict"].is_null() {
            let mut closed = tool["parameters"].clone();
            if closed["type"] == "object" && closed["additionalProperties"].is_null() {
                closed["additionalProperties"] = json!(false);
            }
            let strict = not_strict(&closed, &mut Vec::new()).is_none() && closed.is_object();
            told["strict"] = json!(strict);
            if strict {
                told["parameters"] = closed;
            }
        }
        told["parameters"] = told["parameters"].clone();
    }
    told
}
