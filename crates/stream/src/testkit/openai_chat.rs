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
        for text in ["content", "refusal", "reasoning_content"] {
            ensure(delta.get(text).is_none_or(is_string_or_null), "text that is no string")?;
        }
        for annotation in items(delta, "annotations") {
            need(annotation, "type", |kind| kind == "url_citation")?;
            let cited = annotation.get("url_citation").unwrap_or(&Value::Null);
            for (field, kind) in CITATION {
                need(cited, field, kind)?;
            }
        }
        for detail in items(delta, "reasoning_details") {
            need(detail, "type", |kind| kind.as_str().is_some_and(|kind| kind.starts_with("reasoning.")))?;
            need(detail, "index", Value::is_u64)?;
        }
        if let Some(audio) = delta.get("audio") {
            for field in ["id", "data", "transcript"] {
                ensure(audio.get(field).is_none_or(Value::is_string), "sound that is no string")?;
            }
        }
        if let Some(call) = delta.get("function_call") {
            need(call, "arguments", Value::is_string)?;
        }
        if let Some(logprobs) = choice.get("logprobs").filter(|logprobs| !logprobs.is_null()) {
            for token in items(logprobs, "content") {
                need(token, "token", Value::is_string)?;
                need(token, "logprob", Value::is_number)?;
                need(token, "top_logprobs", Value::is_array)?;
            }
        }
        for call in items(delta, "tool_calls") {
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

type Kind = fn(&Value) -> bool;

/// What a `url_citation` must say.
const CITATION: [(&str, Kind); 4] = [
    ("start_index", Value::is_u64),
    ("end_index", Value::is_u64),
    ("title", Value::is_string),
    ("url", Value::is_string),
];

fn items<'v>(object: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    object.get(field).and_then(Value::as_array).into_iter().flatten()
}

impl Candidate {
    fn call(&mut self, call: &Value) -> Result<(), String> {
        need(call, "index", Value::is_u64)?;
        let index = call.get("index").and_then(Value::as_u64).unwrap_or_default();
        let is_custom = call.get("custom").is_some();
        let (kind, arguments) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        let inner = call.get(kind).unwrap_or(&Value::Null);
        need(inner, arguments, Value::is_string)?;
        if index == self.calls {
            need(call, "id", Value::is_string)?;
            ensure(call.get("type").is_some_and(|named| named == kind), "its type is not what it holds")?;
            need(inner, "name", Value::is_string)?;
            self.calls += 1;
        }
        ensure(index < self.calls, "a tool call that never began")
    }
}
