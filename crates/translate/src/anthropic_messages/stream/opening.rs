//! The block of one part, from its start to its end.

use std::borrow::Cow;

use weighbridge_protocol::anthropic_messages::event;
use weighbridge_protocol::json::{Object, Writer};

use super::writer::frame;
use crate::FrameError;
use crate::anthropic_messages::citations;
use crate::conversation::{Citation, Proof, ProofKind};
use crate::openai_chat::BETWEEN;
use crate::tool_name::CustomInput;

/// How much of a proof is kept, which is written whole at its block's end.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A part's block.
#[derive(Debug)]
pub(super) struct Opening {
    part: u32,
    index: u64,
    kind: Kinds,
}

#[derive(Debug)]
enum Kinds {
    Text,
    Call {
        id: String,
        name: String,
        /// What a custom tool is called with stands as the one argument of a function.
        custom: Option<CustomInput>,
    },
    /// What kind of block reasoning has depends on whether it says anything that can be read: it begins
    /// with the first text, or at the end.
    Reasoning {
        id: Option<String>,
        is_visible: bool,
        piece: u32,
        proof: Option<Proof<'static>>,
    },
}

/// What a part says.
#[derive(Debug)]
pub(super) enum Piece<'p> {
    Text(Cow<'p, str>),
    Summary(u32, Cow<'p, str>),
    Arguments(Cow<'p, str>),
    Id(Cow<'p, str>),
    Proof(Proof<'p>),
    /// A citation, as it will be written.
    Citation(String),
}

impl<'p> Piece<'p> {
    pub(super) fn proof(proof: &'p Proof<'_>) -> Self {
        let Proof { format, kind, data } = proof;
        Self::Proof(Proof { format: Cow::Borrowed(format), kind: *kind, data: Cow::Borrowed(data) })
    }

    pub(super) fn citation(citation: &Citation<'_>) -> Self {
        let mut out = Vec::new();
        citations::write(citation, false, &mut Writer::new(&mut out).object());
        Self::Citation(String::from_utf8(out).unwrap_or_default())
    }

    /// The same, to be kept.
    pub(super) fn into_owned(self) -> Piece<'static> {
        let owned = |text: Cow<'p, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Text(text) => Piece::Text(owned(text)),
            Self::Summary(piece, text) => Piece::Summary(piece, owned(text)),
            Self::Arguments(text) => Piece::Arguments(owned(text)),
            Self::Id(text) => Piece::Id(owned(text)),
            Self::Proof(Proof { format, kind, data }) => {
                Piece::Proof(Proof { format: owned(format), kind, data: owned(data) })
            }
            Self::Citation(text) => Piece::Citation(text),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) | Self::Summary(_, text) | Self::Arguments(text) | Self::Id(text) => {
                    text.len()
                }
                Self::Citation(text) => text.len(),
                Self::Proof(proof) => proof.data.len(),
            }
    }
}

impl Opening {
    pub(super) fn text(part: u32) -> Self {
        Self { part, index: 0, kind: Kinds::Text }
    }

    pub(super) fn call(part: u32, id: String, name: String, is_custom: bool) -> Self {
        Self { part, index: 0, kind: Kinds::Call { id, name, custom: is_custom.then(CustomInput::default) } }
    }

    pub(super) fn reasoning(part: u32, id: Option<&str>) -> Self {
        let id = id.map(str::to_owned);
        Self { part, index: 0, kind: Kinds::Reasoning { id, is_visible: false, piece: 0, proof: None } }
    }

    pub(super) fn part(&self) -> u32 {
        self.part
    }

    /// Whether all that it says is Google's signature of what stands before it or comes next.
    pub(super) fn is_bare_signature(&self) -> bool {
        match &self.kind {
            Kinds::Reasoning { is_visible: false, proof: Some(proof), .. } => proof.is(Proof::GEMINI),
            _ => false,
        }
    }

    /// The part's turn has come: its block gets an index, and begins if its kind is known.
    pub(super) fn begin(&mut self, index: u64, out: &mut Vec<u8>) {
        self.index = index;
        match &self.kind {
            Kinds::Text => self.start(out, |content| {
                content.key("type").string("text");
                content.key("text").string("");
            }),
            Kinds::Call { id, name, .. } => self.start(out, |content| {
                content.key("type").string("tool_use");
                content.key("id").string(id);
                content.key("name").string(name);
                drop(content.key("input").object());
            }),
            Kinds::Reasoning { .. } => {}
        }
    }

    pub(super) fn say(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match (&mut self.kind, piece) {
            (Kinds::Text, Piece::Text(text)) => self.delta(out, "text_delta", "text", text),
            (Kinds::Text, Piece::Citation(citation)) => frame(out, event::CONTENT_BLOCK_DELTA, |object| {
                object.key("index").number(self.index);
                let mut delta = object.key("delta").object();
                delta.key("type").string("citations_delta");
                delta.key("citation").raw(citation);
            }),
            (Kinds::Call { custom: None, .. }, Piece::Arguments(text)) => {
                self.delta(out, "input_json_delta", "partial_json", text);
            }
            (Kinds::Call { custom: Some(input), .. }, Piece::Arguments(text)) => {
                let fragment = input.piece(text);
                self.delta(out, "input_json_delta", "partial_json", &fragment);
            }
            (Kinds::Reasoning { .. }, Piece::Text(text)) => self.think(0, text, out),
            (Kinds::Reasoning { .. }, Piece::Summary(piece, text)) => self.think(*piece, text, out),
            (Kinds::Reasoning { id, .. }, Piece::Id(new)) => {
                id.get_or_insert_with(|| new.to_string());
            }
            (Kinds::Reasoning { proof, .. }, Piece::Proof(more)) => {
                let empty = || Proof {
                    format: Cow::Owned(more.format.to_string()),
                    kind: more.kind,
                    data: Cow::Owned(String::new()),
                };
                let proof = proof.get_or_insert_with(empty);
                fits(proof.data.len() + more.data.len())?;
                proof.data.to_mut().push_str(&more.data);
            }
            _ => {}
        }
        Ok(())
    }

    fn think(&mut self, next: u32, text: &str, out: &mut Vec<u8>) {
        let Kinds::Reasoning { is_visible, piece, .. } = &mut self.kind else { return };
        let was_visible = std::mem::replace(is_visible, true);
        let is_next = std::mem::replace(piece, next) != next;
        if !was_visible {
            self.start_thinking(out);
        } else if is_next {
            self.delta(out, "thinking_delta", "thinking", BETWEEN);
        }
        self.delta(out, "thinking_delta", "thinking", text);
    }

    fn start_thinking(&self, out: &mut Vec<u8>) {
        self.start(out, |content| {
            content.key("type").string("thinking");
            content.key("thinking").string("");
            content.key("signature").string("");
        });
    }

    /// Ends the block. `false` where the part said nothing that a block could hold.
    pub(super) fn end(mut self, out: &mut Vec<u8>) -> bool {
        if let Kinds::Call { custom: Some(input), .. } = &mut self.kind {
            let fragment = input.end();
            self.delta(out, "input_json_delta", "partial_json", &fragment);
        }
        match &self.kind {
            Kinds::Reasoning { id, is_visible, proof, .. } => {
                let id = id.as_deref();
                match proof {
                    None if !is_visible => return false,
                    None => self.delta(out, "signature_delta", "signature", &Proof::unproven(id)),
                    Some(proof) if !is_visible && proof.kind == ProofKind::Sealed => {
                        self.start(out, |content| {
                            content.key("type").string("redacted_thinking");
                            let data = proof.token(Proof::ANTHROPIC, ProofKind::Sealed, id);
                            content.key("data").string(&data);
                        });
                    }
                    Some(proof) => {
                        if !is_visible {
                            self.start_thinking(out);
                        }
                        let token = proof.token(Proof::ANTHROPIC, ProofKind::Signature, id);
                        self.delta(out, "signature_delta", "signature", &token);
                    }
                }
            }
            Kinds::Text | Kinds::Call { .. } => {}
        }
        frame(out, event::CONTENT_BLOCK_STOP, |object| object.key("index").number(self.index));
        true
    }

    fn start(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        frame(out, event::CONTENT_BLOCK_START, |object| {
            object.key("index").number(self.index);
            fill(&mut object.key("content_block").object());
        });
    }

    fn delta(&self, out: &mut Vec<u8>, kind: &str, field: &str, text: &str) {
        frame(out, event::CONTENT_BLOCK_DELTA, |object| {
            object.key("index").number(self.index);
            let mut delta = object.key("delta").object();
            delta.key("type").string(kind);
            delta.key(field).string(text);
        });
    }
}

fn fits(bytes: usize) -> Result<(), FrameError> {
    match bytes <= KEPT_BYTES_MAX {
        true => Ok(()),
        false => Err(FrameError::TooMuch("a proof of reasoning is over 1 MiB")),
    }
}
