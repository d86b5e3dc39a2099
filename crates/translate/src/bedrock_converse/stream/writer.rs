use std::collections::VecDeque;

use weighbridge_protocol::bedrock_converse::{event, usage};
use weighbridge_units::{Loss, LossKind, Usage};

use super::block::{self, Block, Kind, Thought, frame};
use crate::bedrock_converse::media::MediaKind;
use crate::bedrock_converse::{answer, call_ids, finish};
use crate::conversation::CallKind;
use crate::event::{pointer, report_once, report_untold};
use crate::{
    Delta, Event, FinishReason, FrameError, PartKind, PartsSeen, StreamTarget, StreamWriter, tool_id,
};

/// How much may wait for the open block to end, in bytes, and in parts.
const WAITING_BYTES_MAX: usize = 1 << 20;
const WAITING_PARTS_MAX: usize = 256;

/// Writes the frames of a ConverseStream:
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>.
///
/// Frames have the form of server-sent events: the name is the `:event-type`, the data the payload.
/// Whoever needs the binary frames of AWS wraps each. No client speaks this protocol; what is written
/// serves tests and simulated providers.
///
/// One block is open at a time. Frames of parts that begin before the open one has ended wait, and
/// follow in the order in which the parts began.
#[derive(Debug)]
pub struct ConverseWriter {
    id_fallback: String,
    started: bool,
    next_index: u64,
    /// The part whose block is open, or was the last to be.
    open: Option<Block>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    held_events: u64,
    calls: usize,
    seen: PartsSeen,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    service_tier: Option<String>,
}

/// A part that began while another was open: the frames of its block so far.
#[derive(Debug)]
struct Waiting {
    block: Block,
    frames: Vec<u8>,
    closed: bool,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.frames.len() + self.block.kept_bytes()
    }
}

impl ConverseWriter {
    /// A writer for one stream.
    pub fn new(target: &StreamTarget<'_>) -> Self {
        Self {
            id_fallback: target.id_fallback.to_owned(),
            started: false,
            next_index: 0,
            open: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            held_events: 0,
            calls: 0,
            seen: PartsSeen::default(),
            finish: None,
            usage: None,
            service_tier: None,
        }
    }
}

impl StreamWriter for ConverseWriter {
    fn write(
        &mut self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        match event {
            Event::Start { .. } => self.start(out),
            Event::Open { candidate: candidate @ 1.., .. } => report_once(
                losses,
                LossKind::Dropped,
                format!("/choices/{candidate}"),
                "Bedrock Converse has one answer, not several candidates",
                "several candidates in one answer",
            ),
            Event::Open { part, kind, .. } => return self.begin(*part, kind, out, losses),
            Event::Delta { part, delta } => return self.delta(*part, delta, out, losses),
            Event::Close { part } => self.end(*part, out, losses),
            Event::Finish { candidate: 0, reason } => self.finish = Some(reason.clone()),
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            Event::ServiceTier(tier) => {
                self.service_tier = answer::tier_name(tier).map(str::to_owned);
                if self.service_tier.is_none() {
                    let (why, needed) = (answer::NO_SUCH_TIER, "that service tier");
                    report_once(losses, LossKind::Dropped, "/service_tier", why, needed);
                }
            }
            Event::Raw { name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer("", name),
                "an event of the provider's own has no counterpart in Bedrock Converse",
                "an event of the same meaning",
            ),
            Event::Extra { under, name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer(under, name),
                "the field has no counterpart in Bedrock Converse",
                "a field of the same meaning",
            ),
            Event::Logprobs { .. } | Event::StopDetails { .. } => report_once(
                losses,
                LossKind::Dropped,
                "/choices/0",
                "probabilities and details of the end cannot be told",
                "fields of the same meaning",
            ),
            Event::Finish { .. } | Event::Ping | Event::Failed(_) => {}
        }
        Ok(())
    }

    fn complete(&mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        self.start(out);
        while let Some(part) = self.open.as_ref().map(Block::part) {
            self.end(part, out, losses);
        }
        let (reason, lost) = match &self.finish {
            Some(reason) => finish::write(reason, self.seen),
            None => {
                report_once(
                    losses,
                    LossKind::Defaulted,
                    "/choices/0/finish_reason",
                    "the provider did not say why the answer ended",
                    "an answer without a finish reason",
                );
                (finish::ended(self.seen), None)
            }
        };
        if let Some(why) = lost {
            let needed = "a stop reason that says so";
            report_once(losses, LossKind::Approximated, "/choices/0/finish_reason", why, needed);
        }
        frame(out, event::MESSAGE_STOP, |object| {
            object.key("stopReason").string(reason);
            if let Some(FinishReason::StopSequence(Some(sequence))) = &self.finish {
                let mut fields = object.key("additionalModelResponseFields").object();
                fields.key("delta").object().key("stop_sequence").string(sequence);
            }
        });
        self.metadata(out, losses);
    }

    fn held_events(&self) -> u64 {
        self.held_events
    }
}

impl ConverseWriter {
    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            frame(out, event::MESSAGE_START, |object| object.key("role").string("assistant"));
        }
    }

    fn metadata(&self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        if self.usage.is_none() {
            report_once(
                losses,
                LossKind::Defaulted,
                "/usage",
                "Bedrock Converse demands usage, and the provider told none",
                "an answer without usage",
            );
        }
        let told = self.usage.unwrap_or_default();
        report_untold(&told, &usage::UNTOLD, losses);
        frame(out, event::METADATA, |object| {
            usage::write(&told, &mut object.key("usage").object());
            object.key("metrics").object().key("latencyMs").number(0);
            if let Some(tier) = &self.service_tier {
                object.key("serviceTier").object().key("type").string(tier);
            }
        });
    }

    fn begin(
        &mut self,
        part: u32,
        kind: &PartKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        self.start(out);
        let mut frames = Vec::new();
        let index = self.next_index;
        let kind = match kind {
            PartKind::Text => Kind::Text,
            PartKind::Refusal => {
                report_once(
                    losses,
                    LossKind::Approximated,
                    "/choices/0/message/refusal",
                    "a refusal stands as ordinary text",
                    "a part for refusals",
                );
                Kind::Text
            }
            PartKind::Reasoning { id } => Kind::Reasoning(Thought::new(id.as_deref())),
            PartKind::ToolCall { id, name, kind } => {
                let id = match id.is_empty() {
                    true => tool_id::fallback(&self.id_fallback, self.calls).into(),
                    false => call_ids::legal(id),
                };
                self.calls += 1;
                self.seen.tool_calls = true;
                let is_custom = *kind == CallKind::Custom;
                block::start(&mut frames, index, "toolUse", |call| {
                    call.key("toolUseId").string(&id);
                    call.key("name").string(&call_ids::legal_name(name, *kind));
                });
                Kind::ToolUse { custom: is_custom.then(String::new) }
            }
            PartKind::Image { media_type } if MediaKind::Image.format(media_type).is_some() => {
                block::start(&mut frames, index, "image", |image| {
                    image.key("format").string(MediaKind::Image.format(media_type).unwrap_or_default());
                });
                Kind::Image
            }
            PartKind::Unknown { .. } | PartKind::Image { .. } | PartKind::Audio { .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    format!("/content/{part}"),
                    "a part of that kind has no counterpart in Bedrock Converse",
                    "a block of the same kind",
                );
                return Ok(());
            }
        };
        self.next_index += 1;
        let block = Block::new(part, index, kind, frames.is_empty());
        if self.open.is_none() {
            self.open = Some(block);
            out.append(&mut frames);
            return Ok(());
        }
        if self.waiting.len() == WAITING_PARTS_MAX {
            return Err(FrameError::TooMuch("too many parts are open at once"));
        }
        self.held_events += 1;
        self.waiting_bytes += frames.len();
        self.waiting.push_back(Waiting { block, frames, closed: false });
        Ok(())
    }

    fn delta(
        &mut self,
        part: u32,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        if let Some(open) = self.open.as_mut().filter(|open| open.part() == part) {
            let before = open.kept_bytes();
            open.delta(delta, out, losses)?;
            self.held_events += u64::from(open.kept_bytes() > before);
            return Ok(());
        }
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.block.part() == part) else {
            return Ok(()); // Reported when it opened.
        };
        let before = waiting.bytes();
        waiting.block.delta(delta, &mut waiting.frames, losses)?;
        self.waiting_bytes += waiting.bytes() - before;
        self.held_events += 1;
        if self.waiting_bytes > WAITING_BYTES_MAX {
            return Err(FrameError::TooMuch(
                "a part is still open, and what waits for its end is over 1 MiB",
            ));
        }
        Ok(())
    }

    /// A part has ended: the next one that waits gets its block.
    fn end(&mut self, part: u32, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.block.part() == part) {
            waiting.closed = true;
        }
        let Some(open) = self.open.take_if(|open| open.part() == part) else { return };
        open.stop(out, losses);
        while let Some(next) = self.waiting.pop_front() {
            self.waiting_bytes -= next.bytes();
            out.extend_from_slice(&next.frames);
            if !next.closed {
                self.open = Some(next.block);
                return;
            }
            next.block.stop(out, losses);
        }
    }
}
