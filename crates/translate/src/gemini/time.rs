//! `createTime`: an instant in RFC 3339.

use weighbridge_units::Timestamp;

/// Whole seconds since the epoch; `None` where the text is no instant in UTC.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let is_separated = text.get(4..5) == Some("-")
        && text.get(7..8) == Some("-")
        && text.get(10..11) == Some("T")
        && text.get(13..14) == Some(":")
        && text.get(16..17) == Some(":");
    let rest = text.get(19..)?.strip_suffix('Z')?;
    let is_fraction = rest.strip_prefix('.').is_none_or(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    if !is_separated || !(rest.is_empty() || rest.starts_with('.')) || !is_fraction {
        return None;
    }
    let year = i32::try_from(number(0, 4)?).ok()?;
    let midnight = Timestamp::from_date(year, number(5, 7)?, number(8, 10)?)?;
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(midnight.as_secs() + i64::from(hour * 3_600 + minute * 60 + second))
}

/// The instant as it is written here.
pub(super) fn text(seconds: i64) -> String {
    Timestamp::from_secs(seconds).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_and_written() {
        assert_eq!(seconds("2026-04-07T16:49:58.333958Z"), Some(1_775_580_598));
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds(&text(1_700_000_000)), Some(1_700_000_000));
        for other in
            ["", "2026-04-07", "2026-13-07T16:49:58Z", "2026-04-07T16:49:58+02:00", "2026-04-07T16:49:58.xZ"]
        {
            assert_eq!(seconds(other), None, "{other}");
        }
    }
}
