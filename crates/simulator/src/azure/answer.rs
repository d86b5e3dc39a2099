//! What Azure's filters add to answers:
//! <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-filter-annotations>.

use serde_json::{Map, Value, json};

use crate::frame::{Frame, Progress, sse};

/// What the filters say of a prompt or an answer.
pub(super) fn results(is_prompt: bool, is_filtered: bool) -> Value {
    let severity =
        |filtered: bool| json!({"filtered": filtered, "severity": if filtered { "high" } else { "safe" }});
    let mut all = json!({
        "hate": severity(is_filtered),
        "self_harm": severity(false),
        "sexual": severity(false),
        "violence": severity(false),
    });
    let detected = json!({"detected": false, "filtered": false});
    all[if is_prompt { "jailbreak" } else { "protected_material_text" }] = detected;
    all
}

fn prompt_results() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": results(true, false)}])
}

/// A whole answer with what the filters add.
pub(crate) fn filtered(mut answer: Value) -> Value {
    if answer["object"] == "response" {
        filtered_response(&mut answer);
        return answer;
    }
    let Some(choices) = answer["choices"].as_array_mut() else { return answer };
    for choice in choices {
        let is_filtered = choice["finish_reason"] == "content_filter";
        choice["content_filter_results"] = results(false, is_filtered);
        // As recorded: what was filtered is not there at all.
        if let (true, Some(fields)) = (is_filtered, choice.as_object_mut()) {
            fields.remove("message");
        }
    }
    answer["prompt_filter_results"] = prompt_results();
    answer
}

fn filtered_response(response: &mut Value) {
    let filter = |kind: &str, results: Value| {
        json!({
            "blocked": false, "source_type": kind, "content_filter_raw": [], "content_filter_results": results,
            "content_filter_offsets": {"start_offset": 0, "end_offset": 0, "check_offset": 0},
        })
    };
    response["content_filters"] =
        json!([filter("prompt", results(true, false)), filter("completion", results(false, false))]);
}

/// A stream with what the filters add: a chunk about the prompt before all others, a word in each choice,
/// and one chunk about the text so far that has no delta.
pub(crate) fn filtered_stream(frames: Vec<Frame>) -> Vec<Frame> {
    let mut all = Vec::with_capacity(frames.len() + 2);
    for mut frame in frames {
        let Some((name, mut data)) = parsed(&frame.bytes) else {
            all.push(frame);
            continue;
        };
        if data["response"].is_object() {
            filtered_response(&mut data["response"]);
        }
        let is_chat = data["object"] == "chat.completion.chunk";
        if is_chat && all.is_empty() {
            let chunk = json!({
                "choices": [], "created": 0, "id": "", "model": "", "object": "",
                "prompt_filter_results": prompt_results(),
            });
            all.push(added(&chunk, Progress::default()));
        }
        let mut ends = None;
        for choice in data["choices"].as_array_mut().into_iter().flatten() {
            let is_filtered = choice["finish_reason"] == "content_filter";
            let says = !choice["delta"]["content"].is_null();
            choice["content_filter_results"] =
                if says || is_filtered { results(false, is_filtered) } else { Value::Object(Map::new()) };
            if choice["finish_reason"].is_string() {
                ends = Some(choice["index"].clone());
            }
        }
        if let (Some(index), Some(before)) = (ends, all.last().map(|frame: &Frame| frame.progress)) {
            let mut chunk = data.clone();
            chunk["choices"] = json!([{
                "index": index, "finish_reason": null, "content_filter_results": results(false, false),
                "content_filter_offsets": {"check_offset": 0, "start_offset": 0, "end_offset": 1},
            }]);
            all.push(added(&chunk, before));
        }
        frame.bytes = sse(name.as_deref(), &data.to_string());
        all.push(frame);
    }
    all
}

fn added(chunk: &Value, progress: Progress) -> Frame {
    Frame { bytes: sse(None, &chunk.to_string()), progress, tells_usage: false }
}

/// The name and the data of an event.
fn parsed(event: &[u8]) -> Option<(Option<String>, Value)> {
    let text = std::str::from_utf8(event).ok()?;
    let name = text.strip_prefix("event: ").and_then(|rest| rest.lines().next()).map(str::to_owned);
    let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some((name, serde_json::from_str(data).ok()?))
}
