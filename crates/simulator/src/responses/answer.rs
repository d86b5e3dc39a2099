//! Writes responses: <https://platform.openai.com/docs/api-reference/responses/object>.

use serde_json::{Value, json};

use super::ask::Own;
use super::encrypted;
use super::item::new_tail;
use super::kept::KeptResponses;
use crate::ask::Ask;
use crate::frame::Progress;
use crate::openai;
use crate::scatter::Scatter;
use crate::script::{Call, Candidate, Finish};
use crate::tokens;

/// The whole answer.
pub(crate) fn whole(
    ask: &Ask,
    own: &Own,
    candidate: &Candidate,
    ids: &mut Scatter,
    with_usage: bool,
) -> Value {
    let output = output(ask, own, candidate, ids).into_iter().map(Output::into_item).collect();
    let usage = with_usage.then(|| Progress::total(std::slice::from_ref(candidate)));
    ended(ask, own, candidate, output, usage)
}

/// Keeps a whole answer, if it is to be kept.
pub(crate) fn keep(own: &Own, response: &Value, kept: &KeptResponses) {
    if let Some(items) = &own.keep {
        kept.keep(response.clone(), items.clone());
    }
}

/// An item of the output, with what its stream needs.
pub(super) enum Output {
    Reasoning { item: Value, summary: String },
    Message { item: Value, text: String, refused: bool },
    Call { item: Value, call: Call },
}

impl Output {
    pub(super) fn item(&self) -> &Value {
        match self {
            Self::Reasoning { item, .. } | Self::Message { item, .. } | Self::Call { item, .. } => item,
        }
    }

    fn into_item(self) -> Value {
        match self {
            Self::Reasoning { item, .. } | Self::Message { item, .. } | Self::Call { item, .. } => item,
        }
    }
}

/// The items of the output, in order, each as it is in the end.
pub(super) fn output(ask: &Ask, own: &Own, candidate: &Candidate, ids: &mut Scatter) -> Vec<Output> {
    let reasons = candidate.reasoning_tokens > 0;
    let tail = new_tail(ids, reasons);
    let mut id = |prefix: &str| ids.id(prefix, 16) + &tail;
    let cut = matches!(candidate.finish, Finish::Length | Finish::Filtered);
    let mut output = Vec::new();
    if reasons {
        let summary = candidate.thinking.clone().unwrap_or_default();
        let id = id("rs_");
        let parts = match summary.is_empty() {
            true => json!([]),
            false => json!([{"type": "summary_text", "text": summary}]),
        };
        let mut item = json!({"id": id, "type": "reasoning", "summary": parts});
        if own.encrypted {
            item["encrypted_content"] = json!(encrypted(&id));
        }
        output.push(Output::Reasoning { item, summary });
    }
    if !candidate.text.is_empty() || (candidate.calls.is_empty() && !cut) {
        let refused = candidate.finish == Finish::Refusal;
        let ends_here = cut && candidate.calls.is_empty();
        let item = json!({
            "id": id("msg_"), "type": "message", "role": "assistant",
            "status": if ends_here { "incomplete" } else { "completed" },
            "content": [part(ask, &candidate.text, refused)],
        });
        output.push(Output::Message { item, text: candidate.text.clone(), refused });
    }
    for (place, call) in candidate.calls.iter().enumerate() {
        let ends_here = cut && place + 1 == candidate.calls.len();
        let status = if ends_here { "incomplete" } else { "completed" };
        let item = match call.free_text {
            true => json!({
                "id": id("ctc_"), "type": "custom_tool_call", "call_id": call.id, "name": call.name,
                "input": call.arguments,
            }),
            false => json!({
                "id": id("fc_"), "type": "function_call", "call_id": call.id, "name": call.name,
                "arguments": call.arguments, "status": status,
            }),
        };
        output.push(Output::Call { item, call: call.clone() });
    }
    output
}

/// The content part of a message.
pub(super) fn part(ask: &Ask, text: &str, refused: bool) -> Value {
    match refused {
        true => json!({"type": "refusal", "refusal": text}),
        false => {
            let logprobs: Vec<Value> = match ask.logprobs {
                true => tokens::split(text).map(logprob).collect(),
                false => Vec::new(),
            };
            json!({"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs})
        }
    }
}

fn logprob(token: &str) -> Value {
    json!({"token": token, "bytes": token.as_bytes(), "logprob": -0.125, "top_logprobs": []})
}

/// The response object in the end.
pub(super) fn ended(
    ask: &Ask,
    own: &Own,
    candidate: &Candidate,
    output: Vec<Value>,
    usage: Option<Progress>,
) -> Value {
    let mut response = own.envelope.clone();
    response["output"] = output.into();
    response["service_tier"] = json!("default");
    match candidate.finish {
        Finish::Length => {
            response["status"] = json!("incomplete");
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        Finish::Filtered => {
            response["status"] = json!("incomplete");
            response["incomplete_details"] = json!({"reason": "content_filter"});
        }
        _ => {
            response["status"] = json!("completed");
            response["completed_at"] = json!(openai::CREATED + 1);
        }
    }
    if let Some(progress) = usage {
        let (input, output) =
            (ask.prompt.input + ask.prompt.cache_read, progress.output + progress.reasoning);
        // Cached and reasoning tokens are parts, not additions.
        response["usage"] = json!({
            "input_tokens": input,
            "input_tokens_details": {"cached_tokens": ask.prompt.cache_read, "cache_write_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": progress.reasoning},
            "total_tokens": input + output,
        });
    }
    response
}
