//! The same small request, answer and stream in every protocol.

use weighbridge_stream::aws;
use weighbridge_units::Protocol;

/// Asks for the weather, with a tool for it.
pub(crate) fn request(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenAiChat => {
            r#"{"model": "m-1", "max_completion_tokens": 64, "messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Rain in Oslo?"}],
                "tools": [{"type": "function", "function": {"name": "rain", "description": "Tells rain.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]}"#
        }
        Protocol::AnthropicMessages => {
            r#"{"model": "m-1", "max_tokens": 64, "system": "Be brief.",
                "messages": [{"role": "user", "content": "Rain in Oslo?"}],
                "tools": [{"name": "rain", "description": "Tells rain.",
                "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]}"#
        }
        Protocol::OpenAiResponses => {
            r#"{"model": "m-1", "max_output_tokens": 64, "store": false, "instructions": "Be brief.",
                "input": "Rain in Oslo?",
                "tools": [{"type": "function", "name": "rain", "description": "Tells rain.", "strict": false,
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]}"#
        }
        Protocol::GeminiGenerateContent => {
            r#"{"generationConfig": {"maxOutputTokens": 64},
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "contents": [{"role": "user", "parts": [{"text": "Rain in Oslo?"}]}],
                "tools": [{"functionDeclarations": [{"name": "rain", "description": "Tells rain.",
                "parametersJsonSchema": {"type": "object", "properties": {"city": {"type": "string"}}}}]}]}"#
        }
        Protocol::BedrockConverse => {
            r#"{"inferenceConfig": {"maxTokens": 64}, "system": [{"text": "Be brief."}],
                "messages": [{"role": "user", "content": [{"text": "Rain in Oslo?"}]}],
                "toolConfig": {"tools": [{"toolSpec": {"name": "rain", "description": "Tells rain.",
                "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}}}]}}"#
        }
    }
}

/// Says "Dry."
pub(crate) fn answer(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenAiChat => {
            r#"{"id": "chatcmpl-7", "object": "chat.completion", "created": 1700000001, "model": "m-1",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "Dry.", "refusal": null},
                "logprobs": null, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}}"#
        }
        Protocol::AnthropicMessages => {
            r#"{"id": "msg_7", "type": "message", "role": "assistant", "model": "m-1",
                "content": [{"type": "text", "text": "Dry."}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 11, "output_tokens": 2}}"#
        }
        Protocol::OpenAiResponses => {
            r#"{"id": "resp_7", "object": "response", "created_at": 1700000001, "status": "completed",
                "model": "m-1", "output": [{"id": "msg_7", "type": "message", "role": "assistant",
                "status": "completed", "content": [{"type": "output_text", "text": "Dry.", "annotations": []}]}],
                "usage": {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13}}"#
        }
        Protocol::GeminiGenerateContent => {
            r#"{"candidates": [{"content": {"role": "model", "parts": [{"text": "Dry."}]},
                "finishReason": "STOP", "index": 0}], "modelVersion": "m-1", "responseId": "r-7",
                "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 2, "totalTokenCount": 13}}"#
        }
        Protocol::BedrockConverse => {
            r#"{"output": {"message": {"role": "assistant", "content": [{"text": "Dry."}]}},
                "stopReason": "end_turn", "metrics": {"latencyMs": 5},
                "usage": {"inputTokens": 11, "outputTokens": 2, "totalTokens": 13}}"#
        }
    }
}

/// An error of too many requests, and the status that it comes with.
pub(crate) fn error(protocol: Protocol) -> (u16, &'static str) {
    let body = match protocol {
        Protocol::OpenAiChat | Protocol::OpenAiResponses => {
            r#"{"error": {"message": "Slow down", "type": "requests", "param": null,
                "code": "rate_limit_exceeded"}}"#
        }
        Protocol::AnthropicMessages => {
            r#"{"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}"#
        }
        Protocol::GeminiGenerateContent => {
            r#"{"error": {"code": 429, "message": "Slow down", "status": "RESOURCE_EXHAUSTED"}}"#
        }
        Protocol::BedrockConverse => r#"{"__type": "ThrottlingException", "message": "Slow down"}"#,
    };
    (429, body)
}

/// Says "Dry." in two pieces.
pub(crate) fn stream(protocol: Protocol) -> Vec<u8> {
    frames(protocol).concat()
}

/// The frames of [`stream`], as they are on the wire.
pub(crate) fn frames(protocol: Protocol) -> Vec<Vec<u8>> {
    let event = |data: &str| format!("data: {data}\n\n").into_bytes();
    let named = |(name, data): (&str, &str)| format!("event: {name}\ndata: {data}\n\n").into_bytes();
    match protocol {
        Protocol::OpenAiChat => [
            r#"{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1700000001,"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"Dr"},"finish_reason":null}]}"#,
            r#"{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1700000001,"model":"m-1","choices":[{"index":0,"delta":{"content":"y."},"finish_reason":null}]}"#,
            r#"{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1700000001,"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1700000001,"model":"m-1","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":2,"total_tokens":13}}"#,
            "[DONE]",
        ]
        .map(event)
        .to_vec(),
        Protocol::AnthropicMessages => [
            ("message_start", r#"{"type":"message_start","message":{"id":"msg_7","type":"message","role":"assistant","model":"m-1","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":1}}}"#),
            ("content_block_start", r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#),
            ("content_block_delta", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Dr"}}"#),
            ("content_block_delta", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"y."}}"#),
            ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
            ("message_delta", r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#),
            ("message_stop", r#"{"type":"message_stop"}"#),
        ]
        .map(named)
        .to_vec(),
        Protocol::OpenAiResponses => [
            ("response.created", r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_7","object":"response","created_at":1700000001,"status":"in_progress","model":"m-1","output":[]}}"#),
            ("response.output_item.added", r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_7","type":"message","role":"assistant","status":"in_progress","content":[]}}"#),
            ("response.content_part.added", r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_7","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#),
            ("response.output_text.delta", r#"{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_7","output_index":0,"content_index":0,"delta":"Dr"}"#),
            ("response.output_text.delta", r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_7","output_index":0,"content_index":0,"delta":"y."}"#),
            ("response.output_text.done", r#"{"type":"response.output_text.done","sequence_number":5,"item_id":"msg_7","output_index":0,"content_index":0,"text":"Dry."}"#),
            ("response.content_part.done", r#"{"type":"response.content_part.done","sequence_number":6,"item_id":"msg_7","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Dry.","annotations":[]}}"#),
            ("response.output_item.done", r#"{"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"id":"msg_7","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Dry.","annotations":[]}]}}"#),
            ("response.completed", r#"{"type":"response.completed","sequence_number":8,"response":{"id":"resp_7","object":"response","created_at":1700000001,"status":"completed","model":"m-1","output":[{"id":"msg_7","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Dry.","annotations":[]}]}],"usage":{"input_tokens":11,"output_tokens":2,"total_tokens":13}}}"#),
        ]
        .map(named)
        .to_vec(),
        Protocol::GeminiGenerateContent => GEMINI.map(event).to_vec(),
        Protocol::BedrockConverse => [
            ("messageStart", r#"{"role":"assistant"}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Dr"}}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"y."}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            ("messageStop", r#"{"stopReason":"end_turn"}"#),
            ("metadata", r#"{"metrics":{"latencyMs":5},"usage":{"inputTokens":11,"outputTokens":2,"totalTokens":13}}"#),
        ]
        .map(|(name, payload)| aws_frame(name, payload))
        .to_vec(),
    }
}

const GEMINI: [&str; 2] = [
    r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Dr"}]},"index":0}],"modelVersion":"m-1","responseId":"r-7"}"#,
    r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"y."}]},"finishReason":"STOP","index":0}],"modelVersion":"m-1","responseId":"r-7","usageMetadata":{"promptTokenCount":11,"candidatesTokenCount":2,"totalTokenCount":13}}"#,
];

/// The stream of Gemini in its other form.
pub(crate) fn gemini_array() -> String {
    format!("[{}]\n", GEMINI.join(",\r\n"))
}

pub(crate) fn aws_frame(name: &str, payload: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    aws::encode_event(name, payload.as_bytes(), &mut frame).unwrap();
    frame
}
