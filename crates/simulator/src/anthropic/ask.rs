//! Reads what a checked body asks for, and counts its prompt.

use serde_json::Value;

use super::blocks::{Turn, blocks, text_of, turns};
use crate::api::Api;
use crate::ask::{Ask, Choice, Form, Own, Prompt, Reasoning, Tool};
use crate::prefix_cache::PrefixCache;
use crate::price::Model;
use crate::refusal::Refusal;
use crate::scatter::fnv1a;
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

/// A place up to which the prompt is to be cached.
struct Mark {
    /// Prompt tokens up to here.
    tokens: u64,
    /// Of everything up to here.
    hash: u64,
    one_hour: bool,
}

/// Counts the prompt. What lies before the last mark that an earlier request left is read from the
/// cache; what lies between it and the last mark is written, each stretch for its mark's lifetime.
/// (The real API has a smallest size for this; here there is none.)
fn prompt(body: &Value, turns: &[Turn], model: &Model, cache: &PrefixCache) -> Prompt {
    let mut counter = Counter { tokens: 0, seen: model.family.to_owned(), marks: Vec::new() };
    for tool in body["tools"].as_array().into_iter().flatten() {
        counter.block(tool);
    }
    for block in blocks(&body["system"]) {
        counter.block(&block);
    }
    for turn in turns {
        counter.tokens += PER_TURN;
        turn.blocks.iter().for_each(|block| counter.block(block));
    }
    if !body["cache_control"].is_null() {
        counter.mark(&body["cache_control"]);
    }
    let total = counter.tokens;
    let known = counter.marks.iter().rposition(|mark| cache.has(mark.hash));
    let mut prompt = Prompt::default();
    let mut reached = 0;
    for (place, mark) in counter.marks.iter().enumerate() {
        let stretch = mark.tokens - reached;
        match known {
            Some(known) if place <= known => prompt.cache_read += stretch,
            _ if mark.one_hour => prompt.cache_write_1h += stretch,
            _ => prompt.cache_write_5m += stretch,
        }
        reached = mark.tokens;
        cache.keep(mark.hash);
    }
    prompt.input = total - reached;
    prompt
}

struct Counter {
    tokens: u64,
    /// Everything so far, as text.
    seen: String,
    marks: Vec<Mark>,
}

impl Counter {
    fn block(&mut self, block: &Value) {
        let mut bare = block.clone();
        if let Some(fields) = bare.as_object_mut() {
            fields.remove("cache_control");
        }
        self.tokens += block_tokens(&bare);
        self.seen.push_str(&bare.to_string());
        if !block["cache_control"].is_null() {
            self.mark(&block["cache_control"]);
        }
    }

    fn mark(&mut self, control: &Value) {
        let one_hour = control["ttl"] == "1h";
        self.marks.push(Mark { tokens: self.tokens, hash: fnv1a(self.seen.as_bytes()), one_hour });
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
