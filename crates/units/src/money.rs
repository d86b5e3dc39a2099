use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use thiserror::Error;

/// Why an amount of money could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// The result does not fit; nothing was changed.
    #[error("the amount does not fit: keep it below 9.2 billion dollars")]
    Overflow,
    /// The text is not a plain decimal.
    #[error("`{0}` is not a decimal amount: write it as a string such as \"12.50\"")]
    NotADecimal(String),
    /// The text has more decimals than a dollar amount may have.
    #[error("`{0}` has more decimals than nano-dollars can hold: give at most nine")]
    TooPrecise(String),
}

/// Whole nano-dollars (10⁻⁹ USD): what the ledger posts.
///
/// Arithmetic is checked, and there is no other: an operation that would overflow is an error and
/// changes nothing (rule M4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct NanoUsd(i64);

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// From whole nano-dollars.
    pub const fn new(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole dollars.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] above 9.2 billion dollars.
    pub fn from_dollars(dollars: i64) -> Result<Self, MoneyError> {
        dollars.checked_mul(1_000_000_000).map(Self).ok_or(MoneyError::Overflow)
    }

    /// The number of nano-dollars.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] where the sum does not fit.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::Overflow)
    }

    /// `self - other`.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] where the difference does not fit.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_sub(other.0).map(Self).ok_or(MoneyError::Overflow)
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars with nine decimals and no sign of the currency: `0.000012500`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

impl FromStr for NanoUsd {
    type Err = MoneyError;

    /// Reads a dollar amount such as `12.50`, exactly.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let exact: Usd = text.parse()?;
        let nanos = exact.0.checked_mul(NANOS_PER_DOLLAR).ok_or(MoneyError::Overflow)?;
        if !nanos.fract().is_zero() {
            return Err(MoneyError::TooPrecise(text.to_owned()));
        }
        i64::try_from(nanos.trunc().mantissa_at_scale_zero()).map(Self).map_err(|_| MoneyError::Overflow)
    }
}

const NANOS_PER_DOLLAR: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);

/// An exact dollar amount, as calculated from rates and counts, before it is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Usd(Decimal);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// From an exact decimal.
    pub const fn new(dollars: Decimal) -> Self {
        Self(dollars)
    }

    /// The exact decimal.
    pub const fn get(self) -> Decimal {
        self.0
    }

    /// `self + other`, exactly.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] where the sum cannot be held without rounding.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        let sum = self.0.checked_add(other.0).ok_or(MoneyError::Overflow)?;
        // rust_decimal shortens a sum that needs more than 96 bits, which its scale tells; taking a term away again shows
        // whether anything but zeros was lost.
        let exact = sum.scale() >= self.0.scale().max(other.0.scale())
            || (sum.checked_sub(other.0) == Some(self.0) && sum.checked_sub(self.0) == Some(other.0));
        exact.then_some(Self(sum)).ok_or(MoneyError::Overflow)
    }

    /// Rounds to whole nano-dollars, half to even: the one place where a cost is rounded (rule M3).
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] above 9.2 billion dollars.
    pub fn post(self) -> Result<NanoUsd, MoneyError> {
        let nanos = self.0.checked_mul(NANOS_PER_DOLLAR).ok_or(MoneyError::Overflow)?;
        let whole = nanos.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
        i64::try_from(whole.mantissa_at_scale_zero()).map(NanoUsd).map_err(|_| MoneyError::Overflow)
    }
}

impl From<NanoUsd> for Usd {
    fn from(posted: NanoUsd) -> Self {
        Self(Decimal::from_i128_with_scale(i128::from(posted.0), 9))
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl FromStr for Usd {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        Decimal::from_str_exact(text).map(Self).map_err(|_| MoneyError::NotADecimal(text.to_owned()))
    }
}

/// The whole number that a decimal without fraction stands for.
trait WholeMantissa {
    fn mantissa_at_scale_zero(self) -> i128;
}

impl WholeMantissa for Decimal {
    fn mantissa_at_scale_zero(self) -> i128 {
        let normal = self.normalize();
        debug_assert_eq!(normal.scale(), 0, "only whole numbers are asked for");
        normal.mantissa()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn m3_rounds_half_to_even() {
        for (text, nanos) in [
            ("0.0000000005", 0),
            ("0.0000000015", 2),
            ("0.0000000025", 2),
            ("-0.0000000015", -2),
            ("0.00000000150000000001", 2),
            ("0.00000000249999999999", 2),
            ("3", 3_000_000_000),
        ] {
            assert_eq!(text.parse::<Usd>().unwrap().post().unwrap(), NanoUsd::new(nanos), "{text}");
        }
    }

    #[test]
    fn m4_overflow_is_refused() {
        assert_eq!(NanoUsd::MAX.plus(NanoUsd::new(1)), Err(MoneyError::Overflow));
        assert_eq!(NanoUsd::new(i64::MIN).minus(NanoUsd::new(1)), Err(MoneyError::Overflow));
        assert_eq!("9223372037".parse::<NanoUsd>(), Err(MoneyError::Overflow));
        assert_eq!("9223372037".parse::<Usd>().unwrap().post(), Err(MoneyError::Overflow));
    }

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        assert_eq!("12.50".parse(), Ok(NanoUsd::new(12_500_000_000)));
        assert_eq!("0.0000000001".parse::<NanoUsd>(), Err(MoneyError::TooPrecise("0.0000000001".into())));
        for text in ["", "1e3", "NaN", "1,5", "$1"] {
            assert_eq!(text.parse::<NanoUsd>(), Err(MoneyError::NotADecimal(text.into())), "{text}");
        }
    }

    /// An amount in units of the smallest there is, 10⁻²⁸ dollars, as its rest by a prime. That of a sum which lost
    /// anything is another one, but for one chance in 10¹⁸.
    fn rest(amount: Usd) -> i128 {
        const PRIME: i128 = (1 << 61) - 1;
        let units = amount.get().mantissa() % PRIME;
        (amount.get().scale()..28).fold(units, |units, _| units * 10 % PRIME).rem_euclid(PRIME)
    }

    fn any_amount() -> impl Strategy<Value = Usd> {
        let bits = prop_oneof![0..40_u32, 60..=96_u32];
        (any::<u128>(), bits, any::<bool>(), 0..=28_u32).prop_map(|(bits, most, is_negative, scale)| {
            let mantissa = (bits & ((1 << most) - 1)) as i128;
            Usd::new(Decimal::from_i128_with_scale(if is_negative { -mantissa } else { mantissa }, scale))
        })
    }

    proptest! {
        /// M1: a sum is what its terms are together, to the last digit, or refused; one of amounts as they occur is there.
        #[test]
        fn m1_a_sum_is_exact_or_refused(one in any_amount(), other in any_amount()) {
            let sum = one.plus(other);
            if let Ok(sum) = sum {
                prop_assert_eq!(rest(sum), (rest(one) + rest(other)) % ((1 << 61) - 1), "{} + {} = {}", one, other, sum);
            }
            let is_usual = |amount: Usd| amount.get().scale() <= 15 && amount.get().mantissa().abs() < 1 << 40;
            prop_assert!(sum.is_ok() || !is_usual(one) || !is_usual(other), "{} + {}", one, other);
        }

        /// M1: an amount is read to the last of nine decimals, or refused: nothing is rounded on the way.
        #[test]
        fn m1_an_amount_is_read_exactly_or_refused(
            is_negative: bool, whole in 0..=20_000_000_000_u64, decimals in "[0-9]{0,9}", more in "(0{1,6}|[0-9]{0,9})?",
        ) {
            let sign = if is_negative { "-" } else { "" };
            let text = format!("{sign}{whole}.{decimals}{more}0");
            // Decimals behind the ninth say nothing where they are zeros.
            let beyond = format!("{decimals}{more}");
            let is_plain = beyond.bytes().skip(9).all(|digit| digit == b'0');
            let padded: String = format!("{beyond:0<9}").chars().take(9).collect();
            let expected = if is_plain {
                let digits: i128 = format!("{whole}{padded}").parse().unwrap();
                let nanos = if is_negative { -digits } else { digits };
                i64::try_from(nanos).map(NanoUsd::new).map_err(|_| MoneyError::Overflow)
            } else {
                Err(MoneyError::TooPrecise(text.clone()))
            };
            match (text.parse::<NanoUsd>(), expected) {
                // What is both too large and too precise is refused as either.
                (Err(_), Err(_)) => {}
                (read, expected) => prop_assert_eq!(read, expected),
            }
        }

        /// Whatever a text holds, it is an amount of plain digits or refused.
        #[test]
        fn m1_what_is_not_plain_digits_is_no_amount(text in "[-+]?[0-9.,eExX_ NaInf$]{0,12}") {
            let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
            let is_plain = unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'_');
            if text.parse::<NanoUsd>().is_ok() {
                prop_assert!(is_plain && unsigned.bytes().any(|b| b.is_ascii_digit()), "{}", text);
            }
        }

        #[test]
        fn text_round_trips(nanos in any::<i64>()) {
            let amount = NanoUsd::new(nanos);
            prop_assert_eq!(amount.to_string().parse::<NanoUsd>(), Ok(amount));
            prop_assert_eq!(Usd::from(amount).post(), Ok(amount));
        }
    }
}
