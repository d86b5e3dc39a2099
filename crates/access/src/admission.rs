use std::sync::Arc;

use weighbridge_units::{Monotonic, NanoUsd};

use crate::claim::{Claim, nano};
use crate::fleet::FleetHold;
use crate::rate::Take;
use crate::{LimitCells, LimitKind, LimitRefusal, Principal, Share};

mod among;

#[cfg(test)]
mod tests;

/// What an attempt may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptMoney {
    /// At the provider, whose limits it counts against.
    pub cost: NanoUsd,
    /// For whoever pays.
    pub price: NanoUsd,
}

impl AttemptMoney {
    /// Where the price is the cost.
    pub const fn at_cost(cost: NanoUsd) -> Self {
        Self { cost, price: cost }
    }
}

/// Whose limits a request is counted against at most: key, team, organisation, model.
const OWNERS: usize = 4;

/// A place in the limits of a key and of all whom it belongs to, from admission to the request's end (rule R8).
///
/// Dropped before [`Admission::dispatched`], it gives back all that it took: the request was refused
/// later on, failed, or panicked before anything was sent. Afterwards the request counts, and the
/// estimate of its tokens counts until [`Admission::true_up`] replaces it by the truth.
#[derive(Debug)]
#[must_use = "dropping an admission gives its place back"]
pub struct Admission {
    principal: Arc<Principal>,
    at: Monotonic,
    claims: [Option<Claim>; OWNERS],
    /// The tokens that were taken.
    estimate: u64,
    /// The part of the limits that it was taken out of.
    share: Share,
    /// What it holds of the limits of all instances together, once those were asked.
    fleet: Option<Box<FleetHold>>,
    dispatched: bool,
}

impl Admission {
    /// Takes one request and an estimate of its tokens out of all those limits, or nothing.
    pub(crate) fn take<'a>(
        principal: &Arc<Principal>,
        limiting: impl Iterator<Item = &'a Arc<LimitCells>>,
        share: Share,
        now: Monotonic,
        tokens: u64,
    ) -> Result<Self, LimitRefusal> {
        let mut claims = [const { None }; OWNERS];
        for (claim, cells) in claims.iter_mut().zip(limiting) {
            *claim = Some(Claim::on(Arc::clone(cells)));
        }
        // Built before the first limit is asked: where one refuses, dropping it gives back what it has.
        let mut admission = Self {
            principal: Arc::clone(principal),
            at: now,
            claims,
            estimate: tokens,
            share,
            fleet: None,
            dispatched: false,
        };
        for (kind, units) in [(LimitKind::Rpm, 1), (LimitKind::Tpm, tokens), (LimitKind::Concurrency, 1)] {
            for claim in admission.claims.iter_mut().flatten() {
                claim.take(kind, share, units, now)?;
            }
        }
        Ok(admission)
    }

    /// A place that takes nothing out of anybody's limits: of what a request's owner does not ask for, and which is
    /// bounded by the limits of its target alone.
    pub fn of_nobody(principal: &Arc<Principal>, now: Monotonic, tokens: u64) -> Self {
        Self {
            principal: Arc::clone(principal),
            at: now,
            claims: [const { None }; OWNERS],
            estimate: tokens,
            share: Share::WHOLE,
            fleet: None,
            dispatched: false,
        }
    }

    /// The key that was admitted.
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Takes more tokens than were known of at first, or nothing more.
    ///
    /// # Errors
    /// [`LimitRefusal`] where a limit has no room for all of them together. The request is then refused, and
    /// dropping this gives back what it had.
    pub fn take_more(&mut self, tokens: u64, now: Monotonic) -> Result<(), LimitRefusal> {
        let mut taken: [Option<Take>; OWNERS] = [const { None }; OWNERS];
        let mut refused = None;
        for (claim, take) in self.claims.iter().flatten().zip(&mut taken) {
            match claim.try_take(LimitKind::Tpm, self.share, tokens, now) {
                Ok(more) => *take = more,
                Err(refusal) => {
                    refused = Some(refusal);
                    break;
                }
            }
        }
        for (claim, more) in self.claims.iter_mut().flatten().zip(taken) {
            match refused {
                None => claim.note_more(more),
                Some(_) => claim.return_more(more, now),
            }
        }
        if let Some(mut refusal) = refused {
            // As if it had asked for all at once: what it has is given back.
            refusal.remaining = refusal.remaining.saturating_add(self.estimate);
            refusal.needed = refusal.needed.saturating_add(self.estimate);
            return Err(refusal);
        }
        self.estimate = self.estimate.saturating_add(tokens);
        Ok(())
    }

    /// Takes what one attempt needs: a request, its tokens and a place of the target's own limits, and money out
    /// of everybody's limits per minute: its `cost` at worst out of the target's, its `price` at worst out of
    /// those of whoever pays.
    ///
    /// # Errors
    /// [`LimitRefusal`] by the first limit without room; nothing is taken then, and the admission stays.
    pub fn attempt(
        &self,
        target: Option<&Arc<LimitCells>>,
        money: AttemptMoney,
        now: Monotonic,
    ) -> Result<AttemptClaim, LimitRefusal> {
        self.attempt_of(self.share, target, Some(money), now)
    }

    /// Takes an attempt out of a part of the limits; no money where it is to take none.
    fn attempt_of(
        &self,
        share: Share,
        target: Option<&Arc<LimitCells>>,
        money: Option<AttemptMoney>,
        now: Monotonic,
    ) -> Result<AttemptClaim, LimitRefusal> {
        let mut claim =
            AttemptClaim { at: now, target: None, money: Vec::new(), share, fleet: None, settled: false };
        if let Some(cells) = target.filter(|cells| !cells.is_unlimited()) {
            let target = claim.target.insert(Claim::on(Arc::clone(cells)));
            target.take(LimitKind::Rpm, share, 1, now)?;
            target.take(LimitKind::Tpm, share, self.estimate, now)?;
            target.take(LimitKind::Concurrency, share, 1, now)?;
            if let Some(AttemptMoney { cost, .. }) = money {
                target.take(LimitKind::UsdPerMinute, share, nano(cost), now)?;
            }
        }
        let Some(AttemptMoney { price, .. }) = money else { return Ok(claim) };
        let limiting = self.claims.iter().flatten().filter(|claim| claim.cells().money(now).is_some());
        for limiting in limiting {
            let mut money = Claim::on(Arc::clone(limiting.cells()));
            money.take(LimitKind::UsdPerMinute, share, nano(price), now)?;
            claim.money.push(money);
        }
        Ok(claim)
    }

    /// Says that something was sent to a provider: from here on the request counts, whatever happens.
    pub fn dispatched(&mut self) {
        self.dispatched = true;
    }

    /// Replaces the estimate by the tokens that were used: 0 where nothing was.
    pub fn true_up(mut self, tokens: u64, now: Monotonic) {
        self.dispatched = true;
        for claim in self.claims.iter_mut().flatten() {
            claim.correct(self.share, tokens, NanoUsd::ZERO, now);
        }
        if let Some(fleet) = self.fleet.take() {
            fleet.correct(tokens, NanoUsd::ZERO, NanoUsd::ZERO);
        }
    }

    /// Gives everything back, as dropping does before the dispatch, at a known time.
    pub fn refund(mut self, now: Monotonic) {
        self.give_back(now);
    }

    fn give_back(&mut self, now: Monotonic) {
        for claim in self.claims.iter_mut().flatten() {
            claim.give_back(now);
        }
        if let Some(fleet) = self.fleet.take() {
            fleet.give_back();
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.dispatched {
            // No clock here: the time of the admission is the latest that is known.
            self.give_back(self.at);
        }
    }
}

/// What one attempt has taken out of limits, beside what its request has. Dropped before
/// [`AttemptClaim::settle`], it gives all of it back: nothing was sent.
#[derive(Debug)]
#[must_use = "dropping a claim gives it back"]
pub struct AttemptClaim {
    at: Monotonic,
    /// What it holds of the limits of its target.
    target: Option<Claim>,
    /// What it holds of limits of money. Most have none, and a stream carries this to its end.
    money: Vec<Claim>,
    /// The part of the limits that these were taken out of.
    share: Share,
    /// What it holds of the limits of all instances together, where those were asked.
    fleet: Option<Box<AttemptHold>>,
    settled: bool,
}

/// What one attempt has asked of all instances together.
#[derive(Debug, Default)]
struct AttemptHold {
    /// What it holds for itself.
    attempt: Option<FleetHold>,
    /// What it was the first of its request to ask for, until [`Admission::adopt`] takes it over.
    request: Option<FleetHold>,
    /// What the request had to take out of the part that is left of its limits, when nobody could be asked.
    parts: [Option<Claim>; OWNERS],
    /// That part.
    share: Option<Share>,
}

impl AttemptClaim {
    /// Replaces estimates by what the attempt used, cost at the provider, and was charged.
    pub fn settle(mut self, tokens: u64, cost: NanoUsd, charged: NanoUsd, now: Monotonic) {
        self.settled = true;
        if let Some(target) = &mut self.target {
            target.correct(self.share, tokens, cost, now);
        }
        for money in &mut self.money {
            money.correct(self.share, 0, charged, now);
        }
        let Some(fleet) = self.fleet.take() else { return };
        let AttemptHold { attempt, request, mut parts, share } = *fleet;
        for hold in [attempt, request].into_iter().flatten() {
            hold.correct(tokens, cost, charged);
        }
        for part in parts.iter_mut().flatten() {
            part.correct(share.unwrap_or(Share::WHOLE), tokens, charged, now);
        }
    }
}

impl Drop for AttemptClaim {
    fn drop(&mut self) {
        if !self.settled {
            for claim in self.target.iter_mut().chain(&mut self.money) {
                claim.give_back(self.at);
            }
            let Some(fleet) = self.fleet.take() else { return };
            let AttemptHold { attempt, request, mut parts, .. } = *fleet;
            for hold in [attempt, request].into_iter().flatten() {
                hold.give_back();
            }
            for part in parts.iter_mut().flatten() {
                part.give_back(self.at);
            }
        }
    }
}
