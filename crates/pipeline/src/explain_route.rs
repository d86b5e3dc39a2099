//! How a request would be routed, asked without sending it.
//!
//! The same plan decides over the same strategies as for a request that is sent: of a running pipeline over a snapshot of
//! the route, which leaves no trace in it; without one over a route that was just made.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use thiserror::Error;
use weighbridge_access::{Directory, KEY_RANDOM_BYTES, Pepper, Principal, TenantName, VirtualKey, mint_key};
use weighbridge_pricing::PriceBook;
use weighbridge_protocol::json::ScanLimits;
use weighbridge_protocol::{Addressed, Body, Envelope, envelope_at};
use weighbridge_records::{ExcludedTarget, RuleMatch};
use weighbridge_routing::{Availability, Choice, DeadEnd, Demand, Exclusion, Plan, Rejection, Route, Target};
use weighbridge_units::{Feature, Features, Monotonic, NanoUsd, Protocol, Timestamp};

use crate::admit::Live;
use crate::attempt::last_word;
use crate::attributes::Attributes;
use crate::compiled::{Compiled, ModelRoute};
use crate::demand::Told;
use crate::fit::{Load, bar_all};
use crate::needs::needs;
use crate::own_keys::Lent;
use crate::pipeline::{Pipeline, PipelineError};
use crate::receive::Authenticated;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::steer::steer;

/// A request that nobody sends.
pub struct RouteQuestion {
    /// What it speaks.
    pub protocol: Protocol,
    /// The model, where the protocol has it in the address.
    pub model: Option<String>,
    /// Its headers: of these the gateway's own are looked at, and those that rules name.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whose it is; [`anybody`] is a key without restrictions.
    pub principal: Arc<Principal>,
    /// What the strategies draw.
    pub random: u64,
}

/// How a request would be routed. No limit is looked at, and of budgets only what chooses another model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteExplanation {
    /// The model that it asks for.
    pub model: String,
    /// The rules that it met.
    pub rules: Vec<RuleMatch>,
    /// The model that serves it, after all rules.
    pub route: String,
    /// The names of the strategies that choose among equals, one after the other.
    pub strategies: Vec<&'static str>,
    /// What it needs beside text.
    pub needs: Features,
    /// Tokens of its prompt, estimated.
    pub prompt_tokens: u64,
    /// Labels that whoever serves it must have.
    pub demands: Vec<String>,
    /// Whether it is told by what a running gateway has observed.
    pub is_observed: bool,
    /// What the strategies drew.
    pub seed: u64,
    /// How the first target is chosen, where there are several equals.
    pub choice: Option<RouteChoice>,
    /// The targets in the order in which they would be tried, as long as each fails.
    pub order: Vec<PlannedTarget>,
    /// The targets that are left out, and why. One that is benched may be tried for want of another.
    pub excluded: Vec<ExcludedTarget>,
    /// Every target of the model that serves it, and what is known of it.
    pub targets: Vec<TargetStanding>,
    /// What the client would be told instead of an answer.
    pub refused: Option<(u16, String)>,
}

/// How one of several equals is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteChoice {
    /// The strategy that leaves no other.
    pub by: &'static str,
    /// How many there are to choose from.
    pub candidates: usize,
    /// The chosen one, then those that come furthest, at most sixteen. Where nothing is observed, scores that are made
    /// of observations are left out.
    pub scores: Vec<TargetScore>,
}

/// How a candidate fares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetScore {
    /// `provider/model`.
    pub target: Arc<str>,
    /// Its score, least being best; what it counts is the strategy's own.
    pub score: i64,
    /// The last strategy that looks at it.
    pub by: &'static str,
}

/// A target that a request may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedTarget {
    /// `provider/model`.
    pub target: Arc<str>,
    /// Whether it is only tried where no equal is left.
    pub is_fallback: bool,
}

/// What is known of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetStanding {
    /// `provider/model`.
    pub target: Arc<str>,
    /// Whether it is only tried where no equal is left.
    pub is_fallback: bool,
    /// Its share among its equals; 0 takes it out.
    pub weight: u32,
    /// What the request is expected to cost there; `None` where no price is known.
    pub cost: Option<NanoUsd>,
    /// What a running gateway has seen of it.
    pub seen: Option<TargetSeen>,
}

/// What a running gateway has seen of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetSeen {
    /// `ready`, `probe`, `benched`, `left-alone` or `exhausted`.
    pub availability: &'static str,
    /// For how long it is none of `ready` and `probe`.
    pub back_in: Option<Duration>,
    /// Attempts under way.
    pub in_flight: u32,
    /// The median time to a whole answer lately; only observed where a strategy wants to know it.
    pub latency: Option<Duration>,
    /// The median time to the first content of a streamed answer, likewise.
    pub first_token: Option<Duration>,
    /// What is left of its rate limits after this request, in millionths, likewise.
    pub headroom: Option<u32>,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteQuestionError {
    /// The settings do not fit together.
    #[error(transparent)]
    Settings(#[from] PipelineError),
    /// The request is not one.
    #[error("the request is not one that would be read: {0}")]
    Request(String),
}

/// What an explanation goes by.
struct Sight<'a> {
    compiled: &'a Compiled,
    prices: &'a PriceBook,
    at: Timestamp,
    now: Monotonic,
    live: Option<Live<'a>>,
}

/// A key that may do anything, and is kept nowhere. `None` is a defect of the release.
pub fn anybody() -> Option<Arc<Principal>> {
    let pepper = Pepper::new(&[0; 32]).ok()?;
    let minted = mint_key(&[0; KEY_RANDOM_BYTES], &pepper);
    let tenant = TenantName::new("default").ok()?;
    let key = VirtualKey::new(minted.id, "anybody", tenant, minted.hash, Timestamp::default());
    let directory = Directory::new(pepper);
    directory.refresh(vec![key], Vec::new());
    directory.get(minted.id)
}

/// Tells how an instance that has just started with these settings, and prices of `at`, would route a request, without
/// sending or reserving anything: all targets are healthy, and nothing was observed yet.
///
/// # Errors
/// [`RouteQuestionError`] where the settings or the request cannot be read.
pub fn explain_route(
    settings: &Settings,
    prices: &PriceBook,
    at: Timestamp,
    question: RouteQuestion,
) -> Result<RouteExplanation, RouteQuestionError> {
    let compiled = Compiled::new(settings, &[], None)?;
    Sight { compiled: &compiled, prices, at, now: Monotonic::default(), live: None }.explain(question)
}

impl Pipeline {
    /// Tells how a request would be routed at this moment, by what is known of health, latencies, rate limits, prices and
    /// tenants' own keys. Nothing is sent, reserved or counted, and no later request is routed otherwise for it.
    ///
    /// # Errors
    /// [`RouteQuestionError`] where the request cannot be read.
    pub fn explain_route(&self, question: RouteQuestion) -> Result<RouteExplanation, RouteQuestionError> {
        let core = &self.core;
        let (compiled, shelf, prices) = (core.compiled.load(), core.shelf.load(), core.prices.load());
        let sight = Sight {
            compiled: &compiled,
            prices: &prices.book,
            at: core.env.now(),
            now: core.env.monotonic(),
            live: Some(Live { shelf: &shelf, watch: &core.watch }),
        };
        sight.explain(question)
    }
}

impl Sight<'_> {
    fn explain(&self, question: RouteQuestion) -> Result<RouteExplanation, RouteQuestionError> {
        let compiled = self.compiled;
        let RouteQuestion { protocol, model, headers, body, principal, random } = question;
        let unread = |why: String| RouteQuestionError::Request(why);
        let limits = ScanLimits { depth: compiled.limits.json_depth };
        let body = Body::scan(body, &limits).map_err(|error| unread(error.to_string()))?;
        let addressed = Addressed { model, stream: None };
        let mut envelope =
            envelope_at(protocol, &body, addressed).map_err(|error| unread(error.to_string()))?;
        if let Some(name) = compiled.alias(&envelope.model) {
            envelope.model = name.to_string();
        }
        let told = |refusal: &Refusal| refusal.to_api_error().message;
        let attributes =
            Attributes::read(&headers, &principal.key().tags).map_err(|bad| unread(told(&bad)))?;
        let mut request = Request::new(());
        *request.headers_mut() = headers;
        let caller = Authenticated { head: request.into_parts().0, principal, attributes };

        let mut explained = RouteExplanation {
            model: envelope.model.clone(),
            rules: Vec::new(),
            route: String::new(),
            strategies: Vec::new(),
            needs: needs(protocol, &body, Features::of(&Feature::ALL)),
            prompt_tokens: weighbridge_tokens::estimate(body.bytes().len() as u64),
            demands: Vec::new(),
            is_observed: self.live.is_some(),
            seed: random,
            choice: None,
            order: Vec::new(),
            excluded: Vec::new(),
            targets: Vec::new(),
            refused: None,
        };
        let asked = Asked { protocol, body: &body, envelope: &envelope, caller: &caller };
        let refused = self.follow(&asked, &mut explained).err();
        explained.refused = refused.map(|refusal| {
            let error = refusal.to_api_error();
            (error.status, error.message)
        });
        Ok(explained)
    }

    /// Goes the way of a request up to where it would be reserved, and tells what happens on it.
    fn follow(&self, asked: &Asked<'_>, explained: &mut RouteExplanation) -> Result<(), Refusal> {
        let Asked { protocol, body, envelope, caller } = *asked;
        let compiled = self.compiled;
        let route = compiled.route(&envelope.model).ok_or_else(|| Refusal::UnknownModel {
            near: compiled.near(&envelope.model),
            model: envelope.model.clone(),
        })?;
        if !caller.principal.may_use(&envelope.model) {
            return Err(Refusal::ModelNotAllowed { model: envelope.model.clone() });
        }
        let mut steered = steer(caller, compiled, route, protocol, body, envelope);
        explained.rules = std::mem::take(&mut steered.matched);
        let mut route = Arc::clone(&steered.route);
        if let (Some(live), None) = (&self.live, &steered.refused) {
            let served = Arc::clone(&route);
            route = caller.downgraded(compiled, served, envelope, live, self.at)?;
            if !Arc::ptr_eq(&route, &steered.route) {
                steered.demand(&route.require);
            }
        }
        explained.route = route.name.as_deref().unwrap_or(&envelope.model).to_owned();
        explained.strategies = route.route.strategies().iter().map(|strategy| strategy.name()).collect();
        explained.demands = steered.demands.iter().map(ToString::to_string).collect();
        if let Some(refusal) = steered.refused {
            return Err(refusal);
        }
        let told = Told {
            body,
            envelope,
            headers: &caller.head.headers,
            key: caller.principal.key().id,
            end_user: caller.attributes.user.as_deref().or(envelope.end_user.as_deref()),
            is_vectors: false,
        };
        let costs = told.costs(self.prices, self.at, &route.deployments);
        let demand = told.demand(&route, costs);
        // What is asked here is asked of a copy: nobody's turn is taken, and no probe.
        let frozen = route.route.snapshot();
        explained.targets = self.standings(&route, &frozen, &demand);
        let mut plan = Plan::new(Arc::clone(&frozen)).with_demand(demand);
        let live = self.live.as_ref();
        let lent = live.and_then(|live| Lent::of(live.shelf, &caller.principal, &route));
        let mut without_key = None;
        if let Some(lent) = &lent {
            plan = plan.with_own_keys(lent.snapshots());
            for (position, deployment) in route.deployments.iter().enumerate() {
                if lent.lacks(position) {
                    plan.exclude(position, Rejection::OwnKey);
                    without_key.get_or_insert(deployment);
                }
            }
        }
        let load = Load {
            client: protocol,
            body,
            bytes: body.bytes().len() as u64,
            max_output: envelope.max_output,
            is_vectors: false,
        };
        let refusal = bar_all(&mut plan, &load, &steered.demands, &route);
        let dead_end = self.choose(plan, &route, explained);
        match refusal {
            Some(refusal) => Err(refusal),
            None if explained.order.is_empty() => Err(match without_key {
                Some(deployment) => Refusal::NoOwnKey { provider: Arc::clone(&deployment.provider.name) },
                None => last_word(None, dead_end),
            }),
            None => Ok(()),
        }
    }

    /// Goes through a plan as if each target failed, and notes whom it leaves out; tells why it ends.
    fn choose(&self, mut plan: Plan, route: &ModelRoute, explained: &mut RouteExplanation) -> DeadEnd {
        let name = |at: usize| route.deployments.get(at).map(|deployment| deployment.target_name());
        let mut is_first = true;
        while let Some(pick) = plan.next(self.now, explained.seed) {
            if std::mem::take(&mut is_first) {
                explained.choice =
                    plan.decision().choice.as_ref().map(|choice| self.scored(choice, &route.route));
            }
            let at = pick.target().get();
            let is_fallback = at >= route.primaries;
            explained.order.extend(name(at).map(|target| PlannedTarget { target, is_fallback }));
            plan.reject(pick, Rejection::Guard, self.now);
        }
        let excluded = plan.decision().excluded.iter();
        // No guard was asked: that is what going on to the next one is called here.
        let excluded = excluded.filter(|(_, why)| *why != Exclusion::Rejected(Rejection::Guard));
        explained.excluded = excluded
            .filter_map(|(index, why)| {
                Some(ExcludedTarget { target: name(index.get())?, reason: why.as_str() })
            })
            .collect();
        plan.dead_end(self.now)
    }

    fn scored(&self, choice: &Choice, route: &Route) -> RouteChoice {
        let is_known = |by: &str| {
            let of = route.strategies().iter().find(|strategy| strategy.name() == by);
            self.live.is_some() || of.is_none_or(|strategy| !strategy.needs().observations)
        };
        let scores = choice.scores.iter().filter(|scored| is_known(scored.by)).filter_map(|scored| {
            let target = Arc::clone(route.target(scored.target)?.name());
            Some(TargetScore { target, score: scored.score, by: scored.by })
        });
        RouteChoice { by: choice.by, candidates: choice.candidates, scores: scores.collect() }
    }

    fn standings(&self, route: &ModelRoute, frozen: &Route, demand: &Demand) -> Vec<TargetStanding> {
        let standing = |(position, target): (usize, &Arc<Target>)| TargetStanding {
            target: Arc::clone(target.name()),
            is_fallback: position >= route.primaries,
            weight: frozen.weight_at(position),
            cost: demand.costs.get(position).copied().flatten(),
            seen: self.live.as_ref().map(|_| self.seen(target, demand.tokens)),
        };
        frozen.targets().enumerate().map(standing).collect()
    }

    fn seen(&self, target: &Target, tokens: u64) -> TargetSeen {
        let (availability, until) = match target.availability(self.now) {
            Availability::Probe => ("probe", None),
            Availability::Benched { until } => ("benched", Some(until)),
            Availability::LeftAlone { until, .. } => ("left-alone", Some(until)),
            Availability::Exhausted { until } => ("exhausted", Some(until)),
            _ => ("ready", None),
        };
        let observed = target.observed();
        TargetSeen {
            availability,
            back_in: until.map(|until| until.since(self.now)),
            in_flight: observed.in_flight(),
            latency: observed.latency(self.now),
            first_token: observed.first_token(self.now),
            headroom: observed.headroom(tokens, self.now),
        }
    }
}

/// A request that was read.
#[derive(Clone, Copy)]
struct Asked<'a> {
    protocol: Protocol,
    body: &'a Body,
    envelope: &'a Envelope,
    caller: &'a Authenticated,
}
