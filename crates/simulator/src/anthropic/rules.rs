//! What the API refuses beyond its schema: ranges, and fields that need or exclude each other.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Version;
use super::blocks::{Turn, blocks, turns};
use super::thinking;
use crate::base64;
use crate::price::Model;
use crate::refusal::Refusal;

/// The first rule that a body breaks.
pub(crate) fn check(body: &Value, model: &Model, version: Version) -> Result<(), Refusal> {
    if version == Version::October2026 {
        october_2026(body)?;
    }
    ranges(body, model)?;
    tools(body)?;
    texts(body)?;
    let turns = turns(body);
    roles(&turns)?;
    thinking::check(body, &turns)?;
    turns.iter().try_for_each(media)?;
    tool_results(&turns)?;
    cache_marks(body, &turns)
}

pub(super) fn refuse<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(400, "invalid_request_error", message))
}

/// What the API refuses since its version 2026-10-21.
fn october_2026(body: &Value) -> Result<(), Refusal> {
    for name in ["temperature", "top_p", "top_k"] {
        if !body[name].is_null() {
            return refuse(format!("{name}: Extra inputs are not permitted"));
        }
    }
    for turn in turns(body) {
        let at = turn.place;
        let cites = |block: &Value| block["citations"].as_array().is_some_and(|list| !list.is_empty());
        for block in &turn.blocks {
            match (turn.role.as_str(), block["type"].as_str()) {
                ("assistant", Some("document")) => {
                    return refuse(format!(
                        "messages.{at}: `document` blocks can only be in `user` messages"
                    ));
                }
                ("user", Some("text")) if cites(block) => {
                    return refuse(format!("messages.{at}: `citations` can only be in `assistant` messages"));
                }
                ("user", Some("search_result")) if blocks(&block["content"]).iter().any(cites) => {
                    return refuse(format!("messages.{at}: `citations` can only be in `assistant` messages"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn ranges(body: &Value, model: &Model) -> Result<(), Refusal> {
    for name in ["temperature", "top_p"] {
        match body[name].as_f64() {
            Some(number) if number < 0.0 => {
                return refuse(format!("{name}: Input should be greater than or equal to 0"));
            }
            Some(number) if number > 1.0 => {
                return refuse(format!("{name}: Input should be less than or equal to 1"));
            }
            _ => {}
        }
    }
    if !body["temperature"].is_null() && !body["top_p"].is_null() {
        return refuse(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        );
    }
    for name in ["top_k", "max_tokens"] {
        if body[name].as_i64().is_some_and(|number| number < 0) {
            return refuse(format!("{name}: Input should be greater than or equal to 0"));
        }
    }
    if let Some(asked) = body["max_tokens"].as_u64().filter(|asked| *asked > model.max_output) {
        return refuse(format!(
            "max_tokens: {asked} > {}, which is the maximum allowed number of output tokens for {}",
            model.max_output, model.snapshot
        ));
    }
    let stops = body["stop_sequences"].as_array().into_iter().flatten();
    if stops.filter_map(Value::as_str).any(|stop| stop.trim().is_empty()) {
        return refuse("stop_sequences: each stop sequence must contain non-whitespace");
    }
    if body["metadata"]["user_id"].as_str().is_some_and(|id| id.chars().count() > 256) {
        return refuse("metadata.user_id: String should have at most 256 characters");
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), Refusal> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names = BTreeSet::new();
    for (place, tool) in tools.iter().enumerate() {
        let Some(name) = tool["name"].as_str() else { continue };
        if !is_name(name) || name.len() > 128 {
            return refuse(format!(
                "tools.{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            ));
        }
        if !names.insert(name) {
            return refuse("tools: Tool names must be unique.");
        }
    }
    let choice = &body["tool_choice"];
    if !choice.is_null() && tools.is_empty() {
        return refuse("tool_choice: tool_choice may only be specified while providing tools");
    }
    match choice["name"].as_str() {
        Some(name) if !names.contains(name) => refuse(format!("Tool '{name}' not found in provided tools")),
        _ => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// No empty texts.
fn texts(body: &Value) -> Result<(), Refusal> {
    let empty = |block: &Value| block["type"] == "text" && block["text"].as_str().is_none_or(str::is_empty);
    if body["system"].is_array() && blocks(&body["system"]).iter().any(empty) {
        return refuse("system: text content blocks must be non-empty");
    }
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        return refuse("messages: at least one message is required");
    }
    for (place, message) in messages.iter().enumerate() {
        let content = &message["content"];
        let final_assistant = place + 1 == messages.len() && message["role"] == "assistant";
        let nothing =
            content.as_str().is_some_and(str::is_empty) || content.as_array().is_some_and(Vec::is_empty);
        if nothing && !final_assistant {
            return refuse(format!(
                "messages.{place}: all messages must have non-empty content except for the optional final \
                 assistant message"
            ));
        }
        if content.is_array() && blocks(content).iter().any(empty) {
            return refuse("messages: text content blocks must be non-empty");
        }
        let last_text = blocks(content).last().and_then(|block| block["text"].as_str().map(str::to_owned));
        if final_assistant && last_text.is_some_and(|text| text.ends_with(char::is_whitespace)) {
            return refuse("messages: final assistant content cannot end with trailing whitespace");
        }
    }
    Ok(())
}

fn roles(turns: &[Turn]) -> Result<(), Refusal> {
    match turns.iter().find(|turn| turn.role == "system") {
        Some(turn) => refuse(format!(
            "messages.{}: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, \
             not \"system\" as an input message role.",
            turn.place
        )),
        None if turns.first().is_some_and(|turn| turn.role != "user") => {
            refuse("messages: first message must use the \"user\" role")
        }
        None => Ok(()),
    }
}

/// Blocks stand in turns of the right role, and images are images.
fn media(turn: &Turn) -> Result<(), Refusal> {
    let at = turn.place;
    for block in &turn.blocks {
        let inner = blocks(&block["content"]);
        for image in std::iter::once(block).chain(&inner).filter(|block| block["type"] == "image") {
            let source = &image["source"];
            if source["type"] == "base64" && !source["data"].as_str().is_some_and(base64::is_valid) {
                return refuse(format!("messages.{at}.content.image.source.base64: invalid base64 data"));
            }
            if source["type"] == "url"
                && !source["url"].as_str().is_some_and(|url| url.starts_with("https://"))
            {
                return refuse(format!(
                    "messages.{at}.content.image.source.url: Only HTTPS URLs are supported."
                ));
            }
        }
        match (block["type"].as_str(), turn.role.as_str()) {
            (Some("tool_use"), "user") => {
                return refuse(format!(
                    "messages.{at}: `tool_use` blocks can only be in `assistant` messages"
                ));
            }
            (Some(kind @ ("tool_result" | "image")), "assistant") => {
                return refuse(format!("messages.{at}: `{kind}` blocks can only be in `user` messages"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Each call is answered at once, at the head of the next turn; each answer has its call there.
fn tool_results(turns: &[Turn]) -> Result<(), Refusal> {
    let mut called: Vec<String> = Vec::new();
    let mut ever = BTreeSet::new();
    let mut called_at = 0;
    for turn in turns {
        let heads = turn.blocks.iter().take_while(|block| block["type"] == "tool_result");
        let answered: Vec<&str> = heads.filter_map(|block| block["tool_use_id"].as_str()).collect();
        let missing: Vec<&str> =
            called.iter().map(String::as_str).filter(|id| !answered.contains(id)).collect();
        if !missing.is_empty() {
            return unanswered(called_at, &missing);
        }
        for (place, block) in
            turn.blocks.iter().enumerate().filter(|(_, block)| block["type"] == "tool_result")
        {
            let id = block["tool_use_id"].as_str().unwrap_or_default();
            if !called.iter().any(|called| called == id) {
                return refuse(format!(
                    "messages.{}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. \
                     Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                    turn.place
                ));
            }
        }
        if answered.iter().collect::<BTreeSet<_>>().len() != answered.len() {
            return refuse(format!(
                "messages.{}: each tool_use must have a single result. Found multiple `tool_result` blocks.",
                turn.place
            ));
        }
        let calls = turn.blocks.iter().filter(|block| block["type"] == "tool_use");
        called = calls.filter_map(|block| block["id"].as_str()).map(str::to_owned).collect();
        called_at = turn.place;
        for id in &called {
            if !is_name(id) {
                return refuse(format!(
                    "messages.{called_at}.content.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
                ));
            }
            if !ever.insert(id.clone()) {
                return refuse("messages: `tool_use` ids must be unique");
            }
        }
    }
    let missing: Vec<&str> = called.iter().map(String::as_str).collect();
    if missing.is_empty() { Ok(()) } else { unanswered(called_at, &missing) }
}

fn unanswered(place: usize, ids: &[&str]) -> Result<(), Refusal> {
    refuse(format!(
        "messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
         `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ids.join(", ")
    ))
}

/// <https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>: four marks, none on empty
/// text, and no longer lifetime after a shorter one.
fn cache_marks(body: &Value, turns: &[Turn]) -> Result<(), Refusal> {
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    let system = blocks(&body["system"]);
    let all = tools.iter().chain(&system).chain(turns.iter().flat_map(|turn| &turn.blocks));
    let marks: Vec<&Value> =
        all.map(|block| &block["cache_control"]).filter(|mark| !mark.is_null()).collect();
    if marks.len() > 4 {
        return refuse(format!(
            "A maximum of 4 blocks with cache_control may be provided. Found {}.",
            marks.len()
        ));
    }
    let short_first = marks.windows(2).any(|pair| pair[0]["ttl"] != "1h" && pair[1]["ttl"] == "1h");
    if short_first {
        return refuse("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block");
    }
    Ok(())
}
