use std::fmt;
use std::sync::Arc;

use weighbridge_units::{Bucket, NanoUsd, Timestamp, Usage, Usd};

use crate::breakdown::{Breakdown, Item};
use crate::error::PriceError;
use crate::rate::{COUNT_LIMIT, Factor, Rate, RateError};
use crate::tier::ServiceTier;
use crate::version::PriceVersion;

const BUCKETS: usize = Bucket::ALL.len();

/// Whose rate a bucket is charged at when its own is not stated.
///
/// Each stands for a rule of the providers: reasoning is billed as output; prompt tokens that a
/// model has no cache price for are billed as input, whether or not they were cached; so are those
/// that a provider's own tools added, and those of images. Audio, images that the model makes, and
/// whatever is counted by the piece have no such rule, nor has the longer-lived cache of a model that
/// charges for the shorter-lived one: without a price of their own they are an error.
fn fallback(bucket: Bucket, stated: &[Option<Rate>; BUCKETS]) -> Option<Bucket> {
    match bucket {
        Bucket::Reasoning => Some(Bucket::Output),
        Bucket::CacheRead | Bucket::CacheWrite5m | Bucket::ToolPrompt | Bucket::InputImage => {
            Some(Bucket::Input)
        }
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
    /// `None` where no token of that side has a price.
    prompt_rate_max: Option<Rate>,
    answer_rate_max: Option<Rate>,
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
            rates.filter_map(|bucket| applied[bucket as usize]).map(|a| a.rate).max()
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

    /// The rates that are the buckets' own.
    pub(crate) fn stated(&self) -> [Option<Rate>; BUCKETS] {
        Bucket::ALL.map(|bucket| {
            self.applied[bucket as usize]
                .filter(|applied| applied.rate_of == bucket)
                .map(|applied| applied.rate)
        })
    }

    /// The same with some rates in place of its own.
    fn with(&self, rates: &[(Bucket, Rate)]) -> Self {
        let mut stated = self.stated();
        for (bucket, rate) in rates {
            stated[*bucket as usize] = Some(*rate);
        }
        Self::new(self.above, &stated)
    }

    /// The same with the rates of tokens multiplied.
    pub(crate) fn times(&self, factor: Factor) -> Result<Self, RateError> {
        let mut stated = self.stated();
        for bucket in Bucket::ALL.into_iter().filter(|bucket| bucket.is_token()) {
            if let Some(rate) = &mut stated[bucket as usize] {
                *rate = rate.by(factor)?;
            }
        }
        Ok(Self::new(self.above, &stated))
    }
}

/// What the pieces of one kind cost: images of a size and quality, seconds of a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) name: Arc<str>,
    pub(crate) rates: Vec<(Bucket, Rate)>,
}

/// What a service tier costs: the same for all models of an entry, which share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rates {
    /// For any prompt.
    pub(crate) base: Bracket,
    /// For prompts above thresholds, lowest first.
    pub(crate) brackets: Vec<Bracket>,
    pub(crate) variants: Vec<Variant>,
}

impl Rates {
    /// Those of the pieces of one kind.
    fn of(&self, variant: &Variant) -> Self {
        Self {
            base: self.base.with(&variant.rates),
            brackets: self.brackets.iter().map(|bracket| bracket.with(&variant.rates)).collect(),
            variants: Vec::new(),
        }
    }

    /// The same with the rates of tokens multiplied.
    pub(crate) fn times(&self, factor: Factor) -> Result<Self, RateError> {
        let brackets = self.brackets.iter().map(|bracket| bracket.times(factor));
        Ok(Self {
            base: self.base.times(factor)?,
            brackets: brackets.collect::<Result<_, _>>()?,
            variants: self.variants.clone(),
        })
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
    pub(crate) rates: Arc<Rates>,
    /// The variant that the card stands for, once one was chosen.
    pub(crate) chosen: Option<Arc<str>>,
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

    /// [`Self::provider`], shared.
    pub fn provider_shared(&self) -> Arc<str> {
        Arc::clone(&self.provider)
    }

    /// [`Self::model`], shared.
    pub fn model_shared(&self) -> Arc<str> {
        Arc::clone(&self.model)
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

    /// The day on which the source was read: `YYYY-MM-DD`, or `unknown`.
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

    /// Kinds of pieces that have prices of their own, such as `1024x1024/high` or `1080p`.
    pub fn variants(&self) -> impl Iterator<Item = &str> {
        self.rates.variants.iter().map(|variant| &*variant.name)
    }

    /// The kind of pieces that [`Self::variant`] chose.
    pub fn chosen(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// The card for pieces of one kind; `None` where it has no price of its own.
    ///
    /// A request names size and quality, so the variant is pinned together with the card. Where it
    /// leaves them to the provider, [`Self::worst_with`] has the dearest, and the answer tells which it is.
    pub fn variant(&self, name: &str) -> Option<Self> {
        let variant = self.rates.variants.iter().find(|variant| *variant.name == *name)?;
        Some(Self {
            provider: Arc::clone(&self.provider),
            model: Arc::clone(&self.model),
            tier: self.tier,
            from: self.from,
            source: Arc::clone(&self.source),
            checked: Arc::clone(&self.checked),
            version: self.version.clone(),
            rates: Arc::new(self.rates.of(variant)),
            chosen: Some(Arc::clone(&variant.name)),
        })
    }

    /// The rates that the price files state, by the tokens that a prompt has more of (0 first).
    pub fn stated(&self) -> impl Iterator<Item = (u64, Vec<(Bucket, Rate)>)> {
        std::iter::once(&self.rates.base).chain(&self.rates.brackets).map(|bracket| {
            let rates = Bucket::ALL.into_iter().zip(bracket.stated());
            (bracket.above, rates.filter_map(|(bucket, rate)| Some((bucket, rate?))).collect())
        })
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
    /// answer token at the dearest rate of its side, in the highest context tier within reach, and the
    /// call itself where that has a price.
    ///
    /// `output_cap` is per candidate, reasoning included. No pieces: see [`Self::worst_with`].
    ///
    /// # Errors
    /// [`PriceError::TooMany`] and [`PriceError::Money`] for absurd bounds, [`PriceError::Unpriced`]
    /// where tokens have no price.
    pub fn worst(
        &self,
        prompt_tokens_bound: u64,
        output_cap: u64,
        candidates: u64,
    ) -> Result<NanoUsd, PriceError> {
        self.worst_with(prompt_tokens_bound, output_cap, candidates, &Usage::new())
    }

    /// [`Self::worst`] for a request that lets the provider search up to `searches` times.
    ///
    /// # Errors
    /// As [`Self::worst_with`].
    pub fn worst_with_searches(
        &self,
        prompt_tokens_bound: u64,
        output_cap: u64,
        candidates: u64,
        searches: u64,
    ) -> Result<NanoUsd, PriceError> {
        let pieces = Usage::new().with(Bucket::WebSearch, searches);
        self.worst_with(prompt_tokens_bound, output_cap, candidates, &pieces)
    }

    /// [`Self::worst`] for a request that may also take up to these `pieces`: searches, images, seconds
    /// and the like, each at the dearest of its variants. Tokens in `pieces` are not looked at.
    ///
    /// # Errors
    /// As [`Self::worst`], and [`PriceError::Unpriced`] where a piece has no price.
    pub fn worst_with(
        &self,
        prompt_tokens_bound: u64,
        output_cap: u64,
        candidates: u64,
        pieces: &Usage,
    ) -> Result<NanoUsd, PriceError> {
        // Rates never fall from one context tier to the next (checked at load), so the highest
        // tier within reach is the dearest.
        let bracket = self.bracket(prompt_tokens_bound);
        let bound = |bucket, count, rate: Option<Rate>| {
            if count >= COUNT_LIMIT {
                return Err(PriceError::TooMany { bucket, count });
            }
            match rate {
                Some(rate) => Ok(rate.times(count)?),
                None if count == 0 => Ok(Usd::ZERO),
                None => Err(self.unpriced(bucket)),
            }
        };
        let mut worst = bound(Bucket::Input, prompt_tokens_bound, bracket.prompt_rate_max)?;
        let answer = output_cap.saturating_mul(candidates);
        worst = worst.plus(bound(Bucket::Output, answer, bracket.answer_rate_max)?)?;
        for bucket in Bucket::ALL.into_iter().filter(|bucket| !bucket.is_token()) {
            // Most requests take no pieces at all: nothing is added for those.
            let count = match (bucket, pieces.get(bucket)) {
                (Bucket::Calls, count) if self.dearest(bracket, bucket).is_some() => count.max(1),
                (_, 0) => continue,
                (_, count) => count,
            };
            worst = worst.plus(bound(bucket, count, self.dearest(bracket, bucket))?)?;
        }
        Ok(worst.post()?)
    }

    /// The dearest rate of a bucket, whichever variant it is.
    fn dearest(&self, bracket: &Bracket, bucket: Bucket) -> Option<Rate> {
        let varied = self.rates.variants.iter().flat_map(|variant| &variant.rates);
        let varied = varied.filter(|(of, _)| *of == bucket).map(|(_, rate)| *rate);
        bracket.rate(bucket).into_iter().chain(varied).max()
    }

    fn bracket(&self, prompt_tokens: u64) -> &Bracket {
        let Rates { base, brackets, .. } = &*self.rates;
        brackets.iter().rev().find(|bracket| prompt_tokens > bracket.above).unwrap_or(base)
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
