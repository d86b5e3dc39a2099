//! Messages as the API sees them: turns of blocks, neighbours of one role joined.

use serde_json::{Value, json};

/// Consecutive messages of one role.
pub(super) struct Turn {
    /// The place of the first message.
    pub(super) place: usize,
    pub(super) role: String,
    pub(super) blocks: Vec<Value>,
}

/// The turns of a conversation; a text content becomes one text block.
pub(super) fn turns(body: &Value) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for (place, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        let blocks = blocks(&message["content"]);
        match turns.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => turn.blocks.extend(blocks),
            None => turns.push(Turn { place, role: role.to_owned(), blocks }),
        }
    }
    turns
}

/// The blocks of a content field.
pub(super) fn blocks(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        _ => Vec::new(),
    }
}

/// The text of a content field, blocks joined.
pub(super) fn text_of(content: &Value) -> String {
    blocks(content).iter().filter_map(|block| block["text"].as_str()).collect()
}
