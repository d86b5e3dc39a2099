/// Writes `text` as one segment of a path: a `/` or `:` in it is no separator.
///
/// Everything but what is never special is percent-encoded
/// (<https://www.rfc-editor.org/rfc/rfc3986#section-2.3>), as AWS's own clients do with model ids.
/// `.` and `..` have no other spelling: where the text is a stranger's, refuse them.
///
/// ```
/// use weighbridge_transport::path_segment;
///
/// let model = path_segment("us.anthropic.claude-haiku-4-5-20251001-v1:0");
/// assert_eq!(model, "us.anthropic.claude-haiku-4-5-20251001-v1%3A0");
/// assert_eq!(path_segment("inference-profile/a b%"), "inference-profile%2Fa%20b%25");
/// ```
pub fn path_segment(text: &str) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => segment.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => segment.push(char::from(byte)),
            _ => segment.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::path_segment;

    #[test]
    fn only_what_is_never_special_stays() {
        let stays = "ABCZabcz0189-._~";
        assert_eq!(path_segment(stays), stays);
        for byte in
            (0_u8..=127).filter(|byte| !stays.as_bytes().contains(byte) && !byte.is_ascii_alphanumeric())
        {
            assert_eq!(path_segment(&char::from(byte).to_string()), format!("%{byte:02X}"));
        }
        assert_eq!(path_segment("é"), "%C3%A9");
    }
}
