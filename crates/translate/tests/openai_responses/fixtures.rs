//! Recorded traffic: every request and answer is translated to every protocol, and goes back to its own
//! as the JSON value that it was.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use weighbridge_translate::{TranslateError, request, response};
use weighbridge_units::Protocol;

use crate::support::*;

/// The files of that name in the recordings: name of the case, and text.
fn recorded(file: &str) -> Vec<(String, String)> {
    let folder =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/openai-responses"));
    let Ok(cases) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings in {}", folder.display());
        return Vec::new();
    };
    let read = |case: PathBuf| {
        let text = std::fs::read_to_string(case.join(file)).ok()?;
        Some((case.file_name()?.to_string_lossy().into_owned(), text))
    };
    let mut found: Vec<_> = cases.filter_map(|case| read(case.ok()?.path())).collect();
    found.sort();
    found
}

/// Whether every loss points to a value of the document.
fn assert_pointers(name: &str, document: &str, losses: &[weighbridge_units::Loss]) {
    let value: Value = serde_json::from_str(document).unwrap();
    for loss in losses {
        assert!(value.pointer(&loss.pointer).is_some(), "{name}: {loss}");
    }
}

#[test]
fn every_recorded_request_is_translated_to_every_protocol() {
    for (name, text) in recorded("request.json") {
        for to in Protocol::ALL {
            let translated =
                request(RESPONSES, to, &text, &REQUEST).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(serde_json::from_slice::<Value>(&translated.value).is_ok(), "{name}");
            assert_pointers(&name, &text, &translated.losses);
            assert!(to != RESPONSES || translated.losses.is_empty(), "{name}: {:?}", translated.losses);
        }
    }
}

#[test]
fn every_recorded_request_comes_back_as_it_was() {
    for (name, text) in recorded("request.json") {
        let (back, _) = request_json(RESPONSES, RESPONSES, &text);
        let sent: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(one_form_of_request(back), one_form_of_request(sent), "{name}");
    }
}

#[test]
fn every_recorded_answer_is_translated_to_every_protocol() {
    for (name, text) in recorded("response.json") {
        for to in Protocol::ALL {
            match response(RESPONSES, to, &text, &ANSWER) {
                Ok(translated) => assert_pointers(&name, &text, &translated.losses),
                Err(TranslateError::InBandError(error)) => assert!(error.status >= 400, "{name}"),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}

#[test]
fn every_recorded_answer_comes_back_as_it_was() {
    for (name, text) in recorded("response.json") {
        let Ok(translated) = response(RESPONSES, RESPONSES, &text, &ANSWER) else { continue };
        let back: Value = serde_json::from_slice(&translated.value.0).unwrap();
        let sent: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(one_form_of_answer(back), one_form_of_answer(sent), "{name}");
    }
}

/// What a request may say in several ways, in one: the model is the target's; the input is a list, in
/// which instructions stand first; content is a list of parts; what is null or the default is not said.
fn one_form_of_request(mut request: Value) -> Value {
    without_nulls(&mut request);
    let fields = request.as_object_mut().unwrap();
    fields.insert("model".into(), json!("m"));
    let mut items = match fields.remove("input") {
        Some(Value::String(text)) => vec![json!({"role": "user", "content": text})],
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    if let Some(instructions) = fields.remove("instructions").filter(|text| text != "") {
        items.insert(0, json!({"role": "system", "content": instructions}));
    }
    items.iter_mut().filter_map(Value::as_object_mut).for_each(one_form_of_item);
    fields.insert("input".into(), items.into());
    fields.retain(|name, value| {
        !(name == "stream" && value == &json!(false) || name == "include" && value == &json!([]))
    });
    request
}

fn one_form_of_item(item: &mut Map<String, Value>) {
    if item.contains_key("role") && !item.contains_key("type") {
        item.insert("type".into(), json!("message"));
    }
    for name in ["content", "output"] {
        if let Some(Value::String(text)) = item.get(name) {
            let part = json!([{"type": "input_text", "text": text}]);
            item.insert(name.into(), part);
        }
        for part in item.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            one_form_of_part(part.as_object_mut().unwrap());
        }
    }
    item.retain(|name, value| !(name == "content" && value == &json!([])));
}

fn one_form_of_part(part: &mut Map<String, Value>) {
    if part.get("type") == Some(&json!("output_text")) {
        part.insert("type".into(), json!("input_text"));
    }
    if part.get("type") == Some(&json!("input_image")) {
        part.entry("detail").or_insert(json!("auto"));
    }
    let length = part.get("text").and_then(Value::as_str).map_or(0, |text| text.chars().count());
    for annotation in part.get_mut("annotations").and_then(Value::as_array_mut).into_iter().flatten() {
        let annotation = annotation.as_object_mut().unwrap();
        // What xAI leaves out, and every SDK demands.
        if annotation.get("type") == Some(&json!("url_citation")) {
            annotation.entry("title").or_insert(json!(""));
            annotation.entry("start_index").or_insert(json!(0));
            annotation.entry("end_index").or_insert(json!(length));
        }
    }
    part.retain(|name, value| !(matches!(name.as_str(), "annotations" | "logprobs") && value == &json!([])));
}

/// The same of an answer: what every SDK demands is said; of the usage, what is understood.
fn one_form_of_answer(mut answer: Value) -> Value {
    without_nulls(&mut answer);
    let fields = answer.as_object_mut().unwrap();
    for (name, value) in [
        ("parallel_tool_calls", json!(true)),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("metadata", json!({})),
        ("object", json!("response")),
    ] {
        fields.entry(name).or_insert(value);
    }
    // Written by hand; whatever is not documented becomes what is, and is reported.
    if fields.get("status") == Some(&json!("complete")) {
        fields.insert("status".into(), json!("completed"));
    }
    let created = fields.get("created_at").and_then(Value::as_f64);
    fields.insert("created_at".into(), json!(created));
    for item in fields.get_mut("output").and_then(Value::as_array_mut).into_iter().flatten() {
        let item = item.as_object_mut().unwrap();
        one_form_of_item(item);
        if item.get("type") == Some(&json!("image_generation_call")) {
            item.entry("output_format").or_insert(json!("png"));
        }
    }
    if let Some(usage) = fields.get_mut("usage").and_then(Value::as_object_mut) {
        usage.retain(|name, _| {
            name.starts_with("input_") || name.starts_with("output_") || name == "total_tokens"
        });
        if let Some(details) = usage.get_mut("input_tokens_details").and_then(Value::as_object_mut) {
            details.entry("cache_write_tokens").or_insert(json!(0));
        }
    }
    answer
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
