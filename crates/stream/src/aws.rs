//! AWS event streams: binary frames with two checksums, as Bedrock sends them.
//!
//! The format is `application/vnd.amazon.eventstream`:
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>.
//!
//! ```text
//! total length | length of headers | checksum | headers … | payload … | checksum
//!     u32      |        u32        |   u32    |           |           |   u32
//! ```
//!
//! [`AwsDecoder`] takes a stream apart in whatever pieces it comes, [`encode`] writes one frame.
//! What a frame is (an event, or one of two kinds of error) its headers tell: [`AwsMessage::kind`].

mod base64;
mod chunk;
mod decoder;
mod encoder;
mod exception;
mod header;
mod wrap;

use thiserror::Error;

pub use chunk::{ChunkError, unwrap_chunk};
pub use decoder::AwsDecoder;
pub use encoder::{AwsEncodeError, encode, encode_event, encode_exception};
pub use header::{AwsHeaders, HeaderValue};
pub use wrap::{AwsWrapError, AwsWrapper};

pub(crate) use exception::{exception, unmodelled};

/// Bytes of the two lengths and their checksum.
const PRELUDE: usize = 12;
/// Bytes of a checksum.
const CHECKSUM: usize = 4;
/// The most bytes of headers that a service may send.
const HEADERS_MAX: usize = 131_072;
/// The most bytes of payload that a service may send.
const PAYLOAD_MAX: usize = 25_165_824;

/// The header that says what a frame is.
const MESSAGE_TYPE: &str = ":message-type";
const EVENT_TYPE: &str = ":event-type";
const EXCEPTION_TYPE: &str = ":exception-type";
const ERROR_CODE: &str = ":error-code";
const ERROR_MESSAGE: &str = ":error-message";
const CONTENT_TYPE: &str = ":content-type";

/// How large a frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsLimits {
    /// Bytes of one frame, all told.
    pub frame_bytes: usize,
}

impl Default for AwsLimits {
    /// The most that the specification lets a service send: 128 KiB of headers and 24 MiB of payload.
    fn default() -> Self {
        Self { frame_bytes: PRELUDE + HEADERS_MAX + PAYLOAD_MAX + CHECKSUM }
    }
}

/// Why a stream cannot be decoded further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AwsFrameError {
    /// The lengths of a frame do not fit their checksum.
    #[error("the checksum of a frame's lengths is wrong: the stream was damaged on its way")]
    PreludeChecksum,
    /// A frame does not fit its checksum.
    #[error("the checksum of a frame is wrong: the stream was damaged on its way")]
    MessageChecksum,
    /// The lengths of a frame contradict each other.
    #[error("a frame of {total} bytes cannot have {headers} bytes of headers")]
    Lengths {
        /// The length of the frame, as it says.
        total: u32,
        /// The length of its headers, as it says.
        headers: u32,
    },
    /// A frame is longer than allowed. Nothing of it was kept.
    #[error("a frame says that it has {bytes} bytes, and {limit} are allowed; raise the limit")]
    FrameTooLong {
        /// Its length, in bytes.
        bytes: u32,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The headers of a frame cannot be read.
    #[error("the headers of a frame are malformed")]
    Headers,
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Truncated,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AwsMessage<'a> {
    headers: AwsHeaders<'a>,
    payload: &'a [u8],
}

/// What a frame is:
/// <https://smithy.io/2.0/aws/amazon-eventstream.html#amazon-event-semantics>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsKind<'a> {
    /// `:message-type: event`. The payload is what its type says.
    Event {
        /// `:event-type`.
        name: &'a str,
    },
    /// `:message-type: exception`: an error of the service's model. The payload describes it.
    Exception {
        /// `:exception-type`.
        name: &'a str,
    },
    /// `:message-type: error`: any other error. It has no payload.
    Error {
        /// `:error-code`; empty where it is missing.
        code: &'a str,
        /// `:error-message`; empty where it is missing.
        message: &'a str,
    },
    /// Nothing that the specification knows.
    Unknown,
}

impl<'a> AwsMessage<'a> {
    /// The headers, in the order of the wire.
    pub const fn headers(&self) -> AwsHeaders<'a> {
        self.headers
    }

    /// The payload.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// What the frame is, by its headers.
    pub fn kind(&self) -> AwsKind<'a> {
        let text = |name| self.headers.text(name);
        match text(MESSAGE_TYPE) {
            Some("event") => text(EVENT_TYPE).map_or(AwsKind::Unknown, |name| AwsKind::Event { name }),
            Some("exception") => AwsKind::Exception { name: text(EXCEPTION_TYPE).unwrap_or_default() },
            Some("error") => AwsKind::Error {
                code: text(ERROR_CODE).unwrap_or_default(),
                message: text(ERROR_MESSAGE).unwrap_or_default(),
            },
            _ => AwsKind::Unknown,
        }
    }
}
