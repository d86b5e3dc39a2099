use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::failure::FallbackRules;
use crate::health::{Health, HealthPolicy};
use crate::keys::KeyPool;
use crate::retry_budget::{RetryBudget, RetryPolicy};
use crate::strategy::Strategy;
use crate::target_set::{TargetIndex, TargetSet};
use crate::weighted_round_robin::WeightedRoundRobin;

/// One model at one provider, with what is known of its health.
///
/// Routes that name the same target share it, and a reload of the configuration keeps it: whoever
/// compiles routes holds the `Arc`s by name.
pub struct Target {
    name: Arc<str>,
    health: Arc<Health>,
    keys: Arc<KeyPool>,
}

impl Target {
    /// A healthy target; `name` is unique among all targets, such as `openai/gpt-4o-mini`.
    pub fn new(name: impl Into<Arc<str>>, keys: Arc<KeyPool>, policy: HealthPolicy) -> Arc<Self> {
        Arc::new(Self { name: name.into(), health: Arc::new(Health::new(policy)), keys })
    }

    /// The same target with other credentials: what is known of its health is shared.
    pub fn with_keys(&self, keys: Arc<KeyPool>) -> Arc<Self> {
        Arc::new(Self { name: Arc::clone(&self.name), health: Arc::clone(&self.health), keys })
    }

    /// The unique name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is known of its health.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The credentials of its provider.
    pub fn keys(&self) -> &Arc<KeyPool> {
        &self.keys
    }
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
    /// How one of the primaries is chosen.
    pub strategy: Box<dyn Strategy>,
    /// What the fallbacks serve beside outages.
    pub rules: FallbackRules,
    /// Bounds second tries; shared by all routes of a gateway.
    pub retry_budget: Arc<RetryBudget>,
}

impl Default for RouteParts {
    /// No targets yet, weighted round robin, the default budget of its own.
    fn default() -> Self {
        Self {
            primaries: Vec::new(),
            fallbacks: Vec::new(),
            strategy: Box::new(WeightedRoundRobin::new()),
            rules: FallbackRules::default(),
            retry_budget: Arc::new(RetryBudget::new(RetryPolicy::default())),
        }
    }
}

/// Where the requests for one model name may go: checked, immutable, shared by all of them.
pub struct Route {
    members: Box<[Member]>,
    primaries: usize,
    strategy: Box<dyn Strategy>,
    rules: FallbackRules,
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
}

impl Route {
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
        Ok(Arc::new(Self {
            members,
            primaries,
            strategy: parts.strategy,
            rules: parts.rules,
            retry_budget: parts.retry_budget,
        }))
    }

    /// All targets: primaries first, then fallbacks; [`TargetIndex::get`] is the position.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Arc<Target>> {
        self.members.iter().map(|member| &member.target)
    }

    /// The target of an index that a plan of this route gave.
    pub fn target(&self, index: TargetIndex) -> Option<&Arc<Target>> {
        self.members.get(index.get()).map(|member| &member.target)
    }

    /// How the primaries are chosen.
    pub fn strategy(&self) -> &dyn Strategy {
        &*self.strategy
    }

    /// What the fallbacks serve beside outages.
    pub fn rules(&self) -> FallbackRules {
        self.rules
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn retry_budget(&self) -> &RetryBudget {
        &self.retry_budget
    }

    /// The indexes of the primaries.
    pub(crate) fn primaries(&self) -> impl Iterator<Item = TargetIndex> {
        (0..self.primaries).filter_map(TargetIndex::new)
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
