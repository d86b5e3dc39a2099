//! What an attempt consumed and what that costs, by the prices that held at its dispatch.

use std::sync::Arc;

use weighbridge_ledger::Name;
use weighbridge_pricing::{Breakdown, PriceBook, PriceCard, PriceError, ServiceTier, Terms};
use weighbridge_records::{AttemptRecord, BaselineCost, CountsDiffer, PricedBy};
use weighbridge_stream::Facts;
use weighbridge_tokens::Searches;
use weighbridge_units::{AttemptOutcome, Bucket, NanoUsd, Provenance, Timestamp, Usage, Usd};

use crate::compiled::Baseline;
use crate::count_alarm::Estimates;
use crate::in_flight::Ending;
use crate::settings::CountAlarm;

/// A price book and its name in the ledger, swapped together.
pub(crate) struct Prices {
    pub(crate) book: Arc<PriceBook>,
    pub(crate) version: Name,
    version_text: Arc<str>,
}

impl Prices {
    pub(crate) fn new(book: Arc<PriceBook>) -> Self {
        let version_text: Arc<str> = book.version().to_string().into();
        Self { book, version: Name::new(Arc::clone(&version_text)), version_text }
    }
}

/// Prices one attempt: pinned at its dispatch, so that a later book changes nothing (rule P1).
pub(crate) struct Meter {
    pub(crate) prices: Arc<Prices>,
    /// The card of the tier that was asked for; `None` is a model that is served unpriced.
    pub(crate) card: Option<Arc<PriceCard>>,
    pub(crate) tier: ServiceTier,
    /// What the tenant is asked for what the provider charges.
    pub(crate) terms: Terms,
    pub(crate) at: Timestamp,
    /// The best guess at the prompt's tokens.
    pub(crate) prompt_estimate: u64,
    /// Whether the prompt is text whose tokens its bytes tell something of.
    pub(crate) prompt_is_text: bool,
    /// When counts differ too much, where that is to be known.
    pub(crate) alarm: Option<CountAlarm>,
    /// What the attempt is compared with, if it is.
    pub(crate) baseline: Option<Arc<Baseline>>,
}

/// What an attempt consumed, how we know, and what it costs.
#[derive(Debug)]
pub(crate) struct Metered {
    /// The card that priced it; `None` where none did.
    pub(crate) card: Option<Arc<PriceCard>>,
    pub(crate) usage: Usage,
    pub(crate) provenance: Provenance,
    pub(crate) exact: Usd,
    /// What the provider charges.
    pub(crate) cost: NanoUsd,
    /// What the tenant is asked for, if it has to pay.
    pub(crate) price: NanoUsd,
}

/// What was reserved for an attempt: the worst that it can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worst {
    /// What the provider may charge.
    pub(crate) cost: NanoUsd,
    /// What the tenant may be asked for.
    pub(crate) price: NanoUsd,
    /// Of prompt and answers.
    pub(crate) tokens: u64,
}

impl Worst {
    /// Of what is not bounded, and no budget counts.
    pub(crate) const NOTHING: Self = Self { cost: NanoUsd::ZERO, price: NanoUsd::ZERO, tokens: 0 };
}

/// What a request cannot go beyond, whatever its answers are (rule R4).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Tokens of the prompt.
    pub(crate) prompt: u64,
    /// What the provider may search on its side.
    pub(crate) searches: Searches,
}

impl Bounds {
    /// The kinds of searches that the provider may make, and how many of each at most.
    fn searched(&self) -> impl Iterator<Item = (Bucket, u64)> {
        let Searches { web, files, maps, .. } = self.searches;
        let all = [(Bucket::WebSearch, web), (Bucket::FileSearch, files), (Bucket::MapSearch, maps)];
        all.into_iter().filter(|(_, most)| *most > 0)
    }
}

impl Meter {
    /// Reads the meter at the end of an attempt. `reserved` stands in where a usage is beyond pricing.
    pub(crate) fn read(&self, ending: &Ending, facts: &Facts, reserved: Worst) -> Metered {
        let (mut usage, provenance) = metered(ending, facts, self.prompt_estimate);
        let Some(card) = self.card_of(facts) else {
            let (exact, cost, price) = (Usd::ZERO, NanoUsd::ZERO, NanoUsd::ZERO);
            return Metered { card: None, usage, provenance, exact, cost, price };
        };
        // Nobody bills the call itself where nothing came of it.
        let is_billed = ending.outcome != AttemptOutcome::FailedBeforeOutput;
        if is_billed && !usage.told(Bucket::Calls) && card.rate(Bucket::Calls, usage.prompt()).is_some() {
            usage.set(Bucket::Calls, 1);
        }
        match self.priced(&card, &usage) {
            Ok((Breakdown { exact, posted: cost, .. }, price)) => {
                Metered { card: Some(card), usage, provenance, exact, cost, price }
            }
            Err(error) => {
                tracing::error!(%error, ?usage, "a usage cannot be priced: what was reserved is posted");
                let (exact, cost, price) = (Usd::from(reserved.cost), reserved.cost, reserved.price);
                Metered { card: None, usage, provenance: Provenance::Estimated, exact, cost, price }
            }
        }
    }

    /// Enters what was read, and what the tenant is charged, in the record of its attempt.
    pub(crate) fn enter(&self, metered: &Metered, charged: NanoUsd, record: &mut AttemptRecord) {
        record.usage = metered.usage;
        record.provenance = metered.provenance;
        record.price_version = self.price_version();
        record.priced = metered.card.as_ref().map(|card| PricedBy {
            provider: card.provider_shared(),
            model: card.model_shared(),
            tier: card.tier().as_str(),
            at: self.at,
        });
        record.cost = metered.cost;
        record.terms = (!self.terms.is_at_cost()).then(|| self.terms.to_string().into());
        record.charged = charged;
        if record.outcome.tenant_pays() {
            record.baseline = self.baseline(&metered.usage);
        }
    }

    /// What a usage costs, and what the tenant is asked for it.
    fn priced(&self, card: &PriceCard, usage: &Usage) -> Result<(Breakdown, NanoUsd), PriceError> {
        let cost = card.cost(usage)?;
        let price =
            if self.terms.is_at_cost() { cost.posted } else { self.terms.price(cost.exact, usage)?.posted };
        Ok((cost, price))
    }

    /// The worst that a request can come to, with so many answers of at most so many tokens each (rule R4); `None`
    /// where it has no bound.
    pub(crate) fn worst(&self, bounds: &Bounds, cap: u64, candidates: u64) -> Option<Worst> {
        let prompt = bounds.prompt;
        let answer = cap.saturating_mul(candidates);
        let tokens = prompt.saturating_add(answer);
        let Some(card) = &self.card else {
            return Some(Worst { cost: NanoUsd::ZERO, price: NanoUsd::ZERO, tokens });
        };
        let mut searches = Usage::new();
        for (bucket, most) in bounds.searched().filter(|(bucket, _)| card.rate(*bucket, prompt).is_some()) {
            searches.set(bucket, most);
        }
        let cost = card.worst_with(prompt, cap, candidates, &searches).ok()?;
        let price = self.terms.worst(cost, prompt, answer).ok()?;
        Some(Worst { cost, price, tokens })
    }

    /// Whether the provider may search in a way that has no known price.
    pub(crate) fn lacks_price_of(&self, bounds: &Bounds) -> bool {
        let Some(card) = &self.card else { return false };
        bounds.searched().any(|(bucket, _)| card.rate(bucket, bounds.prompt).is_none())
    }

    /// Whether the provider's counts of a whole answer differ from ours by more than they may.
    pub(crate) fn differing(&self, usage: &Usage, facts: &Facts, is_streamed: bool) -> Option<CountsDiffer> {
        let ours = Estimates {
            prompt: self.prompt_is_text.then_some(self.prompt_estimate),
            answer: weighbridge_tokens::estimate(facts.output_bytes),
            // Of a whole answer all bytes are counted.
            is_of_content: is_streamed,
        };
        self.alarm?.compare(usage, ours)
    }

    /// What the same usage costs at the baseline, by the same book; `None` without one, and where it has no price
    /// for it.
    pub(crate) fn baseline(&self, usage: &Usage) -> Option<BaselineCost> {
        let Baseline { name, price_as, model } = &**self.baseline.as_ref()?;
        let find = |tier| self.prices.book.find(price_as, model, tier, self.at);
        let card = find(self.tier).or_else(|| find(ServiceTier::Standard))?;
        let mut usage = *usage;
        if card.rate(Bucket::Calls, usage.prompt()).is_none() {
            usage.set(Bucket::Calls, 0);
        }
        let cost = card.cost(&usage).ok()?.posted;
        Some(BaselineCost { model: Arc::clone(name), cost })
    }

    /// The version of the price book, as records show it.
    fn price_version(&self) -> Arc<str> {
        Arc::clone(&self.prices.version_text)
    }

    /// The card of the tier that the provider says it served in, from the same book.
    fn card_of(&self, facts: &Facts) -> Option<Arc<PriceCard>> {
        let card = self.card.as_ref()?;
        let served = ServiceTier::from_wire(facts.service_tier.as_deref());
        if facts.service_tier.is_none() || served == self.tier {
            return Some(Arc::clone(card));
        }
        let other = self.prices.book.find(card.provider(), card.model(), served, self.at);
        Some(other.unwrap_or_else(|| Arc::clone(card)))
    }
}

/// The provider's word where its answer is whole and it has told both sides, else what it told so far, completed by
/// estimates: missing is not zero (rule M7).
fn metered(ending: &Ending, facts: &Facts, prompt_estimate: u64) -> (Usage, Provenance) {
    let told = facts.usage.unwrap_or_default();
    // Usage is final once it has come beside, or after, a finish reason; and in an answer that has ended well, for some
    // providers give no reason.
    let is_final = facts.finish.is_some() || ending.outcome == AttemptOutcome::Success;
    // `Input` is what the prompt's other buckets leave, so whoever tells the whole of a prompt tells it, be it as zero.
    let has_final = |bucket| is_final && told.told(bucket);
    if has_final(Bucket::Input) && has_final(Bucket::Output) {
        return (told, Provenance::Reported);
    }
    if ending.refused || ending.outcome == AttemptOutcome::FailedBeforeOutput {
        // Nobody bills what was refused or never begun, unless the provider says so.
        let nothing = Usage::new().with(Bucket::Input, 0).with(Bucket::Output, 0);
        let usage = if told.is_untold() { nothing } else { told };
        let certain = ending.refused || !told.is_untold();
        return (usage, if certain { Provenance::Reported } else { Provenance::Estimated });
    }
    let mut usage = told;
    // Before the end, a prompt of zero is a placeholder.
    let tells_prompt = told.told(Bucket::Input) && (is_final || told.prompt() > 0);
    if !tells_prompt {
        usage.set(Bucket::Input, prompt_estimate.saturating_sub(told.prompt()));
    }
    let seen = weighbridge_tokens::estimate(facts.output_bytes);
    if !has_final(Bucket::Output) && told.answer() < seen {
        usage.set(Bucket::Output, seen.saturating_sub(told.get(Bucket::Reasoning)));
    }
    (usage, Provenance::Estimated)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weighbridge_translate::FinishReason;
    use weighbridge_units::ErrorClass;

    use super::*;

    fn facts(usage: Option<Usage>, finish: Option<FinishReason>, output_bytes: u64) -> Facts {
        Facts { usage, finish, output_bytes, ..Facts::default() }
    }

    fn failed(outcome: AttemptOutcome) -> Ending {
        Ending::failed(outcome, ErrorClass::Server)
    }

    #[test]
    fn m7_missing_usage_is_estimated_and_zero_is_zero() {
        let zero = Usage::new().with(Bucket::Input, 0).with(Bucket::Output, 0);
        let whole = metered(&Ending::SUCCESS, &facts(Some(zero), Some(FinishReason::Stop), 400), 25);
        assert_eq!(whole, (zero, Provenance::Reported));
        let untold = metered(&Ending::SUCCESS, &facts(None, Some(FinishReason::Stop), 400), 25);
        let estimate = Usage::new().with(Bucket::Input, 25).with(Bucket::Output, 100);
        assert_eq!(untold, (estimate, Provenance::Estimated));
    }

    #[test]
    fn m7_a_prompt_that_nobody_told_is_estimated_and_the_answer_that_was_told_is_kept() {
        let answer = Usage::new().with(Bucket::Output, 7).with(Bucket::Reasoning, 30);
        for told in [answer, answer.with(Bucket::CacheRead, 0), answer.with(Bucket::CacheRead, 9)] {
            let ended = metered(&Ending::SUCCESS, &facts(Some(told), Some(FinishReason::Stop), 400), 25);
            let rest = 25 - told.prompt();
            assert_eq!(ended, (told.with(Bucket::Input, rest), Provenance::Estimated));
        }
        // As answers with vectors are told, of which nothing is generated.
        let nothing = Usage::new().with(Bucket::Output, 0);
        let ended = metered(&Ending::SUCCESS, &facts(Some(nothing), Some(FinishReason::Stop), 0), 25);
        assert_eq!(ended, (nothing.with(Bucket::Input, 25), Provenance::Estimated));
    }

    /// What a provider may tell of an answer.
    fn told() -> impl Strategy<Value = Option<Usage>> {
        let counts = prop::collection::vec(prop::option::of(0_u64..500), Bucket::ALL.len());
        let usage = counts.prop_map(|counts| {
            let told = Bucket::ALL.into_iter().zip(counts);
            told.filter_map(|(b, n)| Some((b, n?))).fold(Usage::new(), |u, (b, n)| u.with(b, n))
        });
        prop::option::weighted(0.9, usage)
    }

    fn ending() -> impl Strategy<Value = Ending> {
        let any = prop::sample::select(AttemptOutcome::ALL.to_vec());
        let outcome = prop_oneof![Just(AttemptOutcome::Success), Just(AttemptOutcome::ClientLeft), any];
        let refused = prop::bool::weighted(0.1);
        (outcome, refused).prop_map(|(outcome, refused)| Ending { refused, ..Ending::of(outcome) })
    }

    proptest! {
        /// Whatever a provider told and left untold, and however its answer ended.
        #[test]
        fn m7_what_is_reported_was_told_and_what_was_told_of_an_ended_answer_is_kept(
            told in told(),
            ending in ending(),
            has_finished in any::<bool>(),
            bytes in 0_u64..4_000,
            estimate in 1_u64..1_000,
        ) {
            let finish = has_finished.then_some(FinishReason::Stop);
            let (usage, provenance) = metered(&ending, &facts(told, finish, bytes), estimate);
            let is_told = |bucket| told.is_some_and(|told: Usage| told.told(bucket));
            let has_both = is_told(Bucket::Input) && is_told(Bucket::Output);
            if ending.outcome.tenant_pays() && !ending.refused {
                prop_assert!(has_both || provenance == Provenance::Estimated, "{usage:?} of {told:?}");
                prop_assert!(usage.told(Bucket::Input), "{usage:?} of {told:?}");
                prop_assert!(is_told(Bucket::Input) || usage.prompt() >= estimate, "{usage:?} of {told:?}");
            }
            if has_finished || ending.outcome == AttemptOutcome::Success {
                for (bucket, count) in told.iter().flat_map(Usage::iter) {
                    prop_assert_eq!(usage.get(bucket), count, "{} of {:?}", bucket, told);
                }
                let is_reported = provenance == Provenance::Reported;
                prop_assert!(is_reported || !has_both, "{usage:?} of {told:?}");
            }
        }
    }

    #[test]
    fn a1_the_usage_of_an_answer_that_ended_well_counts_without_a_finish_reason() {
        let told = Usage::new().with(Bucket::Input, 22).with(Bucket::Output, 5);
        let ended = metered(&Ending::SUCCESS, &facts(Some(told), None, 740), 25);
        assert_eq!(ended, (told, Provenance::Reported));
        let cut = metered(&failed(AttemptOutcome::FailedMidStream), &facts(Some(told), None, 740), 25);
        assert_eq!(cut, (told.with(Bucket::Output, 185), Provenance::Estimated));
    }

    #[test]
    fn a2_a_cut_stream_keeps_what_was_told_and_estimates_the_rest() {
        // Anthropic tells the prompt at the start, with a placeholder for the output.
        let start =
            Usage::new().with(Bucket::Input, 1_000).with(Bucket::CacheRead, 50).with(Bucket::Output, 1);
        let (usage, provenance) =
            metered(&failed(AttemptOutcome::ClientLeft), &facts(Some(start), None, 40), 7);
        assert_eq!(usage, start.with(Bucket::Output, 10));
        assert_eq!(provenance, Provenance::Estimated);
    }

    #[test]
    fn a2_what_was_refused_costs_nothing_unless_the_provider_says_so() {
        let (usage, provenance) = metered(&Ending::refused(ErrorClass::Server), &facts(None, None, 0), 25);
        assert_eq!((usage.total(), provenance), (0, Provenance::Reported));
        let early = failed(AttemptOutcome::FailedBeforeOutput);
        let (usage, provenance) = metered(&early, &facts(None, None, 0), 25);
        assert_eq!((usage.total(), provenance), (0, Provenance::Estimated));
        let told = Usage::new().with(Bucket::Input, 9);
        let (usage, _) = metered(&early, &facts(Some(told), None, 0), 25);
        assert_eq!(usage, told);
    }

    #[test]
    fn a2_a_time_out_estimates_the_prompt() {
        let (usage, provenance) = metered(&failed(AttemptOutcome::TimedOut), &facts(None, None, 0), 25);
        assert_eq!((usage.get(Bucket::Input), provenance), (25, Provenance::Estimated));
    }

    #[test]
    fn r4_searches_are_reserved_where_they_have_a_price_and_missed_where_they_have_none() {
        let file = "provider = \"p\"\n[[price]]\nmodels = [\"m\"]\nfrom = \"start\"\nsource = \"s\"\ndate = \"2026-11-26\"\n\
                    rates = [{ tier = \"standard\", input = \"1\", output = \"2\", web_search = \"10000\" }]\n";
        let book = Arc::new(PriceBook::from_toml(&[("p.toml", file)]).unwrap());
        let (tier, at) = (ServiceTier::Standard, Timestamp::default());
        let card = book.find("p", "m", tier, at);
        let prices = Arc::new(Prices::new(book));
        let meter = Meter {
            prices,
            card,
            tier,
            at,
            prompt_estimate: 0,
            terms: Terms::NOTHING,
            prompt_is_text: true,
            alarm: None,
            baseline: None,
        };
        let bounds = |body| Bounds {
            prompt: 100,
            searches: weighbridge_tokens::media(weighbridge_units::Protocol::OpenAiResponses, body).searches,
        };
        let cost = |body| meter.worst(&bounds(body), 10, 1).unwrap().cost.get();
        assert_eq!(cost("{}"), 120_000);
        let web = r#"{"tools":[{"type":"web_search"}],"max_tool_calls":20}"#;
        assert_eq!(cost(web), 120_000 + 20 * 10_000_000);
        assert!(!meter.lacks_price_of(&bounds(web)));
        let files = r#"{"tools":[{"type":"file_search"}]}"#;
        assert!(meter.lacks_price_of(&bounds(files)));
        assert_eq!(cost(files), 120_000, "what has no price is not taken for free, but told");
    }
}
