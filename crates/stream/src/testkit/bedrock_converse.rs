use serde_json::Value;

use super::{Grammar, Verdict, ensure, need, parse};

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>:
/// `messageStart ([contentBlockStart] contentBlockDelta* contentBlockStop)* messageStop metadata`, with
/// an exception as an end anywhere. Calls of tools and images begin with `contentBlockStart`; text and
/// reasoning begin with their first delta.
///
/// A frame's type stands where server-sent events have their name.
#[derive(Debug, Default)]
pub(super) struct ConverseGrammar {
    state: State,
    /// The index of the block that is open, or comes next.
    index: u64,
    /// The kind of the block that is open.
    open: Option<&'static str>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Message,
    Stopped,
}

/// Exceptions that a stream may end with.
const EXCEPTIONS: [&str; 5] = [
    "internalServerException",
    "modelStreamErrorException",
    "validationException",
    "throttlingException",
    "serviceUnavailableException",
];

const STOP_REASONS: [&str; 9] = [
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "guardrail_intervened",
    "content_filtered",
    "malformed_model_output",
    "malformed_tool_use",
    "model_context_window_exceeded",
];

/// What a delta may hold, and the kind of block that it belongs to.
const DELTAS: [(&str, &str); 6] = [
    ("text", "text"),
    ("citation", "text"),
    ("reasoningContent", "reasoning"),
    ("toolUse", "toolUse"),
    ("toolResult", "toolResult"),
    ("image", "image"),
];

impl Grammar for ConverseGrammar {
    fn step(&mut self, name: Option<&[u8]>, data: &[u8]) -> Result<Verdict, String> {
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let event = parse(data)?;
        if EXCEPTIONS.contains(&name) {
            need(&event, "message", Value::is_string)?;
            return Ok(Verdict::EndedWithError);
        }
        match name {
            "messageStart" => {
                ensure(self.state == State::Before, "a second messageStart")?;
                need(&event, "role", |role| role == "assistant")?;
                self.state = State::Message;
            }
            "contentBlockStart" => self.block_start(&event)?,
            "contentBlockDelta" => self.block_delta(&event)?,
            "contentBlockStop" => {
                ensure(self.open.take().is_some(), "no block is open")?;
                self.at_index(&event)?;
                self.index += 1;
            }
            "messageStop" => {
                ensure(self.state == State::Message, "an end of no message")?;
                ensure(self.open.is_none(), "a block is still open")?;
                need(&event, "stopReason", |reason| {
                    reason.as_str().is_some_and(|reason| STOP_REASONS.contains(&reason))
                })?;
                self.state = State::Stopped;
            }
            "metadata" => {
                ensure(self.state == State::Stopped, "no messageStop before it")?;
                let usage = event.get("usage").unwrap_or(&Value::Null);
                for field in ["inputTokens", "outputTokens", "totalTokens"] {
                    need(usage, field, Value::is_u64)?;
                }
                need(event.get("metrics").unwrap_or(&Value::Null), "latencyMs", Value::is_u64)?;
                return Ok(Verdict::EndedWell);
            }
            _ => return Err(format!("there is no event `{name}`")),
        }
        Ok(Verdict::Unfinished)
    }
}

impl ConverseGrammar {
    fn at_index(&self, event: &Value) -> Result<(), String> {
        let index = event.get("contentBlockIndex").and_then(Value::as_u64);
        ensure(index == Some(self.index), "its index is not that of the open or next block")
    }

    fn block_start(&mut self, event: &Value) -> Result<(), String> {
        ensure(self.state == State::Message, "a block outside of a message")?;
        ensure(self.open.is_none(), "two blocks are open")?;
        self.at_index(event)?;
        let start = only_field(event.get("start"))?;
        let kind = match start {
            ("toolUse", call) => {
                need(call, "toolUseId", |id| id.as_str().is_some_and(is_id))?;
                need(call, "name", |name| name.as_str().is_some_and(is_id))?;
                "toolUse"
            }
            ("toolResult", result) => {
                need(result, "toolUseId", |id| id.as_str().is_some_and(is_id))?;
                "toolResult"
            }
            ("image", image) => {
                need(image, "format", Value::is_string)?;
                "image"
            }
            (other, _) => return Err(format!("no block begins with `{other}`")),
        };
        self.open = Some(kind);
        Ok(())
    }

    fn block_delta(&mut self, event: &Value) -> Result<(), String> {
        ensure(self.state == State::Message, "a block outside of a message")?;
        self.at_index(event)?;
        let (field, value) = only_field(event.get("delta"))?;
        let kind = DELTAS.into_iter().find(|(name, _)| *name == field).map(|(_, kind)| kind);
        let Some(kind) = kind else { return Err(format!("there is no delta `{field}`")) };
        match self.open {
            Some(open) => ensure(open == kind, "its delta is of another kind than its block")?,
            None => ensure(matches!(kind, "text" | "reasoning"), "a block of that kind must be begun")?,
        }
        self.open = Some(kind);
        match field {
            "text" => ensure(value.is_string(), "text that is no string"),
            "toolUse" => need(value, "input", Value::is_string),
            "reasoningContent" => {
                let (name, piece) = only_field(Some(value))?;
                ensure(
                    matches!(name, "text" | "signature" | "redactedContent") && piece.is_string(),
                    "a piece of reasoning that is no text, signature or bytes",
                )
            }
            _ => Ok(()),
        }
    }
}

/// A union has exactly one field.
fn only_field(value: Option<&Value>) -> Result<(&str, &Value), String> {
    let fields = value.and_then(Value::as_object).ok_or("a union is missing")?;
    match (fields.iter().next(), fields.len()) {
        (Some((name, value)), 1) => Ok((name, value)),
        _ => Err("a union has not exactly one field".into()),
    }
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
