//! One decoder over all framings.

use thiserror::Error;
use weighbridge_translate::{ApiError, Frame};
use weighbridge_units::Protocol;

use crate::aws::{self, AwsDecoder, AwsFrameError, AwsKind, AwsMessage, ChunkError, unwrap_chunk};
use crate::json_array::{JsonArrayDecoder, JsonArrayError};
use crate::sse::{SseDecoder, SseError, SseItem};

/// How a provider divides its stream into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Server-sent events: `text/event-stream`.
    Sse,
    /// Binary frames: `application/vnd.amazon.eventstream`.
    AwsEventStream,
    /// The elements of one JSON array: `application/json`, where the protocol streams so.
    JsonArray,
}

impl Framing {
    /// The framing that an answer's `content-type` tells; `None` where it is no stream.
    ///
    /// Without a content type it is taken for server-sent events: what is none breaks in the decoder.
    ///
    /// ```
    /// use weighbridge_stream::Framing;
    /// use weighbridge_units::Protocol::OpenAiChat;
    ///
    /// assert_eq!(Framing::of(Some("text/event-stream; charset=utf-8"), OpenAiChat), Some(Framing::Sse));
    /// assert_eq!(Framing::of(Some("application/json"), OpenAiChat), None);
    /// ```
    pub fn of(content_type: Option<&str>, provider: Protocol) -> Option<Self> {
        let Some(content_type) = content_type else { return Some(Self::Sse) };
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        if is("text/event-stream") {
            Some(Self::Sse)
        } else if is("application/vnd.amazon.eventstream") {
            Some(Self::AwsEventStream)
        } else if is("application/json") && streams_as_array(provider) {
            Some(Self::JsonArray)
        } else {
            None
        }
    }

    /// The framing of a stream that comes without a content type, by its first byte that is no blank.
    ///
    /// ```
    /// use weighbridge_stream::Framing;
    /// use weighbridge_units::Protocol::{AnthropicMessages, GeminiGenerateContent};
    ///
    /// assert_eq!(Framing::told_by(b'[', GeminiGenerateContent), Framing::JsonArray);
    /// assert_eq!(Framing::told_by(b'd', GeminiGenerateContent), Framing::Sse);
    /// assert_eq!(Framing::told_by(0, AnthropicMessages), Framing::AwsEventStream); // of Bedrock
    /// ```
    pub fn told_by(first: u8, provider: Protocol) -> Self {
        match first {
            _ if provider == Protocol::BedrockConverse => Self::AwsEventStream,
            // The highest byte of a frame's length. Text has neither.
            0 | 1 => Self::AwsEventStream,
            b'[' | b'{' if streams_as_array(provider) => Self::JsonArray,
            _ => Self::Sse,
        }
    }
}

/// Whether a protocol streams a JSON array where it is not asked for server-sent events: Gemini alone.
fn streams_as_array(provider: Protocol) -> bool {
    provider == Protocol::GeminiGenerateContent
}

/// What a stream says, freed of its framing.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded<'a> {
    /// A frame for the protocol's reader.
    Frame(Frame<'a>),
    /// A sign of life without content.
    Alive,
    /// What looks like a JSON object outside of the framing: most likely an error.
    Bare(&'a str),
    /// The framing's own report of an error, below the protocol. Boxed, since it is large and rare.
    Failed(Box<ApiError>),
    /// A frame that its framing does not know.
    Unknown,
}

/// Why a stream cannot be decoded further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Of server-sent events.
    #[error(transparent)]
    Sse(#[from] SseError),
    /// Of an AWS event stream.
    #[error(transparent)]
    Aws(#[from] AwsFrameError),
    /// Of what an AWS event stream wraps.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// Of a streamed JSON array.
    #[error(transparent)]
    JsonArray(#[from] JsonArrayError),
    /// A frame is not UTF-8.
    #[error("the provider sent a malformed stream event: it is not UTF-8")]
    NotUtf8,
}

/// Takes what is decoded.
pub type DecodedSink<'s> = dyn FnMut(Decoded<'_>) + 's;

/// Decodes a provider's stream of any framing, whatever pieces it comes in.
///
/// The events of a Bedrock invocation are unwrapped ([`unwrap_chunk`]): their frames hold what the
/// model's own protocol says. The name of other AWS frames is their `:event-type`.
///
/// ```
/// use weighbridge_stream::{Decoded, Decoder, Framing};
///
/// let mut decoder = Decoder::new(Framing::JsonArray);
/// let mut frames = Vec::new();
/// for piece in [r#"[{"candidates""#, r#":[]}]"#] {
///     decoder.push(piece.as_bytes(), &mut |decoded| {
///         if let Decoded::Frame(frame) = decoded {
///             frames.push(frame.data.to_owned());
///         }
///     })?;
/// }
/// assert_eq!(frames, [r#"{"candidates":[]}"#]);
/// # Ok::<(), weighbridge_stream::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    kind: Kind,
    failed: Option<DecodeError>,
}

#[derive(Debug)]
enum Kind {
    Sse(SseDecoder),
    Aws { decoder: AwsDecoder, unwrapped: Vec<u8> },
    JsonArray(JsonArrayDecoder),
}

impl Decoder {
    /// A decoder with the default limits of its framing.
    pub fn new(framing: Framing) -> Self {
        let kind = match framing {
            Framing::Sse => Kind::Sse(SseDecoder::new()),
            Framing::AwsEventStream => Kind::Aws { decoder: AwsDecoder::new(), unwrapped: Vec::new() },
            Framing::JsonArray => Kind::JsonArray(JsonArrayDecoder::new()),
        };
        Self { kind, failed: None }
    }

    /// Takes the next piece of the stream and hands what it completes to `sink`.
    ///
    /// # Errors
    /// When the framing is broken, or something is over a limit; the decoder stays failed, and `sink`
    /// gets nothing of what follows the fault.
    pub fn push(&mut self, chunk: &[u8], sink: &mut DecodedSink<'_>) -> Result<(), DecodeError> {
        self.guarded(sink, |kind, sink| {
            match kind {
                Kind::Sse(decoder) => decoder.push(chunk, &mut |item| sink.sse(item))?,
                Kind::Aws { decoder, unwrapped } => {
                    decoder.push(chunk, &mut |message| sink.aws(message, unwrapped))?;
                }
                Kind::JsonArray(decoder) => decoder.push(chunk, &mut |element| sink.frame(None, element))?,
            }
            Ok(())
        })
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// When it ended where its framing does not allow it.
    pub fn finish(&mut self, sink: &mut DecodedSink<'_>) -> Result<(), DecodeError> {
        self.guarded(sink, |kind, sink| {
            match kind {
                Kind::Sse(decoder) => decoder.finish(&mut |item| sink.sse(item))?,
                Kind::Aws { decoder, .. } => decoder.finish()?,
                Kind::JsonArray(decoder) => decoder.finish()?,
            }
            Ok(())
        })
    }

    fn guarded(
        &mut self,
        sink: &mut DecodedSink<'_>,
        work: impl FnOnce(&mut Kind, &mut Guarded<'_, '_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut guarded = Guarded { sink, failed: None };
        let worked = work(&mut self.kind, &mut guarded);
        // What a frame holds is looked at before what follows the frame.
        guarded.failed.map_or(worked, Err).inspect_err(|error| self.failed = Some(*error))
    }
}

/// A sink that is closed by the first frame that cannot be handed on.
struct Guarded<'g, 's> {
    sink: &'g mut DecodedSink<'s>,
    failed: Option<DecodeError>,
}

impl Guarded<'_, '_> {
    fn hand_on(&mut self, decoded: Decoded<'_>) {
        if self.failed.is_none() {
            (self.sink)(decoded);
        }
    }

    fn close(&mut self, error: impl Into<DecodeError>) {
        self.failed.get_or_insert(error.into());
    }

    fn frame(&mut self, name: Option<&str>, data: &[u8]) {
        match std::str::from_utf8(data) {
            Ok(data) => self.hand_on(Decoded::Frame(Frame { name, data })),
            Err(_) => self.close(DecodeError::NotUtf8),
        }
    }

    fn sse(&mut self, item: SseItem<'_>) {
        match item {
            SseItem::Message(message) => {
                let name = message.event.and_then(|name| std::str::from_utf8(name).ok());
                self.frame(name, &message.data);
            }
            SseItem::Comment => self.hand_on(Decoded::Alive),
            SseItem::Bare(json) => self.hand_on(Decoded::Bare(json)),
        }
    }

    fn aws(&mut self, message: AwsMessage<'_>, unwrapped: &mut Vec<u8>) {
        match message.kind() {
            AwsKind::Event { name: "chunk" } => {
                match unwrap_chunk(message.payload(), unwrapped) {
                    Ok(()) => self.frame(None, unwrapped),
                    Err(error) => self.close(error),
                }
                // One large event must not pin its memory for the rest of a long stream.
                unwrapped.clear();
                unwrapped.shrink_to(KEPT_CAPACITY);
            }
            AwsKind::Event { name } => self.frame(Some(name), message.payload()),
            AwsKind::Exception { name } => self.broke_off(aws::exception(name, message.payload())),
            AwsKind::Error { code, message } => self.broke_off(aws::unmodelled(code, message)),
            AwsKind::Unknown => self.hand_on(Decoded::Unknown),
        }
    }

    fn broke_off(&mut self, error: ApiError) {
        self.hand_on(Decoded::Failed(Box::new(error)));
    }
}

/// How much memory an idle decoder keeps for the next event to unwrap, in bytes.
const KEPT_CAPACITY: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_the_framing() {
        for (content_type, framing) in [
            (None, Some(Framing::Sse)),
            (Some("text/event-stream"), Some(Framing::Sse)),
            (Some(" Text/Event-Stream ;charset=utf-8"), Some(Framing::Sse)),
            (Some("application/vnd.amazon.eventstream"), Some(Framing::AwsEventStream)),
            (Some("text/html"), None),
            (Some("text/event-streams"), None),
            (Some(""), None),
        ] {
            for provider in Protocol::ALL {
                assert_eq!(Framing::of(content_type, provider), framing, "{content_type:?}");
            }
        }
        for provider in Protocol::ALL {
            let framing = Framing::of(Some("application/json; charset=UTF-8"), provider);
            assert_eq!(framing, (provider.as_str() == "gemini").then_some(Framing::JsonArray));
        }
    }
}
