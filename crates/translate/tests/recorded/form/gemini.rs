//! Google's generateContent.

use serde_json::{Map, Value};

/// Fields that hold what is nobody's business: their inside is compared as it is.
const OPAQUE: [&str; 7] = [
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "googleSearch",
];

/// What says the same to Google, in one form: either name of a field, either alphabet of base64, `null`
/// or an empty value for no field.
pub(super) fn form(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut same_object = Map::new();
            for (name, value) in object {
                let name = camel_case(name);
                let value = if OPAQUE.contains(&name.as_str()) { value.clone() } else { form(value) };
                let says_nothing = match (name.as_str(), &value) {
                    ("generationConfig" | "content", Value::Object(inner)) => inner.is_empty(),
                    ("thought", Value::Bool(thought)) => !thought,
                    ("description", Value::String(text)) => text.is_empty(),
                    ("index", Value::Number(number)) => number.as_u64() == Some(0),
                    ("role", Value::String(role)) => role == "model",
                    (_, value) => value.is_null(),
                };
                match (name.as_str(), value) {
                    _ if says_nothing => {}
                    ("tools", Value::Array(tools)) => {
                        same_object.insert(name, tools.iter().flat_map(each_alone).collect());
                    }
                    ("parts", Value::Array(mut parts)) => {
                        for part in parts.iter_mut().filter(|part| **part == Value::Object(Map::new())) {
                            *part = serde_json::json!({"text": ""});
                        }
                        same_object.insert(name, Value::Array(parts));
                    }
                    ("data", Value::String(text)) => {
                        same_object.insert(name, text.replace('-', "+").replace('_', "/").into());
                    }
                    (_, value) => {
                        same_object.insert(name, value);
                    }
                }
            }
            Value::Object(same_object)
        }
        Value::Array(items) => items.iter().map(form).collect(),
        other => other.clone(),
    }
}

/// The tools of a list entry, which may hold several.
fn each_alone(tool: &Value) -> Vec<Value> {
    let entries = tool.as_object().into_iter().flatten();
    entries
        .flat_map(|(name, value)| match (name.as_str(), value) {
            ("functionDeclarations", Value::Array(functions)) => functions.clone(),
            _ => vec![serde_json::json!({name: value})],
        })
        .collect()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let mut chars = word.chars();
        let start: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
        camel + &start + chars.as_str()
    })
}
