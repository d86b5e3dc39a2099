//! Candidate → Intent: the price is pinned, the worst cost is reserved, and only then may anything
//! be sent.

use std::sync::Arc;
use std::time::Duration;

use weighbridge_access::{AttemptClaim, AttemptMoney, LimitOwner, LossPolicy, PromptCache};
use weighbridge_ledger::{
    AccountId, Billing, Hold, LedgerError, Measure, Name, Quantity, Refusal as LedgerRefusal, Reservation,
    Reserve,
};
use weighbridge_pricing::{PriceCard, ServiceTier, Terms};
use weighbridge_protocol::Body;
use weighbridge_routing::{Pick, Rejection};
use weighbridge_tokens::{Media, Searches};
use weighbridge_translate::PromptCaching;
use weighbridge_translate::conversation::CacheTtl;
use weighbridge_transport::Rope;
use weighbridge_units::{AttemptId, Bucket, NanoUsd};

use crate::budgets::{Counting, bounds_money, counting, counting_copy};
use crate::compiled::{Compiled, Deployment, ModelRoute};
use crate::exchange::Exchange;
use crate::in_flight::Intent;
use crate::media;
use crate::metering::{Bounds, Meter, Worst};
use crate::outbound::{self, Additions, Outbound};
use crate::own_keys::{Lent, Used};
use crate::refusal::Refusal;
use crate::settings::UnknownModel;

/// The least output that a budget must have room for before a cap is put on a request.
const CAP_LEAST: u64 = 64;
/// How far beyond the attempt's own time limit an intent is left open.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);

/// A candidate that may be dispatched, and the body to send.
pub(crate) struct Reserved {
    pub(crate) intent: Box<Intent>,
    pub(crate) body: Rope,
}

/// A candidate that nothing was sent to. The request comes back for the next one.
pub(crate) struct Rejected {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) pick: Pick,
    pub(crate) unfit: Unfit,
}

/// Why a candidate is not asked.
pub(crate) struct Unfit {
    pub(crate) why: Rejection,
    pub(crate) refusal: Refusal,
    /// No other candidate would change it: the request itself is wrong, or the ledger is away.
    pub(crate) ends: bool,
}

impl Unfit {
    /// Another candidate may fit.
    pub(crate) fn here(why: Rejection, refusal: Refusal) -> Self {
        Self { why, refusal, ends: false }
    }

    /// No candidate will.
    pub(crate) fn anywhere(why: Rejection, refusal: Refusal) -> Self {
        Self { why, refusal, ends: true }
    }
}

/// Prices, translates and reserves one candidate.
pub(crate) async fn reserve(
    mut exchange: Box<Exchange>,
    settings: &Compiled,
    route: &ModelRoute,
    deployment: &Arc<Deployment>,
    pick: Pick,
    lent: Option<&Lent>,
) -> Result<Reserved, Box<Rejected>> {
    match prepare_on(&mut exchange, settings, route, deployment, &pick, lent).await {
        Ok(prepared) => Ok(prepared.into_reserved(exchange, Arc::clone(deployment), pick)),
        Err(unfit) => Err(Box::new(Rejected { exchange, pick, unfit })),
    }
}

/// Prices, translates and reserves one candidate, and leaves the request where it is.
pub(crate) async fn prepare_on(
    exchange: &mut Exchange,
    settings: &Compiled,
    route: &ModelRoute,
    deployment: &Arc<Deployment>,
    pick: &Pick,
    lent: Option<&Lent>,
) -> Result<Prepared, Unfit> {
    let used = Used::picked(lent, pick, &deployment.provider);
    let used = used.map_err(|refusal| Unfit::here(Rejection::OwnKey, refusal))?;
    media::fetch(exchange, deployment).await?;
    let mut prepared = prepare(exchange, settings, route, deployment, used).await?;
    if let Some(admission) = &mut exchange.admission {
        admission.adopt(&mut prepared.claim);
    }
    exchange.deployment = Some(Arc::clone(deployment));
    exchange.draft.record.losses = std::mem::take(&mut prepared.outbound.losses);
    Ok(prepared)
}

/// Everything of an [`Intent`] but its request.
pub(crate) struct Prepared {
    used: Used,
    meter: Meter,
    worst: Worst,
    outbound: Outbound,
    claim: AttemptClaim,
    reservation: Reservation,
}

impl Prepared {
    pub(crate) fn into_reserved(
        self,
        exchange: Box<Exchange>,
        deployment: Arc<Deployment>,
        pick: Pick,
    ) -> Reserved {
        let Self { used, meter, worst, outbound, claim, reservation } = self;
        let intent = Box::new(Intent { deployment, pick, used, meter, worst, claim, reservation, exchange });
        Reserved { intent, body: outbound.body }
    }
}

async fn prepare(
    exchange: &Exchange,
    settings: &Compiled,
    route: &ModelRoute,
    deployment: &Deployment,
    used: Used,
) -> Result<Prepared, Unfit> {
    let is_copy = exchange.draft.is_copy();
    let billing = if is_copy { Billing::House } else { used.billing() };
    // What is sent, priced and bounded has the whole conversation, not only what the client wrote.
    let said = match &exchange.conversation {
        Some(conversation) => conversation.body_for(&exchange.body, deployment, settings)?,
        None => None,
    };
    let said = said.as_ref().unwrap_or(&exchange.body);
    let counting = match is_copy {
        true => counting_copy(exchange, settings, route, deployment),
        false => counting(exchange, settings, route, deployment, billing.book()),
    };
    let is_bounded = bounds_money(&counting) || (!is_copy && exchange.principal.payer().1.is_some());
    // What vectors are asked for is bounded without looking at it.
    let media = match &exchange.vectors {
        Some(_) => Media::default(),
        None => weighbridge_tokens::media(exchange.client, said.text()),
    };
    let mut meter = meter(exchange, said, settings, route, deployment, billing, is_bounded)?;
    meter.prompt_is_text = exchange.vectors.is_none() && !media.unseen && media.images == 0;
    let bounds = bounds(exchange, said, media, deployment);
    if is_bounded && meter.lacks_price_of(&bounds) {
        let message = "The provider may search for this request, and what a search costs with this model is not \
                       known: leave the tool out, or have its price added.";
        let refusal = Refusal::BadBody { message: message.into(), param: Some("tools".into()) };
        return Err(Unfit::here(Rejection::Price, refusal));
    }
    let unpriceable = || {
        let message = "The cost of this request has no bound: name an output limit, and leave out what \
                       cannot be bounded, such as documents by URL.";
        Unfit::here(Rejection::Price, Refusal::BadBody { message: message.into(), param: None })
    };
    let at_worst = |cap: u64| meter.worst(&bounds, cap, exchange.envelope.candidates);
    let mut cap = outbound::output_cap(exchange, deployment);
    let mut worst = at_worst(cap).ok_or_else(unpriceable)?;
    // What certainly has no room is refused without writing anything.
    let has_limit = exchange.envelope.max_output.is_some();
    let least = if has_limit || is_copy { Some(worst) } else { at_worst(cap.min(CAP_LEAST)) };
    let full = least.and_then(|least| exchange.core().exhausted.refuses(&counting, least, exchange.now()));
    if let Some((account, available)) = full {
        return Err(no_room(exchange, &counting, account, available));
    }
    let caching = prompt_caching(exchange, deployment, meter.card.as_deref());
    let mut outbound = outbound::write(exchange, said, deployment, Additions { cap: None, caching })?;
    check_losses(exchange, &outbound)?;

    // Limits per minute first, money in the ledger last. What is not dispatched after all is given back.
    let mut claim = claim(exchange, deployment, billing, worst).await?;
    let reserve = |worst: Worst| {
        let holds = counting.iter().map(Counting::hold).collect();
        exchange.core().ledger.reserve(command(exchange, deployment, &meter, billing, worst, holds))
    };
    let mut reservation = reserve(worst).await;
    // A request without an output limit gets one that fits. What has no room is asked for one by one, so that there
    // are as many rounds as there can be of them. A copy that is cut short could not be compared with anything.
    for _ in 0..=counting.len() {
        let Err(LedgerError::Refused(full)) = &reservation else { break };
        let Some(room) = Room::left(full).filter(|_| !has_limit && !is_copy) else { break };
        let Some(fitting) = cap_that_fits(cap, |cap| at_worst(cap).is_some_and(|worst| room.fits(worst)))
        else {
            break;
        };
        cap = fitting;
        outbound = outbound::write(exchange, said, deployment, Additions { cap: Some(cap), caching })?;
        worst = at_worst(cap).ok_or_else(unpriceable)?;
        drop(claim);
        claim = self::claim(exchange, deployment, billing, worst).await?;
        reservation = reserve(worst).await;
    }
    match reservation {
        Ok(reservation) => {
            exchange.core().watch.note(&counting);
            Ok(Prepared { used, meter, worst, outbound, claim, reservation })
        }
        Err(LedgerError::Refused(LedgerRefusal::Budget { account, available, pending, .. })) => {
            note_exhausted(exchange, &counting, account, available, pending);
            Err(no_room(exchange, &counting, account, available))
        }
        Err(LedgerError::Refused(LedgerRefusal::Wallet { available, .. })) => {
            Err(Unfit::here(Rejection::Budget, Refusal::Wallet { available }))
        }
        Err(LedgerError::Refused(LedgerRefusal::ClaimConflict)) => {
            Err(Unfit::anywhere(Rejection::Misfit, Refusal::IdempotencyConflict))
        }
        Err(LedgerError::Refused(
            LedgerRefusal::ClaimOpen { attempt } | LedgerRefusal::ClaimDone { attempt },
        )) => Err(Unfit::anywhere(Rejection::Misfit, Refusal::ClaimHeld { attempt })),
        Err(LedgerError::Full { .. }) => Err(Unfit::anywhere(Rejection::Budget, Refusal::Overloaded)),
        Err(error) => {
            tracing::error!(%error, "a reservation failed, so nothing was sent");
            Err(Unfit::anywhere(Rejection::Budget, Refusal::LedgerUnavailable))
        }
    }
}

/// What is left where a reservation had no room, as far as less output would help.
#[derive(Debug, Clone, Copy)]
enum Room {
    Usd(NanoUsd),
    Tokens(Quantity),
}

impl Room {
    fn left(refusal: &LedgerRefusal) -> Option<Self> {
        match *refusal {
            LedgerRefusal::Budget { account, available, .. } => match account.measure() {
                Measure::Usd => Some(Self::Usd(available.usd())),
                Measure::Tokens => Some(Self::Tokens(available)),
                Measure::Requests => None,
            },
            LedgerRefusal::Wallet { available, .. } => Some(Self::Usd(available)),
            _ => None,
        }
    }

    fn fits(self, worst: Worst) -> bool {
        match self {
            Self::Usd(left) => worst.price <= left,
            Self::Tokens(left) => Quantity::of_count(worst.tokens) <= left,
        }
    }
}

/// The meter for what the client asked for. Without a price, only a key without a budget is served,
/// and only where the configuration says so (rule M7).
fn meter(
    exchange: &Exchange,
    said: &Body,
    settings: &Compiled,
    route: &ModelRoute,
    deployment: &Deployment,
    billing: Billing,
    is_bounded: bool,
) -> Result<Meter, Unfit> {
    let tier = ServiceTier::from_wire(exchange.envelope.service_tier.as_deref());
    let (prices, at) = (exchange.core().prices.load_full(), exchange.wall());
    let mut card = prices.book.find(&deployment.provider.price_as, &deployment.model, tier, at);
    if settings.unknown_model == UnknownModel::DefaultRate && !is_bounded {
        card = card.or_else(|| prices.book.find_default(at));
    }
    let free = settings.unknown_model == UnknownModel::ZeroAndFlag && !is_bounded;
    if card.is_none() && !free {
        let asked = &exchange.envelope.model;
        let model = format!("{}/{}", deployment.provider.name, deployment.model);
        // `provider/model` stands for anything; one that nobody knows is taken for a slip of the pen.
        let refusal = if deployment.info.is_none() && *asked == model {
            let near = settings.near(asked).into_iter().filter(|name| exchange.principal.may_use(name));
            Refusal::UnknownModel { near: near.collect(), model }
        } else {
            Refusal::Unpriced { model }
        };
        return Err(Unfit::here(Rejection::Price, refusal));
    }
    let prompt_estimate = weighbridge_tokens::estimate(said.bytes().len() as u64);
    let asked = route.name.as_deref().unwrap_or(&exchange.envelope.model);
    let terms = match billing {
        Billing::Platform => settings.markups.markup(&exchange.principal, asked),
        Billing::OwnKey => settings.surcharges.surcharge(&exchange.principal, asked),
        Billing::House => Terms::AT_COST,
    };
    let (alarm, baseline) = (settings.count_alarm, route.baseline.clone());
    let prompt_is_text = false;
    Ok(Meter { prices, card, tier, terms, at, prompt_estimate, prompt_is_text, alarm, baseline })
}

/// How the prompt is to be marked for the provider's cache, if the key wants it and the model has marks.
///
/// The reservation covers any of the card's prompt rates, those of writing to a cache included. A longer
/// life that it has no rate for would be written for a price that nobody knows: then it is the shorter one.
fn prompt_caching(
    exchange: &Exchange,
    deployment: &Deployment,
    card: Option<&PriceCard>,
) -> Option<PromptCaching> {
    let (policy, info) = (exchange.principal.key().prompt_cache?, deployment.prompt_cache?);
    let has_hour = card.is_some_and(|card| card.rate(Bucket::CacheWrite1h, 0).is_some());
    let ttl = match policy {
        PromptCache::OneHour if has_hour && info.offers_hour => CacheTtl::OneHour,
        PromptCache::OneHour | PromptCache::FiveMinutes => CacheTtl::FiveMinutes,
    };
    Some(PromptCaching { ttl, minimum_tokens: info.minimum_tokens, marks_tools: info.marks_tools })
}

fn check_losses(exchange: &Exchange, outbound: &Outbound) -> Result<(), Unfit> {
    if exchange.loss_policy == LossPolicy::Reject && !outbound.losses.is_empty() {
        let losses = outbound.losses.clone();
        return Err(Unfit::here(Rejection::Loss, Refusal::LossRejected { losses }));
    }
    Ok(())
}

/// What the prompt, and the provider's own searches, certainly do not exceed (rule R4).
fn bounds(exchange: &Exchange, said: &Body, media: Media, deployment: &Deployment) -> Bounds {
    let text = said.text();
    if let Some(vectors) = &exchange.vectors {
        // A model's window bounds each of the inputs, not their sum.
        let prompt = if vectors.asked.is_bounded { text.len() as u64 } else { weighbridge_tokens::UNBOUNDED };
        return Bounds { prompt, searches: Searches::default() };
    }
    let provider = deployment.address(exchange.client).protocol;
    let bound = weighbridge_tokens::prompt_bound(provider, text.len() as u64, media);
    let prompt = weighbridge_tokens::within_context(bound, deployment.info.map(|info| info.context_window));
    Bounds { prompt, searches: media.searches }
}

/// The largest output, up to `most`, whose worst fits into what is left.
fn cap_that_fits(most: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if !fits(CAP_LEAST) {
        return None;
    }
    let (mut low, mut high) = (CAP_LEAST, most.max(CAP_LEAST));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    Some(low)
}

/// Takes the attempt out of the target's limits, and its money out of everybody's limits per minute. A target
/// without room is passed over; whoever else has none refuses the request (rule R8).
///
/// A target's limits are those of the installation's account there: who brings a key has another.
///
/// Where instances count together, all of them are asked here, in one question: what the request took at its
/// admission was so far taken of this instance only.
async fn claim(
    exchange: &Exchange,
    deployment: &Deployment,
    billing: Billing,
    worst: Worst,
) -> Result<AttemptClaim, Unfit> {
    let Some(admission) = &exchange.admission else {
        return Err(Unfit::anywhere(Rejection::Limit, Refusal::Internal));
    };
    let money = AttemptMoney { cost: worst.cost, price: worst.price };
    let target = (billing != Billing::OwnKey).then_some(&deployment.limits);
    let now = exchange.now();
    let claimed = match exchange.core().fleet.as_ref().filter(|_| admission.is_limited(target)) {
        // On the heap, so that requests carry no room for it where nobody is asked.
        Some(fleet) => Box::pin(admission.attempt_among(fleet, target, money, now)).await,
        None => admission.attempt(target, money, now),
    };
    claimed.map_err(|refused| {
        let unfit = match refused.whose {
            LimitOwner::Deployment => Unfit::here,
            _ => Unfit::anywhere,
        };
        unfit(Rejection::Limit, Refusal::Limit(refused))
    })
}

/// Remembers that a budget had no room, with what is posted in it.
fn note_exhausted(
    exchange: &Exchange,
    counting: &[Counting<'_>],
    account: AccountId,
    available: Quantity,
    pending: Quantity,
) {
    let limit =
        counting.iter().find(|counting| counting.account == account).and_then(|full| full.hold().limit);
    let posted = limit.and_then(|limit| limit.minus(available)?.minus(pending));
    if let Some(posted) = posted {
        exchange.core().exhausted.note(account, posted, exchange.now());
    }
}

/// The budget of that account has no room: not before its window ends, if it ever does.
fn no_room(exchange: &Exchange, counting: &[Counting<'_>], account: AccountId, available: Quantity) -> Unfit {
    let full = counting.iter().find(|counting| counting.account == account);
    let end = full.and_then(|full| full.window.end);
    let reset = end.map(|end| exchange.wall().until(end));
    Unfit::here(Rejection::Budget, Refusal::Budget { measure: account.measure(), available, reset })
}

/// What is asked of the ledger.
fn command(
    exchange: &Exchange,
    deployment: &Deployment,
    meter: &Meter,
    billing: Billing,
    worst: Worst,
    holds: Vec<Hold>,
) -> Reserve {
    let Worst { cost, price, tokens } = worst;
    let at = exchange.wall();
    let key = exchange.principal.key();
    let (payer, credit_limit) = exchange.principal.payer();
    let credit_limit = credit_limit.filter(|_| billing != Billing::House);
    Reserve {
        attempt: AttemptId::new(at, exchange.core().env.random_wide()),
        at,
        expires: at + deployment.provider.timeouts.total + EXPIRY_MARGIN,
        key: key.id,
        tenant: Name::new(payer.shared()),
        provider: deployment.provider.ledger_name.clone(),
        model: deployment.ledger_name.clone(),
        price_version: meter.prices.version.clone(),
        billing,
        amount: price,
        tokens,
        credit_limit,
        claim: exchange.carried_out.as_ref().map(|carried_out| Box::new(carried_out.claim())),
        holds,
        estimate: cost,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_largest_cap_that_fits_is_found(
            most in 1_u64..200_000, available in 0_i64..1_000_000, prompt in 0_i64..100_000, rate in 0_i64..100,
        ) {
            let fits = |cap: u64| prompt + rate * cap as i64 <= available;
            match cap_that_fits(most, fits) {
                Some(cap) => {
                    prop_assert!(fits(cap));
                    prop_assert!(cap >= most || !fits(cap + 1));
                }
                None => prop_assert!(!fits(CAP_LEAST)),
            }
        }
    }
}
