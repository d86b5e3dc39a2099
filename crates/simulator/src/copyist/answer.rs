//! What a copyist makes of OpenAI's answers.

use serde_json::{Value, json};

use super::{Copyist, UsageAt};
use crate::frame::{Frame, Progress, sse};

/// What every model of theirs thinks.
const THOUGHT: &str = "I weigh it first. ⚖";

/// Fields that only OpenAI's platform writes.
const PLATFORM: [&str; 4] = ["service_tier", "system_fingerprint", "obfuscation", "usage"];

fn plain(chunk: &mut Value, keeps_usage: bool) {
    let Some(fields) = chunk.as_object_mut() else { return };
    fields.retain(|name, _| !PLATFORM.contains(&name.as_str()) || (keeps_usage && name == "usage"));
}

fn choice(copyist: &Copyist, choice: &mut Value) {
    let ends = copyist.ends.iter().find(|(openai, _)| choice["finish_reason"] == **openai);
    if let Some((_, own)) = ends {
        choice["finish_reason"] = json!(own);
    }
    for place in ["message", "delta"] {
        if let Some(said) = choice[place].as_object_mut() {
            said.retain(|name, value| {
                !(matches!(name.as_str(), "refusal" | "annotations")
                    && (value.is_null() || *value == json!([])))
            });
        } else if let Some(fields) = choice.as_object_mut() {
            fields.remove(place);
        }
    }
}

/// A whole answer.
pub(crate) fn whole(copyist: &Copyist, mut answer: Value) -> Value {
    if answer["object"] != "chat.completion" {
        return answer;
    }
    plain(&mut answer, true);
    for said in answer["choices"].as_array_mut().into_iter().flatten() {
        choice(copyist, said);
        if let Some(name) = copyist.thoughts {
            said["message"][name] = json!(THOUGHT);
        }
    }
    if answer["usage"].is_object() && copyist.usage == UsageAt::XGroq {
        answer["x_groq"] = json!({"id": "req_weighed"});
    }
    answer
}

fn chunk(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
    serde_json::from_str(data).ok().filter(|chunk: &Value| chunk["object"] == "chat.completion.chunk")
}

/// A streamed answer.
pub(crate) fn frames(copyist: &Copyist, frames: Vec<Frame>) -> Vec<Frame> {
    let mut all: Vec<Frame> = Vec::with_capacity(frames.len() + 2);
    let mut thinks = copyist.thoughts;
    let mut last: Option<(usize, Value)> = None;
    for mut frame in frames {
        let Some(mut said) = chunk(&frame.bytes) else {
            all.push(frame);
            continue;
        };
        if all.is_empty() && copyist.comments {
            let bytes = b": PROCESSING\n\n".to_vec();
            all.push(Frame { bytes, progress: Progress::default(), tells_usage: false });
        }
        let is_usage = frame.tells_usage;
        let usage = said["usage"].clone();
        plain(&mut said, is_usage);
        said["choices"].as_array_mut().into_iter().flatten().for_each(|it| choice(copyist, it));
        match (copyist.usage, is_usage, &mut last) {
            // It comes with the end, and has no chunk of its own.
            (UsageAt::Unasked, true, Some((at, end))) => {
                end["usage"] = usage;
                if let Some(before) = all.get_mut(*at) {
                    before.bytes = sse(None, &end.to_string());
                    before.tells_usage = true;
                }
                continue;
            }
            (UsageAt::XGroq, true, _) => {
                plain(&mut said, false);
                said["x_groq"] = json!({"id": "req_weighed", "usage": usage});
            }
            _ => {}
        }
        frame.bytes = sse(None, &said.to_string());
        last = Some((all.len(), said.clone()));
        let progress = frame.progress;
        all.push(frame);
        if let Some(name) = thinks.take() {
            said["choices"] =
                json!([{"index": 0, "delta": {"role": "assistant", name: THOUGHT}, "finish_reason": null}]);
            all.push(Frame { bytes: sse(None, &said.to_string()), progress, tells_usage: false });
        }
    }
    all
}
