//! What the cases share.

use serde_json::Value;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::{AnswerTarget, RequestTarget, request, response};
use weighbridge_units::Loss;
use weighbridge_units::Protocol::{
    self, AnthropicMessages as Anthropic, GeminiGenerateContent as Gemini, OpenAiChat as Chat,
};

pub(crate) const ANSWER: AnswerTarget<'_> = AnswerTarget::new("made-up", 1_700_000_000);

/// One field per line, and one item of a list, so that a change shows where it is.
pub(crate) fn shown(body: &[u8], losses: &[Loss]) -> String {
    let body = std::str::from_utf8(body).unwrap();
    let root = Raw::parse(body, &ScanLimits::default()).unwrap();
    let mut names: Vec<(usize, String)> = serde_json::from_str::<Value>(body)
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .map(|name| (root.get(name).unwrap().text().as_ptr().addr(), name.clone()))
        .collect();
    names.sort();
    let lines = names.iter().map(|(_, name)| {
        let value = root.get(name).unwrap();
        match value.items() {
            Ok(items) => {
                format!("{name}:{}", items.map(|item| format!("\n  {}", item.text())).collect::<String>())
            }
            Err(_) => format!("{name}: {}", value.text()),
        }
    });
    let losses: String = losses.iter().map(|loss| format!("\n{loss} [{}]", loss.needed)).collect();
    format!("{}\n---{losses}", lines.collect::<Vec<_>>().join("\n"))
}

/// A request of one protocol, as each of the others gets it.
pub(crate) fn requests(from: Protocol, to: &[(Protocol, &str)], body: &str) -> String {
    let one = |(to, model): &(Protocol, &str)| {
        let target = RequestTarget { max_output_default: 1000, ..RequestTarget::new(model) };
        let translated = request(from, *to, body, &target).unwrap();
        format!("== {to} {model}\n{}", shown(&translated.value, &translated.losses))
    };
    to.iter().map(one).collect::<Vec<_>>().join("\n")
}

pub(crate) const OTHERS: [(Protocol, &str); 2] = [(Chat, "gpt-x"), (Anthropic, "claude-x")];

pub(crate) fn to_gemini(from: Protocol, body: &str) -> String {
    requests(from, &[(Gemini, "gemini-3-flash-preview")], body)
}

pub(crate) fn answers(from: Protocol, to: &[Protocol], body: &str) -> String {
    let one = |to: &Protocol| {
        let translated = response(from, *to, body, &ANSWER).unwrap();
        format!("== {to}\n{}", shown(&translated.value.0, &translated.losses))
    };
    to.iter().map(one).collect::<Vec<_>>().join("\n")
}

pub(crate) fn back(body: &str) -> String {
    let translated = request(Gemini, Gemini, body, &RequestTarget::new("gemini-3-pro")).unwrap();
    assert!(translated.losses.is_empty(), "{:?}", translated.losses);
    String::from_utf8(translated.value).unwrap()
}
