use std::borrow::Cow;

use weighbridge_protocol::bedrock_converse::{event, usage};
use weighbridge_protocol::json::{Fields, Raw, ScanLimits};
use weighbridge_units::Protocol;

use crate::bedrock_converse::media::MediaKind;
use crate::bedrock_converse::reasoning::{self, Piece};
use crate::bedrock_converse::{blocks_decode, citations, error, finish};
use crate::conversation::CallKind;
use crate::event::{SplitText, extras, usage_extras};
use crate::{
    Delta, Event, EventSink, Frame, FrameError, FrameRole, FrameScope, PartKind, StreamReader, tool_name,
};

const PROTOCOL: Protocol = Protocol::BedrockConverse;

/// Blocks come one at a time; a few more may be open at once before the stream is taken for an attack.
const OPEN_BLOCKS_MAX: usize = 64;

/// Interprets the frames of a ConverseStream:
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>.
///
/// [`Frame::name`] is the frame's `:event-type`, and its data the payload. A name that ends in
/// `Exception` is an `:exception-type`: no event is called so. Most blocks begin with their first delta.
/// The last frame is `metadata`, which tells the usage; a stream that ends after `messageStop` without
/// it is complete as well.
#[derive(Debug, Default)]
pub struct ConverseReader {
    started: bool,
    stopped: bool,
    next_part: u32,
    blocks: Vec<Block>,
}

/// A content block that is open.
#[derive(Debug)]
struct Block {
    index: u64,
    part: u32,
    kind: BlockKind,
    text: SplitText,
    /// What a tool that takes free text is called with, which can be told only as a whole.
    input: String,
}

/// At most this much of the input of a tool that takes free text is kept until its block ends.
const INPUT_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    Text,
    Reasoning,
    /// A call without arguments streams none, and means `{}`.
    ToolUse {
        has_arguments: bool,
    },
    /// A function that stands for a tool that takes free text.
    Custom,
    Image,
    Other,
}

impl StreamReader for ConverseReader {
    fn read(
        &mut self,
        frame: Frame<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<FrameRole, FrameError> {
        let name = frame.name.unwrap_or_default();
        if name.ends_with("Exception") {
            sink(Event::Failed(error::named(name, 200, frame.data)));
            return Ok(FrameRole::Part);
        }
        let raw = Raw::parse(frame.data, &ScanLimits::default())
            .map_err(|error| FrameError::Malformed(error.to_string()))?;
        let fields = Fields::read(raw)?;
        let whole = scope == FrameScope::Whole;
        match name {
            event::MESSAGE_START => self.message_start(fields, scope, sink),
            event::BLOCK_START if whole => self.block_start(fields, sink)?,
            event::BLOCK_DELTA if whole => self.block_delta(fields, sink)?,
            event::BLOCK_STOP if whole => self.block_stop(fields, sink)?,
            event::BLOCK_START | event::BLOCK_DELTA | event::BLOCK_STOP => self.must_run()?,
            event::MESSAGE_STOP => self.message_stop(fields, scope, sink)?,
            event::METADATA => return Ok(self.metadata(fields, scope, sink)),
            _ => sink(Event::Raw { name: name.into(), text: frame.data }),
        }
        Ok(FrameRole::Part)
    }

    fn end_of_body(&mut self, _sink: &mut EventSink<'_>) -> bool {
        self.stopped
    }
}

impl ConverseReader {
    fn must_run(&self) -> Result<(), FrameError> {
        match (self.started, self.stopped) {
            (false, _) => Err(FrameError::OutOfOrder("an event came before messageStart")),
            (_, true) => Err(FrameError::OutOfOrder("a content block came after messageStop")),
            _ => Ok(()),
        }
    }

    fn message_start(&mut self, mut event: Fields<'_>, scope: FrameScope, sink: &mut EventSink<'_>) {
        self.started = true;
        sink(Event::Start { id: None, model: None, created: None });
        let _always_the_model: Option<Raw<'_>> = event.offer("role");
        if scope == FrameScope::Whole {
            extras(PROTOCOL, "", event, sink);
        }
    }

    fn message_stop(
        &mut self,
        mut event: Fields<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        if !self.started {
            return Err(FrameError::OutOfOrder("an event came before messageStart"));
        }
        self.stopped = true;
        for block in std::mem::take(&mut self.blocks) {
            block.close(sink)?;
        }
        let additional = event.peek("additionalModelResponseFields");
        if let Some(reason) = event.offer::<Cow<'_, str>>("stopReason") {
            sink(Event::Finish { candidate: 0, reason: finish::read(&reason, additional) });
        }
        if scope == FrameScope::Whole {
            extras(PROTOCOL, "", event, sink);
        }
        Ok(())
    }

    /// The end, if the reason for it was told before.
    fn metadata(&mut self, mut event: Fields<'_>, scope: FrameScope, sink: &mut EventSink<'_>) -> FrameRole {
        if let Some(usage) = event.offer::<Fields<'_>>("usage") {
            let usage = usage.raw();
            let told = usage::read(usage);
            if !told.is_untold() {
                sink(Event::Usage(told));
            }
            if scope == FrameScope::Whole {
                usage_extras(PROTOCOL, usage, &usage::FIELDS, sink);
            }
        }
        if let Some(mut tier) = event.offer::<Fields<'_>>("serviceTier")
            && let Some(name) = tier.offer("type")
        {
            sink(Event::ServiceTier(name));
        }
        if scope == FrameScope::Whole {
            extras(PROTOCOL, "", event, sink);
        }
        if self.stopped { FrameRole::Terminal } else { FrameRole::Part }
    }

    fn open(
        &mut self,
        index: u64,
        kind: BlockKind,
        opened: PartKind<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<&mut Block, FrameError> {
        if self.blocks.len() == OPEN_BLOCKS_MAX {
            return Err(FrameError::TooMuch("more than 64 content blocks open at once"));
        }
        let part = self.next_part;
        self.next_part = part.wrapping_add(1);
        sink(Event::Open { part, group: 0, candidate: 0, kind: opened });
        self.blocks.push(Block { index, part, kind, text: SplitText::default(), input: String::new() });
        self.blocks.last_mut().ok_or(FrameError::OutOfOrder("no content block is open"))
    }

    fn block_start(&mut self, mut event: Fields<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        self.must_run()?;
        let index: u64 = event.require("contentBlockIndex")?;
        if let Some(place) = self.blocks.iter().position(|block| block.index == index) {
            self.blocks.remove(place).close(sink)?;
        }
        let mut start = match event.take::<Fields<'_>>("start")?.value() {
            Some(start) => start,
            // What it is its first delta tells.
            None => return Ok(()),
        };
        let text = start.raw().text();
        match first_name(&start).as_deref() {
            Some("toolUse") => {
                let mut call: Fields<'_> = start.require("toolUse")?;
                let is_clients = call.variant("type").is_none_or(|kind| kind == "tool_use");
                if is_clients {
                    let id = blocks_decode::original(call.take("toolUseId")?.value().unwrap_or_default());
                    let (name, kind) = tool_name::into_original(call.require("name")?);
                    let block = match kind {
                        CallKind::Function => BlockKind::ToolUse { has_arguments: false },
                        CallKind::Custom => BlockKind::Custom,
                    };
                    self.open(index, block, PartKind::ToolCall { id, name, kind }, sink)?;
                    extras(PROTOCOL, "/start/toolUse", call, sink);
                } else {
                    let opened = PartKind::Unknown { name: Cow::Borrowed("toolUse"), text };
                    self.open(index, BlockKind::Other, opened, sink)?;
                }
            }
            Some("image") => {
                let mut image: Fields<'_> = start.require("image")?;
                let format: Cow<'_, str> = image.take("format")?.value().unwrap_or_default();
                let media_type = Cow::Owned(MediaKind::Image.media_type(&format));
                self.open(index, BlockKind::Image, PartKind::Image { media_type }, sink)?;
                extras(PROTOCOL, "/start/image", image, sink);
            }
            Some(name) => {
                let opened = PartKind::Unknown { name: Cow::Borrowed(name), text };
                self.open(index, BlockKind::Other, opened, sink)?;
            }
            None => {}
        }
        extras(PROTOCOL, "", event, sink);
        Ok(())
    }

    fn block_delta(&mut self, mut event: Fields<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        self.must_run()?;
        let index: u64 = event.require("contentBlockIndex")?;
        let mut delta: Fields<'_> = event.require("delta")?;
        let block = match self.blocks.iter().position(|block| block.index == index) {
            Some(place) => self.blocks.get_mut(place),
            None => Some(self.begin(index, &delta, sink)?),
        };
        let block = block.ok_or(FrameError::OutOfOrder("a delta for a content block that is not open"))?;
        if block.kind == BlockKind::Other {
            let text = delta.raw().text();
            let name = first_name(&delta).unwrap_or_default();
            sink(Event::Delta { part: block.part, delta: Delta::Raw { name: name.into(), text } });
        } else {
            block.delta(&mut delta, sink)?;
            extras(PROTOCOL, "/delta", delta, sink);
        }
        extras(PROTOCOL, "", event, sink);
        Ok(())
    }

    /// Opens a block that its first delta begins.
    fn begin(
        &mut self,
        index: u64,
        delta: &Fields<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<&mut Block, FrameError> {
        let has = |name| delta.peek(name).is_some();
        // A source may come before the text that it supports, and even alone.
        if has("text") || has("citation") {
            return self.open(index, BlockKind::Text, PartKind::Text, sink);
        }
        if has("reasoningContent") {
            return self.open(index, BlockKind::Reasoning, PartKind::Reasoning { id: None }, sink);
        }
        if has("image") {
            return self.open(index, BlockKind::Image, PartKind::Image { media_type: "".into() }, sink);
        }
        if has("toolUse") {
            return Err(FrameError::OutOfOrder("arguments of a call of a tool that did not begin"));
        }
        let name = first_name(delta).unwrap_or_default();
        let opened = PartKind::Unknown { name: name.into(), text: delta.raw().text() };
        self.open(index, BlockKind::Other, opened, sink)
    }

    fn block_stop(&mut self, mut event: Fields<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        self.must_run()?;
        let index: u64 = event.require("contentBlockIndex")?;
        // One that had no delta never began.
        match self.blocks.iter().position(|block| block.index == index) {
            Some(place) => self.blocks.remove(place).close(sink),
            None => Ok(()),
        }
    }
}

/// The name of an object's first field, which says what the object is.
fn first_name(fields: &Fields<'_>) -> Option<String> {
    fields.clone().rest().iter().next().map(|(name, _)| name.to_owned())
}

impl Block {
    fn delta<'a>(&mut self, delta: &mut Fields<'a>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        let part = self.part;
        match self.kind {
            BlockKind::Text => {
                if let Some(text) = delta.take::<Raw<'a>>("text")?.value() {
                    self.text(text, sink)?;
                }
                if let Some(raw) = delta.take::<Raw<'a>>("citation")?.value() {
                    let read = match citations::read(raw) {
                        Ok(citation) => Delta::Citation(citation),
                        Err(_) => Delta::Raw { name: Cow::Borrowed("citation"), text: raw.text() },
                    };
                    sink(Event::Delta { part, delta: read });
                }
            }
            BlockKind::Reasoning => {
                if let Some(mut content) = delta.take::<Fields<'a>>("reasoningContent")?.value() {
                    match reasoning::piece(&mut content) {
                        Piece::Text(text) => self.text(text, sink)?,
                        Piece::Proof(proof, id) => {
                            if let Some(id) = id {
                                sink(Event::Delta { part, delta: Delta::Id(id) });
                            }
                            sink(Event::Delta { part, delta: Delta::Proof(proof) });
                        }
                        Piece::Unknown => {}
                    }
                    extras(PROTOCOL, "/delta/reasoningContent", content, sink);
                }
            }
            BlockKind::ToolUse { .. } | BlockKind::Custom => {
                if let Some(mut call) = delta.take::<Fields<'a>>("toolUse")?.value() {
                    if let Some(text) = call.take::<Raw<'a>>("input")?.value() {
                        self.text(text, sink)?;
                    }
                    extras(PROTOCOL, "/delta/toolUse", call, sink);
                }
            }
            BlockKind::Image => {
                if let Some(mut image) = delta.take::<Fields<'a>>("image")?.value() {
                    if let Some(mut source) = image.take::<Fields<'a>>("source")?.value() {
                        if let Some(data) = source.take::<Cow<'a, str>>("bytes")?.value() {
                            sink(Event::Delta { part, delta: Delta::Data(data) });
                        }
                        extras(PROTOCOL, "/delta/image/source", source, sink);
                    }
                    extras(PROTOCOL, "/delta/image", image, sink);
                }
            }
            BlockKind::Other => {}
        }
        Ok(())
    }

    fn text(&mut self, raw: Raw<'_>, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        let text = self.text.read(raw)?;
        if text.is_empty() {
            return Ok(());
        }
        let delta = match &mut self.kind {
            BlockKind::ToolUse { has_arguments } => {
                *has_arguments = true;
                Delta::Arguments(text)
            }
            BlockKind::Custom if self.input.len() + text.len() > INPUT_BYTES_MAX => {
                return Err(FrameError::TooMuch("what a tool is called with is over 1 MiB"));
            }
            BlockKind::Custom => {
                self.input.push_str(&text);
                return Ok(());
            }
            _ => Delta::Text(text),
        };
        sink(Event::Delta { part: self.part, delta });
        Ok(())
    }

    fn close(self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        if !self.text.is_whole() {
            return Err(FrameError::Malformed("a content block ends with half of a character".into()));
        }
        let arguments = match self.kind {
            BlockKind::ToolUse { has_arguments: false } => Some(Cow::Borrowed("{}")),
            BlockKind::Custom => Some(tool_name::custom_input(Cow::Owned(self.input))),
            _ => None,
        };
        if let Some(arguments) = arguments {
            sink(Event::Delta { part: self.part, delta: Delta::Arguments(arguments) });
        }
        sink(Event::Close { part: self.part });
        Ok(())
    }
}
