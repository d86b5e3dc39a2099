//! Settings, compiled once into what requests read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use weighbridge_access::{
    Budget, BudgetMeter, Cidr, InvalidDefinition, LimitCells, LimitOwner, Limits, LossPolicy, OnExceed,
    OpenKey,
};
use weighbridge_catalogue::{AuthStyle, ModelInfo, PathTemplate, PromptCacheInfo, Spoken, Traits, near};
use weighbridge_ledger::Name;
use weighbridge_protocol::Dialect;
use weighbridge_protocol::openai_chat::Quirks;
use weighbridge_routing::{
    Availability, Headroom, Health, HealthPolicy, KeyPool, Labels, LeastBusy, LeastLatency, LowestCost,
    Random, RetryBudget, RetryPolicy, Route, RouteParts, Rule, Split, Sticky, Strategy, Target,
    WeightedRoundRobin, stable_hash,
};
use weighbridge_transport::{Issued, QueryKey, Signer};
use weighbridge_units::{Features, Monotonic, Protocol};

use crate::counters::Counters;
use crate::hedge::Hedging;
use crate::markups::Markups;
use crate::pipeline::PipelineError;
use crate::rules;
use crate::settings::{
    AffinityBy, AnswerKeeping, BUDGETS_BESIDE, CountAlarm, CredentialProof, DrainLimits, HedgeSettings,
    IdempotencySettings, NativeCalls, OnDisconnect, ProbeSettings, ProviderCredential, ProviderSettings,
    RequestLimits, ResidencyRule, RouteSettings, Settings, StrategyKind, TargetSettings, Timeouts,
    UnknownModel,
};
use crate::shadow::Shadowing;

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
    direct: Mutex<HashMap<Arc<str>, Arc<ModelRoute>>>,
    deployments: HashMap<Arc<str>, Arc<Deployment>>,
    pub(crate) counters: Arc<Counters>,
    retry_budget: Arc<RetryBudget>,
}

/// The parameter of the query that a key goes into, where it goes there.
const QUERY_KEY: &str = "key";

/// One provider, ready to be called.
pub(crate) struct Provider {
    pub(crate) name: Arc<str>,
    /// The name, as answers show it; `None` where no header can carry it.
    pub(crate) shown: Option<HeaderValue>,
    pub(crate) ledger_name: Name,
    /// What it speaks, best first.
    pub(crate) spoken: Vec<Spoken>,
    base_url: String,
    pub(crate) auth: AuthStyle,
    pub(crate) credentials: Vec<Credential>,
    /// Everything that each request carries but for the credential.
    pub(crate) headers: HeaderMap,
    pub(crate) price_as: Arc<str>,
    pub(crate) timeouts: Timeouts,
    pub(crate) budgets: Arc<[BudgetMeter]>,
    pub(crate) native: NativeCalls,
    pub(crate) native_paths: Vec<String>,
    limits: Limits,
    health: HealthPolicy,
    pub(crate) labels: Labels,
    pub(crate) probe: Option<ProbeSettings>,
    keys: Arc<KeyPool>,
    /// The shares of the credentials.
    weights: Vec<u32>,
}

/// A credential, ready to be sent.
pub(crate) struct Credential {
    pub(crate) proof: Proof,
    /// The bare secrets: for finding them in what a provider says.
    pub(crate) secrets: Vec<SecretString>,
}

/// How a credential is shown to the provider.
pub(crate) enum Proof {
    Header(HeaderName, HeaderValue),
    Signature(Signer),
    Issued(Issued),
}

impl Proof {
    /// A key, where a provider expects it; `None` where it cannot stand there.
    pub(crate) fn of_key(auth: AuthStyle, key: &str) -> Option<Self> {
        let Some(name) = auth.header() else {
            return Some(Self::Signature(Signer(Arc::new(QueryKey::new(QUERY_KEY, key)))));
        };
        let mut value = HeaderValue::try_from(format!("{}{key}", auth.prefix())).ok()?;
        value.set_sensitive(true);
        Some(Self::Header(HeaderName::from_static(name), value))
    }
}

/// One model at one provider.
pub(crate) struct Deployment {
    pub(crate) provider: Arc<Provider>,
    pub(crate) limits: Arc<LimitCells>,
    pub(crate) model: Arc<str>,
    /// The model, as answers show it; `None` where no header can carry it.
    pub(crate) shown: Option<HeaderValue>,
    pub(crate) ledger_name: Name,
    pub(crate) info: Option<&'static ModelInfo>,
    pub(crate) traits: Traits,
    /// How the model caches prompts, if it does so only where they are marked.
    pub(crate) prompt_cache: Option<PromptCacheInfo>,
    /// Where the model is called, best first; never empty.
    addresses: Box<[Address]>,
    target: Arc<Target>,
}

/// What any of them is known to lack.
fn lacks(deployments: &[Arc<Deployment>]) -> Features {
    deployments.iter().fold(Features::NONE, |lacks, deployment| lacks.or(deployment.traits.lacks))
}

/// Where and how one model is called in one protocol.
pub(crate) struct Address {
    pub(crate) protocol: Protocol,
    pub(crate) dialect: Dialect,
    /// Whether a stream is not to be asked for its usage.
    pub(crate) usage_unasked: bool,
    /// What else requests of Chat Completions are changed in.
    pub(crate) quirks: Quirks,
    whole: Uri,
    streamed: Uri,
    /// What stands before and behind the names of the provider's other calls, where the path of this one
    /// is as its provider documents it.
    beside: Option<(String, String)>,
}

impl Address {
    /// Where a call goes.
    pub(crate) const fn uri(&self, stream: bool) -> &Uri {
        if stream { &self.streamed } else { &self.whole }
    }

    /// Where another call of the same provider goes, by its documented path.
    pub(crate) fn beside(&self, path: &str) -> Option<Uri> {
        let (before, behind) = self.beside.as_ref()?;
        format!("{before}{path}{behind}").parse().ok()
    }
}

/// How the paths of inference calls begin, as their providers document them.
const DOCUMENTED: [&str; 5] = ["/chat/completions", "/responses", "/v1/messages", "/models/", "/model/"];

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
        let mut direct = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = direct.get(name) {
            return Some(Arc::clone(route));
        }
        let deployment = Deployment::new(provider, model.into(), None, &self.counters).ok()?;
        let route = Arc::new(ModelRoute::single(&self.retry_budget, deployment, self.on_disconnect)?);
        if direct.len() < DIRECT_MOST {
            direct.insert(name.into(), Arc::clone(&route));
        }
        Some(route)
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

    /// The benched deployments of routes whose provider is to be asked whether it is back.
    pub(crate) fn benched(&self, now: Monotonic) -> Vec<Arc<Deployment>> {
        let probed = self.deployments.values().filter(|deployment| deployment.provider.probe.is_some());
        let is_benched = |deployment: &&Arc<Deployment>| {
            matches!(deployment.health().availability(now), Availability::Benched { .. })
        };
        probed.filter(is_benched).cloned().collect()
    }

    /// Names that a client which asked for `name` may have meant.
    pub(crate) fn near(&self, name: &str) -> Vec<String> {
        let direct = self.providers().into_iter().flat_map(|provider| {
            weighbridge_catalogue::models(&provider.price_as)
                .map(|model| format!("{}/{}", provider.name, model.id))
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
        let kept = former.and_then(|former| former.deployments.get(&name));
        let kept = kept.filter(|kept| *kept.target.health().policy() == provider.health);
        // Its health is known, whichever credentials it has by now.
        let target = kept.map(|kept| match Arc::ptr_eq(kept.target.keys(), &provider.keys) {
            true => Arc::clone(&kept.target),
            false => kept.target.with_keys(Arc::clone(&provider.keys)),
        });
        let deployment = Deployment::new(provider, settings.model.clone(), target, &self.counters)
            .map_err(|reason| PipelineError::Route { route: route.to_owned(), reason })?;
        self.deployments.insert(name, Arc::clone(&deployment));
        Ok(deployment)
    }
}

fn checked(owner: &str, limits: Limits) -> Result<Limits, PipelineError> {
    let wrong =
        |why: InvalidDefinition| PipelineError::Budget { owner: owner.to_owned(), reason: why.to_string() };
    limits.check().map(|()| limits).map_err(wrong)
}

/// A provider is chosen after the model, so that its budgets choose no other model.
fn provider_meters(settings: &ProviderSettings) -> Result<Arc<[BudgetMeter]>, PipelineError> {
    let downgrades = |budget: &Budget| matches!(budget.on_exceed, OnExceed::Downgrade(_));
    if settings.budgets.iter().any(downgrades) {
        return Err(PipelineError::Budget {
            owner: settings.name.to_string(),
            reason: "a provider's budget cannot choose another model: give the budget to the model"
                .to_owned(),
        });
    }
    meters(&settings.name, &settings.budgets, BUDGETS_BESIDE)
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

impl Deployment {
    /// A model at a provider; the error is a sentence about a model that cannot be called there.
    fn new(
        provider: &Arc<Provider>,
        model: Arc<str>,
        target: Option<Arc<Target>>,
        counters: &Counters,
    ) -> Result<Arc<Self>, String> {
        let served = provider.spoken.iter().filter(|spoken| spoken.models.admits(&model));
        let addresses: Box<[Address]> =
            served.map(|spoken| provider.address(spoken, &model)).collect::<Result<_, String>>()?;
        if addresses.is_empty() {
            return Err(format!("`{}` speaks no protocol for the model `{model}`", provider.name));
        }
        let target = target.unwrap_or_else(|| {
            let name = format!("{}/{model}", provider.name);
            Target::new(name, Arc::clone(&provider.keys), provider.health)
        });
        let info = weighbridge_catalogue::model(&provider.price_as, &model);
        let traits = weighbridge_catalogue::traits(&provider.price_as, &model);
        let prompt_cache = weighbridge_catalogue::prompt_cache(&model);
        let ledger_name = Name::new(Arc::clone(&model));
        let shown = HeaderValue::try_from(&*model).ok();
        let limits = counters.deployment(&provider.name, &model, &provider.limits);
        let provider = Arc::clone(provider);
        Ok(Arc::new(Self {
            provider,
            limits,
            model,
            shown,
            ledger_name,
            info,
            traits,
            prompt_cache,
            addresses,
            target,
        }))
    }

    /// `provider/model`.
    pub(crate) fn target_name(&self) -> Arc<str> {
        Arc::clone(self.target.name())
    }

    /// What is known of its health.
    pub(crate) fn health(&self) -> &Health {
        self.target.health()
    }

    /// Where the model is called, best first.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Where a client's request goes: to where its own protocol is spoken, else to the best place.
    pub(crate) fn address(&self, client: Protocol) -> &Address {
        let own = self.addresses.iter().find(|address| address.protocol == client);
        own.unwrap_or(&self.addresses[0])
    }
}

impl Provider {
    fn new(
        settings: &ProviderSettings,
        vault: &[OpenKey],
        former: Option<&Arc<Self>>,
    ) -> Result<Self, PipelineError> {
        let base_url = |reason: &str| PipelineError::BaseUrl {
            provider: settings.name.to_string(),
            reason: reason.to_owned(),
        };
        let uri: Uri = settings.base_url.parse().map_err(|_| base_url("it is not an address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
            return Err(base_url("it must begin with http:// or https:// and name a host"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(base_url("credentials belong into api_keys"));
        }
        let vault = vault.iter().filter(|open| *open.key.provider == *settings.name && open.key.weight > 0);
        let (mut credentials, mut weights) = (Vec::new(), Vec::new());
        for credential in &settings.credentials {
            credentials.push(ready(settings, credential)?);
            weights.push(credential.weight);
        }
        for open in vault {
            credentials.push(ready(settings, &ProviderCredential::key(open.secret.expose()))?);
            weights.push(open.key.weight);
        }
        // What is known of the same credentials stays known; others are tried afresh.
        let same = |former: &&Arc<Self>| {
            former.weights == weights && same_secrets(&former.credentials, &credentials)
        };
        let keys = former
            .filter(same)
            .map_or_else(|| Arc::new(KeyPool::weighted(&weights)), |former| Arc::clone(&former.keys));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("weighbridge/", env!("CARGO_PKG_VERSION"))),
        );
        headers.extend(settings.headers.iter().cloned());
        Ok(Self {
            name: settings.name.clone(),
            shown: HeaderValue::try_from(&*settings.name).ok(),
            ledger_name: Name::new(Arc::clone(&settings.name)),
            spoken: settings.spoken.clone(),
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            headers,
            price_as: settings.price_as.clone(),
            timeouts: settings.timeouts,
            budgets: provider_meters(settings)?,
            limits: checked(&settings.name, settings.limits)?,
            health: settings.health.policy,
            labels: settings.labels.clone(),
            probe: settings.health.probe.clone(),
            auth: settings.auth,
            native: settings.native,
            native_paths: settings.native_paths.clone(),
            keys,
            weights,
            credentials,
        })
    }

    /// Where it is asked whether it is back.
    pub(crate) fn probe_uri(&self) -> Option<Uri> {
        format!("{}{}", self.base_url, self.probe.as_ref()?.path).parse().ok()
    }

    /// The address that paths are below, without slash at its end.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    fn address(&self, spoken: &Spoken, model: &str) -> Result<Address, String> {
        let uri = |path: &PathTemplate| {
            let path = path.for_model(model)?;
            format!("{}{path}", self.base_url).parse().ok()
        };
        let documented = spoken.path.before(&DOCUMENTED).and_then(|root| root.for_model(model));
        let query = spoken.path.as_str().find('?').and_then(|at| spoken.path.as_str().get(at..));
        let behind = query.unwrap_or_default().to_owned();
        let [whole, streamed] = [&spoken.path, &spoken.stream_path].map(|path| {
            uri(path).ok_or_else(|| format!("the model's name `{model}` makes no address at `{}`", self.name))
        });
        Ok(Address {
            protocol: spoken.protocol,
            dialect: spoken.dialect,
            usage_unasked: spoken.usage_unasked,
            quirks: spoken.quirks,
            whole: whole?,
            streamed: streamed?,
            beside: documented.map(|root| (format!("{}{root}", self.base_url), behind)),
        })
    }
}

fn same_secrets(some: &[Credential], others: &[Credential]) -> bool {
    let secrets = |credentials: &[Credential]| -> Vec<SecretString> {
        credentials.iter().flat_map(|credential| credential.secrets.iter().cloned()).collect()
    };
    let (some, others) = (secrets(some), secrets(others));
    some.len() == others.len()
        && some.iter().zip(&others).all(|(one, other)| one.expose_secret() == other.expose_secret())
}

fn ready(settings: &ProviderSettings, credential: &ProviderCredential) -> Result<Credential, PipelineError> {
    let bad = || PipelineError::Credential { provider: settings.name.to_string() };
    Ok(match &credential.proof {
        CredentialProof::Key(key) => {
            let proof = Proof::of_key(settings.auth, key.expose_secret()).ok_or_else(bad)?;
            Credential { proof, secrets: vec![key.clone()] }
        }
        CredentialProof::Signature { signer, secrets } => {
            Credential { proof: Proof::Signature(signer.clone()), secrets: secrets.clone() }
        }
        CredentialProof::Issued { issued, secrets } => {
            Credential { proof: Proof::Issued(issued.clone()), secrets: secrets.clone() }
        }
    })
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
