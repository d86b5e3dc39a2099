//! Base64 of the standard alphabet: <https://www.rfc-editor.org/rfc/rfc4648#section-4>.

/// What is no digit of the alphabet.
const NO_DIGIT: u8 = 0xff;

static VALUES: [u8; 256] = {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < digits.len() {
        values[digits[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Decodes `text` to the end of `out`; `None` where it is malformed. Padding may be missing.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = match text {
        [start @ .., b'=', b'='] | [start @ .., b'='] if text.len().is_multiple_of(4) => start,
        _ => text,
    };
    out.reserve(text.len() / 4 * 3 + 2);
    let (groups, last) = text.as_chunks::<4>();
    for [a, b, c, d] in groups {
        let [_, bytes @ ..] = joined([*a, *b, *c, *d])?.to_be_bytes();
        out.extend_from_slice(&bytes);
    }
    match *last {
        [] => {}
        [a, b] => {
            let [_, first, rest @ ..] = joined([a, b, b'A', b'A'])?.to_be_bytes();
            out.push((rest == [0, 0]).then_some(first)?);
        }
        [a, b, c] => {
            let [_, first, second, rest] = joined([a, b, c, b'A'])?.to_be_bytes();
            out.extend_from_slice(&(rest == 0).then_some([first, second])?);
        }
        _ => return None,
    }
    Some(())
}

/// The 24 bits of four digits.
fn joined(digits: [u8; 4]) -> Option<u32> {
    digits.into_iter().try_fold(0, |bits: u32, digit| {
        let value = VALUES.get(usize::from(digit)).copied().filter(|value| *value != NO_DIGIT)?;
        Some(bits << 6 | u32::from(value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        super::decode(text.as_bytes(), &mut out).map(|()| out)
    }

    /// <https://www.rfc-editor.org/rfc/rfc4648#section-10>.
    #[test]
    fn the_vectors_of_the_rfc() {
        for (text, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
            ("Zg", "f"),
            ("Zm8", "fo"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        assert_eq!(decoded("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["Z", "Zm9vZ", "Zm9v=", "Z===", "Zg=", "Zm-_", "Zm 9", "Zh==", "Zm9=", "====", "Zg==Zg=="]
        {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_one_spelling(text in "[A-Za-c0-2+/=]{0,12}") {
            if let Some(bytes) = decoded(&text) {
                prop_assert_eq!(bytes.len(), text.trim_end_matches('=').len() * 3 / 4);
            }
        }
    }
}
