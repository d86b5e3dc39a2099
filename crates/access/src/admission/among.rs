//! Asking all instances together, where they count together.

use std::sync::Arc;

use weighbridge_units::Monotonic;

use super::{Admission, AttemptClaim, AttemptHold, AttemptMoney, OWNERS};
use crate::claim::{Claim, nano};
use crate::fleet::FleetHold;
use crate::{Decision, FleetLimits, FleetTake, Held, LimitCells, LimitKind, LimitRefusal, Share, Want};

impl Admission {
    /// Whether an attempt at that target is counted against any limit.
    pub fn is_limited(&self, target: Option<&Arc<LimitCells>>) -> bool {
        self.claims.iter().any(Option::is_some) || target.is_some_and(|cells| !cells.is_unlimited())
    }

    /// As [`Self::attempt`], asked of all instances together: what the request has taken here so far, and what the
    /// attempt needs, in one question. Where nobody can be asked, it is taken out of this instance's part.
    ///
    /// What the first attempt of a request holds for all of them is handed over by [`Self::adopt`] once nothing
    /// stands in the attempt's way; until then it goes with the claim.
    ///
    /// # Errors
    /// [`LimitRefusal`] by the first limit without room; nothing is taken then, and the admission stays.
    pub async fn attempt_among(
        &self,
        fleet: &Arc<dyn FleetLimits>,
        target: Option<&Arc<LimitCells>>,
        money: AttemptMoney,
        now: Monotonic,
    ) -> Result<AttemptClaim, LimitRefusal> {
        self.ask(fleet, target, Some(money), now).await
    }

    /// Asks all instances together for a request that makes no attempt.
    ///
    /// # Errors
    /// [`LimitRefusal`] by the first limit without room; nothing is taken then, and the admission stays.
    pub async fn confirm(
        &mut self,
        fleet: &Arc<dyn FleetLimits>,
        now: Monotonic,
    ) -> Result<(), LimitRefusal> {
        let mut claim = self.ask(fleet, None, None, now).await?;
        self.adopt(&mut claim);
        Ok(())
    }

    /// Takes over what an attempt has asked for in the request's name.
    pub fn adopt(&mut self, claim: &mut AttemptClaim) {
        let request = claim.fleet.as_mut().and_then(|hold| hold.request.take());
        if let Some(request) = request {
            self.fleet = Some(Box::new(request));
        }
    }

    async fn ask(
        &self,
        fleet: &Arc<dyn FleetLimits>,
        target: Option<&Arc<LimitCells>>,
        money: Option<AttemptMoney>,
        now: Monotonic,
    ) -> Result<AttemptClaim, LimitRefusal> {
        let share = fleet.share();
        let mut claim = self.attempt_of(share, target, money, now)?;
        let mut hold = Box::<AttemptHold>::default();
        // What was taken out of a part was not asked for, and is not any more.
        let is_first = self.fleet.is_none();
        let request = if is_first && self.share.is_whole() { self.wants() } else { Vec::new() };
        let own = if share.is_whole() { claim.wants(self.estimate, money) } else { Vec::new() };
        let decision = match share.is_whole() {
            true if request.is_empty() && own.is_empty() => Decision::Granted(Vec::new()),
            true => {
                let wants = [request.as_slice(), own.as_slice()].concat();
                fleet.take(&wants, now).await
            }
            false => Decision::Away(share),
        };
        match decision {
            Decision::Refused(refusal) => return Err(refusal),
            Decision::Granted(held) => {
                let mut held = held.into_iter();
                let request = takes(request, &mut held);
                hold.attempt = Some(FleetHold::new(Arc::clone(fleet), takes(own, &mut held)));
                if is_first {
                    let all = if self.share.is_whole() { request } else { self.places(fleet) };
                    hold.request = Some(FleetHold::new(Arc::clone(fleet), all));
                }
            }
            Decision::Away(share) => {
                if claim.share != share {
                    drop(claim);
                    claim = self.attempt_of(share, target, money, now)?;
                }
                let target = claim.target.iter().filter_map(|target| place(fleet, target.cells())).collect();
                hold.attempt = Some(FleetHold::new(Arc::clone(fleet), target));
                if is_first {
                    hold.request = Some(FleetHold::new(Arc::clone(fleet), self.places(fleet)));
                    // An instance that is alone has all of it for its part, and has taken that already.
                    if self.share.is_whole() && !share.is_whole() {
                        hold.share = Some(share);
                        claim.fleet = Some(hold);
                        self.take_part(share, &mut claim, now)?;
                        return Ok(claim);
                    }
                }
            }
        }
        claim.fleet = Some(hold);
        Ok(claim)
    }

    /// Takes the request out of a part of its limits too: it was admitted out of all of them, and then nobody could
    /// be asked. What a refused claim has taken, dropping it gives back.
    fn take_part(&self, share: Share, claim: &mut AttemptClaim, now: Monotonic) -> Result<(), LimitRefusal> {
        let Some(hold) = &mut claim.fleet else { return Ok(()) };
        for (part, held) in hold.parts.iter_mut().zip(self.claims.iter().flatten()) {
            *part = Some(Claim::on(Arc::clone(held.cells())));
        }
        for (kind, units) in [(LimitKind::Rpm, 1), (LimitKind::Tpm, self.estimate)] {
            for part in hold.parts.iter_mut().flatten() {
                part.take(kind, share, units, now)?;
            }
        }
        hold.parts.iter().flatten().try_for_each(|part| part.fits_places(share))
    }

    /// What the request itself wants: of everybody a request, then tokens, then a place.
    fn wants(&self) -> Vec<Want> {
        let mut wants = Vec::with_capacity(3 * OWNERS);
        for (kind, units) in
            [(LimitKind::Rpm, 1), (LimitKind::Tpm, self.estimate), (LimitKind::Concurrency, 1)]
        {
            wants.extend(self.claims.iter().flatten().filter_map(|claim| want(claim, kind, units)));
        }
        wants
    }

    /// Its places, which count although nobody was asked for them.
    fn places(&self, fleet: &Arc<dyn FleetLimits>) -> Vec<FleetTake> {
        self.claims.iter().flatten().filter_map(|claim| place(fleet, claim.cells())).collect()
    }
}

impl AttemptClaim {
    /// What the attempt wants beside what its request does: all of its target, and of everybody else money.
    fn wants(&self, tokens: u64, money: Option<AttemptMoney>) -> Vec<Want> {
        let mut wants = Vec::new();
        let of = |amount| (LimitKind::UsdPerMinute, nano(amount));
        if let Some(target) = &self.target {
            let all = [(LimitKind::Rpm, 1), (LimitKind::Tpm, tokens), (LimitKind::Concurrency, 1)];
            let all = all.into_iter().chain(money.map(|money| of(money.cost)));
            wants.extend(all.filter_map(|(kind, units)| want(target, kind, units)));
        }
        if let Some((kind, units)) = money.map(|money| of(money.price)) {
            wants.extend(self.money.iter().filter_map(|claim| want(claim, kind, units)));
        }
        wants
    }
}

fn want(claim: &Claim, kind: LimitKind, units: u64) -> Option<Want> {
    let cells = claim.cells();
    cells.limit(kind).map(|_| Want { cells: Arc::clone(cells), kind, units })
}

fn place(fleet: &Arc<dyn FleetLimits>, cells: &Arc<LimitCells>) -> Option<FleetTake> {
    let kind = LimitKind::Concurrency;
    cells.limit(kind)?;
    Some(FleetTake { cells: Arc::clone(cells), kind, held: Held::Place(fleet.occupy(cells)) })
}

/// What was wanted, with what was taken of it.
fn takes(wants: Vec<Want>, held: &mut impl Iterator<Item = Held>) -> Vec<FleetTake> {
    let take = |(want, held): (Want, Held)| FleetTake { cells: want.cells, kind: want.kind, held };
    wants.into_iter().zip(held).map(take).collect()
}
