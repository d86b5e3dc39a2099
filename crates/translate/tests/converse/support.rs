//! What the cases share: translating, and showing what comes of it.

use serde_json::Value;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::{
    AnswerTarget, Conversation, Losses, RequestTarget, Translated, adapter, request, response,
};
use weighbridge_units::{Loss, Protocol};

pub(crate) const CHAT: Protocol = Protocol::OpenAiChat;
pub(crate) const ANTHROPIC: Protocol = Protocol::AnthropicMessages;
pub(crate) const CONVERSE: Protocol = Protocol::BedrockConverse;

pub(crate) const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
pub(crate) const NOVA: &str = "us.amazon.nova-lite-v1:0";

pub(crate) const ANSWER: AnswerTarget<'_> = AnswerTarget::new("made-up", 1_700_000_000).model(CLAUDE);

pub(crate) fn raw(text: &str) -> Raw<'_> {
    Raw::parse(text, &ScanLimits::default()).unwrap()
}

pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// One field per line, so that a change shows where it is; losses below.
pub(crate) fn shown(body: &[u8], losses: &[Loss]) -> String {
    let text = std::str::from_utf8(body).unwrap();
    let mut lines = Vec::new();
    for (name, value) in weighbridge_protocol::json::Fields::read(raw(text)).unwrap().rest().iter() {
        match value.items() {
            Ok(items) if items.clone().next().is_some() => {
                lines.push(format!("{name}:"));
                lines.extend(items.map(|item| format!("  {}", item.text())));
            }
            _ => lines.push(format!("{name}: {}", value.text())),
        }
    }
    lines.push("---".into());
    lines.extend(losses.iter().map(|loss| format!("{loss} [{}]", loss.needed)));
    lines.join("\n")
}

pub(crate) fn request_to(model: &str, from: Protocol, body: &str) -> String {
    let translated = request(from, CONVERSE, body, &RequestTarget::new(model)).unwrap();
    shown(&translated.value, &translated.losses)
}

pub(crate) fn request_from(to: Protocol, body: &str) -> String {
    let target = RequestTarget { max_output_default: 1000, ..RequestTarget::new("target-model") };
    let translated = request(CONVERSE, to, body, &target).unwrap();
    shown(&translated.value, &translated.losses)
}

pub(crate) fn answer_shown(from: Protocol, to: Protocol, body: &str) -> String {
    let Translated { value: (body, _), losses } = response(from, to, body, &ANSWER).unwrap();
    shown(&body, &losses)
}

/// A conversation that was built by hand, written for a model.
pub(crate) fn built(conversation: &Conversation<'_>, model: &str) -> (Value, Vec<Loss>) {
    let mut losses = Losses::new(conversation.source, CONVERSE);
    let body = adapter(CONVERSE).encode_request(conversation, &RequestTarget::new(model), &mut losses);
    (json(&body), losses.into_list("null"))
}
