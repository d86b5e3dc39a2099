//! Base64 text: a check, and the standard alphabet's encoding.

/// Whether the text is padded base64 of the standard alphabet, and not empty.
pub(crate) fn is_valid(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    !digits.is_empty() && text.len().is_multiple_of(4) && padding <= 2 && digits.bytes().all(alphabet)
}

/// Bytes as padded base64 of the standard alphabet.
pub(crate) fn encode(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_encoded() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(super::encode(bytes.as_bytes()), text);
        }
        assert_eq!(super::encode(&[0xff, 0xfb, 0xf0]), "//vw");
    }

    #[test]
    fn padding_and_alphabet_are_checked() {
        assert!(["aGk=", "aGkh", "YQ==", "+/8="].into_iter().all(super::is_valid));
        assert!(!["", "====", "aGk", "a===", "aG k", "aGk-"].into_iter().any(super::is_valid));
    }
}
