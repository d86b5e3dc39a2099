//! From the text form of frames to the binary one.

use thiserror::Error;

use super::{AwsEncodeError, encode_event, encode_exception};
use crate::sse::{SseDecoder, SseError, SseItem};

/// Why frames in their text form cannot be put into binary frames.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AwsWrapError {
    /// They are no server-sent events.
    #[error(transparent)]
    Sse(#[from] SseError),
    /// One is too large for a frame.
    #[error(transparent)]
    Frame(#[from] AwsEncodeError),
}

/// Puts the frames of a ConverseStream, in the text form in which
/// [`ConverseWriter`](weighbridge_translate::bedrock_converse::stream::ConverseWriter) has them, into the
/// binary frames of AWS. Exceptions are known by the end of their name.
///
/// ```
/// use weighbridge_stream::aws::{AwsDecoder, AwsKind, AwsWrapper};
///
/// let (mut wrapper, mut frames) = (AwsWrapper::new(), Vec::new());
/// wrapper.push(b"event: messageStart\ndata: {\"role\":\"assistant\"}\n\n", &mut frames)?;
/// AwsDecoder::new().push(&frames, &mut |frame| {
///     assert_eq!(frame.kind(), AwsKind::Event { name: "messageStart" });
///     assert_eq!(frame.payload(), br#"{"role":"assistant"}"#);
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct AwsWrapper {
    decoder: SseDecoder,
}

impl AwsWrapper {
    /// A wrapper for one stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece, cut anywhere, and writes the frames that it completes to the end of `out`.
    ///
    /// # Errors
    /// [`AwsWrapError`] where an event is over a limit; what was complete before it is in `out`.
    pub fn push(&mut self, events: &[u8], out: &mut Vec<u8>) -> Result<(), AwsWrapError> {
        let mut wrapped = Ok(());
        self.decoder.push(events, &mut |item| {
            if let (SseItem::Message(message), Ok(())) = (item, &wrapped) {
                let name = message.event.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
                wrapped = if name.ends_with("Exception") {
                    encode_exception(name, &message.data, out)
                } else {
                    encode_event(name, &message.data, out)
                };
            }
        })?;
        Ok(wrapped?)
    }
}
