//! Server-sent events, decoded as they arrive.
//!
//! The decoder follows <https://html.spec.whatwg.org/multipage/server-sent-events.html>: a byte order
//! mark at the start is skipped; lines end with CR, LF or CR LF; several `data` lines are joined;
//! comments and unknown fields carry nothing. It differs in three points, all on purpose:
//!
//! * An event whose final blank line is missing when the stream ends is delivered by
//!   [`SseDecoder::finish`], because some providers leave the line out after `[DONE]`.
//! * Data stays bytes: a bad UTF-8 sequence is the caller's to judge, and is not replaced.
//! * A JSON object without a field in front of it is not ignored like other lines that have no name,
//!   but told as [`SseItem::Bare`]: it is how some providers break off.
//!
//! `retry` is ignored: a gateway's stream is not resumed.

mod bare;
mod block;
mod framing;

use std::borrow::Cow;

use thiserror::Error;

pub(crate) use bare::Bare;
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
    /// The stream ended within a bare object ([`SseItem::Bare`]).
    #[error("the stream ended within a JSON object that stood outside of its events")]
    Truncated,
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseItem<'a> {
    /// An event with data.
    Message(SseMessage<'a>),
    /// One or more comment lines without data: a sign of life.
    Comment,
    /// What looks like a JSON object of at most 1 MiB, without a field in front of it and over as many
    /// lines as it likes.
    Bare(&'a str),
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
///         SseItem::Bare(json) => seen.push(json.as_bytes().to_vec()),
///     })?;
/// }
/// assert_eq!(seen, [b"hello".to_vec(), b"(comment)".to_vec()]);
/// # Ok::<(), weighbridge_stream::sse::SseError>(())
/// ```
#[derive(Debug)]
pub struct SseDecoder {
    framer: Framer,
    reading: Reading,
    failed: Option<SseError>,
}

/// What is remembered from block to block.
#[derive(Debug)]
struct Reading {
    last_event_id: Vec<u8>,
    start: bool,
    bare: Bare,
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
        let reading = Reading { last_event_id: Vec::new(), start: true, bare: Bare::new(&limits) };
        Self { framer: Framer::new(limits), reading, failed: None }
    }

    /// Takes the next piece of the stream and hands every item that it completes to `sink`.
    ///
    /// # Errors
    /// When a line or an event is over its limit; the decoder stays failed.
    pub fn push(&mut self, chunk: &[u8], sink: &mut dyn FnMut(SseItem<'_>)) -> Result<(), SseError> {
        match self.failed {
            Some(error) => Err(error),
            None => self.take(chunk, sink).inspect_err(|error| self.failed = Some(*error)),
        }
    }

    fn take(&mut self, chunk: &[u8], sink: &mut dyn FnMut(SseItem<'_>)) -> Result<(), SseError> {
        let mut rest = chunk;
        loop {
            rest = rest.get(self.framer.take_late_lf(rest)..).unwrap_or_default();
            match self.framer.find_end(rest).map_err(|overrun| overrun.error)? {
                Some(end) => {
                    let (piece, after) = rest.split_at(end);
                    self.reading.deliver(self.framer.assemble(piece), sink)?;
                    self.framer.forget();
                    rest = after;
                }
                None => {
                    self.framer.keep(rest);
                    return Ok(());
                }
            }
        }
    }

    /// The stream has ended: delivers an event that lacks only its final blank line.
    ///
    /// # Errors
    /// [`SseError::Truncated`] within a bare object; else as [`SseDecoder::push`].
    pub fn finish(&mut self, sink: &mut dyn FnMut(SseItem<'_>)) -> Result<(), SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let delivered = self.reading.deliver(self.framer.kept(), sink);
        self.framer.forget();
        delivered.and_then(|()| self.reading.bare.end()).inspect_err(|error| self.failed = Some(*error))
    }
}

impl Reading {
    fn deliver(&mut self, bytes: &[u8], sink: &mut dyn FnMut(SseItem<'_>)) -> Result<(), SseError> {
        let block = Block::read(without_bom(bytes, &mut self.start));
        if let Some(id) = block.id {
            self.last_event_id.clear();
            self.last_event_id.extend_from_slice(id);
        }
        let has_data = block.data.is_some();
        if let Some(data) = block.data {
            let message = SseMessage { event: block.event, data, last_event_id: &self.last_event_id };
            sink(SseItem::Message(message));
        } else if block.comment {
            sink(SseItem::Comment);
        }
        if let Some(json) = self.bare.follow(has_data, block.unnamed)? {
            sink(SseItem::Bare(json));
        }
        Ok(())
    }
}

/// The block without the byte order mark that may stand at the very start of a stream.
pub(crate) fn without_bom<'a>(bytes: &'a [u8], start: &mut bool) -> &'a [u8] {
    if std::mem::take(start) { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes }
}
