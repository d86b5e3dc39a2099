//! The block of one part, from its start to its end.

use weighbridge_protocol::bedrock_converse::event;
use weighbridge_protocol::json::{Object, Writer};
use weighbridge_units::{Loss, LossKind};

use crate::bedrock_converse::{citations, reasoning};
use crate::conversation::{CitationSource, Proof};
use crate::event::{pointer, report_once};
use crate::openai_chat::BETWEEN;
use crate::{Delta, FrameError, tool_name};

/// How much of a block is kept that can be written only at its end: a proof, or what a tool that takes
/// free text is called with.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What must be known of a part that has a block.
#[derive(Debug)]
pub(super) struct Block {
    part: u32,
    index: u64,
    kind: Kind,
    /// Nothing of the block was written: neither a start nor a delta.
    is_bare: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Reasoning(Thought),
    ToolUse {
        /// What a tool that takes free text is called with.
        custom: Option<String>,
    },
    Image,
}

/// Reasoning that is open. Its proof is written at the end: the mark of another maker's stands once.
#[derive(Debug)]
pub(super) struct Thought {
    id: Option<String>,
    is_visible: bool,
    piece: u32,
    proof: Option<Proof<'static>>,
}

impl Thought {
    pub(super) fn new(id: Option<&str>) -> Self {
        Self { id: id.map(str::to_owned), is_visible: false, piece: 0, proof: None }
    }

    /// What stands between what was said so far and a piece of a summary.
    fn next(&mut self, piece: u32) -> &'static str {
        let was_visible = std::mem::replace(&mut self.is_visible, true);
        let is_next = std::mem::replace(&mut self.piece, piece) != piece;
        if was_visible && is_next { BETWEEN } else { "" }
    }

    fn prove(&mut self, more: &Proof<'_>) -> Result<(), FrameError> {
        let proof = self.proof.get_or_insert_with(|| Proof {
            format: more.format.clone().into_owned().into(),
            kind: more.kind,
            data: "".into(),
        });
        fits(proof.data.len() + more.data.len())?;
        proof.data.to_mut().push_str(&more.data);
        Ok(())
    }
}

impl Block {
    pub(super) fn new(part: u32, index: u64, kind: Kind, is_bare: bool) -> Self {
        Self { part, index, kind, is_bare }
    }

    pub(super) fn part(&self) -> u32 {
        self.part
    }

    /// How much of it is kept for its end, in bytes.
    pub(super) fn kept_bytes(&self) -> usize {
        match &self.kind {
            Kind::ToolUse { custom } => custom.as_ref().map_or(0, String::len),
            Kind::Reasoning(thought) => thought.proof.as_ref().map_or(0, |proof| proof.data.len()),
            Kind::Text | Kind::Image => 0,
        }
    }

    /// Writes a delta of the kind that the block has. Reports what no delta can say.
    ///
    /// # Errors
    /// [`FrameError::TooMuch`] where too much must wait for the end of the block.
    pub(super) fn delta(
        &mut self,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        match (&mut self.kind, delta) {
            (Kind::Text, Delta::Text(text)) => self.write(out, |delta| delta.key("text").string(text)),
            (Kind::Text, Delta::Citation(citation)) => match &citation.source {
                CitationSource::Unknown { .. } => report_once(
                    losses,
                    LossKind::Dropped,
                    "/citations",
                    "a source of that kind cannot be named",
                    "citations of any kind",
                ),
                _ => self.write(out, |delta| {
                    citations::write_fields(citation, false, &mut delta.key("citation").object());
                }),
            },
            (Kind::Reasoning(thought), Delta::Text(text)) => {
                let between = thought.next(0);
                self.think(between, out);
                self.think(text, out);
            }
            (Kind::Reasoning(thought), Delta::Summary { piece, text }) => {
                report_once(
                    losses,
                    LossKind::Approximated,
                    "/reasoning/summary",
                    "a summary stands as the reasoning itself",
                    "summaries of reasoning",
                );
                let between = thought.next(*piece);
                self.think(between, out);
                self.think(text, out);
            }
            (Kind::Reasoning(thought), Delta::Proof(proof)) => return thought.prove(proof),
            (Kind::Reasoning(thought), Delta::Id(id)) => {
                thought.id.get_or_insert_with(|| id.to_string());
            }
            (Kind::ToolUse { custom: Some(kept) }, Delta::Arguments(text)) => {
                fits(kept.len() + text.len())?;
                kept.push_str(text);
            }
            (Kind::ToolUse { custom: None }, Delta::Arguments(text)) => self.say_input(text, out),
            (Kind::Image, Delta::Data(data)) => self.write(out, |delta| {
                delta.key("image").object().key("source").object().key("bytes").string(data);
            }),
            (_, Delta::Raw { name, .. }) => report_once(
                losses,
                LossKind::Dropped,
                pointer("/content", name),
                "a part has something of the provider's own that Bedrock Converse cannot carry",
                "a field of the same meaning",
            ),
            // A delta of another kind than its part makes no sense in any protocol.
            _ => {}
        }
        Ok(())
    }

    /// Ends the block. One of text or reasoning that said nothing must have begun.
    pub(super) fn stop(mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        match std::mem::replace(&mut self.kind, Kind::Text) {
            Kind::ToolUse { custom: Some(text) } => {
                let mut input = Vec::new();
                tool_name::write_custom(&text, &mut Writer::new(&mut input).object());
                self.say_input(&String::from_utf8(input).unwrap_or_default(), out);
            }
            Kind::Reasoning(Thought { id, is_visible, proof: Some(proof), .. }) => {
                self.write(out, |delta| {
                    let mut content = delta.key("reasoningContent").object();
                    let (name, token) = reasoning::token(&proof, id.as_deref(), is_visible);
                    content.key(name).string(&token);
                });
            }
            Kind::Reasoning(Thought { id, .. }) => {
                if id.is_some() {
                    let (why, needed) = ("reasoning has no id here", "ids of reasoning");
                    report_once(losses, LossKind::Dropped, "/reasoning/id", why, needed);
                }
                if self.is_bare {
                    self.write(out, |delta| delta.key("reasoningContent").object().key("text").string(""));
                }
            }
            Kind::Text if self.is_bare => self.write(out, |delta| delta.key("text").string("")),
            Kind::Text | Kind::ToolUse { .. } | Kind::Image => {}
        }
        frame(out, event::BLOCK_STOP, |object| object.key("contentBlockIndex").number(self.index));
    }

    fn think(&mut self, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.write(out, |delta| delta.key("reasoningContent").object().key("text").string(text));
        }
    }

    fn say_input(&mut self, text: &str, out: &mut Vec<u8>) {
        self.write(out, |delta| delta.key("toolUse").object().key("input").string(text));
    }

    fn write(&mut self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        self.is_bare = false;
        frame(out, event::BLOCK_DELTA, |object| {
            object.key("contentBlockIndex").number(self.index);
            fill(&mut object.key("delta").object());
        });
    }
}

/// Writes the start of a block that has one.
pub(super) fn start(out: &mut Vec<u8>, index: u64, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
    frame(out, event::BLOCK_START, |object| {
        object.key("contentBlockIndex").number(index);
        fill(&mut object.key("start").object().key(kind).object());
    });
}

/// Writes one frame: its name, and an object that `fill` fills.
pub(super) fn frame(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = Writer::new(out).object();
    fill(&mut object);
    drop(object);
    out.extend_from_slice(b"\n\n");
}

fn fits(bytes: usize) -> Result<(), FrameError> {
    match bytes <= KEPT_BYTES_MAX {
        true => Ok(()),
        false => Err(FrameError::TooMuch("what must be written at a block's end is over 1 MiB")),
    }
}
