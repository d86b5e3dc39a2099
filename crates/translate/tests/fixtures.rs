//! Recorded traffic: every request and answer is translated, and no token is lost on the way.
//!
//! The recordings lie beside the repository; where they are missing the tests say so and pass.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::PathBuf;

use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::{
    AnswerTarget, RequestTarget, TranslateError, answer_facts, decode_error, encode_error, request, response,
};
use weighbridge_units::{ErrorClass, Protocol};

const REQUEST: RequestTarget<'_> = RequestTarget { max_output_default: 99, ..RequestTarget::new("m") };
const ANSWER: AnswerTarget<'_> = AnswerTarget { id_fallback: "id", created: 1_700_000_000 };

struct Fixture {
    name: String,
    text: String,
    status: u16,
}

/// The files of that name in the recordings of one protocol.
#[expect(clippy::disallowed_methods, reason = "recordings are files")]
fn fixtures(protocol: Protocol, file: &str) -> Vec<Fixture> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures");
    let folder = PathBuf::from(root).join(protocol.as_str());
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings at {}", folder.display());
        return Vec::new();
    };
    let read = |case: PathBuf| {
        let meta = std::fs::read_to_string(case.join("meta.json")).ok()?;
        let meta = Raw::parse(&meta, &ScanLimits::default()).unwrap();
        let status = meta.get("status").and_then(|status| status.u64().ok()).unwrap_or(200);
        let name = case.file_name()?.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(case.join(file)).ok()?;
        Some(Fixture { name, text, status: status.try_into().ok()? })
    };
    let mut found: Vec<Fixture> = entries.filter_map(|entry| read(entry.ok()?.path())).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn other(protocol: Protocol) -> Protocol {
    Protocol::ALL.into_iter().find(|candidate| *candidate != protocol).unwrap()
}

#[test]
fn every_recorded_request_is_translated() {
    for from in Protocol::ALL {
        for fixture in fixtures(from, "request.json") {
            let translated = request(from, other(from), &fixture.text, &REQUEST)
                .unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
            let text = String::from_utf8(translated.value).unwrap();
            let root = Raw::parse(&text, &ScanLimits::default()).unwrap();
            assert!(root.get("messages").is_some(), "{}", fixture.name);
            for loss in &translated.losses {
                assert!(points_somewhere(&fixture.text, &loss.pointer), "{}: {loss}", fixture.name);
            }
        }
    }
}

/// Whether a JSON pointer leads to a value of the document.
fn points_somewhere(document: &str, pointer: &str) -> bool {
    let value: serde_json::Value = serde_json::from_str(document).unwrap();
    value.pointer(pointer).is_some()
}

#[test]
fn m5_every_recorded_answer_is_translated_with_all_its_tokens() {
    for from in Protocol::ALL {
        for fixture in fixtures(from, "response.json") {
            let Fixture { name, text, status } = fixture;
            if status >= 400 {
                continue;
            }
            let translated = match response(from, other(from), &text, &ANSWER) {
                Ok(translated) => translated,
                Err(TranslateError::InBandError(error)) => {
                    println!("{name}: {error}");
                    assert!(error.status >= 400, "{name}");
                    continue;
                }
                Err(error) => panic!("{name}: {error}"),
            };
            let (body, facts) = translated.value;
            assert_eq!(answer_facts(from, &text).unwrap(), facts, "{name}");
            let body = String::from_utf8(body).unwrap();
            let there = answer_facts(other(from), &body).unwrap();
            let totals = |usage: Option<weighbridge_units::Usage>| usage.map(|u| (u.prompt(), u.answer()));
            assert_eq!(totals(facts.usage), totals(there.usage).filter(|_| facts.usage.is_some()), "{name}");
            for loss in &translated.losses {
                assert!(points_somewhere(&text, &loss.pointer), "{name}: {loss}");
            }
        }
    }
}

#[test]
fn every_recorded_error_has_a_message_and_a_fitting_class() {
    for from in Protocol::ALL {
        for fixture in fixtures(from, "response.json").into_iter().filter(|fixture| fixture.status >= 400) {
            let error = decode_error(from, fixture.status, fixture.text.as_bytes());
            assert_eq!(error.status, fixture.status, "{}", fixture.name);
            assert!(!error.message.is_empty(), "{}", fixture.name);
            let fits = match error.class {
                // AWS has statuses of its own for a model that fails or takes too long.
                ErrorClass::Server => fixture.status >= 500 || fixture.status == 424,
                ErrorClass::Timeout => fixture.status >= 500 || fixture.status == 408,
                ErrorClass::Overloaded => fixture.status >= 500,
                ErrorClass::RateLimit => fixture.status == 429,
                // AWS refuses a credential under the status that others have for a lack of rights.
                ErrorClass::Authentication => matches!(fixture.status, 401 | 403),
                _ => (400..500).contains(&fixture.status),
            };
            assert!(fits, "{}: {:?} under {}", fixture.name, error.class, fixture.status);
            for client in Protocol::ALL {
                let (status, body) = encode_error(client, &error, "req_1");
                assert!(status >= 400, "{}", fixture.name);
                assert_eq!(decode_error(client, status, &body).message, error.message, "{}", fixture.name);
            }
        }
    }
}
