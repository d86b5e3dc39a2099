//! How the running gateway would route a request, asked without sending it.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weighbridge_pipeline::{
    RouteChoice, RouteExplanation, RouteQuestion, RouteQuestionError, TargetSeen, TargetStanding, anybody,
};
use weighbridge_records::{LoggedRule, RuleMatch};
use weighbridge_units::Protocol;

use crate::explain::{PassedOverView, ScoreView};
use crate::{Actor, AdminError, AdminService};

/// Headers that a request in question may have.
const HEADERS_MOST: usize = 100;

/// What answers questions about routes.
pub(crate) type Routes =
    Box<dyn Fn(RouteQuestion) -> Result<RouteExplanation, RouteQuestionError> + Send + Sync>;

/// A request that is not to be sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteAsked {
    /// What it speaks, by the protocol's name; `openai-chat` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The model, where the protocol has it in the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its headers, names and values: at most a hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The public id of the key that it is asked with. Without it, a key without restrictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the strategies draw; 0 if not said. The same number gives the same order.
    #[serde(default)]
    pub seed: u64,
    /// The request's body, as it would be sent.
    pub request: Box<RawValue>,
}

/// How a request would be routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// Who tells it: `running-gateway`, by what it knows at this moment, or `configuration`.
    pub told_by: String,
    /// The model that it asks for.
    pub model: String,
    /// The rules that it met, and what the classifier thought where it was asked.
    pub rules: Vec<LoggedRule>,
    /// The model that serves it, after all rules.
    pub served_as: String,
    /// The strategies that choose among equals, one after the other.
    pub strategies: Vec<String>,
    /// What it needs beside text.
    pub needs: Vec<String>,
    /// Tokens of its prompt, estimated.
    pub prompt_tokens: u64,
    /// Labels that whoever serves it must have.
    pub demands: Vec<String>,
    /// What the strategies drew, in 16 hexadecimal digits.
    pub seed: String,
    /// How the first target is chosen, where there are several equals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<RouteChoiceView>,
    /// The targets in the order in which they would be tried, as long as each fails.
    pub order: Vec<PlannedView>,
    /// The targets that are left out, and why.
    pub excluded: Vec<PassedOverView>,
    /// Every target of the model that serves it, and what is known of it.
    pub targets: Vec<StandingView>,
    /// What the client would be told instead of an answer.
    pub refused: Option<RefusedView>,
}

/// How one of several equals is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteChoiceView {
    /// The strategy that leaves no other.
    pub by: String,
    /// How many there are to choose from.
    pub candidates: usize,
    /// The chosen one, then those that come furthest.
    pub scores: Vec<ScoreView>,
}

/// A target that would be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedView {
    /// `provider/model`.
    pub target: String,
    /// Whether it is only tried where no equal is left.
    pub fallback: bool,
}

/// What is known of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingView {
    /// `provider/model`.
    pub target: String,
    /// Whether it is only tried where no equal is left.
    pub fallback: bool,
    /// Its share among its equals; 0 takes it out.
    pub weight: u32,
    /// What the request is expected to cost there, in dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// What the running gateway has seen of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenView>,
}

/// What a running gateway has seen of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenView {
    /// `ready`, `probe`, `benched`, `left-alone` or `exhausted`.
    pub availability: String,
    /// For how many milliseconds it is none of `ready` and `probe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_in_ms: Option<u64>,
    /// Attempts under way.
    pub in_flight: u32,
    /// The median time to a whole answer lately, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// The median time to the first content of a streamed answer lately, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
    /// What is left of its rate limits after this request, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom_millionths: Option<u32>,
}

/// What a client would be told instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedView {
    /// The status.
    pub status: u16,
    /// The message.
    pub message: String,
}

impl AdminService {
    /// How the running gateway would route a request at this moment. Nothing is sent, reserved or written down.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for administrators of tenants; [`AdminError::Invalid`] names the field that is wrong;
    /// [`AdminError::NotFound`] where there is no such key; [`AdminError::NoGateway`] where none runs here.
    pub fn explain_route(&self, actor: &Actor, asked: &RouteAsked) -> Result<RouteView, AdminError> {
        if !actor.is_of_installation() {
            return Err(AdminError::forbidden("routes are for the administrator of the installation"));
        }
        let routes = self.routes.as_ref().ok_or(AdminError::NoGateway)?;
        let protocol = match asked.protocol.as_deref() {
            None => Protocol::OpenAiChat,
            Some(name) => Protocol::from_name(name).ok_or_else(|| {
                let known = Protocol::ALL.map(Protocol::as_str).join(", ");
                AdminError::invalid("protocol", format!("write one of {known}"))
            })?,
        };
        let principal = match asked.key.as_deref() {
            None => anybody().ok_or(AdminError::NoGateway)?,
            Some(id) => {
                let form = "write the twelve characters after `wb-`";
                let id = id.parse().map_err(|_| AdminError::invalid("key", form))?;
                let directory = self.directory.as_ref().ok_or(AdminError::NoGateway)?;
                directory.get(id).ok_or(AdminError::NotFound(id))?
            }
        };
        let question = RouteQuestion {
            protocol,
            model: asked.model.clone(),
            headers: headers(&asked.headers)?,
            body: asked.request.get().to_owned().into(),
            principal,
            random: asked.seed,
        };
        let explained = routes(question).map_err(|unread| AdminError::invalid("request", unread))?;
        Ok(RouteView::from(&explained))
    }
}

fn headers(said: &[(String, String)]) -> Result<HeaderMap, AdminError> {
    let wrong = |why: &str| AdminError::invalid("headers", why);
    if said.len() > HEADERS_MOST {
        return Err(wrong("more than a hundred"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in said {
        let name = HeaderName::try_from(name).map_err(|_| wrong("a name is none of a header"))?;
        let value = HeaderValue::try_from(value).map_err(|_| wrong("a value cannot be sent"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

impl From<&RouteExplanation> for RouteView {
    fn from(explained: &RouteExplanation) -> Self {
        let passed_over = explained
            .excluded
            .iter()
            .map(|over| PassedOverView { target: over.target.to_string(), reason: over.reason.to_owned() });
        let planned = explained
            .order
            .iter()
            .map(|planned| PlannedView { target: planned.target.to_string(), fallback: planned.is_fallback });
        let told_by = if explained.is_observed { "running-gateway" } else { "configuration" };
        Self {
            told_by: told_by.to_owned(),
            model: explained.model.clone(),
            rules: explained.rules.iter().map(rule).collect(),
            served_as: explained.route.clone(),
            strategies: explained.strategies.iter().map(ToString::to_string).collect(),
            needs: explained.needs.iter().map(|feature| feature.as_str().to_owned()).collect(),
            prompt_tokens: explained.prompt_tokens,
            demands: explained.demands.clone(),
            seed: format!("{:016x}", explained.seed),
            choice: explained.choice.as_ref().map(choice),
            order: planned.collect(),
            excluded: passed_over.collect(),
            targets: explained.targets.iter().map(standing).collect(),
            refused: explained
                .refused
                .as_ref()
                .map(|(status, message)| RefusedView { status: *status, message: message.clone() }),
        }
    }
}

fn rule(met: &RuleMatch) -> LoggedRule {
    LoggedRule {
        of: met.of.to_string(),
        rule: met.rule.as_ref().map(ToString::to_string),
        to: met.to.as_ref().map(ToString::to_string),
        difficulty: met.difficulty,
        task: met.task.map(ToOwned::to_owned),
    }
}

fn choice(choice: &RouteChoice) -> RouteChoiceView {
    let score = |one: &weighbridge_pipeline::TargetScore| ScoreView {
        target: one.target.to_string(),
        score: one.score,
        by: one.by.to_owned(),
    };
    let scores = choice.scores.iter().map(score).collect();
    RouteChoiceView { by: choice.by.to_owned(), candidates: choice.candidates, scores }
}

fn standing(standing: &TargetStanding) -> StandingView {
    StandingView {
        target: standing.target.to_string(),
        fallback: standing.is_fallback,
        weight: standing.weight,
        cost_usd: standing.cost.map(|cost| cost.to_string()),
        seen: standing.seen.as_ref().map(seen),
    }
}

fn seen(seen: &TargetSeen) -> SeenView {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    SeenView {
        availability: seen.availability.to_owned(),
        // Rounded up, so that who waits so long has waited long enough.
        back_in_ms: seen.back_in.map(|time| micros(time).div_ceil(1_000)),
        in_flight: seen.in_flight,
        latency_us: seen.latency.map(micros),
        first_token_us: seen.first_token.map(micros),
        headroom_millionths: seen.headroom,
    }
}
