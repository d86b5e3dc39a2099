use weighbridge_protocol::json::{Object, Writer};
use weighbridge_protocol::openai_responses::{event, usage};
use weighbridge_units::{Loss, LossKind, Protocol, Usage};

use super::writer_items::{Body, Call, Frames, Item, Thought, refusal_part, text_part};
use super::writer_parts::{Kind, Part, Text};
use crate::event::{pointer, report_once, report_untold};
use crate::openai_responses::finish::{self, Ending};
use crate::openai_responses::kept::KeptAs;
use crate::openai_responses::output_encode::{
    IMAGE_FORMAT, ItemIds, MADE_REASONING, SOUND, call_kind, is_named_format,
};
use crate::openai_responses::response_object::{Counts, FAILED, IN_PROGRESS, Response, tier_name};
use crate::openai_responses::{answer, error, logprobs};
use crate::{
    ApiError, Event, FinishReason, FrameError, PartKind, PartsSeen, StreamTarget, StreamWriter, keep_alive,
    model_or, tool_id,
};

/// How much an answer may hold, in bytes of content: its last event repeats all of it, and an event is
/// at most 16 MiB.
const ANSWER_BYTES_MAX: usize = 12 << 20;

/// How many items, and parts of one message, an answer may have.
const ITEMS_MAX: usize = 4096;

/// Writes the events of a Responses stream:
/// <https://platform.openai.com/docs/api-reference/responses-streaming>.
///
/// Texts and refusals that follow each other are parts of one message; everything else is an item of
/// its own. Items have places, so that several may be open at once: nothing waits, but for the sources
/// of a whole text, whose stretch is known when the text is. The last event repeats the whole answer,
/// which is therefore kept.
#[derive(Debug)]
pub struct ResponsesWriter {
    id_fallback: String,
    model_fallback: String,
    created: i64,
    kept: Option<KeptAs>,
    /// Id and model, once the answer has begun.
    head: Option<(String, String)>,
    ids: ItemIds,
    frames: Frames,
    items: Vec<Item>,
    /// The items that are whole, by their place.
    whole: Vec<Option<String>>,
    pub(super) parts: Vec<Part>,
    /// The place of the message that the next text belongs to.
    pub(super) message: Option<usize>,
    bytes: usize,
    pub(super) held_events: u64,
    calls: usize,
    seen: PartsSeen,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    service_tier: Option<String>,
    /// Probabilities of tokens that wait for their text.
    pub(super) tokens: Vec<String>,
}

impl ResponsesWriter {
    /// A writer for one client.
    pub fn new(target: &StreamTarget<'_>) -> Self {
        Self {
            id_fallback: target.id_fallback.to_owned(),
            model_fallback: target.model_fallback.to_owned(),
            created: target.created,
            kept: None,
            head: None,
            ids: ItemIds::of(target.id_fallback),
            frames: Frames::default(),
            items: Vec::new(),
            whole: Vec::new(),
            parts: Vec::new(),
            message: None,
            bytes: 0,
            held_events: 0,
            calls: 0,
            seen: PartsSeen::default(),
            finish: None,
            usage: None,
            service_tier: None,
            tokens: Vec::new(),
        }
    }
}

impl StreamWriter for ResponsesWriter {
    fn write(
        &mut self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        match event {
            Event::Start { id, model, created } => {
                self.created = created.filter(|_| self.head.is_none()).unwrap_or(self.created);
                self.start(id.as_deref(), model.as_deref(), out);
            }
            Event::Open { candidate: candidate @ 1.., .. } => report_once(
                losses,
                LossKind::Dropped,
                format!("/choices/{candidate}"),
                answer::CANDIDATES,
                "several candidates in one answer",
            ),
            Event::Open { part, kind, .. } => return self.open(*part, kind, out, losses),
            Event::Delta { part, delta } => return self.delta(*part, delta, out, losses),
            Event::Close { part } => self.close(*part, "completed", out),
            Event::Finish { candidate: 0, reason } => self.finish = Some(reason.clone()),
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            Event::Logprobs { candidate: 0, tokens } => {
                self.tokens.extend(tokens.iter().map(logprobs::token_text));
            }
            Event::ServiceTier(tier) => self.tier(tier, losses),
            // A comment: clients skip it, and their idle timers start anew.
            Event::Ping => out.extend_from_slice(keep_alive(Protocol::OpenAiResponses)),
            Event::StopDetails { candidate: 0, .. } => report_once(
                losses,
                LossKind::Dropped,
                "/choices/0/stop_details",
                answer::STOP_DETAILS,
                "details of a stop reason",
            ),
            Event::Raw { name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer("", name),
                "an event of the provider's own has no counterpart in OpenAI Responses",
                "an event of the same meaning",
            ),
            Event::Extra { under, name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer(under, name),
                "the field has no counterpart in OpenAI Responses",
                "a field of the same meaning",
            ),
            Event::Finish { .. } | Event::Logprobs { .. } | Event::StopDetails { .. } | Event::Failed(_) => {}
        }
        Ok(())
    }

    fn complete(&mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        self.start(None, None, out);
        let ending = self.ending(losses);
        let status = if ending.reason.is_some() { "incomplete" } else { "completed" };
        for number in self.parts.iter().map(|part| part.number).collect::<Vec<_>>() {
            self.close(number, status, out);
        }
        if let Some(item) = self.message.take() {
            self.end_item(item, status, out);
        }
        if !self.tokens.is_empty() {
            report_once(
                losses,
                LossKind::Dropped,
                "/choices/0/logprobs",
                "probabilities belong to a text, and there is none",
                "probabilities of tokens without a text",
            );
        }
        let usage = self.usage.unwrap_or_default();
        report_untold(&usage, &usage::UNTOLD, losses);
        let name = if ending.reason.is_some() { event::INCOMPLETE } else { event::COMPLETED };
        self.last(name, &ending, None, out);
    }

    fn fail(&mut self, error: &ApiError, request_id: &str, out: &mut Vec<u8>) -> bool {
        self.start(None, None, out);
        error::write_event(error, request_id, self.frames.next(), out);
        let code = error::failure_code(error);
        self.last(event::FAILED, &FAILED, Some((code, &error.message)), out);
        true
    }

    fn held_events(&self) -> u64 {
        self.held_events
    }

    fn keep_as(&mut self, kept: KeptAs) {
        self.kept = Some(kept);
    }
}

impl ResponsesWriter {
    fn start(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<u8>) {
        if self.head.is_some() {
            return;
        }
        let kept_id = self.kept.as_ref().map(|kept| kept.id.as_str());
        let id = kept_id.or(id).unwrap_or(&self.id_fallback).to_owned();
        self.ids = ItemIds::of(&id);
        self.head = Some((id, model_or(model, &self.model_fallback).to_owned()));
        for name in [event::CREATED, event::IN_PROGRESS] {
            self.response(name, &IN_PROGRESS, None, "[]", false, out);
        }
    }

    /// Writes an event that repeats the answer.
    fn response(
        &mut self,
        name: &str,
        ending: &Ending,
        error: Option<(&str, &str)>,
        output: &str,
        is_last: bool,
        out: &mut Vec<u8>,
    ) {
        let (id, model) = self.head.as_ref().map_or(("", ""), |(id, model)| (id.as_str(), model.as_str()));
        let response = Response {
            id,
            model,
            created: self.created,
            ending,
            as_told: None,
            error,
            usage: self.usage.as_ref().filter(|_| is_last).map(Counts::Of),
            service_tier: self.service_tier.as_deref().filter(|_| is_last),
            own: None,
            kept: self.kept.as_ref(),
        };
        self.frames.write(out, name, |object| {
            response.write(output, &mut object.key("response").object());
        });
    }

    fn last(&mut self, name: &str, ending: &Ending, error: Option<(&str, &str)>, out: &mut Vec<u8>) {
        let items: Vec<&str> = self.whole.iter().flatten().map(String::as_str).collect();
        let output = format!("[{}]", items.join(","));
        self.response(name, ending, error, &output, true, out);
    }

    fn ending(&self, losses: &mut Vec<Loss>) -> Ending {
        let Some(reason) = &self.finish else {
            report_once(
                losses,
                LossKind::Defaulted,
                "/choices/0/finish_reason",
                answer::NO_REASON,
                "an answer without a status",
            );
            return finish::UNTOLD;
        };
        let ending = finish::write(reason, self.seen);
        if let Some(why) = ending.lost {
            let needed = "a reason that says so";
            report_once(losses, LossKind::Approximated, "/choices/0/finish_reason", why, needed);
        }
        // An answer that was cancelled has no event of its own.
        Ending {
            status: if ending.reason.is_some() { ending.status } else { finish::UNTOLD.status },
            ..ending
        }
    }

    fn tier(&mut self, tier: &str, losses: &mut Vec<Loss>) {
        match tier_name(tier, false) {
            Some(name) => self.service_tier = Some(name.to_owned()),
            None => report_once(
                losses,
                LossKind::Dropped,
                "/service_tier",
                "the service tier has no counterpart",
                "such a service tier",
            ),
        }
    }

    fn open(
        &mut self,
        number: u32,
        kind: &PartKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        self.start(None, None, out);
        let kind = match kind {
            PartKind::Text => Kind::Text(self.begin_text(out)?),
            PartKind::Refusal => {
                self.seen.refusal = true;
                let (item, place) = self.place(out)?;
                self.part_added(item, place, &refusal_part(""), out);
                Kind::Refusal { item, place, text: String::new() }
            }
            PartKind::ToolCall { id, name, kind } => {
                let id = match id.is_empty() {
                    true => tool_id::fallback(&self.id_fallback, self.calls),
                    false => id.as_ref().to_owned(),
                };
                self.calls += 1;
                self.seen.tool_calls = true;
                self.keep(id.len() + name.len())?;
                let call = Call { id, name: name.as_ref().to_owned(), kind: *kind, arguments: String::new() };
                let item_id = self.ids.next(call_kind(*kind));
                Kind::Call { item: self.item(item_id, Body::Call(call), out)? }
            }
            PartKind::Reasoning { id } => {
                let own = id.as_deref().map(str::to_owned);
                let id = own.clone().unwrap_or_else(|| self.ids.next(MADE_REASONING));
                let item = self.item(id, Body::Reasoning(Thought { id: own, ..Thought::default() }), out)?;
                Kind::Reasoning { item, piece: None }
            }
            PartKind::Image { media_type } => {
                if !is_named_format(media_type) {
                    let (at, needed) = (format!("/content/{number}"), "images of any format");
                    report_once(losses, LossKind::Approximated, at, IMAGE_FORMAT, needed);
                }
                let body = Body::Image { media_type: media_type.as_ref().to_owned(), data: String::new() };
                let id = self.ids.next("ig");
                Kind::Image { item: self.item(id, body, out)? }
            }
            PartKind::Audio { .. } => {
                let needed = "sound in an answer";
                report_once(losses, LossKind::Approximated, format!("/content/{number}"), SOUND, needed);
                Kind::Audio(None)
            }
            PartKind::Unknown { .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    format!("/content/{number}"),
                    "a part of the provider's own kind has no counterpart in OpenAI Responses",
                    "an item of the same kind",
                );
                Kind::Nowhere
            }
        };
        if self.parts.len() == ITEMS_MAX {
            return Err(FrameError::TooMuch("too many parts are open at once"));
        }
        self.parts.push(Part { number, kind });
        Ok(())
    }

    /// Counts what will be repeated at the end.
    pub(super) fn keep(&mut self, bytes: usize) -> Result<(), FrameError> {
        self.bytes += bytes;
        if self.bytes > ANSWER_BYTES_MAX {
            return Err(FrameError::TooMuch("an answer that is repeated at its end is over 12 MiB"));
        }
        Ok(())
    }

    /// Begins an item. A message that no text is open in ends before it.
    fn item(&mut self, id: String, body: Body, out: &mut Vec<u8>) -> Result<usize, FrameError> {
        if !matches!(body, Body::Message { .. }) {
            self.end_message(out);
        }
        let index = self.whole.len();
        if index == ITEMS_MAX {
            return Err(FrameError::TooMuch("an answer has more than 4096 items"));
        }
        self.whole.push(None);
        let item = Item { index, id, body };
        item.added(&mut self.frames, out);
        self.items.push(item);
        Ok(index)
    }

    /// What follows does not belong to the message before it.
    fn end_message(&mut self, out: &mut Vec<u8>) {
        if let Some(message) = self.message.take()
            && !self.is_written(message)
        {
            self.end_item(message, "completed", out);
        }
    }

    /// Whether a part of the message in this place is open.
    pub(super) fn is_written(&self, message: usize) -> bool {
        self.parts.iter().any(|part| part.kind.message() == Some(message))
    }

    /// An item is whole.
    pub(super) fn end_item(&mut self, index: usize, status: &str, out: &mut Vec<u8>) {
        let Some(at) = self.items.iter().position(|item| item.index == index) else { return };
        let item = self.items.remove(at);
        let mut text = Vec::new();
        item.write(status, &mut Writer::new(&mut text).object());
        // The writer writes nothing but UTF-8.
        let text = String::from_utf8(text).unwrap_or_default();
        self.frames.write(out, event::ITEM_DONE, |object| {
            object.key("output_index").number(index as u64);
            object.key("item").raw(&text);
        });
        if let Some(whole) = self.whole.get_mut(index) {
            *whole = Some(text);
        }
    }

    /// The message that the next part belongs to, and the part's place in it.
    fn place(&mut self, out: &mut Vec<u8>) -> Result<(usize, usize), FrameError> {
        let message = match self.message {
            Some(message) => message,
            None => {
                let id = self.ids.next("msg");
                self.item(id, Body::Message { parts: Vec::new() }, out)?
            }
        };
        self.message = Some(message);
        match self.items.iter_mut().find(|item| item.index == message).map(|item| &mut item.body) {
            Some(Body::Message { parts }) if parts.len() == ITEMS_MAX => {
                Err(FrameError::TooMuch("a message has more than 4096 parts"))
            }
            Some(Body::Message { parts }) => {
                parts.push(None);
                Ok((message, parts.len() - 1))
            }
            _ => Err(FrameError::OutOfOrder("a message is missing")),
        }
    }

    pub(super) fn begin_text(&mut self, out: &mut Vec<u8>) -> Result<Text, FrameError> {
        let (item, place) = self.place(out)?;
        self.part_added(item, place, &text_part("", &[], &[]), out);
        Ok(Text::new(item, place))
    }

    pub(super) fn part_added(&mut self, item: usize, place: usize, part: &str, out: &mut Vec<u8>) {
        self.at(item, event::PART_ADDED, out, |object| {
            object.key("content_index").number(place as u64);
            object.key("part").raw(part);
        });
    }

    /// Writes an event about an open item.
    pub(super) fn at(
        &mut self,
        index: usize,
        name: &str,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut Object<'_>),
    ) {
        let Self { items, frames, .. } = self;
        if let Some(item) = items.iter().find(|item| item.index == index) {
            frames.write(out, name, |object| {
                item.address(object);
                fill(object);
            });
        }
    }

    pub(super) fn body(&mut self, index: usize) -> Option<&mut Body> {
        self.items.iter_mut().rev().find(|item| item.index == index).map(|item| &mut item.body)
    }
}
