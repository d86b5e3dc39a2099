use serde_json::Value;

use super::{Grammar, Verdict, ensure, is_string_or_null, need, parse};

/// <https://docs.anthropic.com/en/docs/build-with-claude/streaming>:
/// `message_start (content_block_start content_block_delta* content_block_stop)* message_delta+
/// message_stop`, with `ping` anywhere after the start, and `error` as an end anywhere.
#[derive(Debug, Default)]
pub(super) struct MessagesGrammar {
    state: State,
    blocks: u64,
    /// The kind of block that is open.
    open: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Message,
    Delta,
}

impl Grammar for MessagesGrammar {
    fn step(&mut self, name: Option<&[u8]>, data: &[u8]) -> Result<Verdict, String> {
        let event = parse(data)?;
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        ensure(name == Some(kind.as_bytes()), "its name is not its type")?;
        match kind {
            "error" => {
                let error = event.get("error").unwrap_or(&Value::Null);
                need(error, "type", Value::is_string)?;
                need(error, "message", Value::is_string)?;
                return Ok(Verdict::EndedWithError);
            }
            "message_start" => {
                ensure(self.state == State::Before, "a second message_start")?;
                message(event.get("message").unwrap_or(&Value::Null))?;
                self.state = State::Message;
            }
            _ if self.state == State::Before => return Err(format!("`{kind}` before message_start")),
            "ping" => {}
            "content_block_start" => self.block_start(&event)?,
            "content_block_delta" => self.block_delta(&event)?,
            "content_block_stop" => {
                ensure(self.open.take().is_some(), "no block is open")?;
                self.index(&event, self.blocks)?;
                self.blocks += 1;
            }
            "message_delta" => {
                ensure(self.open.is_none(), "a block is still open")?;
                let delta = event.get("delta").unwrap_or(&Value::Null);
                need(delta, "stop_reason", is_string_or_null)?;
                need(delta, "stop_sequence", is_string_or_null)?;
                need(event.get("usage").unwrap_or(&Value::Null), "output_tokens", Value::is_u64)?;
                self.state = State::Delta;
            }
            "message_stop" => {
                ensure(self.state == State::Delta, "no message_delta before it")?;
                return Ok(Verdict::EndedWell);
            }
            _ => return Err(format!("there is no event `{kind}`")),
        }
        Ok(Verdict::Unfinished)
    }
}

impl MessagesGrammar {
    fn index(&self, event: &Value, expected: u64) -> Result<(), String> {
        let index = event.get("index").and_then(Value::as_u64);
        ensure(index == Some(expected), "its index is not that of the open or next block")
    }

    fn block_start(&mut self, event: &Value) -> Result<(), String> {
        ensure(self.state == State::Message, "a block after message_delta")?;
        ensure(self.open.is_none(), "two blocks are open")?;
        self.index(event, self.blocks)?;
        let block = event.get("content_block").unwrap_or(&Value::Null);
        need(block, "type", Value::is_string)?;
        let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "text" => need(block, "text", Value::is_string)?,
            "thinking" => {
                need(block, "thinking", Value::is_string)?;
                need(block, "signature", Value::is_string)?;
            }
            "redacted_thinking" => need(block, "data", Value::is_string)?,
            "tool_use" => {
                need(block, "id", |id| id.as_str().is_some_and(is_tool_id))?;
                need(block, "name", Value::is_string)?;
                need(block, "input", Value::is_object)?;
            }
            _ => {}
        }
        self.open = Some(kind.to_owned());
        Ok(())
    }

    fn block_delta(&mut self, event: &Value) -> Result<(), String> {
        let Some(open) = &self.open else { return Err("a delta outside of a block".into()) };
        self.index(event, self.blocks)?;
        let delta = event.get("delta").unwrap_or(&Value::Null);
        let kind = delta.get("type").and_then(Value::as_str).unwrap_or_default();
        let (fits, field) = match kind {
            "text_delta" => (open == "text", "text"),
            "thinking_delta" => (open == "thinking", "thinking"),
            "signature_delta" => (open == "thinking", "signature"),
            "citations_delta" => {
                let citation = delta.get("citation").unwrap_or(&Value::Null);
                need(citation, "type", Value::is_string)?;
                need(citation, "cited_text", Value::is_string)?;
                (open == "text", "citation")
            }
            // `tool_use`, `server_tool_use`, `mcp_tool_use`.
            "input_json_delta" => (open.ends_with("tool_use"), "partial_json"),
            _ => return Ok(()),
        };
        ensure(fits, "its delta is of another kind than its block")?;
        need(delta, field, |value| value.is_string() || kind == "citations_delta")
    }
}

fn is_tool_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn message(message: &Value) -> Result<(), String> {
    for field in ["id", "model"] {
        need(message, field, Value::is_string)?;
    }
    need(message, "type", |kind| kind == "message")?;
    need(message, "role", |role| role == "assistant")?;
    need(message, "content", |content| content.as_array().is_some_and(Vec::is_empty))?;
    need(message, "stop_reason", Value::is_null)?;
    need(message, "stop_sequence", Value::is_null)?;
    let usage = message.get("usage").unwrap_or(&Value::Null);
    need(usage, "input_tokens", Value::is_u64)?;
    need(usage, "output_tokens", Value::is_u64)
}
