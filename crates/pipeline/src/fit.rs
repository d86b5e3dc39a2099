//! Which targets may and can serve a request: labels that are demanded, and what is known of the models. The others
//! are taken out of its plan before anything is chosen.

use weighbridge_catalogue::ModelInfo;
use weighbridge_protocol::Body;
use weighbridge_routing::{Labels, Plan, Rejection};
use weighbridge_tokens::{estimate, media};
use weighbridge_units::{ErrorClass, Feature, Features, Protocol};

use crate::attempt::error;
use crate::compiled::{Deployment, ModelRoute, Provider};
use crate::exchange::Exchange;
use crate::needs::needs;
use crate::refusal::Refusal;

/// The most bytes of text that a token stands for, where much repeats: a prompt has at least a token for so many.
const BYTES_PER_TOKEN_MOST: u64 = 8;

/// What a request asks of whatever model serves it.
pub(crate) struct Load<'a> {
    pub(crate) client: Protocol,
    pub(crate) body: &'a Body,
    /// Bytes of the whole conversation.
    pub(crate) bytes: u64,
    /// The cap on its answer, in tokens.
    pub(crate) max_output: Option<u64>,
    /// Whether vectors are asked for: nothing is known of who makes them.
    pub(crate) is_vectors: bool,
}

/// Why a target does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misfit {
    /// It lacks these.
    Lacks(Features),
    /// It answers in at most so many tokens.
    Output(u64),
    /// It takes in at most so many tokens.
    Context(u64),
}

/// How a target fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// As far as anybody knows.
    Yes,
    /// Probably not, or not without a loss that is reported: only where no other is left.
    Hardly(Misfit),
    /// Certainly not.
    No(Misfit),
}

/// Takes the targets out of a plan that lack a label, or that the request does not fit. Where none is left, the
/// refusal.
pub(crate) fn bar(plan: &mut Plan, exchange: &Exchange, route: &ModelRoute) -> Option<Refusal> {
    let before = exchange.conversation.as_ref().map_or(0, |said| said.bytes_before());
    let load = Load {
        client: exchange.client,
        body: &exchange.body,
        bytes: (exchange.body.bytes().len() as u64).saturating_add(before),
        max_output: exchange.envelope.max_output,
        is_vectors: exchange.vectors.is_some(),
    };
    bar_all(plan, &load, &exchange.demands, route)
}

/// As [`bar`], of a request that nobody sends.
pub(crate) fn bar_all(
    plan: &mut Plan,
    load: &Load<'_>,
    demands: &[Labels],
    route: &ModelRoute,
) -> Option<Refusal> {
    let needs = if load.is_vectors { Features::NONE } else { needs(load.client, load.body, route.lacks) };
    let fits = Fits { load, needs };
    let mut refusal = None;
    let mut left = 0;
    // Whether fallbacks serve what no equal has room for is for the route to say.
    let (mut primaries_left, mut too_long) = (0, false);
    for (position, deployment) in route.deployments.iter().enumerate() {
        let is_primary = position < route.primaries;
        let unmet = unmet(&deployment.provider, demands);
        let fit = fits.of(deployment);
        match (unmet, fit) {
            (Some((name, value)), _) => {
                plan.exclude(position, Rejection::Residency);
                refusal = Some(residency(name, value));
            }
            (None, Fit::No(misfit)) => {
                plan.exclude(position, Rejection::Misfit);
                too_long |= is_primary && matches!(misfit, Misfit::Context(_));
                refusal.get_or_insert_with(|| misfit.refusal(load));
            }
            (None, Fit::Yes | Fit::Hardly(_)) => {
                left += 1;
                primaries_left += usize::from(is_primary);
            }
        }
    }
    if left > 0 && primaries_left == 0 && too_long && !route.route.rules().on_context {
        (route.primaries..route.deployments.len()).for_each(|at| plan.exclude(at, Rejection::Misfit));
        return refusal;
    }
    if left > 1 {
        prefer_fitting(plan, &fits, demands, route);
    }
    refusal.filter(|_| left == 0)
}

/// Takes out who hardly fits, where somebody else fits better.
fn prefer_fitting(plan: &mut Plan, fits: &Fits<'_>, demands: &[Labels], route: &ModelRoute) {
    let on_context = route.route.rules().on_context;
    let reach =
        |at: usize, misfit| on_context || !matches!(misfit, Misfit::Context(_)) || at < route.primaries;
    let fitting = |at: usize| {
        route.deployments.get(at).is_some_and(|deployment| {
            unmet(&deployment.provider, demands).is_none() && fits.of(deployment) == Fit::Yes
        })
    };
    for (position, deployment) in route.deployments.iter().enumerate() {
        if let Fit::Hardly(misfit) = fits.of(deployment)
            && (0..route.deployments.len()).any(|at| reach(at, misfit) && fitting(at))
        {
            plan.exclude(position, Rejection::Misfit);
        }
    }
}

/// The first of the demanded labels that a target's provider lacks.
pub(crate) fn unmet<'a>(provider: &Provider, demands: &'a [Labels]) -> Option<(&'a str, &'a str)> {
    demands.iter().find_map(|demanded| provider.labels.lacks(demanded))
}

/// The refusal where nobody is left who has a label.
pub(crate) fn residency(name: &str, value: &str) -> Refusal {
    Refusal::Residency { demanded: format!("{name}={value}") }
}

struct Fits<'a> {
    load: &'a Load<'a>,
    needs: Features,
}

impl Fits<'_> {
    fn of(&self, deployment: &Deployment) -> Fit {
        if self.load.is_vectors {
            return Fit::Yes;
        }
        // A schema that is not kept to is a loss, which is the caller's to refuse; the rest fails at the provider.
        let lacks = self.needs.and(deployment.traits.lacks);
        let hard =
            lacks.and(Features::of(&[Feature::Tools, Feature::Images, Feature::Audio, Feature::Documents]));
        if !hard.is_empty() {
            return Fit::No(Misfit::Lacks(hard));
        }
        match deployment.info {
            // Of another protocol's request the translation lowers the cap, and reports it.
            Some(info) => {
                let passes = deployment.address(self.load.client).protocol == self.load.client;
                self.within(info, passes).unwrap_or_else(|| soft(lacks))
            }
            None => soft(lacks),
        }
    }

    /// What the model's limits say against it.
    fn within(&self, info: &ModelInfo, passes: bool) -> Option<Fit> {
        if passes && self.load.max_output.is_some_and(|asked| asked > info.max_output) {
            return Some(Fit::No(Misfit::Output(info.max_output)));
        }
        let window = info.context_window;
        if estimate(self.load.bytes) <= window || !self.is_text() {
            return None;
        }
        let certain = self.load.bytes / BYTES_PER_TOKEN_MOST > window;
        Some(if certain { Fit::No(Misfit::Context(window)) } else { Fit::Hardly(Misfit::Context(window)) })
    }

    /// Whether the bytes of the request are text: of pictures they tell nothing.
    fn is_text(&self) -> bool {
        let media = media(self.load.client, self.load.body.text());
        media.images == 0 && !media.unseen
    }
}

fn soft(lacks: Features) -> Fit {
    if lacks.is_empty() { Fit::Yes } else { Fit::Hardly(Misfit::Lacks(lacks)) }
}

impl Misfit {
    fn refusal(self, load: &Load<'_>) -> Refusal {
        let (class, message) = match self {
            Self::Lacks(features) => (
                ErrorClass::BadRequest,
                format!("This request needs what no model behind this name has: {features}."),
            ),
            Self::Output(most) => (
                ErrorClass::BadRequest,
                format!(
                    "This request asks for {} tokens of answer, and the model gives at most {most}: ask for less.",
                    load.max_output.unwrap_or_default()
                ),
            ),
            Self::Context(window) => (
                ErrorClass::ContextTooLong,
                format!(
                    "This request has at least {} tokens, and the model takes in at most {window}: shorten it.",
                    load.bytes / BYTES_PER_TOKEN_MOST
                ),
            ),
        };
        Refusal::Misfit(error(class, 400, &message))
    }
}
