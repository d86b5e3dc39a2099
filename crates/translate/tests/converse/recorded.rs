//! Recorded traffic: what is read is written back as it was.

use std::path::PathBuf;

use serde_json::Value;
use weighbridge_translate::{Losses, RequestTarget, adapter, answer_facts, decode_error, request, response};
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

/// What says the same as if it were not there is taken out, and two names of the same field become one.
fn plain(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(config) = fields.remove("reasoning_config") {
                fields.insert("thinking".into(), config);
            }
            if fields.get("status") == Some(&"success".into()) {
                fields.remove("status");
            }
            if fields.get("type") == Some(&"tool_use".into()) {
                fields.remove("type");
            }
            fields.values_mut().for_each(plain);
            for name in ["system", "inferenceConfig", "stopSequences"] {
                if fields
                    .get(name)
                    .is_some_and(|value| *value == serde_json::json!([]) || *value == serde_json::json!({}))
                {
                    fields.remove(name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn assert_same(case: &str, written: &[u8], read: &str) {
    let (mut written, mut read) = (json(written), json(read.as_bytes()));
    plain(&mut written);
    plain(&mut read);
    assert_eq!(written, read, "{case}");
}

#[test]
fn every_recorded_request_is_written_as_it_was_read() {
    for (case, text) in recorded("request.json") {
        let conversation =
            adapter(CONVERSE).decode_request(raw(&text)).unwrap_or_else(|e| panic!("{case}: {e}"));
        let mut losses = Losses::new(CONVERSE, CONVERSE);
        let written =
            adapter(CONVERSE).encode_request(&conversation, &RequestTarget::new(CLAUDE), &mut losses);
        assert_eq!(losses.into_list(&text), [], "{case}");
        assert_same(&case, &written, &text);
    }
}

#[test]
fn every_recorded_answer_is_written_as_it_was_read() {
    for (case, text) in recorded("response.json") {
        if json(text.as_bytes()).get("output").is_none() {
            continue;
        }
        let answer = adapter(CONVERSE).decode_answer(raw(&text)).unwrap_or_else(|e| panic!("{case}: {e}"));
        let mut losses = Losses::new(CONVERSE, CONVERSE);
        let written = adapter(CONVERSE).encode_answer(&answer, &ANSWER, &mut losses);
        assert_eq!(losses.into_list(&text), [], "{case}");
        assert_same(&case, &written, &text);
        let facts = answer_facts(CONVERSE, &text).unwrap();
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
