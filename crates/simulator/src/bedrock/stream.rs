//! Streams answers: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>.

use serde_json::{Value, json};

use super::answer::{additional, stop_reason, usage};
use super::ask::{Own, signature};
use super::event_frame::{Kind, encode, event, prelude};
use crate::ask::Ask;
use crate::base64;
use crate::frame::{Frame, Progress, Telling, pieces};
use crate::scatter::Scatter;
use crate::script::Candidate;
use crate::tokens;

/// What events are padded with.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The streamed answer, one binary frame per event.
pub(crate) fn frames(
    ask: &Ask,
    own: &Own,
    candidate: &Candidate,
    ids: &mut Scatter,
    telling: Telling,
) -> Vec<Frame> {
    let mut writer =
        EventWriter { scatter: ids, progress: Progress::default(), index: 0, frames: Vec::new() };
    writer.event("messageStart", json!({"role": "assistant"}));
    if let Some(text) = &candidate.thinking {
        for (piece, added) in pieces(text, writer.scatter, 12) {
            writer.progress.reasoning += added;
            writer.delta(json!({"reasoningContent": {"text": piece}}), 0);
        }
        writer.delta(json!({"reasoningContent": {"signature": signature(text)}}), 0);
        writer.stop();
    }
    if !candidate.text.is_empty() {
        // A text begins with its first delta.
        for (piece, added) in pieces(&candidate.text, writer.scatter, 12) {
            writer.delta(json!({"text": piece}), added);
        }
        writer.stop();
    }
    for call in &candidate.calls {
        writer.progress.output += tokens::count(&call.name);
        let start = json!({"toolUse": {"toolUseId": call.id, "name": call.name}});
        writer.event("contentBlockStart", json!({"contentBlockIndex": writer.index, "start": start}));
        for (piece, added) in pieces(&call.arguments, writer.scatter, 5) {
            if call.arguments == "{}" {
                // A call without arguments has no piece at all.
                writer.progress.output += added;
            } else {
                writer.delta(json!({"toolUse": {"input": piece}}), added);
            }
        }
        writer.stop();
    }
    let mut stop = json!({"stopReason": stop_reason(&candidate.finish)});
    if let Some(fields) = additional(own, candidate) {
        stop["additionalModelResponseFields"] = fields;
    }
    writer.event("messageStop", stop);
    if telling != Telling::Never {
        let usage = usage(ask, own, writer.progress);
        writer.event("metadata", json!({"metrics": {"latencyMs": 417}, "usage": usage}));
        if let Some(last) = writer.frames.last_mut() {
            last.tells_usage = true;
        }
    }
    writer.frames
}

struct EventWriter<'a> {
    scatter: &'a mut Scatter,
    progress: Progress,
    index: u64,
    frames: Vec<Frame>,
}

impl EventWriter<'_> {
    fn delta(&mut self, delta: Value, added: u64) {
        self.progress.output += added;
        self.event("contentBlockDelta", json!({"contentBlockIndex": self.index, "delta": delta}));
    }

    fn stop(&mut self) {
        self.event("contentBlockStop", json!({"contentBlockIndex": self.index}));
        self.index += 1;
    }

    fn event(&mut self, name: &str, mut payload: Value) {
        let padding = 1 + self.scatter.below(PADDING.len() as u64) as usize;
        payload["p"] = json!(PADDING[..padding]);
        self.frames.push(Frame { bytes: event(name, &payload), progress: self.progress, tells_usage: false });
    }
}

/// A frame of a model's own stream, which Bedrock wraps.
pub(crate) fn chunk(event: &[u8], scatter: &mut Scatter) -> Vec<u8> {
    let padding = 1 + scatter.below(PADDING.len() as u64) as usize;
    self::event("chunk", &json!({"bytes": base64::encode(event), "p": PADDING[..padding]}))
}

/// What a stream says when the provider fails: one of the exceptions of the service model.
pub(crate) fn error_frame(ask: &Ask) -> Vec<u8> {
    let exceptions = [
        ("internalServerException", "The system encountered an unexpected error during processing."),
        ("modelStreamErrorException", "The model failed while it was answering."),
        ("serviceUnavailableException", "Bedrock is unable to process your request."),
    ];
    let chosen = Scatter::of_bytes(ask.last_text.as_bytes()).below(exceptions.len() as u64) as usize;
    let (name, message) = exceptions[chosen];
    encode(Kind::Exception, name, json!({"message": message}).to_string().as_bytes())
}

/// A sound frame whose payload is not JSON.
pub(crate) fn malformed_frame() -> Vec<u8> {
    encode(Kind::Event, "contentBlockDelta", b"{\"contentBlockIndex\":0,\"delta\":{\"text\":\"cut")
}

/// The same in a model's own stream.
pub(crate) fn malformed_chunk() -> Vec<u8> {
    let cut = base64::encode(b"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"cut");
    event("chunk", &json!({"bytes": cut, "p": "abc"}))
}

/// How a frame begins that has so many bytes.
pub(crate) fn endless_head(length: usize) -> Vec<u8> {
    prelude(length, 0)
}
