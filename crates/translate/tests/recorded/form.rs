//! What a protocol says in several ways, brought to one.

use serde_json::Value;
use weighbridge_units::Protocol;

mod anthropic_messages;
mod bedrock_converse;
mod gemini;
mod openai_chat;
mod openai_responses;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Answer,
}

/// The document in the form in which it is compared.
pub(crate) fn of(protocol: Protocol, kind: Kind, mut value: Value) -> Value {
    match protocol {
        Protocol::OpenAiChat => openai_chat::form(kind, &mut value),
        Protocol::AnthropicMessages => anthropic_messages::form(kind, &mut value),
        Protocol::OpenAiResponses => openai_responses::form(kind, &mut value),
        Protocol::GeminiGenerateContent => value = gemini::form(&value),
        Protocol::BedrockConverse => bedrock_converse::form(&mut value),
    }
    without_silent(&mut value);
    value
}

/// Leaves out what says nothing: members that are null, and empty lists and objects.
fn without_silent(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(without_silent);
            fields.retain(|_, value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(fields) => !fields.is_empty(),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(without_silent),
        _ => {}
    }
}

/// One text on its own is a string.
fn one_text(content: &mut Value) {
    if let Value::Array(items) = content
        && let [Value::Object(part)] = items.as_slice()
        && part.len() == 2
        && part.get("type").is_some_and(|kind| kind == "text")
        && let Some(Value::String(text)) = part.get("text")
    {
        *content = Value::String(text.clone());
    }
}

/// The objects of a list.
fn objects(list: Option<&mut Value>) -> impl Iterator<Item = &mut serde_json::Map<String, Value>> {
    list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}
