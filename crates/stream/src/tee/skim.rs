//! What can be seen of a frame without parsing it.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_units::Protocol;

type Key = LazyLock<Finder<'static>>;

static USAGE: Key = LazyLock::new(|| Finder::new("\"usage\""));
static FINISH_REASON: Key = LazyLock::new(|| Finder::new("\"finish_reason\""));
static ERROR: Key = LazyLock::new(|| Finder::new("\"error\""));
static TYPE: Key = LazyLock::new(|| Finder::new("\"type\""));
static ARGS: Key = LazyLock::new(|| Finder::new("\"args\""));
static DELTA: Key = LazyLock::new(|| Finder::new("\"delta\""));

/// Fields that hold what the model wrote.
pub(super) const CONTENT: [&[u8]; 11] = [
    b"content",
    b"delta",
    b"text",
    b"arguments",
    b"partial_json",
    b"thinking",
    b"reasoning_content",
    b"reasoning",
    b"refusal",
    // Of calls whose arguments Vertex AI streams value by value.
    b"jsonPath",
    b"stringValue",
];

/// Whether a frame may say more than content. When in doubt it does: then it is read.
///
/// A frame that does not close its object is read too: it is corrupt, or a comment.
pub(super) fn is_telling(protocol: Protocol, frame: &[u8]) -> bool {
    if !frame.trim_ascii_end().ends_with(b"}") {
        return true;
    }
    match protocol {
        Protocol::OpenAiChat => {
            // `[DONE]`, comments, named events: rare, and quickly read.
            !frame.starts_with(b"data: {")
                || [&USAGE, &FINISH_REASON, &ERROR]
                    .iter()
                    .any(|key| values(frame, key).any(|value| !value.starts_with(b"n")))
        }
        Protocol::AnthropicMessages => values(frame, &TYPE)
            .next()
            .is_none_or(|kind| !kind.starts_with(b"\"content_block_") && !kind.starts_with(b"\"ping\"")),
        // Whether items are calls is in their first and last events.
        Protocol::OpenAiResponses => !is_responses_delta(frame),
        _ => true,
    }
}

/// Whether a frame's data is JSON at all: what is not breaks the stream, whatever it might have told.
pub(super) fn is_sound(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| Raw::parse(text, &ScanLimits::default()).is_ok())
}

/// Whether a frame is an event of Responses that adds to something. Its name says so, or, where it has
/// none, its type.
fn is_responses_delta(frame: &[u8]) -> bool {
    if let Some(name) = frame.strip_prefix(b"event:") {
        let line = name.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        return line.trim_ascii().ends_with(b".delta");
    }
    values(frame, &TYPE).any(|kind| {
        let kind = next_string(kind).map_or(&b""[..], |(kind, _)| kind);
        kind.starts_with(b"response.") && kind.ends_with(b".delta")
    })
}

/// How many bytes of JSON text in a frame are content.
pub(super) fn content_bytes(protocol: Protocol, frame: &[u8]) -> u64 {
    let start = content_start(protocol, frame);
    let mut rest = start.and_then(|start| frame.get(start..)).unwrap_or_default();
    let mut key: &[u8] = b"";
    let mut content = match protocol {
        Protocol::GeminiGenerateContent => objects(frame, &ARGS),
        _ => 0,
    };
    while let Some((string, after)) = next_string(rest) {
        rest = after;
        if after.trim_ascii_start().starts_with(b":") {
            key = string;
        } else if CONTENT.contains(&key) {
            content += string.len() as u64;
        }
    }
    content
}

/// Where a frame's content begins at the earliest, if it can have any.
pub(super) fn content_start(protocol: Protocol, frame: &[u8]) -> Option<usize> {
    match protocol {
        // What stands before a chunk's delta is the same in every chunk.
        Protocol::OpenAiChat => DELTA.find(frame),
        // Everything that comes in pieces is repeated whole.
        Protocol::OpenAiResponses if !is_responses_delta(frame) => None,
        _ => Some(0),
    }
}

/// How long the objects are that are fields of that name.
fn objects(frame: &[u8], key: &Key) -> u64 {
    values(frame, key).filter(|value| value.starts_with(b"{")).map(|value| object_length(value) as u64).sum()
}

/// How long the object is that a text starts with.
fn object_length(text: &[u8]) -> usize {
    let (mut open, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => match next_string(text.get(at..).unwrap_or_default()) {
                Some((_, after)) => at = text.len() - after.len(),
                None => return text.len(),
            },
            b'{' => open += 1,
            b'}' if open == 1 => return at + 1,
            b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if *byte != b'"' {
            at += 1;
        }
    }
    text.len()
}

/// What follows each place where a field of that name stands.
fn values<'f>(frame: &'f [u8], key: &'f Key) -> impl Iterator<Item = &'f [u8]> {
    key.find_iter(frame).filter_map(|at| {
        let after = frame.get(at + key.needle().len()..)?.trim_ascii_start();
        Some(after.strip_prefix(b":")?.trim_ascii_start())
    })
}

/// The inside of the next JSON string, and what follows it.
pub(super) fn next_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.get(memchr(b'"', text)? + 1..)?;
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', inside.get(at..)?)?;
        if inside.get(at) == Some(&b'"') {
            return Some((inside.get(..at)?, inside.get(at + 1..)?));
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Protocol = Protocol::OpenAiChat;
    const ANTHROPIC: Protocol = Protocol::AnthropicMessages;

    #[test]
    fn content_alone_tells_nothing() {
        let chunk = br#"data: {"id":"x","choices":[{"index":0,"delta":{"content":"say \"usage\":1"},"finish_reason":null}],"usage": null}"#;
        assert!(!is_telling(CHAT, chunk));
        assert_eq!(content_bytes(CHAT, chunk), 15);
        let delta =
            br#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#;
        assert!(!is_telling(ANTHROPIC, delta));
        assert_eq!(content_bytes(ANTHROPIC, delta), 2);
    }

    #[test]
    fn facts_are_told() {
        for chunk in [
            r#"data: {"choices":[],"usage" : {"prompt_tokens":1}}"#,
            r#"data: {"choices":[{"index":0,"delta":{},"finish_reason": "stop"}]}"#,
            r#"data: {"choices":[{"finish_reason":null},{"finish_reason":"stop"}]}"#,
            r#"data: {"error":{"message":"no"}}"#,
            "data: [DONE]\n\n",
            "data:{}",
            r#"data: {"choices":[{"index":0,"delta":{"content":"cut"#,
        ] {
            assert!(is_telling(CHAT, chunk.as_bytes()), "{chunk}");
        }
        for event in ["message_start", "message_delta", "message_stop", "error", "new"] {
            let frame = format!(r#"data: {{ "type" : "{event}"}}"#);
            assert!(is_telling(ANTHROPIC, frame.as_bytes()), "{frame}");
        }
    }

    #[test]
    fn arguments_of_gemini_are_objects() {
        let chunk = br#"data: {"candidates":[{"content":{"parts":[{"text":"Hi"},{"functionCall":{"name":"f","args":{"a":{"}":"\"{"}}}}]}}]}"#;
        assert_eq!(content_bytes(Protocol::GeminiGenerateContent, chunk), 2 + 17);
        assert_eq!(object_length(b"{\"a"), 3);
    }

    #[test]
    fn pieces_of_responses_tell_nothing_and_all_else_is_read() {
        const RESPONSES: Protocol = Protocol::OpenAiResponses;
        let named = b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n";
        let nameless =
            br#"data: {"delta":"Hi","logprobs":[],"obfuscation":"x","type":"response.output_text.delta"}"#;
        for frame in [&named[..], &nameless[..]] {
            assert!(!is_telling(RESPONSES, frame));
            assert_eq!(content_bytes(RESPONSES, frame), 2);
        }
        for kind in ["response.completed", "response.output_item.done", "response.output_text.done", "error"]
        {
            for frame in [
                format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"text\":\"Hi\"}}\n\n"),
                format!(r#"data: {{"text":"Hi","type":"{kind}"}}"#),
            ] {
                assert!(is_telling(RESPONSES, frame.as_bytes()), "{frame}");
                assert_eq!(content_bytes(RESPONSES, frame.as_bytes()), 0, "{frame}");
            }
        }
        // What a tool's schema says in the last event is not its name.
        let last = b"event: response.completed\ndata: {\"tools\":[{\"type\":\"response.x.delta\"}]}\n\n";
        assert!(is_telling(RESPONSES, last));
    }

    #[test]
    fn tool_arguments_are_content() {
        let chunk = br#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}"#;
        assert_eq!(content_bytes(CHAT, chunk), 7);
    }
}
