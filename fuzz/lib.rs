//! What the fuzz targets share.
//!
//! The first bytes of every input say how it is used, the rest is the stream: a seed can be written
//! with an editor.

use serde::de::IgnoredAny;
use serde_json::Value;
use weighbridge_translate::LISTED_MAX;
use weighbridge_units::{Loss, Protocol};

/// Takes the first `N` bytes off an input; `None` where there are not so many.
pub fn settings<const N: usize>(input: &[u8]) -> Option<([u8; N], &[u8])> {
    let (settings, stream) = input.split_first_chunk()?;
    Some((*settings, stream))
}

/// Every protocol that a provider may speak: more than those that have a route.
pub const PROTOCOLS: [Protocol; 5] = [
    Protocol::OpenAiChat,
    Protocol::AnthropicMessages,
    Protocol::OpenAiResponses,
    Protocol::GeminiGenerateContent,
    Protocol::BedrockConverse,
];

/// The one of a list that a byte of the settings names: `0` is the first.
pub fn pick<T: Copy>(list: &[T], byte: u8) -> T {
    list[usize::from(byte.wrapping_sub(b'0')) % list.len()]
}

/// Checks what a translation wrote: it is JSON, of a size that the source accounts for, and what was lost
/// is found where the list says.
///
/// # Panics
/// Where something is not so.
pub fn check_whole(source: &str, written: &[u8], losses: &[Loss]) {
    // Numbers beyond a float are numbers too.
    let read = serde_json::from_slice::<IgnoredAny>(written);
    assert!(read.is_ok(), "{read:?}: {}", String::from_utf8_lossy(written));
    assert!(written.len() <= 16 * source.len() + 4_096, "{} bytes of {}", written.len(), source.len());
    assert!(losses.len() <= LISTED_MAX + 1);
    let value = serde_json::from_str::<Value>(source).ok();
    // Of a field that is there twice, they keep the last value, where ours may point into the first.
    let value = value.filter(|value| fields(value) == colons(source));
    for loss in losses {
        assert!(!loss.reason.is_empty() && !loss.needed.is_empty(), "{loss:?}");
        assert!(value.as_ref().is_none_or(|value| value.pointer(&loss.pointer).is_some()), "{loss:?}");
    }
}

/// Whether two documents say the same, in whatever order.
pub fn says_the_same(a: &str, b: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    match (read(a), read(b)) {
        // Which of two fields of one name comes last is left open.
        (Some(read), _) if fields(&read) != colons(a) => true,
        (Some(a), Some(b)) => a == b,
        // What this reader does not take, such as half a surrogate pair, it cannot compare: fields may
        // have another order.
        (None, None) => true,
        _ => false,
    }
}

/// How many fields the objects of a document have.
fn fields(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.len() + fields.values().map(self::fields).sum::<usize>(),
        Value::Array(items) => items.iter().map(fields).sum(),
        _ => 0,
    }
}

/// How many colons stand outside of strings, which is how many fields were written.
fn colons(text: &str) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// Cuts a stream into pieces. Their sizes vary, and follow from `seed` alone.
pub fn cut(stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    let mut state = u32::from(seed) + 1;
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = 1 + (state >> 16) as usize % (1 + usize::from(seed));
        let (piece, after) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
