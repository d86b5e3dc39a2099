//! Reads what a checked body asks for, and counts its prompt.

use serde_json::Value;

use super::blocks::{Turn, blocks, text_of, turns};
use crate::api::Api;
use crate::ask::{Ask, Choice, Form, House, Own, Prompt, Reasoning, Tool};
use crate::marked_prompt::MarkedPrompt;
use crate::prefix_cache::PrefixCache;
use crate::price::Model;
use crate::refusal::Refusal;
use crate::tokens;

/// Tokens around each turn.
const PER_TURN: u64 = 3;
/// An image, whatever its size.
const IMAGE: u64 = 200;

pub(crate) fn read(body: &Value, model: &'static Model, cache: &PrefixCache) -> Result<Ask, Refusal> {
    let turns = turns(body);
    let empty = Vec::new();
    let last_user = turns.iter().rev().find(|turn| turn.role == "user").map_or(&empty, |turn| &turn.blocks);
    let of_kind = |kind: &'static str| last_user.iter().filter(move |block| block["type"] == kind);
    let prompt = prompt(body, &turns, model, cache);
    let prompt_tokens = prompt.input + prompt.cache_read + prompt.cache_write_5m + prompt.cache_write_1h;
    if prompt_tokens > model.context_window {
        return Err(Refusal::context_too_long(Api::Messages, prompt_tokens, model.context_window));
    }
    let limit = body["max_tokens"].as_u64().unwrap_or(model.max_output);
    Ok(Ask {
        own: Own::Messages,
        house: House::Maker,
        model,
        form: if body["stream"] == true { Form::Events } else { Form::Whole },
        include_usage: true,
        candidates: 1,
        max_output: limit.min(model.context_window - prompt_tokens),
        stops: body["stop_sequences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|stop| stop.as_str().map(str::to_owned))
            .collect(),
        last_text: of_kind("text").filter_map(|block| block["text"].as_str()).collect(),
        images: of_kind("image").count(),
        results: of_kind("tool_result").map(|block| text_of(&block["content"])).collect(),
        tools: tools(body),
        choice: choice(&body["tool_choice"]),
        parallel: body["tool_choice"]["disable_parallel_tool_use"] != true,
        json: match body["output_config"]["format"]["type"].as_str() {
            Some("json_schema") => Some(body["output_config"]["format"]["schema"].clone()),
            _ => None,
        },
        logprobs: false,
        reasoning: match body["thinking"]["budget_tokens"].as_u64() {
            Some(budget) if body["thinking"]["type"] == "enabled" => Reasoning::Visible(budget),
            _ => Reasoning::Off,
        },
        blocked: false,
        prompt,
    })
}

fn tools(body: &Value) -> Vec<Tool> {
    let tools = body["tools"].as_array().into_iter().flatten();
    let own = tools.filter(|tool| tool["input_schema"].is_object());
    own.map(|tool| Tool {
        name: tool["name"].as_str().unwrap_or_default().to_owned(),
        schema: tool["input_schema"].clone(),
        free_text: false,
    })
    .collect()
}

fn choice(value: &Value) -> Choice {
    match value["type"].as_str() {
        Some("none") => Choice::None,
        Some("any") => Choice::Required,
        Some("tool") => Choice::Named(value["name"].as_str().unwrap_or_default().to_owned()),
        _ => Choice::Auto,
    }
}

/// All prompt tokens.
pub(super) fn prompt_tokens(body: &Value, model: &Model) -> u64 {
    let prompt = prompt(body, &turns(body), model, &PrefixCache::default());
    prompt.input + prompt.cache_read + prompt.cache_write_5m + prompt.cache_write_1h
}

/// Counts the prompt and what of it is cached.
fn prompt(body: &Value, turns: &[Turn], model: &Model, cache: &PrefixCache) -> Prompt {
    let mut prompt = MarkedPrompt::new(model.family);
    for tool in body["tools"].as_array().into_iter().flatten() {
        add(&mut prompt, tool);
    }
    for block in blocks(&body["system"]) {
        add(&mut prompt, &block);
    }
    for turn in turns {
        prompt.add("", PER_TURN);
        turn.blocks.iter().for_each(|block| add(&mut prompt, block));
    }
    mark(&mut prompt, &body["cache_control"]);
    prompt.finish(cache)
}

fn add(prompt: &mut MarkedPrompt, block: &Value) {
    let mut bare = block.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.remove("cache_control");
    }
    prompt.add(&bare.to_string(), block_tokens(&bare));
    mark(prompt, &block["cache_control"]);
}

fn mark(prompt: &mut MarkedPrompt, control: &Value) {
    if !control.is_null() {
        prompt.mark(control["ttl"] == "1h");
    }
}

fn block_tokens(block: &Value) -> u64 {
    match block["type"].as_str() {
        Some("image") => IMAGE,
        Some("text") => block["text"].as_str().map_or(0, tokens::count),
        Some("tool_result") => {
            let inner = blocks(&block["content"]);
            2 + inner.iter().map(block_tokens).sum::<u64>()
        }
        _ => tokens::count_all(block),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn prompt_of(body: &Value, cache: &PrefixCache) -> Prompt {
        let model = crate::price::model(crate::Vendor::Anthropic, "claude-haiku-4-5").expect("served");
        prompt(body, &turns(body), model, cache)
    }

    #[test]
    fn what_was_marked_is_written_once_and_read_afterwards() {
        let body = json!({
            "system": [{"type": "text", "text": "a system prompt", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": "a question", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "more"}]}],
        });
        let cache = PrefixCache::default();
        let first = prompt_of(&body, &cache);
        assert_eq!(first, Prompt { input: 1, cache_read: 0, cache_write_5m: 6, cache_write_1h: 4 });
        let second = prompt_of(&body, &cache);
        assert_eq!(second, Prompt { input: 1, cache_read: 10, ..Prompt::default() });
    }
}
