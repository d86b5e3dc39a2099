use std::fmt;

use weighbridge_units::{Bucket, NanoUsd, Usd};

use crate::error::PriceError;
use crate::rate::Rate;
use crate::tier::ServiceTier;
use crate::version::PriceVersion;

/// One line of a [`Breakdown`]: so many units of a bucket at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// What was used.
    pub bucket: Bucket,
    /// How much of it.
    pub count: u64,
    /// At which rate.
    pub rate: Rate,
    /// Whose rate it is: another bucket's where this one has none of its own.
    pub rate_of: Bucket,
    /// Count × rate, exactly.
    pub amount: Usd,
}

/// A cost, line by line: the items and [`Breakdown::rounding`] add up to what is posted (rule M3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breakdown {
    /// The lines, in the order of [`Bucket::ALL`]; buckets of which nothing was used have none.
    pub items: Vec<Item>,
    /// The sum of the items, before rounding.
    pub exact: Usd,
    /// The sum, rounded once, half to even, to whole nano-dollars.
    pub posted: NanoUsd,
    /// `posted - exact`: within half a nano-dollar of zero.
    pub rounding: Usd,
    /// The version of the price book.
    pub version: PriceVersion,
    /// The service tier.
    pub tier: ServiceTier,
    /// The context tier: the prompt had more than this many tokens. 0 is the lowest tier.
    pub context_above: u64,
}

impl Breakdown {
    pub(crate) fn new(version: PriceVersion, tier: ServiceTier, context_above: u64) -> Self {
        Self {
            items: Vec::with_capacity(4),
            exact: Usd::ZERO,
            posted: NanoUsd::ZERO,
            rounding: Usd::ZERO,
            version,
            tier,
            context_above,
        }
    }

    pub(crate) fn push(&mut self, item: Item) -> Result<(), PriceError> {
        self.exact = self.exact.plus(item.amount)?;
        self.items.push(item);
        Ok(())
    }

    /// Rounds, and names what the rounding added.
    pub(crate) fn close(&mut self) -> Result<(), PriceError> {
        self.posted = self.exact.post()?;
        self.rounding = Usd::from(self.posted).plus(Usd::new(-self.exact.get()))?;
        Ok(())
    }
}

impl fmt::Display for Breakdown {
    /// A line per item, then rounding and total, in dollars.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Item { bucket, count, rate, rate_of, amount } in &self.items {
            write!(f, "{bucket} {count} × {rate}/M")?;
            if rate_of != bucket {
                write!(f, " (as {rate_of})")?;
            }
            writeln!(f, " = {amount}")?;
        }
        writeln!(f, "rounding = {}", self.rounding)?;
        write!(f, "total = {} ({}, prices {})", self.posted, self.tier, self.version)
    }
}
