//! Writes answers: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>.

use serde_json::{Value, json};

use super::ask::Own;
use super::call::Dialect;
use super::signature;
use crate::ask::Ask;
use crate::frame::Progress;
use crate::scatter::Scatter;
use crate::script::{Call, Candidate, Finish};
use crate::tokens;

/// The whole answer.
pub(crate) fn whole(
    ask: &Ask,
    own: &Own,
    candidates: &[Candidate],
    ids: &mut Scatter,
    with_usage: bool,
) -> Value {
    let id = ids.id("", 22);
    let usage = with_usage.then(|| usage(ask, own, Progress::total(candidates)));
    if ask.blocked {
        return blocked(ask, own, &id, usage);
    }
    let told = candidates.iter().enumerate().map(|(index, candidate)| {
        let mut told = json!({
            "content": {"parts": parts(own, candidate, ids), "role": "model"},
            "finishReason": finish_reason(&candidate.finish),
            "index": index,
        });
        if !candidate.calls.is_empty() && candidate.finish == Finish::ToolCalls {
            told["finishMessage"] = json!("Model generated function call(s).");
        }
        if ask.logprobs {
            told["avgLogprobs"] = json!(-0.125);
            told["logprobsResult"] = logprobs(&candidate.text);
        }
        told
    });
    let told: Vec<Value> = told.collect();
    response(ask, own, &id, json!(told), usage)
}

/// The answer to a prompt that may not be answered.
pub(super) fn blocked(ask: &Ask, own: &Own, id: &str, usage: Option<Value>) -> Value {
    let mut response = response(ask, own, id, Value::Null, usage);
    response["promptFeedback"] = json!({"blockReason": "PROHIBITED_CONTENT"});
    response
}

/// A response, or a piece of one, around its candidates.
pub(super) fn response(ask: &Ask, own: &Own, id: &str, candidates: Value, usage: Option<Value>) -> Value {
    let mut response = json!({"modelVersion": ask.model.snapshot, "responseId": id});
    if !candidates.is_null() {
        response["candidates"] = candidates;
    }
    if let Some(usage) = usage {
        response["usageMetadata"] = usage;
    }
    if own.dialect == Dialect::Vertex {
        response["createTime"] = json!("2026-11-21T00:00:00.000000Z");
    }
    response
}

fn parts(own: &Own, candidate: &Candidate, ids: &mut Scatter) -> Vec<Value> {
    let mut parts = Vec::new();
    if let Some(thought) = &candidate.thinking {
        parts.push(json!({"text": thought, "thought": true}));
    }
    if !candidate.text.is_empty() || (candidate.calls.is_empty() && candidate.finish != Finish::Length) {
        parts.push(json!({"text": candidate.text}));
    }
    parts.extend(candidate.calls.iter().map(call));
    if own.signs {
        let first_call = parts.iter().position(|part| !part["functionCall"].is_null());
        let signed = first_call.or(parts.len().checked_sub(1));
        if let Some(part) = signed.and_then(|place| parts.get_mut(place)) {
            part["thoughtSignature"] = json!(signature::new(ids));
        }
    }
    parts
}

/// A function call: whole, its arguments an object, which is left out where it is empty.
pub(super) fn call(call: &Call) -> Value {
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
    let mut told = json!({"name": call.name});
    if arguments.as_object().is_some_and(|fields| !fields.is_empty()) {
        told["args"] = arguments;
    }
    if !call.id.is_empty() {
        told["id"] = json!(call.id);
    }
    json!({"functionCall": told})
}

pub(super) fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Length => "MAX_TOKENS",
        Finish::Filtered => "SAFETY",
        Finish::Stop | Finish::StopSequence(_) | Finish::Refusal | Finish::ToolCalls => "STOP",
    }
}

pub(super) fn logprobs(text: &str) -> Value {
    let chosen: Vec<Value> = tokens::split(text)
        .map(|token| json!({"token": token, "tokenId": 1 + token.len(), "logProbability": -0.125}))
        .collect();
    let top: Vec<Value> = chosen.iter().map(|token| json!({"candidates": [token]})).collect();
    json!({"chosenCandidates": chosen, "topCandidates": top})
}

/// Usage so far, in the API's convention: cached tokens are a part of the prompt's, thoughts stand
/// beside the candidates', and what is zero is left out.
pub(super) fn usage(ask: &Ask, own: &Own, progress: Progress) -> Value {
    let prompt = ask.prompt.input + ask.prompt.cache_read;
    let mut usage = json!({
        "promptTokenCount": prompt,
        "totalTokenCount": prompt + progress.output + progress.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    });
    for (name, count) in [
        ("candidatesTokenCount", progress.output),
        ("thoughtsTokenCount", progress.reasoning),
        ("cachedContentTokenCount", ask.prompt.cache_read),
    ] {
        if count > 0 {
            usage[name] = json!(count);
        }
    }
    if ask.prompt.cache_read > 0 {
        usage["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": ask.prompt.cache_read}]);
    }
    match own.dialect {
        Dialect::Gemini => usage["serviceTier"] = json!("standard"),
        Dialect::Vertex => usage["trafficType"] = json!("ON_DEMAND"),
    }
    usage
}
