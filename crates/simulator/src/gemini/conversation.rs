//! What the API refuses in a conversation: empty parts, unknown media, calls and results out of place,
//! signatures that are missing or foreign.

use serde_json::Value;

use super::refusal::{invalid, invalid_field};
use super::rules::thinks_in_levels;
use super::signature;
use crate::price::Model;
use crate::refusal::Refusal;

/// Media that a model reads inline: <https://ai.google.dev/gemini-api/docs/file-input-methods>.
const MEDIA: [&str; 27] = [
    "application/json",
    "application/pdf",
    "application/rtf",
    "audio/aac",
    "audio/aiff",
    "audio/flac",
    "audio/mp3",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "image/bmp",
    "image/heic",
    "image/heif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/markdown",
    "text/plain",
    "text/xml",
    "video/mp4",
    "video/mpeg",
    "video/quicktime",
    "video/webm",
];

/// The parts of a content.
pub(super) fn parts(content: &Value) -> impl Iterator<Item = &Value> {
    content["parts"].as_array().into_iter().flatten()
}

/// Whether a part is of this kind.
fn has(kind: &'static str) -> impl Fn(&&Value) -> bool {
    move |part| !part[kind].is_null()
}

/// The first rule that a conversation breaks.
pub(super) fn check(body: &Value, model: &Model) -> Result<(), Refusal> {
    let contents = body["contents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if contents.is_empty() {
        return Err(invalid_field("contents", "contents is not specified"));
    }
    for (place, content) in contents.iter().enumerate() {
        let at = format!("contents[{place}]");
        if content["role"].as_str().is_some_and(|role| !matches!(role, "user" | "model" | "function" | "")) {
            return Err(invalid("Please use a valid role: user, model."));
        }
        if parts(content).next().is_none() {
            return Err(invalid_field(&format!("{at}.parts"), "contents.parts must not be empty."));
        }
        for (part_place, part) in parts(content).enumerate() {
            self::part(part, &format!("{at}.parts[{part_place}]"))?;
        }
    }
    if parts(&body["systemInstruction"]).any(|part| part["text"].is_null()) {
        return Err(invalid("System instruction must contain only text parts."));
    }
    calls(contents)?;
    if thinks_in_levels(model) { signatures(contents) } else { Ok(()) }
}

fn part(part: &Value, at: &str) -> Result<(), Refusal> {
    let kinds = [
        "text",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
        "audioTranscription",
    ];
    if kinds.iter().all(|kind| part[*kind].is_null()) {
        return Err(invalid_field(
            &format!("{at}.data"),
            "required oneof field 'data' must have one initialized field",
        ));
    }
    if part["thoughtSignature"].as_str().is_some_and(|given| !signature::is_known(given)) {
        return Err(invalid("Thought signature is not valid."));
    }
    if part["inlineData"].is_object() {
        let kind = part["inlineData"]["mimeType"].as_str().unwrap_or_default();
        if !MEDIA.contains(&kind) {
            return Err(invalid(format!("Unsupported MIME type: {kind}")));
        }
        if part["inlineData"]["data"].as_str().is_none_or(str::is_empty) {
            return Err(invalid_field(&format!("{at}.inline_data.data"), "must not be empty."));
        }
    }
    if part["fileData"].is_object() {
        let uri = part["fileData"]["fileUri"].as_str().unwrap_or_default();
        if !["https://", "http://", "gs://"].iter().any(|scheme| uri.starts_with(scheme)) {
            return Err(invalid(format!("Invalid or unsupported file uri: {uri}")));
        }
    }
    for kind in ["functionCall", "functionResponse"] {
        if part[kind].is_object() && part[kind]["name"].as_str().is_none_or(str::is_empty) {
            let field = if kind == "functionCall" { "function_call" } else { "function_response" };
            return Err(invalid_field(&format!("{at}.{field}.name"), "Name cannot be empty."));
        }
    }
    Ok(())
}

/// A turn with calls follows a turn of the user, and one with as many results follows it.
fn calls(contents: &[Value]) -> Result<(), Refusal> {
    let mut before: Option<&Value> = None;
    for content in contents {
        let calls = parts(content).filter(has("functionCall")).count();
        let results = parts(content).filter(has("functionResponse")).count();
        let called = before.map_or(0, |before| parts(before).filter(has("functionCall")).count());
        if calls > 0 && (content["role"] != "model" || before.is_none_or(|before| before["role"] == "model"))
        {
            return Err(invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function \
                 response turn.",
            ));
        }
        if results > 0 && called == 0 {
            return Err(invalid(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        if results != called && (results > 0 || called > 0) {
            return Err(invalid(
                "Please ensure that the number of function response parts is equal to the number of function call \
                 parts of the function call turn.",
            ));
        }
        before = Some(content);
    }
    match before {
        Some(last) if parts(last).any(|part| !part["functionCall"].is_null()) => Err(invalid(
            "Please ensure that single turn requests end with a user role or the role field is empty.",
        )),
        _ => Ok(()),
    }
}

/// Since the last text of the user, the first call of each turn has its signature.
fn signatures(contents: &[Value]) -> Result<(), Refusal> {
    let is_users_text =
        |content: &Value| content["role"] != "model" && parts(content).any(|part| !part["text"].is_null());
    let start = contents.iter().rposition(is_users_text).unwrap_or(0);
    for (place, content) in contents.iter().enumerate().skip(start) {
        let first = parts(content).find(has("functionCall"));
        if let Some(call) = first.filter(|part| part["thoughtSignature"].is_null()) {
            return Err(invalid(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to \
                 work correctly, and missing thought_signature may lead to degraded model performance. Additional \
                 data, function call `default_api:{}` , position {}. Please refer to \
                 https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                call["functionCall"]["name"].as_str().unwrap_or_default(),
                place + 1
            )));
        }
    }
    Ok(())
}
