//! How a request would be routed, asked without sending it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use thiserror::Error;
use weighbridge_access::Principal;
use weighbridge_protocol::json::ScanLimits;
use weighbridge_protocol::{Addressed, Body, envelope_at};
use weighbridge_records::{ExcludedTarget, RuleMatch};
use weighbridge_routing::{Plan, Rejection};
use weighbridge_units::{Feature, Features, Monotonic, Protocol};

use crate::attributes::Attributes;
use crate::compiled::{Compiled, ModelRoute};
use crate::fit::{Load, bar_all};
use crate::needs::needs;
use crate::pipeline::PipelineError;
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
    /// Whose it is.
    pub principal: Arc<Principal>,
    /// What the strategy draws.
    pub random: u64,
}

/// How a request would be routed by an instance that has just started: all targets are healthy, and no limit or
/// budget is used up.
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
    /// The targets in the order in which they would be tried, as long as each fails.
    pub order: Vec<PlannedTarget>,
    /// The targets that are left out, and why.
    pub excluded: Vec<ExcludedTarget>,
    /// What the client would be told instead of an answer.
    pub refused: Option<(u16, String)>,
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

/// Tells how a request would be routed, without sending or reserving anything.
///
/// # Errors
/// [`RouteQuestionError`] where the settings or the request cannot be read.
pub fn explain_route(
    settings: &Settings,
    question: RouteQuestion,
) -> Result<RouteExplanation, RouteQuestionError> {
    let compiled = Compiled::new(settings, &[], None)?;
    let RouteQuestion { protocol, model, headers, body, principal, random } = question;
    let unread = |why: String| RouteQuestionError::Request(why);
    let limits = ScanLimits { depth: compiled.limits.json_depth };
    let body = Body::scan(body, &limits).map_err(|error| unread(error.to_string()))?;
    let addressed = Addressed { model, stream: None };
    let mut envelope = envelope_at(protocol, &body, addressed).map_err(|error| unread(error.to_string()))?;
    if let Some(name) = compiled.alias(&envelope.model) {
        envelope.model = name.to_string();
    }
    let told = |refusal: &Refusal| refusal.to_api_error().message;
    let attributes = Attributes::read(&headers, &principal.key().tags).map_err(|bad| unread(told(&bad)))?;
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
        order: Vec::new(),
        excluded: Vec::new(),
        refused: None,
    };
    let asked = match compiled.route(&envelope.model) {
        Some(_) if !caller.principal.may_use(&envelope.model) => {
            Err(Refusal::ModelNotAllowed { model: envelope.model.clone() })
        }
        Some(route) => Ok(route),
        None => {
            Err(Refusal::UnknownModel { near: compiled.near(&envelope.model), model: envelope.model.clone() })
        }
    };
    let refused = match asked {
        Err(refusal) => Some(refusal),
        Ok(route) => {
            let steered = steer(&caller, &compiled, route, protocol, &body, &envelope);
            let route = &steered.route;
            explained.rules = steered.matched;
            explained.route = route.name.as_deref().unwrap_or(&envelope.model).to_owned();
            explained.strategies = route.route.strategies().iter().map(|strategy| strategy.name()).collect();
            explained.demands = steered.demands.iter().map(ToString::to_string).collect();
            steered.refused.or_else(|| {
                let load = Load {
                    client: protocol,
                    body: &body,
                    bytes: body.bytes().len() as u64,
                    max_output: envelope.max_output,
                    is_vectors: false,
                };
                let mut plan = Plan::new(Arc::clone(&route.route));
                let refusal = bar_all(&mut plan, &load, &steered.demands, route);
                explained.follow(plan, route, random);
                refusal
            })
        }
    };
    explained.refused = refused.map(|refusal| {
        let error = refusal.to_api_error();
        (error.status, error.message)
    });
    Ok(explained)
}

impl RouteExplanation {
    /// Notes whom a plan leaves out, and goes through the others as if each failed.
    fn follow(&mut self, mut plan: Plan, route: &ModelRoute, random: u64) {
        let name = |at: usize| route.deployments.get(at).map(|deployment| deployment.target_name());
        let excluded = &plan.decision().excluded;
        self.excluded = excluded
            .iter()
            .filter_map(|(index, why)| {
                Some(ExcludedTarget { target: name(index.get())?, reason: why.as_str() })
            })
            .collect();
        let now = Monotonic::default();
        while let Some(pick) = plan.next(now, random) {
            let at = pick.target().get();
            self.order
                .extend(name(at).map(|target| PlannedTarget { target, is_fallback: at >= route.primaries }));
            plan.reject(pick, Rejection::Guard, now);
        }
    }
}
