//! Bodies as agents send them: instructions, tools, and a history of questions, calls and results.

use serde_json::{Value, json};

const PROSE: &str =
    "The quick brown fox said: \"Jump\u{2014}over the lazy dog,\"\nand then it did so, twice. ";

/// A request of Chat Completions of about `size` bytes.
pub(crate) fn request(size: usize) -> String {
    let tool = |n: usize| {
        json!({"type": "function", "function": {"name": format!("tool_{n}"), "description": PROSE,
            "parameters": {"type": "object", "required": ["path"], "properties": {
                "path": {"type": "string", "description": "Where it lies."},
                "limit": {"type": "integer", "minimum": 1}}}}})
    };
    let tools = (size / 5_000).clamp(1, 8);
    let mut body = json!({"model": "some-model", "max_completion_tokens": 1000, "temperature": 0.5, "stream": true,
        "stream_options": {"include_usage": true}, "tools": (0..tools).map(tool).collect::<Vec<_>>(),
        "messages": [{"role": "system", "content": PROSE.repeat(3)}]});
    let mut turn = 0;
    while body.to_string().len() < size {
        let id = format!("call_{turn}");
        let arguments = json!({"path": "/src/main.rs", "limit": turn}).to_string();
        let turns: [Value; 3] = [
            json!({"role": "user", "content": [{"type": "text", "text": PROSE.repeat(2)}]}),
            json!({"role": "assistant", "content": PROSE, "tool_calls": [
                {"id": id, "type": "function", "function": {"name": "tool_0", "arguments": arguments}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": PROSE.repeat(4)}),
        ];
        if let Some(messages) = body["messages"].as_array_mut() {
            messages.extend(turns);
        }
        turn += 1;
    }
    body.to_string()
}

/// An answer of Chat Completions of about `size` bytes.
pub(crate) fn answer(size: usize) -> String {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "some-model",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
            "role": "assistant", "content": PROSE.repeat(size / PROSE.len()), "refusal": null, "annotations": [],
            "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "tool_0", "arguments": "{\"path\":\"/src/main.rs\"}"}}]}}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 400, "total_tokens": 1300,
            "prompt_tokens_details": {"cached_tokens": 512, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}})
    .to_string()
}
