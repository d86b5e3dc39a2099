use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use thiserror::Error;
use weighbridge_units::{MoneyError, Usd};

/// Counts of one bucket stay below this (2⁴⁰), so that rate × count is exact (rule M2).
pub const COUNT_LIMIT: u64 = 1 << 40;

/// A rate per million units has at most this many decimals.
const DECIMALS_MAX: u32 = 6;

/// A rate is at most this many dollars per million units. With six decimals that is a mantissa of
/// 10¹⁶ (rule M2), so that a product with a count below [`COUNT_LIMIT`] stays below 2⁹⁶.
const DOLLARS_MAX: Decimal = Decimal::from_parts(1_410_065_408, 2, 0, false, 0);

/// A rate per unit that a factor was folded into has at most this many decimals (rule M2).
const FOLDED_DECIMALS_MAX: u32 = 15;

/// And its mantissa is at most this, so that a product with a count below [`COUNT_LIMIT`] fits (rule M2).
const FOLDED_MANTISSA_MAX: i128 = 10_000_000_000_000_000;

/// Longer texts cannot be rates, and would not fit into a decimal.
const LENGTH_MAX: usize = 28;

const MILLION: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// Why a text is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RateError {
    /// Exponents, signs, separators, `NaN`, spaces and the like.
    #[error("`{0}` is not a plain decimal: write dollars per million units, such as \"2.50\"")]
    NotADecimal(String),
    /// A rate is zero or more.
    #[error("`{0}` is negative: a rate is \"0\" or more")]
    Negative(String),
    /// More decimals than [`Rate`] allows.
    #[error("`{0}` has more than six decimals: give dollars per million units")]
    TooManyDecimals(String),
    /// Larger than exact arithmetic allows.
    #[error(
        "`{0}` is too large to multiply exactly: a rate is at most 10000000000 dollars per million units"
    )]
    TooLarge(String),
    /// A rate and a factor whose product has more digits than exact arithmetic allows.
    #[error("{rate} × {factor} has too many digits to multiply exactly: give the rate itself")]
    Inexact {
        /// Dollars per million units.
        rate: String,
        /// What it was to be multiplied by.
        factor: String,
    },
}

/// What the rates of a region are multiplied by: above zero and at most a thousand, with at most six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor(Decimal);

impl Factor {
    /// Twice as much.
    pub const TWO: Self = Self(Decimal::TWO);

    /// Whether it makes dearer.
    pub fn is_above_one(self) -> bool {
        self.0 > Decimal::ONE
    }

    /// The exact decimal.
    pub const fn get(self) -> Decimal {
        self.0
    }
}

impl FromStr for Factor {
    type Err = RateError;

    /// Reads a plain decimal such as `1.1`, exactly or not at all.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let factor: Rate = text.parse()?;
        match factor.per_million() {
            factor if factor.is_zero() => Err(RateError::NotADecimal(text.to_owned())),
            factor if factor > Decimal::ONE_THOUSAND => Err(RateError::TooLarge(text.to_owned())),
            factor => Ok(Self(factor)),
        }
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Dollars per million units of a bucket: a decimal with at most six decimals, never negative.
///
/// Held per single unit (scale 12 at most), so that a cost is one multiplication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Rate(Decimal);

impl Rate {
    /// Free of charge, which is not the same as without a price.
    pub const FREE: Self = Self(Decimal::ZERO);

    /// Dollars per single unit.
    pub const fn per_unit(self) -> Usd {
        Usd::new(self.0)
    }

    /// Dollars per million units.
    pub fn per_million(self) -> Decimal {
        // Never saturates: a rate is at most 10⁴ dollars per unit.
        self.0.saturating_mul(MILLION).normalize()
    }

    /// The rate with a factor folded in, exactly.
    ///
    /// # Errors
    /// [`RateError::Inexact`] where the product does not keep to the bounds of rule M2.
    pub fn by(self, factor: Factor) -> Result<Self, RateError> {
        let inexact = || RateError::Inexact { rate: self.to_string(), factor: factor.to_string() };
        // A mantissa of at most 10¹⁶ times one of at most 10⁹ fits into 96 bits, and 21 decimals into a scale.
        let product = self.0.checked_mul(factor.0).ok_or_else(inexact)?.normalize();
        let fits = product.scale() <= FOLDED_DECIMALS_MAX && product.mantissa() <= FOLDED_MANTISSA_MAX;
        if fits { Ok(Self(product)) } else { Err(inexact()) }
    }

    /// The exact amount for `count` units.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] where `count` is not below [`COUNT_LIMIT`].
    pub fn times(self, count: u64) -> Result<Usd, MoneyError> {
        if count >= COUNT_LIMIT {
            return Err(MoneyError::Overflow);
        }
        self.0.checked_mul(Decimal::from(count)).map(Usd::new).ok_or(MoneyError::Overflow)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// Reads dollars per million units, such as `0.075`, exactly or not at all.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let digits_and_dots = |c: char| c.is_ascii_digit() || c == '.';
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        if unsigned.is_empty() || !unsigned.chars().all(digits_and_dots) {
            return Err(RateError::NotADecimal(text.to_owned()));
        }
        let decimals = unsigned.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if decimals > DECIMALS_MAX as usize {
            return Err(RateError::TooManyDecimals(text.to_owned()));
        }
        if unsigned.len() > LENGTH_MAX {
            return Err(RateError::TooLarge(text.to_owned()));
        }
        let per_million =
            Decimal::from_str_exact(unsigned).map_err(|_| RateError::NotADecimal(text.to_owned()))?;
        if unsigned.len() != text.len() && !per_million.is_zero() {
            return Err(RateError::Negative(text.to_owned()));
        }
        let mut per_million = per_million.normalize();
        if per_million > DOLLARS_MAX {
            return Err(RateError::TooLarge(text.to_owned()));
        }
        // Moving the point by six places is exact: the scale grows from at most 6 to at most 12.
        per_million
            .set_scale(per_million.scale() + 6)
            .map_err(|_| RateError::TooManyDecimals(text.to_owned()))?;
        Ok(Self(per_million))
    }
}

impl fmt::Display for Rate {
    /// Dollars per million units: `0.075`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.per_million().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn m2_the_limit_is_ten_billion() {
        assert_eq!(DOLLARS_MAX, Decimal::from(10_000_000_000_u64));
        assert!("10000000000".parse::<Rate>().is_ok());
        let above = "10000000000.000001".to_owned();
        assert_eq!(above.parse::<Rate>(), Err(RateError::TooLarge(above)));
    }

    #[test]
    fn m2_the_largest_product_is_exact() {
        let rate: Rate = "9999999999.999999".parse().unwrap();
        let expected = 9_999_999_999_999_999_i128 * i128::from(COUNT_LIMIT - 1);
        assert_eq!(rate.times(COUNT_LIMIT - 1).unwrap().get(), Decimal::from_i128_with_scale(expected, 12));
        assert_eq!(rate.times(COUNT_LIMIT), Err(MoneyError::Overflow));
    }

    #[test]
    fn m2_factors_are_plain_positive_decimals() {
        assert_eq!("1.1".parse::<Factor>().unwrap().to_string(), "1.1");
        for text in ["0", "-1", "1e1", "1001", "1.0000001", "NaN", ""] {
            assert!(text.parse::<Factor>().is_err(), "{text}");
        }
        assert!("1000".parse::<Factor>().is_ok());
        let dearer = |text: &str| text.parse::<Factor>().unwrap().is_above_one();
        assert_eq!(["0.9", "1", "1.000001"].map(dearer), [false, false, true]);
        // As long as a number may be, with zeros that say nothing.
        assert!(format!("{}1", "0".repeat(LENGTH_MAX - 1)).parse::<Rate>().is_ok());
        assert!(format!("{}1", "0".repeat(LENGTH_MAX)).parse::<Rate>().is_err());
        let rate: Rate = "0.000001".parse().unwrap();
        assert_eq!(rate.by("1.001".parse().unwrap()).unwrap().to_string(), "0.000001001");
        assert!(rate.by("1.0001".parse().unwrap()).is_err(), "16 decimals per unit");
    }

    #[test]
    fn m7_zero_is_a_rate() {
        assert_eq!("0".parse(), Ok(Rate::FREE));
        assert_eq!("0.000000".parse(), Ok(Rate::FREE));
        assert_eq!("-0".parse(), Ok(Rate::FREE));
    }

    #[test]
    fn m1_what_is_not_plain_text_is_refused() {
        for text in [
            "", "-", ".", "1e3", "1E-3", "NaN", "inf", "+1", "1,5", "1_000", " 1", "1 ", "0x1", "1.2.3", "$1",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(RateError::NotADecimal(text.into())), "{text}");
        }
        assert_eq!("-0.5".parse::<Rate>(), Err(RateError::Negative("-0.5".into())));
        assert_eq!("0.0000001".parse::<Rate>(), Err(RateError::TooManyDecimals("0.0000001".into())));
        assert_eq!("1.0000000".parse::<Rate>(), Err(RateError::TooManyDecimals("1.0000000".into())));
        let huge = "9".repeat(60);
        assert_eq!(huge.parse::<Rate>(), Err(RateError::TooLarge(huge)));
    }

    proptest! {
        #[test]
        fn m1_text_round_trips(micros in 0..=10_000_000_000_000_000_u64) {
            let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            let rate: Rate = text.parse().unwrap();
            prop_assert_eq!(rate.per_unit().get(), Decimal::from_i128_with_scale(micros.into(), 12));
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }

        /// M2: a factor is folded in exactly or not at all, and what comes out still multiplies exactly.
        #[test]
        fn m2_a_folded_rate_is_exact(
            micros in 0..=10_000_000_000_000_000_u64, factor in 1..2_000_000_u64, count in 0..COUNT_LIMIT,
        ) {
            let rate: Rate = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000).parse().unwrap();
            let text = format!("{}.{:06}", factor / 1_000_000, factor % 1_000_000);
            let exact = i128::from(micros) * i128::from(factor); // 10⁻¹⁸ dollars per unit
            match rate.by(text.parse().unwrap()) {
                Ok(folded) => {
                    let amount = folded.times(count).unwrap().get();
                    let scale = 18 - amount.scale();
                    prop_assert_eq!(amount.mantissa() * 10_i128.pow(scale), exact * i128::from(count));
                }
                Err(error) => {
                    let is_inexact = matches!(error, RateError::Inexact { .. });
                    prop_assert!(is_inexact);
                    let shortest = Decimal::from_i128_with_scale(exact, 18).normalize();
                    prop_assert!(shortest.scale() > 15 || shortest.mantissa() > 10_000_000_000_000_000);
                }
            }
        }

        #[test]
        fn any_text_is_a_rate_or_an_error(text in ".{0,40}") {
            let _ = text.parse::<Rate>();
        }
    }
}
