//! The parts of an answer, from their beginning to their end.

use weighbridge_units::{Loss, LossKind};

use super::held::{self, HeldCitation};
use super::reasoning::{Reasoned, Tied};
use super::{ChatWriter, Part, Place};
use crate::conversation::{CallKind, CitationSource};
use crate::event::{pointer, report_once};
use crate::{Delta, FrameError, PartKind, tool_id};

impl ChatWriter {
    pub(super) fn open(
        &mut self,
        number: u32,
        index: u32,
        kind: &PartKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) {
        let legacy = self.legacy_functions;
        let mut candidate = self.take(index, out);
        let follows_call = !legacy && matches!(kind, PartKind::ToolCall { .. });
        let tied = self.place(&mut candidate, follows_call, out, losses);
        if candidate.calls > 0 && matches!(kind, PartKind::Text | PartKind::Refusal) {
            report_once(
                losses,
                LossKind::Moved,
                format!("/content/{number}"),
                "text stands before all calls of tools",
                "an order between text and calls of tools",
            );
        }
        let place = match kind {
            PartKind::Text => Place::Content { start: candidate.characters, citations: Vec::new() },
            PartKind::Refusal => {
                candidate.seen.refusal = true;
                Place::Refusal
            }
            PartKind::ToolCall { id, name, kind } => {
                candidate.seen.tool_calls = true;
                let call = candidate.calls;
                candidate.calls += 1;
                match (legacy, call, kind) {
                    (false, ..) => self.open_call(index, call, id, name, *kind, tied.as_ref(), out),
                    (true, 0, CallKind::Function) => {
                        self.chunk(
                            index,
                            out,
                            |delta| {
                                let mut call = delta.key("function_call").object();
                                call.key("name").string(name);
                                call.key("arguments").string("");
                            },
                            None,
                        );
                        Place::FunctionCall
                    }
                    (true, ..) => nowhere(number, "the client's form of calls has room for one", losses),
                }
            }
            PartKind::Reasoning { id } => {
                self.keep_apart(&mut candidate, out);
                Place::Reasoning(Reasoned::new(id.as_deref(), !candidate.has_begun))
            }
            PartKind::Image { media_type } => {
                Place::Image { media_type: media_type.to_string(), data: String::new() }
            }
            PartKind::Audio { .. } if candidate.has_spoken => {
                nowhere(number, "an answer has room for one sound", losses)
            }
            PartKind::Audio { id, .. } => {
                candidate.has_spoken = true;
                let id = id.as_deref().unwrap_or(&self.id_fallback);
                self.chunk(index, out, |delta| delta.key("audio").object().key("id").string(id), None);
                Place::Audio
            }
            PartKind::Unknown { .. } => nowhere(
                number,
                "a part of the provider's own kind has no counterpart in Chat Completions",
                losses,
            ),
        };
        candidate.has_begun |= !matches!(kind, PartKind::Reasoning { .. });
        *self.candidate(index, out) = candidate;
        self.parts.push(Part { number, candidate: index, place });
    }

    #[expect(clippy::too_many_arguments, reason = "a call's own fields, and where it stands")]
    fn open_call(
        &mut self,
        candidate: u32,
        index: u64,
        id: &str,
        name: &str,
        kind: CallKind,
        tied: Option<&Tied>,
        out: &mut Vec<u8>,
    ) -> Place {
        let made = tool_id::fallback(&self.id_fallback, usize::try_from(index).unwrap_or_default());
        let id = if id.is_empty() { &made } else { id };
        let (kind_name, field) = names_of(kind);
        self.chunk(
            candidate,
            out,
            |delta| {
                if let Some(tied) = tied {
                    tied.write(Some(id), delta);
                }
                let mut calls = delta.key("tool_calls").array();
                let mut entry = calls.item().object();
                entry.key("index").number(index);
                entry.key("id").string(id);
                entry.key("type").string(kind_name);
                let mut inner = entry.key(kind_name).object();
                inner.key("name").string(name);
                inner.key(field).string("");
            },
            None,
        );
        Place::Call { index, kind }
    }

    pub(super) fn delta(
        &mut self,
        number: u32,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        let Some(at) = self.parts.iter().position(|part| part.number == number) else { return Ok(()) };
        // Taken out while it is written, so that the rest can be used; it goes back to its place.
        let mut part = self.parts.swap_remove(at);
        let index = part.candidate;
        match (&mut part.place, delta) {
            (Place::Content { .. }, Delta::Text(text)) => {
                if let Some(candidate) = self.candidates.iter_mut().find(|c| c.index == index) {
                    candidate.characters += text.chars().count() as u64;
                }
                self.chunk(index, out, |delta| delta.key("content").string(text), None);
            }
            (Place::Content { citations, .. }, Delta::Citation(citation)) => {
                if let CitationSource::Url(_) = citation.source {
                    let held = HeldCitation::of(citation);
                    self.hold(held.bytes())?;
                    citations.push(held);
                } else {
                    report_once(
                        losses,
                        LossKind::Dropped,
                        format!("/content/{number}/citations"),
                        "only addresses can be cited",
                        "citations of documents",
                    );
                }
                if !citation.bag.is_empty() {
                    raw_lost(number, "citations", losses);
                }
            }
            (Place::Refusal, Delta::Text(text)) => {
                self.chunk(index, out, |delta| delta.key("refusal").string(text), None);
            }
            (Place::Call { index: call, kind }, Delta::Arguments(fragment)) => {
                let (kind_name, field) = names_of(*kind);
                self.chunk(
                    index,
                    out,
                    |delta| {
                        let mut calls = delta.key("tool_calls").array();
                        let mut entry = calls.item().object();
                        entry.key("index").number(*call);
                        entry.key(kind_name).object().key(field).string(fragment);
                    },
                    None,
                );
            }
            (Place::FunctionCall, Delta::Arguments(fragment)) => self.chunk(
                index,
                out,
                |delta| delta.key("function_call").object().key("arguments").string(fragment),
                None,
            ),
            (Place::Reasoning(reasoned), _) => self.reasoning_delta(index, reasoned, delta, out)?,
            (Place::Image { data, .. }, Delta::Data(more)) => {
                self.hold(more.len())?;
                data.push_str(more);
            }
            (Place::Audio, Delta::Data(data)) => {
                self.chunk(index, out, |delta| delta.key("audio").object().key("data").string(data), None);
            }
            (Place::Audio, Delta::Text(words)) => self.chunk(
                index,
                out,
                |delta| delta.key("audio").object().key("transcript").string(words),
                None,
            ),
            (Place::Nowhere, _) => {}
            (_, Delta::Raw { name, .. }) => raw_lost(number, name, losses),
            _ => {}
        }
        self.parts.push(part);
        Ok(())
    }

    pub(super) fn close(&mut self, number: u32, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        let Some(at) = self.parts.iter().position(|part| part.number == number) else { return };
        let Part { candidate: index, place, .. } = self.parts.swap_remove(at);
        match place {
            Place::Content { start, citations } if !citations.is_empty() => {
                let end = self.candidate(index, out).characters;
                self.held_bytes -= citations.iter().map(HeldCitation::bytes).sum::<usize>();
                self.chunk(
                    index,
                    out,
                    |delta| {
                        let mut list = delta.key("annotations").array();
                        for citation in &citations {
                            citation.write(start, end.saturating_sub(start), &mut list.item().object());
                        }
                    },
                    None,
                );
            }
            Place::Image { media_type, data } => {
                self.held_bytes -= data.len();
                let candidate = self.candidate(index, out);
                let image = candidate.images;
                candidate.images += 1;
                self.chunk(index, out, |delta| held::image(&media_type, &data, image, delta), None);
            }
            Place::Audio => {
                let until = self.created;
                self.chunk(
                    index,
                    out,
                    |delta| delta.key("audio").object().key("expires_at").number(until),
                    None,
                );
            }
            Place::Reasoning(reasoned) => self.reasoning_ends(index, reasoned, out, losses),
            _ => {}
        }
    }
}

/// What a kind of call is called, and what it holds its arguments in.
const fn names_of(kind: CallKind) -> (&'static str, &'static str) {
    match kind {
        CallKind::Function => ("function", "arguments"),
        CallKind::Custom => ("custom", "input"),
    }
}

fn nowhere(number: u32, reason: &'static str, losses: &mut Vec<Loss>) -> Place {
    report_once(losses, LossKind::Dropped, format!("/content/{number}"), reason, "a part of the same kind");
    Place::Nowhere
}

fn raw_lost(number: u32, name: &str, losses: &mut Vec<Loss>) {
    report_once(
        losses,
        LossKind::Dropped,
        pointer(&format!("/content/{number}"), name),
        "a part has something of the provider's own that Chat Completions cannot carry",
        "a field of the same meaning",
    );
}
