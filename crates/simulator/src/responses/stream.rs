//! Streams responses: <https://platform.openai.com/docs/api-reference/responses-streaming>.

use serde_json::{Value, json};

use super::answer::{Output, ended, output, part};
use super::ask::Own;
use crate::ask::Ask;
use crate::frame::{Frame, Progress, Telling, pieces, sse};
use crate::scatter::Scatter;
use crate::script::{Call, Candidate, Finish};
use crate::tokens;

/// An event that is not JSON.
pub(crate) const MALFORMED_FRAME: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\
                                          \"delta\":\"cut\n\n";

/// The streamed answer, one frame per event.
pub(crate) fn frames(
    ask: &Ask,
    own: &Own,
    candidate: &Candidate,
    ids: &mut Scatter,
    telling: Telling,
) -> Vec<Frame> {
    let output = output(ask, own, candidate, ids);
    let mut writer = EventWriter {
        own,
        scatter: ids,
        number: 0,
        progress: Progress::default(),
        place: 0,
        frames: Vec::new(),
    };
    for name in ["response.created", "response.in_progress"] {
        writer.event(name, json!({"response": own.envelope}));
    }
    for item in &output {
        match item {
            Output::Reasoning { item, summary } => writer.reasoning(item, summary, candidate),
            Output::Message { item, text, refused } => writer.message(ask, item, text, *refused),
            Output::Call { item, call } => writer.call(item, call),
        }
        writer.event("response.output_item.done", json!({"output_index": writer.place, "item": item.item()}));
        writer.place += 1;
    }
    let tells_usage = telling != Telling::Never;
    let items = output.iter().map(|output| output.item().clone()).collect();
    let response = ended(ask, own, candidate, items, tells_usage.then_some(writer.progress));
    let cut = matches!(candidate.finish, Finish::Length | Finish::Filtered);
    writer
        .event(if cut { "response.incomplete" } else { "response.completed" }, json!({"response": response}));
    if let Some(last) = writer.frames.last_mut() {
        last.tells_usage = tells_usage;
    }
    writer.frames
}

struct EventWriter<'a> {
    own: &'a Own,
    scatter: &'a mut Scatter,
    /// The `sequence_number` of the next event.
    number: u64,
    progress: Progress,
    /// The `output_index` of the item under way.
    place: u64,
    frames: Vec<Frame>,
}

impl EventWriter<'_> {
    fn reasoning(&mut self, item: &Value, summary: &str, candidate: &Candidate) {
        let mut opening = item.clone();
        opening["summary"] = json!([]);
        if summary.is_empty() {
            self.progress.reasoning += candidate.reasoning_tokens;
        }
        self.added(&opening);
        if summary.is_empty() {
            return;
        }
        let at = json!({"item_id": item["id"], "output_index": self.place, "summary_index": 0});
        let part = |text: &str| json!({"type": "summary_text", "text": text});
        self.event("response.reasoning_summary_part.added", with(&at, json!({"part": part("")})));
        for (piece, added) in pieces(summary, self.scatter, 12) {
            self.progress.reasoning += added;
            self.delta("response.reasoning_summary_text.delta", with(&at, json!({"delta": piece})), 0);
        }
        self.event("response.reasoning_summary_text.done", with(&at, json!({"text": summary})));
        self.event("response.reasoning_summary_part.done", with(&at, json!({"part": part(summary)})));
    }

    fn message(&mut self, ask: &Ask, item: &Value, text: &str, refused: bool) {
        let mut opening = item.clone();
        opening["content"] = json!([]);
        opening["status"] = json!("in_progress");
        self.added(&opening);
        let at = json!({"item_id": item["id"], "output_index": self.place, "content_index": 0});
        self.event("response.content_part.added", with(&at, json!({"part": part(ask, "", refused)})));
        for (piece, added) in pieces(text, self.scatter, 12) {
            match refused {
                true => self.delta("response.refusal.delta", with(&at, json!({"delta": piece})), added),
                false => {
                    let logprobs = told_logprobs(ask, piece);
                    let fields = json!({"delta": piece, "logprobs": logprobs});
                    self.delta("response.output_text.delta", with(&at, fields), added);
                }
            }
        }
        match refused {
            true => self.event("response.refusal.done", with(&at, json!({"refusal": text}))),
            false => {
                let fields = json!({"text": text, "logprobs": told_logprobs(ask, text)});
                self.event("response.output_text.done", with(&at, fields));
            }
        }
        self.event("response.content_part.done", with(&at, json!({"part": part(ask, text, refused)})));
    }

    fn call(&mut self, item: &Value, call: &Call) {
        let (field, kind) = match call.free_text {
            true => ("input", "custom_tool_call_input"),
            false => ("arguments", "function_call_arguments"),
        };
        let mut opening = item.clone();
        opening[field] = json!("");
        if !call.free_text {
            opening["status"] = json!("in_progress");
        }
        self.progress.output += tokens::count(&call.name);
        self.added(&opening);
        let at = json!({"item_id": item["id"], "output_index": self.place});
        for (piece, added) in pieces(&call.arguments, self.scatter, 5) {
            self.delta(&format!("response.{kind}.delta"), with(&at, json!({"delta": piece})), added);
        }
        self.event(&format!("response.{kind}.done"), with(&at, json!({field: call.arguments})));
    }

    fn added(&mut self, item: &Value) {
        self.event("response.output_item.added", json!({"output_index": self.place, "item": item}));
    }

    fn delta(&mut self, name: &str, mut fields: Value, added: u64) {
        self.progress.output += added;
        if self.own.obfuscated {
            let padding = self.scatter.below(16) as usize;
            fields["obfuscation"] = json!(self.scatter.id("", padding));
        }
        self.event(name, fields);
    }

    fn event(&mut self, name: &str, fields: Value) {
        let bytes = event(name, fields, self.number);
        self.number += 1;
        self.frames.push(Frame { bytes, progress: self.progress, tells_usage: false });
    }
}

/// The log probabilities of a text event, which have no bytes.
fn told_logprobs(ask: &Ask, text: &str) -> Vec<Value> {
    let token = |token| json!({"token": token, "logprob": -0.125, "top_logprobs": []});
    if ask.logprobs { tokens::split(text).map(token).collect() } else { Vec::new() }
}

fn event(name: &str, mut fields: Value, number: u64) -> Vec<u8> {
    fields["type"] = json!(name);
    fields["sequence_number"] = json!(number);
    sse(Some(name), &fields.to_string())
}

/// Both objects' fields.
fn with(at: &Value, fields: Value) -> Value {
    let mut both = at.clone();
    if let Value::Object(fields) = fields {
        fields.into_iter().for_each(|(name, value)| both[name] = value);
    }
    both
}

/// What a stream says when the provider fails: an event `error`, a failed response, or both.
pub(crate) fn error_frame(own: &Own, place: usize) -> Vec<u8> {
    let number = place as u64;
    let message = "The server had an error while processing your request. Sorry about that!";
    let error = json!({"code": "server_error", "message": message, "param": null});
    let mut response = own.envelope.clone();
    response["status"] = json!("failed");
    response["error"] = json!({"code": "server_error", "message": message});
    let failed = |number| event("response.failed", json!({"response": response}), number);
    match Scatter::of_bytes(own.envelope["id"].as_str().unwrap_or_default().as_bytes()).below(3) {
        0 => event("error", error, number),
        1 => failed(number),
        _ => [event("error", error, number), failed(number + 1)].concat(),
    }
}
