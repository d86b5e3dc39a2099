//! The tables of `docs/translation.md`: what the translator reads and writes for finish reasons, errors
//! and usage. What stands between their marks is made here.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use weighbridge_protocol::gemini::finish as gemini;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::conversation::{CallKind, ToolCall};
use weighbridge_translate::{
    Answer, AnswerTarget, ApiError, Candidate, Content, FinishReason, Losses, Part, Place, adapter,
    answer_facts, decode_error, encode_error,
};
use weighbridge_units::{Bucket, ErrorClass, Protocol, Usage};

use crate::cases::PROTOCOLS;
use crate::table::title;
use crate::{assert_held, hold};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/translation.md");

#[test]
#[expect(clippy::disallowed_methods, reason = "the page is a file")]
fn the_tables_of_the_page_are_what_the_translator_does() {
    let mut page = std::fs::read_to_string(PAGE).unwrap();
    for (name, table) in [
        ("finish reasons read", finish_read()),
        ("finish reasons written", finish_written()),
        ("errors written", errors_written()),
        ("usage fields", usage_fields()),
        ("usage written", usage_written()),
    ] {
        let (begin, end) =
            (format!("<!-- {name}: made by a test -->\n\n"), format!("<!-- end of {name} -->"));
        let from = page.find(&begin).unwrap_or_else(|| panic!("`{begin}` is not in the page")) + begin.len();
        let until = from + page[from..].find(&end).unwrap_or_else(|| panic!("`{end}` is not in the page"));
        page.replace_range(from..until, &format!("{table}\n"));
    }
    assert_held(&Vec::from_iter(hold(Path::new(PAGE), &page).err()));
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rows: String = rows.into_iter().map(|row| line(&row)).collect();
    format!("{}|{}\n{rows}", line(&head), "---|".repeat(head.len()))
}

fn heads(first: &'static str) -> Vec<&'static str> {
    std::iter::once(first).chain(PROTOCOLS.map(title)).collect()
}

/// The reasons of the canonical model, as the page calls them.
fn reasons() -> [(&'static str, FinishReason); 10] {
    [
        ("the model came to an end", FinishReason::Stop),
        ("a stop sequence was hit", FinishReason::StopSequence(Some("END".into()))),
        ("the token limit was reached", FinishReason::Length),
        ("the context window is full", FinishReason::ContextFull),
        ("tools are called", FinishReason::ToolCalls),
        ("a filter left content out", FinishReason::ContentFilter),
        ("the model refused", FinishReason::Refusal),
        ("the turn is paused", FinishReason::Pause),
        ("a call could not be read", FinishReason::MalformedCall),
        ("anything else", FinishReason::Other("brand_new".into())),
    ]
}

fn name_of(reason: &FinishReason) -> &'static str {
    let is_same = |other: &FinishReason| std::mem::discriminant(other) == std::mem::discriminant(reason);
    reasons().into_iter().find(|(_, other)| is_same(other)).unwrap().0
}

/// An answer that ended for this reason: with a text, or with a call.
fn ended(protocol: Protocol, reason: &FinishReason) -> (Value, bool) {
    let content = match reason {
        FinishReason::ToolCalls => Content::ToolCall(ToolCall {
            id: "call_1".into(),
            name: "rain".into(),
            arguments: "{}".into(),
            kind: CallKind::Function,
        }),
        _ => return written(protocol, reason, Part::text("Dry.")),
    };
    written(protocol, reason, Part::new(Place::NOWHERE, content))
}

fn written(protocol: Protocol, reason: &FinishReason, part: Part<'_>) -> (Value, bool) {
    let mut answer = Answer::new(protocol);
    answer.id = Some("id".into());
    answer.model = Some("m".into());
    answer.usage = Some(Usage::new().with(Bucket::Input, 1).with(Bucket::Output, 1));
    answer.candidates =
        vec![Candidate { parts: vec![part], finish: Some(reason.clone()), ..Candidate::new(Place::NOWHERE) }];
    // Any other protocol: one's own words go back to one's own protocol unchanged.
    let source =
        if protocol == Protocol::OpenAiChat { Protocol::BedrockConverse } else { Protocol::OpenAiChat };
    let mut losses = Losses::new(source, protocol);
    let target = AnswerTarget::new("id", 1_700_000_000);
    let body = adapter(protocol).encode_answer(&answer, &target, &mut losses);
    (serde_json::from_slice(&body).unwrap(), !losses.is_empty())
}

/// What an answer says of its end, in the words of its protocol.
fn wire(protocol: Protocol, answer: &Value) -> String {
    let at = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    match protocol {
        Protocol::OpenAiChat => at("/choices/0/finish_reason"),
        Protocol::AnthropicMessages => at("/stop_reason"),
        Protocol::OpenAiResponses => at("/incomplete_details/reason")
            .map(|reason| format!("incomplete: {reason}"))
            .or_else(|| at("/status")),
        Protocol::GeminiGenerateContent => at("/candidates/0/finishReason"),
        Protocol::BedrockConverse => at("/stopReason"),
    }
    .unwrap_or_else(|| "–".into())
}

fn finish_written() -> String {
    let rows = reasons().into_iter().map(|(name, reason)| {
        let cell = |protocol| {
            let (answer, is_lossy) = ended(protocol, &reason);
            format!("`{}`{}", wire(protocol, &answer), if is_lossy { " *" } else { "" })
        };
        std::iter::once(name.to_owned()).chain(PROTOCOLS.map(cell)).collect()
    });
    table(&heads("the answer ended because"), rows)
}

/// The values that each protocol's provider documents, and one that nobody does.
fn documented(protocol: Protocol) -> Vec<&'static str> {
    let mut values = match protocol {
        Protocol::OpenAiChat => vec!["stop", "length", "tool_calls", "function_call", "content_filter"],
        Protocol::AnthropicMessages => vec![
            "end_turn",
            "stop_sequence",
            "max_tokens",
            "model_context_window_exceeded",
            "tool_use",
            "refusal",
            "pause_turn",
        ],
        Protocol::OpenAiResponses => {
            vec!["completed", "incomplete: max_output_tokens", "incomplete: content_filter"]
        }
        Protocol::GeminiGenerateContent => {
            let mut values = vec![gemini::STOP, gemini::MAX_TOKENS, gemini::SAFETY, gemini::OTHER];
            values.extend([gemini::MALFORMED_FUNCTION_CALL, gemini::UNEXPECTED_TOOL_CALL]);
            values.extend(gemini::FILTERS.into_iter().filter(|filter| *filter != gemini::SAFETY));
            values
        }
        Protocol::BedrockConverse => vec![
            "end_turn",
            "stop_sequence",
            "max_tokens",
            "model_context_window_exceeded",
            "tool_use",
            "content_filtered",
            "guardrail_intervened",
            "malformed_tool_use",
            "malformed_model_output",
        ],
    };
    values.push(if protocol == Protocol::OpenAiResponses { "incomplete: brand_new" } else { "brand_new" });
    values
}

/// A plain answer that ended with these words.
fn said(protocol: Protocol, value: &str) -> String {
    let (mut answer, _) = ended(protocol, &FinishReason::Stop);
    let mut put = |pointer: &str, value: Value| *answer.pointer_mut(pointer).unwrap() = value;
    match protocol {
        Protocol::OpenAiChat => put("/choices/0/finish_reason", value.into()),
        Protocol::AnthropicMessages => put("/stop_reason", value.into()),
        Protocol::OpenAiResponses => {
            if let Some((status, reason)) = value.split_once(": ") {
                put("/status", status.into());
                put("/incomplete_details", serde_json::json!({ "reason": reason }));
            }
        }
        Protocol::GeminiGenerateContent => put("/candidates/0/finishReason", value.into()),
        Protocol::BedrockConverse => put("/stopReason", value.into()),
    }
    answer.to_string()
}

fn finish_read() -> String {
    let mut read: BTreeMap<(&str, Protocol), Vec<String>> = BTreeMap::new();
    for protocol in PROTOCOLS {
        for value in documented(protocol) {
            let finish = answer_facts(protocol, &said(protocol, value)).unwrap().finish.unwrap();
            let shown =
                if value.ends_with("brand_new") { "any other".to_owned() } else { format!("`{value}`") };
            read.entry((name_of(&finish), protocol)).or_default().push(shown);
        }
    }
    let rows = reasons().into_iter().map(|(name, _)| {
        let cell = |protocol| read.get(&(name, protocol)).map_or("–".into(), |values| values.join(", "));
        std::iter::once(name.to_owned()).chain(PROTOCOLS.map(cell)).collect()
    });
    table(&heads("the answer ended because"), rows)
}

const CLASSES: [ErrorClass; 12] = [
    ErrorClass::BadRequest,
    ErrorClass::ContextTooLong,
    ErrorClass::ContentPolicy,
    ErrorClass::Authentication,
    ErrorClass::Billing,
    ErrorClass::Permission,
    ErrorClass::NotFound,
    ErrorClass::TooLarge,
    ErrorClass::RateLimit,
    ErrorClass::Timeout,
    ErrorClass::Server,
    ErrorClass::Overloaded,
];

fn errors_written() -> String {
    let rows = CLASSES.map(|class| {
        let cell = |protocol| {
            let (status, body) = encode_error(protocol, &ApiError::new(class, "m"), "req_1");
            let back = decode_error(protocol, status, &body).class;
            let error: Value = serde_json::from_slice(&body).unwrap();
            let at = |pointer: &str| error.pointer(pointer).and_then(Value::as_str);
            let names = [at("/error/type"), at("/error/code"), at("/error/status"), at("/__type")];
            let names: Vec<String> = names.into_iter().flatten().map(|name| format!("`{name}`")).collect();
            format!("{status} {}{}", names.join(" "), if back == class { "" } else { " *" })
        };
        std::iter::once(class.to_string()).chain(PROTOCOLS.map(cell)).collect()
    });
    table(&heads("class"), rows)
}

/// What the documentation of each protocol's usage object says its fields include.
const SOURCES: [(Protocol, &str); 5] = [
    (Protocol::OpenAiChat, include_str!("../../../protocol/src/openai_chat/usage.rs")),
    (Protocol::AnthropicMessages, include_str!("../../../protocol/src/anthropic_messages/usage.rs")),
    (Protocol::OpenAiResponses, include_str!("../../../protocol/src/openai_responses/usage.rs")),
    (Protocol::GeminiGenerateContent, include_str!("../../../protocol/src/gemini/usage.rs")),
    (Protocol::BedrockConverse, include_str!("../../../protocol/src/bedrock_converse/usage.rs")),
];

fn usage_fields() -> String {
    let one = |(protocol, source): (Protocol, &str)| {
        let lines = source.lines().skip_while(|line| !line.starts_with("//! | field"));
        let rows: String = lines
            .map_while(|line| line.strip_prefix("//! ").filter(|line| line.starts_with('|')))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(!rows.is_empty(), "{protocol}");
        format!("**{}**\n\n{rows}", title(protocol))
    };
    SOURCES.map(one).join("\n")
}

/// Every bucket is told a power of two of its own: a figure then says what it is the sum of.
fn usage_written() -> String {
    let buckets = Bucket::ALL;
    let usage = (0..).zip(buckets).fold(Usage::new(), |usage, (bit, bucket)| usage.with(bucket, 1 << bit));
    let mut rows = Vec::new();
    for protocol in PROTOCOLS {
        let mut answer = Answer::new(protocol);
        answer.candidates = vec![Candidate {
            parts: vec![Part::text("Dry.")],
            finish: Some(FinishReason::Stop),
            ..Candidate::new(Place::NOWHERE)
        }];
        answer.usage = Some(usage);
        let mut losses = Losses::new(Protocol::OpenAiChat, protocol);
        let body = adapter(protocol).encode_answer(&answer, &AnswerTarget::new("id", 0), &mut losses);
        let body = String::from_utf8(body).unwrap();
        let root = Raw::parse(&body, &ScanLimits::default()).unwrap();
        let mut figures = Vec::new();
        for part in ["usage", "usageMetadata", "tool_usage"] {
            if root.get(part).is_some() {
                figures_of(&serde_json::from_str::<Value>(&body).unwrap()[part], part, &mut figures);
            }
        }
        for (field, sum) in figures {
            let names: Vec<&str> = (0..)
                .zip(buckets)
                .filter(|(bit, _)| sum & (1 << bit) != 0)
                .map(|(_, bucket)| bucket.as_str())
                .collect();
            rows.push(vec![title(protocol).to_owned(), format!("`{field}`"), names.join(" + ")]);
        }
    }
    table(&["protocol", "field", "is the sum of"], rows)
}

/// The figures of an object that are not zero.
fn figures_of(value: &Value, path: &str, figures: &mut Vec<(String, u64)>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| figures_of(value, &format!("{path}.{name}"), figures));
        }
        Value::Array(items) => {
            for item in items {
                let name = item["modality"].as_str().or_else(|| item["ttl"].as_str()).unwrap_or_default();
                figures_of(item, &format!("{path}[{name}]"), figures);
            }
        }
        Value::Number(number) => {
            figures.extend(number.as_u64().filter(|sum| *sum > 0).map(|sum| (path.to_owned(), sum)));
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
