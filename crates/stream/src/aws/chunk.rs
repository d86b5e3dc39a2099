use thiserror::Error;
use weighbridge_protocol::json::Raw;

use super::base64;

/// The payload of a `chunk` event is not what Bedrock documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the payload of a `chunk` frame is not an object with base64 text in `bytes`")]
pub struct ChunkError;

/// Takes the model's own event out of the payload of a `chunk` event: `{"bytes":"<base64>","p":"…"}`,
/// where `p` is padding. It is written to the end of `out`.
///
/// InvokeModelWithResponseStream wraps the events of whatever the model speaks:
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html>.
///
/// # Errors
/// [`ChunkError`]; then `out` is as it was.
///
/// ```
/// let mut event = Vec::new();
/// weighbridge_stream::aws::unwrap_chunk(br#"{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abc"}"#, &mut event)?;
/// assert_eq!(event, br#"{"type":"ping"}"#);
/// # Ok::<(), weighbridge_stream::aws::ChunkError>(())
/// ```
pub fn unwrap_chunk(payload: &[u8], out: &mut Vec<u8>) -> Result<(), ChunkError> {
    let start = out.len();
    let unwrapped = std::str::from_utf8(payload).ok().and_then(|text| {
        let bytes = Raw::parse(text, &Default::default()).ok()?.get("bytes")?.str().ok()?;
        base64::decode(bytes.as_bytes(), out)
    });
    unwrapped.ok_or_else(|| {
        out.truncate(start);
        ChunkError
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_chunk_is_refused_and_writes_nothing() {
        for payload in [
            &b""[..],
            b"\xff",
            b"{}",
            b"[\"eyJ9\"]",
            br#"{"bytes":7}"#,
            br#"{"bytes":"eyJ9="}"#,
            br#"{"bytes":"eyJ9eyJ9?"}"#,
        ] {
            let mut out = b"before".to_vec();
            assert_eq!(unwrap_chunk(payload, &mut out), Err(ChunkError));
            assert_eq!(out, b"before");
        }
    }

    #[test]
    fn escapes_in_the_text_are_read() {
        let mut out = Vec::new();
        assert_eq!(unwrap_chunk(br#"{"p":"x","bytes":"e\u0079J9\/w=="}"#, &mut out), Ok(()));
        assert_eq!(out, b"{\"}\xff");
    }
}
