//! What the API refuses in a conversation: ids, media, calls without results, reasoning out of place.

use serde_json::Value;

use super::encrypted;
use super::item::{is_call, is_call_output, kind, origin, parts};
use super::kept::KeptResponses;
use super::rules::too_long_text;
use crate::base64;
use crate::refusal::Refusal;

/// Longest id of an item or a call.
const LONGEST_ID: usize = 64;

/// The first rule that a conversation breaks.
pub(super) fn check(items: &[Value], kept: &KeptResponses) -> Result<(), Refusal> {
    if items.is_empty() {
        let message = "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty \
                       array instead.";
        return Err(Refusal::invalid("input", "empty_array", message));
    }
    for (place, item) in items.iter().enumerate() {
        let at = format!("input[{place}]");
        ids(item, &at, kept)?;
        let contents = [&item["content"], &item["output"]];
        for content in contents {
            for (part_place, part) in parts(content).enumerate() {
                media(part, &format!("{at}.content[{part_place}]"))?;
            }
        }
    }
    calls(items)?;
    reasoning(items, kept)
}

fn invalid(message: String) -> Refusal {
    Refusal { param: Some("input".to_owned()), ..Refusal::new(400, "invalid_request_error", message) }
}

fn ids(item: &Value, at: &str, kept: &KeptResponses) -> Result<(), Refusal> {
    if kind(item) == "item_reference" {
        let id = item["id"].as_str().unwrap_or_default();
        return if kept.item(id).is_some() { Ok(()) } else { Err(not_kept(id)) };
    }
    let prefix = match kind(item) {
        "message" => "msg",
        "function_call" => "fc",
        "custom_tool_call" => "ctc",
        "reasoning" => "rs",
        _ => return Ok(()),
    };
    if let Some(id) = item["id"].as_str().filter(|id| !id.starts_with(prefix)) {
        let message = format!("Invalid '{at}.id': '{id}'. Expected an ID that begins with '{prefix}'.");
        return Err(Refusal::invalid(&format!("{at}.id"), "invalid_value", message));
    }
    for name in ["id", "call_id"] {
        if item[name].as_str().is_some_and(|id| id.len() > LONGEST_ID) {
            return Err(too_long_text(&format!("{at}.{name}"), LONGEST_ID));
        }
    }
    Ok(())
}

fn not_kept(id: &str) -> Refusal {
    Refusal {
        status: 404,
        ..invalid(format!(
            "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with \
             `store` set to true, or remove this item from your input."
        ))
    }
}

fn media(part: &Value, at: &str) -> Result<(), Refusal> {
    let (name, data_required) = match part["type"].as_str() {
        Some("input_image") => ("image_url", false),
        Some("input_file") => ("file_data", true),
        _ => return Ok(()),
    };
    let one_of = ["image_url", "file_data", "file_url", "file_id"];
    if one_of.iter().all(|source| part[*source].is_null()) {
        let message = format!("Invalid value for '{at}': expected one of 'file_id', '{name}'.");
        return Err(Refusal::invalid(at, "invalid_value", message));
    }
    let Some(url) = part[name].as_str() else { return Ok(()) };
    let fits = match url.strip_prefix("data:") {
        Some(data) => data.split_once(";base64,").is_some_and(|(kind, data)| {
            let known = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&kind);
            (known || data_required) && base64::is_valid(data)
        }),
        None => !data_required && (url.starts_with("https://") || url.starts_with("http://")),
    };
    if fits {
        return Ok(());
    }
    let message = format!(
        "Invalid '{at}.{name}'. Expected a base64-encoded data URL with a MIME type that is supported (e.g. \
         'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got a value with an invalid format."
    );
    Err(Refusal::invalid(&format!("{at}.{name}"), "invalid_value", message))
}

/// Each call has its output after it, and each output its call before it.
fn calls(items: &[Value]) -> Result<(), Refusal> {
    for (place, item) in items.iter().enumerate() {
        let id = item["call_id"].as_str().unwrap_or_default();
        let same = |other: &&Value| other["call_id"] == item["call_id"];
        let noun = if kind(item).starts_with("custom") { "custom tool call" } else { "function call" };
        let mut later = items[place..].iter().filter(same);
        if is_call(item) && !later.any(is_call_output) {
            return Err(invalid(format!("No tool output found for {noun} {id}.")));
        }
        let mut earlier = items[..place].iter().filter(same);
        if is_call_output(item) && !earlier.any(is_call) {
            return Err(invalid(format!("No tool call found for {noun} output with call_id {id}.")));
        }
    }
    Ok(())
}

/// Reasoning stands before what it led to, unchanged; what it led to does not stand alone.
fn reasoning(items: &[Value], kept: &KeptResponses) -> Result<(), Refusal> {
    for (place, item) in items.iter().enumerate() {
        let id = item["id"].as_str().unwrap_or_default();
        let Some(from) = origin(item) else {
            if kind(item) == "reasoning" {
                return Err(not_readable(id));
            }
            continue;
        };
        let same = |other: &&Value| origin(other).is_some_and(|origin| origin.tail == from.tail);
        if kind(item) == "reasoning" {
            // An item without an id is taken for the one that followed: clients that keep their history
            // themselves, such as Codex, send no ids.
            let follows = |next: &&Value| kind(next) != "reasoning" && (next["id"].is_null() || same(next));
            if !items.get(place + 1).as_ref().is_some_and(follows) {
                return Err(invalid(format!(
                    "Item '{id}' of type 'reasoning' was provided without its required following item."
                )));
            }
            match item["encrypted_content"].as_str() {
                Some(content) if content != encrypted(id) => return Err(not_readable(id)),
                None if kept.item(id).is_none() => return Err(not_kept(id)),
                _ => {}
            }
        } else if from.reasoned
            && !items[..place].iter().filter(same).any(|before| kind(before) == "reasoning")
        {
            return Err(invalid(format!(
                "Item '{id}' of type '{}' was provided without its required 'reasoning' item: 'rs_…{}'.",
                kind(item),
                from.tail
            )));
        }
    }
    Ok(())
}

fn not_readable(id: &str) -> Refusal {
    let message = format!(
        "The encrypted content for item {id} could not be verified. Reason: Encrypted content could not be \
         decrypted or parsed."
    );
    Refusal { code: Some("invalid_encrypted_content"), ..invalid(message) }
}
