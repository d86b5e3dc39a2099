//! What a request needs beside text, and what it says: for rules, and for finding out which models can serve it.

use std::borrow::Cow;

use memchr::memmem;
use weighbridge_protocol::Body;
use weighbridge_protocol::json::{Kind, Raw};
use weighbridge_units::{Feature, Features, Protocol};

/// Which of `asked` a request needs. Only these are looked for, so that what no model lacks costs nothing.
pub(crate) fn needs(client: Protocol, body: &Body, asked: Features) -> Features {
    asked.iter().fold(Features::NONE, |found, feature| found.with(feature, has(client, body, feature)))
}

fn has(client: Protocol, body: &Body, feature: Feature) -> bool {
    match feature {
        Feature::Tools => has_tools(client, body),
        Feature::JsonSchema => has_schema(client, body),
        Feature::Images => has_part(client, body, ["image_url", "input_image", "image", "image/", "image"]),
        Feature::Audio => has_part(client, body, ["input_audio", "input_audio", "", "audio/", "audio"]),
        Feature::Documents => {
            has_part(client, body, ["file", "input_file", "document", "application/pdf", "document"])
        }
        _ => false,
    }
}

fn has_tools(client: Protocol, body: &Body) -> bool {
    let some = |raw: Raw<'_>| raw.items().is_ok_and(|mut items| items.next().is_some());
    match client {
        Protocol::BedrockConverse => body.get("toolConfig").is_some_and(|config| !config.is_null()),
        _ => [body.get("tools"), body.get("functions")].into_iter().flatten().any(some),
    }
}

fn has_schema(client: Protocol, body: &Body) -> bool {
    let is_schema = |format: Raw<'_>| format.get("type").and_then(text_of) == Some("json_schema".into());
    let is_said = |value: Option<Raw<'_>>| value.is_some_and(|value| !value.is_null());
    match client {
        Protocol::OpenAiChat => body.get("response_format").is_some_and(is_schema),
        Protocol::OpenAiResponses => {
            body.get("text").and_then(|text| text.get("format")).is_some_and(is_schema)
        }
        Protocol::AnthropicMessages => {
            is_said(body.get("output_format"))
                || is_said(body.get("output_config").and_then(|config| config.get("format")))
        }
        Protocol::GeminiGenerateContent => {
            let config = body.get("generationConfig").or_else(|| body.get("generation_config"));
            let names = ["responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"];
            config.is_some_and(|config| names.iter().any(|name| is_said(config.get(name))))
        }
        Protocol::BedrockConverse => is_said(body.get("outputConfig")),
    }
}

/// Whether the conversation has a part of a kind. `names` are how Chat Completions, Responses and Messages name its
/// type, how Gemini's media types of it begin, and the field that Converse has it in; an empty one is none.
///
/// What stands in a text has its quotes escaped, so that it is not taken for a part.
fn has_part(client: Protocol, body: &Body, names: [&str; 5]) -> bool {
    let [chat, responses, messages, media_type, converse] = names;
    let (name, form) = match client {
        Protocol::OpenAiChat => (chat, Form::Type),
        Protocol::OpenAiResponses => (responses, Form::Type),
        Protocol::AnthropicMessages => (messages, Form::Type),
        Protocol::GeminiGenerateContent => (media_type, Form::MediaType),
        Protocol::BedrockConverse => (converse, Form::Field),
    };
    let text = body.bytes();
    !name.is_empty() && memmem::find_iter(text, name.as_bytes()).any(|at| form.is_at(text, at, name.len()))
}

/// In what place a name tells that there is a part of its kind.
#[derive(Clone, Copy)]
enum Form {
    /// `"type": "name"`
    Type,
    /// `"mimeType": "name…"`
    MediaType,
    /// `"name": {`
    Field,
}

impl Form {
    fn is_at(self, text: &[u8], at: usize, length: usize) -> bool {
        let (before, after) =
            (text.get(..at).unwrap_or_default(), text.get(at + length..).unwrap_or_default());
        let Some(before) = before.strip_suffix(b"\"") else { return false };
        match self {
            Self::Type => after.starts_with(b"\"") && is_value_of(before, &["type"]),
            Self::MediaType => is_value_of(before, &["mimeType", "mime_type"]),
            Self::Field => {
                let rest = after.strip_prefix(b"\"").unwrap_or_default().trim_ascii_start();
                rest.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"{"))
            }
        }
    }
}

/// Whether what comes next is the value of a field of one of these names.
fn is_value_of(before: &[u8], names: &[&str]) -> bool {
    let Some(key) = before.trim_ascii_end().strip_suffix(b":") else { return false };
    let Some(key) = key.trim_ascii_end().strip_suffix(b"\"") else { return false };
    names.iter().any(|name| key.strip_suffix(name.as_bytes()).is_some_and(|rest| rest.ends_with(b"\"")))
}

/// What the user said last, and what the system says; empty where that is not text.
pub(crate) fn texts(client: Protocol, body: &Body) -> (Cow<'_, str>, Cow<'_, str>) {
    let (messages, system) = match client {
        Protocol::OpenAiChat => (body.get("messages"), None),
        Protocol::OpenAiResponses => (body.get("input"), body.get("instructions")),
        Protocol::AnthropicMessages | Protocol::BedrockConverse => (body.get("messages"), body.get("system")),
        Protocol::GeminiGenerateContent => {
            (body.get("contents"), body.get("systemInstruction").or_else(|| body.get("system_instruction")))
        }
    };
    let Some(messages) = messages else { return Default::default() };
    let Ok(items) = messages.items() else {
        return (text_of(messages).unwrap_or_default(), system.and_then(text_of).unwrap_or_default());
    };
    let (mut user, mut said) = (None, system);
    for message in items {
        match message.get("role").and_then(text_of).as_deref() {
            // What a tool gave back is no message of the user's, though some protocols have it in their name.
            Some("user") | None if spoken(message).and_then(text_of).is_some() => user = Some(message),
            Some("system" | "developer") => said = said.or(Some(message)),
            _ => {}
        }
    }
    let text = |message: Raw<'_>| spoken(message).and_then(text_of).map(|text| text.into_owned().into());
    let user = user.and_then(text).unwrap_or_default();
    (
        user,
        said.and_then(|said| text_of(spoken(said).unwrap_or(said)).map(|text| text.into_owned().into()))
            .unwrap_or_default(),
    )
}

/// What a message holds.
fn spoken(message: Raw<'_>) -> Option<Raw<'_>> {
    message.get("content").or_else(|| message.get("parts"))
}

/// The text of a value: of a string, of the field `text`, or of a list of either. Its last one, where there are
/// several: files that tools put in front of what is asked come first.
fn text_of(value: Raw<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::String => value.str().ok(),
        Kind::Object => value.get("text").and_then(|text| text.str().ok()),
        Kind::Array => value.items().ok()?.filter_map(text_of).last(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weighbridge_protocol::json::ScanLimits;

    use super::*;

    const ALL: Features = Features::of(&Feature::ALL);

    fn body(text: &str) -> Body {
        Body::scan(Bytes::copy_from_slice(text.as_bytes()), &ScanLimits::default()).unwrap()
    }

    fn found(client: Protocol, text: &str) -> String {
        needs(client, &body(text), ALL).to_string()
    }

    #[test]
    fn each_protocol_has_its_words_for_what_is_needed() {
        use Protocol::*;
        let chat = r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}},
            {"type" : "input_audio","input_audio":{}},{"type":"file","file":{}}]}],
            "tools":[{}],"response_format":{"type":"json_schema","json_schema":{}}}"#;
        assert_eq!(found(OpenAiChat, chat), "tools, images, audio, documents, json-schema");
        let responses = r#"{"input":[{"content":[{"type":"input_image"},{"type":"input_file"}]}],
            "text":{"format":{"type":"json_schema"}},"tools":[]}"#;
        assert_eq!(found(OpenAiResponses, responses), "images, documents, json-schema");
        let messages =
            r#"{"messages":[{"role":"user","content":[{"type":"image"},{"type":"document"}]}],"tools":[{}]}"#;
        assert_eq!(found(AnthropicMessages, messages), "tools, images, documents");
        let gemini = r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png"}},{"fileData":{"mime_type":"audio/mp3"}}]}],
            "generationConfig":{"responseSchema":{}}}"#;
        assert_eq!(found(GeminiGenerateContent, gemini), "images, audio, json-schema");
        let converse = r#"{"messages":[{"content":[{"image":{"format":"png"}},{"document":{}}]}],"toolConfig":{"tools":[]}}"#;
        assert_eq!(found(BedrockConverse, converse), "tools, images, documents");
    }

    #[test]
    fn what_is_only_talked_about_is_not_needed() {
        use Protocol::*;
        let chat = r#"{"messages":[{"role":"user","content":"write {\"type\":\"image_url\"} and \"input_audio\""},
            {"role":"user","content":"image_url"}],"tools":null,"response_format":{"type":"json_object"}}"#;
        assert_eq!(found(OpenAiChat, chat), "");
        assert_eq!(found(AnthropicMessages, r#"{"messages":[{"role":"user","content":"image"}]}"#), "");
        assert_eq!(found(BedrockConverse, r#"{"messages":[{"content":[{"text":"image"}]}],"image":3}"#), "");
        assert_eq!(needs(OpenAiChat, &body(r#"{"tools":[{}]}"#), Features::NONE), Features::NONE);
    }

    #[test]
    fn the_last_words_of_the_user_are_found() {
        use Protocol::*;
        let of = |client, text: &str| {
            let body = body(text);
            let (user, system) = texts(client, &body);
            (user.into_owned(), system.into_owned())
        };
        let pair = |user: &str, system: &str| (user.to_owned(), system.to_owned());
        let chat = r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"one"},
            {"role":"assistant","content":"two"},{"role":"user","content":[{"type":"text","text":"file"},{"type":"text","text":"three"}]},
            {"role":"tool","content":"four"}]}"#;
        assert_eq!(of(OpenAiChat, chat), pair("three", "Be kind."));
        assert_eq!(
            of(OpenAiResponses, r#"{"input":"hello","instructions":"Be kind."}"#),
            pair("hello", "Be kind.")
        );
        let responses = r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call_output","output":"b"}]}"#;
        assert_eq!(of(OpenAiResponses, responses), pair("a", ""));
        let messages = r#"{"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":"a"},
            {"role":"user","content":[{"type":"tool_result","content":"b"}]}]}"#;
        assert_eq!(of(AnthropicMessages, messages), pair("a", "S"));
        let gemini = r#"{"systemInstruction":{"parts":[{"text":"S"}]},"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"b"}]}]}"#;
        assert_eq!(of(GeminiGenerateContent, gemini), pair("a", "S"));
        assert_eq!(of(OpenAiChat, r#"{"messages":[]}"#), pair("", ""));
        assert_eq!(of(OpenAiChat, r#"{"messages":7}"#), pair("", ""));
    }
}
