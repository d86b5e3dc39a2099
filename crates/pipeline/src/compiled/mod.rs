//! Settings, compiled once into what requests read.

mod deployment;
mod provider;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use weighbridge_access::{
    Budget, BudgetMeter, Cidr, InvalidDefinition, LimitCells, LimitOwner, Limits, LossPolicy, OpenKey,
};
use weighbridge_catalogue::near;
use weighbridge_routing::{
    Availability, Headroom, Labels, LeastBusy, LeastLatency, LowestCost, Random, RetryBudget, RetryPolicy,
    Route, RouteParts, Rule, Split, Sticky, Strategy, Target, WeightedRoundRobin, stable_hash,
};
use weighbridge_units::{Features, Monotonic};

use crate::counters::Counters;
use crate::hedge::Hedging;
use crate::markups::Markups;
use crate::pipeline::PipelineError;
use crate::rules;
use crate::settings::{
    AffinityBy, AnswerKeeping, BUDGETS_BESIDE, CountAlarm, DrainLimits, HedgeSettings, IdempotencySettings,
    OnDisconnect, RequestLimits, ResidencyRule, RouteSettings, Settings, StrategyKind, TargetSettings,
    UnknownModel,
};
use crate::shadow::Shadowing;

use deployment::lacks;
pub(crate) use deployment::{Address, Deployment};
pub(crate) use provider::{Proof, Provider};

/// `provider/model` names that are remembered; further ones are compiled for each request.
const DIRECT_MOST: usize = 1024;

/// Everything that a request reads of the configuration. Swapped as a whole.
pub(crate) struct Compiled {
    pub(crate) budgets: Arc<[BudgetMeter]>,
    pub(crate) limits: RequestLimits,
    pub(crate) loss_policy: LossPolicy,
    pub(crate) unknown_model: UnknownModel,
    pub(crate) markups: Markups,
    pub(crate) surcharges: Markups,
    pub(crate) count_alarm: Option<CountAlarm>,
    pub(crate) answer_keeping: AnswerKeeping,
    pub(crate) idempotency: IdempotencySettings,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) drain: DrainLimits,
    pub(crate) residency: Vec<ResidencyRule>,
    /// Routes by their further names.
    aliases: HashMap<Arc<str>, Arc<str>>,
    on_disconnect: OnDisconnect,
    providers: HashMap<Arc<str>, Arc<Provider>>,
    routes: HashMap<Arc<str>, Arc<ModelRoute>>,
    /// What was asked for as `provider/model`, by that name.
    direct: Mutex<HashMap<Arc<str>, Arc<ModelRoute>>>,
    /// What the routes lead to, by `provider/model`.
    deployments: HashMap<Arc<str>, Arc<Deployment>>,
    pub(crate) counters: Arc<Counters>,
    retry_budget: Arc<RetryBudget>,
}

/// What stands behind a name that clients ask for.
pub(crate) struct ModelRoute {
    /// The configured name; `None` where `provider/model` is asked for directly.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) limits: Arc<LimitCells>,
    pub(crate) budgets: Arc<[BudgetMeter]>,
    pub(crate) route: Arc<Route>,
    /// What its strategies go by, where one keeps requests together.
    pub(crate) affinity: AffinityBy,
    /// What its requests are compared with.
    pub(crate) baseline: Option<Arc<Baseline>>,
    /// In the order of the route's targets.
    pub(crate) deployments: Box<[Arc<Deployment>]>,
    /// How many of them are equals; the others are fallbacks.
    pub(crate) primaries: usize,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) rules: Arc<[Rule]>,
    pub(crate) require: Labels,
    /// What any of its models is known to lack: nothing else is looked for in requests.
    pub(crate) lacks: Features,
    /// How slow attempts get others beside them, if they do.
    pub(crate) hedging: Option<Arc<Hedging>>,
    /// Where copies go, if there are any.
    pub(crate) shadowing: Option<Arc<Shadowing>>,
    /// Whether streams that break off are continued.
    pub(crate) resumes: bool,
}

/// A model that requests are compared with, as the price book knows it.
pub(crate) struct Baseline {
    /// `provider/model`.
    pub(crate) name: Arc<str>,
    pub(crate) price_as: Arc<str>,
    pub(crate) model: Arc<str>,
}

impl Compiled {
    /// Compiles `settings`, with keys of the installation's own from the vault; health and the retry budget of
    /// `former` are carried over.
    pub(crate) fn new(
        settings: &Settings,
        vault: &[OpenKey],
        former: Option<&Self>,
    ) -> Result<Self, PipelineError> {
        let mut compiled = Self {
            budgets: meters("[limits]", &settings.budgets, Budget::MOST)?,
            limits: settings.limits,
            loss_policy: settings.loss_policy,
            unknown_model: settings.unknown_model,
            markups: Markups::new(&settings.markups),
            surcharges: Markups::new(&settings.surcharges),
            count_alarm: settings.count_alarm,
            answer_keeping: settings.answer_keeping,
            idempotency: settings.idempotency,
            trusted_proxies: settings.trusted_proxies.clone(),
            keep_alive: settings.keep_alive,
            drain: settings.drain,
            residency: settings.residency.clone(),
            aliases: HashMap::new(),
            on_disconnect: settings.on_disconnect,
            providers: HashMap::new(),
            routes: HashMap::new(),
            direct: Mutex::default(),
            deployments: HashMap::new(),
            counters: former.map_or_else(Arc::default, |former| Arc::clone(&former.counters)),
            retry_budget: former.map_or_else(
                || Arc::new(RetryBudget::new(RetryPolicy::default())),
                |former| Arc::clone(&former.retry_budget),
            ),
        };
        for provider in &settings.providers {
            let kept = former.and_then(|former| former.providers.get(&provider.name));
            let ready = Arc::new(Provider::new(provider, vault, kept)?);
            if compiled.providers.insert(provider.name.clone(), ready).is_some() {
                return Err(PipelineError::Duplicate { name: provider.name.to_string() });
            }
        }
        for route in &settings.routes {
            let ready = compiled.model_route(route, former)?;
            if compiled.routes.insert(route.name.clone(), ready).is_some() {
                return Err(PipelineError::Duplicate { name: route.name.to_string() });
            }
        }
        compiled.name_aliases(settings)?;
        if let Some(former) = former {
            compiled.remember(former);
        }
        rules::check(&settings.routes)?;
        Ok(compiled)
    }

    /// The name of the route that a further name stands for.
    pub(crate) fn alias(&self, name: &str) -> Option<&Arc<str>> {
        self.aliases.get(name)
    }

    fn name_aliases(&mut self, settings: &Settings) -> Result<(), PipelineError> {
        for route in &settings.routes {
            for alias in &route.aliases {
                let taken = self.routes.contains_key(alias);
                if taken || self.aliases.insert(alias.clone(), route.name.clone()).is_some() {
                    return Err(PipelineError::Duplicate { name: alias.to_string() });
                }
            }
        }
        Ok(())
    }

    /// What stands behind a model's name: a route, or `provider/model` directly.
    pub(crate) fn route(&self, name: &str) -> Option<Arc<ModelRoute>> {
        if let Some(route) = self.routes.get(name) {
            return Some(Arc::clone(route));
        }
        let (provider, model) = name.split_once('/').filter(|(_, model)| !model.is_empty())?;
        let provider = self.providers.get(provider)?;
        let mut direct = self.direct();
        if let Some(route) = direct.get(name) {
            return Some(Arc::clone(route));
        }
        // It is the same deployment, and as healthy, whichever way it is asked for.
        let deployment = match self.deployments.get(name) {
            Some(known) => Arc::clone(known),
            None => Deployment::new(provider, model.into(), None, &self.counters).ok()?,
        };
        let route = Arc::new(ModelRoute::single(&self.retry_budget, deployment, self.on_disconnect)?);
        if direct.len() < DIRECT_MOST {
            direct.insert(name.into(), Arc::clone(&route));
        }
        Some(route)
    }

    fn direct(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<ModelRoute>>> {
        self.direct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The deployments that no route leads to, and that were asked for as `provider/model`.
    fn unnamed(&self) -> Vec<Arc<Deployment>> {
        let direct = self.direct();
        let unnamed = direct.iter().filter(|(name, _)| !self.deployments.contains_key(&***name));
        unnamed.flat_map(|(_, route)| &route.deployments).cloned().collect()
    }

    /// Keeps what is known of deployments to which no route leads, or none any more: they may be asked for as
    /// `provider/model`, and another reload may name them.
    fn remember(&self, former: &Self) {
        for kept in former.unnamed().iter().chain(former.deployments.values()) {
            let name = kept.target_name();
            if self.deployments.contains_key(&name) {
                continue;
            }
            let Some(provider) = self.providers.get(&kept.provider.name) else { continue };
            let Some(target) = still_known(kept, provider) else { continue };
            let model = Arc::clone(&kept.model);
            let Ok(deployment) = Deployment::new(provider, model, Some(target), &self.counters) else {
                continue;
            };
            let route = ModelRoute::single(&self.retry_budget, deployment, self.on_disconnect);
            let mut direct = self.direct();
            if let Some(route) = route.filter(|_| direct.len() < DIRECT_MOST) {
                direct.insert(name, Arc::new(route));
            }
        }
    }

    /// The routes that the configuration names.
    pub(crate) fn named_routes(&self) -> impl Iterator<Item = &Arc<ModelRoute>> {
        self.routes.values()
    }

    /// A provider by its name.
    pub(crate) fn provider(&self, name: &str) -> Option<Arc<Provider>> {
        self.providers.get(name).cloned()
    }

    /// The names of the routes, sorted.
    pub(crate) fn route_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.routes.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    /// The providers, sorted by name.
    pub(crate) fn providers(&self) -> Vec<&Provider> {
        let mut providers: Vec<&Provider> = self.providers.values().map(|provider| &**provider).collect();
        providers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        providers
    }

    /// The benched deployments whose provider is to be asked whether it is back.
    pub(crate) fn benched(&self, now: Monotonic) -> Vec<Arc<Deployment>> {
        let all = self.deployments.values().cloned().chain(self.unnamed());
        let probed = all.filter(|deployment| deployment.provider.probe.is_some());
        let is_benched = |deployment: &Arc<Deployment>| {
            matches!(deployment.health().availability(now), Availability::Benched { .. })
        };
        probed.filter(is_benched).collect()
    }

    /// Names that a client which asked for `name` may have meant.
    pub(crate) fn near(&self, name: &str) -> Vec<String> {
        let direct = self.providers().into_iter().flat_map(|provider| {
            weighbridge_catalogue::known_names(&provider.price_as)
                .map(|(name, _)| format!("{}/{name}", provider.name))
        });
        let routes = self.route_names().into_iter().chain(self.aliases.keys().map(|name| &**name));
        let known: Vec<String> = routes.map(str::to_owned).chain(direct).collect();
        near(name, known.iter().map(String::as_str)).into_iter().map(str::to_owned).collect()
    }

    fn model_route(
        &mut self,
        settings: &RouteSettings,
        former: Option<&Self>,
    ) -> Result<Arc<ModelRoute>, PipelineError> {
        let mut deployment = |target: &TargetSettings| self.deployment(&settings.name, target, former);
        let targets =
            settings.targets.iter().map(&mut deployment).collect::<Result<Vec<_>, PipelineError>>()?;
        let fallbacks =
            settings.fallbacks.iter().map(&mut deployment).collect::<Result<Vec<_>, PipelineError>>()?;
        let weights = settings.targets.iter().map(|target| target.weight);
        let parts = RouteParts {
            primaries: targets.iter().map(|d| Arc::clone(&d.target)).zip(weights).collect(),
            fallbacks: fallbacks.iter().map(|d| Arc::clone(&d.target)).collect(),
            strategies: settings.strategy.order.iter().map(|kind| strategy(*kind, &settings.name)).collect(),
            rules: settings.failover.rules,
            outliers_percent: settings.failover.outliers_percent,
            retry_budget: Arc::clone(&self.retry_budget),
        };
        let route = Route::new(parts).map_err(|error| PipelineError::Route {
            route: settings.name.to_string(),
            reason: error.to_string(),
        })?;
        let primaries = targets.len();
        let deployments: Box<[Arc<Deployment>]> = targets.into_iter().chain(fallbacks).collect();
        let lacks = lacks(&deployments);
        let on_disconnect = settings.on_disconnect.unwrap_or(self.on_disconnect);
        let budgets = meters(&settings.name, &settings.budgets, BUDGETS_BESIDE)?;
        checked(&settings.name, settings.limits)?;
        let name = Some(settings.name.clone());
        let limits = self.counters.model(&settings.name, &settings.limits);
        let baseline =
            settings.baseline.as_ref().map(|target| self.baseline(&settings.name, target)).transpose()?;
        let affinity = settings.strategy.affinity.clone();
        let hedging = settings.failover.hedge.map(|hedge| hedging(hedge, former, &settings.name));
        let shadowing = settings.failover.shadow.as_ref();
        let shadowing = shadowing.map(|shadow| Arc::new(Shadowing::new(shadow.clone())));
        Ok(Arc::new(ModelRoute {
            name,
            limits,
            budgets,
            route,
            affinity,
            baseline,
            deployments,
            primaries,
            on_disconnect,
            rules: settings.rules.clone().into(),
            require: settings.require.clone(),
            lacks,
            hedging,
            shadowing,
            resumes: settings.failover.resume,
        }))
    }

    fn baseline(&self, route: &str, target: &TargetSettings) -> Result<Arc<Baseline>, PipelineError> {
        let TargetSettings { provider, model, .. } = target;
        let known = self.providers.get(provider).ok_or_else(|| PipelineError::UnknownProvider {
            route: route.to_owned(),
            provider: provider.to_string(),
        })?;
        let name = format!("{provider}/{model}").into();
        Ok(Arc::new(Baseline { name, price_as: Arc::clone(&known.price_as), model: Arc::clone(model) }))
    }

    /// A deployment by `provider/model`, whether a route leads to it or it was asked for by that name.
    fn known(&self, name: &str) -> Option<Arc<Deployment>> {
        let direct = || self.direct().get(name).and_then(|route| route.deployments.first().cloned());
        self.deployments.get(name).cloned().or_else(direct)
    }

    /// Routes that name the same model at the same provider share one deployment and its health.
    fn deployment(
        &mut self,
        route: &str,
        settings: &TargetSettings,
        former: Option<&Self>,
    ) -> Result<Arc<Deployment>, PipelineError> {
        let name: Arc<str> = format!("{}/{}", settings.provider, settings.model).into();
        if let Some(known) = self.deployments.get(&name) {
            return Ok(Arc::clone(known));
        }
        let provider =
            self.providers.get(&settings.provider).ok_or_else(|| PipelineError::UnknownProvider {
                route: route.to_owned(),
                provider: settings.provider.to_string(),
            })?;
        let kept = former.and_then(|former| former.known(&name));
        let target = kept.and_then(|kept| still_known(&kept, provider));
        let deployment = Deployment::new(provider, settings.model.clone(), target, &self.counters)
            .map_err(|reason| PipelineError::Route { route: route.to_owned(), reason })?;
        self.deployments.insert(name, Arc::clone(&deployment));
        Ok(deployment)
    }
}

/// A deployment's target with its health, whichever credentials it has by now; `None` where the terms of its health
/// are others.
fn still_known(kept: &Deployment, provider: &Provider) -> Option<Arc<Target>> {
    let kept = Some(&kept.target).filter(|kept| *kept.health().policy() == provider.health)?;
    Some(match Arc::ptr_eq(kept.keys(), &provider.keys) {
        true => Arc::clone(kept),
        false => kept.with_keys(Arc::clone(&provider.keys)),
    })
}

fn checked(owner: &str, limits: Limits) -> Result<Limits, PipelineError> {
    let wrong =
        |why: InvalidDefinition| PipelineError::Budget { owner: owner.to_owned(), reason: why.to_string() };
    limits.check().map(|()| limits).map_err(wrong)
}

/// Budgets, ready to be asked about windows.
fn meters(owner: &str, budgets: &[Budget], most: usize) -> Result<Arc<[BudgetMeter]>, PipelineError> {
    let wrong =
        |why: InvalidDefinition| PipelineError::Budget { owner: owner.to_owned(), reason: why.to_string() };
    Budget::check_all(budgets, most).map_err(wrong)?;
    Ok(BudgetMeter::all(budgets))
}

impl ModelRoute {
    fn single(
        retry_budget: &Arc<RetryBudget>,
        deployment: Arc<Deployment>,
        on_disconnect: OnDisconnect,
    ) -> Option<Self> {
        let parts = RouteParts {
            primaries: vec![(Arc::clone(&deployment.target), 1)],
            retry_budget: Arc::clone(retry_budget),
            ..RouteParts::default()
        };
        Some(Self {
            name: None,
            limits: Arc::new(LimitCells::new(LimitOwner::Model, "", &Limits::NONE, None)),
            budgets: Arc::default(),
            route: Route::new(parts).ok()?,
            affinity: AffinityBy::default(),
            baseline: None,
            lacks: deployment.traits.lacks,
            deployments: Box::new([deployment]),
            primaries: 1,
            on_disconnect,
            rules: Arc::default(),
            require: Labels::default(),
            hedging: None,
            shadowing: None,
            resumes: false,
        })
    }
}

/// What is known of a route's answers stays known, where nothing else is wanted of it.
fn hedging(settings: HedgeSettings, former: Option<&Compiled>, route: &str) -> Arc<Hedging> {
    let kept = former.and_then(|former| former.routes.get(route)?.hedging.as_ref());
    let kept = kept.filter(|kept| kept.settings == settings);
    kept.map_or_else(|| Arc::new(Hedging::new(settings)), Arc::clone)
}

/// The registry of strategies: a new one is a line here and a file in `routing`.
fn strategy(kind: StrategyKind, route: &str) -> Box<dyn Strategy> {
    match kind {
        StrategyKind::WeightedRoundRobin => Box::new(WeightedRoundRobin::new()),
        StrategyKind::Random => Box::new(Random),
        StrategyKind::LeastLatency(of) => Box::new(LeastLatency { of }),
        StrategyKind::LeastBusy => Box::new(LeastBusy),
        StrategyKind::LowestCost => Box::new(LowestCost),
        StrategyKind::Headroom => Box::new(Headroom),
        StrategyKind::Sticky { ttl, load_percent } => Box::new(Sticky::new(load_percent, ttl)),
        StrategyKind::Split => Box::new(Split::new(stable_hash(route.as_bytes()))),
    }
}
