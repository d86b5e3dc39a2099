//! OpenAI's Responses.

use serde_json::{Map, Value, json};

use super::{Kind, objects};

pub(super) fn form(kind: Kind, value: &mut Value) {
    let Value::Object(fields) = value else { return };
    match kind {
        Kind::Request => request(fields),
        Kind::Answer => answer(fields),
    }
}

fn request(fields: &mut Map<String, Value>) {
    // Whole is how an answer comes anyway.
    fields.retain(|name, value| name != "stream" || *value == true);
    let mut items = match fields.remove("input") {
        Some(Value::String(text)) => vec![json!({"role": "user", "content": text})],
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    // Instructions are what the system says first.
    if let Some(instructions) = fields.remove("instructions").filter(|text| text != "" && !text.is_null()) {
        items.insert(0, json!({"role": "system", "content": instructions}));
    }
    items.iter_mut().filter_map(Value::as_object_mut).for_each(item);
    fields.insert("input".to_owned(), items.into());
}

fn item(item: &mut Map<String, Value>) {
    if item.contains_key("role") {
        item.entry("type").or_insert(json!("message"));
    }
    for name in ["content", "output"] {
        if let Some(Value::String(text)) = item.get(name) {
            item[name] = json!([{"type": "input_text", "text": text}]);
        }
        objects(item.get_mut(name)).for_each(part);
    }
}

fn part(part: &mut Map<String, Value>) {
    match part.get("type").and_then(Value::as_str) {
        // Who says a text tells as well on which side it stands.
        Some("output_text") => part["type"] = json!("input_text"),
        Some("input_image") => {
            part.entry("detail").or_insert(json!("auto"));
        }
        _ => {}
    }
    let length = part.get("text").and_then(Value::as_str).map_or(0, |text| text.chars().count());
    for annotation in objects(part.get_mut("annotations")) {
        // What xAI leaves out, and the format demands.
        if annotation.get("type").is_some_and(|kind| kind == "url_citation") {
            annotation.entry("title").or_insert(json!(""));
            annotation.entry("start_index").or_insert(json!(0));
            annotation.entry("end_index").or_insert(json!(length));
        }
    }
}

fn answer(fields: &mut Map<String, Value>) {
    // What some leave out, and the format demands.
    for (name, value) in
        [("parallel_tool_calls", json!(true)), ("tool_choice", json!("auto")), ("object", json!("response"))]
    {
        fields.entry(name).or_insert(value);
    }
    // Some write the time with a fraction.
    if let Some(created) = fields.get("created_at").and_then(Value::as_f64) {
        fields.insert("created_at".to_owned(), json!(created.trunc()));
    }
    for item in objects(fields.get_mut("output")) {
        self::item(item);
        if item.get("type").is_some_and(|kind| kind == "image_generation_call") {
            item.entry("output_format").or_insert(json!("png"));
        }
    }
}
