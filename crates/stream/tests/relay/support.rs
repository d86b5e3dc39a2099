//! What the tests of relays share: running a stream through one, cutting it, and small streams.

use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_stream::{End, Facts, Framing, Relay, RelayOptions, RelayState, StreamForm};
use weighbridge_translate::ApiError;
use weighbridge_units::{ErrorClass, Protocol};

pub(crate) use weighbridge_units::Protocol::{
    AnthropicMessages, BedrockConverse, GeminiGenerateContent, OpenAiChat, OpenAiResponses,
};

/// Every provider to every client. No client speaks Converse, but what simulated providers say is written
/// in it.
pub(crate) fn pairs() -> impl Iterator<Item = (Protocol, Protocol)> {
    Protocol::ALL
        .into_iter()
        .flat_map(|provider| Protocol::ALL.into_iter().map(move |client| (provider, client)))
}

pub(crate) fn options(provider: Protocol, client: Protocol) -> RelayOptions<'static> {
    RelayOptions {
        provider,
        framing: Framing::Sse,
        client,
        hide_usage: false,
        show_usage: true,
        form: StreamForm::Events,
        id_fallback: "fallback-1",
        model_fallback: "asked-for",
        created: 1_700_000_000,
        request_id: "req_1",
        legacy_functions: false,
    }
}

/// What came of a stream.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
    pub(crate) committed: bool,
}

impl Ran {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub(crate) fn facts(&self) -> &Facts {
        self.end.facts()
    }

    pub(crate) fn error(&self) -> &ApiError {
        match &self.end {
            End::Broken(error, _) => error,
            End::Complete(_) => panic!("it ended well:\n{}", String::from_utf8_lossy(&self.bytes)),
        }
    }
}

/// Runs pieces through a relay, as the pipeline does: it stops at the first end that the relay sees.
pub(crate) fn run<'p>(options: &RelayOptions<'_>, pieces: impl IntoIterator<Item = &'p [u8]>) -> Ran {
    run_cut(options, pieces, None)
}

pub(crate) fn run_cut<'p>(
    options: &RelayOptions<'_>,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    cut: Option<ApiError>,
) -> Ran {
    let mut relay = Relay::new(options);
    let mut out = VecDeque::new();
    for piece in pieces {
        relay.push(Bytes::copy_from_slice(piece), &mut out);
        if relay.state() != RelayState::Running {
            break;
        }
    }
    let committed = relay.committed();
    let end = relay.finish(cut, &mut out);
    let bytes = out.into_iter().flat_map(|bytes| bytes.to_vec()).collect();
    Ran { bytes, end, committed }
}

pub(crate) fn run_text(options: &RelayOptions<'_>, stream: &str) -> Ran {
    run(options, [stream.as_bytes()])
}

/// Cuts a stream into pieces of these sizes, again and again.
pub(crate) fn cut<'s>(stream: &'s [u8], sizes: &[usize]) -> Vec<&'s [u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

pub(crate) fn connection_lost() -> ApiError {
    ApiError::new(ErrorClass::Server, "The provider's stream broke off.")
}

/// A chat stream of these `choices`, each a JSON array, then `[DONE]`.
pub(crate) fn chat(choices: &[&str]) -> String {
    let mut stream: String = choices.iter().map(|choices| chat_chunk(choices, "")).collect();
    stream.push_str("data: [DONE]\n\n");
    stream
}

/// One chunk with a JSON array of choices and more fields, each led by a comma.
pub(crate) fn chat_chunk(choices: &str, more: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"created\":1700000001,\
         \"model\":\"gpt-x\",\"choices\":{choices}{more}}}\n\n"
    )
}

/// A choice with a delta and no finish reason.
pub(crate) fn delta(delta: &str) -> String {
    format!("[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]")
}

/// A choice with a finish reason and no content.
pub(crate) fn finish(reason: &str) -> String {
    format!("[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]")
}

/// An Anthropic stream of these events, each a JSON object.
pub(crate) fn anthropic(events: &[&str]) -> String {
    events
        .iter()
        .map(|event| {
            let kind = event.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next());
            format!("event: {}\ndata: {event}\n\n", kind.unwrap_or_default())
        })
        .collect()
}

pub(crate) const MESSAGE_START: &str = r#"{"type":"message_start","message":{"id":"msg_7","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":11,"cache_read_input_tokens":5,"output_tokens":1}}}"#;
pub(crate) const MESSAGE_DELTA: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}"#;
pub(crate) const MESSAGE_STOP: &str = r#"{"type":"message_stop"}"#;

pub(crate) fn block_start(index: u32, block: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
}

pub(crate) fn block_delta(index: u32, delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#)
}

pub(crate) fn block_stop(index: u32) -> String {
    format!(r#"{{"type":"content_block_stop","index":{index}}}"#)
}

pub(crate) const TEXT_BLOCK: &str = r#"{"type":"text","text":""}"#;

pub(crate) fn text_delta(text: &str) -> String {
    format!(r#"{{"type":"text_delta","text":"{text}"}}"#)
}

/// A ConverseStream of these frames, each a name and a payload, in the form of server-sent events.
pub(crate) fn converse(frames: &[(&str, &str)]) -> String {
    frames.iter().map(|(name, payload)| format!("event: {name}\ndata: {payload}\n\n")).collect()
}

pub(crate) const CONVERSE_START: (&str, &str) = ("messageStart", r#"{"p":"abc","role":"assistant"}"#);
pub(crate) const CONVERSE_STOP: (&str, &str) = ("messageStop", r#"{"p":"ab","stopReason":"end_turn"}"#);
pub(crate) const CONVERSE_METADATA: (&str, &str) = (
    "metadata",
    r#"{"metrics":{"latencyMs":5},"p":"a","usage":{"inputTokens":11,"outputTokens":7,"totalTokens":23,"cacheReadInputTokens":5}}"#,
);
