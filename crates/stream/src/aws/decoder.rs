use super::{AwsFrameError, AwsHeaders, AwsLimits, AwsMessage, CHECKSUM, PRELUDE};

/// How much memory an idle decoder keeps for the next frame that is cut, in bytes.
const KEPT_CAPACITY: usize = 16 * 1024;

/// Decodes a stream of frames, whatever pieces it comes in, in linear time.
///
/// A frame is handed over only when both its checksums are right. Frames within one piece are not
/// copied. What a frame says about its length is believed only after its checksum was checked, and
/// memory grows with what has arrived, not with what was announced.
///
/// ```
/// use weighbridge_stream::aws::{AwsDecoder, AwsKind, encode_event};
///
/// let mut stream = Vec::new();
/// encode_event("messageStart", br#"{"role":"assistant"}"#, &mut stream)?;
/// let mut decoder = AwsDecoder::new();
/// let mut seen = Vec::new();
/// for piece in stream.chunks(5) {
///     decoder.push(piece, &mut |message| {
///         assert_eq!(message.kind(), AwsKind::Event { name: "messageStart" });
///         seen.push(message.payload().to_vec());
///     })?;
/// }
/// decoder.finish()?;
/// assert_eq!(seen, [br#"{"role":"assistant"}"#]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AwsDecoder {
    limits: AwsLimits,
    /// The beginning of a frame whose end has not arrived.
    carry: Vec<u8>,
    failed: Option<AwsFrameError>,
}

impl Default for AwsDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl AwsDecoder {
    /// A decoder with the default limits.
    pub fn new() -> Self {
        Self::with_limits(AwsLimits::default())
    }

    /// A decoder with these limits.
    pub const fn with_limits(limits: AwsLimits) -> Self {
        Self { limits, carry: Vec::new(), failed: None }
    }

    /// Takes the next piece of the stream and hands every frame that it completes to `sink`.
    ///
    /// # Errors
    /// When a frame is damaged, malformed or over its limit. As the specification demands, nothing is
    /// decoded any more: the decoder stays failed.
    pub fn push(&mut self, chunk: &[u8], sink: &mut dyn FnMut(AwsMessage<'_>)) -> Result<(), AwsFrameError> {
        match self.failed {
            Some(error) => Err(error),
            None => self.take(chunk, sink).inspect_err(|error| self.failed = Some(*error)),
        }
    }

    fn take(&mut self, chunk: &[u8], sink: &mut dyn FnMut(AwsMessage<'_>)) -> Result<(), AwsFrameError> {
        let mut rest = chunk;
        while !self.carry.is_empty() {
            // A frame that was cut is completed by itself: first what tells its length, then all of it.
            let length = Length::read(&self.carry, &self.limits)?;
            let wanted = length.map_or(PRELUDE, |length| length.total);
            let (more, after) = rest.split_at(rest.len().min(wanted - self.carry.len()));
            self.carry.extend_from_slice(more);
            rest = after;
            if self.carry.len() < wanted {
                return Ok(());
            }
            if let Some(length) = length {
                sink(message(&self.carry, length)?);
                self.forget();
            }
        }
        while let Some(length) = Length::read(rest, &self.limits)? {
            let Some((frame, after)) = rest.split_at_checked(length.total) else { break };
            sink(message(frame, length)?);
            rest = after;
        }
        self.carry.extend_from_slice(rest);
        Ok(())
    }

    fn forget(&mut self) {
        // One large frame must not pin its memory for the rest of a long stream.
        if self.carry.capacity() > KEPT_CAPACITY {
            self.carry = Vec::new();
        } else {
            self.carry.clear();
        }
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// [`AwsFrameError::Truncated`] within a frame; the error that the decoder failed with, if it did.
    pub fn finish(&self) -> Result<(), AwsFrameError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.carry.is_empty() => Ok(()),
            None => Err(AwsFrameError::Truncated),
        }
    }
}

/// What a frame says about its own length, checked.
#[derive(Debug, Clone, Copy)]
struct Length {
    total: usize,
    headers: usize,
}

impl Length {
    /// `None` where not enough of the frame is there.
    fn read(frame: &[u8], limits: &AwsLimits) -> Result<Option<Self>, AwsFrameError> {
        let Some(prelude) = frame.first_chunk::<PRELUDE>() else { return Ok(None) };
        let [t0, t1, t2, t3, h0, h1, h2, h3, sum @ ..] = *prelude;
        if crc32fast::hash(&[t0, t1, t2, t3, h0, h1, h2, h3]) != u32::from_be_bytes(sum) {
            return Err(AwsFrameError::PreludeChecksum);
        }
        let (total, headers) = (u32::from_be_bytes([t0, t1, t2, t3]), u32::from_be_bytes([h0, h1, h2, h3]));
        let contradiction = AwsFrameError::Lengths { total, headers };
        let (Ok(total_bytes), Ok(headers_bytes)) = (usize::try_from(total), usize::try_from(headers)) else {
            return Err(contradiction);
        };
        if total_bytes > limits.frame_bytes {
            return Err(AwsFrameError::FrameTooLong { bytes: total, limit: limits.frame_bytes });
        }
        match total_bytes.checked_sub(PRELUDE + CHECKSUM) {
            Some(room) if headers_bytes <= room => {
                Ok(Some(Self { total: total_bytes, headers: headers_bytes }))
            }
            _ => Err(contradiction),
        }
    }
}

/// Reads a whole frame of that length.
fn message(frame: &[u8], length: Length) -> Result<AwsMessage<'_>, AwsFrameError> {
    let (summed, sum) = frame.split_last_chunk::<CHECKSUM>().ok_or(AwsFrameError::Truncated)?;
    if crc32fast::hash(summed) != u32::from_be_bytes(*sum) {
        return Err(AwsFrameError::MessageChecksum);
    }
    let (headers, payload) = summed
        .get(PRELUDE..)
        .and_then(|body| body.split_at_checked(length.headers))
        .ok_or(AwsFrameError::Truncated)?;
    Ok(AwsMessage { headers: AwsHeaders::check(headers)?, payload })
}
