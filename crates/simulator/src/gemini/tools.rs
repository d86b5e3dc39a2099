//! What the API refuses of tools: <https://ai.google.dev/gemini-api/docs/function-calling>.

use std::collections::BTreeSet;

use serde_json::Value;

use super::refusal::{invalid, invalid_field};
use crate::refusal::Refusal;

/// All function declarations, whichever tools they are in.
pub(super) fn declarations(body: &Value) -> impl Iterator<Item = &Value> {
    let tools = body["tools"].as_array().into_iter().flatten();
    tools.flat_map(|tool| tool["functionDeclarations"].as_array().into_iter().flatten())
}

pub(super) fn check(body: &Value) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    for (tool_place, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        let functions = tool["functionDeclarations"].as_array().into_iter().flatten();
        for (place, function) in functions.enumerate() {
            let at = format!("tools[{tool_place}].function_declarations[{place}]");
            let name = function["name"].as_str().unwrap_or_default();
            if !is_name(name) {
                return Err(invalid_field(
                    &format!("{at}.name"),
                    "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, \
                     A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64.",
                ));
            }
            if !names.insert(name) {
                return Err(invalid(format!("Duplicate function declaration found: {name}")));
            }
            if !function["parameters"].is_null() && !function["parametersJsonSchema"].is_null() {
                return Err(invalid_field(
                    &at,
                    "only one of parameters and parameters_json_schema may be set.",
                ));
            }
            if !function["parameters"].is_null() {
                schema(&function["parameters"], &format!("{at}.parameters"))?;
            }
        }
    }
    let config = &body["toolConfig"]["functionCallingConfig"];
    let mode = config["mode"].as_str().unwrap_or("AUTO");
    if names.is_empty() && mode == "ANY" {
        return Err(invalid("Function calling config is set without function_declarations."));
    }
    let allowed = config["allowedFunctionNames"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !allowed.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return Err(invalid(
            "Please set allowed_function_names only when function calling mode is ANY or VALIDATED.",
        ));
    }
    match allowed.iter().filter_map(Value::as_str).find(|name| !names.contains(name)) {
        None => Ok(()),
        Some(name) => Err(invalid(format!(
            "allowed_function_names: function {name} is not in the function declarations."
        ))),
    }
}

/// A letter or an underscore, then up to 63 letters, digits, `_`, `.`, `:` and `-`.
fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let known = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    first && name.len() <= 64 && name.bytes().all(known)
}

/// What the API refuses of a schema: <https://ai.google.dev/api/caching#Schema>.
pub(super) fn schema(schema: &Value, at: &str) -> Result<(), Refusal> {
    let kind = schema["type"].as_str().unwrap_or("TYPE_UNSPECIFIED");
    if !schema["enum"].is_null() && kind != "STRING" {
        return Err(invalid_field(&format!("{at}.enum"), "only allowed for STRING type"));
    }
    if kind == "ARRAY" && schema["items"].is_null() {
        return Err(invalid_field(&format!("{at}.items"), "missing field."));
    }
    let fields = schema["properties"].as_object();
    if fields.is_some_and(|fields| !fields.is_empty()) && kind != "OBJECT" {
        return Err(invalid_field(&format!("{at}.properties"), "only allowed for OBJECT type"));
    }
    for (place, name) in schema["required"].as_array().into_iter().flatten().enumerate() {
        let known = fields.is_some_and(|fields| name.as_str().is_some_and(|name| fields.contains_key(name)));
        if !known {
            return Err(invalid_field(&format!("{at}.required[{place}]"), "property is not defined"));
        }
    }
    for (name, inner) in fields.into_iter().flatten() {
        self::schema(inner, &format!("{at}.properties[{name}]"))?;
    }
    if schema["items"].is_object() {
        self::schema(&schema["items"], &format!("{at}.items"))?;
    }
    for (place, branch) in schema["anyOf"].as_array().into_iter().flatten().enumerate() {
        self::schema(branch, &format!("{at}.any_of[{place}]"))?;
    }
    Ok(())
}
