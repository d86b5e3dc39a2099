use thiserror::Error;

use super::{
    CHECKSUM, CONTENT_TYPE, EVENT_TYPE, EXCEPTION_TYPE, HEADERS_MAX, HeaderValue, MESSAGE_TYPE, PAYLOAD_MAX,
    PRELUDE,
};

/// The most bytes of a text or of bytes in a header.
const VALUE_MAX: usize = 32_767;

/// Why a frame cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AwsEncodeError {
    /// A header's name is empty or longer than 255 bytes.
    #[error("a header's name must have 1 to 255 bytes; this one has {bytes}")]
    HeaderName {
        /// Its length, in bytes.
        bytes: usize,
    },
    /// A header's value is longer than 32,767 bytes.
    #[error("the value of header `{name}` has {bytes} bytes; 32767 are allowed")]
    HeaderValue {
        /// The header's name.
        name: String,
        /// Its length, in bytes.
        bytes: usize,
    },
    /// All headers together are longer than 131,072 bytes.
    #[error("the headers have {bytes} bytes; 131072 are allowed")]
    Headers {
        /// Their length, in bytes.
        bytes: usize,
    },
    /// The payload is longer than 25,165,824 bytes.
    #[error("the payload has {bytes} bytes; 25165824 are allowed")]
    Payload {
        /// Its length, in bytes.
        bytes: usize,
    },
}

/// Writes one frame to the end of `out`.
///
/// # Errors
/// [`AwsEncodeError`] where the frame would be over a limit of the specification; then `out` is as it
/// was.
///
/// ```
/// use weighbridge_stream::aws::{HeaderValue, encode};
///
/// let mut out = Vec::new();
/// encode([("n", HeaderValue::Byte(7))], b"{}", &mut out)?;
/// assert_eq!(out.len(), 12 + 4 + 2 + 4);
/// # Ok::<(), weighbridge_stream::aws::AwsEncodeError>(())
/// ```
pub fn encode<'h>(
    headers: impl IntoIterator<Item = (&'h str, HeaderValue<'h>)>,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), AwsEncodeError> {
    let start = out.len();
    let written = write(headers, payload, start, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Writes an event with a JSON payload, its headers as Bedrock orders them.
///
/// # Errors
/// As [`encode`].
pub fn encode_event(name: &str, payload: &[u8], out: &mut Vec<u8>) -> Result<(), AwsEncodeError> {
    encode(json_headers(EVENT_TYPE, name, "event"), payload, out)
}

/// Writes an exception with a JSON payload, its headers as Bedrock orders them.
///
/// # Errors
/// As [`encode`].
pub fn encode_exception(name: &str, payload: &[u8], out: &mut Vec<u8>) -> Result<(), AwsEncodeError> {
    encode(json_headers(EXCEPTION_TYPE, name, "exception"), payload, out)
}

fn json_headers<'h>(
    header: &'static str,
    name: &'h str,
    message: &'static str,
) -> [(&'h str, HeaderValue<'h>); 3] {
    [
        (header, HeaderValue::Text(name)),
        (CONTENT_TYPE, HeaderValue::Text("application/json")),
        (MESSAGE_TYPE, HeaderValue::Text(message)),
    ]
}

fn write<'h>(
    headers: impl IntoIterator<Item = (&'h str, HeaderValue<'h>)>,
    payload: &[u8],
    start: usize,
    out: &mut Vec<u8>,
) -> Result<(), AwsEncodeError> {
    if payload.len() > PAYLOAD_MAX {
        return Err(AwsEncodeError::Payload { bytes: payload.len() });
    }
    out.extend_from_slice(&[0; PRELUDE]);
    for (name, value) in headers {
        write_header(name, value, out)?;
    }
    let header_bytes = out.len() - start - PRELUDE;
    if header_bytes > HEADERS_MAX {
        return Err(AwsEncodeError::Headers { bytes: header_bytes });
    }
    out.extend_from_slice(payload);
    let total = out.len() - start + CHECKSUM;
    let too_long = |_| AwsEncodeError::Payload { bytes: payload.len() };
    let total = u32::try_from(total).map_err(too_long)?.to_be_bytes();
    let headers = u32::try_from(header_bytes).map_err(too_long)?.to_be_bytes();
    let lengths = [total, headers].concat();
    let prelude_sum = crc32fast::hash(&lengths).to_be_bytes();
    for (place, byte) in out.iter_mut().skip(start).zip(lengths.into_iter().chain(prelude_sum)) {
        *place = byte;
    }
    let sum = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&sum.to_be_bytes());
    Ok(())
}

fn write_header(name: &str, value: HeaderValue<'_>, out: &mut Vec<u8>) -> Result<(), AwsEncodeError> {
    let name_length = u8::try_from(name.len())
        .ok()
        .filter(|length| *length > 0)
        .ok_or(AwsEncodeError::HeaderName { bytes: name.len() })?;
    out.push(name_length);
    out.extend_from_slice(name.as_bytes());
    match value {
        HeaderValue::Bool(true) => fixed(0, &[], out),
        HeaderValue::Bool(false) => fixed(1, &[], out),
        HeaderValue::Byte(number) => fixed(2, &number.to_be_bytes(), out),
        HeaderValue::Short(number) => fixed(3, &number.to_be_bytes(), out),
        HeaderValue::Int(number) => fixed(4, &number.to_be_bytes(), out),
        HeaderValue::Long(number) => fixed(5, &number.to_be_bytes(), out),
        HeaderValue::Bytes(bytes) => counted(6, bytes, name, out)?,
        HeaderValue::Text(text) => counted(7, text.as_bytes(), name, out)?,
        HeaderValue::Timestamp(millis) => fixed(8, &millis.to_be_bytes(), out),
        HeaderValue::Uuid(bytes) => fixed(9, &bytes, out),
    }
    Ok(())
}

fn fixed(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

fn counted(kind: u8, bytes: &[u8], name: &str, out: &mut Vec<u8>) -> Result<(), AwsEncodeError> {
    let length = u16::try_from(bytes.len()).ok().filter(|length| usize::from(*length) <= VALUE_MAX);
    let too_long = || AwsEncodeError::HeaderValue { name: name.to_owned(), bytes: bytes.len() };
    fixed(kind, &length.ok_or_else(too_long)?.to_be_bytes(), out);
    out.extend_from_slice(bytes);
    Ok(())
}
