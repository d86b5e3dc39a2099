mod held;
mod parts;
mod reasoning;

use weighbridge_protocol::json::{Object, Writer};
use weighbridge_protocol::openai_chat::{OBJECT_CHUNK, STREAM_END, usage};
use weighbridge_units::{Loss, LossKind, Protocol, Usage};

use self::held::HeldCitation;
use self::reasoning::{Reasoned, Unplaced};
use crate::conversation::CallKind;
use crate::event::{pointer, report_once, report_untold};
use crate::openai_chat::answer_encode::tier_name;
use crate::openai_chat::{finish, logprobs};
use crate::{Event, FinishReason, FrameError, PartsSeen, StreamTarget, StreamWriter, keep_alive, model_or};

/// How many bytes may wait for the end of their part: an image, a proof, citations.
const HELD_BYTES_MAX: usize = 16 << 20;

/// Writes the chunks of a Chat Completions stream:
/// <https://platform.openai.com/docs/api-reference/chat-streaming>.
///
/// The finish reasons, the usage and `[DONE]` come at the end only, so that late or repeated facts are
/// no special case. What a client can only take whole waits for its part's end: images, proofs of
/// reasoning, and citations, whose place in the text is known only then.
#[derive(Debug)]
pub struct ChatWriter {
    id_fallback: String,
    model_fallback: String,
    created: i64,
    show_usage: bool,
    legacy_functions: bool,
    /// What every chunk begins with; empty until the answer has begun.
    head: Vec<u8>,
    candidates: Vec<Candidate>,
    parts: Vec<Part>,
    usage: Option<Usage>,
    service_tier: Option<&'static str>,
    held_bytes: usize,
    held_events: u64,
}

#[derive(Debug, Default)]
struct Candidate {
    index: u32,
    calls: u64,
    seen: PartsSeen,
    finish: Option<FinishReason>,
    /// Why the candidate ended, in the provider's words.
    explanation: Option<String>,
    /// Characters of visible text so far.
    characters: u64,
    /// Whether nothing but reasoning has come yet.
    has_begun: bool,
    /// Whether reasoning can be read already.
    has_reasoned: bool,
    /// The next place among `reasoning_details`.
    next_detail: u64,
    /// The last entry of reasoning that has ended without a proof.
    unproven: Option<u64>,
    /// Reasoning that has ended, and of which the next part decides what it belongs to.
    unplaced: Option<Unplaced>,
    images: u64,
    has_spoken: bool,
}

/// A part that is open.
#[derive(Debug)]
struct Part {
    number: u32,
    candidate: u32,
    place: Place,
}

/// Where a part's content goes.
#[derive(Debug)]
enum Place {
    /// Visible text from that character on, and its sources.
    Content {
        start: u64,
        citations: Vec<HeldCitation>,
    },
    Refusal,
    Call {
        index: u64,
        kind: CallKind,
    },
    FunctionCall,
    Reasoning(Reasoned),
    Image {
        media_type: String,
        data: String,
    },
    Audio,
    /// The protocol has no place for it: reported when it opened.
    Nowhere,
}

impl ChatWriter {
    /// A writer for one client.
    pub fn new(target: &StreamTarget<'_>) -> Self {
        Self {
            id_fallback: target.id_fallback.to_owned(),
            model_fallback: target.model_fallback.to_owned(),
            created: target.created,
            show_usage: target.show_usage,
            legacy_functions: target.legacy_functions,
            head: Vec::new(),
            candidates: Vec::new(),
            parts: Vec::new(),
            usage: None,
            service_tier: None,
            held_bytes: 0,
            held_events: 0,
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
            Event::Delta { part, delta } => return self.delta(*part, delta, out, losses),
            Event::Close { part } => self.close(*part, out, losses),
            Event::Finish { candidate, reason } => {
                self.candidate(*candidate, out).finish = Some(reason.clone());
            }
            Event::StopDetails { candidate, details } => {
                if details.category.is_some() || !details.bag.is_empty() {
                    report_once(
                        losses,
                        LossKind::Dropped,
                        "/stop_details",
                        "the category of a refusal cannot be said",
                        "categories of refusals",
                    );
                }
                let explanation = details.explanation.as_deref().map(str::to_owned);
                self.candidate(*candidate, out).explanation = explanation;
            }
            Event::Logprobs { candidate, tokens } => {
                self.candidate(*candidate, out);
                let mut lost = false;
                self.choice(
                    *candidate,
                    out,
                    |_| {},
                    None,
                    |choice| {
                        logprobs::write(tokens, &[], choice, &mut |bag, _| lost |= !bag.is_empty());
                    },
                );
                if lost {
                    report_once(
                        losses,
                        LossKind::Dropped,
                        "/logprobs",
                        "a token has a field that has no counterpart in Chat Completions",
                        "a field of the same meaning",
                    );
                }
            }
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            // A comment: clients skip it, and their idle timers start anew.
            Event::Ping => out.extend_from_slice(keep_alive(Protocol::OpenAiChat)),
            Event::Raw { name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer("", name),
                "an event of the provider's own has no counterpart in Chat Completions",
                "a chunk for events of the provider's own",
            ),
            Event::Extra { under, name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer(under, name),
                "the field has no counterpart in Chat Completions",
                "a field of the same meaning",
            ),
            Event::ServiceTier(tier) => self.service_tier(tier, losses),
            Event::Failed(_) => {}
        }
        Ok(())
    }

    fn complete(&mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        self.candidate(0, out);
        for candidate in &mut std::mem::take(&mut self.candidates) {
            let _nothing_follows = self.place(candidate, false, out, losses);
            self.explain(candidate, out, losses);
            let reason = finish_reason(candidate, losses).into();
            let reason = finish::for_client(reason, self.legacy_functions);
            self.chunk(candidate.index, out, |_| {}, Some(&reason));
        }
        if let Some(told) = self.usage {
            report_untold(&told, &usage::UNTOLD, losses);
            if self.show_usage {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(b",\"choices\":[],\"usage\":");
                usage::write(&told, Writer::new(out));
                out.extend_from_slice(b"}\n\n");
            }
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(STREAM_END.as_bytes());
        out.extend_from_slice(b"\n\n");
    }

    fn held_events(&self) -> u64 {
        self.held_events
    }
}

impl ChatWriter {
    fn begin(&mut self, id: Option<&str>, model: Option<&str>, created: Option<i64>) {
        self.head.extend_from_slice(b"data: ");
        let mut object = Writer::new(&mut self.head).object();
        object.key("id").string(id.unwrap_or(&self.id_fallback));
        object.key("object").string(OBJECT_CHUNK);
        object.key("created").number(created.unwrap_or(self.created));
        object.key("model").string(model_or(model, &self.model_fallback));
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

    /// Takes the candidate of that index out while it is written; it must be put back.
    fn take(&mut self, index: u32, out: &mut Vec<u8>) -> Candidate {
        let vacant = Candidate { index, ..Candidate::default() };
        std::mem::replace(self.candidate(index, out), vacant)
    }

    /// The tiers of all protocols under this one's names: `default` is Anthropic's `standard`.
    fn service_tier(&mut self, tier: &str, losses: &mut Vec<Loss>) {
        self.service_tier = tier_name(tier);
        if self.service_tier.is_none() {
            report_once(
                losses,
                LossKind::Dropped,
                "/usage/service_tier",
                "the service tier has no counterpart in Chat Completions",
                "such a service tier",
            );
        }
    }

    /// Counts what has to wait.
    fn hold(&mut self, bytes: usize) -> Result<(), FrameError> {
        self.held_bytes += bytes;
        self.held_events += 1;
        if self.held_bytes > HELD_BYTES_MAX {
            return Err(FrameError::TooMuch("what must be told whole is over 16 MiB before its end"));
        }
        Ok(())
    }

    /// What the provider says about a refusal without words stands as the words.
    fn explain(&mut self, candidate: &mut Candidate, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        let Some(explanation) = candidate.explanation.take() else { return };
        if candidate.seen.refusal {
            return report_once(
                losses,
                LossKind::Dropped,
                "/stop_details/explanation",
                "why an answer ended cannot be explained",
                "explanations of the end",
            );
        }
        report_once(
            losses,
            LossKind::Approximated,
            "/stop_details/explanation",
            "the provider's explanation stands as the model's refusal",
            "explanations of the end",
        );
        self.chunk(candidate.index, out, |delta| delta.key("refusal").string(&explanation), None);
    }

    fn chunk(
        &self,
        candidate: u32,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Object<'_>),
        finish: Option<&str>,
    ) {
        self.choice(candidate, out, delta, finish, |_| {});
    }

    fn choice(
        &self,
        candidate: u32,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Object<'_>),
        finish: Option<&str>,
        more: impl FnOnce(&mut Object<'_>),
    ) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[");
        let mut choice = Writer::new(out).object();
        choice.key("index").number(candidate);
        delta(&mut choice.key("delta").object());
        more(&mut choice);
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
        return finish::ended(candidate.seen);
    };
    let (written, lost) = finish::write(reason, candidate.seen);
    if let Some(why) = lost {
        let needed = "a finish reason that says so";
        report_once(losses, LossKind::Approximated, "/stop_reason", why, needed);
    }
    written
}
