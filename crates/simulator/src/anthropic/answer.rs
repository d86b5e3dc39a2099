//! Writes answers: <https://docs.anthropic.com/en/api/messages> and, streamed,
//! <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use serde_json::{Value, json};

use super::house::{id_mark, invocation_metrics, told_model};
use crate::ask::{Ask, House};
use crate::bedrock;
use crate::frame::{Frame, Progress, Telling, pieces, sse};
use crate::scatter::Scatter;
use crate::script::{Candidate, Finish};
use crate::tokens;

/// What a stream says when the provider fails.
pub(crate) const ERROR_FRAME: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
                                      \"message\":\"Overloaded\"}}\n\n";

/// An event that is not JSON.
pub(crate) const MALFORMED_FRAME: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\
                                          \"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"cut\n\n";

/// The whole answer.
pub(crate) fn whole(ask: &Ask, candidate: &Candidate, ids: &mut Scatter, with_usage: bool) -> Value {
    let mut message = message(ask, ids);
    message["content"] = blocks(candidate).into();
    stopped(&mut message, candidate);
    if with_usage {
        message["usage"] = usage(ask, Progress::total(std::slice::from_ref(candidate)));
    }
    message
}

/// A message without content, end and usage.
fn message(ask: &Ask, ids: &mut Scatter) -> Value {
    json!({
        "id": ids.id(&format!("msg_{}", id_mark(ask.house)), 22),
        "type": "message",
        "role": "assistant",
        "model": told_model(ask.model),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn blocks(candidate: &Candidate) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thinking) = &candidate.thinking {
        blocks.push(json!({"type": "thinking", "thinking": thinking, "signature": signature(thinking)}));
    }
    if !candidate.text.is_empty() && !refuses(candidate) {
        blocks.push(json!({"type": "text", "text": candidate.text}));
    }
    for call in &candidate.calls {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        blocks.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}));
    }
    blocks
}

/// Whether the answer says that there is none, by its end alone.
fn refuses(candidate: &Candidate) -> bool {
    matches!(candidate.finish, Finish::Refusal | Finish::Filtered)
}

/// The signature of a thought.
pub(crate) fn signature(thinking: &str) -> String {
    Scatter::of_bytes(thinking.as_bytes()).id("Er", 62)
}

/// Writes why the answer ends.
fn stopped(node: &mut Value, candidate: &Candidate) {
    let (reason, sequence) = match &candidate.finish {
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(sequence) => ("stop_sequence", Some(sequence)),
        Finish::Length => ("max_tokens", None),
        Finish::ToolCalls => ("tool_use", None),
        Finish::Refusal | Finish::Filtered => ("refusal", None),
    };
    node["stop_reason"] = json!(reason);
    node["stop_sequence"] = json!(sequence);
}

/// Usage so far, in the API's convention: cache figures stand beside the input, not inside it.
fn usage(ask: &Ask, progress: Progress) -> Value {
    let prompt = ask.prompt;
    json!({
        "input_tokens": prompt.input,
        "cache_creation_input_tokens": prompt.cache_write_5m + prompt.cache_write_1h,
        "cache_read_input_tokens": prompt.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": prompt.cache_write_5m,
            "ephemeral_1h_input_tokens": prompt.cache_write_1h,
        },
        "output_tokens": progress.output + progress.reasoning,
        "service_tier": "standard",
    })
}

/// The usage of a `message_delta`: the output so far and, with every model but the smallest, the
/// input again, without the split by lifetime.
fn delta_usage(ask: &Ask, progress: Progress) -> Value {
    let mut usage = json!({"output_tokens": progress.output + progress.reasoning});
    if !ask.model.family.contains("haiku") {
        usage["input_tokens"] = json!(ask.prompt.input);
        usage["cache_creation_input_tokens"] = json!(ask.prompt.cache_write_5m + ask.prompt.cache_write_1h);
        usage["cache_read_input_tokens"] = json!(ask.prompt.cache_read);
    }
    usage
}

/// The streamed answer, one frame per event.
pub(crate) fn frames(ask: &Ask, candidate: &Candidate, ids: &mut Scatter, telling: Telling) -> Vec<Frame> {
    let mut start = message(ask, ids);
    if telling != Telling::Never {
        let mut placeholder = usage(ask, Progress::default());
        placeholder["output_tokens"] = json!(1);
        start["usage"] = placeholder;
    }
    let mut writer = EventWriter {
        ask,
        scatter: ids,
        telling,
        progress: Progress::default(),
        index: 0,
        frames: Vec::new(),
    };
    writer.event("message_start", json!({"message": start}));
    writer.thinking(candidate);
    if !candidate.text.is_empty() && !refuses(candidate) {
        writer.text(&candidate.text);
    }
    for call in &candidate.calls {
        writer.progress.output += tokens::count(&call.name);
        writer.open(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}));
        if call.arguments != "{}" {
            writer.delta(json!({"type": "input_json_delta", "partial_json": ""}), 0);
        }
        for (piece, added) in pieces(&call.arguments, writer.scatter, 5) {
            if call.arguments == "{}" {
                writer.progress.output += added;
            } else {
                writer.delta(json!({"type": "input_json_delta", "partial_json": piece}), added);
            }
        }
        writer.close();
    }
    writer.end(candidate);
    writer.frames
}

struct EventWriter<'a> {
    ask: &'a Ask,
    scatter: &'a mut Scatter,
    telling: Telling,
    progress: Progress,
    index: u64,
    frames: Vec<Frame>,
}

impl EventWriter<'_> {
    /// A thinking block, its signature last.
    fn thinking(&mut self, candidate: &Candidate) {
        let Some(thinking) = &candidate.thinking else { return };
        self.open(json!({"type": "thinking", "thinking": "", "signature": ""}));
        for (piece, added) in pieces(thinking, self.scatter, 12) {
            self.progress.reasoning += added;
            self.delta(json!({"type": "thinking_delta", "thinking": piece}), 0);
        }
        self.delta(json!({"type": "signature_delta", "signature": signature(thinking)}), 0);
        self.close();
    }

    fn text(&mut self, text: &str) {
        self.open(json!({"type": "text", "text": ""}));
        for (piece, added) in pieces(text, self.scatter, 12) {
            self.delta(json!({"type": "text_delta", "text": piece}), added);
        }
        self.close();
    }

    fn open(&mut self, block: Value) {
        self.event("content_block_start", json!({"index": self.index, "content_block": block}));
        if self.index == 0 || self.scatter.below(2) == 0 {
            self.event("ping", json!({}));
        }
    }

    fn delta(&mut self, delta: Value, added: u64) {
        self.progress.output += added;
        self.event("content_block_delta", json!({"index": self.index, "delta": delta}));
    }

    fn close(&mut self) {
        self.event("content_block_stop", json!({"index": self.index}));
        self.index += 1;
        if self.telling == Telling::Running {
            let nothing = json!({"stop_reason": null, "stop_sequence": null});
            let usage = delta_usage(self.ask, self.progress);
            self.event("message_delta", json!({"delta": nothing, "usage": usage}));
        }
    }

    fn end(&mut self, candidate: &Candidate) {
        if self.scatter.below(2) == 0 {
            self.event("ping", json!({}));
        }
        if refuses(candidate) {
            self.progress.output = candidate.output_tokens();
        }
        let mut fields = json!({"delta": {}});
        stopped(&mut fields["delta"], candidate);
        if self.telling != Telling::Never {
            fields["usage"] = delta_usage(self.ask, self.progress);
        }
        self.event("message_delta", fields);
        if let Some(last) = self.frames.last_mut() {
            last.tells_usage = self.telling != Telling::Never;
        }
        let mut last = json!({});
        if self.ask.house == House::Bedrock && self.telling != Telling::Never {
            let output = self.progress.output + self.progress.reasoning;
            last["amazon-bedrock-invocationMetrics"] = invocation_metrics(self.ask, output);
        }
        self.event("message_stop", last);
    }

    /// Writes an event, with the padding that the API puts after its JSON.
    fn event(&mut self, name: &str, mut fields: Value) {
        fields["type"] = json!(name);
        let bytes = match self.ask.house {
            House::Bedrock => bedrock::chunk(fields.to_string().as_bytes(), self.scatter),
            _ => {
                let padding = " ".repeat(self.scatter.below(8) as usize);
                sse(Some(name), &format!("{fields}{padding}"))
            }
        };
        self.frames.push(Frame { bytes, progress: self.progress, tells_usage: false });
    }
}
