//! Ids of tool calls in protocols that restrict their alphabet.
//!
//! Anthropic wants `^[a-zA-Z0-9_-]+$`; others make ids such as `functions.search:0`. An id that is
//! legal passes unchanged. One that is not is escaped so that the original can be computed from it:
//! nothing has to be remembered between the answer that brings the call and the request that brings
//! its result.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How escaped ids begin.
const MARK: &str = "wb-";

/// An id that Anthropic accepts. Different ids stay different.
///
/// ```
/// use weighbridge_translate::tool_id::{legal, original};
///
/// assert_eq!(legal("call_9"), "call_9");
/// assert_eq!(legal("search:0"), "wb-search_3a0");
/// assert_eq!(original("wb-search_3a0"), "search:0");
/// ```
pub fn legal(id: &str) -> Cow<'_, str> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    // What begins with the mark is escaped as well, or it would be mistaken for an escaped one.
    if !id.is_empty() && !id.starts_with(MARK) && id.bytes().all(is_legal) {
        return Cow::Borrowed(id);
    }
    let mut escaped = String::from(MARK);
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "_{byte:02x}");
        }
    }
    Cow::Owned(escaped)
}

/// The id that [`legal`] was given. An id that it cannot have made is returned as it is.
pub fn original(id: &str) -> Cow<'_, str> {
    match id.strip_prefix(MARK).and_then(unescape) {
        Some(unescaped) if legal(&unescaped) == id => Cow::Owned(unescaped),
        _ => Cow::Borrowed(id),
    }
}

/// An id for a call that its provider gave none: the `index`th call of the answer `answer_id`.
pub fn fallback(answer_id: &str, index: usize) -> String {
    legal(&format!("call_{answer_id}_{index}")).into_owned()
}

fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'_' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_comes_back(id in any::<String>()) {
            let legal = legal(&id);
            prop_assert!(!legal.is_empty());
            prop_assert!(legal.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            prop_assert_eq!(original(&legal), id.as_str());
        }

        #[test]
        fn an_id_of_anthropics_own_stays(id in "[a-zA-Z0-9_-]{1,40}") {
            prop_assume!(!id.starts_with(MARK));
            prop_assert_eq!(legal(&id), id.as_str());
            prop_assert_eq!(original(&id), id.as_str());
        }

        #[test]
        fn what_looks_escaped_but_is_not_stays(id in "wb-[a-zA-Z0-9_-]{0,20}") {
            let escaped = legal(&id);
            prop_assert_eq!(original(&escaped), id.as_str());
            // From Anthropic to another protocol and back.
            let passed = original(&id).into_owned();
            let back = legal(&passed).into_owned();
            prop_assert_eq!(original(&back), passed);
        }
    }
}
