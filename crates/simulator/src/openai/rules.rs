//! What the API refuses beyond its schema: ranges, and fields that need or exclude each other.

use std::collections::BTreeSet;

use serde_json::Value;

use super::refusal::{out_of_range, unsupported};
use crate::base64;
use crate::price::Model;
use crate::refusal::Refusal;

/// The first rule that a body breaks.
pub(crate) fn check(body: &Value, model: &Model) -> Result<(), Refusal> {
    ranges(body)?;
    limits(body, model)?;
    if model.reasons {
        reasoning_models(body)?;
    } else if !body["reasoning_effort"].is_null() {
        return Err(unsupported("reasoning_effort"));
    }
    tools(body)?;
    combinations(body)?;
    messages(body)?;
    conversation(body)
}

fn ranges(body: &Value) -> Result<(), Refusal> {
    for (name, low, high) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
    ] {
        if let Some(number) = body[name].as_f64() {
            out_of_range(name, "decimal", number, low, high)?;
        }
    }
    for (name, low, high) in [
        ("n", 1.0, 128.0),
        ("top_logprobs", 0.0, 20.0),
        ("max_tokens", 1.0, f64::INFINITY),
        ("max_completion_tokens", 1.0, f64::INFINITY),
    ] {
        if let Some(number) = body[name].as_f64() {
            out_of_range(name, "integer", number, low, high)?;
        }
    }
    for (token, bias) in body["logit_bias"].as_object().into_iter().flatten() {
        if !integer(bias).is_some_and(|bias| (-100..=100).contains(&bias)) {
            let message = format!("Invalid 'logit_bias.{token}': expected a value between -100 and 100.");
            return Err(Refusal::invalid("logit_bias", "invalid_value", message));
        }
    }
    Ok(())
}

/// An integer of any size, clamped.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX))
}

fn limits(body: &Value, model: &Model) -> Result<(), Refusal> {
    for name in ["max_tokens", "max_completion_tokens"] {
        if let Some(asked) = body[name].as_u64().filter(|asked| *asked > model.max_output) {
            let message = format!(
                "{name} is too large: {asked}. This model supports at most {} completion tokens, whereas you \
                 provided {asked}.",
                model.max_output
            );
            return Err(Refusal::invalid(name, "invalid_value", message));
        }
    }
    let array = |name: &str| body[name].as_array().map(Vec::len);
    for (name, low, high) in
        [("messages", 1, usize::MAX), ("tools", 1, 128), ("functions", 1, 128), ("stop", 1, 4)]
    {
        match array(name) {
            Some(length) if length < low => return Err(empty_array(name)),
            Some(length) if length > high => {
                let message = format!(
                    "Invalid '{name}': array too long. Expected an array with maximum length {high}, but got an \
                     array with length {length} instead."
                );
                return Err(Refusal::invalid(name, "array_above_max_length", message));
            }
            _ => {}
        }
    }
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
            let message = format!(
                "Invalid '{name}': string too long. Expected a string with maximum length {longest}."
            );
            return Err(Refusal::invalid(name, "string_above_max_length", message));
        }
    }
    Ok(())
}

fn empty_array(name: &str) -> Refusal {
    let message = format!(
        "Invalid '{name}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    );
    Refusal::invalid(name, "empty_array", message)
}

/// <https://platform.openai.com/docs/guides/reasoning>: no sampling, no stop, another output limit.
fn reasoning_models(body: &Value) -> Result<(), Refusal> {
    if !body["max_tokens"].is_null() {
        return Err(Refusal {
            message: "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                      'max_completion_tokens' instead."
                .to_owned(),
            ..unsupported("max_tokens")
        });
    }
    for name in ["stop", "logprobs", "top_logprobs", "logit_bias"] {
        if !body[name].is_null() && body[name] != false {
            return Err(unsupported(name));
        }
    }
    for (name, default) in
        [("temperature", 1.0), ("top_p", 1.0), ("presence_penalty", 0.0), ("frequency_penalty", 0.0)]
    {
        if let Some(value) = body[name].as_f64()
            && value.total_cmp(&default).is_ne()
        {
            let message = format!(
                "Unsupported value: '{name}' does not support {value} with this model. Only the default \
                 ({default}) value is supported."
            );
            return Err(Refusal::invalid(name, "unsupported_value", message));
        }
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    let lists = [("tools", Some("function")), ("functions", None)];
    for (list, inside) in lists {
        for (place, tool) in body[list].as_array().into_iter().flatten().enumerate() {
            let function = inside.map_or(tool, |inside| &tool[inside]);
            let custom = tool["custom"]["name"].as_str();
            let Some(name) = function["name"].as_str().or(custom) else { continue };
            let param = format!("{list}[{place}].{}name", inside.map_or(String::new(), |i| format!("{i}.")));
            if !is_name(name) {
                let message = format!(
                    "Invalid '{param}': string does not match pattern. Expected a string that matches the \
                     pattern '^[a-zA-Z0-9_-]+$'."
                );
                return Err(Refusal::invalid(&param, "invalid_value", message));
            }
            names.insert(name);
        }
    }
    let without = |names: &str| body[names].is_null();
    for (name, needed) in
        [("tool_choice", "tools"), ("parallel_tool_calls", "tools"), ("function_call", "functions")]
    {
        if !body[name].is_null() && without(needed) {
            let message = format!(
                "Invalid value for '{name}': '{name}' is only allowed when '{needed}' are specified."
            );
            return Err(Refusal::invalid(name, "invalid_value", message));
        }
    }
    let chosen = body["tool_choice"]["function"]["name"].as_str().or(body["function_call"]["name"].as_str());
    if let Some(name) = chosen.filter(|name| !names.contains(name)) {
        let message = format!("Invalid value for 'tool_choice': function '{name}' not found in 'tools'.");
        return Err(Refusal::invalid("tool_choice", "invalid_value", message));
    }
    Ok(())
}

/// 1 to 64 letters, digits, `_` and `-`.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn combinations(body: &Value) -> Result<(), Refusal> {
    let given = |name: &str| !body[name].is_null();
    if given("max_tokens") && given("max_completion_tokens") {
        let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(Refusal::invalid("max_tokens", "invalid_parameter_combination", message));
    }
    if given("stream_options") && body["stream"] != true {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refusal::invalid("stream_options", "invalid_value", message));
    }
    if given("top_logprobs") && body["logprobs"] != true {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(Refusal::invalid("top_logprobs", "invalid_value", message));
    }
    if given("metadata") && body["store"] != true {
        let message = "The 'metadata' parameter is only allowed when 'store' is enabled.";
        return Err(Refusal::invalid("metadata", "invalid_value", message));
    }
    let audio = body["modalities"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "audio"));
    if audio || given("audio") {
        return Err(unsupported("modalities"));
    }
    if given("web_search_options") {
        return Err(unsupported("web_search_options"));
    }
    let format = &body["response_format"];
    if format["type"] == "json_object" && !body["messages"].to_string().to_lowercase().contains("json") {
        let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                       'json_object'.";
        return Err(Refusal::invalid("messages", "invalid_value", message));
    }
    if format["type"] == "json_schema" && format["json_schema"]["schema"].is_null() {
        let message = "Missing required parameter: 'response_format.json_schema.schema'.";
        return Err(Refusal::invalid(
            "response_format.json_schema.schema",
            "missing_required_parameter",
            message,
        ));
    }
    Ok(())
}

/// Each message on its own.
fn messages(body: &Value) -> Result<(), Refusal> {
    for (place, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
        let at = format!("messages[{place}]");
        let parts = message["content"].as_array();
        if parts.is_some_and(Vec::is_empty) {
            return Err(empty_array(&format!("{at}.content")));
        }
        for (part_place, part) in parts.into_iter().flatten().enumerate() {
            content_part(part, &format!("{at}.content[{part_place}]"))?;
        }
        if message["role"] == "assistant" {
            let says = ["content", "tool_calls", "refusal", "function_call", "audio"];
            if says.iter().all(|name| message[*name].is_null()) {
                let message = format!("Invalid value for '{at}.content': expected a string, got null.");
                return Err(Refusal::invalid(&format!("{at}.content"), "invalid_value", message));
            }
            if message["tool_calls"].as_array().is_some_and(Vec::is_empty) {
                return Err(empty_array(&format!("{at}.tool_calls")));
            }
        }
    }
    Ok(())
}

fn content_part(part: &Value, at: &str) -> Result<(), Refusal> {
    if part["type"] == "input_audio" {
        let message = format!("Invalid value for '{at}': this model does not accept audio.");
        return Err(Refusal::invalid(at, "invalid_value", message));
    }
    let Some(url) = part["image_url"]["url"].as_str() else { return Ok(()) };
    let fits = match url.strip_prefix("data:") {
        Some(data) => data.split_once(";base64,").is_some_and(|(kind, data)| {
            let known = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&kind);
            known && base64::is_valid(data)
        }),
        None => url.starts_with("https://") || url.starts_with("http://"),
    };
    if fits {
        return Ok(());
    }
    let message = format!(
        "Invalid '{at}.image_url.url'. Expected a valid URL or a base64 data URL of a png, jpeg, gif or webp \
         image, but got a value with an invalid format."
    );
    Err(Refusal::invalid(&format!("{at}.image_url.url"), "invalid_image_url", message))
}

/// Tool calls and their results, in order.
fn conversation(body: &Value) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    let unanswered = |open: &[&str], place: usize| {
        let message = format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
             'tool_call_id'. The following tool_call_ids did not have response messages: {}",
            open.join(", ")
        );
        Refusal::invalid(&format!("messages.[{place}].role"), "invalid_value", message)
    };
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut may_answer: BTreeSet<&str> = BTreeSet::new();
    for (place, message) in messages.iter().enumerate() {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            if !may_answer.contains(id) {
                let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
                               message with 'tool_calls'.";
                return Err(Refusal::invalid(&format!("messages.[{place}].role"), "invalid_value", message));
            }
            open.retain(|open| *open != id);
            continue;
        }
        if !open.is_empty() {
            return Err(unanswered(&open, place));
        }
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        open = calls.filter_map(|call| call["id"].as_str()).collect();
        may_answer = open.iter().copied().collect();
    }
    match open.is_empty() {
        true => Ok(()),
        false => Err(unanswered(&open, messages.len())),
    }
}
