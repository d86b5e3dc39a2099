//! What the API refuses of thinking:
//! <https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>.

use serde_json::Value;

use super::blocks::Turn;
use super::rules::refuse;
use super::signature;
use crate::refusal::Refusal;

/// The first rule that a body breaks.
pub(super) fn check(body: &Value, turns: &[Turn]) -> Result<(), Refusal> {
    settings(body)?;
    turns.iter().try_for_each(signatures)?;
    if body["thinking"]["type"] == "enabled" { before_tools(turns) } else { Ok(()) }
}

fn settings(body: &Value) -> Result<(), Refusal> {
    if body["thinking"]["type"] != "enabled" {
        return Ok(());
    }
    let budget = body["thinking"]["budget_tokens"].as_i64().unwrap_or(0);
    if budget < 1_024 {
        return refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
    }
    if body["max_tokens"].as_i64().is_none_or(|limit| limit <= budget) {
        return refuse("`max_tokens` must be greater than `thinking.budget_tokens`.");
    }
    if body["temperature"].as_f64().is_some_and(|t| t.total_cmp(&1.0).is_ne()) {
        return refuse("`temperature` may only be set to 1 when thinking is enabled.");
    }
    if !body["top_k"].is_null() {
        return refuse("`top_k` must be unset when thinking is enabled.");
    }
    if matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        return refuse("Thinking may not be enabled when tool_choice forces tool use.");
    }
    Ok(())
}

/// Thoughts come back with the signature of their text.
fn signatures(turn: &Turn) -> Result<(), Refusal> {
    for (place, block) in turn.blocks.iter().enumerate().filter(|(_, block)| block["type"] == "thinking") {
        let text = block["thinking"].as_str().unwrap_or_default();
        if block["signature"].as_str() != Some(&signature(text)) {
            return refuse(format!(
                "messages.{}.content.{place}: Invalid `signature` in `thinking` block",
                turn.place
            ));
        }
    }
    Ok(())
}

/// A turn whose tools are being answered begins with what led to them.
fn before_tools(turns: &[Turn]) -> Result<(), Refusal> {
    let Some([called, answered]) = turns.last_chunk::<2>() else { return Ok(()) };
    let answers = answered.blocks.first().is_some_and(|block| block["type"] == "tool_result");
    let first = called.blocks.first().and_then(|block| block["type"].as_str()).unwrap_or_default();
    match answers && !matches!(first, "thinking" | "redacted_thinking") {
        true => refuse(format!(
            "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When \
             `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the \
             lastmost set of `tool_use` and `tool_result` blocks). To avoid this requirement, disable `thinking`.",
            called.place
        )),
        false => Ok(()),
    }
}
