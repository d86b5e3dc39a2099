//! What a period would have cost by another price book.

use std::collections::BTreeMap;

use weighbridge_units::{MoneyError, NanoUsd, Timestamp, Usage};

use crate::book::PriceBook;
use crate::tier::ServiceTier;

/// An attempt as a log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    /// Who asked.
    pub tenant: String,
    /// What was asked, as reports call it: `provider/model`.
    pub target: String,
    /// What it was priced by; `None` where no price was known, or what was reserved was posted.
    pub priced: Option<PricedBy>,
    /// What was used.
    pub usage: Usage,
    /// What was posted.
    pub cost: NanoUsd,
}

/// The place of a card in a price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedBy {
    /// The provider in the book.
    pub provider: String,
    /// The model in the book.
    pub model: String,
    /// The service tier, by its name.
    pub tier: String,
    /// When: the instant at which the attempt was pinned to its card.
    pub at: Timestamp,
}

/// What one tenant's attempts at one model cost, and would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rerated {
    /// How many there are.
    pub attempts: u64,
    /// What was posted for them.
    pub before: NanoUsd,
    /// What the book posts for them.
    pub after: NanoUsd,
    /// How many would cost something else.
    pub changed: u64,
    /// How many the book cannot price, or were not priced by a book at first: their cost stays what it was.
    pub unpriced: u64,
}

impl Rerated {
    /// What the book makes of it: positive where it is dearer.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn difference(&self) -> Result<NanoUsd, MoneyError> {
        self.after.minus(self.before)
    }
}

/// Prices the attempts of a period again, and adds up by tenant and target. Nothing else is touched.
///
/// By the book that an attempt was pinned to, each costs exactly what was posted (rule P1).
#[derive(Debug, Clone, Default)]
pub struct Rerating {
    sums: BTreeMap<(String, String), Rerated>,
}

impl Rerating {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Prices one more attempt.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] where a sum does not fit; it then lacks the attempt.
    pub fn add(&mut self, book: &PriceBook, attempt: &PastAttempt) -> Result<(), MoneyError> {
        let price = attempt.priced.as_ref().and_then(|by| reprice(book, by, &attempt.usage));
        let after = price.unwrap_or(attempt.cost);
        let sum = self.sums.entry((attempt.tenant.clone(), attempt.target.clone())).or_default();
        let (before, after_sum) = (sum.before.plus(attempt.cost)?, sum.after.plus(after)?);
        *sum = Rerated {
            attempts: sum.attempts + 1,
            before,
            after: after_sum,
            changed: sum.changed + u64::from(after != attempt.cost),
            unpriced: sum.unpriced + u64::from(price.is_none()),
        };
        Ok(())
    }

    /// The sums by tenant and target, sorted.
    pub fn sums(&self) -> impl Iterator<Item = (&str, &str, &Rerated)> {
        self.sums.iter().map(|((tenant, target), sum)| (&**tenant, &**target, sum))
    }

    /// The sum of all.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn total(&self) -> Result<Rerated, MoneyError> {
        self.sums.values().try_fold(Rerated::default(), |total, sum| {
            Ok(Rerated {
                attempts: total.attempts + sum.attempts,
                before: total.before.plus(sum.before)?,
                after: total.after.plus(sum.after)?,
                changed: total.changed + sum.changed,
                unpriced: total.unpriced + sum.unpriced,
            })
        })
    }
}

fn reprice(book: &PriceBook, by: &PricedBy, usage: &Usage) -> Option<NanoUsd> {
    let tier = ServiceTier::from_name(&by.tier)?;
    let card = book.find_as_priced(&by.provider, &by.model, tier, by.at);
    card?.cost(usage).ok().map(|cost| cost.posted)
}
