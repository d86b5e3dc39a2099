//! Anthropic's Messages.

use serde_json::{Map, Value};

use super::{Kind, objects, one_text};

pub(super) fn form(kind: Kind, value: &mut Value) {
    let Value::Object(fields) = value else { return };
    if kind == Kind::Request {
        request(fields);
    }
}

fn request(fields: &mut Map<String, Value>) {
    // Whole is how an answer comes anyway.
    fields.retain(|name, value| name != "stream" || *value == true);
    fields.get_mut("system").into_iter().for_each(one_text);
    for message in objects(fields.get_mut("messages")) {
        for block in objects(message.get_mut("content")) {
            if block.get("type").is_some_and(|kind| kind == "tool_result") {
                block.get_mut("content").into_iter().for_each(one_text);
                // That it went well is the case anyway.
                block.retain(|name, value| name != "is_error" || *value == true);
            }
        }
        message.get_mut("content").into_iter().for_each(one_text);
    }
}
