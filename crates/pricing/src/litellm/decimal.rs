/// The largest exponent that a price may have, either way: beyond it no digits are moved for a stranger.
const EXPONENT_MAX: i32 = 40;

/// A JSON number as a plain decimal, its point moved `places` to the right: `1.5e-07` and 6 give `0.15`.
///
/// Exactly: digits are moved, and nothing is calculated (rule M1). `None` where the text is no number, or
/// one that no price is written as.
pub(super) fn shifted(number: &str, places: i32) -> Option<String> {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || mantissa.len() > 64 {
        return None;
    }
    if !(-EXPONENT_MAX..=EXPONENT_MAX).contains(&exponent) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    // Where the point stands among the digits.
    let point = i32::try_from(whole.len()).ok()? + exponent + places;
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point >= all.len() => (format!("{all}{}", "0".repeat(point - all.len())), String::new()),
        Ok(point) => (all.get(..point)?.to_owned(), all.get(point..)?.to_owned()),
        Err(_) => ("0".to_owned(), format!("{}{all}", "0".repeat(point.unsigned_abs() as usize))),
    };
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    match fraction.trim_end_matches('0') {
        "" => Some(format!("{sign}{whole}")),
        fraction => Some(format!("{sign}{whole}.{fraction}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn m1_numbers_are_moved_not_calculated() {
        for (number, places, expected) in [
            ("1.5e-07", 6, "0.15"),
            ("1.5E-7", 6, "0.15"),
            ("2e-06", 6, "2"),
            ("2.5e+1", 0, "25"),
            ("0.0", 6, "0"),
            ("0", 6, "0"),
            ("0.000283333333333", 6, "283.333333333"),
            ("1.1", 0, "1.1"),
            ("-3e-6", 6, "-3"),
            ("12345678901234567890.5", 6, "12345678901234567890500000"),
        ] {
            assert_eq!(shifted(number, places).as_deref(), Some(expected), "{number}");
        }
        for wrong in [
            "", "-", "e5", ".5", "1e", "1e99", "1e-99", "NaN", "Infinity", "\"1\"", "1,5", "0x1", "true",
            "[1]",
        ] {
            assert_eq!(shifted(wrong, 6), None, "{wrong}");
        }
    }

    proptest! {
        /// M1: however a number is written, it is the same decimal.
        #[test]
        fn m1_every_spelling_of_a_number_is_the_same_decimal(mantissa in 0..10_000_000_000_i64, exponent in -12..3_i32) {
            let exact = if exponent < 0 {
                Decimal::from_i128_with_scale(mantissa.into(), exponent.unsigned_abs())
            } else {
                Decimal::from(mantissa) * Decimal::from(10_i64.pow(exponent.unsigned_abs()))
            };
            let expected = (exact * Decimal::from(1_000_000)).normalize().to_string();
            let digits = mantissa.to_string();
            let (first, rest) = digits.split_at(1);
            let scientific = exponent + rest.len() as i32;
            for spelling in [
                format!("{mantissa}e{exponent}"),
                format!("{mantissa}.0E{exponent:+03}"),
                format!("{first}.{rest}0e{scientific}"),
                exact.to_string(),
            ] {
                prop_assert_eq!(shifted(&spelling, 6), Some(expected.clone()), "{}", spelling);
            }
        }

        #[test]
        fn any_text_is_a_number_or_not(text in ".{0,80}", places in -10..10_i32) {
            let _ = shifted(&text, places);
        }
    }
}
