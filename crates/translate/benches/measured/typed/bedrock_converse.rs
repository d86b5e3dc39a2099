use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    output: Output,
    stop_reason: String,
    usage: Usage,
    metrics: Option<Metrics>,
}

#[derive(Serialize, Deserialize)]
struct Output {
    message: Message,
}

#[derive(Serialize, Deserialize)]
struct Message {
    role: String,
    content: Vec<Block>,
}

/// Converse names the form of a block by its only field, as serde's enums do.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Block {
    Text(String),
    ToolUse(ToolUse),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse {
    tool_use_id: String,
    name: String,
    input: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    cache_read_input_tokens: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    latency_ms: u64,
}
