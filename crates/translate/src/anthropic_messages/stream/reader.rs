use std::borrow::Cow;

use weighbridge_protocol::anthropic_messages::usage;
use weighbridge_protocol::json::{Fields, Raw, ScanLimits};
use weighbridge_units::{Protocol, Usage};

use crate::anthropic_messages::finish;
use crate::conversation::{CallKind, Proof};
use crate::event::{SplitText, extras, usage_extras};
use crate::{
    Delta, Event, EventSink, Frame, FrameError, FrameRole, FrameScope, PartKind, StreamReader, tool_id,
};

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
}

/// A content block that is open.
#[derive(Debug)]
struct Block {
    index: u64,
    part: u32,
    kind: BlockKind,
    text: SplitText,
}

#[derive(Debug)]
enum BlockKind {
    Text,
    /// `input` is what the opening frame gave, until a fragment comes: a call without arguments
    /// streams none, and means `{}`.
    ToolUse {
        input: Option<String>,
    },
    Other,
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
        for known in ["type", "role", "content", "stop_reason", "stop_sequence"] {
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
                sink(Event::Finish { candidate: 0, reason: finish::read(&reason, sequence.as_deref()) });
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
        let mut content: Fields<'_> = event.require("content_block")?;
        let raw = content.raw();
        let name = content.variant("type").unwrap_or_default();
        if let Some(place) = self.blocks.iter().position(|block| block.index == index) {
            self.blocks.remove(place).close(sink)?;
        }
        if self.blocks.len() == OPEN_BLOCKS_MAX {
            return Err(FrameError::TooMuch("more than 64 content blocks open at once"));
        }
        let part = self.next_part;
        self.next_part = part.wrapping_add(1);
        let mut first = None;
        let (kind, opened) = match name.as_ref() {
            "text" => {
                first = content.take("text")?.value();
                (BlockKind::Text, PartKind::Text)
            }
            "thinking" => {
                first = content.take("thinking")?.value();
                (BlockKind::Text, PartKind::Reasoning { id: None })
            }
            "tool_use" => {
                let id: Cow<'_, str> = content.take("id")?.value().unwrap_or_default();
                let id = Cow::Owned(tool_id::original(&id).into_owned());
                let name = content.require("name")?;
                let input = content.take::<Raw<'_>>("input")?.value();
                let input = input.map_or_else(|| "{}".to_owned(), |input| input.text().to_owned());
                (
                    BlockKind::ToolUse { input: Some(input) },
                    PartKind::ToolCall { id, name, kind: CallKind::Function },
                )
            }
            _ => (BlockKind::Other, PartKind::Unknown { name: name.clone(), text: raw.text() }),
        };
        let is_known = !matches!(kind, BlockKind::Other);
        sink(Event::Open { part, group: 0, candidate: 0, kind: opened });
        let mut block = Block { index, part, kind, text: SplitText::default() };
        if let Some(text) = first {
            block.text(text, sink)?;
        }
        let signature = content.take::<Cow<'_, str>>("signature")?.value().filter(|text| !text.is_empty());
        if let Some(text) = signature.filter(|_| is_known) {
            sink(Event::Delta { part, delta: Delta::Proof(Proof::signature(Proof::ANTHROPIC, text)) });
        }
        self.blocks.push(block);
        if is_known {
            extras(PROTOCOL, "/content_block", content, sink);
        }
        extras(PROTOCOL, "", event, sink);
        Ok(())
    }

    fn block_delta(&mut self, mut event: Fields<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        let index: u64 = event.require("index")?;
        let block = self.blocks.iter_mut().find(|block| block.index == index);
        let block = block.ok_or(FrameError::OutOfOrder("a delta for a content block that is not open"))?;
        let mut delta: Fields<'_> = event.require("delta")?;
        let raw = delta.raw();
        let name = delta.variant("type").unwrap_or_default();
        match (name.as_ref(), &mut block.kind) {
            ("text_delta", BlockKind::Text) => block.text(delta.require("text")?, sink)?,
            ("thinking_delta", BlockKind::Text) => block.text(delta.require("thinking")?, sink)?,
            ("signature_delta", BlockKind::Text) => {
                let signature: Cow<'_, str> = delta.require("signature")?;
                let signature = Delta::Proof(Proof::signature(Proof::ANTHROPIC, signature));
                sink(Event::Delta { part: block.part, delta: signature });
            }
            ("input_json_delta", BlockKind::ToolUse { .. }) => {
                block.text(delta.require("partial_json")?, sink)?;
            }
            _ => {
                sink(Event::Delta { part: block.part, delta: Delta::Raw { name, text: raw.text() } });
                return Ok(());
            }
        }
        extras(PROTOCOL, "/delta", delta, sink);
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

impl Block {
    fn text(&mut self, raw: Raw<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        let text = self.text.read(raw)?;
        if text.is_empty() {
            return Ok(());
        }
        let delta = match &mut self.kind {
            BlockKind::ToolUse { input } => {
                *input = None;
                Delta::Arguments(text)
            }
            BlockKind::Text | BlockKind::Other => Delta::Text(text),
        };
        sink(Event::Delta { part: self.part, delta });
        Ok(())
    }

    fn close(self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        if !self.text.is_whole() {
            return Err(FrameError::Malformed("a content block ends with half of a character".into()));
        }
        if let BlockKind::ToolUse { input: Some(input) } = self.kind {
            sink(Event::Delta { part: self.part, delta: Delta::Arguments(Cow::Owned(input)) });
        }
        sink(Event::Close { part: self.part });
        Ok(())
    }
}
