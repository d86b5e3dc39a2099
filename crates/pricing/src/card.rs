use std::fmt;
use std::sync::Arc;

use weighbridge_units::{Bucket, NanoUsd, Timestamp, Usage};

use crate::breakdown::{Breakdown, Item};
use crate::error::PriceError;
use crate::rate::{COUNT_LIMIT, Rate};
use crate::tier::ServiceTier;
use crate::version::PriceVersion;

const BUCKETS: usize = Bucket::ALL.len();

/// Whose rate a bucket is charged at when its own is not stated.
///
/// Each stands for a rule of the providers: reasoning is billed as output; prompt tokens that a
/// model has no cache price for are billed as input, whether or not they were cached; so are those
/// that a provider's own tools added. Audio, images that the model makes, and searches have no such rule, nor has the longer-lived cache of a model that charges for the
/// shorter-lived one: without a price of their own they are an error.
fn fallback(bucket: Bucket, stated: &[Option<Rate>; BUCKETS]) -> Option<Bucket> {
    match bucket {
        Bucket::Reasoning => Some(Bucket::Output),
        Bucket::CacheRead | Bucket::CacheWrite5m | Bucket::ToolPrompt => Some(Bucket::Input),
        Bucket::CacheWrite1h if stated[Bucket::CacheWrite5m as usize].is_none() => Some(Bucket::Input),
        _ => None,
    }
}

/// A rate, and the bucket whose price it is: the bucket's own, or the one that it falls back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) rate: Rate,
    pub(crate) rate_of: Bucket,
}

/// The rates that hold for prompts of more than `above` tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bracket {
    above: u64,
    applied: [Option<Applied>; BUCKETS],
    prompt_rate_max: Rate,
    answer_rate_max: Rate,
}

impl Bracket {
    /// Resolves the fallbacks once, at load.
    pub(crate) fn new(above: u64, stated: &[Option<Rate>; BUCKETS]) -> Self {
        let applied = Bucket::ALL.map(|bucket| {
            let applied = |rate_of: Bucket| Some(Applied { rate: stated[rate_of as usize]?, rate_of });
            applied(bucket).or_else(|| applied(fallback(bucket, stated)?))
        });
        let max_of = |of: fn(Bucket) -> bool| {
            let rates = Bucket::ALL.into_iter().filter(|bucket| of(*bucket));
            rates.filter_map(|bucket| applied[bucket as usize]).map(|a| a.rate).max().unwrap_or_default()
        };
        Self {
            above,
            prompt_rate_max: max_of(Bucket::is_prompt),
            answer_rate_max: max_of(Bucket::is_answer),
            applied,
        }
    }

    fn rate(&self, bucket: Bucket) -> Option<Rate> {
        self.applied[bucket as usize].map(|applied| applied.rate)
    }
}

/// What one model costs in one service tier from one date on: all that is needed to price an attempt.
///
/// A card never changes, so an attempt that holds on to the card it was dispatched under is priced
/// by the book of that moment (rule P1).
pub struct PriceCard {
    pub(crate) provider: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) tier: ServiceTier,
    pub(crate) from: Option<Timestamp>,
    pub(crate) source: Arc<str>,
    pub(crate) checked: Arc<str>,
    pub(crate) version: PriceVersion,
    /// Never empty: the first is for any prompt, the others are sorted by their threshold.
    pub(crate) base: Bracket,
    pub(crate) brackets: Vec<Bracket>,
}

impl PriceCard {
    /// The provider's name in the price files.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The model's name in the price files: of a dated snapshot without an entry, its family's.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The service tier.
    pub fn tier(&self) -> ServiceTier {
        self.tier
    }

    /// The first instant that the card holds for; `None` where no earlier price is known.
    pub fn from(&self) -> Option<Timestamp> {
        self.from
    }

    /// Where the figures are from: packages and their versions.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The day on which the source was read: `YYYY-MM-DD`.
    pub fn checked(&self) -> &str {
        &self.checked
    }

    /// The version of the book that the card is from.
    pub fn version(&self) -> &PriceVersion {
        &self.version
    }

    /// The rate of a bucket for a prompt of that many tokens, fallbacks included.
    pub fn rate(&self, bucket: Bucket, prompt_tokens: u64) -> Option<Rate> {
        self.bracket(prompt_tokens).rate(bucket)
    }

    /// The exact cost of a usage, itemised, and what is posted for it.
    ///
    /// The context tier is chosen by all prompt tokens together, cached ones included, and then
    /// holds for every token of the request. A bucket without a rate of its own is charged as the
    /// crate's page says; a count of 0 needs no rate.
    ///
    /// # Errors
    /// [`PriceError::Untold`] for a usage in which nothing was told, [`PriceError::Unpriced`] for a
    /// bucket that has no price, [`PriceError::TooMany`] and [`PriceError::Money`] for absurd counts.
    pub fn cost(&self, usage: &Usage) -> Result<Breakdown, PriceError> {
        if usage.is_untold() {
            return Err(PriceError::Untold);
        }
        let bracket = self.bracket(usage.prompt());
        let mut breakdown = Breakdown::new(self.version.clone(), self.tier, bracket.above);
        for (bucket, count) in usage.iter().filter(|(_, count)| *count > 0) {
            if count >= COUNT_LIMIT {
                return Err(PriceError::TooMany { bucket, count });
            }
            let Some(Applied { rate, rate_of }) = bracket.applied[bucket as usize] else {
                return Err(self.unpriced(bucket));
            };
            breakdown.push(Item { bucket, count, rate, rate_of, amount: rate.times(count)? })?;
        }
        breakdown.close()?;
        Ok(breakdown)
    }

    /// The most that any usage within these bounds can cost (rule R4): every prompt token and every
    /// answer token at the dearest rate of its side, in the highest context tier within reach.
    ///
    /// `output_cap` is per candidate, reasoning included. No searches: see [`Self::worst_with_searches`].
    ///
    /// # Errors
    /// [`PriceError::TooMany`] and [`PriceError::Money`] for absurd bounds.
    pub fn worst(
        &self,
        prompt_tokens_bound: u64,
        output_cap: u64,
        candidates: u64,
    ) -> Result<NanoUsd, PriceError> {
        self.worst_with_searches(prompt_tokens_bound, output_cap, candidates, 0)
    }

    /// [`Self::worst`] for a request that lets the provider search up to `searches` times.
    ///
    /// # Errors
    /// As [`Self::worst`], and [`PriceError::Unpriced`] where searches have no price.
    pub fn worst_with_searches(
        &self,
        prompt_tokens_bound: u64,
        output_cap: u64,
        candidates: u64,
        searches: u64,
    ) -> Result<NanoUsd, PriceError> {
        let answer_bound = output_cap.saturating_mul(candidates);
        for (bucket, count) in [
            (Bucket::Input, prompt_tokens_bound),
            (Bucket::Output, answer_bound),
            (Bucket::WebSearch, searches),
        ] {
            if count >= COUNT_LIMIT {
                return Err(PriceError::TooMany { bucket, count });
            }
        }
        // Rates never fall from one context tier to the next (checked at load), so the highest
        // tier within reach is the dearest.
        let bracket = self.bracket(prompt_tokens_bound);
        let mut worst = bracket.prompt_rate_max.times(prompt_tokens_bound)?;
        worst = worst.plus(bracket.answer_rate_max.times(answer_bound)?)?;
        if searches > 0 {
            let rate = bracket.rate(Bucket::WebSearch).ok_or_else(|| self.unpriced(Bucket::WebSearch))?;
            worst = worst.plus(rate.times(searches)?)?;
        }
        Ok(worst.post()?)
    }

    fn bracket(&self, prompt_tokens: u64) -> &Bracket {
        self.brackets.iter().rev().find(|bracket| prompt_tokens > bracket.above).unwrap_or(&self.base)
    }

    fn unpriced(&self, bucket: Bucket) -> PriceError {
        PriceError::Unpriced {
            provider: self.provider.as_ref().to_owned(),
            model: self.model.as_ref().to_owned(),
            bucket,
        }
    }
}

impl fmt::Debug for PriceCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, model, tier, version, .. } = self;
        write!(f, "PriceCard({provider}/{model}, {tier}, {version})")
    }
}
