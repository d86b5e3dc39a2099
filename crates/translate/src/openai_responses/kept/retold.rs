//! A kept answer as a stream: `GET /v1/responses/{id}?stream=true`.
//! <https://platform.openai.com/docs/api-reference/responses/get>
//!
//! Nothing is translated: every item, every part and the answer itself stand in the events that end them as they
//! were kept. What is not known is an item that begins and ends.

use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Kind, Object, Raw, ReadError, ScanLimits, Writer};
use weighbridge_protocol::openai_responses::{event, finish};

use super::replay::ReplayError;

/// The events of an answer's stream, but for those up to the number `after`. They are numbered from 0, the same
/// each time, and fewer than when the answer was made: a text comes in one piece.
///
/// # Errors
/// [`ReplayError`] where it was not kept as an answer.
pub fn retold(answer: &str, after: Option<u64>) -> Result<Vec<u8>, ReplayError> {
    let root = Raw::parse(answer, &ScanLimits::default());
    let root = root.map_err(|source| ReplayError::Scan { turn: 0, source })?;
    let mut events = Events { out: Vec::with_capacity(4 * answer.len()), next: 0, after };
    tell(root, &mut events).map_err(|source| ReplayError::Read { turn: 0, source })?;
    Ok(events.out)
}

fn tell(answer: Raw<'_>, events: &mut Events) -> Result<(), ReadError> {
    let mut begun = Vec::new();
    as_begun(answer, &mut Writer::new(&mut begun).object())?;
    let begun = String::from_utf8(begun).unwrap_or_default();
    for name in [event::CREATED, event::IN_PROGRESS] {
        events.write(name, |event| event.key("response").raw(&begun));
    }
    if let Some(output) = answer.get("output").filter(|output| !output.is_null()) {
        for (index, raw) in output.items()?.enumerate() {
            item(Item { raw, index, id: text(raw, "id") }, events)?;
        }
    }
    let is_cut = said(answer, "status").as_deref() == Some(finish::INCOMPLETE);
    let last = if is_cut { event::INCOMPLETE } else { event::COMPLETED };
    events.write(last, |event| event.key("response").raw(answer.text()));
    Ok(())
}

/// The events, as far as they are wanted.
struct Events {
    out: Vec<u8>,
    next: u64,
    after: Option<u64>,
}

impl Events {
    fn write(&mut self, name: &str, fields: impl FnOnce(&mut Object<'_>)) {
        let number = self.next;
        self.next += 1;
        if self.after.is_some_and(|after| number <= after) {
            return;
        }
        self.out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
        let start = self.out.len();
        let mut event = Writer::new(&mut self.out).object();
        event.key("type").string(name);
        event.key("sequence_number").number(number);
        fields(&mut event);
        drop(event);
        // A line is one event's data. In JSON a line break is nothing but white space.
        let data = self.out.iter_mut().skip(start);
        data.filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        self.out.extend_from_slice(b"\n\n");
    }

    /// An event about a place in an item.
    fn about(&mut self, name: &str, item: Item<'_>, place: Place, fields: impl FnOnce(&mut Object<'_>)) {
        self.write(name, |event| {
            event.key("item_id").raw(item.id);
            event.key("output_index").number(item.index as u64);
            match place {
                Place::Item => {}
                Place::Part(index) => event.key("content_index").number(index as u64),
                Place::Piece(index) => event.key("summary_index").number(index as u64),
            }
            fields(event);
        });
    }
}

/// An item of the answer.
#[derive(Clone, Copy)]
struct Item<'a> {
    raw: Raw<'a>,
    index: usize,
    /// As JSON.
    id: &'a str,
}

#[derive(Clone, Copy)]
enum Place {
    Item,
    /// Of a message, or of what reasoning says itself.
    Part(usize),
    /// Of a summary of reasoning.
    Piece(usize),
}

/// A text as JSON; the empty one where there is none.
fn text<'a>(object: Raw<'a>, name: &str) -> &'a str {
    let text = object.get(name).filter(|text| text.kind() == Kind::String);
    text.map_or("\"\"", Raw::text)
}

fn said<'a>(object: Raw<'a>, name: &str) -> Option<Cow<'a, str>> {
    object.get(name).and_then(|text| text.str().ok())
}

/// The answer as it stood when it began: nothing was said yet, and nothing counted.
fn as_begun(answer: Raw<'_>, begun: &mut Object<'_>) -> Result<(), ReadError> {
    for (name, value) in Fields::read(answer)?.rest().iter() {
        let place = begun.key(name);
        match name {
            "status" => place.string(finish::IN_PROGRESS),
            "output" => place.raw("[]"),
            "usage" | "incomplete_details" | "completed_at" => place.null(),
            _ => place.raw(value.text()),
        }
    }
    Ok(())
}

fn item(item: Item<'_>, events: &mut Events) -> Result<(), ReadError> {
    let kind = said(item.raw, "type").unwrap_or_default();
    // What comes in pieces has nothing of it yet.
    let empty: &[(&str, &str)] = match kind.as_ref() {
        "message" => &[("content", "[]")],
        "reasoning" => &[("summary", "[]"), ("content", "[]")],
        "function_call" => &[("arguments", "\"\"")],
        "custom_tool_call" => &[("input", "\"\"")],
        _ => &[],
    };
    let fields = Fields::read(item.raw)?.rest();
    events.write(event::ITEM_ADDED, |event| {
        event.key("output_index").number(item.index as u64);
        let mut added = event.key("item").object();
        for (name, value) in fields.iter() {
            let none_yet = empty.iter().find(|(field, _)| *field == name && !value.is_null());
            match none_yet {
                Some((_, empty)) => added.key(name).raw(empty),
                None if name == "status" && !empty.is_empty() => {
                    added.key(name).string(finish::IN_PROGRESS);
                }
                None => added.key(name).raw(value.text()),
            }
        }
    });
    match kind.as_ref() {
        "message" => parts(item, "content", events)?,
        "reasoning" => {
            parts(item, "summary", events)?;
            parts(item, "content", events)?;
        }
        "function_call" => call(item, "arguments", [event::ARGUMENTS_DELTA, event::ARGUMENTS_DONE], events),
        "custom_tool_call" => call(item, "input", [event::INPUT_DELTA, event::INPUT_DONE], events),
        _ => {}
    }
    events.write(event::ITEM_DONE, |event| {
        event.key("output_index").number(item.index as u64);
        event.key("item").raw(item.raw.text());
    });
    Ok(())
}

fn call(item: Item<'_>, field: &'static str, [delta, done]: [&str; 2], events: &mut Events) {
    let said = text(item.raw, field);
    events.about(delta, item, Place::Item, |event| event.key("delta").raw(said));
    events.about(done, item, Place::Item, |event| {
        // SDKs want the name of a function here too.
        if field == "arguments" {
            event.key("name").raw(text(item.raw, "name"));
        }
        event.key(field).raw(said);
    });
}

fn parts(item: Item<'_>, list: &str, events: &mut Events) -> Result<(), ReadError> {
    let Some(parts) = item.raw.get(list).filter(|parts| parts.kind() == Kind::Array) else { return Ok(()) };
    for (index, raw) in parts.items()?.enumerate() {
        let place = if list == "summary" { Place::Piece(index) } else { Place::Part(index) };
        let names = match said(raw, "type").as_deref() {
            Some("output_text") => Some(("text", [event::TEXT_DELTA, event::TEXT_DONE])),
            Some("refusal") => Some(("refusal", [event::REFUSAL_DELTA, event::REFUSAL_DONE])),
            Some("reasoning_text") => Some(("text", [event::REASONING_DELTA, event::REASONING_DONE])),
            Some("summary_text") => Some(("text", [event::SUMMARY_DELTA, event::SUMMARY_TEXT_DONE])),
            _ => None,
        };
        part(item, raw, place, names, events)?;
    }
    Ok(())
}

/// The events of one part; `names` are its text's field and events, where it has any.
fn part(
    item: Item<'_>,
    raw: Raw<'_>,
    place: Place,
    names: Option<(&'static str, [&str; 2])>,
    events: &mut Events,
) -> Result<(), ReadError> {
    let [added, done] = match place {
        Place::Piece(_) => [event::SUMMARY_ADDED, event::SUMMARY_DONE],
        _ => [event::PART_ADDED, event::PART_DONE],
    };
    let fields = Fields::read(raw)?.rest();
    events.about(added, item, place, |event| {
        let mut part = event.key("part").object();
        for (name, value) in fields.iter() {
            match name {
                _ if names.is_some_and(|(field, _)| field == name) => part.key(name).string(""),
                "annotations" | "logprobs" if value.kind() == Kind::Array => part.key(name).raw("[]"),
                _ => part.key(name).raw(value.text()),
            }
        }
    });
    if let Some((field, [more, whole])) = names {
        let logprobs = raw.get("logprobs").filter(|tokens| tokens.kind() == Kind::Array);
        let logprobs = logprobs.map_or("[]", Raw::text);
        let is_text = more == event::TEXT_DELTA;
        let said = text(raw, field);
        events.about(more, item, place, |event| {
            event.key("delta").raw(said);
            if is_text {
                event.key("logprobs").raw(logprobs);
            }
        });
        let annotations = raw.get("annotations").filter(|list| is_text && list.kind() == Kind::Array);
        for (number, annotation) in annotations.map(Raw::items).transpose()?.into_iter().flatten().enumerate()
        {
            events.about(event::ANNOTATION_ADDED, item, place, |event| {
                event.key("annotation_index").number(number as u64);
                event.key("annotation").raw(annotation.text());
            });
        }
        events.about(whole, item, place, |event| {
            event.key(field).raw(said);
            if is_text {
                event.key("logprobs").raw(logprobs);
            }
        });
    }
    events.about(done, item, place, |event| event.key("part").raw(raw.text()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(answer: &str, after: Option<u64>) -> Vec<Value> {
        let text = String::from_utf8(retold(answer, after).unwrap()).unwrap();
        let events = text.split_terminator("\n\n").map(|frame| {
            let (name, data) = frame.split_once("\ndata: ").unwrap();
            assert!(!data.contains(['\n', '\r']), "{frame}");
            let event: Value = serde_json::from_str(data).unwrap();
            assert_eq!(name.strip_prefix("event: "), event["type"].as_str(), "{frame}");
            event
        });
        events.collect()
    }

    const ANSWER: &str = r#"{"id":"resp_1","status":"completed","output":[
        {"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[
            {"type":"output_text","text":"Ho","annotations":[{"type":"file_path"}],"new":1}]},
        {"type":"web_search_call","id":"ws_1","status":"completed"}],"usage":{"total_tokens":1},"x":2}"#;

    #[test]
    fn an_answer_is_told_piece_by_piece() {
        let names: Vec<String> =
            told(ANSWER, None).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
        assert_eq!(
            names,
            [
                event::CREATED,
                event::IN_PROGRESS,
                event::ITEM_ADDED,
                event::PART_ADDED,
                event::TEXT_DELTA,
                event::ANNOTATION_ADDED,
                event::TEXT_DONE,
                event::PART_DONE,
                event::ITEM_DONE,
                event::ITEM_ADDED,
                event::ITEM_DONE,
                event::COMPLETED,
            ]
        );
    }

    #[test]
    fn what_ends_is_as_it_was_kept_and_what_begins_is_empty() {
        let events = told(ANSWER, None);
        let answer: Value = serde_json::from_str(ANSWER).unwrap();
        assert_eq!(events[11]["response"], answer);
        assert_eq!(events[8]["item"], answer["output"][0]);
        assert_eq!(events[7]["part"], answer["output"][0]["content"][0]);
        assert_eq!(
            events[0]["response"],
            json!({"id": "resp_1", "status": "in_progress", "output": [], "usage": null, "x": 2})
        );
        assert_eq!(events[2]["item"]["content"], json!([]));
        assert_eq!(
            events[3]["part"],
            json!({"type": "output_text", "text": "", "annotations": [], "new": 1})
        );
        let cut = ANSWER.replace(r#""id":"resp_1","status":"completed""#, r#""status":"incomplete""#);
        assert_eq!(told(&cut, None)[11]["type"], event::INCOMPLETE);
    }

    #[test]
    fn it_goes_on_after_any_event() {
        let whole = told(ANSWER, None);
        for after in 0..14 {
            let rest = whole.get(after as usize + 1..).unwrap_or_default();
            assert_eq!(told(ANSWER, Some(after)), rest);
        }
        let numbers: Vec<_> = whole.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_answer_is_told_so() {
        assert!(matches!(retold("{", None), Err(ReplayError::Scan { .. })));
        for wrong in ["7", r#"{"output":7}"#, r#"{"output":[7]}"#] {
            assert!(matches!(retold(wrong, None), Err(ReplayError::Read { .. })), "{wrong}");
        }
        assert_eq!(told("{}", None).len(), 3);
    }
}
