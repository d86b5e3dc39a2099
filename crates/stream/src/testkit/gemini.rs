use std::collections::BTreeMap;

use serde_json::Value;

use super::{Grammar, Verdict, ensure, need, parse};

/// <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>: every chunk is a
/// whole response. Nothing marks the end: the answer is complete where every candidate has a finish
/// reason, or the prompt was refused, and the body ends. An error ends it anywhere.
#[derive(Debug, Default)]
pub(super) struct GeminiGrammar {
    /// Whether each candidate has finished.
    candidates: BTreeMap<u64, bool>,
    is_blocked: bool,
}

/// What a part holds: exactly one of these.
const DATA: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

/// The fields of a chunk that Google's SDK knows, and those that the service adds.
const FIELDS: [&str; 7] = [
    "candidates",
    "promptFeedback",
    "usageMetadata",
    "modelVersion",
    "createTime",
    "responseId",
    "modelStatus",
];

const COUNTS: [&str; 6] = [
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "cachedContentTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
];

const FINISH_REASONS: [&str; 24] = [
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "CONTINUATION",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
    "FINISH_REASON_UNSPECIFIED",
];

impl Grammar for GeminiGrammar {
    fn step(&mut self, name: Option<&[u8]>, data: &[u8]) -> Result<Verdict, String> {
        ensure(name.is_none(), "events of this protocol have no name")?;
        let chunk = parse(data)?;
        if let Some(error) = chunk.get("error") {
            need(error, "code", Value::is_u64)?;
            need(error, "message", Value::is_string)?;
            need(error, "status", Value::is_string)?;
            return Ok(Verdict::EndedWithError);
        }
        let fields = chunk.as_object().ok_or("a chunk that is no object")?;
        for name in fields.keys() {
            ensure(FIELDS.contains(&name.as_str()), &format!("a chunk has no field `{name}`"))?;
        }
        for field in ["modelVersion", "responseId", "createTime"] {
            optional(&chunk, field, Value::is_string)?;
        }
        for candidate in list(&chunk, "candidates")? {
            self.candidate(candidate)?;
        }
        if let Some(feedback) = chunk.get("promptFeedback") {
            optional(feedback, "blockReason", Value::is_string)?;
            self.is_blocked |= feedback.get("blockReason").is_some();
        }
        if let Some(usage) = chunk.get("usageMetadata") {
            for count in COUNTS {
                optional(usage, count, Value::is_u64)?;
            }
        }
        Ok(Verdict::Unfinished)
    }

    fn at_end(&self) -> Verdict {
        let finished = !self.candidates.is_empty() && self.candidates.values().all(|finished| *finished);
        if finished || (self.candidates.is_empty() && self.is_blocked) {
            Verdict::EndedWell
        } else {
            Verdict::Unfinished
        }
    }
}

impl GeminiGrammar {
    fn candidate(&mut self, candidate: &Value) -> Result<(), String> {
        optional(candidate, "index", Value::is_u64)?;
        let index = candidate.get("index").and_then(Value::as_u64).unwrap_or_default();
        let finished = self.candidates.entry(index).or_default();
        if let Some(reason) = candidate.get("finishReason") {
            let known = reason.as_str().is_some_and(|reason| FINISH_REASONS.contains(&reason));
            ensure(known, "an unknown finish reason")?;
            *finished = true;
        }
        optional(candidate, "finishMessage", Value::is_string)?;
        if let Some(content) = candidate.get("content") {
            optional(content, "role", |role| role == "model")?;
            list(content, "parts")?.iter().try_for_each(part)?;
        }
        if let Some(grounding) = candidate.get("groundingMetadata") {
            grounded(grounding)?;
        }
        if let Some(logprobs) = candidate.get("logprobsResult") {
            list(logprobs, "chosenCandidates")?.iter().try_for_each(token)?;
            for place in list(logprobs, "topCandidates")? {
                list(place, "candidates")?.iter().try_for_each(token)?;
            }
        }
        Ok(())
    }
}

fn part(part: &Value) -> Result<(), String> {
    let held = DATA.iter().filter(|name| part.get(**name).is_some()).count();
    ensure(held == 1, "a part holds not exactly one thing")?;
    optional(part, "text", Value::is_string)?;
    optional(part, "thought", Value::is_boolean)?;
    optional(part, "thoughtSignature", is_base64)?;
    if let Some(blob) = part.get("inlineData") {
        need(blob, "mimeType", Value::is_string)?;
        need(blob, "data", is_base64)?;
    }
    if let Some(call) = part.get("functionCall") {
        let is_piece =
            call.get("partialArgs").is_some() || call.as_object().is_some_and(|call| call.is_empty());
        if !is_piece && call.get("willContinue").is_none() {
            need(call, "name", |name| name.as_str().is_some_and(|name| !name.is_empty()))?;
        }
        optional(call, "args", Value::is_object)?;
        optional(call, "id", |id| id.as_str().is_some_and(|id| !id.is_empty()))?;
    }
    Ok(())
}

fn token(token: &Value) -> Result<(), String> {
    need(token, "token", Value::is_string)?;
    optional(token, "logProbability", Value::is_number)
}

/// Every source that a support names is there.
fn grounded(grounding: &Value) -> Result<(), String> {
    let chunks = list(grounding, "groundingChunks")?.len();
    for support in list(grounding, "groundingSupports")? {
        let segment = support.get("segment").unwrap_or(&Value::Null);
        optional(segment, "startIndex", Value::is_u64)?;
        optional(segment, "endIndex", Value::is_u64)?;
        for index in list(support, "groundingChunkIndices")? {
            let is_there = index.as_u64().is_some_and(|index| index < chunks as u64);
            ensure(is_there, "a support names a source that is not there")?;
        }
    }
    Ok(())
}

/// Checks a field that may be left out.
fn optional(object: &Value, field: &str, kind: fn(&Value) -> bool) -> Result<(), String> {
    if object.get(field).is_some() { need(object, field, kind) } else { Ok(()) }
}

/// The items of a list that may be left out.
fn list<'v>(object: &'v Value, field: &str) -> Result<&'v [Value], String> {
    match object.get(field) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("`{field}` is no list")),
    }
}

/// Of either alphabet; SDKs decode it.
fn is_base64(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    digits.bytes().all(is_digit) && digits.len() % 4 != 1
}
