//! What most programs do: typed structs by `serde`, read and written again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<ChatMessage>,
    max_completion_tokens: Option<u64>,
    temperature: Option<f64>,
    stream: Option<bool>,
    stream_options: Option<Value>,
    tools: Option<Vec<ChatTool>>,
}

#[derive(Serialize, Deserialize)]
struct ChatMessage {
    role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<ChatPart>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<ChatCall>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Content<P> {
    Text(String),
    Parts(Vec<P>),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ChatPart {
    Text { text: String },
    ImageUrl { image_url: Value },
}

#[derive(Serialize, Deserialize)]
struct ChatCall {
    id: String,
    r#type: String,
    function: ChatFunctionCall,
}

#[derive(Serialize, Deserialize)]
struct ChatFunctionCall {
    name: String,
    arguments: String,
}

#[derive(Serialize, Deserialize)]
struct ChatTool {
    r#type: String,
    function: ChatFunction,
}

#[derive(Serialize, Deserialize)]
struct ChatFunction {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct MessagesRequest {
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
struct ChatAnswer {
    id: String,
    object: String,
    created: i64,
    model: String,
    choices: Vec<ChatChoice>,
    usage: Option<ChatUsage>,
}

#[derive(Serialize, Deserialize)]
struct ChatChoice {
    index: u64,
    finish_reason: Option<String>,
    logprobs: Option<Value>,
    message: ChatAnswerMessage,
}

#[derive(Serialize, Deserialize)]
struct ChatAnswerMessage {
    role: String,
    content: Option<String>,
    refusal: Option<String>,
    annotations: Option<Vec<Value>>,
    tool_calls: Option<Vec<ChatCall>>,
}

#[derive(Serialize, Deserialize)]
struct ChatUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Option<Value>,
    completion_tokens_details: Option<Value>,
}

pub(crate) fn chat_request(body: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::from_str::<ChatRequest>(body).unwrap()).unwrap()
}

pub(crate) fn messages_request(body: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::from_str::<MessagesRequest>(body).unwrap()).unwrap()
}

pub(crate) fn chat_answer(body: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::from_str::<ChatAnswer>(body).unwrap()).unwrap()
}
