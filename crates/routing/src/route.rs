use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use weighbridge_units::{ErrorClass, Monotonic};

use crate::affinity::stable_hash;
use crate::demand::Needs;
use crate::failure::FallbackRules;
use crate::health::{Availability, Health, HealthPolicy};
use crate::keys::{KeyPool, KeySet};
use crate::observed::Observed;
use crate::retry_budget::{RetryBudget, RetryPolicy};
use crate::strategies::WeightedRoundRobin;
use crate::strategy::Strategy;
use crate::target_set::{TargetIndex, TargetSet};

/// One model at one provider, with what is known of its health and observed of its answers.
///
/// Routes that name the same target share it, and a reload of the configuration keeps it: whoever
/// compiles routes holds the `Arc`s by name.
pub struct Target {
    name: Arc<str>,
    health: Arc<Health>,
    observed: Arc<Observed>,
    keys: Arc<KeyPool>,
    /// Until when each of the credentials has nothing left of its limits here, in microseconds.
    resting: Box<[AtomicU64]>,
    id: u64,
}

impl Target {
    /// A healthy target; `name` is unique among all targets, such as `openai/gpt-4o-mini`.
    pub fn new(name: impl Into<Arc<str>>, keys: Arc<KeyPool>, policy: HealthPolicy) -> Arc<Self> {
        let name = name.into();
        let (health, observed) = (Arc::new(Health::new(policy)), Arc::default());
        Arc::new(Self {
            id: stable_hash(name.as_bytes()),
            name,
            health,
            observed,
            resting: none_resting(&keys),
            keys,
        })
    }

    /// The same target with other credentials: what is known and observed of it is shared.
    pub fn with_keys(&self, keys: Arc<KeyPool>) -> Arc<Self> {
        let (name, health) = (Arc::clone(&self.name), Arc::clone(&self.health));
        Arc::new(Self {
            name,
            health,
            observed: Arc::clone(&self.observed),
            resting: none_resting(&keys),
            keys,
            id: self.id,
        })
    }

    /// What is known and observed of it by now, apart from what will be; `keys` are the copy's credentials.
    fn copied(&self, keys: Arc<KeyPool>) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::clone(&self.name),
            health: Arc::new(self.health.copied()),
            observed: Arc::new(self.observed.copied()),
            resting: self.resting.iter().map(|until| AtomicU64::new(until.load(Ordering::Relaxed))).collect(),
            keys,
            id: self.id,
        })
    }

    /// The unique name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is known of its health.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What is observed of its answers, and how many are under way.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// A hash of its name: the same wherever and whenever it has this name.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The credentials of its provider.
    pub fn keys(&self) -> &Arc<KeyPool> {
        &self.keys
    }

    /// Whether it may be sent a request with one of its own credentials now.
    pub fn availability(&self, now: Monotonic) -> Availability {
        match self.health.availability(now) {
            known @ (Availability::Ready | Availability::Probe) => match self.all_rest(now) {
                Some(until) => Availability::Exhausted { until },
                None => known,
            },
            other => other,
        }
    }

    /// The credentials that have nothing left of their limits here.
    pub(crate) fn resting(&self, now: Monotonic) -> KeySet {
        let mut set = KeySet::default();
        for (key, until) in self.resting.iter().enumerate() {
            if until.load(Ordering::Relaxed) > now.as_micros() {
                set.insert(key);
            }
        }
        set
    }

    /// When the first credential is back, where all of them rest.
    fn all_rest(&self, now: Monotonic) -> Option<Monotonic> {
        let first = self.resting.iter().map(|until| until.load(Ordering::Relaxed)).min()?;
        (first > now.as_micros()).then(|| Monotonic::from_micros(first))
    }

    /// Takes note that a credential has nothing left of its limits here for so long: every one, where they share
    /// their limits.
    pub(crate) fn exhausted(&self, key: usize, time: Duration, now: Monotonic) {
        let until = (now + time.min(LIMITS_FULL)).as_micros();
        let shared = !self.health.policy().limit_per_key;
        let of = self.resting.iter().enumerate().filter(|(at, _)| shared || *at == key);
        of.for_each(|(_, resting)| _ = resting.fetch_max(until, Ordering::Relaxed));
    }

    /// Whether a rate limit that a credential has met is that one's alone.
    pub(crate) fn has_limits_per_key(&self) -> bool {
        self.resting.len() > 1 && self.health.policy().limit_per_key
    }

    /// Takes note that the provider has refused a request for a limit of the credential's own: it rests, and with
    /// the last of them the target is left alone.
    pub(crate) fn limited(&self, key: usize, time: Duration, now: Monotonic) {
        let until = now + time.min(self.health.policy().retry_after_cap);
        if let Some(resting) = self.resting.get(key) {
            resting.fetch_max(until.as_micros(), Ordering::Relaxed);
        }
        if let Some(first) = self.all_rest(now) {
            self.health.leave_alone(first.since(now), Some(ErrorClass::RateLimit), now);
        }
    }
}

/// Limits per minute, which are the ones that are met, are full again after a minute at the latest.
const LIMITS_FULL: Duration = Duration::from_secs(60);

fn none_resting(keys: &KeyPool) -> Box<[AtomicU64]> {
    (0..keys.len()).map(|_| AtomicU64::new(0)).collect()
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.name)
    }
}

/// A target in a route, with its share among the primaries; 0 takes it out.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) target: Arc<Target>,
    pub(crate) weight: u32,
}

/// What a [`Route`] is made of.
pub struct RouteParts {
    /// Equals, among which the strategy chooses, with their weights; weight 0 takes a target out.
    pub primaries: Vec<(Arc<Target>, u32)>,
    /// Tried in order once no primary is left.
    pub fallbacks: Vec<Arc<Target>>,
    /// How one of the primaries is chosen: each strategy decides among those that the earlier ones left as equals.
    /// Behind the last one stands weighted round robin.
    pub strategies: Vec<Box<dyn Strategy>>,
    /// What the fallbacks serve.
    pub rules: FallbackRules,
    /// The share of the primaries, in percent, that may be benched at once for their share of failures; one always
    /// may. What is beyond it goes on taking its part where no fallback is healthy: some of its answers are good,
    /// and the others would not bear the whole load. Failures in a row bench without such a bound.
    pub outliers_percent: u32,
    /// Bounds second tries; shared by all routes of a gateway.
    pub retry_budget: Arc<RetryBudget>,
}

impl Default for RouteParts {
    /// No targets yet, weighted round robin, the default budget of its own.
    fn default() -> Self {
        Self {
            primaries: Vec::new(),
            fallbacks: Vec::new(),
            strategies: Vec::new(),
            rules: FallbackRules::default(),
            outliers_percent: 50,
            retry_budget: Arc::new(RetryBudget::new(RetryPolicy::default())),
        }
    }
}

/// Where the requests for one model name may go: checked, immutable, shared by all of them.
pub struct Route {
    members: Box<[Member]>,
    names: Arc<[Arc<str>]>,
    primaries: usize,
    /// Never empty.
    strategies: Box<[Box<dyn Strategy>]>,
    needs: Needs,
    rules: FallbackRules,
    outliers_percent: u32,
    retry_budget: Arc<RetryBudget>,
}

/// Why a route cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// No target would ever be chosen.
    #[error("the route has no target: name at least one with a weight above 0, or a fallback")]
    Empty,
    /// A request may try each target once only.
    #[error("the target `{0}` is named twice in one route: remove one of the two")]
    Twice(Arc<str>),
    /// More targets than a route may have.
    #[error("the route has {0} targets: give at most {max}", max = TargetSet::CAPACITY)]
    TooMany(usize),
    /// More strategies than a route may have.
    #[error("the route has {0} strategies: give at most {max}", max = Route::STRATEGIES_MOST)]
    TooManyStrategies(usize),
}

impl Route {
    /// The most strategies that a route may have.
    pub const STRATEGIES_MOST: usize = 8;

    /// Checks and keeps the parts.
    ///
    /// # Errors
    /// [`RouteError`] where there is no target, one too many, or one twice.
    pub fn new(parts: RouteParts) -> Result<Arc<Self>, RouteError> {
        let primaries = parts.primaries.len();
        let equals = parts.primaries.into_iter().map(|(target, weight)| Member { target, weight });
        let fallbacks = parts.fallbacks.into_iter().map(|target| Member { target, weight: 1 });
        let members: Box<[Member]> = equals.chain(fallbacks).collect();
        if members.len() > TargetSet::CAPACITY {
            return Err(RouteError::TooMany(members.len()));
        }
        if members.iter().all(|member| member.weight == 0) {
            return Err(RouteError::Empty);
        }
        for (at, member) in members.iter().enumerate() {
            if members.iter().take(at).any(|earlier| earlier.target.name == member.target.name) {
                return Err(RouteError::Twice(member.target.name.clone()));
            }
        }
        if parts.strategies.len() > Self::STRATEGIES_MOST {
            return Err(RouteError::TooManyStrategies(parts.strategies.len()));
        }
        let mut strategies = parts.strategies;
        let needs = strategies.iter().fold(Needs::default(), |needs, strategy| needs.or(strategy.needs()));
        strategies.push(Box::new(WeightedRoundRobin::new()));
        if needs.observations {
            members.iter().for_each(|member| member.target.observed().watch());
        }
        Ok(Arc::new(Self {
            names: members.iter().map(|member| Arc::clone(member.target.name())).collect(),
            members,
            primaries,
            strategies: strategies.into(),
            needs,
            rules: parts.rules,
            outliers_percent: parts.outliers_percent,
            retry_budget: parts.retry_budget,
        }))
    }

    /// The route as it stands: its targets with what is known and observed of them, its strategies with what they
    /// remember, and its retry budget. A [`Plan`](crate::Plan) of the copy decides as one of the route would have, and
    /// leaves no trace in the route.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Self> {
        // Targets at one provider share their credentials; their copies do too.
        let mut pools: Vec<(&Arc<KeyPool>, Arc<KeyPool>)> = Vec::new();
        let mut members = Vec::with_capacity(self.members.len());
        for Member { target, weight } in &self.members {
            let known = pools.iter().find(|(known, _)| Arc::ptr_eq(known, target.keys()));
            let keys = match known {
                Some((_, copy)) => Arc::clone(copy),
                None => {
                    let copy = Arc::new(target.keys().snapshot());
                    pools.push((target.keys(), Arc::clone(&copy)));
                    copy
                }
            };
            members.push(Member { target: target.copied(keys), weight: *weight });
        }
        Arc::new(Self {
            members: members.into(),
            names: Arc::clone(&self.names),
            primaries: self.primaries,
            strategies: self.strategies.iter().map(|strategy| strategy.copied()).collect(),
            needs: self.needs,
            rules: self.rules,
            outliers_percent: self.outliers_percent,
            retry_budget: Arc::new(self.retry_budget.copied()),
        })
    }

    /// All targets: primaries first, then fallbacks; [`TargetIndex::get`] is the position.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Arc<Target>> {
        self.members.iter().map(|member| &member.target)
    }

    /// The names of all targets, likewise: for records, which share them.
    pub fn names(&self) -> &Arc<[Arc<str>]> {
        &self.names
    }

    /// The target of an index that a plan of this route gave.
    pub fn target(&self, index: TargetIndex) -> Option<&Arc<Target>> {
        self.members.get(index.get()).map(|member| &member.target)
    }

    /// How the primaries are chosen; never empty.
    pub fn strategies(&self) -> &[Box<dyn Strategy>] {
        &self.strategies
    }

    /// What its strategies want to know of a request and of the targets.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// What the fallbacks serve.
    pub fn rules(&self) -> FallbackRules {
        self.rules
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn retry_budget(&self) -> &RetryBudget {
        &self.retry_budget
    }

    /// How many primaries may be benched at once for their share of failures.
    pub(crate) fn outliers_most(&self) -> usize {
        let share = self.outliers_percent as usize;
        let taking_part = self.members.iter().take(self.primaries).filter(|member| member.weight > 0).count();
        (taking_part * share / 100).max(1)
    }

    /// The indexes of the primaries.
    pub(crate) fn primaries(&self) -> impl Iterator<Item = TargetIndex> {
        (0..self.primaries).filter_map(TargetIndex::new)
    }

    /// Whether a target is one of the primaries.
    pub(crate) fn is_primary(&self, index: TargetIndex) -> bool {
        index.get() < self.primaries
    }

    /// The share among the primaries of the target at a position; 0 takes it out, and a fallback has 1.
    pub fn weight_at(&self, position: usize) -> u32 {
        self.members.get(position).map_or(0, |member| member.weight)
    }

    /// A target's share among the primaries.
    pub(crate) fn weight(&self, index: TargetIndex) -> u32 {
        self.members.get(index.get()).map_or(0, |member| member.weight)
    }

    /// The indexes of the fallbacks, in order.
    pub(crate) fn fallbacks(&self) -> impl Iterator<Item = TargetIndex> {
        (self.primaries..self.members.len()).filter_map(TargetIndex::new)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.targets()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Arc<Target> {
        Target::new(name, Arc::new(KeyPool::new(1)), HealthPolicy::default())
    }

    fn route(
        primaries: Vec<(Arc<Target>, u32)>,
        fallbacks: Vec<Arc<Target>>,
    ) -> Result<Arc<Route>, RouteError> {
        Route::new(RouteParts { primaries, fallbacks, ..RouteParts::default() })
    }

    #[test]
    fn a_route_that_could_never_answer_is_refused() {
        assert_eq!(route(vec![], vec![]).unwrap_err(), RouteError::Empty);
        assert_eq!(route(vec![(target("a"), 0)], vec![]).unwrap_err(), RouteError::Empty);
        assert!(route(vec![(target("a"), 0)], vec![target("b")]).is_ok());
    }

    #[test]
    fn a_target_twice_is_refused_at_load() {
        let twice = route(vec![(target("a"), 1), (target("b"), 1)], vec![target("a")]);
        assert_eq!(twice.unwrap_err(), RouteError::Twice("a".into()));
    }

    #[test]
    fn a_route_is_bounded() {
        let many = (0..257).map(|n| (target(&n.to_string()), 1)).collect();
        assert_eq!(route(many, vec![]).unwrap_err(), RouteError::TooMany(257));
    }
}
