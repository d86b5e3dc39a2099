//! Reasoning in a stream: as text to read, and as details to send back. A proof comes at the end of its
//! part, and may wait for the part behind it, which it may belong to.

use weighbridge_protocol::json::Object;
use weighbridge_units::{Loss, LossKind};

use super::{Candidate, ChatWriter};
use crate::conversation::Proof;
use crate::event::report_once;
use crate::openai_chat::pieces::UNPROVEN;
use crate::openai_chat::reasoning::{BETWEEN, ENCRYPTED, SUMMARY, TEXT, is_data};
use crate::{Delta, FrameError};

/// A piece of reasoning that is open.
#[derive(Debug)]
pub(super) struct Reasoned {
    id: Option<String>,
    /// Whether nothing but reasoning came before it.
    leads: bool,
    is_visible: bool,
    text_index: Option<u64>,
    /// The piece of the summary that is written, and its index.
    summary: Option<(u32, u64)>,
    proof: Option<Proof<'static>>,
}

impl Reasoned {
    pub(super) fn new(id: Option<&str>, leads: bool) -> Self {
        let id = id.map(str::to_owned);
        Self { id, leads, is_visible: false, text_index: None, summary: None, proof: None }
    }
}

/// A piece of reasoning that has ended.
#[derive(Debug)]
pub(super) struct Unplaced {
    reasoned: Reasoned,
}

impl ChatWriter {
    pub(super) fn reasoning_delta(
        &mut self,
        index: u32,
        reasoned: &mut Reasoned,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FrameError> {
        match delta {
            Delta::Text(text) => {
                let (separator, place) = self.reserve(index, out, reasoned.text_index, reasoned.is_visible);
                reasoned.text_index = Some(place);
                reasoned.is_visible = true;
                self.visible(index, reasoned, TEXT, "text", text, separator, place, out);
            }
            Delta::Summary { piece, text } => {
                let known = reasoned.summary.filter(|(known, _)| known == piece).map(|(_, place)| place);
                let goes_on = known.is_some();
                let (mut separator, place) = self.reserve(index, out, known, reasoned.is_visible);
                if !goes_on && reasoned.is_visible {
                    separator = BETWEEN;
                }
                reasoned.summary = Some((*piece, place));
                reasoned.is_visible = true;
                self.visible(index, reasoned, SUMMARY, "summary", text, separator, place, out);
            }
            Delta::Id(id) => {
                reasoned.id.get_or_insert_with(|| id.to_string());
            }
            Delta::Proof(proof) => {
                self.hold(proof.data.len())?;
                let empty = || Proof {
                    format: proof.format.to_string().into(),
                    kind: proof.kind,
                    data: String::new().into(),
                };
                let held = reasoned.proof.get_or_insert_with(empty);
                held.data.to_mut().push_str(&proof.data);
            }
            _ => {}
        }
        Ok(())
    }

    /// The place of an entry among the details, a new one if it has none, and what separates its text
    /// from that before it.
    fn reserve(
        &mut self,
        index: u32,
        out: &mut Vec<u8>,
        known: Option<u64>,
        goes_on: bool,
    ) -> (&'static str, u64) {
        let candidate = self.candidate(index, out);
        let separator = if candidate.has_reasoned && !goes_on { BETWEEN } else { "" };
        candidate.has_reasoned = true;
        let place = known.unwrap_or_else(|| {
            candidate.next_detail += 1;
            candidate.next_detail - 1
        });
        (separator, place)
    }

    #[expect(clippy::too_many_arguments, reason = "one entry's fields, used in two places above")]
    fn visible(
        &self,
        index: u32,
        reasoned: &Reasoned,
        kind: &str,
        field: &str,
        text: &str,
        separator: &str,
        place: u64,
        out: &mut Vec<u8>,
    ) {
        self.chunk(
            index,
            out,
            |delta| {
                match separator {
                    "" => delta.key("reasoning_content").string(text),
                    _ => delta.key("reasoning_content").string(&format!("{separator}{text}")),
                }
                let mut list = delta.key("reasoning_details").array();
                let mut object = list.item().object();
                object.key("type").string(kind);
                object.key(field).string(text);
                if let Some(id) = &reasoned.id {
                    object.key("id").string(id);
                }
                object.key("index").number(place);
            },
            None,
        );
    }

    /// A piece has ended. One that stands between calls, or signs the part behind it, waits for that
    /// part to begin.
    pub(super) fn reasoning_ends(
        &mut self,
        index: u32,
        reasoned: Reasoned,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) {
        let signs = !reasoned.is_visible && reasoned.proof.as_ref().is_some_and(|p| p.is(Proof::GEMINI));
        let waits = !reasoned.leads || signs;
        let mut candidate = self.take(index, out);
        if reasoned.proof.is_none() {
            candidate.unproven = reasoned.text_index.or(reasoned.summary.map(|(_, place)| place));
        }
        candidate.unplaced = Some(Unplaced { reasoned });
        if !waits {
            let _nothing_to_tie = self.place(&mut candidate, false, out, losses);
        }
        *self.candidate(index, out) = candidate;
    }

    /// Says of a piece that nothing proves it, so that a proof behind it is not taken for its own.
    pub(super) fn keep_apart(&self, candidate: &mut Candidate, out: &mut Vec<u8>) {
        let Some(place) = candidate.unproven.take() else { return };
        self.chunk(
            candidate.index,
            out,
            |delta| {
                let mut list = delta.key("reasoning_details").array();
                let mut object = list.item().object();
                object.key("type").string(TEXT);
                object.key("text").string("");
                object.key("format").string(UNPROVEN);
                object.key("index").number(place);
            },
            None,
        );
    }

    /// Writes the proof of a piece that has ended, now that it is known what follows it. A proof
    /// that is tied to a call is given back, to stand in the call's own chunk.
    pub(super) fn place(
        &mut self,
        candidate: &mut Candidate,
        follows_call: bool,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Option<Tied> {
        let Reasoned { id, leads, text_index, proof, .. } = candidate.unplaced.take()?.reasoned;
        let ties = proof.is_some() && id.is_none() && follows_call;
        if !leads && !ties {
            report_once(
                losses,
                LossKind::Moved,
                "/content/reasoning",
                "reasoning stands before all that the model said",
                "an order between reasoning and the rest of a message",
            );
        }
        let proof = proof?;
        self.held_bytes -= proof.data.len();
        let is_data = is_data(&proof, text_index.is_some());
        let place = text_index.filter(|_| !is_data).unwrap_or_else(|| {
            candidate.next_detail += 1;
            candidate.next_detail - 1
        });
        let tied = Tied { proof, is_data, place };
        if ties {
            return Some(tied);
        }
        self.chunk(candidate.index, out, |delta| tied.write(id.as_deref(), delta), None);
        None
    }
}

/// A proof, as it stands among the details.
#[derive(Debug)]
pub(super) struct Tied {
    proof: Proof<'static>,
    is_data: bool,
    place: u64,
}

impl Tied {
    /// Writes the details of a delta, with the id of the reasoning or of the call.
    pub(super) fn write(&self, id: Option<&str>, delta: &mut Object<'_>) {
        let mut list = delta.key("reasoning_details").array();
        let mut object = list.item().object();
        if self.is_data {
            object.key("type").string(ENCRYPTED);
            object.key("data").string(&self.proof.data);
        } else {
            object.key("type").string(TEXT);
            object.key("text").string("");
            object.key("signature").string(&self.proof.data);
        }
        if let Some(id) = id {
            object.key("id").string(id);
        }
        object.key("format").string(&self.proof.format);
        object.key("index").number(self.place);
    }
}
