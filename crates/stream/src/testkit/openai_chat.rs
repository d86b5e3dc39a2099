use std::collections::BTreeMap;

use serde_json::Value;

use super::{Grammar, Verdict, ensure, is_string_or_null, need, parse};

/// <https://platform.openai.com/docs/api-reference/chat-streaming>: each candidate begins with its role
/// and ends with its finish reason; a chunk without choices carries usage; `[DONE]` ends the stream, and
/// so does an error.
#[derive(Debug, Default)]
pub(super) struct ChatGrammar {
    candidates: BTreeMap<u64, Candidate>,
    usage_told: bool,
}

#[derive(Debug, Default)]
struct Candidate {
    calls: u64,
    finished: bool,
}

impl Grammar for ChatGrammar {
    fn step(&mut self, name: Option<&[u8]>, data: &[u8]) -> Result<Verdict, String> {
        ensure(name.is_none(), "events of this protocol have no name")?;
        if data == b"[DONE]" {
            ensure(!self.candidates.is_empty(), "the end of an answer that never began")?;
            ensure(
                self.candidates.values().all(|candidate| candidate.finished),
                "a candidate did not finish",
            )?;
            return Ok(Verdict::EndedWell);
        }
        let chunk = parse(data)?;
        if let Some(error) = chunk.get("error") {
            need(error, "message", Value::is_string)?;
            return Ok(Verdict::EndedWithError);
        }
        for field in ["id", "model"] {
            need(&chunk, field, Value::is_string)?;
        }
        need(&chunk, "object", |object| object == "chat.completion.chunk")?;
        need(&chunk, "created", Value::is_i64)?;
        need(&chunk, "choices", Value::is_array)?;
        ensure(!self.usage_told, "a chunk follows the usage")?;
        let choices = chunk.get("choices").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if choices.is_empty() {
            let usage = chunk.get("usage").unwrap_or(&Value::Null);
            for field in ["prompt_tokens", "completion_tokens", "total_tokens"] {
                need(usage, field, Value::is_u64)?;
            }
            self.usage_told = true;
        }
        choices.iter().try_for_each(|choice| self.choice(choice))?;
        Ok(Verdict::Unfinished)
    }
}

impl ChatGrammar {
    fn choice(&mut self, choice: &Value) -> Result<(), String> {
        need(choice, "index", Value::is_u64)?;
        need(choice, "delta", Value::is_object)?;
        need(choice, "finish_reason", is_string_or_null)?;
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or_default();
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        if !self.candidates.contains_key(&index) {
            need(delta, "role", |role| role == "assistant")?;
        }
        let candidate = self.candidates.entry(index).or_default();
        ensure(!candidate.finished, "a candidate goes on after its finish")?;
        for text in ["content", "refusal"] {
            ensure(delta.get(text).is_none_or(is_string_or_null), "text that is no string")?;
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            candidate.call(call)?;
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            let known = ["stop", "length", "tool_calls", "content_filter", "function_call"];
            ensure(known.contains(&reason), "an unknown finish reason")?;
            candidate.finished = true;
        }
        Ok(())
    }
}

impl Candidate {
    fn call(&mut self, call: &Value) -> Result<(), String> {
        need(call, "index", Value::is_u64)?;
        let index = call.get("index").and_then(Value::as_u64).unwrap_or_default();
        let function = call.get("function").unwrap_or(&Value::Null);
        need(function, "arguments", Value::is_string)?;
        if index == self.calls {
            need(call, "id", Value::is_string)?;
            need(call, "type", |kind| kind == "function")?;
            need(function, "name", Value::is_string)?;
            self.calls += 1;
        }
        ensure(index < self.calls, "a tool call that never began")
    }
}
