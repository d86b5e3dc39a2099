//! What the API refuses beyond its schema, without regard to the conversation: ranges, fields that
//! need or exclude each other, schemas that are not strict.

use std::collections::BTreeSet;

use serde_json::Value;

use super::item::parts;
use crate::openai::refusal::{out_of_range, unsupported};
use crate::price::Model;
use crate::refusal::Refusal;

/// The first rule that a body breaks.
pub(super) fn check(body: &Value, model: &Model) -> Result<(), Refusal> {
    ranges(body, model)?;
    lengths(body)?;
    if model.reasons {
        reasoning_models(body)?
    } else {
        plain_models(body, model)?
    }
    tools(body)?;
    format(&body["text"]["format"])?;
    combinations(body)
}

fn ranges(body: &Value, model: &Model) -> Result<(), Refusal> {
    for (name, low, high) in [("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0)] {
        if let Some(number) = body[name].as_f64() {
            out_of_range(name, "decimal", number, low, high)?;
        }
    }
    for (name, low, high) in [
        ("max_output_tokens", 16, model.max_output),
        ("top_logprobs", 0, 20),
        ("max_tool_calls", 1, u64::MAX),
    ] {
        if let Some(number) = body[name].as_f64() {
            out_of_range(name, "integer", number, low as f64, high as f64)?;
        }
    }
    Ok(())
}

fn lengths(body: &Value) -> Result<(), Refusal> {
    let metadata = body["metadata"].as_object();
    let too_long = |(key, value): (&String, &Value)| {
        key.chars().count() > 64 || value.as_str().is_some_and(|text| text.chars().count() > 512)
    };
    if metadata.is_some_and(|fields| fields.len() > 16 || fields.iter().any(too_long)) {
        let message =
            "Invalid 'metadata': at most 16 pairs of keys up to 64 and values up to 512 characters.";
        return Err(Refusal::invalid("metadata", "invalid_value", message));
    }
    for (name, longest) in [("safety_identifier", 128), ("prompt_cache_key", 64)] {
        if body[name].as_str().is_some_and(|text| text.chars().count() > longest) {
            return Err(too_long_text(name, longest));
        }
    }
    Ok(())
}

/// A text of a body that is longer than it may be.
pub(super) fn too_long_text(param: &str, longest: usize) -> Refusal {
    let message =
        format!("Invalid '{param}': string too long. Expected a string with maximum length {longest}.");
    Refusal::invalid(param, "string_above_max_length", message)
}

/// <https://platform.openai.com/docs/guides/reasoning>: no sampling, no log probabilities.
fn reasoning_models(body: &Value) -> Result<(), Refusal> {
    for name in ["temperature", "top_p"] {
        if body[name].as_f64().is_some_and(|value| value.total_cmp(&1.0).is_ne()) {
            return Err(unsupported(name));
        }
    }
    if !body["top_logprobs"].is_null() && body["top_logprobs"] != 0 {
        return Err(unsupported("top_logprobs"));
    }
    match body["reasoning"]["effort"].as_str() {
        None | Some("minimal" | "low" | "medium" | "high") => Ok(()),
        Some(other) => {
            let message = format!(
                "Unsupported value: '{other}' is not supported with this model. Supported values are: 'minimal', \
                 'low', 'medium', and 'high'."
            );
            Err(Refusal::invalid("reasoning.effort", "unsupported_value", message))
        }
    }
}

/// Models that do not reason know nothing of it.
fn plain_models(body: &Value, model: &Model) -> Result<(), Refusal> {
    for name in ["effort", "summary", "generate_summary"] {
        if !body["reasoning"][name].is_null() {
            return Err(unsupported(&format!("reasoning.{name}")));
        }
    }
    if includes(body, "reasoning.encrypted_content") {
        let message = "Encrypted content is not supported with this model.";
        return Err(Refusal::invalid("include", "invalid_value", message));
    }
    match body["text"]["verbosity"].as_str() {
        None | Some("medium") => Ok(()),
        Some(other) => {
            let message = format!(
                "Unsupported value: '{other}' is not supported with the '{}' model. Supported values are: \
                 'medium'.",
                model.snapshot
            );
            Err(Refusal::invalid("text.verbosity", "unsupported_value", message))
        }
    }
}

/// Whether the body asks for an extra part of the answer.
pub(super) fn includes(body: &Value, name: &str) -> bool {
    parts(&body["include"]).any(|included| included == name)
}

fn tools(body: &Value) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    for (place, tool) in parts(&body["tools"]).enumerate() {
        let Some(name) = tool["name"].as_str() else { continue };
        if !matches!(tool["type"].as_str(), Some("function" | "custom")) {
            continue;
        }
        let param = format!("tools[{place}].name");
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            let message = format!(
                "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern \
                 '^[a-zA-Z0-9_-]+$'."
            );
            return Err(Refusal::invalid(&param, "invalid_value", message));
        }
        if name.len() > 64 {
            return Err(too_long_text(&param, 64));
        }
        if tool["strict"] == true
            && let Some(reason) = not_strict(&tool["parameters"], &mut Vec::new())
        {
            let message = format!("Invalid schema for function '{name}': {reason}");
            let param = format!("tools[{place}].parameters");
            return Err(Refusal::invalid(&param, "invalid_function_parameters", message));
        }
        names.insert(name);
    }
    let choice = &body["tool_choice"];
    let needs_tools = choice == "required" || choice.is_object();
    if needs_tools && parts(&body["tools"]).next().is_none() {
        let message = "Tool choice 'required' must be specified with 'tools' parameter.";
        return Err(Refusal::invalid("tool_choice", "invalid_value", message));
    }
    let chosen = match choice["type"].as_str() {
        Some("function" | "custom") => choice["name"].as_str(),
        _ => None,
    };
    let allowed = parts(&choice["tools"]).filter_map(|tool| tool["name"].as_str());
    match chosen.into_iter().chain(allowed).find(|name| !names.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
            Err(Refusal::invalid("tool_choice", "invalid_value", message))
        }
    }
}

fn format(format: &Value) -> Result<(), Refusal> {
    if format["type"] != "json_schema" {
        return Ok(());
    }
    let name = format["name"].as_str().unwrap_or_default();
    if name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        let message = "Invalid 'text.format.name': string does not match pattern. Expected a string that matches \
                       the pattern '^[a-zA-Z0-9_-]+$'.";
        return Err(Refusal::invalid("text.format.name", "invalid_value", message));
    }
    match not_strict(&format["schema"], &mut Vec::new()).filter(|_| format["strict"] == true) {
        Some(reason) => {
            let message = format!("Invalid schema for response_format '{name}': {reason}");
            Err(Refusal::invalid("text.format.schema", "invalid_json_schema", message))
        }
        None => Ok(()),
    }
}

/// Why a schema is not strict, if it is not: every object names and requires all of its fields
/// (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>).
pub(super) fn not_strict(schema: &Value, path: &mut Vec<String>) -> Option<String> {
    let context = |path: &[String]| match path {
        [one] => format!("('{one}',)"),
        many => format!("({})", many.iter().map(|step| format!("'{step}'")).collect::<Vec<_>>().join(", ")),
    };
    let fields = schema["properties"].as_object();
    if schema["type"] == "object" || fields.is_some() {
        if schema["additionalProperties"] != false {
            return Some(format!(
                "In context={}, 'additionalProperties' is required to be supplied and to be false.",
                context(path)
            ));
        }
        let required = |name: &str| parts(&schema["required"]).any(|required| required == name);
        if let Some((name, _)) = fields.into_iter().flatten().find(|(name, _)| !required(name)) {
            return Some(format!(
                "In context={}, 'required' is required to be supplied and to be an array including every key in \
                 properties. Missing '{name}'.",
                context(path)
            ));
        }
    }
    for keyword in ["properties", "$defs", "definitions"] {
        for (name, inner) in schema[keyword].as_object().into_iter().flatten() {
            path.extend([keyword.to_owned(), name.clone()]);
            let reason = not_strict(inner, path);
            path.truncate(path.len() - 2);
            if reason.is_some() {
                return reason;
            }
        }
    }
    if schema["items"].is_object() {
        path.push("items".to_owned());
        let reason = not_strict(&schema["items"], path);
        path.pop();
        if reason.is_some() {
            return reason;
        }
    }
    for (place, branch) in parts(&schema["anyOf"]).enumerate() {
        path.extend(["anyOf".to_owned(), place.to_string()]);
        let reason = not_strict(branch, path);
        path.truncate(path.len() - 2);
        if reason.is_some() {
            return reason;
        }
    }
    None
}

fn combinations(body: &Value) -> Result<(), Refusal> {
    let given = |name: &str| !body[name].is_null();
    if given("stream_options") && body["stream"] != true {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refusal::invalid("stream_options", "invalid_value", message));
    }
    if given("previous_response_id") && given("conversation") {
        let message = "Mutually exclusive parameters: 'previous_response_id', 'conversation'.";
        return Err(Refusal::invalid("", "mutually_exclusive_parameters", message));
    }
    // What is not simulated would be wrong to accept.
    for name in ["prompt", "conversation", "moderation"] {
        if given(name) {
            return Err(unsupported(name));
        }
    }
    if body["background"] == true {
        return Err(unsupported("background"));
    }
    if body["text"]["format"]["type"] == "json_object"
        && !body["input"].to_string().to_lowercase().contains("json")
        && !body["instructions"].to_string().to_lowercase().contains("json")
    {
        let message = "Response input messages must contain the word 'json' in some form to use 'text.format' of \
                       type 'json_object'.";
        return Err(Refusal::invalid("input", "invalid_value", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::not_strict;
    use serde_json::json;

    #[test]
    fn strict_schemas_name_and_require_everything() {
        let strict = json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {
            "a": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "string"}]}}}});
        assert_eq!(not_strict(&strict, &mut Vec::new()), None);
        let mut open = strict.clone();
        open["properties"]["a"]["items"]["anyOf"][1] = json!({"type": "object", "properties": {}});
        let reason = not_strict(&open, &mut Vec::new()).unwrap_or_default();
        assert!(reason.contains("('properties', 'a', 'items', 'anyOf', '1')"), "{reason}");
        let mut lax = strict;
        lax["required"] = json!([]);
        assert!(not_strict(&lax, &mut Vec::new()).is_some_and(|reason| reason.contains("Missing 'a'")));
    }
}
