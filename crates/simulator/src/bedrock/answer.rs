//! Writes answers: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

use serde_json::{Value, json};

use super::ask::{Own, signature};
use crate::ask::Ask;
use crate::frame::Progress;
use crate::script::{Candidate, Finish};

/// The whole answer.
pub(crate) fn whole(ask: &Ask, own: &Own, candidate: &Candidate, with_usage: bool) -> Value {
    let mut answer = json!({
        "metrics": {"latencyMs": 417},
        "output": {"message": {"content": blocks(candidate), "role": "assistant"}},
        "stopReason": stop_reason(&candidate.finish),
    });
    if let Some(fields) = additional(own, candidate) {
        answer["additionalModelResponseFields"] = fields;
    }
    if with_usage {
        answer["usage"] = usage(ask, own, Progress::total(std::slice::from_ref(candidate)));
    }
    answer
}

fn blocks(candidate: &Candidate) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(text) = &candidate.thinking {
        blocks.push(
            json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature(text)}}}),
        );
    }
    if !candidate.text.is_empty() {
        blocks.push(json!({"text": candidate.text}));
    }
    for call in &candidate.calls {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        blocks.push(json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": input}}));
    }
    blocks
}

pub(super) const fn stop_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refusal => "end_turn",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Filtered => "content_filtered",
    }
}

/// What was asked for of the model's own answer.
pub(super) fn additional(own: &Own, candidate: &Candidate) -> Option<Value> {
    own.tells_stop.then(|| match &candidate.finish {
        Finish::StopSequence(stop) => json!({"stop_sequence": stop}),
        _ => json!({"stop_sequence": null}),
    })
}

/// Usage, in the API's convention: cache figures stand beside the input, and the total has them all.
pub(super) fn usage(ask: &Ask, own: &Own, progress: Progress) -> Value {
    let prompt = ask.prompt;
    let written = prompt.cache_write_5m + prompt.cache_write_1h;
    let output = progress.output + progress.reasoning;
    let mut usage = json!({
        "inputTokens": prompt.input,
        "outputTokens": output,
        "totalTokens": prompt.input + prompt.cache_read + written + output,
        "serverToolUsage": {},
    });
    if own.tells_cache || prompt.cache_read + written > 0 {
        for (name, count) in [("cacheReadInputToken", prompt.cache_read), ("cacheWriteInputToken", written)] {
            // Recorded answers say it twice.
            usage[format!("{name}s")] = json!(count);
            usage[format!("{name}Count")] = json!(count);
        }
    }
    if written > 0 {
        let details = [("5m", prompt.cache_write_5m), ("1h", prompt.cache_write_1h)];
        usage["cacheDetails"] = details
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(ttl, count)| json!({"ttl": ttl, "inputTokens": count}))
            .collect();
    }
    usage
}
