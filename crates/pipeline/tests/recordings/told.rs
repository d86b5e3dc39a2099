//! What answers say, read off their JSON with nothing of the gateway's own readers: text, calls of tools, tokens.

use serde_json::{Value, json};
use weighbridge_units::Protocol;

/// What an answer says, of its first candidate.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) text: String,
    /// Names and arguments of the calls that the client is to make.
    pub(crate) calls: Vec<(String, Value)>,
}

/// Tokens of prompt and answer, each with all that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) prompt: u64,
    pub(crate) answer: u64,
}

/// What a usage object tells: the two figures that stand in it, and their sum, if it is told as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) stated: Tokens,
    pub(crate) total: Option<u64>,
    /// Whether the prompt's figure stands in it at all.
    pub(crate) tells_prompt: bool,
}

/// The `data` of each event, up to the protocol's end of the first answer: some recordings hold several.
pub(crate) fn events(protocol: Protocol, stream: &str) -> Vec<Value> {
    let mut events = Vec::new();
    // A field may be cut over lines, a comment stands between, and a line may end in `\r\n`.
    for block in stream.replace("\r\n", "\n").split("\n\n") {
        let lines = block.lines().filter_map(|line| line.strip_prefix("data:"));
        let data: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        let data = data.join("\n");
        if data == "[DONE]" {
            break;
        }
        let Ok(event) = serde_json::from_str::<Value>(&data) else { continue };
        let is_last = match protocol {
            Protocol::AnthropicMessages => event["type"] == "message_stop",
            Protocol::OpenAiResponses => ["response.completed", "response.incomplete", "response.failed"]
                .map(Value::from)
                .contains(&event["type"]),
            _ => false,
        };
        events.push(event);
        if is_last {
            break;
        }
    }
    events
}

/// What a whole answer says.
pub(crate) fn whole(protocol: Protocol, answer: &Value) -> Told {
    let mut told = Told::default();
    match protocol {
        Protocol::OpenAiChat => {
            let message = &answer["choices"][0]["message"];
            told.text = content(&message["content"]) + &text(&message["refusal"]);
            // What OpenAI called a function before there were tools; Snowflake has one without a name everywhere.
            let call = &message["function_call"];
            if call["name"].as_str().is_some_and(|name| !name.is_empty()) {
                told.calls.push((text(&call["name"]), arguments(&text(&call["arguments"]))));
            }
            for call in list(&message["tool_calls"]) {
                told.calls.push((
                    text(&call["function"]["name"]),
                    arguments(&text(&call["function"]["arguments"])),
                ));
            }
        }
        Protocol::AnthropicMessages => {
            for block in list(&answer["content"]) {
                match block["type"].as_str() {
                    Some("text") => told.text.push_str(&text(&block["text"])),
                    Some("tool_use") => told.calls.push((text(&block["name"]), block["input"].clone())),
                    _ => {}
                }
            }
        }
        Protocol::OpenAiResponses => {
            for item in list(&answer["output"]) {
                match item["type"].as_str() {
                    Some("message") => {
                        for part in list(&item["content"]) {
                            told.text.push_str(&text(&part["text"]));
                            told.text.push_str(&text(&part["refusal"]));
                        }
                    }
                    Some("function_call") => {
                        told.calls.push((text(&item["name"]), arguments(&text(&item["arguments"]))));
                    }
                    _ => {}
                }
            }
        }
        Protocol::GeminiGenerateContent => {
            let candidates = list(&answer["candidates"]);
            let first = candidates.iter().find(|one| one["index"].as_u64().unwrap_or(0) == 0);
            for part in first.map_or(&[][..], |one| list(&one["content"]["parts"])) {
                if part["thought"] != true {
                    told.text.push_str(&text(&part["text"]));
                }
                if let Some(call) = part.get("functionCall") {
                    told.calls.push((text(&call["name"]), object(&call["args"])));
                }
            }
        }
        Protocol::BedrockConverse => {
            for block in list(&answer["output"]["message"]["content"]) {
                told.text.push_str(&text(&block["text"]));
                for cited in list(&block["citationsContent"]["content"]) {
                    told.text.push_str(&text(&cited["text"]));
                }
                if let Some(call) = block.get("toolUse").filter(|call| call["type"] != "server_tool_use") {
                    told.calls.push((text(&call["name"]), object(&call["input"])));
                }
            }
        }
    }
    told
}

/// What a stream adds up to.
pub(crate) fn streamed(protocol: Protocol, events: &[Value]) -> Told {
    let mut told = Told::default();
    // Calls by the place that the stream gives them, with arguments that are not whole yet.
    let mut calls: Vec<(Value, String, String)> = Vec::new();
    for event in events {
        match protocol {
            Protocol::OpenAiChat => {
                for choice in
                    list(&event["choices"]).iter().filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0)
                {
                    told.text.push_str(&content(&choice["delta"]["content"]));
                    told.text.push_str(&text(&choice["delta"]["refusal"]));
                    for call in list(&choice["delta"]["tool_calls"]) {
                        let (name, piece) =
                            (text(&call["function"]["name"]), text(&call["function"]["arguments"]));
                        match calls
                            .iter_mut()
                            .find(|(at, ..)| *at == call["index"] && !call["index"].is_null())
                        {
                            Some((_, _, arguments)) => arguments.push_str(&piece),
                            None => calls.push((call["index"].clone(), name, piece)),
                        }
                    }
                }
            }
            Protocol::AnthropicMessages => {
                let block = &event["content_block"];
                if block["type"] == "tool_use" {
                    calls.push((event["index"].clone(), text(&block["name"]), String::new()));
                }
                told.text.push_str(&text(&block["text"]));
                told.text.push_str(&text(&event["delta"]["text"]));
                let piece = text(&event["delta"]["partial_json"]);
                if let Some((_, _, arguments)) = calls.iter_mut().find(|(at, ..)| *at == event["index"]) {
                    arguments.push_str(&piece);
                }
            }
            Protocol::OpenAiResponses => match event["type"].as_str() {
                Some("response.output_text.delta" | "response.refusal.delta") => {
                    told.text.push_str(&text(&event["delta"]))
                }
                Some("response.output_item.done") if event["item"]["type"] == "function_call" => {
                    let item = &event["item"];
                    told.calls.push((text(&item["name"]), arguments(&text(&item["arguments"]))));
                }
                _ => {}
            },
            Protocol::GeminiGenerateContent => {
                let piece = whole(protocol, event);
                told.text.push_str(&piece.text);
                told.calls.extend(piece.calls);
            }
            Protocol::BedrockConverse => unreachable!("no client speaks it, and its streams are no events"),
        }
    }
    told.calls.extend(calls.into_iter().map(|(_, name, written)| (name, arguments(&written))));
    told
}

/// The usage of a whole answer, or that of a stream by the last figures that it tells.
pub(crate) fn usage(protocol: Protocol, answers: &[Value]) -> Option<Usage> {
    let mut last: Option<serde_json::Map<String, Value>> = None;
    for answer in answers {
        let places: &[&str] = match protocol {
            Protocol::OpenAiChat => &["/usage", "/x_groq/usage"],
            Protocol::AnthropicMessages => &["/usage", "/message/usage"],
            Protocol::OpenAiResponses => &["/usage", "/response/usage"],
            Protocol::GeminiGenerateContent => &["/usageMetadata"],
            Protocol::BedrockConverse => &["/usage"],
        };
        for told in places.iter().filter_map(|place| answer.pointer(place)?.as_object()) {
            let last = last.get_or_insert_default();
            last.extend(
                told.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())),
            );
        }
    }
    let told = Value::from(last?);
    let sum = |names: &[&str]| -> Option<u64> {
        names.iter().filter_map(|name| told[*name].as_u64()).reduce(|a, b| a + b)
    };
    let (prompt, answer, total): (&[&str], &[&str], &str) = match protocol {
        Protocol::OpenAiChat => (&["prompt_tokens"], &["completion_tokens"], "total_tokens"),
        Protocol::AnthropicMessages => (
            &["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"],
            &["output_tokens"],
            "",
        ),
        Protocol::OpenAiResponses => (&["input_tokens"], &["output_tokens"], "total_tokens"),
        Protocol::GeminiGenerateContent => (
            &["promptTokenCount", "toolUsePromptTokenCount"],
            &["candidatesTokenCount", "thoughtsTokenCount"],
            "totalTokenCount",
        ),
        Protocol::BedrockConverse => (
            &["inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"],
            &["outputTokens"],
            "totalTokens",
        ),
    };
    let (prompt_told, answer_told) = (sum(prompt), sum(answer));
    prompt_told.or(answer_told)?;
    let tells_prompt = prompt_told.is_some();
    let stated = Tokens { prompt: prompt_told.unwrap_or(0), answer: answer_told.unwrap_or(0) };
    // Where Anthropic asked an adviser beside the model, its rounds are listed, and the sum above is without it.
    let rounds = list(&told["iterations"]);
    let of_rounds = |names: &[&str]| -> u64 {
        rounds.iter().flat_map(|round| names.iter().filter_map(|name| round[*name].as_u64())).sum()
    };
    if rounds.iter().any(|round| round["type"] != "message") {
        let stated = Tokens { prompt: of_rounds(prompt), answer: of_rounds(answer) };
        return Some(Usage { stated, total: None, tells_prompt });
    }
    Some(Usage { stated, total: told[total].as_u64(), tells_prompt })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A text, or the texts among parts: Mistral's thoughts are parts of their own.
fn content(value: &Value) -> String {
    match value {
        Value::Array(parts) => {
            parts.iter().filter(|part| part["type"] == "text").map(|part| text(&part["text"])).collect()
        }
        other => text(other),
    }
}

/// Arguments as what they mean: none are an empty object.
fn arguments(written: &str) -> Value {
    match written.trim() {
        "" => object(&Value::Null),
        // What was cut off is put into an object, where the protocol has objects only.
        written => serde_json::from_str(written).unwrap_or_else(|_| json!({ "arguments": written })),
    }
}

fn object(value: &Value) -> Value {
    if value.is_null() { Value::Object(serde_json::Map::new()) } else { value.clone() }
}
