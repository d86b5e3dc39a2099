use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Content;

#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    model: String,
    max_tokens: u64,
    system: Option<Content<Block>>,
    messages: Vec<Message>,
    temperature: Option<f64>,
    tools: Option<Vec<Tool>>,
    stream: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct Message {
    role: String,
    content: Content<Block>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text { text: String },
    ToolUse { id: String, name: String, input: Value },
    ToolResult { tool_use_id: String, content: Option<Content<Box<Block>>> },
}

#[derive(Serialize, Deserialize)]
struct Tool {
    name: String,
    description: Option<String>,
    input_schema: Value,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    id: String,
    r#type: String,
    role: String,
    model: String,
    content: Vec<Block>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    usage: Usage,
}

#[derive(Serialize, Deserialize)]
struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: u64,
    output_tokens_details: Option<OutputTokens>,
}

#[derive(Serialize, Deserialize)]
struct OutputTokens {
    thinking_tokens: Option<u64>,
}
