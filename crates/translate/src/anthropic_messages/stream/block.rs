use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Kind, Raw, ScanLimits, Writer};
use weighbridge_units::Protocol;

use crate::anthropic_messages::{blocks_decode, citations};
use crate::conversation::{CallKind, JsonText, ProofKind};
use crate::event::{SplitText, extras};
use crate::{Delta, Event, EventSink, FrameError, PartKind, tool_id, tool_name};

const PROTOCOL: Protocol = Protocol::AnthropicMessages;

/// How many bytes of a block are kept that can be told only as a whole.
const WHOLE_BYTES_MAX: usize = 1 << 20;

/// A content block that is open.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) index: u64,
    part: u32,
    kind: Kinds,
    text: SplitText,
}

#[derive(Debug)]
enum Kinds {
    Text,
    Thinking,
    /// `input` is what the opening frame gave, until a fragment comes: a call without arguments
    /// streams none, and means `{}`.
    ToolUse {
        input: Option<String>,
    },
    /// A call that stands for a custom tool's: what it is called with is known when it is whole.
    Custom {
        input: String,
    },
    /// The call that is the structured answer.
    Answer {
        input: Option<String>,
    },
    /// A block that only this protocol knows, such as a call of a tool that the provider runs: it is
    /// told when it is whole.
    Other {
        name: String,
        raw: String,
        /// What its deltas add: the field that they belong to, and its text.
        added: Option<(&'static str, String)>,
    },
}

/// What has been opened, as far as the end of the message depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    Call,
    Answer,
    Something,
}

impl Block {
    /// Opens a block, and tells it unless it is told as a whole.
    pub(super) fn open(
        index: u64,
        part: u32,
        mut content: Fields<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(Self, Opened), FrameError> {
        let raw = content.raw();
        let name = content.variant("type").unwrap_or_default();
        let mut first: Option<Raw<'_>> = None;
        let mut opened = Opened::Something;
        let mut proof = None;
        let (kind, told) = match name.as_ref() {
            "text" => {
                first = content.take("text")?.value();
                (Kinds::Text, PartKind::Text)
            }
            "thinking" | "redacted_thinking" => {
                first = content.take("thinking")?.value();
                let (token, kind) = match name.as_ref() {
                    "thinking" => (content.take("signature")?.value(), ProofKind::Signature),
                    _ => (Some(content.require("data")?), ProofKind::Sealed),
                };
                let said = blocks_decode::reasoning(Cow::default(), token, kind);
                proof = said.proof;
                (Kinds::Thinking, PartKind::Reasoning { id: said.id })
            }
            "tool_use" => {
                let id: Cow<'_, str> = content.take("id")?.value().unwrap_or_default();
                let id = Cow::Owned(tool_id::original(&id).into_owned());
                let name: Cow<'_, str> = content.require("name")?;
                let input = content.take::<Raw<'_>>("input")?.value();
                let input = input.map_or_else(|| "{}".to_owned(), |input| input.text().to_owned());
                if name == tool_name::ANSWER {
                    opened = Opened::Answer;
                    (Kinds::Answer { input: Some(input) }, PartKind::Text)
                } else {
                    opened = Opened::Call;
                    let (name, kind) = tool_name::original(&name);
                    let name = Cow::Owned(name.into_owned());
                    let block = match kind {
                        CallKind::Function => Kinds::ToolUse { input: Some(input) },
                        CallKind::Custom => Kinds::Custom { input: String::new() },
                    };
                    (block, PartKind::ToolCall { id, name, kind })
                }
            }
            _ => {
                let kind = Kinds::Other { name: name.into_owned(), raw: raw.text().to_owned(), added: None };
                return Ok((Self { index, part, kind, text: SplitText::default() }, opened));
            }
        };
        sink(Event::Open { part, group: 0, candidate: 0, kind: told });
        if let Some(proof) = proof {
            sink(Event::Delta { part, delta: Delta::Proof(proof) });
        }
        let mut block = Self { index, part, kind, text: SplitText::default() };
        if let Some(text) = first {
            block.text(text, sink)?;
        }
        if let Some(found) = content.peek("citations").and_then(citations::read) {
            let _taken: Option<Raw<'_>> = content.offer("citations");
            for citation in found {
                sink(Event::Delta { part, delta: Delta::Citation(citation) });
            }
        }
        extras(PROTOCOL, "/content_block", content, sink);
        Ok((block, opened))
    }

    pub(super) fn delta(
        &mut self,
        mut delta: Fields<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let raw = delta.raw();
        let part = self.part;
        let name = delta.variant("type").unwrap_or_default();
        match (name.as_ref(), &mut self.kind) {
            ("text_delta", Kinds::Text) => self.text(delta.require("text")?, sink)?,
            ("thinking_delta", Kinds::Thinking) => {
                self.text(delta.require("thinking")?, sink)?;
                // How much was thought, where it is not shown.
                let _estimate: Option<Raw<'_>> = delta.offer("estimated_tokens");
            }
            ("signature_delta", Kinds::Thinking) => {
                let token = delta.require("signature")?;
                let said = blocks_decode::reasoning(Cow::default(), Some(token), ProofKind::Signature);
                if let Some(id) = said.id {
                    sink(Event::Delta { part, delta: Delta::Id(id) });
                }
                if let Some(proof) = said.proof {
                    sink(Event::Delta { part, delta: Delta::Proof(proof) });
                }
            }
            ("citations_delta", Kinds::Text) => {
                let citation = citations::citation(delta.require("citation")?);
                sink(Event::Delta { part, delta: Delta::Citation(citation) });
            }
            ("input_json_delta", Kinds::ToolUse { .. } | Kinds::Custom { .. } | Kinds::Answer { .. }) => {
                self.text(delta.require("partial_json")?, sink)?;
            }
            ("input_json_delta", Kinds::Other { .. }) => {
                self.add("input", delta.require("partial_json")?)?;
            }
            ("compaction_delta", Kinds::Other { .. }) if delta.peek("content").is_some_and(is_string) => {
                self.add("content", delta.require("content")?)?;
            }
            _ => {
                if !matches!(self.kind, Kinds::Other { .. }) {
                    sink(Event::Delta { part, delta: Delta::Raw { name, text: raw.text() } });
                }
                return Ok(());
            }
        }
        extras(PROTOCOL, "/delta", delta, sink);
        Ok(())
    }

    fn text(&mut self, raw: Raw<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        let text = self.text.read(raw)?;
        if text.is_empty() {
            return Ok(());
        }
        let delta = match &mut self.kind {
            Kinds::ToolUse { input } => {
                *input = None;
                Delta::Arguments(text)
            }
            Kinds::Answer { input } => {
                *input = None;
                Delta::Text(text)
            }
            Kinds::Custom { input } => return keep(input, &text),
            Kinds::Text | Kinds::Thinking | Kinds::Other { .. } => Delta::Text(text),
        };
        sink(Event::Delta { part: self.part, delta });
        Ok(())
    }

    /// Keeps what a delta adds to a block that is told as a whole.
    fn add(&mut self, field: &'static str, raw: Raw<'_>) -> Result<(), FrameError> {
        let text = self.text.read(raw)?;
        let Kinds::Other { added, .. } = &mut self.kind else { return Ok(()) };
        keep(&mut added.get_or_insert_with(|| (field, String::new())).1, &text)
    }

    pub(super) fn close(self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        if !self.text.is_whole() {
            return Err(FrameError::Malformed("a content block ends with half of a character".into()));
        }
        let part = self.part;
        match self.kind {
            Kinds::ToolUse { input: Some(input) } => {
                sink(Event::Delta { part, delta: Delta::Arguments(Cow::Owned(input)) });
            }
            Kinds::Answer { input: Some(input) } => {
                sink(Event::Delta { part, delta: Delta::Text(Cow::Owned(input)) });
            }
            Kinds::Custom { input } => {
                let text = tool_name::custom_input(Cow::Owned(input));
                sink(Event::Delta { part, delta: Delta::Arguments(text) });
            }
            Kinds::Other { name, raw, added } => {
                let whole = match added {
                    Some((field, text)) => with_field(&raw, field, &text),
                    None => raw,
                };
                let kind = PartKind::Unknown { name: Cow::Owned(name), text: &whole };
                sink(Event::Open { part, group: 0, candidate: 0, kind });
            }
            _ => {}
        }
        sink(Event::Close { part });
        Ok(())
    }
}

fn keep(kept: &mut String, text: &str) -> Result<(), FrameError> {
    if kept.len() + text.len() > WHOLE_BYTES_MAX {
        return Err(FrameError::TooMuch("a content block that is told as a whole is over 1 MiB"));
    }
    kept.push_str(text);
    Ok(())
}

fn is_string(raw: Raw<'_>) -> bool {
    raw.kind() == Kind::String
}

/// The object `raw` with what was added to one of its fields: the JSON of `input`, the text of others.
fn with_field(raw: &str, field: &str, added: &str) -> String {
    let Ok(fields) = Fields::parse(raw, &ScanLimits::default()) else { return raw.to_owned() };
    let is_json = field == "input";
    // What is no JSON cannot stand as such.
    let value = JsonText::parse(Cow::Borrowed(added)).map(|json| json.text().to_owned());
    if is_json && value.is_none() {
        return raw.to_owned();
    }
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    let write = |place: Writer<'_>| match &value {
        Some(json) if is_json => place.raw(json),
        _ => place.string(added),
    };
    let mut is_written = false;
    for (name, old) in fields.rest().iter() {
        match name == field {
            true => write(object.key(name)),
            false => object.key(name).raw(old.text()),
        }
        is_written |= name == field;
    }
    if !is_written {
        write(object.key(field));
    }
    drop(object);
    String::from_utf8(out).unwrap_or_else(|_| raw.to_owned())
}
