//! From one price book to the next: what differs, what may be taken over, and what a person has to approve first.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use weighbridge_units::{Bucket, Timestamp};

use crate::book::{ANY, PriceBook};
use crate::card::PriceCard;
use crate::rate::{Factor, Rate};
use crate::tier::ServiceTier;
use crate::write::{Entry, EntryRow};

/// How long after it was planned an update begins: until then every gateway that shares it has it in force, so that
/// none dispatches by the former book what the newer one prices otherwise (rule P1).
pub const BEGINS_AFTER: Duration = Duration::from_secs(15);

/// What is between two books, at an instant: model by model.
///
/// Nothing is ever taken away: a model, a tier or a bucket that the newer book lacks keeps its price. What the newer
/// book says otherwise begins a moment after [`Update::plan`]'s instant, as entries behind those that there
/// are, so that whatever was dispatched before is priced alike by both books (rule P1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The models that differ, sorted.
    pub changes: Vec<Change>,
    /// Models that the newer book does not have, of providers that it has: they keep their prices.
    pub missing: Vec<(Arc<str>, Arc<str>)>,
}

/// A model that costs something else, or is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub provider: Arc<str>,
    /// Its name at the provider.
    pub model: Arc<str>,
    /// Whether the older book has no price for it.
    pub is_new: bool,
    /// What differs, rate by rate.
    pub steps: Vec<Step>,
    /// Why it is not taken over without a person's approval (rule P2).
    pub held: Vec<Held>,
    entry: Entry,
}

/// A rate that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In which service tier.
    pub tier: ServiceTier,
    /// For prompts of more tokens than this.
    pub above: u64,
    /// For which variant.
    pub variant: Option<Arc<str>>,
    /// Of which bucket.
    pub bucket: Bucket,
    /// What it was; `None` where it had no price.
    pub before: Option<Rate>,
    /// What it becomes.
    pub after: Rate,
}

/// Why a change waits for approval.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Held {
    /// A rate rises or falls by more than the factor that is allowed.
    Jump(Step),
    /// What cost something becomes free, or something new is.
    Free,
    /// Prompts of more tokens than this would no longer cost more.
    ContextTierGone(u64),
}

/// Which held changes were approved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Approval {
    /// None.
    #[default]
    Nothing,
    /// Those of these models, named `provider/model`.
    Models(BTreeSet<String>),
    /// All.
    All,
}

impl Update {
    /// Compares a book with a newer one. A rate that changes by more than `jump` is held.
    pub fn plan(book: &PriceBook, newer: &PriceBook, at: Timestamp, jump: Factor) -> Self {
        let names = |book: &PriceBook| -> BTreeSet<(Arc<str>, Arc<str>)> {
            let cards = book.cards(at).into_iter();
            cards.map(|card| (Arc::clone(&card.provider), Arc::clone(&card.model))).collect()
        };
        // Regions follow from what they are regions of.
        let is_own = |(provider, _): &(Arc<str>, Arc<str>)| !provider.contains('@') && **provider != *ANY;
        let newer_names = names(newer);
        let changes = newer_names
            .iter()
            .filter(|name| is_own(name))
            .filter_map(|(provider, model)| Change::between(book, newer, at, jump, (provider, model)));
        let has_provider =
            |name: &(Arc<str>, Arc<str>)| newer_names.iter().any(|(provider, _)| *provider == name.0);
        let missing = names(book)
            .into_iter()
            .filter(|name| is_own(name) && has_provider(name) && !newer_names.contains(name));
        Self { changes: changes.collect(), missing: missing.collect() }
    }

    /// What is taken over: all that is not held, and what was approved.
    pub fn accepted<'a>(&'a self, approval: &'a Approval) -> impl Iterator<Item = &'a Change> {
        self.changes.iter().filter(|change| change.held.is_empty() || approval.covers(change))
    }

    /// What waits.
    pub fn held<'a>(&'a self, approval: &'a Approval) -> impl Iterator<Item = &'a Change> {
        self.changes.iter().filter(|change| !change.held.is_empty() && !approval.covers(change))
    }

    /// The entries of what is taken over, to stand behind those that there are; `None` where that is nothing.
    pub fn entries(&self, approval: &Approval) -> Option<String> {
        let text: String = self.accepted(approval).map(|change| change.entry.to_toml()).collect();
        (!text.is_empty()).then_some(text)
    }
}

impl Approval {
    fn covers(&self, change: &Change) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Models(names) => names.contains(&change.name()),
        }
    }
}

impl Change {
    /// `provider/model`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    fn between(
        book: &PriceBook,
        newer: &PriceBook,
        at: Timestamp,
        jump: Factor,
        (provider, model): (&Arc<str>, &Arc<str>),
    ) -> Option<Self> {
        let (mut rows, mut steps, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let (mut is_new, mut from) = (true, None);
        for tier in ServiceTier::ALL {
            let (old, new) = (book.find(provider, model, tier, at), newer.find(provider, model, tier, at));
            is_new &= old.is_none();
            match (old, new) {
                (None, None) => {}
                (Some(old), None) => rows.extend(old.rows()),
                (None, Some(new)) => {
                    steps.extend(new.steps_from(None));
                    rows.extend(new.rows());
                    from.get_or_insert(new);
                }
                (Some(old), Some(new)) => {
                    steps.extend(new.steps_from(Some(&old)));
                    held.extend(context_tiers_gone(&old, &new));
                    rows.extend(new.rows_over(&old));
                    from.get_or_insert(new);
                }
            }
        }
        let source = from.filter(|_| !steps.is_empty() || !held.is_empty())?;
        held.extend(steps.iter().filter(|step| step.is_jump(jump)).cloned().map(Held::Jump));
        let is_free = |step: &Step| step.after == Rate::FREE && step.before != Some(Rate::FREE);
        let all_free = rows.iter().flat_map(|row: &EntryRow| &row.rates).all(|(_, rate)| rate == "0");
        if steps.iter().any(|step| is_free(step) && step.before.is_some())
            || (all_free && steps.iter().any(is_free))
        {
            held.push(Held::Free);
        }
        // A second that has not begun: what this one dispatched keeps its price.
        let from = Timestamp::from_secs(at.as_secs() + 1) + BEGINS_AFTER;
        let entry = Entry {
            provider: provider.to_string(),
            models: vec![model.to_string()],
            from: Some(from),
            source: source.source().to_owned(),
            date: source.checked().to_owned(),
            rows,
        };
        Some(Self { provider: Arc::clone(provider), model: Arc::clone(model), is_new, steps, held, entry })
    }
}

impl Step {
    fn is_jump(&self, most: Factor) -> bool {
        let Some(before) = self.before else { return false };
        if before == Rate::FREE || self.after == Rate::FREE {
            return before != self.after;
        }
        let (low, high) = (before.min(self.after), before.max(self.after));
        // A rate's mantissa is at most 10¹⁶ and a factor's 10⁹: where the product does not fit, it is more.
        low.per_million().checked_mul(most.get()).is_some_and(|bound| high.per_million() > bound)
    }
}

impl PriceCard {
    /// The rates in which the card differs from an older one, context tier by context tier of either.
    fn steps_from(&self, old: Option<&Self>) -> Vec<Step> {
        let thresholds = |card: &Self| -> Vec<u64> { card.stated().map(|(above, _)| above).collect() };
        let mut all = thresholds(self);
        all.extend(old.into_iter().flat_map(thresholds));
        all.sort_unstable();
        all.dedup();
        let mut steps = Vec::new();
        for above in all {
            let at = above.saturating_add(1);
            for bucket in Bucket::ALL {
                let Some(after) = self.stated_at(bucket, at) else { continue };
                let before = old.and_then(|old| old.stated_at(bucket, at));
                if before != Some(after) {
                    steps.push(Step { tier: self.tier, above, variant: None, bucket, before, after });
                }
            }
        }
        for variant in &self.rates.variants {
            let known =
                old.and_then(|old| old.rates.variants.iter().find(|known| known.name == variant.name));
            for (bucket, after) in &variant.rates {
                let of = |rates: &[(Bucket, Rate)]| {
                    rates.iter().find(|(of, _)| of == bucket).map(|(_, rate)| *rate)
                };
                let before = known.and_then(|known| of(&known.rates));
                if before != Some(*after) {
                    steps.push(Step {
                        tier: self.tier,
                        above: 0,
                        variant: Some(Arc::clone(&variant.name)),
                        bucket: *bucket,
                        before,
                        after: *after,
                    });
                }
            }
        }
        steps
    }

    /// The rate that the bucket itself has for a prompt of that many tokens.
    fn stated_at(&self, bucket: Bucket, prompt_tokens: u64) -> Option<Rate> {
        let mut rate = None;
        for (above, rates) in self.stated() {
            if above == 0 || prompt_tokens > above {
                rate = rates.iter().find(|(of, _)| *of == bucket).map(|(_, rate)| *rate);
            }
        }
        rate
    }

    /// The card's rows, with whatever an older card states beside.
    fn rows_over(&self, old: &Self) -> Vec<EntryRow> {
        let mut rows = self.rows();
        for row in &mut rows {
            let at = row.above.saturating_add(1);
            match row.variant.clone() {
                None => {
                    for bucket in Bucket::ALL {
                        if let (None, Some(kept)) = (self.stated_at(bucket, at), old.stated_at(bucket, at)) {
                            row.state(bucket, kept);
                        }
                    }
                }
                Some(name) => {
                    let known = old.rates.variants.iter().find(|known| *known.name == *name);
                    for (bucket, rate) in known.iter().flat_map(|known| &known.rates) {
                        if !row.rates.iter().any(|(of, _)| of == bucket.as_str()) {
                            row.state(*bucket, *rate);
                        }
                    }
                }
            }
        }
        let has = |row: &EntryRow| rows.iter().any(|own| own.variant == row.variant);
        let kept: Vec<EntryRow> =
            old.rows().into_iter().filter(|row| row.variant.is_some() && !has(row)).collect();
        rows.extend(kept);
        rows
    }
}

fn context_tiers_gone(old: &PriceCard, new: &PriceCard) -> Vec<Held> {
    let kept: Vec<u64> = new.stated().map(|(above, _)| above).collect();
    let gone = old.stated().map(|(above, _)| above).filter(|above| *above > 0 && !kept.contains(above));
    gone.map(Held::ContextTierGone).collect()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tier, above, variant, bucket, before, after } = self;
        write!(f, "{tier}")?;
        if *above > 0 {
            write!(f, " above {above}")?;
        }
        if let Some(variant) = variant {
            write!(f, " {variant}")?;
        }
        match before {
            Some(before) => write!(f, " {bucket} {before} → {after}"),
            None => write!(f, " {bucket} {after}"),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(step) => write!(f, "{step} is a jump"),
            Self::Free => f.write_str("it becomes free of charge"),
            Self::ContextTierGone(above) => {
                write!(f, "prompts of more than {above} tokens would cost what shorter ones do")
            }
        }
    }
}
