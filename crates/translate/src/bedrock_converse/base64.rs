//! Base64 (RFC 4648): where the format demands bytes, and others have a text.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes in standard base64 with padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            let is_padding = place > group.len();
            text.push(if is_padding { '=' } else { char::from(DIGITS.get(digit).copied().unwrap_or(b'=')) });
        }
    }
    text
}

/// The text that standard base64 with padding stands for; `None` where it is no such base64, or no text.
///
/// What is accepted is exactly what [`encode`] gives back.
pub(super) fn decode_text(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.as_bytes().chunks(4) {
        let digits = group.iter().take_while(|byte| **byte != b'=');
        let (mut bits, mut count) = (0_u32, 0);
        for byte in digits {
            bits = bits << 6 | u32::from(digit(*byte)?);
            count += 1;
        }
        let bits = bits << (6 * (4 - count));
        let whole = [bits >> 16, bits >> 8, bits].map(|byte| u8::try_from(byte & 0xff).unwrap_or(0));
        bytes.extend(whole.into_iter().take(usize::max(count, 1) - 1));
    }
    String::from_utf8(bytes).ok().filter(|decoded| encode(decoded.as_bytes()) == text)
}

const fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode_text(text).as_deref(), Some(plain));
        }
    }

    #[test]
    fn what_would_not_come_back_is_not_decoded() {
        // Without padding, of another alphabet, with bits left over, cut, no text.
        for text in ["Zg", "-_8=", "Zh==", "Zm9vY", "Zm9v\n", "Z===", "====", "/w==", "é"] {
            assert_eq!(decode_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_comes_back(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let encoded = encode(text.as_bytes());
            prop_assert_eq!(decode_text(&encoded), Some(text));
            let expected = String::from_utf8(bytes.clone()).ok();
            prop_assert_eq!(decode_text(&encode(&bytes)), expected);
        }

        #[test]
        fn anything_is_looked_at_without_panic(text in any::<String>()) {
            let _ = decode_text(&text);
        }
    }
}
