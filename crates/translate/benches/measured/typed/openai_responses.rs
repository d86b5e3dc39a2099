use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Content;

#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    model: String,
    input: Vec<InputItem>,
    max_output_tokens: Option<u64>,
    tools: Option<Vec<Tool>>,
    temperature: Option<f64>,
    store: Option<bool>,
    stream: Option<bool>,
}

/// A message, which may leave its type out, a call or a result: one struct, which is quicker to read than an
/// enum that has to be tried form by form.
#[derive(Serialize, Deserialize)]
struct InputItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<InputPart>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Content<InputPart>>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum InputPart {
    InputText { text: String },
    InputImage { image_url: Value },
}

#[derive(Serialize, Deserialize)]
struct Tool {
    r#type: String,
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    strict: Option<bool>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    id: String,
    object: String,
    created_at: i64,
    status: String,
    error: Option<Value>,
    incomplete_details: Option<Value>,
    model: String,
    output: Vec<OutputItem>,
    parallel_tool_calls: bool,
    tool_choice: Value,
    tools: Vec<Tool>,
    background: Option<bool>,
    instructions: Option<String>,
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<u64>,
    metadata: Option<Value>,
    previous_response_id: Option<String>,
    reasoning: Option<Reasoning>,
    store: Option<bool>,
    temperature: Option<f64>,
    text: Option<Text>,
    top_p: Option<f64>,
    truncation: Option<String>,
    user: Option<String>,
    usage: Option<Usage>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutputItem {
    Message { role: String, content: Vec<OutputPart>, id: String, status: String },
    FunctionCall { call_id: String, name: String, arguments: String, id: String, status: String },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutputPart {
    OutputText { text: String, annotations: Vec<Value>, logprobs: Vec<Value> },
    Refusal { refusal: String },
}

#[derive(Serialize, Deserialize)]
struct Reasoning {
    effort: Option<String>,
    summary: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Text {
    format: Value,
}

#[derive(Serialize, Deserialize)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: InputTokens,
    output_tokens: u64,
    output_tokens_details: OutputTokens,
    total_tokens: u64,
}

#[derive(Serialize, Deserialize)]
struct InputTokens {
    cached_tokens: u64,
    cache_write_tokens: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct OutputTokens {
    reasoning_tokens: u64,
}
