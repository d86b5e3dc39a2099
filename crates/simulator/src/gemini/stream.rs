//! Streams answers: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.
//! Pieces are responses themselves, with the usage so far on each; they have no end mark.

use serde_json::{Value, json};

use super::answer::{blocked, call, finish_reason, logprobs, response, usage};
use super::ask::Own;
use super::signature;
use crate::ask::{Ask, Form};
use crate::frame::{Frame, Progress, Telling, pieces};
use crate::scatter::Scatter;
use crate::script::{Candidate, Finish};
use crate::tokens;

/// The streamed answer, one frame per piece, the candidates' pieces by turns.
pub(crate) fn frames(
    ask: &Ask,
    own: &Own,
    candidates: &[Candidate],
    ids: &mut Scatter,
    telling: Telling,
) -> Vec<Frame> {
    let id = ids.id("", 22);
    let told_usage = |progress| (telling != Telling::Never).then(|| usage(ask, own, progress));
    let mut progress = Progress::default();
    let mut written: Vec<(Value, Progress)> = Vec::new();
    if ask.blocked {
        written.push((blocked(ask, own, &id, told_usage(progress)), progress));
    } else {
        let mut queues: Vec<_> =
            candidates.iter().map(|candidate| deltas(ask, own, candidate, ids).into_iter()).collect();
        loop {
            let before = written.len();
            for (index, queue) in queues.iter_mut().enumerate() {
                let Some(Delta { mut fields, added }) = queue.next() else { continue };
                progress = progress.plus(added);
                fields["index"] = json!(index);
                written.push((response(ask, own, &id, json!([fields]), told_usage(progress)), progress));
            }
            if written.len() == before {
                break;
            }
        }
    }
    let last = written.len().saturating_sub(1);
    let frame = |(place, (piece, progress)): (usize, (Value, Progress))| Frame {
        bytes: framed(ask.form, &piece, place, place == last),
        progress,
        tells_usage: place == last && telling != Telling::Never,
    };
    written.into_iter().enumerate().map(frame).collect()
}

/// A piece of one candidate.
struct Delta {
    /// Of the candidate.
    fields: Value,
    added: Progress,
}

fn deltas(ask: &Ask, own: &Own, candidate: &Candidate, ids: &mut Scatter) -> Vec<Delta> {
    let content = |part: Value| json!({"content": {"parts": [part], "role": "model"}});
    let mut deltas = Vec::new();
    let mut reasoning = candidate.reasoning_tokens;
    for (piece, added) in pieces(candidate.thinking.as_deref().unwrap_or_default(), ids, 24) {
        reasoning -= added;
        let added = Progress { output: 0, reasoning: added };
        deltas.push(Delta { fields: content(json!({"text": piece, "thought": true})), added });
    }
    // What is not told is done before the first piece.
    let mut unseen = Progress { output: 0, reasoning };
    let mut signed = !own.signs;
    for (piece, added) in pieces(&candidate.text, ids, 12) {
        let mut fields = content(json!({"text": piece}));
        if ask.logprobs {
            fields["logprobsResult"] = logprobs(piece);
        }
        let added = std::mem::take(&mut unseen).plus(Progress { output: added, reasoning: 0 });
        deltas.push(Delta { fields, added });
    }
    for called in &candidate.calls {
        let mut part = call(called);
        if !std::mem::replace(&mut signed, true) {
            part["thoughtSignature"] = json!(signature::new(ids));
        }
        let output = tokens::count(&called.name) + tokens::count(&called.arguments);
        let added = std::mem::take(&mut unseen).plus(Progress { output, reasoning: 0 });
        deltas.push(Delta { fields: content(part), added });
    }
    // An answer of which nothing is left has nothing to sign.
    let says = !deltas.is_empty() || candidate.finish != Finish::Length;
    let signature = (says && !signed).then(|| signature::new(ids));
    finish(candidate, &mut deltas, unseen, signature, ids);
    deltas
}

/// Says why a candidate ends: with its last piece, with an empty text, or without any part.
fn finish(
    candidate: &Candidate,
    deltas: &mut Vec<Delta>,
    unseen: Progress,
    signature: Option<String>,
    ids: &mut Scatter,
) {
    let mut reason = json!({"finishReason": finish_reason(&candidate.finish)});
    if !candidate.calls.is_empty() && candidate.finish == Finish::ToolCalls {
        reason["finishMessage"] = json!("Model generated function call(s).");
    }
    let mut last = match (signature, ids.below(3)) {
        (Some(signature), _) => {
            json!({"content": {"parts": [{"text": "", "thoughtSignature": signature}], "role": "model"}})
        }
        (None, 0) => json!({"content": {"parts": [{"text": ""}], "role": "model"}}),
        (None, 1) => json!({"content": {"role": "model"}}),
        (None, _) => match deltas.pop() {
            Some(delta) => {
                let added = unseen.plus(delta.added);
                deltas.push(Delta { fields: with(delta.fields, reason), added });
                return;
            }
            None => json!({"content": {"role": "model"}}),
        },
    };
    last = with(last, reason);
    deltas.push(Delta { fields: last, added: unseen });
}

/// Both objects' fields.
fn with(mut object: Value, more: Value) -> Value {
    if let Value::Object(more) = more {
        more.into_iter().for_each(|(name, value)| object[name] = value);
    }
    object
}

/// Bytes of the piece with this number.
fn framed(form: Form, piece: &Value, place: usize, is_last: bool) -> Vec<u8> {
    match form {
        Form::Array => {
            let before = if place == 0 { "[" } else { ",\r\n" };
            let after = if is_last { "]\n" } else { "" };
            format!("{before}{piece:#}\n{after}").into_bytes()
        }
        _ => event(piece),
    }
}

/// A server-sent event as Google writes it: nameless, its lines ended by CR LF.
fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\r\n\r\n").into_bytes()
}

/// What a stream says when the provider fails, in the place of the piece with this number. Among
/// server-sent events it may stand without being one.
pub(crate) fn error_frame(ask: &Ask, place: usize) -> Vec<u8> {
    let message = "An internal error has occurred. Please retry.";
    let error = json!({"error": {"code": 500, "message": message, "status": "INTERNAL"}});
    match ask.form {
        Form::Array => framed(Form::Array, &error, place, true),
        _ => match Scatter::of_bytes(ask.last_text.as_bytes()).below(2) {
            0 => event(&error),
            _ => format!("{error:#}\n").into_bytes(),
        },
    }
}

/// A piece that is not JSON.
pub(crate) fn malformed_frame(ask: &Ask) -> Vec<u8> {
    let cut = "{\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"cut";
    match ask.form {
        Form::Array => format!(",\r\n{cut}\n").into_bytes(),
        _ => format!("data: {cut}\r\n\r\n").into_bytes(),
    }
}
