//! What the API refuses in a conversation: <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html>.

use serde_json::Value;

use super::ask::signature;
use super::is_claude;
use super::refusal::{invalid, model_refuses};
use super::rules::thinking;
use crate::price::Model;
use crate::refusal::Refusal;

/// The blocks of a message.
pub(super) fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["content"].as_array().into_iter().flatten()
}

/// The blocks of one kind.
fn of_kind<'a>(message: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    blocks(message).map(move |block| &block[kind]).filter(|block| !block.is_null())
}

/// The first rule that a conversation breaks.
pub(super) fn check(body: &Value, model: &Model) -> Result<(), Refusal> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.first().is_none_or(|first| first["role"] != "user") {
        return Err(invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user \
             message.",
        ));
    }
    if messages.windows(2).any(|pair| pair[0]["role"] == pair[1]["role"]) {
        return Err(invalid(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates \
             between user and assistant roles and try again.",
        ));
    }
    for (place, message) in messages.iter().enumerate() {
        self::message(message, place)?;
        if is_claude(model) {
            reasoning(message, place)?;
        }
    }
    if thinking(&body["additionalModelRequestFields"])["type"] == "enabled" {
        before_tools(messages)?;
    }
    let uses_tools =
        |message: &Value| blocks(message).any(|b| b["toolUse"].is_object() || b["toolResult"].is_object());
    if body["toolConfig"].is_null() && messages.iter().any(uses_tools) {
        return Err(invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    tool_results(messages)?;
    cache_points(body, messages)
}

fn message(message: &Value, place: usize) -> Result<(), Refusal> {
    if blocks(message).next().is_none() {
        return Err(invalid(format!(
            "The content field in the Message object at messages.{place} is empty. Add a ContentBlock object to the \
             content field and try again."
        )));
    }
    for (block_place, block) in blocks(message).enumerate() {
        // A line end alone was recorded to pass.
        if block["text"] == "" {
            return Err(invalid(format!(
                "The text field in the ContentBlock object at messages.{place}.content.{block_place} is blank. Add \
                 text to the text field, and try again."
            )));
        }
        for kind in ["image", "document", "video", "audio", "toolResult"] {
            if message["role"] == "assistant" && block[kind].is_object() {
                return Err(invalid(format!(
                    "The ContentBlock object at messages.{place}.content.{block_place} contains {kind}, which is not \
                     allowed in a message with the role assistant."
                )));
            }
        }
        if block["toolUse"].is_object() && !block["toolUse"]["input"].is_object() {
            return Err(invalid(format!(
                "The format of the value at messages.{place}.content.{block_place}.toolUse.input is invalid. Provide \
                 a json object for the field and try again."
            )));
        }
        if message["role"] == "user" && block["toolUse"].is_object() {
            return Err(invalid(format!(
                "The ContentBlock object at messages.{place}.content.{block_place} contains toolUse, which is not \
                 allowed in a message with the role user."
            )));
        }
    }
    let names: Vec<&str> =
        of_kind(message, "document").filter_map(|document| document["name"].as_str()).collect();
    if !names.is_empty() && of_kind(message, "text").next().is_none() {
        return Err(invalid(format!(
            "A text block is required when a document block is included in the Message object at messages.{place}."
        )));
    }
    for (name_place, name) in names.iter().enumerate() {
        let known = |c: char| c.is_ascii_alphanumeric() || " -()[]".contains(c);
        if !name.chars().all(known) || name.contains("  ") {
            return Err(invalid(
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, \
                 parentheses, and square brackets. The name can't contain more than one consecutive whitespace \
                 character.",
            ));
        }
        if names[..name_place].contains(name) {
            return Err(invalid(format!(
                "The document name {name} is used more than once in messages.{place}."
            )));
        }
    }
    Ok(())
}

/// Reasoning comes back with the signature of its text.
fn reasoning(message: &Value, place: usize) -> Result<(), Refusal> {
    for text in of_kind(message, "reasoningContent").map(|block| &block["reasoningText"]) {
        let Some(signed) = text["text"].as_str() else { continue };
        if text["signature"].as_str() != Some(&signature(signed)) {
            return Err(model_refuses(&format!(
                "messages.{place}.content.0: Invalid `signature` in `thinking` block"
            )));
        }
    }
    Ok(())
}

/// A message whose tools are being answered begins with what led to them.
fn before_tools(messages: &[Value]) -> Result<(), Refusal> {
    let Some([called, answered]) = messages.last_chunk::<2>() else { return Ok(()) };
    let answers = of_kind(answered, "toolResult").next().is_some();
    let thought = blocks(called).next().is_some_and(|block| block["reasoningContent"].is_object());
    match answers && !thought {
        true => Err(model_refuses(&format!(
            "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When \
             `thinking` is enabled, a final `assistant` message must start with a thinking block.",
            messages.len() - 2
        ))),
        false => Ok(()),
    }
}

/// Each call is answered in the next message, and each result has its call in the message before.
fn tool_results(messages: &[Value]) -> Result<(), Refusal> {
    let ids = |message: &Value, kind: &'static str| -> Vec<String> {
        of_kind(message, kind).filter_map(|block| block["toolUseId"].as_str().map(str::to_owned)).collect()
    };
    let mut called: Vec<String> = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let answered = ids(message, "toolResult");
        if answered.len() > called.len() {
            return Err(invalid(format!(
                "The number of toolResult blocks at messages.{place}.content exceeds the number of toolUse blocks of \
                 previous turn."
            )));
        }
        let missing: Vec<&str> =
            called.iter().filter(|id| !answered.contains(id)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(invalid(format!(
                "Expected toolResult blocks at messages.{place}.content for the following Ids: {}",
                missing.join(", ")
            )));
        }
        called = ids(message, "toolUse");
    }
    match called.is_empty() {
        true => Ok(()),
        false => Err(invalid(format!(
            "Expected toolResult blocks at messages.{}.content for the following Ids: {}",
            messages.len(),
            called.join(", ")
        ))),
    }
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>
fn cache_points(body: &Value, messages: &[Value]) -> Result<(), Refusal> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (tools, system) = (list(&body["toolConfig"]["tools"]), list(&body["system"]));
    let all = tools.iter().chain(&system).chain(messages.iter().flat_map(blocks));
    let points: Vec<&Value> =
        all.map(|block| &block["cachePoint"]).filter(|point| point.is_object()).collect();
    if points.len() > 4 {
        return Err(invalid("You have exceeded the maximum number of cache checkpoints of 4."));
    }
    if points.windows(2).any(|pair| pair[0]["ttl"] != "1h" && pair[1]["ttl"] == "1h") {
        return Err(invalid("A cache checkpoint with a ttl of 1h must not come after one with a ttl of 5m."));
    }
    Ok(())
}
