//! Fields under two names: Google reads `maxOutputTokens` and `max_output_tokens`, and both are sent.
//!
//! Where both say something the first counts, and the other is superseded.

use crate::json::{Fields, FromRaw, Kind, Raw, ReadError};

/// Takes a field under either of its names.
///
/// # Errors
/// What `T` makes of a value that is not its own.
pub fn take<'a, T: FromRaw<'a>>(
    fields: &mut Fields<'a>,
    camel: &'static str,
    snake: &'static str,
) -> Result<Option<T>, ReadError> {
    let name = counting(fields, camel, snake);
    Ok(fields.take(name)?.value())
}

/// Takes a field under either of its names, only if it is a `T`.
pub fn offer<'a, T: FromRaw<'a>>(
    fields: &mut Fields<'a>,
    camel: &'static str,
    snake: &'static str,
) -> Option<T> {
    let name = counting(fields, camel, snake);
    fields.offer(name)
}

/// Takes a number under either of its names, to be passed on as it was written.
///
/// # Errors
/// [`ReadError`] where the field is something else.
pub fn number<'a>(
    fields: &mut Fields<'a>,
    camel: &'static str,
    snake: &'static str,
) -> Result<Option<Raw<'a>>, ReadError> {
    let name = counting(fields, camel, snake);
    fields.number(name)
}

/// The value of an object's field under either of its names, which stays to be taken.
pub fn peek<'a>(fields: &Fields<'a>, camel: &str, snake: &str) -> Option<Raw<'a>> {
    let value = |name| fields.peek(name).filter(|value| !value.is_null());
    value(camel).or_else(|| value(snake))
}

/// The name under which a field is said; under the other one it says nothing from here on.
fn counting(fields: &mut Fields<'_>, camel: &'static str, snake: &'static str) -> &'static str {
    let (counts, other) = match fields.peek(camel) {
        Some(value) if !value.is_null() => (camel, snake),
        _ => (snake, camel),
    };
    if camel != snake {
        fields.supersede(other);
    }
    counts
}

/// A whole number from 0. Google also reads one in quotes, and one with a fraction of zero.
///
/// # Errors
/// [`ReadError`] where it is something else.
pub fn whole(raw: Raw<'_>) -> Result<u64, ReadError> {
    let number = match raw.kind() {
        Kind::String => raw.str()?.parse().ok(),
        Kind::Number => {
            let digits = raw.text().split_once('.').map_or(raw.text(), |(digits, fraction)| {
                if fraction.bytes().all(|digit| digit == b'0') { digits } else { "" }
            });
            digits.parse().ok()
        }
        _ => None,
    };
    number.ok_or_else(|| ReadError::new(raw, "a whole number from 0"))
}

/// A [`whole`] number that a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole(pub u64);

impl<'a> FromRaw<'a> for Whole {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        whole(raw).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::ScanLimits;

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text, &ScanLimits::default()).unwrap()
    }

    #[test]
    fn a_field_has_two_names() {
        let mut fields = Fields::read(raw(r#"{"topP":null,"top_p":0.5,"topK":1,"top_k":2}"#)).unwrap();
        assert_eq!(number(&mut fields, "topP", "top_p").unwrap().map(Raw::text), Some("0.5"));
        assert_eq!(number(&mut fields, "topK", "top_k").unwrap().map(Raw::text), Some("1"));
        let rest = fields.rest();
        assert_eq!(rest.iter().next(), None);
        assert_eq!(rest.superseded().map(|(name, _)| name).collect::<Vec<_>>(), ["top_k"]);
    }

    #[test]
    fn a_field_that_cannot_be_read_counts_all_the_same() {
        let mut fields = Fields::read(raw(r#"{"fileUri":1,"file_uri":"a"}"#)).unwrap();
        assert_eq!(offer::<String>(&mut fields, "fileUri", "file_uri"), None);
        let rest = fields.rest();
        assert_eq!(rest.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["fileUri"]);
        assert_eq!(rest.superseded().map(|(name, _)| name).collect::<Vec<_>>(), ["file_uri"]);
    }

    #[test]
    fn whole_numbers_come_in_several_forms() {
        for (text, number) in [("7", 7), ("\"7\"", 7), ("7.0", 7), ("0", 0)] {
            assert_eq!(whole(raw(text)), Ok(number), "{text}");
        }
        for text in ["7.5", "-1", "\"\"", "\"x\"", "1e3", "null", "[7]", "\"7.0\""] {
            assert!(whole(raw(text)).is_err(), "{text}");
        }
    }
}
