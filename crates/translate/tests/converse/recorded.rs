//! Recorded traffic. That it is written back as it was is a law over all protocols.

use std::path::PathBuf;

use serde_json::Value;
use weighbridge_translate::{RequestTarget, answer_facts, decode_error, request, response};
use weighbridge_units::Protocol;

use crate::support::*;

/// The files of that name, with the names of their cases.
#[expect(clippy::disallowed_methods, reason = "recordings are files")]
fn recorded(file: &str) -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/bedrock-converse");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: no recordings at {folder}");
        return Vec::new();
    };
    let read = |case: PathBuf| {
        let text = std::fs::read_to_string(case.join(file)).ok()?;
        Some((case.file_name()?.to_string_lossy().into_owned(), text))
    };
    let mut found: Vec<_> = entries.filter_map(|entry| read(entry.ok()?.path())).collect();
    found.sort();
    found
}

#[test]
fn every_recorded_answer_tells_its_facts() {
    for (case, text) in recorded("response.json") {
        if json(text.as_bytes()).get("output").is_none() {
            continue;
        }
        let facts = answer_facts(CONVERSE, &text).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert!(
            facts.finish.is_some() && facts.usage.is_some_and(|usage| !usage.is_contradictory()),
            "{case}"
        );
    }
}

#[test]
fn every_recording_is_translated_to_every_protocol() {
    for to in Protocol::ALL {
        for (case, text) in recorded("request.json") {
            for model in [CLAUDE, NOVA, "m"] {
                request(CONVERSE, to, &text, &RequestTarget::new(model))
                    .unwrap_or_else(|e| panic!("{case}: {e}"));
            }
        }
        for (case, text) in recorded("response.json") {
            if json(text.as_bytes()).get("output").is_some() {
                response(CONVERSE, to, &text, &ANSWER).unwrap_or_else(|e| panic!("{case}: {e}"));
            } else {
                assert!(!decode_error(CONVERSE, 400, text.as_bytes()).message.is_empty(), "{case}");
            }
        }
    }
}

/// The bodies that other protocols' clients sent, written for Bedrock: what comes out has no field but
/// those of the service's model.
#[test]
fn every_request_of_others_has_only_fields_of_the_service() {
    const FIELDS: [&str; 14] = [
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "guardrailConfig",
        "additionalModelRequestFields",
        "promptVariables",
        "additionalModelResponseFieldPaths",
        "requestMetadata",
        "performanceConfig",
        "serviceTier",
        "outputConfig",
        "projectIdentifier",
        "modelId",
    ];
    for from in Protocol::ALL.into_iter().filter(|from| *from != CONVERSE) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures");
        let Ok(entries) = std::fs::read_dir(format!("{folder}/{}", from.as_str())) else {
            println!("skipped: no recordings of {from}");
            continue;
        };
        for case in entries.map(|entry| entry.unwrap().path()) {
            #[expect(clippy::disallowed_methods, reason = "recordings are files")]
            let Ok(text) = std::fs::read_to_string(case.join("request.json")) else { continue };
            for model in [CLAUDE, NOVA] {
                let translated = request(from, CONVERSE, &text, &RequestTarget::new(model)).unwrap();
                let body = json(&translated.value);
                for (name, _) in body.as_object().unwrap() {
                    assert!(FIELDS.contains(&name.as_str()), "{}: {name}", case.display());
                }
                let roles: Vec<&Value> =
                    body["messages"].as_array().unwrap().iter().map(|m| &m["role"]).collect();
                assert!(roles.windows(2).all(|pair| pair[0] != pair[1]), "{}: {roles:?}", case.display());
                assert!(!roles.is_empty(), "{}", case.display());
            }
        }
    }
}
