//! Binary frames of AWS's event streams: <https://smithy.io/2.0/aws/amazon-eventstream.html>.

use serde_json::Value;

/// Bytes before the headers: two lengths and a checksum.
const PRELUDE: usize = 12;
/// Bytes after the payload: a checksum.
const TRAILER: usize = 4;

/// A frame of an event or of an exception.
pub(super) fn encode(kind: Kind, name: &str, payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    let (message, name_header) = match kind {
        Kind::Event => ("event", ":event-type"),
        Kind::Exception => ("exception", ":exception-type"),
    };
    for (header, value) in
        [(name_header, name), (":content-type", "application/json"), (":message-type", message)]
    {
        headers.push(header.len() as u8);
        headers.extend_from_slice(header.as_bytes());
        // 7 means text.
        headers.push(7);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let mut frame = prelude(PRELUDE + headers.len() + payload.len() + TRAILER, headers.len());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload);
    let checksum = crc32(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Exception,
}

/// A frame of an event with a JSON payload.
pub(super) fn event(name: &str, payload: &Value) -> Vec<u8> {
    encode(Kind::Event, name, payload.to_string().as_bytes())
}

/// The beginning of a frame of so many bytes.
pub(super) fn prelude(total: usize, headers: usize) -> Vec<u8> {
    let mut prelude = Vec::with_capacity(total.min(64 * 1024));
    prelude.extend_from_slice(&(total as u32).to_be_bytes());
    prelude.extend_from_slice(&(headers as u32).to_be_bytes());
    let checksum = crc32(&prelude);
    prelude.extend_from_slice(&checksum.to_be_bytes());
    prelude
}

/// The checksum of Ethernet and zip, bit by bit: <https://www.rfc-editor.org/rfc/rfc1952#section-8>.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_usual_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_frame_says_how_long_it_is() {
        let frame = encode(Kind::Event, "messageStop", b"{}");
        let number = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        assert_eq!(number(0) as usize, frame.len());
        assert_eq!(frame.len(), PRELUDE + number(4) as usize + 2 + TRAILER);
        assert_eq!(number(8), crc32(&frame[..8]));
        assert_eq!(number(frame.len() - 4), crc32(&frame[..frame.len() - 4]));
        assert!(frame[PRELUDE..].starts_with(b"\x0b:event-type\x07\x00\x0bmessageStop\x0d:content-type\x07"));
    }
}
