use std::borrow::Cow;
use std::collections::VecDeque;

use weighbridge_protocol::anthropic_messages::{event, usage};
use weighbridge_protocol::json::{Object, Writer};
use weighbridge_units::{Loss, LossKind, Protocol, Usage};

use super::opening::{Opening, Piece};
use crate::anthropic_messages::answer_encode::{TRAILING_SIGNATURE, tier_name};
use crate::anthropic_messages::{citations, finish};
use crate::conversation::CallKind;
use crate::event::{pointer, report_once, report_untold};
use crate::keep_alive::COMMENT;
use crate::{
    ApiError, Delta, Event, FinishReason, FrameError, PartKind, PartsSeen, StopDetails, StreamTarget,
    StreamWriter, keep_alive, model_or, tool_id, tool_name,
};

/// How much may wait for the open block to end, in bytes of content, and in parts.
const WAITING_BYTES_MAX: usize = 1 << 20;
const WAITING_PARTS_MAX: usize = 256;

/// Writes the events of a Messages stream:
/// <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.
///
/// The grammar lets one block be open at a time. Parts that begin before the open one has ended wait,
/// and follow in the order in which they began.
///
/// `message_start` waits for the first block: some providers tell their tier and the tokens of the prompt
/// before it, and it is the only event that has a place for a tier. Of usage that nobody has told yet it
/// says zero, and `message_delta`, which has every figure, corrects it. SDKs take the later value.
#[derive(Debug)]
pub struct MessagesWriter {
    id_fallback: String,
    model_fallback: String,
    /// What the first event will say.
    head: Head,
    started: bool,
    /// Index of the next block.
    next_index: u64,
    /// The part whose block is open, or will be with the next thing that it says.
    open: Option<Opening>,
    waiting: VecDeque<Waiting>,
    /// A signature after a block: it is written where another block follows.
    signature: Option<Opening>,
    waiting_bytes: usize,
    held_events: u64,
    calls: usize,
    seen: PartsSeen,
    finish: Option<FinishReason>,
    explanation: Option<String>,
    usage: Option<Usage>,
}

/// What is known of an answer before its first block.
#[derive(Debug, Default)]
struct Head {
    /// Whether the provider's answer has begun.
    has_begun: bool,
    id: Option<String>,
    model: Option<String>,
    tier: Option<&'static str>,
}

/// A part that began while another was open.
#[derive(Debug)]
struct Waiting {
    opening: Opening,
    pieces: Vec<Piece<'static>>,
    closed: bool,
}

impl MessagesWriter {
    /// A writer for one client.
    pub fn new(target: &StreamTarget<'_>) -> Self {
        Self {
            id_fallback: target.id_fallback.to_owned(),
            model_fallback: target.model_fallback.to_owned(),
            head: Head::default(),
            started: false,
            next_index: 0,
            open: None,
            waiting: VecDeque::new(),
            signature: None,
            waiting_bytes: 0,
            held_events: 0,
            calls: 0,
            seen: PartsSeen::default(),
            finish: None,
            explanation: None,
            usage: None,
        }
    }
}

impl StreamWriter for MessagesWriter {
    fn write(
        &mut self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        match event {
            Event::Start { id, model, .. } => {
                self.head.has_begun = true;
                self.head.id = self.head.id.take().or_else(|| id.as_deref().map(str::to_owned));
                self.head.model = self.head.model.take().or_else(|| model.as_deref().map(str::to_owned));
            }
            Event::Open { candidate: candidate @ 1.., .. } => report_once(
                losses,
                LossKind::Dropped,
                format!("/choices/{candidate}"),
                "Anthropic Messages has one answer, not several candidates",
                "several candidates in one answer",
            ),
            Event::Open { part, kind, .. } => return self.begin(*part, kind, out, losses),
            Event::Delta { part, delta } => return self.delta(*part, delta, out, losses),
            Event::Close { part } => self.end(*part, out),
            Event::Finish { candidate: 0, reason } => self.finish = Some(reason.clone()),
            Event::StopDetails { candidate: 0, details } => self.stop_details(details, losses),
            Event::Logprobs { candidate: 0, .. } => report_once(
                losses,
                LossKind::Dropped,
                "/logprobs",
                "probabilities of tokens cannot be told",
                "probabilities of tokens",
            ),
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            Event::Ping if self.started => out.extend_from_slice(keep_alive(Protocol::AnthropicMessages)),
            // `ping` would have to follow the start, which waits for what it is to tell.
            Event::Ping if self.head.has_begun => out.extend_from_slice(COMMENT),
            Event::Raw { name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer("", name),
                "an event of the provider's own has no counterpart in Anthropic Messages",
                "an event of the same meaning",
            ),
            Event::Extra { under, name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer(under, name),
                "the field has no counterpart in Anthropic Messages",
                "a field of the same meaning",
            ),
            Event::ServiceTier(tier) => self.service_tier(tier, losses),
            Event::Finish { .. }
            | Event::StopDetails { .. }
            | Event::Logprobs { .. }
            | Event::Ping
            | Event::Failed(_) => {}
        }
        Ok(())
    }

    fn complete(&mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        self.start(out);
        while let Some(part) = self.open.as_ref().map(Opening::part) {
            self.end(part, out);
        }
        if self.signature.take().is_some() {
            let (reason, needed) = TRAILING_SIGNATURE;
            report_once(losses, LossKind::Dropped, "/content", reason, needed);
        }
        let reason = self.stop_reason(losses);
        let sequence = self.finish.as_ref().and_then(finish::sequence);
        let told = self.usage.unwrap_or_else(|| {
            report_once(
                losses,
                LossKind::Defaulted,
                "/usage",
                "Anthropic Messages demands usage, and the provider told none",
                "an answer without usage",
            );
            Usage::new()
        });
        report_untold(&told, &usage::UNTOLD, losses);
        frame(out, event::MESSAGE_DELTA, |object| {
            let mut delta = object.key("delta").object();
            delta.key("stop_reason").string(reason);
            delta.key("stop_sequence").string_or_null(sequence);
            if let Some(explanation) = &self.explanation {
                let mut details = delta.key("stop_details").object();
                details.key("type").string("refusal");
                details.key("category").null();
                details.key("explanation").string(explanation);
            }
            drop(delta);
            usage::write(&told, object.key("usage"));
        });
        frame(out, event::MESSAGE_STOP, |_| {});
    }

    /// What has begun is told to have begun, also where nothing came of it.
    fn fail(&mut self, _error: &ApiError, _request_id: &str, out: &mut Vec<u8>) -> bool {
        if self.head.has_begun {
            self.start(out);
        }
        false
    }

    fn held_events(&self) -> u64 {
        self.held_events
    }
}

impl MessagesWriter {
    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let Head { id, model, tier, .. } = &self.head;
        let told = self.usage.unwrap_or_default();
        frame(out, event::MESSAGE_START, |object| {
            let mut message = object.key("message").object();
            message.key("id").string(id.as_deref().unwrap_or(&self.id_fallback));
            message.key("type").string("message");
            message.key("role").string("assistant");
            message.key("model").string(model_or(model.as_deref(), &self.model_fallback));
            drop(message.key("content").array());
            message.key("stop_reason").null();
            message.key("stop_sequence").null();
            usage::write_with_tier(&told, *tier, message.key("usage"));
        });
    }

    fn service_tier(&mut self, tier: &str, losses: &mut Vec<Loss>) {
        let (why, needed) = match tier_name(tier) {
            Some(name) if !self.started => {
                self.head.tier = Some(name);
                return;
            }
            // It was said, or is what a client takes for granted.
            Some(name) if name == self.head.tier.unwrap_or("standard") => return,
            Some(_) => ("the service tier came behind the only event that can tell it", "a tier at the end"),
            None => ("the service tier has no counterpart", "such a service tier"),
        };
        report_once(losses, LossKind::Dropped, "/service_tier", why, needed);
    }

    fn stop_reason(&self, losses: &mut Vec<Loss>) -> &'static str {
        let Some(reason) = &self.finish else {
            report_once(
                losses,
                LossKind::Defaulted,
                "/choices/0/finish_reason",
                "the provider did not say why the answer ended",
                "an answer without a finish reason",
            );
            return finish::ended(self.seen);
        };
        let (written, lost) = finish::write(reason, self.seen);
        if let Some(why) = lost {
            let needed = "a stop reason that says so";
            report_once(losses, LossKind::Approximated, "/choices/0/finish_reason", why, needed);
        }
        written
    }

    /// The categories are a closed list of Anthropic's.
    fn stop_details(&mut self, details: &StopDetails<'_>, losses: &mut Vec<Loss>) {
        self.explanation = details.explanation.as_deref().map(str::to_owned);
        if details.category.is_some() || !details.bag.is_empty() {
            report_once(
                losses,
                LossKind::Dropped,
                "/stop_details",
                "the category has no counterpart",
                "such categories of refusals",
            );
        }
    }

    fn begin(
        &mut self,
        part: u32,
        kind: &PartKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        self.start(out);
        let opening = match kind {
            PartKind::Text => Opening::text(part),
            PartKind::ToolCall { id, name, kind } => {
                let id = if id.is_empty() {
                    tool_id::fallback(&self.id_fallback, self.calls)
                } else {
                    tool_id::legal(id).into_owned()
                };
                self.calls += 1;
                self.seen.tool_calls = true;
                let name = tool_name::legal(name, *kind).into_owned();
                Opening::call(part, id, name, *kind == CallKind::Custom)
            }
            PartKind::Refusal => {
                report_once(
                    losses,
                    LossKind::Approximated,
                    "/choices/0/message/refusal",
                    "a refusal stands as ordinary text",
                    "a part for refusals",
                );
                self.seen.refusal = true;
                Opening::text(part)
            }
            PartKind::Reasoning { id } => Opening::reasoning(part, id.as_deref()),
            PartKind::Audio { .. } => {
                report_once(
                    losses,
                    LossKind::Approximated,
                    format!("/content/{part}"),
                    "the words of a sound stand in its place",
                    "sound",
                );
                Opening::text(part)
            }
            PartKind::Image { .. } | PartKind::Unknown { .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    format!("/content/{part}"),
                    "a part of this kind has no counterpart in Anthropic Messages",
                    "a block of the same kind",
                );
                return Ok(());
            }
        };
        if self.open.is_none() {
            self.open(opening, out);
            return Ok(());
        }
        if self.waiting.len() == WAITING_PARTS_MAX {
            return Err(FrameError::TooMuch("too many parts are open at once"));
        }
        self.held_events += 1;
        self.waiting.push_back(Waiting { opening, pieces: Vec::new(), closed: false });
        Ok(())
    }

    fn delta(
        &mut self,
        part: u32,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        let is_open = self.open.as_ref().is_some_and(|open| open.part() == part);
        let waiting = self.waiting.iter_mut().find(|waiting| waiting.opening.part() == part);
        if !is_open && waiting.is_none() {
            return Ok(()); // Reported when it opened.
        }
        let piece = match delta {
            Delta::Text(text) => Piece::Text(Cow::Borrowed(text)),
            Delta::Summary { piece, text } => {
                report_once(
                    losses,
                    LossKind::Approximated,
                    format!("/content/{part}/summary"),
                    "a summary stands as the text of the reasoning",
                    "summaries of reasoning",
                );
                Piece::Summary(*piece, Cow::Borrowed(text))
            }
            Delta::Arguments(text) => Piece::Arguments(Cow::Borrowed(text)),
            Delta::Id(id) => Piece::Id(Cow::Borrowed(id)),
            Delta::Proof(proof) => Piece::proof(proof),
            Delta::Citation(citation) => {
                if let Some(why) = citations::lost(citation, false) {
                    let pointer = format!("/content/{part}/citations");
                    report_once(losses, LossKind::Dropped, pointer, why, "citations of such sources");
                    return Ok(());
                }
                if citation.span.is_some() {
                    report_once(
                        losses,
                        LossKind::Approximated,
                        format!("/content/{part}/citations"),
                        "a source supports its whole block, not a stretch of it",
                        "sources of a stretch of text",
                    );
                }
                Piece::citation(citation)
            }
            // Reported when it opened: the words stand in the sound's place.
            Delta::Data(_) => return Ok(()),
            Delta::Raw { name, .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    pointer("/content", name),
                    "a part has something of the provider's own that Anthropic Messages cannot carry",
                    "a field of the same meaning",
                );
                return Ok(());
            }
        };
        match waiting.filter(|_| !is_open) {
            None => {
                // SDKs take a signature from one delta, the last of its block.
                self.held_events += u64::from(matches!(piece, Piece::Proof(_)));
                self.say(&piece, out)
            }
            Some(waiting) => {
                self.waiting_bytes += piece.bytes();
                if self.waiting_bytes > WAITING_BYTES_MAX {
                    return Err(FrameError::TooMuch(
                        "a part is still open, and what waits for its end is over 1 MiB",
                    ));
                }
                self.held_events += 1;
                waiting.push(piece.into_owned());
                Ok(())
            }
        }
    }

    /// A part has ended: the next one that waits gets its block, and what has come of it.
    fn end(&mut self, part: u32, out: &mut Vec<u8>) {
        if self.open.as_ref().is_none_or(|open| open.part() != part) {
            if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.opening.part() == part) {
                waiting.closed = true;
            }
            return;
        }
        self.close_block(out);
        while self.open.is_none()
            && let Some(next) = self.waiting.pop_front()
        {
            self.waiting_bytes -= next.pieces.iter().map(Piece::bytes).sum::<usize>();
            self.open(next.opening, out);
            for piece in &next.pieces {
                // What waited is within the bound of what an opening keeps.
                drop(self.say(piece, out));
            }
            if next.closed {
                self.close_block(out);
            }
        }
    }

    fn open(&mut self, mut opening: Opening, out: &mut Vec<u8>) {
        if let Some(mut signature) = self.signature.take() {
            signature.begin(self.next_index, out);
            self.next_index += u64::from(signature.end(out));
        }
        opening.begin(self.next_index, out);
        self.next_index += 1;
        self.open = Some(opening);
    }

    fn say(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.open.as_mut().map_or(Ok(()), |open| open.say(piece, out))
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        if self.next_index > 1 && open.is_bare_signature() {
            self.next_index -= 1;
            self.signature = Some(open);
        } else if !open.end(out) {
            // It has said nothing: its index is free.
            self.next_index -= 1;
        }
    }
}

impl Waiting {
    fn push(&mut self, piece: Piece<'static>) {
        match (self.pieces.last_mut(), &piece) {
            (Some(Piece::Text(text)), Piece::Text(more))
            | (Some(Piece::Arguments(text)), Piece::Arguments(more)) => text.to_mut().push_str(more),
            _ => self.pieces.push(piece),
        }
    }
}

/// Writes one event: its name, and an object with its type and what `fill` adds.
pub(super) fn frame(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = Writer::new(out).object();
    object.key("type").string(name);
    fill(&mut object);
    drop(object);
    out.extend_from_slice(b"\n\n");
}
