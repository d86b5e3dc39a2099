use std::fmt;

use weighbridge_units::NanoUsd;

/// What an account counts. Accounts of different measures are never joined by a transfer, so that each book
/// balances in each of them (rule L1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Measure {
    /// Nano-dollars.
    Usd = 0,
    /// Tokens of the prompt and of the answer.
    Tokens = 1,
    /// Attempts that somebody pays for.
    Requests = 2,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 3] = [Self::Usd, Self::Tokens, Self::Requests];

    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    /// The measure of that number, as the journal writes it.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| *measure as u8 == code)
    }

    /// A quantity of this measure, for people: `0.000012500 USD`, `900 tokens`.
    pub const fn show(self, quantity: Quantity) -> impl fmt::Display {
        Shown { measure: self, quantity }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

struct Shown {
    measure: Measure,
    quantity: Quantity,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measure {
            Measure::Usd => write!(f, "{} USD", self.quantity.usd()),
            measure => write!(f, "{} {measure}", self.quantity.get()),
        }
    }
}

/// So many of what an account counts, see [`crate::AccountId::measure`]. Arithmetic is checked (rule M4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Quantity(i64);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most.
    pub const MAX: Self = Self(i64::MAX);

    /// So many.
    pub const fn new(count: i64) -> Self {
        Self(count)
    }

    /// A count; what does not fit is the most.
    pub fn of_count(count: u64) -> Self {
        Self(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The number, of an account that counts [`Measure::Usd`].
    pub const fn usd(self) -> NanoUsd {
        NanoUsd::new(self.0)
    }

    /// `self + other`, if it fits.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// `self - other`, if it fits.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl From<NanoUsd> for Quantity {
    fn from(amount: NanoUsd) -> Self {
        Self(amount.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_shown_in_their_measure() {
        let shown = Measure::ALL.map(|measure| measure.show(Quantity::new(12_500)).to_string());
        assert_eq!(shown, ["0.000012500 USD", "12500 tokens", "12500 requests"]);
    }
}
