use std::borrow::Cow;

use weighbridge_protocol::anthropic_messages::usage;
use weighbridge_protocol::json::{Fields, Raw, ScanLimits};
use weighbridge_units::{Protocol, Usage};

use super::block::{Block, Opened};
use crate::anthropic_messages::{answer, finish};
use crate::event::{extras, usage_extras};
use crate::{Event, EventSink, FinishReason, Frame, FrameError, FrameRole, FrameScope, StreamReader};

const PROTOCOL: Protocol = Protocol::AnthropicMessages;

/// Blocks come one at a time; a few more may be open at once before the stream is taken for an attack.
const OPEN_BLOCKS_MAX: usize = 64;

/// Interprets the events of a Messages stream:
/// <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.
///
/// The `type` inside the data decides; the name of the SSE event is not needed.
#[derive(Debug, Default)]
pub struct MessagesReader {
    started: bool,
    next_part: u32,
    blocks: Vec<Block>,
    usage: Usage,
    /// Whether the client's tools were called.
    has_called: bool,
    /// Whether the structured answer was given, which comes as a call.
    has_answered: bool,
}

impl StreamReader for MessagesReader {
    fn read(
        &mut self,
        frame: Frame<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<FrameRole, FrameError> {
        let raw = Raw::parse(frame.data, &ScanLimits::default())
            .map_err(|error| FrameError::Malformed(error.to_string()))?;
        let mut fields = Fields::read(raw)?;
        let name = fields.variant("type").unwrap_or_default();
        let whole = scope == FrameScope::Whole;
        match name.as_ref() {
            "message_start" => self.message_start(fields, scope, sink)?,
            "content_block_start" if whole => self.block_start(fields, sink)?,
            "content_block_delta" if whole => self.block_delta(fields, sink)?,
            "content_block_stop" if whole => self.block_stop(fields, sink)?,
            "content_block_start" | "content_block_delta" | "content_block_stop" => {}
            "message_delta" => self.message_delta(fields, scope, sink)?,
            "message_stop" => {
                self.must_have_started()?;
                for block in std::mem::take(&mut self.blocks) {
                    block.close(sink)?;
                }
                if whole {
                    extras(PROTOCOL, "", fields, sink);
                }
                return Ok(FrameRole::Terminal);
            }
            "ping" => sink(Event::Ping),
            "error" => {
                sink(Event::Failed(crate::decode_error(PROTOCOL, 200, frame.data.as_bytes())));
            }
            _ => sink(Event::Raw { name, text: frame.data }),
        }
        Ok(FrameRole::Part)
    }

    /// Only `message_stop` ends a message.
    fn end_of_body(&mut self, _sink: &mut EventSink<'_>) -> bool {
        false
    }
}

impl MessagesReader {
    fn must_have_started(&self) -> Result<(), FrameError> {
        if self.started { Ok(()) } else { Err(FrameError::OutOfOrder("an event came before message_start")) }
    }

    fn message_start(
        &mut self,
        mut event: Fields<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let mut message: Fields<'_> = event.require("message")?;
        self.started = true;
        let id = message.take("id")?.value();
        let model = message.take("model")?.value();
        sink(Event::Start { id, model, created: None });
        if let Some(raw) = message.take::<Raw<'_>>("usage")?.value() {
            // The answer's figure at this point is a placeholder, not a count.
            for (bucket, count) in usage::read(raw).iter().filter(|(bucket, _)| !bucket.is_answer()) {
                self.usage.set(bucket, count);
            }
            self.tell_usage(raw, scope, sink);
        }
        for known in ["type", "role", "content", "stop_reason", "stop_sequence", "stop_details"] {
            let _says_nothing_yet: Option<Raw<'_>> = message.offer(known);
        }
        if scope == FrameScope::Whole {
            extras(PROTOCOL, "/message", message, sink);
            extras(PROTOCOL, "", event, sink);
        }
        Ok(())
    }

    fn message_delta(
        &mut self,
        mut event: Fields<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        self.must_have_started()?;
        if let Some(raw) = event.take::<Raw<'_>>("usage")?.value() {
            usage::update(&mut self.usage, raw);
            self.tell_usage(raw, scope, sink);
        }
        if let Some(mut delta) = event.take::<Fields<'_>>("delta")?.value() {
            let sequence: Option<Cow<'_, str>> = delta.take("stop_sequence")?.value();
            if let Some(reason) = delta.take::<Cow<'_, str>>("stop_reason")?.value() {
                let reason = match finish::read(&reason, sequence.as_deref()) {
                    FinishReason::ToolCalls if self.has_answered && !self.has_called => FinishReason::Stop,
                    reason => reason,
                };
                sink(Event::Finish { candidate: 0, reason });
            }
            if let Some(details) = delta.offer::<answer::Details<'_>>("stop_details") {
                sink(Event::StopDetails { candidate: 0, details: details.0 });
            }
            if scope == FrameScope::Whole {
                extras(PROTOCOL, "/delta", delta, sink);
            }
        }
        if scope == FrameScope::Whole {
            extras(PROTOCOL, "", event, sink);
        }
        Ok(())
    }

    fn tell_usage(&self, raw: Raw<'_>, scope: FrameScope, sink: &mut EventSink<'_>) {
        if !self.usage.is_untold() {
            sink(Event::Usage(self.usage));
        }
        if let Some(tier) = raw.get("service_tier").and_then(|tier| tier.str().ok()) {
            sink(Event::ServiceTier(tier));
        }
        if scope == FrameScope::Whole {
            usage_extras(PROTOCOL, raw, &[&usage::FIELDS[..], &["service_tier"]].concat(), sink);
        }
    }

    fn block_start(&mut self, mut event: Fields<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        self.must_have_started()?;
        let index: u64 = event.require("index")?;
        let content: Fields<'_> = event.require("content_block")?;
        if let Some(place) = self.blocks.iter().position(|block| block.index == index) {
            self.blocks.remove(place).close(sink)?;
        }
        if self.blocks.len() == OPEN_BLOCKS_MAX {
            return Err(FrameError::TooMuch("more than 64 content blocks open at once"));
        }
        let part = self.next_part;
        self.next_part = part.wrapping_add(1);
        let (block, opened) = Block::open(index, part, content, sink)?;
        self.has_called |= opened == Opened::Call;
        self.has_answered |= opened == Opened::Answer;
        self.blocks.push(block);
        extras(PROTOCOL, "", event, sink);
        Ok(())
    }

    fn block_delta(&mut self, mut event: Fields<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        let index: u64 = event.require("index")?;
        let block = self.blocks.iter_mut().find(|block| block.index == index);
        let block = block.ok_or(FrameError::OutOfOrder("a delta for a content block that is not open"))?;
        block.delta(event.require("delta")?, sink)?;
        extras(PROTOCOL, "", event, sink);
        Ok(())
    }

    fn block_stop(&mut self, mut event: Fields<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        let index: u64 = event.require("index")?;
        let place = self.blocks.iter().position(|block| block.index == index);
        let place = place.ok_or(FrameError::OutOfOrder("the end of a content block that is not open"))?;
        self.blocks.remove(place).close(sink)
    }
}
