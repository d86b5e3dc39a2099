//! The bound against recorded requests and the usage that the provider reported for them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test reads fixtures, may fail, and says when it skips"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use weighbridge_tokens::{UNBOUNDED, media, prompt_bound};
use weighbridge_units::Protocol;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures");

/// The prompt tokens of every usage object in a recorded answer, whole or streamed.
fn reported(protocol: Protocol, answer: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let documents = answer.lines().filter_map(|line| {
        serde_json::from_str::<Value>(line.strip_prefix("data:").unwrap_or(line).trim()).ok()
    });
    for document in documents.chain(serde_json::from_str(answer).ok()) {
        for usage in [&document["usage"], &document["message"]["usage"], &document] {
            let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
            found.push(match protocol {
                Protocol::AnthropicMessages => {
                    tokens("input_tokens")
                        + tokens("cache_creation_input_tokens")
                        + tokens("cache_read_input_tokens")
                }
                _ => tokens("prompt_tokens"),
            });
        }
    }
    found
}

fn cases(folder: &str) -> Option<Vec<PathBuf>> {
    let folder = Path::new(FIXTURES).join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: there is no {}", folder.display());
        return None;
    };
    Some(entries.map(|entry| entry.unwrap().path()).collect())
}

fn check(folder: &str, protocol: Protocol) {
    let Some(cases) = cases(folder) else { return };
    let (mut checked, mut bounded) = (0, 0);
    for case in cases {
        let Ok(request) = std::fs::read_to_string(case.join("request.json")) else { continue };
        // As compact as JSON gets: no space helps the bound.
        let Ok(request) = serde_json::from_str::<Value>(&request) else { continue };
        let request = request.to_string();
        let bound = prompt_bound(protocol, request.len() as u64, media(protocol, &request));
        for answer in ["response.json", "stream.sse"] {
            let Ok(answer) = std::fs::read_to_string(case.join(answer)) else { continue };
            for tokens in reported(protocol, &answer) {
                assert!(tokens <= bound, "{}: {tokens} tokens, bound {bound}", case.display());
            }
            checked += 1;
            bounded += usize::from(bound < UNBOUNDED);
        }
    }
    assert!(checked >= 3 && bounded * 2 > checked, "{checked} cases, {bounded} of them bounded");
}

#[test]
fn r4_no_recorded_chat_prompt_exceeds_its_bound() {
    check("openai-chat", Protocol::OpenAiChat);
}

#[test]
fn r4_no_recorded_messages_prompt_exceeds_its_bound() {
    check("anthropic-messages", Protocol::AnthropicMessages);
}

#[test]
fn r4_no_recorded_token_count_exceeds_its_bound() {
    check("anthropic-count-tokens", Protocol::AnthropicMessages);
}
