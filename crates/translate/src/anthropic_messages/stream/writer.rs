use std::collections::VecDeque;

use weighbridge_protocol::anthropic_messages::{event, usage};
use weighbridge_protocol::json::{Object, Writer};
use weighbridge_units::{Loss, LossKind, Usage};

use crate::anthropic_messages::finish;
use crate::event::report_once;
use crate::{
    Delta, Event, FinishReason, FrameError, PartKind, PartsSeen, StreamTarget, StreamWriter, tool_id,
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
/// `message_start` must tell usage before anybody knows it: it says zero, and `message_delta`, which
/// has every figure, corrects it. SDKs take the later value.
#[derive(Debug)]
pub struct MessagesWriter {
    id_fallback: String,
    started: bool,
    /// Index of the next block.
    next_index: u64,
    /// The part whose block is open. The block's index is `next_index - 1`.
    open: Option<u32>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    held_events: u64,
    calls: usize,
    seen: PartsSeen,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

/// A part that began while another was open.
#[derive(Debug)]
struct Waiting {
    part: u32,
    block: BlockStart,
    text: String,
    closed: bool,
}

#[derive(Debug)]
enum BlockStart {
    Text,
    ToolUse { id: String, name: String },
}

impl MessagesWriter {
    /// A writer for one client.
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
            Event::Start { id, model, .. } => self.start(id.as_deref(), model.as_deref(), out),
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
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            Event::Ping if self.started => frame(out, event::PING, |_| {}),
            Event::Raw { name, .. } => report_once(
                losses,
                LossKind::Dropped,
                format!("/{name}"),
                "an event of the provider's own has no counterpart in Anthropic Messages",
                "an event of the same meaning",
            ),
            Event::Extra { under, name, .. } => report_once(
                losses,
                LossKind::Dropped,
                format!("{under}/{name}"),
                "the field has no counterpart in Anthropic Messages",
                "a field of the same meaning",
            ),
            Event::Logprobs { .. } | Event::StopDetails { .. } => report_once(
                losses,
                LossKind::Dropped,
                "/choices/0",
                "probabilities and details of the end are not carried over",
                "fields of the same meaning",
            ),
            Event::ServiceTier(tier) if tier != "default" => report_once(
                losses,
                LossKind::Dropped,
                "/service_tier",
                "the service tier has no counterpart",
                "such a service tier",
            ),
            Event::Finish { .. } | Event::Ping | Event::ServiceTier(_) | Event::Failed(_) => {}
        }
        Ok(())
    }

    fn complete(&mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        self.start(None, None, out);
        while let Some(part) = self.open {
            self.end(part, out);
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
        frame(out, event::MESSAGE_DELTA, |object| {
            let mut delta = object.key("delta").object();
            delta.key("stop_reason").string(reason);
            delta.key("stop_sequence").string_or_null(sequence);
            drop(delta);
            usage::write(&told, object.key("usage"));
        });
        frame(out, event::MESSAGE_STOP, |_| {});
    }

    fn held_events(&self) -> u64 {
        self.held_events
    }
}

impl MessagesWriter {
    fn start(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let told = self.usage.unwrap_or_default();
        frame(out, event::MESSAGE_START, |object| {
            let mut message = object.key("message").object();
            message.key("id").string(id.unwrap_or(&self.id_fallback));
            message.key("type").string("message");
            message.key("role").string("assistant");
            message.key("model").string(model.unwrap_or_default());
            drop(message.key("content").array());
            message.key("stop_reason").null();
            message.key("stop_sequence").null();
            usage::write(&told, message.key("usage"));
        });
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

    fn begin(
        &mut self,
        part: u32,
        kind: &PartKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        self.start(None, None, out);
        let block = match kind {
            PartKind::Text => BlockStart::Text,
            PartKind::ToolCall { id, name, .. } => {
                let id = if id.is_empty() {
                    tool_id::fallback(&self.id_fallback, self.calls)
                } else {
                    tool_id::legal(id).into_owned()
                };
                self.calls += 1;
                self.seen.tool_calls = true;
                BlockStart::ToolUse { id, name: name.clone().into_owned() }
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
                BlockStart::Text
            }
            PartKind::Reasoning { .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    "/choices/0/message/reasoning_content",
                    "reasoning is taken only with a signature of the provider",
                    "reasoning without a signature",
                );
                return Ok(());
            }
            PartKind::Unknown { .. } | PartKind::Image { .. } | PartKind::Audio { .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    format!("/content/{part}"),
                    "a part of the provider's own kind has no counterpart in Anthropic Messages",
                    "a block of the same kind",
                );
                return Ok(());
            }
        };
        if self.open.is_none() {
            self.open_block(part, &block, out);
            return Ok(());
        }
        if self.waiting.len() == WAITING_PARTS_MAX {
            return Err(FrameError::TooMuch("too many parts are open at once"));
        }
        self.held_events += 1;
        self.waiting.push_back(Waiting { part, block, text: String::new(), closed: false });
        Ok(())
    }

    fn delta(
        &mut self,
        part: u32,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        let waiting = self.waiting.iter_mut().find(|waiting| waiting.part == part);
        if waiting.is_none() && self.open != Some(part) {
            return Ok(()); // Reported when it opened.
        }
        let (text, is_arguments) = match delta {
            Delta::Text(text) => (text, false),
            Delta::Arguments(text) => (text, true),
            Delta::Proof(_) | Delta::Citation(_) | Delta::Data(_) | Delta::Summary { .. } => return Ok(()),
            Delta::Raw { name, .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    format!("/content/{name}"),
                    "a part has something of the provider's own that Anthropic Messages cannot carry",
                    "a field of the same meaning",
                );
                return Ok(());
            }
        };
        let Some(waiting) = waiting else {
            self.block_delta(is_arguments, text, out);
            return Ok(());
        };
        self.waiting_bytes += text.len();
        if self.waiting_bytes > WAITING_BYTES_MAX {
            return Err(FrameError::TooMuch(
                "a part is still open, and what waits for its end is over 1 MiB",
            ));
        }
        self.held_events += 1;
        waiting.text.push_str(text);
        Ok(())
    }

    /// A part has ended: the next one that waits gets its block, and what has come of it.
    fn end(&mut self, part: u32, out: &mut Vec<u8>) {
        if self.open != Some(part) {
            if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.part == part) {
                waiting.closed = true;
            }
            return;
        }
        self.close_block(out);
        while self.open.is_none()
            && let Some(next) = self.waiting.pop_front()
        {
            self.waiting_bytes -= next.text.len();
            self.open_block(next.part, &next.block, out);
            if !next.text.is_empty() {
                self.block_delta(matches!(next.block, BlockStart::ToolUse { .. }), &next.text, out);
            }
            if next.closed {
                self.close_block(out);
            }
        }
    }

    fn open_block(&mut self, part: u32, block: &BlockStart, out: &mut Vec<u8>) {
        let index = self.next_index;
        self.next_index += 1;
        self.open = Some(part);
        frame(out, event::CONTENT_BLOCK_START, |object| {
            object.key("index").number(index);
            let mut content = object.key("content_block").object();
            match block {
                BlockStart::Text => {
                    content.key("type").string("text");
                    content.key("text").string("");
                }
                BlockStart::ToolUse { id, name } => {
                    content.key("type").string("tool_use");
                    content.key("id").string(id);
                    content.key("name").string(name);
                    drop(content.key("input").object());
                }
            }
        });
    }

    fn block_delta(&self, is_arguments: bool, text: &str, out: &mut Vec<u8>) {
        frame(out, event::CONTENT_BLOCK_DELTA, |object| {
            object.key("index").number(self.next_index.saturating_sub(1));
            let mut delta = object.key("delta").object();
            let (kind, field) =
                if is_arguments { ("input_json_delta", "partial_json") } else { ("text_delta", "text") };
            delta.key("type").string(kind);
            delta.key(field).string(text);
        });
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        self.open = None;
        frame(out, event::CONTENT_BLOCK_STOP, |object| {
            object.key("index").number(self.next_index.saturating_sub(1));
        });
    }
}

/// Writes one event: its name, and an object with its type and what `fill` adds.
fn frame(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = Writer::new(out).object();
    object.key("type").string(name);
    fill(&mut object);
    drop(object);
    out.extend_from_slice(b"\n\n");
}
