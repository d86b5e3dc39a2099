//! One request, explained: each attempt's usage, rates, arithmetic and postings, and how it was routed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weighbridge_ledger::{AttemptEntry, EntityId, LedgerStore};
use weighbridge_pricing::{Asked, Breakdown, Item, PriceBook, PriceCard, ServiceTier, Terms};
use weighbridge_records::{LoggedAttempt, LoggedPrice, LoggedRequest, LoggedRule, LoggedScore, Scope};
use weighbridge_units::{NanoUsd, RequestId, Usd};

use crate::service::Names;
use crate::{Actor, AdminError, AdminService, JournalView};

/// A request, its attempts and their arithmetic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplanationView {
    /// The id that the client saw.
    pub request: String,
    /// When it arrived.
    pub at: String,
    /// The tenant, if a valid key was presented.
    pub tenant: Option<String>,
    /// The key's public id.
    pub key: Option<String>,
    /// The model that was asked for.
    pub model: String,
    /// The status that the client was answered with.
    pub status: u16,
    /// Why the gateway refused it, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// How it was routed.
    pub routing: RoutingView,
    /// Every attempt, in order.
    pub attempts: Vec<ExplainedAttempt>,
    /// What all attempts cost at providers, in dollars.
    pub cost_usd: String,
    /// What the tenant was charged, in dollars.
    pub charged_usd: String,
}

/// How a request was routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoutingView {
    /// Rules of models that it met: those that matched, and what the classifier thought where it was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<LoggedRule>,
    /// What chose among equals; empty where nothing was to be chosen.
    pub strategy: String,
    /// The random number that the strategies were given, where there were several targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// How many targets there were to choose from, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
    /// The chosen one, then those that came furthest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ScoreView>,
    /// The targets that were asked, in order.
    pub asked: Vec<String>,
    /// The targets that were passed over, and why.
    pub passed_over: Vec<PassedOverView>,
}

/// How a candidate fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreView {
    /// The target.
    pub target: String,
    /// Its score, least being best; what it counts is the strategy's own.
    pub score: i64,
    /// The last strategy that looked at it.
    pub by: String,
}

/// A target that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOverView {
    /// The target.
    pub target: String,
    /// Why.
    pub reason: String,
}

/// One attempt, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedAttempt {
    /// The id in the ledger, and in the provider's `x-client-request-id`.
    pub attempt: String,
    /// Where it went: `provider/model`.
    pub target: String,
    /// How it ended.
    pub outcome: String,
    /// The provider's status.
    pub status: Option<u16>,
    /// What kind of error it ended with.
    pub error: Option<String>,
    /// Where the usage is from: `reported`, `tokenised` or `estimated`.
    pub provenance: String,
    /// Used, by bucket.
    pub usage: BTreeMap<&'static str, u64>,
    /// Whether the provider's count of tokens was far from our estimate.
    pub counts_differ: bool,
    /// What priced it.
    pub price: Option<PriceView>,
    /// The cost, line by line.
    pub cost_lines: Vec<CostLine>,
    /// What rounding added to the exact sum, once.
    pub rounding_usd: Option<String>,
    /// What the provider charges.
    pub cost_usd: String,
    /// What the tenant is asked for that: `at cost`, `cost + 20%`.
    pub terms: String,
    /// The price, line by line, where it is not the cost.
    pub price_lines: Vec<PriceLine>,
    /// What the tenant was charged.
    pub charged_usd: String,
    /// What was given back of it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunded_usd: Option<String>,
    /// What the same usage would have cost at the route's baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineView>,
    /// What stands in the ledger.
    pub postings: Vec<JournalView>,
    /// What does not add up, or is not known.
    pub notes: Vec<String>,
}

/// Where rates are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriceView {
    /// The provider in the price book.
    pub provider: String,
    /// The model in the price book.
    pub model: String,
    /// The service tier.
    pub tier: String,
    /// The context tier: prompts of more tokens than this.
    pub above: u64,
    /// From when on the price holds; `null` from the start.
    pub from: Option<String>,
    /// Where the figures are from.
    pub source: String,
    /// When that was read.
    pub read_on: String,
    /// The version of the book that the attempt was pinned to.
    pub version: String,
}

/// So many units at a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CostLine {
    /// What was used.
    pub bucket: &'static str,
    /// How much of it.
    pub count: u64,
    /// Dollars per million.
    pub rate_per_million_usd: String,
    /// Whose rate it is, where the bucket has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_of: Option<&'static str>,
    /// Count × rate, exactly.
    pub amount_usd: String,
}

/// A part of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriceLine {
    /// What for.
    pub what: String,
    /// How much, exactly.
    pub amount_usd: String,
}

/// What a usage would have cost elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaselineView {
    /// Where.
    pub model: String,
    /// How much.
    pub cost_usd: String,
}

impl AdminService {
    /// Explains the latest request of that id.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for administrators of tenants, as it shows costs; [`AdminError::NoRequest`] where the
    /// log has no such request; [`AdminError::Log`] and [`AdminError::Ledger`] where these cannot be read.
    pub async fn explain(&self, actor: &Actor, request: &str) -> Result<ExplanationView, AdminError> {
        if !actor.is_of_installation() {
            return Err(AdminError::forbidden("costs are for the administrator of the installation"));
        }
        let unknown = || AdminError::NoRequest(request.chars().take(RequestId::MAX_LENGTH).collect());
        let id = RequestId::new(request).map_err(|_| unknown())?;
        let (log, book) = (self.log()?, self.prices());
        let record = log.get(&Scope::All, &id).await.map_err(AdminError::Log)?.ok_or_else(unknown)?;
        let request = LoggedRequest::read(&record).map_err(AdminError::Record)?;
        let mut names = Names::default();
        let mut attempts = Vec::new();
        for attempt in &request.attempts {
            let mut explained = ExplainedAttempt::new(attempt, book.as_deref());
            explained.look_up(self.ledger(), attempt, &mut names).await?;
            attempts.push(explained);
        }
        let total = |of: fn(&LoggedAttempt) -> i64| {
            let sum = request.attempts.iter().fold(0_i64, |sum, attempt| sum.saturating_add(of(attempt)));
            NanoUsd::new(sum).to_string()
        };
        Ok(ExplanationView {
            at: request.at.to_string(),
            tenant: request.tenant().map(str::to_owned),
            key: request.key().map(str::to_owned),
            routing: RoutingView {
                rules: request.rules.clone(),
                strategy: request.strategy.clone(),
                seed: request.choice.as_ref().map(|choice| choice.seed.clone()),
                candidates: request.choice.as_ref().map(|choice| choice.candidates),
                scores: request.choice.iter().flat_map(|choice| &choice.scores).map(ScoreView::of).collect(),
                asked: request.attempts.iter().map(target).collect(),
                passed_over: request
                    .excluded
                    .iter()
                    .map(|excluded| PassedOverView {
                        target: excluded.target.clone(),
                        reason: excluded.reason.clone(),
                    })
                    .collect(),
            },
            cost_usd: total(|attempt| attempt.cost.get()),
            charged_usd: total(|attempt| attempt.charged.get()),
            request: request.id,
            model: request.model,
            status: request.status,
            refused: request.refused,
            attempts,
        })
    }
}

impl ScoreView {
    fn of(logged: &LoggedScore) -> Self {
        let LoggedScore { target, score, by } = logged.clone();
        Self { target, score, by }
    }
}

fn target(attempt: &LoggedAttempt) -> String {
    format!("{}/{}", attempt.provider, attempt.model)
}

impl ExplainedAttempt {
    /// What follows from the record and the price book.
    fn new(attempt: &LoggedAttempt, book: Option<&PriceBook>) -> Self {
        let usage = attempt.usage.iter().map(|(bucket, count)| (bucket.as_str(), count)).collect();
        let mut explained = Self {
            attempt: attempt.attempt.to_string(),
            target: target(attempt),
            outcome: attempt.outcome.clone(),
            status: attempt.status,
            error: attempt.error.clone(),
            provenance: attempt.provenance.clone(),
            usage,
            counts_differ: attempt.counts_differ.is_some(),
            price: None,
            cost_lines: Vec::new(),
            rounding_usd: None,
            cost_usd: attempt.cost.to_string(),
            terms: attempt.terms.clone().unwrap_or_else(|| Terms::AT_COST.to_string()),
            price_lines: Vec::new(),
            charged_usd: attempt.charged.to_string(),
            refunded_usd: None,
            baseline: attempt.baseline.as_ref().map(|baseline| BaselineView {
                model: baseline.model.clone(),
                cost_usd: baseline.cost.to_string(),
            }),
            postings: Vec::new(),
            notes: Vec::new(),
        };
        if attempt.usage.is_contradictory() {
            explained.notes.push("the provider's counts contradict each other".to_owned());
        }
        match (&attempt.priced, book) {
            (None, _) => {
                explained.notes.push("no price was known, or the usage was beyond pricing".to_owned())
            }
            (Some(_), None) => {
                explained.notes.push("there is no price book here to look rates up in".to_owned())
            }
            (Some(priced), Some(book)) => explained.calculate(attempt, priced, book),
        }
        explained
    }

    fn calculate(&mut self, attempt: &LoggedAttempt, priced: &LoggedPrice, book: &PriceBook) {
        let Some((card, cost)) = cost_again(attempt, priced, book) else {
            let version = &attempt.price_version;
            self.notes
                .push(format!("the price book has no such price any more; it was in version {version}"));
            return;
        };
        let Breakdown { items, exact, posted, rounding, context_above, .. } = cost;
        self.price = Some(PriceView {
            provider: priced.provider.clone(),
            model: priced.model.clone(),
            tier: priced.tier.clone(),
            above: context_above,
            from: card.from().map(|from| from.to_string()),
            source: card.source().to_owned(),
            read_on: card.checked().to_owned(),
            version: attempt.price_version.clone(),
        });
        self.cost_lines = items.iter().map(CostLine::new).collect();
        self.rounding_usd = Some(rounding.to_string());
        if posted != attempt.cost {
            self.notes.push(format!(
                "the present price book makes it {posted} USD: its past was changed since the attempt was pinned to version {}",
                attempt.price_version
            ));
        }
        let Some(Ok(terms)) = attempt.terms.as_ref().map(|terms| terms.parse::<Terms>()) else { return };
        let Ok(asked) = terms.price(exact, &attempt.usage) else { return };
        self.price_lines = price_lines(terms, &asked, exact, attempt);
        if attempt.charged != asked.posted && attempt.charged != NanoUsd::ZERO {
            self.notes.push(format!("these terms make it {} USD", asked.posted));
        }
    }

    /// What stands in the ledger.
    async fn look_up(
        &mut self,
        ledger: &dyn LedgerStore,
        attempt: &LoggedAttempt,
        names: &mut Names,
    ) -> Result<(), AdminError> {
        let rows = ledger.attempt_rows(attempt.attempt).await.map_err(AdminError::Ledger)?;
        for row in &rows {
            let accounts = row.entry.transfers.iter().flat_map(|moved| [moved.debit, moved.credit]);
            let accounts: Vec<EntityId> = accounts.map(|account| account.entity()).collect();
            for id in crate::export::names(&row.entry).chain(accounts) {
                names.of(ledger, id).await?;
            }
            self.postings.push(JournalView::with_names(row, |id| names.known(id)));
        }
        match ledger.attempt(attempt.attempt).await.map_err(AdminError::Ledger)? {
            Some(AttemptEntry::Ended(ended)) if ended.refunded != NanoUsd::ZERO => {
                self.refunded_usd = Some(ended.refunded.to_string());
            }
            Some(AttemptEntry::Ended(ended)) if ended.settlement.charged != attempt.charged => {
                self.notes.push(format!("the ledger charged {} USD", ended.settlement.charged));
            }
            Some(AttemptEntry::Ended(_)) => {}
            Some(AttemptEntry::Open(_)) => self.notes.push("its end is not committed yet".to_owned()),
            None => self.notes.push("the ledger has no such attempt any more".to_owned()),
        }
        Ok(())
    }
}

/// The card that priced an attempt, and what it makes of the usage.
fn cost_again(
    attempt: &LoggedAttempt,
    priced: &LoggedPrice,
    book: &PriceBook,
) -> Option<(Arc<PriceCard>, Breakdown)> {
    let tier = ServiceTier::from_name(&priced.tier)?;
    let card = book.find_as_priced(&priced.provider, &priced.model, tier, priced.at)?;
    let cost = card.cost(&attempt.usage).ok()?;
    Some((card, cost))
}

impl CostLine {
    fn new(item: &Item) -> Self {
        Self {
            bucket: item.bucket.as_str(),
            count: item.count,
            rate_per_million_usd: item.rate.to_string(),
            rate_of: (item.rate_of != item.bucket).then_some(item.rate_of.as_str()),
            amount_usd: item.amount.to_string(),
        }
    }
}

fn price_lines(terms: Terms, asked: &Asked, cost: Usd, attempt: &LoggedAttempt) -> Vec<PriceLine> {
    let charges = terms.charges();
    let per_million =
        |what, tokens: u64, amount: NanoUsd| format!("{tokens} {what} × {} per million", Usd::from(amount));
    let lines = [
        (format!("cost {cost} × {}", asked.share.normalize()), asked.of_cost),
        ("the request".to_owned(), asked.of_request),
        (per_million("prompt tokens", attempt.usage.prompt(), charges.per_million_prompt()), asked.of_prompt),
        (per_million("answer tokens", attempt.usage.answer(), charges.per_million_answer()), asked.of_answer),
        ("rounding".to_owned(), asked.rounding),
    ];
    let told = lines.into_iter().enumerate().filter(|(at, (_, amount))| *at == 0 || *amount != Usd::ZERO);
    told.map(|(_, (what, amount))| PriceLine { what, amount_usd: amount.to_string() }).collect()
}
