//! A JSON array that is streamed piece by piece, taken apart into its elements.
//!
//! Gemini answers so where it is not asked for server-sent events:
//! <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>. An error before
//! the first element may come as an object without an array around it; it counts as the only element.

mod scanner;

use thiserror::Error;

pub(crate) use scanner::ValueScanner;
use scanner::{Broken, DEPTH_MAX};

/// How large things in a stream may be. Nesting is bounded too, to 128 levels within an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonArrayLimits {
    /// Bytes of one element.
    pub element_bytes: usize,
}

impl Default for JsonArrayLimits {
    /// 16 MiB: an image that comes in one element fits, and a stream's memory has a bound.
    fn default() -> Self {
        Self { element_bytes: 16 << 20 }
    }
}

/// Why a stream cannot be taken apart further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonArrayError {
    /// A byte that cannot stand there.
    #[error("byte {offset} of the streamed JSON array, 0x{byte:02x}, cannot stand there")]
    Unexpected {
        /// The byte.
        byte: u8,
        /// Its place in the stream, from 0.
        offset: u64,
    },
    /// An element is nested deeper than 128 levels.
    #[error("an element of the streamed JSON array is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// An element is longer than allowed.
    #[error(
        "an element of the streamed JSON array is longer than {limit} bytes; raise the limit or shorten the element"
    )]
    ElementTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The stream ended within the array.
    #[error("the stream ended within the JSON array")]
    Truncated,
}

/// Takes a streamed JSON array apart, whatever pieces it comes in, in linear time.
///
/// An element's text is handed over as it came, when it is whole. It is delimited by brackets, quotes
/// and commas, not otherwise checked: whoever reads it will. Elements within one piece are not copied.
///
/// ```
/// use weighbridge_stream::json_array::JsonArrayDecoder;
///
/// let mut decoder = JsonArrayDecoder::new();
/// let mut seen = Vec::new();
/// for piece in [r#"[{"a": "]"#, r#""},"#, "\r\n[1, 2]]\n"] {
///     decoder.push(piece.as_bytes(), &mut |element| seen.push(element.to_vec()))?;
/// }
/// decoder.finish()?;
/// assert_eq!(seen, [&br#"{"a": "]"}"#[..], b"[1, 2]"]);
/// # Ok::<(), weighbridge_stream::json_array::JsonArrayError>(())
/// ```
#[derive(Debug)]
pub struct JsonArrayDecoder {
    limits: JsonArrayLimits,
    place: Place,
    /// The beginning of an element whose end has not arrived.
    carry: Vec<u8>,
    /// Bytes of the pieces before.
    offset: u64,
    failed: Option<JsonArrayError>,
}

/// Where in the array the next byte stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before the array.
    Start,
    /// Behind its opening bracket.
    First,
    /// Within an element, which stands in an array or alone.
    Element { scanner: ValueScanner, alone: bool },
    /// Behind an element.
    After,
    /// Behind a comma.
    Next,
    /// Behind everything.
    End,
}

impl Default for JsonArrayDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl JsonArrayDecoder {
    /// A decoder with the default limits.
    pub fn new() -> Self {
        Self::with_limits(JsonArrayLimits::default())
    }

    /// A decoder with these limits.
    pub const fn with_limits(limits: JsonArrayLimits) -> Self {
        Self { limits, place: Place::Start, carry: Vec::new(), offset: 0, failed: None }
    }

    /// Takes the next piece of the stream and hands the text of every element that it completes to
    /// `sink`.
    ///
    /// # Errors
    /// When the stream is no array, or an element is over its limit; the decoder stays failed.
    pub fn push(&mut self, chunk: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), JsonArrayError> {
        match self.failed {
            Some(error) => Err(error),
            None => self.take(chunk, sink).inspect_err(|error| self.failed = Some(*error)),
        }
    }

    fn take(&mut self, chunk: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), JsonArrayError> {
        let mut at = 0;
        loop {
            let rest = chunk.get(at..).unwrap_or_default();
            if let Place::Element { mut scanner, alone } = self.place {
                let room = self.limits.element_bytes.saturating_sub(self.carry.len());
                // One byte more than may belong to it: a number ends only where something else begins.
                let window = rest.get(..room.saturating_add(1)).unwrap_or(rest);
                let end = scanner.scan(window).map_err(|broken| self.broken(broken, at))?;
                let piece = rest.get(..end.unwrap_or(window.len())).unwrap_or_default();
                if piece.len() > room {
                    return Err(JsonArrayError::ElementTooLong { limit: self.limits.element_bytes });
                }
                if end.is_none() {
                    self.carry.extend_from_slice(piece);
                    self.place = Place::Element { scanner, alone };
                    break;
                }
                self.place = if alone { Place::End } else { Place::After };
                at += piece.len();
                self.deliver(piece, sink);
                continue;
            }
            let Some(blanks) = rest.iter().position(|byte| !is_blank(*byte)) else { break };
            let Some(byte) = rest.get(blanks).copied() else { break };
            at += blanks;
            let (place, taken) = self.step(byte).ok_or_else(|| self.unexpected(byte, at))?;
            self.place = place;
            at += taken;
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// Where a byte between elements leads, and whether it is used up.
    fn step(&self, byte: u8) -> Option<(Place, usize)> {
        let element = |alone| Some(Place::Element { scanner: ValueScanner::starting_with(byte)?, alone });
        Some(match (self.place, byte) {
            (Place::Start, b'[') => (Place::First, 1),
            (Place::Start, b'{') => (element(true)?, 0),
            (Place::First | Place::After, b']') => (Place::End, 1),
            (Place::First | Place::Next, _) => (element(false)?, 0),
            (Place::After, b',') => (Place::Next, 1),
            _ => return None,
        })
    }

    fn deliver(&mut self, piece: &[u8], sink: &mut dyn FnMut(&[u8])) {
        if self.carry.is_empty() {
            return sink(piece);
        }
        self.carry.extend_from_slice(piece);
        sink(&self.carry);
        // One large element must not pin its memory for the rest of a long stream.
        if self.carry.capacity() > KEPT_CAPACITY {
            self.carry = Vec::new();
        } else {
            self.carry.clear();
        }
    }

    fn broken(&self, broken: Broken, at: usize) -> JsonArrayError {
        match broken {
            Broken::TooDeep => JsonArrayError::TooDeep,
            Broken::Mismatch { byte, at: within } => self.unexpected(byte, at + within),
        }
    }

    fn unexpected(&self, byte: u8, at: usize) -> JsonArrayError {
        JsonArrayError::Unexpected { byte, offset: self.offset + at as u64 }
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// [`JsonArrayError::Truncated`] where the array is not closed, or nothing came; the error that
    /// the decoder failed with, if it did.
    pub fn finish(&self) -> Result<(), JsonArrayError> {
        match (self.failed, self.place) {
            (Some(error), _) => Err(error),
            (None, Place::End) => Ok(()),
            _ => Err(JsonArrayError::Truncated),
        }
    }
}

/// How much memory an idle decoder keeps for the next element that is cut, in bytes.
const KEPT_CAPACITY: usize = 16 * 1024;

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
