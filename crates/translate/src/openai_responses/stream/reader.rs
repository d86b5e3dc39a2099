use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw, ScanLimits};
use weighbridge_protocol::openai_responses::{event, finish as wire, usage};
use weighbridge_units::Protocol;

use super::reader_items::Items;
use super::reader_parts::Kind;
use crate::event::{extras, usage_extras};
use crate::openai_responses::{answer, bag_names, finish};
use crate::{Event, EventSink, Frame, FrameError, FrameRole, FrameScope, PartsSeen, StreamReader};

pub(super) const PROTOCOL: Protocol = Protocol::OpenAiResponses;

/// Interprets the events of a Responses stream:
/// <https://platform.openai.com/docs/api-reference/responses-streaming>.
///
/// Text exists up to four times (in pieces, whole, with its item, with the whole answer). What came in
/// pieces is taken from there; what did not is taken from the end of its item, and from the last event
/// only if no item came at all. Items are known by their place (`output_index`): some servers change
/// their ids on the way.
///
/// The `type` inside the data decides; the name of the SSE event is not needed.
#[derive(Debug, Default)]
pub struct ResponsesReader {
    told: Told,
    items: Items,
}

/// What of the answer's beginning has been told.
#[derive(Debug, Default)]
struct Told {
    started: bool,
    id: bool,
    model: bool,
}

impl StreamReader for ResponsesReader {
    fn read(
        &mut self,
        frame: Frame<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<FrameRole, FrameError> {
        if frame.data.trim_ascii() == "[DONE]" {
            return Err(FrameError::OutOfOrder("the end came before the response was complete"));
        }
        let raw = Raw::parse(frame.data, &ScanLimits::default())
            .map_err(|error| FrameError::Malformed(error.to_string()))?;
        let mut fields = Fields::read(raw)?;
        let name = fields.variant("type").unwrap_or_default();
        match name.as_ref() {
            event::CREATED | event::QUEUED | event::IN_PROGRESS => self.begin(fields, sink)?,
            event::COMPLETED => return self.end(fields, wire::COMPLETED, scope, sink),
            event::INCOMPLETE => return self.end(fields, wire::INCOMPLETE, scope, sink),
            event::FAILED => {
                let mut response: Fields<'_> = fields.require("response")?;
                self.told.start(&mut response, sink);
                tell_usage(&mut response, scope, sink);
                sink(Event::Failed(crate::decode_error(PROTOCOL, 200, frame.data.as_bytes())));
            }
            event::ERROR => {
                sink(Event::Failed(crate::decode_error(PROTOCOL, 200, frame.data.as_bytes())));
            }
            event::KEEPALIVE => sink(Event::Ping),
            event::ITEM_ADDED | event::ITEM_DONE if scope == FrameScope::Facts => self.note(&name, fields),
            _ if scope == FrameScope::Facts => {}
            own => match self.content(own, fields, sink)? {
                Known::Yes => {}
                Known::Progress => sink(Event::Ping),
                Known::No => match crate::adapter(PROTOCOL).decode_error(200, raw) {
                    Some(error) if name.is_empty() => sink(Event::Failed(error)),
                    _ => sink(Event::Raw { name, text: frame.data }),
                },
            },
        }
        Ok(FrameRole::Part)
    }

    /// Only `response.completed` and its like end an answer.
    fn end_of_body(&mut self, _sink: &mut EventSink<'_>) -> bool {
        false
    }
}

/// Whether the documentation knows an event.
enum Known {
    Yes,
    /// How far a tool of the provider's is: its item tells the rest.
    Progress,
    No,
}

impl ResponsesReader {
    fn begin(&mut self, mut fields: Fields<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        let mut response: Fields<'_> = fields.require("response")?;
        self.told.start(&mut response, sink);
        Ok(())
    }

    /// Looks at an item only for whether it is a call. What is odd about it is for those to judge who
    /// read all of it.
    fn note(&mut self, name: &str, mut fields: Fields<'_>) {
        let Some(raw) = fields.offer::<Raw<'_>>("item") else { return };
        let index = fields.offer("output_index").unwrap_or(0);
        let _odd = match name {
            event::ITEM_ADDED => self.items.added(index, raw, &mut |_| {}),
            _ => self.items.done(index, raw, &mut |_| {}),
        };
    }

    fn content(
        &mut self,
        name: &str,
        mut fields: Fields<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<Known, FrameError> {
        let at = Address::take(&mut fields)?;
        match name {
            event::ITEM_ADDED => self.items.added(at.item, fields.require("item")?, sink)?,
            event::ITEM_DONE => self.items.done(at.item, fields.require("item")?, sink)?,
            event::PART_ADDED => self.items.part_added(at, fields.require("part")?, sink)?,
            event::PART_DONE => self.items.part_done(at, fields.require("part")?, sink)?,
            event::TEXT_DELTA => {
                let tokens = fields.take::<Raw<'_>>("logprobs")?.value();
                self.items.said(at, Kind::Text, fields.require("delta")?, tokens, sink)?;
            }
            event::REFUSAL_DELTA => {
                self.items.said(at, Kind::Refusal, fields.require("delta")?, None, sink)?;
            }
            event::ANNOTATION_ADDED => {
                let _place: Option<Raw<'_>> = fields.offer("annotation_index");
                if let Some(raw) = fields.take::<Raw<'_>>("annotation")?.value() {
                    self.items.cited(at, raw, sink)?;
                }
            }
            event::ARGUMENTS_DELTA | event::INPUT_DELTA => {
                self.items.called_with(at.item, fields.require("delta")?, sink)?;
            }
            event::REASONING_DELTA => self.items.reasoned(at.item, fields.require("delta")?, sink)?,
            event::SUMMARY_DELTA => {
                let piece = fields.take::<u64>("summary_index")?.value().unwrap_or(0);
                self.items.summarised(at.item, piece, fields.require("delta")?, sink)?;
            }
            // The whole of what came in pieces, or will come with the part or item.
            event::TEXT_DONE
            | event::REFUSAL_DONE
            | event::ARGUMENTS_DONE
            | event::INPUT_DONE
            | event::REASONING_DONE
            | event::SUMMARY_ADDED
            | event::SUMMARY_TEXT_DONE
            | event::SUMMARY_DONE
            | "response.reasoning_part.added"
            | "response.reasoning_part.done" => return Ok(Known::Yes),
            event::IMAGE_PARTIAL => return Ok(Known::No),
            own if is_progress(own) => return Ok(Known::Progress),
            _ => return Ok(Known::No),
        }
        extras(PROTOCOL, "", fields, sink);
        Ok(Known::Yes)
    }

    fn end(
        &mut self,
        mut fields: Fields<'_>,
        status: &str,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<FrameRole, FrameError> {
        let mut response: Fields<'_> = fields.require("response")?;
        self.told.start(&mut response, sink);
        let output = response.offer::<Raw<'_>>("output");
        match scope {
            FrameScope::Whole => self.items.end(output, sink)?,
            FrameScope::Facts => {
                let _odd = self.items.end(output, &mut |_| {});
            }
        }
        let reason = response.offer::<Raw<'_>>("incomplete_details").and_then(|raw| raw.get("reason"));
        let reason = reason.and_then(|reason| reason.str().ok());
        let seen = PartsSeen { tool_calls: self.items.called(), refusal: false };
        if let Some(reason) = finish::read(Some(status), reason.as_deref(), seen) {
            sink(Event::Finish { candidate: 0, reason });
        }
        tell_usage(&mut response, scope, sink);
        if let Some(tier) = response.offer::<Cow<'_, str>>("service_tier").filter(|tier| !tier.is_empty()) {
            sink(Event::ServiceTier(tier));
        }
        if scope == FrameScope::Whole {
            let _: (Option<Raw<'_>>, Option<Raw<'_>>) = (response.offer("status"), response.offer("error"));
            bag_names::take_echo(&mut response, &mut Bag::EMPTY.clone());
            extras(PROTOCOL, "/response", response, sink);
            extras(PROTOCOL, "", fields, sink);
        }
        Ok(FrameRole::Terminal)
    }
}

impl Told {
    /// Announces the answer, and again only what was not told before.
    fn start(&mut self, response: &mut Fields<'_>, sink: &mut EventSink<'_>) {
        let text = |text: &Cow<'_, str>| !text.is_empty();
        let id = response.offer::<Cow<'_, str>>("id").filter(text).filter(|_| !self.id);
        let model = response.offer::<Cow<'_, str>>("model").filter(text).filter(|_| !self.model);
        let created = answer::created(response);
        if self.started && id.is_none() && model.is_none() {
            return;
        }
        self.started = true;
        self.id |= id.is_some();
        self.model |= model.is_some();
        sink(Event::Start { id, model, created });
    }
}

/// Where in the answer an event belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    /// The item's place.
    pub(super) item: u64,
    /// The part's place in its item.
    pub(super) part: u64,
}

impl Address {
    fn take(fields: &mut Fields<'_>) -> Result<Self, FrameError> {
        let item = fields.take("output_index")?.value().unwrap_or(0);
        let part = fields.take("content_index")?.value().unwrap_or(0);
        for known in ["sequence_number", "item_id", "obfuscation"] {
            let _says_nothing: Option<Raw<'_>> = fields.offer(known);
        }
        Ok(Self { item, part })
    }
}

fn tell_usage(response: &mut Fields<'_>, scope: FrameScope, sink: &mut EventSink<'_>) {
    let Some(raw) = response.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null()) else { return };
    if let Some(told) = answer::told(Some(raw), response).filter(|usage| !usage.is_untold()) {
        sink(Event::Usage(told));
    }
    if scope == FrameScope::Whole {
        usage_extras(PROTOCOL, raw, &usage::FIELDS, sink);
    }
}

/// Whether an event only tells how far a tool is that the provider runs.
fn is_progress(name: &str) -> bool {
    let Some(of) = name.strip_prefix("response.").and_then(|rest| rest.split('.').next()) else {
        return false;
    };
    of.ends_with("_call") || of.contains("_call_") || matches!(of, "mcp_list_tools" | "compaction")
}
