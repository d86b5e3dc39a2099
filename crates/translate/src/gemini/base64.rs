//! Base64 (RFC 4648) of both alphabets: Google takes either and sends the standard one; its Python SDK
//! sends the URL-safe one.

use std::borrow::Cow;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The same bytes in the standard alphabet with padding. What is no base64 passes as it is, but for
/// padding.
pub(super) fn standard(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    let missing = match text.len() % 4 {
        0 => 0,
        over => 4 - over,
    };
    if !is_url_safe && missing == 0 {
        return text;
    }
    let mut text = text.replace('-', "+").replace('_', "/");
    text.extend(std::iter::repeat_n('=', missing));
    Cow::Owned(text)
}

/// The bytes as text, in the standard alphabet with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4_usize {
            if digit > chunk.len() {
                text.push('=');
                continue;
            }
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(ALPHABET.get(index).map_or('=', |byte| char::from(*byte)));
        }
    }
    text
}

/// The bytes of a text in either alphabet, with padding or without; `None` where it is no base64.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 & 0xffff | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        for (plain, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode(plain.as_bytes()), text);
        }
        for text in ["Z", "Zm9v!", "Z=m9"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn either_alphabet_is_read_and_the_standard_one_written(bytes in any::<Vec<u8>>()) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&text), Some(bytes));
            let url_safe = text.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
            prop_assert_eq!(decode(&url_safe), decode(&text));
            prop_assert_eq!(standard(Cow::Owned(url_safe)), text.as_str());
            prop_assert!(matches!(standard(Cow::Borrowed(&text)), Cow::Borrowed(_)));
        }
    }
}
