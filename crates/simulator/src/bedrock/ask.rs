//! Reads what a checked body asks for, and counts its prompt.

use serde_json::{Value, json};

use super::conversation::blocks;
use super::rules::thinking;
use super::{is_claude, refusal};
use crate::ask::{Ask, Choice, Form, House, Prompt, Reasoning, Tool};
use crate::marked_prompt::MarkedPrompt;
use crate::prefix_cache::PrefixCache;
use crate::price::Model;
use crate::refusal::Refusal;
use crate::scatter::Scatter;
use crate::tokens;

/// What only this API asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    /// Whether the answer also tells which stop sequence was found.
    pub(super) tells_stop: bool,
    /// Whether usage speaks of the cache even where it says zero.
    pub(super) tells_cache: bool,
}

/// Tokens around each message.
const PER_MESSAGE: u64 = 3;
/// An image, a document, a video, whatever its size.
const MEDIUM: u64 = 300;

pub(super) fn read(
    body: &Value,
    model: &'static Model,
    form: Form,
    cache: &PrefixCache,
) -> Result<Ask, Refusal> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.last().unwrap_or(&Value::Null);
    let empty = Value::Null;
    let last_user = messages.iter().rev().find(|message| message["role"] == "user").unwrap_or(&empty);
    let total = prompt_tokens(body, model);
    if total > model.context_window {
        return Err(refusal::context_too_long());
    }
    let config = &body["inferenceConfig"];
    let fields = &body["additionalModelRequestFields"];
    let thinking = thinking(fields);
    let own = Own {
        tells_stop: body["additionalModelResponseFieldPaths"]
            .as_array()
            .is_some_and(|paths| paths.iter().any(|path| path == "/stop_sequence")),
        tells_cache: is_claude(model),
    };
    let max_output = config["maxTokens"].as_u64().unwrap_or(model.max_output);
    Ok(Ask {
        own: crate::ask::Own::Converse(own),
        house: House::Maker,
        model,
        form,
        include_usage: true,
        candidates: 1,
        max_output: max_output.min(model.context_window - total),
        stops: config["stopSequences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|stop| stop.as_str().map(str::to_owned))
            .collect(),
        last_text: blocks(last_user).filter_map(|block| block["text"].as_str()).collect(),
        images: blocks(last_user).filter(|block| block["image"].is_object()).count(),
        results: blocks(last)
            .map(|block| &block["toolResult"])
            .filter(|r| r.is_object())
            .map(told_result)
            .collect(),
        tools: tools(body),
        choice: choice(&body["toolConfig"]["toolChoice"]),
        parallel: fields["tool_choice"]["disable_parallel_tool_use"] != true,
        json: body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
            .as_str()
            .and_then(|schema| serde_json::from_str(schema).ok()),
        logprobs: false,
        reasoning: match thinking["budget_tokens"].as_u64() {
            Some(budget) if thinking["type"] == "enabled" => Reasoning::Visible(budget),
            _ => Reasoning::Off,
        },
        blocked: false,
        prompt: prompt(body, model, cache),
    })
}

/// The text of a tool's result.
fn told_result(result: &Value) -> String {
    let blocks = result["content"].as_array().into_iter().flatten();
    blocks
        .map(|block| match block["text"].as_str() {
            Some(text) => text.to_owned(),
            None if block["json"].is_null() => String::new(),
            None => block["json"].to_string(),
        })
        .collect()
}

fn tools(body: &Value) -> Vec<Tool> {
    let tools = body["toolConfig"]["tools"].as_array().into_iter().flatten();
    tools
        .map(|tool| &tool["toolSpec"])
        .filter(|tool| tool.is_object())
        .map(|tool| Tool {
            name: tool["name"].as_str().unwrap_or_default().to_owned(),
            schema: match &tool["inputSchema"]["json"] {
                Value::Null => json!({"type": "object"}),
                schema => schema.clone(),
            },
            free_text: false,
        })
        .collect()
}

fn choice(choice: &Value) -> Choice {
    match choice["tool"]["name"].as_str() {
        Some(name) => Choice::Named(name.to_owned()),
        None if choice["any"].is_object() => Choice::Required,
        None => Choice::Auto,
    }
}

/// The signature of a text of reasoning.
pub(super) fn signature(text: &str) -> String {
    Scatter::of_bytes(format!("bedrock {text}").as_bytes()).id("Er", 62)
}

/// All prompt tokens.
pub(super) fn prompt_tokens(body: &Value, model: &Model) -> u64 {
    let prompt = prompt(body, model, &PrefixCache::default());
    prompt.input + prompt.cache_read + prompt.cache_write_5m + prompt.cache_write_1h
}

/// Counts the prompt and what of it is cached: cache points stand between the blocks.
fn prompt(body: &Value, model: &Model, cache: &PrefixCache) -> Prompt {
    let mut prompt = MarkedPrompt::new(model.family);
    for block in body["toolConfig"]["tools"].as_array().into_iter().flatten() {
        add(&mut prompt, block);
    }
    for block in body["system"].as_array().into_iter().flatten() {
        add(&mut prompt, block);
    }
    for message in body["messages"].as_array().into_iter().flatten() {
        prompt.add("", PER_MESSAGE);
        blocks(message).for_each(|block| add(&mut prompt, block));
    }
    prompt.finish(cache)
}

fn add(prompt: &mut MarkedPrompt, block: &Value) {
    match &block["cachePoint"] {
        Value::Null => prompt.add(&block.to_string(), block_tokens(block)),
        point => prompt.mark(point["ttl"] == "1h"),
    }
}

fn block_tokens(block: &Value) -> u64 {
    if let Some(text) = block["text"].as_str() {
        return tokens::count(text);
    }
    if ["image", "document", "video", "audio"].iter().any(|kind| block[*kind].is_object()) {
        return MEDIUM;
    }
    if block["toolResult"].is_object() {
        let inner = block["toolResult"]["content"].as_array().into_iter().flatten();
        return 2 + inner.map(block_tokens).sum::<u64>();
    }
    tokens::count_all(block)
}
