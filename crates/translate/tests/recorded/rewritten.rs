//! Every recorded request and answer, read and written back to its own protocol, is the same JSON
//! value, but for what the protocol says in several ways: [`form`](crate::form) lists them.

use serde_json::Value;
use weighbridge_protocol::json::Raw;
use weighbridge_translate::{AnswerTarget, Dialect, Losses, RequestTarget, adapter, openai_chat};
use weighbridge_units::Protocol;

use crate::recordings::{Recording, recordings};
use crate::{form, parse};

/// The first place where two values differ.
fn difference(one: &Value, other: &Value, pointer: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort_unstable();
            names.dedup();
            names.into_iter().find_map(|name| {
                let (one, other) = (one.get(name), other.get(name));
                match (one, other) {
                    (Some(one), Some(other)) => difference(one, other, &format!("{pointer}/{name}")),
                    _ => Some(format!("{pointer}/{name}: {one:?} became {other:?}")),
                }
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(index, (one, other))| difference(one, other, &format!("{pointer}/{index}")))
        }
        _ => (one != other).then(|| format!("{pointer}: {one} became {other}")),
    }
}

fn compare(
    protocol: Protocol,
    kind: form::Kind,
    name: &str,
    before: &str,
    after: &[u8],
    faults: &mut Vec<String>,
) {
    let before = form::of(protocol, kind, serde_json::from_str(before).unwrap());
    let after = form::of(protocol, kind, serde_json::from_slice(after).unwrap());
    if let Some(difference) = difference(&before, &after, "") {
        faults.push(format!("{name}: {difference}"));
    }
}

/// Whom a recorded request went to.
fn dialect(protocol: Protocol, name: &str, text: &str) -> Dialect {
    match protocol {
        Protocol::OpenAiChat if !name.starts_with("openai--") && !name.starts_with("azure--") => {
            Dialect::Compatible
        }
        Protocol::AnthropicMessages => match parse(text).get("anthropic_version").map(Raw::text) {
            Some(version) if version.starts_with("\"vertex") => Dialect::Vertex,
            Some(_) => Dialect::Bedrock,
            None => Dialect::Native,
        },
        _ => Dialect::Native,
    }
}

#[test]
fn every_recorded_request_is_written_as_it_was() {
    let mut faults = Vec::new();
    for protocol in Protocol::ALL {
        for Recording { name, text, .. } in recordings(protocol, "request.json") {
            let conversation = adapter(protocol).decode_request(parse(&text)).unwrap();
            let mut losses = Losses::new(protocol, protocol);
            let target = RequestTarget {
                dialect: dialect(protocol, &name, &text),
                ..RequestTarget::new(&conversation.model)
            };
            let written = adapter(protocol).encode_request(&conversation, &target, &mut losses);
            for loss in losses.into_list(&text) {
                faults.push(format!("{name}: {loss}"));
            }
            compare(protocol, form::Kind::Request, &name, &text, &written, &mut faults);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_recorded_answer_is_written_as_it_was() {
    let mut faults = Vec::new();
    for protocol in Protocol::ALL {
        for Recording { name, text, status, request } in recordings(protocol, "response.json") {
            let root = parse(&text);
            if status >= 400 || adapter(protocol).decode_error(200, root).is_some() {
                continue;
            }
            let answer = adapter(protocol).decode_answer(root).unwrap();
            let mut losses = Losses::new(protocol, protocol);
            let legacy_functions = request.is_some_and(|request| {
                protocol == Protocol::OpenAiChat && openai_chat::asks_with_functions(parse(&request))
            });
            let target = AnswerTarget { legacy_functions, ..AnswerTarget::new("id", 1_700_000_000) };
            let written = adapter(protocol).encode_answer(&answer, &target, &mut losses);
            for loss in losses.into_list(&text) {
                faults.push(format!("{name}: {loss}"));
            }
            compare(protocol, form::Kind::Answer, &name, &text, &written, &mut faults);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
