//! Small streams of Responses.

use serde_json::Value;

/// A stream of these events, each a JSON object, named and numbered.
pub(super) fn stream(events: &[&str]) -> String {
    let frame = |(number, event): (usize, &&str)| {
        let value: Value = serde_json::from_str(event).unwrap_or_else(|error| panic!("{error}: {event}"));
        let open = event.strip_suffix('}').unwrap();
        let name = value["type"].as_str().unwrap();
        format!("event: {name}\ndata: {open},\"sequence_number\":{number}}}\n\n")
    };
    events.iter().enumerate().map(frame).collect()
}

/// The fields of an answer that every SDK demands, as far as `more` does not say them.
pub(super) fn response(more: &str) -> String {
    format!(
        r#"{{"id":"resp_1","object":"response","created_at":1700000001,"model":"gpt-x","error":null,"parallel_tool_calls":true,"tool_choice":"auto","tools":[],{more}}}"#
    )
}

pub(super) fn created() -> String {
    let response = response(r#""status":"in_progress","incomplete_details":null,"output":[],"usage":null"#);
    format!(r#"{{"type":"response.created","response":{response}}}"#)
}

pub(super) fn in_progress() -> String {
    created().replace("response.created", "response.in_progress")
}

pub(super) const USAGE: &str = r#"{"input_tokens":20,"input_tokens_details":{"cached_tokens":5},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":27}"#;

/// The last event, which repeats these items.
pub(super) fn completed(items: &str) -> String {
    let more = format!(
        r#""status":"completed","incomplete_details":null,"output":[{items}],"usage":{USAGE},"service_tier":"default""#
    );
    format!(r#"{{"type":"response.completed","response":{}}}"#, response(&more))
}

pub(super) fn added(index: u32, item: &str) -> String {
    format!(r#"{{"type":"response.output_item.added","output_index":{index},"item":{item}}}"#)
}

pub(super) fn done(index: u32, item: &str) -> String {
    format!(r#"{{"type":"response.output_item.done","output_index":{index},"item":{item}}}"#)
}

/// An event about an item, or a part of it.
pub(super) fn about(index: u32, kind: &str, more: &str) -> String {
    format!(
        r#"{{"type":"response.{kind}","item_id":"item_{index}","output_index":{index},"content_index":0,{more}}}"#
    )
}

pub(super) fn message(index: u32, status: &str, content: &str) -> String {
    format!(
        r#"{{"id":"item_{index}","type":"message","status":"{status}","role":"assistant","content":[{content}]}}"#
    )
}

pub(super) fn text(text: &str) -> String {
    format!(r#"{{"type":"output_text","text":"{text}","annotations":[],"logprobs":[]}}"#)
}

pub(super) fn call(index: u32, arguments: &str) -> String {
    format!(
        r#"{{"id":"item_{index}","type":"function_call","status":"completed","call_id":"call_{index}","name":"look","arguments":"{arguments}"}}"#
    )
}
