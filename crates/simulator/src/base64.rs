//! A check of base64 text; nothing is decoded.

/// Whether the text is padded base64 of the standard alphabet, and not empty.
pub(crate) fn is_valid(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    !digits.is_empty() && text.len().is_multiple_of(4) && padding <= 2 && digits.bytes().all(alphabet)
}

#[cfg(test)]
mod tests {
    #[test]
    fn padding_and_alphabet_are_checked() {
        assert!(["aGk=", "aGkh", "YQ==", "+/8="].into_iter().all(super::is_valid));
        assert!(!["", "====", "aGk", "a===", "aG k", "aGk-"].into_iter().any(super::is_valid));
    }
}
