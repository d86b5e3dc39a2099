use weighbridge_units::{AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Usage, Usd};

use crate::{EntityId, Used};

/// What a roll-up adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RollupKey {
    /// The virtual key.
    pub key: KeyId,
    /// The provider's name.
    pub provider: EntityId,
    /// The model's name.
    pub model: EntityId,
    /// The hour in which the attempts were opened, since the Unix epoch.
    pub hour: i64,
}

/// The sum over all attempts of one key at one model in one hour, or a change of that sum.
///
/// Sums saturate: they are reports, and the journal has the truth. Only a change is ever negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rollup {
    /// Attempts, failed ones included.
    pub attempts: i64,
    /// Attempts that succeeded (rule A2: a failed one never counts here).
    pub succeeded: i64,
    /// Attempts whose usage was estimated, because nobody told.
    pub estimated: i64,
    /// Used, by bucket, in the order of [`Bucket::ALL`].
    pub counts: [i64; Bucket::ALL.len()],
    /// The providers' cost.
    pub cost: NanoUsd,
    /// What the tenant was charged, refunds taken off.
    pub charged: NanoUsd,
}

impl Rollup {
    /// Used, by bucket; buckets that sum up to nothing read as untold.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::new();
        for (bucket, count) in Bucket::ALL.into_iter().zip(self.counts) {
            match u64::try_from(count) {
                Ok(count) if count > 0 => usage.set(bucket, count),
                _ => {}
            }
        }
        usage
    }

    /// Adds another sum; saturates.
    pub fn add(&mut self, other: &Self) {
        let add = |sum: &mut i64, by: i64| *sum = sum.saturating_add(by);
        add(&mut self.attempts, other.attempts);
        add(&mut self.succeeded, other.succeeded);
        add(&mut self.estimated, other.estimated);
        for (count, by) in self.counts.iter_mut().zip(other.counts) {
            add(count, by);
        }
        self.cost = sum(self.cost, other.cost.get());
        self.charged = sum(self.charged, other.charged.get());
    }

    /// What is left when an earlier sum of the same is taken off; saturates.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let less = |sum: i64, by: i64| sum.saturating_sub(by);
        let money = |sum: NanoUsd, by: NanoUsd| NanoUsd::new(less(sum.get(), by.get()));
        let mut counts = self.counts;
        for (count, by) in counts.iter_mut().zip(before.counts) {
            *count = less(*count, by);
        }
        Self {
            attempts: less(self.attempts, before.attempts),
            succeeded: less(self.succeeded, before.succeeded),
            estimated: less(self.estimated, before.estimated),
            counts,
            cost: money(self.cost, before.cost),
            charged: money(self.charged, before.charged),
        }
    }

    /// Adds an attempt (`sign` 1), or takes it off (`sign` −1).
    pub(crate) fn count(&mut self, used: &Used, sign: i64) {
        let add = |sum: &mut i64, by: i64| *sum = sum.saturating_add(by.saturating_mul(sign));
        add(&mut self.attempts, 1);
        add(&mut self.succeeded, i64::from(used.outcome == AttemptOutcome::Success));
        add(&mut self.estimated, i64::from(used.provenance == Provenance::Estimated));
        for (sum, bucket) in self.counts.iter_mut().zip(Bucket::ALL) {
            add(sum, i64::try_from(used.usage.get(bucket)).unwrap_or(i64::MAX));
        }
        self.cost = sum(self.cost, used.cost.get().saturating_mul(sign));
        self.charged = sum(self.charged, used.charged.get().saturating_mul(sign));
    }

    /// Takes a refund off the charge.
    pub(crate) fn refund(&mut self, amount: NanoUsd) {
        self.charged = sum(self.charged, amount.get().saturating_neg());
    }
}

fn sum(amount: NanoUsd, by: i64) -> NanoUsd {
    NanoUsd::new(amount.get().saturating_add(by))
}

impl Used {
    /// Nothing is known yet.
    pub(crate) const fn none(outcome: AttemptOutcome) -> Self {
        Self {
            outcome,
            usage: Usage::new(),
            provenance: Provenance::Estimated,
            cost: NanoUsd::ZERO,
            exact: Usd::ZERO,
            charged: NanoUsd::ZERO,
        }
    }
}
