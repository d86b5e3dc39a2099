use std::ops::Range;

use crate::Timestamp;

/// The family of a dated snapshot of a model: its name without `-YYYY-MM-DD`, `-YYYYMMDD`, or `@YYYYMMDD` as
/// Vertex AI writes it.
///
/// `None` where the name does not end in a date that exists. Look the whole name up first, and the
/// family only where that is not found, precisely: then a snapshot with an entry of its own keeps it,
/// and no model is ever taken for another (`gpt-4o-mini-2024-07-18` is never `gpt-4o`).
///
/// ```
/// use weighbridge_units::family_of;
///
/// assert_eq!(family_of("gpt-4o-mini-2024-07-18"), Some("gpt-4o-mini"));
/// assert_eq!(family_of("claude-haiku-4-5-20251001"), Some("claude-haiku-4-5"));
/// assert_eq!(family_of("gpt-4-0613"), None);
/// ```
pub fn family_of(model: &str) -> Option<&str> {
    let dashed = split_date(model, "-0000-00-00", [1..5, 6..8, 9..11]);
    let digits = |shape| split_date(model, shape, [1..5, 5..7, 7..9]);
    dashed.or_else(|| digits("-00000000")).or_else(|| digits("@00000000"))
}

/// Cuts a date off the end: `shape` has a 0 for each digit, `parts` are year, month and day in it.
fn split_date<'m>(model: &'m str, shape: &str, parts: [Range<usize>; 3]) -> Option<&'m str> {
    let (family, date) = model.split_at_checked(model.len().checked_sub(shape.len())?)?;
    let fits = |(c, wanted): (u8, u8)| if wanted == b'0' { c.is_ascii_digit() } else { c == wanted };
    if family.is_empty() || !date.bytes().zip(shape.bytes()).all(fits) {
        return None;
    }
    let [year, month, day] = parts.map(|part| date.get(part).and_then(|digits| digits.parse().ok()));
    Timestamp::from_date(i32::try_from(year?).ok()?, month?, day?).map(|_| family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_names_have_a_family() {
        assert_eq!(family_of("gpt-4o-mini-2024-07-18"), Some("gpt-4o-mini"));
        assert_eq!(family_of("claude-haiku-4-5-20251001"), Some("claude-haiku-4-5"));
        assert_eq!(family_of("claude-haiku-4-5@20251001"), Some("claude-haiku-4-5"));
    }

    #[test]
    fn other_names_have_none() {
        for name in [
            "",
            "gpt-4o",
            "gpt-4-0613",
            "claude-haiku-4-5",
            "gpt-4o-2024-13-01",
            "gpt-4o-20240230",
            "gpt-4o-2024-0718",
            "gpt-4o-202407188",
            "gpt-4o-2024-07-18-preview",
            "-2024-07-18",
            "gpt-4o20240718",
            "gpt-4o@2024-07-18",
            "claude-opus-4-6@default",
            "gpt-4o-２０２４-07-18",
        ] {
            assert_eq!(family_of(name), None, "{name}");
        }
    }
}
