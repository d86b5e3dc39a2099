use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Content;

#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    model: String,
    messages: Vec<Message>,
    max_completion_tokens: Option<u64>,
    temperature: Option<f64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    tools: Option<Vec<Tool>>,
}

#[derive(Serialize, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct Message {
    role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<Part>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<Call>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
    ImageUrl { image_url: Value },
}

#[derive(Serialize, Deserialize)]
struct Call {
    id: String,
    r#type: String,
    function: CalledFunction,
}

#[derive(Serialize, Deserialize)]
struct CalledFunction {
    name: String,
    arguments: String,
}

#[derive(Serialize, Deserialize)]
struct Tool {
    r#type: String,
    function: Function,
}

#[derive(Serialize, Deserialize)]
struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    id: String,
    object: String,
    created: i64,
    model: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Serialize, Deserialize)]
struct Choice {
    index: u64,
    finish_reason: Option<String>,
    logprobs: Option<Value>,
    message: AnswerMessage,
}

#[derive(Serialize, Deserialize)]
struct AnswerMessage {
    role: String,
    content: Option<String>,
    refusal: Option<String>,
    annotations: Option<Vec<Value>>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Serialize, Deserialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Option<PromptTokens>,
    completion_tokens_details: Option<CompletionTokens>,
}

#[derive(Serialize, Deserialize)]
struct PromptTokens {
    cached_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct CompletionTokens {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}
