//! OpenAI's Chat Completions.

use serde_json::{Map, Value, json};

use super::{Kind, objects, one_text};

pub(super) fn form(kind: Kind, value: &mut Value) {
    let Value::Object(fields) = value else { return };
    match kind {
        Kind::Request => request(fields),
        Kind::Answer => {
            for choice in objects(fields.get_mut("choices")) {
                // Azure leaves the message out where its filter left nothing of it.
                let message = choice.entry("message").or_insert(json!({"role": "assistant"}));
                message.as_object_mut().into_iter().for_each(self::message);
            }
        }
    }
}

fn request(fields: &mut Map<String, Value>) {
    // Whole is how an answer comes anyway, and usage is always asked for in a stream.
    fields.retain(|name, value| (name != "stream" || *value == true) && name != "stream_options");
    if let Some(limit) = fields.remove("max_tokens") {
        fields.entry("max_completion_tokens").or_insert(limit);
    }
    if let Some(Value::String(stop)) = fields.get("stop") {
        fields["stop"] = json!([stop]);
    }
    functions(fields);
    // Mistral's word.
    if fields.get("tool_choice").is_some_and(|choice| choice == "any") {
        fields["tool_choice"] = json!("required");
    }
    // DeepSeek's and others' way to say it.
    if fields.get("thinking") == Some(&json!({"type": "disabled"})) {
        fields.remove("thinking");
        fields.insert("reasoning_effort".to_owned(), json!("none"));
    }
    // OpenRouter's way to say it.
    if let Some(Value::Object(wish)) = fields.get("reasoning")
        && let (1, Some(effort)) = (wish.len(), wish.get("effort").cloned())
    {
        fields.remove("reasoning");
        fields.insert("reasoning_effort".to_owned(), effort);
    }
    objects(fields.get_mut("messages")).for_each(message);
}

/// The form before tools.
fn functions(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(functions)) = fields.remove("functions") {
        let tool = |function| json!({"type": "function", "function": function});
        fields.insert("tools".to_owned(), functions.into_iter().map(tool).collect());
    }
    if let Some(mut choice) = fields.remove("function_call") {
        if choice.is_object() {
            choice = json!({"type": "function", "function": choice});
        }
        fields.insert("tool_choice".to_owned(), choice);
    }
}

fn message(message: &mut Map<String, Value>) {
    thinking(message);
    if let Some(content) = message.get_mut("content") {
        one_text(content);
        if *content == "" {
            *content = Value::Null;
        }
    }
    reasoning(message);
    // The order says the same.
    objects(message.get_mut("tool_calls")).for_each(|call| {
        call.remove("index");
    });
    // Snowflake fills in what is not there.
    if message.get("function_call") == Some(&json!({"name": "", "arguments": ""})) {
        message.remove("function_call");
    }
}

/// Mistral's form of reasoning: a part of the content, and itself a list of parts.
fn thinking(message: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = message.get_mut("content") else { return };
    let mut words = String::new();
    parts.retain(|part| {
        let inner = part.get("thinking").and_then(Value::as_array);
        let texts = inner.into_iter().flatten().filter_map(|part| part["text"].as_str());
        words.extend(texts);
        inner.is_none()
    });
    if !words.is_empty() {
        message.insert("reasoning_content".to_owned(), words.into());
    }
}

/// Reasoning has two names, and what routers say about its pieces besides may say no more than it.
fn reasoning(message: &mut Map<String, Value>) {
    let names = ["reasoning_content", "reasoning"];
    let words = names.into_iter().filter_map(|name| message.remove(name)).find(|words| !words.is_null());
    let mut told = String::new();
    if let Some(Value::Array(details)) = message.get_mut("reasoning_details") {
        details.retain_mut(|detail| {
            let Some(detail) = detail.as_object_mut() else { return true };
            let text = detail.get("text").or(detail.get("summary")).and_then(Value::as_str);
            told.push_str(text.unwrap_or_default());
            let format = detail.entry("format").or_insert(json!("unknown"));
            let is_plain = format == "unknown";
            // Which call a detail of Gemini's belongs to is told by its place as well; a summary belongs
            // to the sealed piece after it.
            let is_gemini = format.as_str().is_some_and(|format| format.starts_with("google-gemini"));
            if is_gemini || detail.contains_key("summary") {
                detail.remove("id");
            }
            detail.entry("index").or_insert(json!(0));
            !is_plain || detail.contains_key("signature")
        });
    }
    let words = if told.is_empty() { words } else { Some(told.into()) };
    message.extend(words.filter(|words| *words != "").map(|words| ("reasoning".to_owned(), words)));
}
