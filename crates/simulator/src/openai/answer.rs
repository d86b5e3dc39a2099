//! Writes answers: <https://platform.openai.com/docs/api-reference/chat/object> and, streamed,
//! <https://platform.openai.com/docs/api-reference/chat-streaming>.

use serde_json::{Value, json};

use crate::ask::Ask;
use crate::frame::{Frame, Progress, Telling, pieces, sse};
use crate::scatter::Scatter;
use crate::script::{Call, Candidate, Finish};
use crate::tokens;

/// When everything was made.
pub(crate) const CREATED: i64 = 1_790_000_000;

/// What a stream says when the provider fails.
pub(crate) const ERROR_FRAME: &str = "data: {\"error\":{\"message\":\"The server had an error while processing your \
                                      request.\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";

/// A chunk that is not JSON.
pub(crate) const MALFORMED_FRAME: &str =
    "data: {\"id\":\"chatcmpl-0\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"cut\n\n";

/// The whole answer.
pub(crate) fn whole(ask: &Ask, candidates: &[Candidate], ids: &mut Scatter, with_usage: bool) -> Value {
    let choices: Vec<Value> = candidates
        .iter()
        .enumerate()
        .map(|(index, candidate)| {
            json!({
                "index": index,
                "message": message(candidate),
                "logprobs": ask.logprobs.then(|| logprobs(&candidate.text)),
                "finish_reason": finish_reason(&candidate.finish),
            })
        })
        .collect();
    let mut answer = json!({
        "id": ids.id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model.snapshot,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": "fp_weighed",
    });
    if with_usage {
        answer["usage"] = usage(ask, Progress::total(candidates));
    }
    answer
}

fn message(candidate: &Candidate) -> Value {
    let refused = candidate.finish == Finish::Refusal;
    let text = (!candidate.text.is_empty() || candidate.calls.is_empty()).then_some(candidate.text.as_str());
    let mut message = json!({
        "role": "assistant",
        "content": text.filter(|_| !refused),
        "refusal": text.filter(|_| refused),
        "annotations": [],
    });
    if !candidate.calls.is_empty() {
        message["tool_calls"] = candidate.calls.iter().map(tool_call).collect();
    }
    message
}

fn tool_call(call: &Call) -> Value {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}

fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}

fn logprobs(text: &str) -> Value {
    let token =
        |token| json!({"token": token, "bytes": str::as_bytes(token), "logprob": -0.125, "top_logprobs": []});
    json!({"content": tokens::split(text).map(token).collect::<Vec<_>>(), "refusal": null})
}

/// Usage so far, in the API's convention: cached and reasoning tokens are parts, not additions.
fn usage(ask: &Ask, progress: Progress) -> Value {
    let prompt = ask.prompt.input + ask.prompt.cache_read;
    let completion = progress.output + progress.reasoning;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": ask.prompt.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": progress.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// The streamed answer, one frame per event, the candidates' chunks interleaved.
pub(crate) fn frames(ask: &Ask, candidates: &[Candidate], ids: &mut Scatter, telling: Telling) -> Vec<Frame> {
    let id = ids.id("chatcmpl-", 29);
    let mut writer = ChunkWriter { ask, ids, id, telling, progress: Progress::default(), frames: Vec::new() };
    let mut queues: Vec<std::vec::IntoIter<Delta>> =
        candidates.iter().map(|candidate| deltas(ask, candidate, writer.ids).into_iter()).collect();
    loop {
        let mut wrote = false;
        for (index, queue) in queues.iter_mut().enumerate() {
            if let Some(delta) = queue.next() {
                writer.choice(index, delta);
                wrote = true;
            }
        }
        if !wrote {
            break;
        }
    }
    writer.end();
    writer.frames
}

/// One chunk of one candidate.
struct Delta {
    delta: Value,
    logprobs: Value,
    finish: Option<&'static str>,
    added: Progress,
}

/// The chunks of one candidate: role, text, calls with their arguments in pieces, finish reason.
fn deltas(ask: &Ask, candidate: &Candidate, scatter: &mut Scatter) -> Vec<Delta> {
    let plain = |delta, output| Delta {
        delta,
        logprobs: Value::Null,
        finish: None,
        added: Progress { output, reasoning: 0 },
    };
    let refused = candidate.finish == Finish::Refusal;
    let says = !candidate.text.is_empty() || candidate.calls.is_empty();
    let empty = (says && !refused).then_some("");
    let mut deltas = vec![Delta {
        added: Progress { output: 0, reasoning: candidate.reasoning_tokens },
        ..plain(json!({"role": "assistant", "content": empty, "refusal": null}), 0)
    }];
    let field = if refused { "refusal" } else { "content" };
    for (piece, added) in pieces(&candidate.text, scatter, 12) {
        let logprobs = if ask.logprobs { logprobs(piece) } else { Value::Null };
        deltas.push(Delta { logprobs, ..plain(json!({field: piece}), added) });
    }
    for (index, call) in candidate.calls.iter().enumerate() {
        let mut opening = tool_call(call);
        opening["index"] = json!(index);
        opening["function"]["arguments"] = json!("");
        deltas.push(plain(json!({"tool_calls": [opening]}), tokens::count(&call.name)));
        for (piece, added) in pieces(&call.arguments, scatter, 5) {
            let fragment = json!({"index": index, "function": {"arguments": piece}});
            deltas.push(plain(json!({"tool_calls": [fragment]}), added));
        }
    }
    deltas.push(Delta { finish: Some(finish_reason(&candidate.finish)), ..plain(json!({}), 0) });
    deltas
}

struct ChunkWriter<'a> {
    ask: &'a Ask,
    ids: &'a mut Scatter,
    id: String,
    telling: Telling,
    progress: Progress,
    frames: Vec<Frame>,
}

impl ChunkWriter<'_> {
    fn choice(&mut self, index: usize, delta: Delta) {
        self.progress = self.progress.plus(delta.added);
        let choice = json!({
            "index": index,
            "delta": delta.delta,
            "logprobs": delta.logprobs,
            "finish_reason": delta.finish,
        });
        let usage = match self.telling {
            Telling::Running => usage(self.ask, self.progress),
            Telling::Documented | Telling::Never => Value::Null,
        };
        self.chunk(json!([choice]), usage, false);
    }

    /// The usage chunk, where it was asked for, and the marker.
    fn end(&mut self) {
        if self.telling == Telling::Documented && self.ask.include_usage {
            self.chunk(json!([]), usage(self.ask, self.progress), true);
        }
        if self.telling == Telling::Running
            && let Some(last) = self.frames.last_mut()
        {
            last.tells_usage = true;
        }
        self.frames.push(Frame {
            bytes: b"data: [DONE]\n\n".to_vec(),
            progress: self.progress,
            tells_usage: false,
        });
    }

    fn chunk(&mut self, choices: Value, usage: Value, tells_usage: bool) {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.ask.model.snapshot,
            "service_tier": "default",
            "system_fingerprint": "fp_weighed",
            "choices": choices,
        });
        if self.ask.include_usage || !usage.is_null() {
            chunk["usage"] = usage;
        }
        let padding = self.ids.below(16) as usize;
        chunk["obfuscation"] = json!(self.ids.id("", padding));
        let bytes = sse(None, &chunk.to_string());
        self.frames.push(Frame { bytes, progress: self.progress, tells_usage });
    }
}
