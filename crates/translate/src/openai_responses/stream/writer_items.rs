use weighbridge_protocol::json::{Object, Writer};
use weighbridge_protocol::openai_responses::event;

use crate::conversation::{CallKind, Image, MediaSource, Proof, ProofKind, Reasoning, ToolCall};
use crate::openai_responses::items_encode;
use crate::tool_id;

/// The client's side of a stream: numbers its events.
#[derive(Debug, Default)]
pub(super) struct Frames {
    sequence: u64,
}

impl Frames {
    /// Writes one event: its name, and an object with its type and what `fill` adds.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut object = Writer::new(out).object();
        object.key("type").string(name);
        fill(&mut object);
        object.key("sequence_number").number(self.next());
        drop(object);
        out.extend_from_slice(b"\n\n");
    }

    /// The number of the next event.
    pub(super) fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }
}

/// An item that has begun.
#[derive(Debug)]
pub(super) struct Item {
    /// Its place in the answer.
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) body: Body,
}

/// What an item consists of so far.
#[derive(Debug)]
pub(super) enum Body {
    /// The texts of its parts, once they are whole.
    Message {
        parts: Vec<Option<String>>,
    },
    Call(Call),
    Reasoning(Thought),
    Image {
        media_type: String,
        data: String,
    },
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: CallKind,
    pub(super) arguments: String,
}

#[derive(Debug, Default)]
pub(super) struct Thought {
    /// The provider's own id of it.
    pub(super) id: Option<String>,
    pub(super) text: String,
    pub(super) summary: Vec<String>,
    /// Format, kind and data.
    pub(super) proof: Option<(String, ProofKind, String)>,
}

impl Item {
    /// Where the item's events belong.
    pub(super) fn address(&self, object: &mut Object<'_>) {
        object.key("item_id").string(&self.id);
        object.key("output_index").number(self.index as u64);
    }

    /// Announces the item, empty.
    pub(super) fn added(&self, frames: &mut Frames, out: &mut Vec<u8>) {
        frames.write(out, event::ITEM_ADDED, |object| {
            object.key("output_index").number(self.index as u64);
            let mut item = object.key("item").object();
            match &self.body {
                Body::Message { .. } => message(&[], &mut item),
                Body::Call(call) => begin_call(call, &mut item),
                Body::Reasoning(_) => {
                    items_encode::answered_reasoning(&Reasoning::default(), &self.id, &mut item)
                }
                Body::Image { .. } => {
                    item.key("type").string("image_generation_call");
                    item.key("result").null();
                }
            }
            self.end(Some("in_progress"), &mut item);
        });
        if let Body::Image { .. } = &self.body {
            for name in [event::IMAGE_IN_PROGRESS, event::IMAGE_GENERATING] {
                frames.write(out, name, |object| self.address(object));
            }
        }
    }

    /// The whole item.
    pub(super) fn write(&self, status: &str, item: &mut Object<'_>) {
        match &self.body {
            Body::Message { parts } => message(parts, item),
            Body::Call(call) => items_encode::call(&call.borrowed(), &call.id, item),
            Body::Reasoning(thought) => items_encode::answered_reasoning(&thought.borrowed(), &self.id, item),
            Body::Image { media_type, data } => {
                let source = MediaSource::Base64 { media_type: media_type.into(), data: data.into() };
                items_encode::made_image(&Image { source, detail: None }, item);
            }
        }
        let status = if matches!(self.body, Body::Image { .. }) { "completed" } else { status };
        self.end(Some(status), item);
    }

    /// Id and status, where the kind of item has them and they are not written yet.
    fn end(&self, status: Option<&str>, item: &mut Object<'_>) {
        if matches!(self.body, Body::Reasoning(_)) {
            return;
        }
        item.key("id").string(&self.id);
        if let Some(status) = status {
            item.key("status").string(status);
        }
    }
}

impl Call {
    /// What the call says; without arguments, that it has none.
    pub(super) fn borrowed(&self) -> ToolCall<'_> {
        ToolCall {
            id: self.id.as_str().into(),
            name: self.name.as_str().into(),
            arguments: self.arguments.as_str().into(),
            kind: self.kind,
        }
    }

    /// Name of the event of a piece, of that of the whole, and of the field that has the whole.
    pub(super) fn events(&self) -> (&'static str, &'static str, &'static str) {
        match self.kind {
            CallKind::Function => (event::ARGUMENTS_DELTA, event::ARGUMENTS_DONE, "arguments"),
            CallKind::Custom => (event::INPUT_DELTA, event::INPUT_DONE, "input"),
        }
    }
}

impl Thought {
    fn borrowed(&self) -> Reasoning<'_> {
        let proof = self.proof.as_ref().map(|(format, kind, data)| Proof {
            format: format.into(),
            kind: *kind,
            data: data.into(),
        });
        Reasoning {
            id: self.id.as_deref().map(Into::into),
            text: self.text.as_str().into(),
            summary: self.summary.iter().map(|piece| piece.as_str().into()).collect(),
            proof,
        }
    }
}

fn message(parts: &[Option<String>], item: &mut Object<'_>) {
    item.key("type").string("message");
    item.key("role").string("assistant");
    let mut content = item.key("content").array();
    parts.iter().flatten().for_each(|part| content.item().raw(part));
}

/// A call without its arguments, which come in pieces.
fn begin_call(call: &Call, item: &mut Object<'_>) {
    let (kind, field) = match call.kind {
        CallKind::Function => ("function_call", "arguments"),
        CallKind::Custom => ("custom_tool_call", "input"),
    };
    item.key("type").string(kind);
    item.key("call_id").string(&call.id);
    item.key("name").string(&tool_id::legal(&call.name));
    item.key(field).string("");
}

/// A part of a message, as JSON.
pub(super) fn text_part(text: &str, annotations: &[String], logprobs: &[String]) -> String {
    made(|object| {
        object.key("type").string("output_text");
        object.key("text").string(text);
        list("annotations", annotations, object);
        list("logprobs", logprobs, object);
    })
}

/// As [`text_part`], of a refusal.
pub(super) fn refusal_part(text: &str) -> String {
    made(|object| {
        object.key("type").string("refusal");
        object.key("refusal").string(text);
    })
}

/// As [`text_part`], of reasoning's own text.
pub(super) fn reasoning_part(text: &str) -> String {
    made(|object| {
        object.key("type").string("reasoning_text");
        object.key("text").string(text);
    })
}

/// As [`text_part`], of a piece of a summary.
pub(super) fn summary_part(text: &str) -> String {
    made(|object| {
        object.key("type").string("summary_text");
        object.key("text").string(text);
    })
}

/// A list of JSON texts.
pub(super) fn list(name: &str, items: &[String], object: &mut Object<'_>) {
    let mut list = object.key(name).array();
    items.iter().for_each(|item| list.item().raw(item));
}

fn made(fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = Vec::new();
    fill(&mut Writer::new(&mut out).object());
    // The writer writes nothing but UTF-8.
    String::from_utf8(out).unwrap_or_default()
}
