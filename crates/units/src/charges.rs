use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use thiserror::Error;

use crate::money::{NanoUsd, Usd};

/// Why something is no charge.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChargesError {
    /// Not a plain decimal, or more than four decimals.
    #[error("`{0}` is no percentage: write a decimal with at most four decimals, such as \"20\" or \"-2.5\"")]
    NotAPercentage(String),
    /// Below −100 or above 10000.
    #[error("{0} % is out of range: a percentage is from -100, which is free, to 10000")]
    PercentageOutOfRange(String),
    /// An amount below zero, or above [`Charges::AMOUNT_MAX`].
    #[error("{amount} {per} is out of range: an amount is \"0\" or more, and at most 10000000 dollars")]
    AmountOutOfRange {
        /// The amount in dollars.
        amount: NanoUsd,
        /// Per what it is charged.
        per: &'static str,
    },
    /// A text that [`Charges`] does not write.
    #[error("`{0}` is no text of charges: write it as \"20% + 0.001/request + 0.1/Mprompt + 0.2/Manswer\"")]
    NotCharges(String),
}

/// A percentage with at most four decimals, from −100 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Percent(i32);

impl Percent {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// In ten-thousandths of a percent, which are millionths of the whole.
    const SCALE: u32 = 4;
    const LEAST: i32 = -1_000_000;
    const MOST: i32 = 100_000_000;

    /// The percentage as a share of the whole, exactly: 20 % is 0.2.
    pub fn share(self) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(self.0), Self::SCALE + 2)
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl FromStr for Percent {
    type Err = ChargesError;

    /// Reads a plain decimal such as `20` or `-2.5`, exactly or not at all.
    fn from_str(text: &str) -> Result<Self, ChargesError> {
        let wrong = || ChargesError::NotAPercentage(text.to_owned());
        let exact: Usd = text.parse().map_err(|_| wrong())?;
        let out_of_range = || ChargesError::PercentageOutOfRange(text.to_owned());
        let scaled = exact.get().checked_mul(Decimal::from(10_000)).ok_or_else(out_of_range)?.normalize();
        if scaled.scale() > 0 {
            return Err(wrong());
        }
        let fits = |units: &i32| (Self::LEAST..=Self::MOST).contains(units);
        i32::try_from(scaled.mantissa()).ok().filter(fits).map(Self).ok_or_else(out_of_range)
    }
}

impl fmt::Display for Percent {
    /// Without trailing zeros and without the sign `%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::from_i128_with_scale(i128::from(self.0), Self::SCALE).normalize().fmt(f)
    }
}

/// What is added to a provider's cost: a percentage of it, an amount for each request, and amounts for tokens.
///
/// For requests on the installation's credentials that is a mark-up, or below zero a discount; for those on a
/// tenant's own it is a surcharge. Nothing at all is a flat subscription. The text form is what stores and
/// records keep: `20% + 0.001/request + 0.1/Mprompt + 0.2/Manswer`, parts that are zero left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Charges {
    percent: Percent,
    per_request: NanoUsd,
    per_million_prompt: NanoUsd,
    per_million_answer: NanoUsd,
}

impl Charges {
    /// Nothing is added.
    pub const NONE: Self = Self {
        percent: Percent::ZERO,
        per_request: NanoUsd::ZERO,
        per_million_prompt: NanoUsd::ZERO,
        per_million_answer: NanoUsd::ZERO,
    };

    /// The most that one amount can be: ten million dollars, so that amounts of tokens are exact (rule M2).
    pub const AMOUNT_MAX: NanoUsd = NanoUsd::new(10_000_000_000_000_000);

    /// A percentage of the cost, and nothing else.
    pub const fn of_cost(percent: Percent) -> Self {
        Self { percent, ..Self::NONE }
    }

    /// The same with so many dollars for each request.
    ///
    /// # Errors
    /// [`ChargesError::AmountOutOfRange`].
    pub fn with_request(self, per_request: NanoUsd) -> Result<Self, ChargesError> {
        Ok(Self { per_request: in_range(per_request, "per request")?, ..self })
    }

    /// The same with so many dollars for a million tokens of prompts, cached ones included.
    ///
    /// # Errors
    /// [`ChargesError::AmountOutOfRange`].
    pub fn with_million_prompt(self, amount: NanoUsd) -> Result<Self, ChargesError> {
        Ok(Self { per_million_prompt: in_range(amount, "per million prompt tokens")?, ..self })
    }

    /// The same with so many dollars for a million tokens of answers, reasoning included.
    ///
    /// # Errors
    /// [`ChargesError::AmountOutOfRange`].
    pub fn with_million_answer(self, amount: NanoUsd) -> Result<Self, ChargesError> {
        Ok(Self { per_million_answer: in_range(amount, "per million answer tokens")?, ..self })
    }

    /// The same with another percentage.
    #[must_use]
    pub const fn with_percent(self, percent: Percent) -> Self {
        Self { percent, ..self }
    }

    /// The percentage of the provider's cost.
    pub const fn percent(self) -> Percent {
        self.percent
    }

    /// Dollars for each request.
    pub const fn per_request(self) -> NanoUsd {
        self.per_request
    }

    /// Dollars for a million tokens of prompts.
    pub const fn per_million_prompt(self) -> NanoUsd {
        self.per_million_prompt
    }

    /// Dollars for a million tokens of answers.
    pub const fn per_million_answer(self) -> NanoUsd {
        self.per_million_answer
    }

    /// Whether nothing is added.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

fn in_range(amount: NanoUsd, per: &'static str) -> Result<NanoUsd, ChargesError> {
    let fits = !amount.is_negative() && amount <= Charges::AMOUNT_MAX;
    fits.then_some(amount).ok_or(ChargesError::AmountOutOfRange { amount, per })
}

impl fmt::Display for Charges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent)?;
        for (amount, unit) in [
            (self.per_request, "request"),
            (self.per_million_prompt, "Mprompt"),
            (self.per_million_answer, "Manswer"),
        ] {
            if amount != NanoUsd::ZERO {
                write!(f, " + {}/{unit}", Usd::from(amount))?;
            }
        }
        Ok(())
    }
}

impl FromStr for Charges {
    type Err = ChargesError;

    /// Reads what [`Charges`] writes; parts may be left out, none may stand twice.
    fn from_str(text: &str) -> Result<Self, ChargesError> {
        let wrong = || ChargesError::NotCharges(text.to_owned());
        let mut charges = Self::NONE;
        let mut seen = [false; 4];
        for part in text.split(" + ") {
            let place = if let Some(percent) = part.strip_suffix('%') {
                charges.percent = percent.parse()?;
                0
            } else {
                let (amount, unit) = part.split_once('/').ok_or_else(wrong)?;
                let amount: NanoUsd = amount.parse().map_err(|_| wrong())?;
                let (with, place) = match unit {
                    "request" => (charges.with_request(amount)?, 1),
                    "Mprompt" => (charges.with_million_prompt(amount)?, 2),
                    "Manswer" => (charges.with_million_answer(amount)?, 3),
                    _ => return Err(wrong()),
                };
                charges = with;
                place
            };
            if std::mem::replace(&mut seen[place], true) {
                return Err(wrong());
            }
        }
        Ok(charges)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn percent(text: &str) -> Result<Percent, ChargesError> {
        text.parse()
    }

    #[test]
    fn m1_percentages_are_read_exactly_or_not_at_all() {
        assert_eq!(percent("20").unwrap().share(), Decimal::new(2, 1));
        assert_eq!(percent("-2.5").unwrap().share(), Decimal::new(-25, 3));
        assert_eq!(percent("0.0001").unwrap().share(), Decimal::new(1, 6));
        for wrong in ["", "20%", "1e1", "NaN", "0.00001", " 5"] {
            assert_eq!(percent(wrong), Err(ChargesError::NotAPercentage(wrong.into())), "{wrong}");
        }
        for beyond in ["-100.0001", "10000.0001", "79228162514264337593543950335"] {
            assert_eq!(percent(beyond), Err(ChargesError::PercentageOutOfRange(beyond.into())), "{beyond}");
        }
    }

    #[test]
    fn amounts_are_bounded() {
        assert!(Charges::NONE.with_request(NanoUsd::new(-1)).is_err());
        assert!(Charges::NONE.with_million_prompt(Charges::AMOUNT_MAX).is_ok());
        assert!(Charges::NONE.with_million_answer(NanoUsd::new(Charges::AMOUNT_MAX.get() + 1)).is_err());
    }

    #[test]
    fn texts_that_say_something_else_are_refused() {
        for wrong in ["", "20", "20% + 5%", "1/request + 1/request", "1/token", "-1/request", "20%+1/request"]
        {
            assert!(wrong.parse::<Charges>().is_err(), "{wrong:?}");
        }
        assert_eq!("0.5/request".parse::<Charges>().unwrap().to_string(), "0% + 0.5/request");
    }

    proptest! {
        #[test]
        fn text_round_trips(
            percent in Percent::LEAST..=Percent::MOST,
            amounts in [0..=Charges::AMOUNT_MAX.get(), 0..=Charges::AMOUNT_MAX.get(), 0..=1_000_000_000_i64],
        ) {
            let [request, prompt, answer] = amounts.map(NanoUsd::new);
            let charges = Charges::of_cost(Percent(percent)).with_request(request).unwrap();
            let charges = charges.with_million_prompt(prompt).unwrap().with_million_answer(answer).unwrap();
            prop_assert_eq!(charges.to_string().parse::<Charges>(), Ok(charges));
        }
    }
}
