use std::borrow::Cow;

use weighbridge_protocol::json::{Kind, Raw};

use super::FrameError;

/// Reads the text fragments of one part.
///
/// Servers that count in UTF-16 cut a character outside the basic plane in two: the first fragment
/// ends with `\ud83d`, the next begins with `\ude00`. The first half is kept until the second comes.
#[derive(Debug, Clone, Default)]
pub(crate) struct SplitText {
    high_half: Option<u16>,
}

impl SplitText {
    /// The characters of a fragment that are whole by now.
    pub(crate) fn read<'a>(&mut self, raw: Raw<'a>) -> Result<Cow<'a, str>, FrameError> {
        match (raw.str(), self.high_half) {
            (Ok(text), None) => Ok(text),
            // Nothing came, so the other half may still come.
            (Ok(text), Some(_)) if text.is_empty() => Ok(text),
            (Err(error), _) if raw.kind() != Kind::String => Err(FrameError::Malformed(error.to_string())),
            _ => self.join(raw.text().get(1..raw.text().len() - 1).unwrap_or_default()),
        }
    }

    /// Whether every character is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.high_half.is_none()
    }

    fn join<'a>(&mut self, inner: &str) -> Result<Cow<'a, str>, FrameError> {
        let mut units: Vec<u16> = self.high_half.take().into_iter().collect();
        code_units(inner, &mut units);
        if units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            self.high_half = units.pop();
        }
        String::from_utf16(&units).map(Cow::Owned).map_err(|_| {
            FrameError::Malformed("a string holds half of a character that nothing completes".into())
        })
    }
}

/// The UTF-16 code units that the inside of a valid JSON string stands for.
fn code_units(inner: &str, units: &mut Vec<u16>) {
    let mut chars = inner.chars();
    let mut buffer = [0; 2];
    while let Some(char) = chars.next() {
        let plain = match char {
            '\\' => match chars.next() {
                Some('u') => {
                    let hex: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&hex, 16).unwrap_or(0xfffd));
                    continue;
                }
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(same) => same,
                None => return,
            },
            plain => plain,
        };
        units.extend_from_slice(plain.encode_utf16(&mut buffer));
    }
}

#[cfg(test)]
mod tests {
    use weighbridge_protocol::json::ScanLimits;

    use super::*;

    fn read(fragments: &[&str]) -> Result<(String, bool), FrameError> {
        let mut split = SplitText::default();
        let mut text = String::new();
        for fragment in fragments {
            text.push_str(&split.read(Raw::parse(fragment, &ScanLimits::default()).unwrap())?);
        }
        Ok((text, split.is_whole()))
    }

    #[test]
    fn a_character_in_two_halves_becomes_one() {
        assert_eq!(read(&[r#""a\ud83d""#, r#""""#, r#""\ude00\n""#]), Ok(("a😀\n".into(), true)));
        assert_eq!(read(&[r#""a\ud83d""#]), Ok(("a".into(), false)));
    }

    #[test]
    fn a_half_without_its_other_half_is_malformed() {
        assert!(read(&[r#""a\ud83d""#, r#""b""#]).is_err());
        assert!(read(&[r#""\ude00""#]).is_err());
        assert!(read(&["1"]).is_err());
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let raw = Raw::parse("\"plain\"", &ScanLimits::default()).unwrap();
        assert!(matches!(SplitText::default().read(raw), Ok(Cow::Borrowed("plain"))));
    }
}
