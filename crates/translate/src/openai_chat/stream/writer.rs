use weighbridge_protocol::json::{Object, Writer};
use weighbridge_protocol::openai_chat::{OBJECT_CHUNK, STREAM_END, finish as wire, usage};
use weighbridge_units::{Loss, LossKind, Usage};

use crate::event::report_once;
use crate::openai_chat::finish;
use crate::{Delta, Event, FinishReason, FrameError, PartKind, PartsSeen, StreamTarget, StreamWriter};

/// Writes the chunks of a Chat Completions stream:
/// <https://platform.openai.com/docs/api-reference/chat-streaming>.
///
/// The finish reasons, the usage and `[DONE]` come at the end only, so that late or repeated facts are
/// no special case.
#[derive(Debug)]
pub struct ChatWriter {
    id_fallback: String,
    created: i64,
    show_usage: bool,
    /// What every chunk begins with; empty until the answer has begun.
    head: Vec<u8>,
    candidates: Vec<Candidate>,
    parts: Vec<Part>,
    usage: Option<Usage>,
    service_tier: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Candidate {
    index: u32,
    calls: u64,
    seen: PartsSeen,
    finish: Option<FinishReason>,
}

/// A part that is open.
#[derive(Debug)]
struct Part {
    number: u32,
    candidate: u32,
    place: Place,
}

/// Where a part's content goes.
#[derive(Debug, Clone, Copy)]
enum Place {
    Content,
    Refusal,
    Call(u64),
    /// The protocol has no place for it: reported when it opened.
    Nowhere,
}

impl ChatWriter {
    /// A writer for one client.
    pub fn new(target: &StreamTarget<'_>) -> Self {
        Self {
            id_fallback: target.id_fallback.to_owned(),
            created: target.created,
            show_usage: target.show_usage,
            head: Vec::new(),
            candidates: Vec::new(),
            parts: Vec::new(),
            usage: None,
            service_tier: None,
        }
    }
}

impl StreamWriter for ChatWriter {
    fn write(
        &mut self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        match event {
            Event::Start { id, model, created } => {
                if self.head.is_empty() {
                    self.begin(id.as_deref(), model.as_deref(), *created);
                    self.candidate(0, out);
                }
            }
            Event::Open { part, candidate, kind, .. } => self.open(*part, *candidate, kind, out, losses),
            Event::Delta { part, delta } => self.delta(*part, delta, out, losses),
            Event::Close { part } => self.parts.retain(|open| open.number != *part),
            Event::Finish { candidate, reason } => {
                self.candidate(*candidate, out).finish = Some(reason.clone());
            }
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            // A comment: clients skip it, and their idle timers start anew.
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Raw { name, .. } => report_once(
                losses,
                LossKind::Dropped,
                format!("/{name}"),
                "an event of the provider's own has no counterpart in Chat Completions",
                "a chunk for events of the provider's own",
            ),
            Event::Extra { under, name, .. } => report_once(
                losses,
                LossKind::Dropped,
                format!("{under}/{name}"),
                "the field has no counterpart in Chat Completions",
                "a field of the same meaning",
            ),
            Event::Logprobs { .. } | Event::StopDetails { .. } => report_once(
                losses,
                LossKind::Dropped,
                "/choices/0",
                "probabilities and details of the end are not carried over",
                "fields of the same meaning",
            ),
            Event::ServiceTier(tier) => self.service_tier(tier, losses),
            Event::Failed(_) => {}
        }
        Ok(())
    }

    fn complete(&mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        self.candidate(0, out);
        for candidate in std::mem::take(&mut self.candidates) {
            let reason = finish_reason(&candidate, losses);
            self.chunk(candidate.index, out, |_| {}, Some(reason));
        }
        if self.show_usage
            && let Some(told) = self.usage
        {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b",\"choices\":[],\"usage\":");
            usage::write(&told, Writer::new(out));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(STREAM_END.as_bytes());
        out.extend_from_slice(b"\n\n");
    }

    fn held_events(&self) -> u64 {
        0
    }
}

impl ChatWriter {
    fn begin(&mut self, id: Option<&str>, model: Option<&str>, created: Option<i64>) {
        self.head.extend_from_slice(b"data: ");
        let mut object = Writer::new(&mut self.head).object();
        object.key("id").string(id.unwrap_or(&self.id_fallback));
        object.key("object").string(OBJECT_CHUNK);
        object.key("created").number(created.unwrap_or(self.created));
        object.key("model").string(model.unwrap_or_default());
        drop(object);
        // The object goes on in each chunk.
        self.head.pop();
    }

    /// The candidate of that index. A new one is announced with its role.
    fn candidate(&mut self, index: u32, out: &mut Vec<u8>) -> &mut Candidate {
        if self.head.is_empty() {
            self.begin(None, None, None);
        }
        let place = match self.candidates.iter().position(|candidate| candidate.index == index) {
            Some(place) => place,
            None => {
                self.chunk(
                    index,
                    out,
                    |delta| {
                        delta.key("role").string("assistant");
                        delta.key("content").string("");
                    },
                    None,
                );
                self.candidates.push(Candidate { index, ..Candidate::default() });
                self.candidates.len() - 1
            }
        };
        &mut self.candidates[place]
    }

    /// The tiers of both protocols under this one's names: `default` is Anthropic's `standard`.
    fn service_tier(&mut self, tier: &str, losses: &mut Vec<Loss>) {
        self.service_tier = match tier {
            "standard" => Some("default"),
            "priority" => Some("priority"),
            _ => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    "/usage/service_tier",
                    "the service tier has no counterpart in Chat Completions",
                    "such a service tier",
                );
                None
            }
        };
    }

    fn open(
        &mut self,
        number: u32,
        index: u32,
        kind: &PartKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) {
        let candidate = self.candidate(index, out);
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
            PartKind::Text => Place::Content,
            PartKind::Refusal => {
                candidate.seen.refusal = true;
                Place::Refusal
            }
            PartKind::ToolCall { id, name, .. } => {
                let call = candidate.calls;
                candidate.calls += 1;
                candidate.seen.tool_calls = true;
                self.chunk(
                    index,
                    out,
                    |delta| {
                        let mut calls = delta.key("tool_calls").array();
                        let mut entry = calls.item().object();
                        entry.key("index").number(call);
                        entry.key("id").string(id);
                        entry.key("type").string("function");
                        let mut function = entry.key("function").object();
                        function.key("name").string(name);
                        function.key("arguments").string("");
                    },
                    None,
                );
                Place::Call(call)
            }
            PartKind::Reasoning { .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    format!("/content/{number}"),
                    "reasoning has no place in Chat Completions",
                    "a field for reasoning and its signature",
                );
                Place::Nowhere
            }
            PartKind::Unknown { .. } | PartKind::Image { .. } | PartKind::Audio { .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    format!("/content/{number}"),
                    "a part of the provider's own kind has no counterpart in Chat Completions",
                    "a part of the same kind",
                );
                Place::Nowhere
            }
        };
        self.parts.push(Part { number, candidate: index, place });
    }

    fn delta(&mut self, number: u32, delta: &Delta<'_>, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        let Some(part) = self.parts.iter().find(|part| part.number == number) else { return };
        match (part.place, delta) {
            (Place::Content, Delta::Text(text)) => {
                self.chunk(part.candidate, out, |delta| delta.key("content").string(text), None);
            }
            (Place::Refusal, Delta::Text(text)) => {
                self.chunk(part.candidate, out, |delta| delta.key("refusal").string(text), None);
            }
            (Place::Call(call), Delta::Arguments(fragment)) => {
                self.chunk(
                    part.candidate,
                    out,
                    |delta| {
                        let mut calls = delta.key("tool_calls").array();
                        let mut entry = calls.item().object();
                        entry.key("index").number(call);
                        entry.key("function").object().key("arguments").string(fragment);
                    },
                    None,
                );
            }
            (Place::Nowhere, _) => {}
            (_, Delta::Raw { name, .. }) => report_once(
                losses,
                LossKind::Dropped,
                format!("/content/{number}/{name}"),
                "a part has something of the provider's own that Chat Completions cannot carry",
                "a field of the same meaning",
            ),
            _ => {}
        }
    }

    fn chunk(
        &self,
        candidate: u32,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Object<'_>),
        finish: Option<&str>,
    ) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[");
        let mut choice = Writer::new(out).object();
        choice.key("index").number(candidate);
        delta(&mut choice.key("delta").object());
        choice.key("finish_reason").string_or_null(finish);
        drop(choice);
        out.push(b']');
        if let Some(tier) = self.service_tier.filter(|_| finish.is_some()) {
            out.extend_from_slice(b",\"service_tier\":");
            Writer::new(out).string(tier);
        }
        // OpenAI sends a null on every chunk to those that asked for usage.
        out.extend_from_slice(if self.show_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" });
    }
}

fn finish_reason(candidate: &Candidate, losses: &mut Vec<Loss>) -> &'static str {
    let Some(reason) = &candidate.finish else {
        report_once(
            losses,
            LossKind::Defaulted,
            "/stop_reason",
            "the provider did not say why the answer ended",
            "an answer without a finish reason",
        );
        return if candidate.seen.tool_calls { wire::TOOL_CALLS } else { wire::STOP };
    };
    let (written, lost) = finish::write(reason, candidate.seen);
    if let Some(why) = lost {
        let needed = "a finish reason that says so";
        report_once(losses, LossKind::Approximated, "/stop_reason", why, needed);
    }
    written
}
