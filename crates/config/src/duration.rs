use std::time::Duration;

/// The longest duration that a file may give for what a request does.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads `250ms`, `30s`, `10m`, `1h`, `1d`, or several of them from large to small: `1m30s`.
///
/// `None` for anything else, for zero, and for more than `longest`.
pub(crate) fn parse(text: &str, longest: Duration) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| (1..=9).contains(digits))?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        if millis >= last_unit {
            return None;
        }
        sum = sum.checked_add(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?))?;
        (rest, last_unit) = (tail, millis);
    }
    (sum > Duration::ZERO && sum <= longest).then_some(sum)
}

/// The inverse of [`parse`].
pub(crate) fn display(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if millis >= length {
            text.push_str(&format!("{}{unit}", millis / length));
            millis %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<Duration> {
        super::parse(text, LONGEST)
    }

    #[test]
    fn durations_are_numbers_with_units() {
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("24h"), Some(LONGEST));
        assert_eq!(parse("1d"), Some(LONGEST));
        let month = Duration::from_secs(30 * 86_400);
        assert_eq!((super::parse("30d", month), super::parse("30d1ms", month)), (Some(month), None));
        for wrong in [
            "",
            "30",
            "s",
            "30 s",
            "1.5s",
            "-1s",
            "30S",
            "0s",
            "25h",
            "2d",
            "1s1m",
            "1s1s",
            "1µs",
            "99999999999s",
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_back(millis in 1_u64..86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&display(duration)), Some(duration));
        }

        #[test]
        fn no_text_breaks_the_parser(text in ".{0,20}") {
            let _ = parse(&text);
        }
    }
}
