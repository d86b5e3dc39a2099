//! What the tour asks, and what must come of it.

use serde_json::{Value, json};
use weighbridge_simulator::Fault;

use super::Demo;
use crate::client::Reply;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/v1/messages";

/// One step of the tour.
pub(crate) struct Scene {
    pub(crate) title: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: Value,
    /// Whether the key is the one whose budget is next to nothing.
    pub(crate) poor: bool,
    /// What goes wrong at a provider.
    pub(crate) fault: Option<fn(&Demo)>,
    /// What must be true of the answer; what is not is said.
    pub(crate) expect: fn(&Reply) -> Result<(), &'static str>,
}

pub(crate) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            title: "A plain call: OpenAI's protocol, answered by Anthropic",
            path: CHAT,
            body: chat("smart", "echo:Good morning", false),
            poor: false,
            fault: None,
            expect: |reply| holds(reply.status == 200 && reply.text().contains("Good morning"), "the answer"),
        },
        Scene {
            title: "A streamed call with a tool: Anthropic's protocol, answered by OpenAI",
            path: MESSAGES,
            body: with_tool(chat("fast", "Use the tool to look up the weather", true)),
            poor: false,
            fault: None,
            expect: |reply| {
                let text = reply.text();
                holds(reply.status == 200, "status 200")?;
                holds(
                    text.contains("input_json_delta") && text.contains("\"tool_use\""),
                    "a streamed tool call",
                )?;
                holds(text.contains("event: message_stop"), "a proper end")
            },
        },
        Scene {
            title: "A failover: the first provider answers 503",
            path: CHAT,
            body: chat("fast", "echo:Still here", false),
            poor: false,
            fault: Some(|demo| demo.openai.push_fault(Fault::Status { code: 503, retry_after: None })),
            expect: |reply| {
                holds(reply.status == 200 && reply.text().contains("Still here"), "the answer")?;
                holds(reply.header("x-gateway-attempts") == Some("2"), "two attempts")
            },
        },
        Scene {
            title: "A stream that breaks in the middle",
            path: CHAT,
            body: chat("smart", "words:80", true),
            poor: false,
            fault: Some(|demo| demo.anthropic.push_fault(Fault::CutMidStream { after_frames: 20 })),
            expect: |reply| {
                let text = reply.text();
                holds(reply.status == 200 && text.contains("\"error\""), "an error event")?;
                holds(!text.contains("[DONE]"), "no end that looks well")
            },
        },
        Scene {
            title: "A call over budget",
            path: CHAT,
            body: chat("fast", "words:80", false),
            poor: true,
            fault: None,
            expect: |reply| {
                holds(reply.status == 429, "status 429")?;
                holds(reply.header("x-gateway-limit-kind") == Some("budget"), "the limit's kind")
            },
        },
    ]
}

fn holds(condition: bool, what: &'static str) -> Result<(), &'static str> {
    condition.then_some(()).ok_or(what)
}

fn chat(model: &str, text: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "max_tokens": 400,
        "stream": stream,
        "messages": [{ "role": "user", "content": text }],
    })
}

fn with_tool(mut body: Value) -> Value {
    let city =
        json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    body["tools"] =
        json!([{ "name": "weather", "description": "The weather of a city", "input_schema": city }]);
    body
}
