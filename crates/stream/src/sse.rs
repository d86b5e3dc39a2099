//! Server-sent events, decoded as they arrive.
//!
//! The decoder follows <https://html.spec.whatwg.org/multipage/server-sent-events.html>: a byte order
//! mark at the start is skipped; lines end with CR, LF or CR LF; several `data` lines are joined;
//! comments and unknown fields carry nothing. It differs in two points, both on purpose:
//!
//! * An event whose final blank line is missing when the stream ends is delivered by
//!   [`SseDecoder::finish`], because some providers leave the line out after `[DONE]`.
//! * Data stays bytes: a bad UTF-8 sequence is the caller's to judge, and is not replaced.
//!
//! `retry` is ignored: a gateway's stream is not resumed.

mod block;
mod framing;

use std::borrow::Cow;

use thiserror::Error;

pub(crate) use block::Block;
pub(crate) use framing::Framer;

/// How large things in a stream may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseLimits {
    /// Bytes of one line without its end.
    pub line_bytes: usize,
    /// Bytes of one event: all its lines, comments included.
    pub event_bytes: usize,
}

impl Default for SseLimits {
    /// 16 MiB each: an image that is streamed in one event fits, and a stream's memory has a bound.
    fn default() -> Self {
        Self { line_bytes: 16 << 20, event_bytes: 16 << 20 }
    }
}

/// Why a stream cannot be decoded further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SseError {
    /// A line is longer than allowed.
    #[error("a line of the event stream is longer than {limit} bytes; raise the limit or shorten the line")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// An event is longer than allowed.
    #[error("an event of the stream is longer than {limit} bytes; raise the limit or split the event")]
    EventTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseItem<'a> {
    /// An event with data.
    Message(SseMessage<'a>),
    /// One or more comment lines without data: a sign of life.
    Comment,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseMessage<'a> {
    /// The `event` field, if there is one that is not empty.
    pub event: Option<&'a [u8]>,
    /// The `data` lines, joined by LF.
    pub data: Cow<'a, [u8]>,
    /// The last `id` that the stream gave; empty before the first.
    pub last_event_id: &'a [u8],
}

/// Decodes a stream of server-sent events, whatever pieces it comes in, in linear time.
///
/// Memory is bounded by [`SseLimits::event_bytes`]; events within one piece are not copied.
///
/// ```
/// use weighbridge_stream::sse::{SseDecoder, SseItem};
///
/// let mut decoder = SseDecoder::new();
/// let mut seen = Vec::new();
/// for piece in ["da", "ta: hel", "lo\r\n\r", "\n: alive\n\n"] {
///     decoder.push(piece.as_bytes(), &mut |item| match item {
///         SseItem::Message(message) => seen.push(message.data.to_vec()),
///         SseItem::Comment => seen.push(b"(comment)".to_vec()),
///     })?;
/// }
/// assert_eq!(seen, [b"hello".to_vec(), b"(comment)".to_vec()]);
/// # Ok::<(), weighbridge_stream::sse::SseError>(())
/// ```
#[derive(Debug)]
pub struct SseDecoder {
    framer: Framer,
    last_event_id: Vec<u8>,
    start: bool,
    failed: Option<SseError>,
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl SseDecoder {
    /// A decoder with the default limits.
    pub fn new() -> Self {
        Self::with_limits(SseLimits::default())
    }

    /// A decoder with these limits.
    pub fn with_limits(limits: SseLimits) -> Self {
        Self { framer: Framer::new(limits), last_event_id: Vec::new(), start: true, failed: None }
    }

    /// Takes the next piece of the stream and hands every item that it completes to `sink`.
    ///
    /// # Errors
    /// When a line or an event is over its limit; the decoder stays failed.
    pub fn push(&mut self, chunk: &[u8], sink: &mut dyn FnMut(SseItem<'_>)) -> Result<(), SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut rest = chunk;
        loop {
            rest = rest.get(self.framer.take_late_lf(rest)..).unwrap_or_default();
            match self.framer.find_end(rest) {
                Ok(Some(end)) => {
                    let (piece, after) = rest.split_at(end);
                    let block = self.framer.assemble(piece);
                    deliver(block, &mut self.start, &mut self.last_event_id, sink);
                    self.framer.forget();
                    rest = after;
                }
                Ok(None) => {
                    self.framer.keep(rest);
                    return Ok(());
                }
                Err(overrun) => {
                    self.failed = Some(overrun.error);
                    return Err(overrun.error);
                }
            }
        }
    }

    /// The stream has ended: delivers an event that lacks only its final blank line.
    pub fn finish(&mut self, sink: &mut dyn FnMut(SseItem<'_>)) {
        if self.failed.is_none() {
            deliver(self.framer.kept(), &mut self.start, &mut self.last_event_id, sink);
            self.framer.forget();
        }
    }
}

fn deliver(bytes: &[u8], start: &mut bool, last_event_id: &mut Vec<u8>, sink: &mut dyn FnMut(SseItem<'_>)) {
    let block = Block::read(without_bom(bytes, start));
    if let Some(id) = block.id {
        last_event_id.clear();
        last_event_id.extend_from_slice(id);
    }
    match block.data {
        Some(data) => sink(SseItem::Message(SseMessage { event: block.event, data, last_event_id })),
        None if block.comment => sink(SseItem::Comment),
        None => {}
    }
}

/// The block without the byte order mark that may stand at the very start of a stream.
pub(crate) fn without_bom<'a>(bytes: &'a [u8], start: &mut bool) -> &'a [u8] {
    if std::mem::take(start) { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes }
}
