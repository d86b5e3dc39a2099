use std::sync::Arc;
use std::time::Duration;

use weighbridge_units::{ErrorClass, Monotonic};

use crate::choice::choose;
use crate::decision::{Decision, Exclusion, Rejection};
use crate::demand::Demand;
use crate::failure::{FailureCause, Verdict, verdict};
use crate::health::{Availability, spread};
use crate::keys::{KeyPool, KeySet};
use crate::pick::Pick;
use crate::route::{Member, Route, Target};
use crate::target_set::{TargetIndex, TargetSet};

/// How much longer than asked for is waited at most, in percent: not everybody comes back at once.
const WAIT_JITTER_PERCENT: u32 = 10;

/// The targets of one request, handed out one by one.
///
/// Healthy primaries in the order of the strategy, then healthy fallbacks in their own order, then,
/// for want of anything better, the benched ones of both. Each target is handed out once, or once
/// per credential where a provider refuses credentials. A target that asked to be left alone is
/// never handed out; [`Plan::dead_end`] tells for how long.
pub struct Plan {
    route: Arc<Route>,
    /// Targets that are not handed out any more.
    settled: TargetSet,
    /// Targets whose exclusion is written down.
    noted: TargetSet,
    /// The target whose credential was refused last, and those of its credentials that were tried.
    same_target: Option<(TargetIndex, KeySet)>,
    /// The target that is asked first while it is healthy.
    preferred: Option<TargetIndex>,
    /// The request's own credentials, by target; empty where it has none.
    own_keys: Box<[Option<Arc<KeyPool>>]>,
    tries: u32,
    counted: bool,
    only_fallbacks: bool,
    /// Whether something has happened to primaries that fallbacks serve, or that they do not.
    served: Option<bool>,
    waited: bool,
    stopped: bool,
    last_failure: Option<(Option<ErrorClass>, Option<Duration>)>,
    demand: Demand,
    decision: Decision,
}

/// Why a [`Plan`] has no further target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadEnd {
    /// What is left asked to be left alone, or said so just now: 429 for a rate limit, else 503.
    LeftAlone {
        /// [`ErrorClass::RateLimit`] or [`ErrorClass::Overloaded`].
        class: ErrorClass,
        /// Until the first of them is back, where one said so.
        retry_after: Option<Duration>,
    },
    /// The retry budget is spent: the last failure is the client's answer.
    RetriesSpent,
    /// The last failure ended the request: it is the client's answer.
    Stopped,
    /// Every target was tried or rejected.
    AllTried,
}

/// Which targets are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Healthy,
    ForWantOfBetter,
}

impl Plan {
    /// A plan for one request; nothing is chosen yet.
    pub fn new(route: Arc<Route>) -> Self {
        let strategy = route.strategies().first().map_or("", |strategy| strategy.name());
        let decision = Decision { strategy, choice: None, excluded: Vec::new(), retries_refused: false };
        let mut plan = Self {
            route,
            settled: TargetSet::default(),
            noted: TargetSet::default(),
            same_target: None,
            preferred: None,
            own_keys: Box::default(),
            tries: 0,
            counted: false,
            only_fallbacks: false,
            served: None,
            waited: false,
            stopped: false,
            last_failure: None,
            demand: Demand::default(),
            decision,
        };
        let route = plan.route.clone();
        for (member, index) in route.members().iter().zip(route.primaries()) {
            if member.weight == 0 {
                plan.settled.insert(index);
                plan.note(index, Exclusion::Drained);
            }
        }
        plan
    }

    /// Asks the target at a position of the route before all others, whatever the strategy says: it holds
    /// something that others would have to be sent. Nothing changes where it is not healthy, takes no requests,
    /// or does not exist.
    pub fn prefer(&mut self, position: usize) {
        self.preferred = TargetIndex::new(position);
    }

    /// Takes the target at a position of the route out, before anything was chosen: nothing is sent there, not
    /// even for want of another.
    pub fn exclude(&mut self, position: usize, rejection: Rejection) {
        if let Some(index) = TargetIndex::new(position)
            && self.settled.insert(index)
        {
            self.note(index, Exclusion::Rejected(rejection));
        }
    }

    /// Gives the request credentials of its own, by the position of the target: they are used there in place of the
    /// target's, benched among themselves, and whatever befalls them leaves the target's credentials alone.
    #[must_use]
    pub fn with_own_keys(self, own_keys: Box<[Option<Arc<KeyPool>>]>) -> Self {
        Self { own_keys, ..self }
    }

    /// Tells the strategies about the request; [`Route::needs`] says what they want to know.
    #[must_use]
    pub fn with_demand(self, demand: Demand) -> Self {
        Self { demand, ..self }
    }

    /// The route that is followed.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The next target to try, or `None` at the end: [`Self::dead_end`] tells why.
    ///
    /// Whoever gets a [`Pick`] reports on it exactly once: [`Self::failed`] or [`Pick::succeeded`]
    /// after an attempt, [`Self::reject`] without one.
    pub fn next(&mut self, now: Monotonic, random: u64) -> Option<Pick> {
        if self.stopped {
            return None;
        }
        if !self.counted {
            self.counted = true;
            self.route.retry_budget().count_request(now);
        }
        let paid = self.tries > 0;
        if paid && !self.route.retry_budget().take(now) {
            self.decision.retries_refused = true;
            self.stopped = true;
            return None;
        }
        let picked = self
            .other_key(now)
            .or_else(|| self.take_preferred(now))
            .or_else(|| self.search(Pass::Healthy, now, random))
            .or_else(|| self.search(Pass::ForWantOfBetter, now, random));
        if picked.is_none() && paid {
            self.route.retry_budget().give_back(now);
        }
        self.handed_out(picked, random)
    }

    fn handed_out(&mut self, picked: Option<Pick>, random: u64) -> Option<Pick> {
        let pick = picked?;
        if let Some(target) = self.route.target(pick.target()).filter(|_| !pick.is_own_key()) {
            target.observed().takes(self.demand.tokens);
        }
        self.settled.insert(pick.target());
        self.tries += 1;
        Some(pick.drawn(random))
    }

    /// A further target for a request whose attempt is slow, beside it: a healthy one, out of the retry budget.
    /// Where there is none, nothing changes.
    pub fn hedge(&mut self, now: Monotonic, random: u64) -> Option<Pick> {
        if self.stopped || !self.route.retry_budget().take(now) {
            return None;
        }
        let picked = self.search(Pass::Healthy, now, random);
        if picked.is_none() {
            self.route.retry_budget().give_back(now);
        }
        self.handed_out(picked, random)
    }

    /// A healthy target for a copy of a request, which is none itself: it earns no second tries, and has none.
    pub fn copy(&mut self, now: Monotonic, random: u64) -> Option<Pick> {
        // Whether a benched target is back is for requests to find out.
        let picked = self.search(Pass::Healthy, now, random).filter(|pick| !pick.is_probe());
        self.stopped = true;
        self.handed_out(picked, random)
    }

    /// How long to wait until a target may be asked once more that asked to be left alone for at most `most`; `None`
    /// where that is no use. Once per request; [`Self::next`] goes on then.
    pub fn wait(&mut self, most: Duration, now: Monotonic, random: u64) -> Option<Duration> {
        if self.stopped || self.waited {
            return None;
        }
        let rest = |(index, member): (TargetIndex, &Member)| match member.target.health().availability(now) {
            Availability::LeftAlone { until, .. } if member.weight > 0 => Some((index, until.since(now))),
            _ => None,
        };
        let positions = (0..).map_while(TargetIndex::new);
        let route = self.route.clone();
        let left_alone = positions.zip(route.members()).filter_map(rest);
        let (index, time) = left_alone.min_by_key(|(_, time)| *time).filter(|(_, time)| *time <= most)?;
        self.waited = true;
        self.settled.remove(index);
        Some(spread(time, WAIT_JITTER_PERCENT, random))
    }

    /// Takes note of a failed attempt before the commit point, and tells what may follow.
    ///
    /// [`Self::next`] obeys the verdict by itself.
    pub fn failed(&mut self, pick: Pick, cause: &FailureCause, now: Monotonic) -> Verdict {
        let (target, key, blames_key) = (pick.target(), pick.key(), pick.blames_key(cause));
        pick.failed(cause, now);
        self.last_failure = Some((cause.class(), cause.retry_after()));
        let mut tried = match self.same_target.take() {
            Some((same, tried)) if same == target => tried,
            _ => KeySet::default(),
        };
        let verdict = match verdict(cause, self.route.rules()) {
            Verdict::Next if blames_key => Verdict::NextKey,
            verdict => verdict,
        };
        match verdict {
            Verdict::Stop => self.stopped = true,
            Verdict::NextKey => {
                tried.insert(key);
                self.same_target = Some((target, tried));
            }
            Verdict::Next => self.only_fallbacks |= cause.skips_equals(),
        }
        if self.route.is_primary(target) {
            self.happened(self.route.rules().serve(cause));
        }
        verdict
    }

    /// Gives a target back to which nothing was sent; the next one may be asked for.
    pub fn reject(&mut self, pick: Pick, rejection: Rejection, now: Monotonic) {
        // What speaks against a target does so with any credential.
        self.same_target = None;
        self.tries = self.tries.saturating_sub(1);
        if self.tries > 0 {
            self.route.retry_budget().give_back(now);
        }
        self.decision.excluded.push((pick.target(), Exclusion::Rejected(rejection)));
    }

    /// Gives a target back that was not needed after all: nothing was sent to it, and it may be given out again.
    pub fn put_back(&mut self, pick: Pick, now: Monotonic) {
        self.settled.remove(pick.target());
        self.tries = self.tries.saturating_sub(1);
        if self.tries > 0 {
            self.route.retry_budget().give_back(now);
        }
    }

    /// Attempts so far.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Why [`Self::next`] gave nothing.
    pub fn dead_end(&self, now: Monotonic) -> DeadEnd {
        let limits = [ErrorClass::RateLimit, ErrorClass::Overloaded];
        let mut class = match self.last_failure {
            _ if self.decision.retries_refused => return DeadEnd::RetriesSpent,
            _ if self.stopped => return DeadEnd::Stopped,
            Some((Some(class), _)) if limits.contains(&class) => Some(class),
            Some(_) => return DeadEnd::AllTried,
            None => None,
        };
        let mut retry_after = self.last_failure.and_then(|(_, retry_after)| retry_after);
        let members = self.route.members().iter().enumerate();
        for (at, member) in members.filter(|(_, member)| member.weight > 0) {
            let availability = member.target.health().availability(now);
            let own = self.own_key_at(at).is_some();
            if let Availability::LeftAlone { until, class: said } = availability
                && !(own && said == ErrorClass::RateLimit)
            {
                let wait = until.since(now);
                // A rate limit anywhere makes it a 429: the client can do something about it.
                class = Some(if class == Some(ErrorClass::RateLimit) { ErrorClass::RateLimit } else { said });
                retry_after = Some(retry_after.map_or(wait, |shortest| shortest.min(wait)));
            }
        }
        class.map_or(DeadEnd::AllTried, |class| DeadEnd::LeftAlone { class, retry_after })
    }

    /// How the request was routed so far.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// How the request was routed.
    pub fn into_decision(self) -> Decision {
        self.decision
    }

    /// Another credential of the target whose credential was refused.
    fn other_key(&mut self, now: Monotonic) -> Option<Pick> {
        let (index, tried) = self.same_target?;
        let target = self.route.target(index)?;
        let own = self.own_key_at(index.get());
        let tried = if own.is_none() { tried.union(target.resting(now)) } else { tried };
        match own.unwrap_or(target.keys()).pick_for(self.together(), tried, now) {
            Some(key) => Some(Pick::new(target.clone(), index, key, own.cloned(), false, now)),
            None => {
                self.same_target = None;
                self.decision.excluded.push((index, Exclusion::NoKey));
                None
            }
        }
    }

    /// What the request's credential goes by, where a strategy keeps requests together.
    fn together(&self) -> Option<u64> {
        self.demand.affinity.filter(|_| self.route.needs().one_key)
    }

    fn own_key_at(&self, position: usize) -> Option<&Arc<KeyPool>> {
        self.own_keys.get(position)?.as_ref()
    }

    fn take_preferred(&mut self, now: Monotonic) -> Option<Pick> {
        let index = self.preferred.take()?;
        let route = self.route.clone();
        if !self.is_fit(&route, index, Pass::Healthy, now) {
            return None;
        }
        take(&route, index, self.own_key_at(index.get()), self.together(), Pass::Healthy, now)
    }

    fn search(&mut self, pass: Pass, now: Monotonic, random: u64) -> Option<Pick> {
        let route = self.route.clone();
        let mut equals = TargetSet::default();
        let mut outliers = 0;
        for index in route.primaries() {
            if self.only_fallbacks {
                if !self.settled.contains(index) {
                    self.note(index, Exclusion::OnlyFallbacks);
                }
            } else if self.is_fit(&route, index, pass, now) {
                equals.insert(index);
            }
            outliers += usize::from(outlier_until(&route, index, now).is_some());
        }
        let mut kept = TargetSet::default();
        if outliers > route.outliers_most() && pass == Pass::Healthy && !self.only_fallbacks {
            kept = self.kept_outliers(&route, outliers - route.outliers_most(), now);
        }
        kept.iter().for_each(|index| _ = equals.insert(index));
        let told = self.decision.choice.is_none() && self.tries == 0;
        while let Some((index, choice)) = choose(&route, equals, &self.demand, now, random, told) {
            let pass = if kept.contains(index) { Pass::ForWantOfBetter } else { pass };
            if let Some(choice) = choice {
                self.decision.strategy = choice.by;
                self.decision.choice = Some(choice);
            }
            if let Some(pick) = take(&route, index, self.own_key_at(index.get()), self.together(), pass, now)
            {
                return Some(pick);
            }
            equals.remove(index);
        }
        if self.served == Some(false) {
            for index in route.fallbacks() {
                self.note(index, Exclusion::OnlyPrimaries);
            }
            return None;
        }
        for index in route.fallbacks() {
            if self.is_fit(&route, index, pass, now)
                && let Some(pick) =
                    take(&route, index, self.own_key_at(index.get()), self.together(), pass, now)
            {
                return Some(pick);
            }
        }
        None
    }

    /// The outliers beyond those that may be benched at once: the first to come back. None where a fallback is
    /// healthy.
    fn kept_outliers(&self, route: &Route, beyond: usize, now: Monotonic) -> TargetSet {
        let mut kept = TargetSet::default();
        let is_ready = |index: TargetIndex| {
            let target = route.target(index).filter(|_| !self.settled.contains(index));
            target.is_some_and(|target| target.availability(now) == Availability::Ready)
        };
        if self.served != Some(false) && route.fallbacks().any(is_ready) {
            return kept;
        }
        for _ in 0..beyond {
            let rest = route.primaries().filter(|index| !kept.contains(*index));
            let first = rest.filter_map(|index| Some((outlier_until(route, index, now)?, index))).min();
            first.into_iter().for_each(|(_, index)| _ = kept.insert(index));
        }
        self.settled.iter().for_each(|index| kept.remove(index));
        kept
    }

    /// Takes note of something that happened to a primary, and of whether fallbacks serve that.
    fn happened(&mut self, serves: bool) {
        self.served = Some(self.served == Some(true) || serves);
    }

    /// Whether a target may be handed out in this pass; where not, why is written down.
    fn is_fit(&mut self, route: &Route, index: TargetIndex, pass: Pass, now: Monotonic) -> bool {
        let Some(target) = route.target(index).filter(|_| !self.settled.contains(index)) else {
            return false;
        };
        let own = self.own_key_at(index.get());
        let exclusion = match availability(target, own, now) {
            Availability::LeftAlone { until, class } => Exclusion::LeftAlone { until, class },
            _ if pass == Pass::ForWantOfBetter => return true,
            Availability::Benched { until } => Exclusion::Benched { until },
            Availability::Exhausted { until } => Exclusion::Exhausted { until },
            Availability::Ready | Availability::Probe if own.unwrap_or(target.keys()).any_ready(now) => {
                return true;
            }
            Availability::Ready | Availability::Probe => Exclusion::NoKey,
        };
        if route.is_primary(index) {
            let rules = route.rules();
            self.happened(match exclusion {
                Exclusion::LeftAlone { class: ErrorClass::RateLimit, .. } | Exclusion::Exhausted { .. } => {
                    rules.on_rate_limit
                }
                _ => rules.on_error,
            });
        }
        self.note(index, exclusion);
        false
    }

    fn note(&mut self, index: TargetIndex, exclusion: Exclusion) {
        if self.noted.insert(index) {
            self.decision.excluded.push((index, exclusion));
        }
    }
}

/// Whether a target may be sent a request, with its own credentials or with those of the request.
fn availability(target: &Target, own: Option<&Arc<KeyPool>>, now: Monotonic) -> Availability {
    match own {
        None => target.availability(now),
        Some(_) => target.health().availability_with_own_key(now),
    }
}

/// When a target is back that was benched for its share of failures.
fn outlier_until(route: &Route, index: TargetIndex, now: Monotonic) -> Option<Monotonic> {
    let health = route.target(index)?.health();
    if !health.is_outlier() {
        return None;
    }
    match health.availability(now) {
        Availability::Benched { until } if route.weight(index) > 0 => Some(until),
        _ => None,
    }
}

/// Takes a credential of the target, or of the request's own for it, and, where the target is half open, the place
/// of its one probe.
fn take(
    route: &Route,
    index: TargetIndex,
    own: Option<&Arc<KeyPool>>,
    together: Option<u64>,
    pass: Pass,
    now: Monotonic,
) -> Option<Pick> {
    let target = route.target(index)?;
    let keys = own.unwrap_or(target.keys());
    let last_resort = pass == Pass::ForWantOfBetter;
    let benched_key = || keys.pick_benched(KeySet::default()).filter(|_| last_resort);
    let resting = if own.is_none() { target.resting(now) } else { KeySet::default() };
    let any = || keys.pick_for(together, KeySet::default(), now).filter(|_| last_resort);
    let key = keys.pick_for(together, resting, now).or_else(any).or_else(benched_key)?;
    // Another request may have taken the probe, or learnt of a failure, since the target was found fit.
    let (may_go, probe) = match availability(target, own, now) {
        Availability::Ready => (true, false),
        Availability::Probe => {
            let probe = target.health().claim_probe();
            (probe || last_resort, probe)
        }
        Availability::Benched { .. } | Availability::Exhausted { .. } => (last_resort, false),
        Availability::LeftAlone { .. } => (false, false),
    };
    may_go.then(|| Pick::new(target.clone(), index, key, own.cloned(), probe, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HealthPolicy, RouteParts};

    /// Between finding a target fit and taking it, other requests may have changed its health.
    #[test]
    fn what_other_requests_did_in_between_counts() {
        let target = Target::new("a", Arc::new(KeyPool::new(1)), HealthPolicy::default());
        let parts = RouteParts { primaries: vec![(target.clone(), 1)], ..RouteParts::default() };
        let (route, index) = (Route::new(parts).unwrap(), TargetIndex::new(0).unwrap());
        let (start, later) = (Monotonic::from_micros(1), Monotonic::from_micros(1_000_001));
        let goes = |pass, now| take(&route, index, None, None, pass, now).map(|pick| pick.is_probe());

        (0..5).for_each(|_| target.health().failed(&FailureCause::Broken, start, false, start));
        assert_eq!(goes(Pass::Healthy, start), None);
        assert_eq!(goes(Pass::ForWantOfBetter, start), Some(false));
        assert_eq!(goes(Pass::Healthy, later), Some(true));
        assert!(target.health().claim_probe());
        assert_eq!(goes(Pass::Healthy, later), None);
        assert_eq!(goes(Pass::ForWantOfBetter, later), Some(false));
        assert!(!target.health().claim_probe(), "one probe at a time");

        let class = ErrorClass::Overloaded;
        let alone = FailureCause::Status { class, retry_after: Some(Duration::from_secs(9)) };
        target.health().failed(&alone, later, false, later);
        assert_eq!(goes(Pass::ForWantOfBetter, later), None);
    }
}
