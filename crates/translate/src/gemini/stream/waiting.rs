use std::collections::VecDeque;

use weighbridge_protocol::gemini::MODEL;
use weighbridge_protocol::json::Object;
use weighbridge_units::{Loss, LossKind};

use crate::conversation::{Citation, CitationSource, Proof};
use crate::event::report_once;
use crate::gemini::citations::{Grounding, Source, is_expressible};
use crate::gemini::{content_encode, signature};
use crate::{FinishReason, PartsSeen};

/// One candidate of the answer, as far as it has come.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) index: u32,
    pub(super) seen: PartsSeen,
    pub(super) finish: Option<FinishReason>,
    pub(super) category: Option<String>,
    pub(super) explanation: Option<String>,
    /// The parts that have not been written to their end, in the order in which they began.
    pub(super) queue: VecDeque<Waiting>,
    /// The signature of a part that is to follow.
    pub(super) signature: Option<String>,
    /// Whether text was written last.
    behind_text: bool,
    /// Where the text part that is being written begins, in bytes of all visible text.
    pub(super) said_bytes: usize,
    pub(super) grounding: Grounding,
}

/// A part that has not been written to its end.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) part: u32,
    pub(super) kind: Kind,
    pub(super) is_closed: bool,
    /// What of it has not been written.
    pub(super) text: String,
    /// The text so far, for stretches of it.
    said: String,
    /// How long it is; it is longer than what is kept of it where it is over the bound.
    said_bytes: usize,
    /// How much of it the writer has counted as waiting, in bytes.
    pub(super) counted: usize,
    written: bool,
    piece: Option<u32>,
    proof: Option<Proof<'static>>,
    sources: Vec<Source>,
    sources_bytes: usize,
}

/// What a part is.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Thought { id: Option<String> },
    Call { id: String, name: String },
    Image { media_type: String },
    Audio { media_type: String },
}

impl Kind {
    /// Whether a piece of the part is a part of its own to the client.
    pub(super) const fn leaves_at_once(&self) -> bool {
        matches!(self, Self::Text | Self::Thought { .. } | Self::Audio { .. })
    }

    /// The id of a thought, where it came late.
    pub(super) fn identify(&mut self, late: &str) {
        if let Self::Thought { id } = self {
            *id = Some(late.to_owned());
        }
    }

    pub(super) const fn is_audio(&self) -> bool {
        matches!(self, Self::Audio { .. })
    }

    pub(super) const fn is_image(&self) -> bool {
        matches!(self, Self::Image { .. })
    }
}

/// How much of a text is kept to count stretches in it.
const SAID_MAX: usize = 1 << 20;

/// How much of an answer's sources is kept for its last chunk.
const GROUNDING_MAX: usize = 1 << 20;

impl Waiting {
    pub(super) fn new(part: u32, kind: Kind) -> Self {
        Self {
            part,
            kind,
            is_closed: false,
            text: String::new(),
            said: String::new(),
            said_bytes: 0,
            counted: 0,
            written: false,
            piece: None,
            proof: None,
            sources: Vec::new(),
            sources_bytes: 0,
        }
    }

    /// How much of it waits, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.proof.as_ref().map_or(0, |proof| proof.data.len()) + self.sources_bytes
    }

    /// More of a summary; between its pieces stands a blank line.
    pub(super) fn summary(&mut self, piece: u32, text: &str) {
        if self.piece.replace(piece).is_some_and(|before| before != piece) {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }

    /// More of the proof: several are one, cut into pieces.
    pub(super) fn prove(&mut self, proof: &Proof<'_>) {
        match &mut self.proof {
            Some(known) => known.data.to_mut().push_str(&proof.data),
            None => {
                self.proof = Some(Proof {
                    format: proof.format.clone().into_owned().into(),
                    kind: proof.kind,
                    data: proof.data.clone().into_owned().into(),
                });
            }
        }
    }

    /// A source of the text: it may come before what rests on it.
    pub(super) fn cite(&mut self, citation: &Citation<'_>, losses: &mut Vec<Loss>) {
        let mut lost = |reason, needed| {
            report_once(
                losses,
                LossKind::Dropped,
                format!("/content/{}/citations", self.part),
                reason,
                needed,
            );
        };
        if !is_expressible(citation) {
            return lost("only pages and documents can be cited", "such sources");
        }
        match &citation.source {
            CitationSource::Url(_) if citation.quoted.is_some() => {
                lost("what a page says has no place beside its address", "quotes of pages");
            }
            CitationSource::Document { index, file, span }
                if index.is_some() || file.is_some() || span.is_some() =>
            {
                lost("which document is cited, and where in it, cannot be said", "places in documents");
            }
            _ => {}
        }
        let source = Source::of(citation);
        self.sources_bytes += source.bytes();
        self.sources.push(source);
    }
}

/// A part of a chunk.
#[derive(Debug)]
pub(super) enum Piece {
    Text {
        text: String,
        signature: Option<String>,
    },
    Thought {
        text: String,
        signature: Option<String>,
    },
    Call {
        id: String,
        name: String,
        arguments: String,
        signature: Option<String>,
    },
    Data {
        media_type: String,
        data: String,
    },
    /// What the text before it rests on.
    Sources(Grounding),
}

impl Piece {
    /// Writes the candidate's fields that hold it.
    pub(super) fn write(&self, candidate: &mut Object<'_>) {
        let mut content = candidate.key("content").object();
        self.write_part(&mut content.key("parts").array().item().object());
        content.key("role").string(MODEL);
        drop(content);
        if let Self::Sources(grounding) = self {
            grounding.write(&mut candidate.key("groundingMetadata").object());
        }
    }

    fn write_part(&self, object: &mut Object<'_>) {
        let signature = match self {
            // SDKs drop the whole answer from their history for a content without parts.
            Self::Sources(_) => return object.key("text").string(""),
            Self::Text { text, signature } => {
                object.key("text").string(text);
                signature
            }
            Self::Thought { text, signature } => {
                object.key("text").string(text);
                object.key("thought").bool(true);
                signature
            }
            Self::Call { id, name, arguments, signature } => {
                let mut call = object.key("functionCall").object();
                content_encode::id(id, &mut call);
                call.key("name").string(name);
                call.key("args").raw(arguments);
                drop(call);
                signature
            }
            Self::Data { media_type, data } => {
                let mut inline = object.key("inlineData").object();
                inline.key("mimeType").string(media_type);
                inline.key("data").string(data);
                return;
            }
        };
        if let Some(signature) = signature {
            object.key("thoughtSignature").string(signature);
        }
    }
}

impl Candidate {
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            seen: PartsSeen::default(),
            finish: None,
            category: None,
            explanation: None,
            queue: VecDeque::new(),
            signature: None,
            behind_text: false,
            said_bytes: 0,
            grounding: Grounding::default(),
        }
    }

    /// Takes what may leave of the first part; `is_whole` where nothing more comes of it.
    pub(super) fn advance(&mut self, is_whole: bool, losses: &mut Vec<Loss>) -> Vec<Piece> {
        let Some(front) = self.queue.front_mut() else { return Vec::new() };
        let text = std::mem::take(&mut front.text);
        let mut pieces = Vec::new();
        let is_text = matches!(front.kind, Kind::Text);
        match &front.kind {
            Kind::Text => {
                front.said_bytes += text.len();
                if front.said_bytes <= SAID_MAX {
                    front.said.push_str(&text);
                }
                if !text.is_empty() {
                    let mut signature = self.signature.take();
                    if self.behind_text && signature.is_some() {
                        // On this text it would be taken to close the one before, which this goes on with.
                        pieces.push(Piece::Text { text: String::new(), signature: signature.take() });
                    }
                    pieces.push(Piece::Text { text, signature });
                }
                if is_whole {
                    let mut grounding = Grounding::default();
                    for source in front.sources.drain(..).filter(|_| front.said_bytes <= SAID_MAX) {
                        grounding.add(source, &front.said, self.said_bytes);
                    }
                    self.said_bytes += front.said_bytes;
                    let is_lost = front.sources_bytes > 0 && front.said_bytes > SAID_MAX;
                    if is_lost || self.grounding.bytes() + grounding.bytes() > GROUNDING_MAX {
                        let pointer = format!("/content/{}/citations", front.part);
                        let reason = "the sources of an answer are more than is kept";
                        report_once(losses, LossKind::Dropped, pointer, reason, "sources of any number");
                    } else if !grounding.is_empty() {
                        self.grounding.extend(&grounding);
                        pieces.push(Piece::Sources(grounding));
                    }
                }
            }
            Kind::Thought { id } => {
                let is_signature = is_whole && !front.written && text.is_empty();
                // Several pieces are one proof.
                let proof = if is_whole { front.proof.take() } else { None };
                let signed = proof.map(|proof| signature::write(&proof, id.as_deref()).into_owned());
                if !is_signature && (!text.is_empty() || signed.is_some()) {
                    front.written = true;
                    // Another signature may wait for a part that is no thought.
                    if let Some(waiting) = self.signature.take() {
                        pieces.push(Piece::Thought { text: String::new(), signature: Some(waiting) });
                    }
                    pieces.push(Piece::Thought { text, signature: signed });
                } else if is_signature
                    && signed.is_some()
                    && let Some(waiting) = std::mem::replace(&mut self.signature, signed)
                {
                    pieces.push(Piece::Thought { text: String::new(), signature: Some(waiting) });
                }
            }
            Kind::Call { id, name } => {
                let arguments = content_encode::arguments(&text);
                if matches!(arguments, std::borrow::Cow::Owned(_)) {
                    report_once(
                        losses,
                        LossKind::Approximated,
                        format!("/content/{}", front.part),
                        "the arguments are no JSON object: their text stands in its field `arguments`",
                        "arguments of any form",
                    );
                }
                // A line's end, which stands between tokens only, would end the data of an event.
                let arguments = arguments.replace(['\r', '\n'], " ");
                let (id, name) = (id.clone(), name.clone());
                pieces.push(Piece::Call { id, name, arguments, signature: self.signature.take() });
            }
            Kind::Image { media_type } | Kind::Audio { media_type } => {
                if !text.is_empty() {
                    pieces.push(Piece::Data { media_type: media_type.clone(), data: text });
                }
            }
        }
        if !pieces.is_empty() {
            self.behind_text = is_text;
        }
        pieces
    }
}
