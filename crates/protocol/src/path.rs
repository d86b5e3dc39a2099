use std::borrow::Cow;
use std::fmt::Write as _;

/// A text as it may stand in a path, percent-encoded but for letters, digits, `-`, `.`, `_`, `~` and the
/// characters in `kept`.
///
/// ```
/// use weighbridge_protocol::escaped;
///
/// assert_eq!(escaped("amazon.nova-lite-v1:0", ""), "amazon.nova-lite-v1%3A0");
/// assert_eq!(escaped("tunedModels/my own", "/"), "tunedModels/my%20own");
/// ```
pub fn escaped(text: &str, kept: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The text that a percent-encoded one stands for; `None` where that is no text.
pub fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
