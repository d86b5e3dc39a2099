//! Continuing a stream that breaks off behind its commit point, with a second attempt at a target that goes on from the
//! text that the client has.
//!
//! It is one attempt more, with a reservation of its own and out of the retry budget, at a healthy target that was not
//! asked yet. Until its head has come, whatever fails leaves the stream as broken as it was.

use std::sync::Arc;

use weighbridge_catalogue::{Continues, continues};
use weighbridge_protocol::Body;
use weighbridge_protocol::json::{Kind, Raw, ScanLimits, Writer};
use weighbridge_routing::{Plan, Rejection};
use weighbridge_stream::Framing;
use weighbridge_translate::StreamForm;
use weighbridge_transport::{BoxFuture, Transport};
use weighbridge_units::{Feature, Features, Protocol};

use crate::admit::Travelling;
use crate::attempt::{Attempted, dispatch};
use crate::compiled::{Compiled, Deployment, ModelRoute};
use crate::demand::demand;
use crate::exchange::Exchange;
use crate::fit;
use crate::in_flight::InFlight;
use crate::needs::needs;
use crate::own_keys::Lent;
use crate::pipeline::PipelineError;
use crate::reserve::{Rejected, reserve};
use crate::settings::Settings;
use crate::upstream::Upstream;

/// What another attempt needs, kept with a stream that may be continued.
pub(crate) struct Resumption {
    settings: Arc<Compiled>,
    route: Arc<ModelRoute>,
    transport: Arc<dyn Transport>,
}

impl Resumption {
    /// For a request whose stream may be continued: whose answer is one text that nothing but its model shapes. Under an idempotency key the second attempt takes the claim over, as after any
    /// failure; where another instance was faster, it has no reservation, and the stream stays broken.
    pub(crate) fn of(request: &Travelling, transport: &Arc<dyn Transport>) -> Option<Arc<Self>> {
        let Travelling { exchange, settings, route } = request;
        let may_break = route.resumes && exchange.envelope.stream && exchange.vectors.is_none();
        let is_one = exchange.envelope.candidates <= 1 && exchange.form == StreamForm::Events;
        if !may_break || !is_one || is_shaped(exchange.client, &exchange.body) {
            return None;
        }
        let (settings, route) = (Arc::clone(settings), Arc::clone(route));
        Some(Arc::new(Self { settings, route, transport: Arc::clone(transport) }))
    }
}

/// The stream of a second attempt, from its first piece on.
pub(crate) struct Continuation {
    pub(crate) in_flight: InFlight,
    pub(crate) upstream: Upstream,
    pub(crate) framing: Framing,
    pub(crate) provider: Protocol,
    /// The provider repeats what it goes on from.
    pub(crate) repeats: bool,
}

/// A second attempt on its way, or the request of a stream that stays broken.
pub(crate) type Resuming = BoxFuture<'static, Result<Box<Continuation>, Option<Box<Exchange>>>>;

/// Asks another target to go on from `text`.
pub(crate) fn go_on(exchange: Box<Exchange>, resumption: Arc<Resumption>, text: String) -> Resuming {
    Box::pin(async move { continued(exchange, &resumption, &text).await })
}

async fn continued(
    mut exchange: Box<Exchange>,
    resumption: &Resumption,
    text: &str,
) -> Result<Box<Continuation>, Option<Box<Exchange>>> {
    let Resumption { settings, route, transport } = resumption;
    let tries = u32::try_from(exchange.draft.record.attempts.len()).unwrap_or(u32::MAX);
    if tries >= settings.limits.attempts || !exchange.has_time() || exchange.draft.presence.has_left() {
        return Err(Some(exchange));
    }
    let lent = Lent::of(&exchange.core().shelf.load(), &exchange.principal, route);
    let mut plan = Plan::new(Arc::clone(&route.route));
    if let Some(lent) = &lent {
        plan = plan.with_own_keys(lent.pools());
    }
    if let Some(demand) = demand(&exchange, route) {
        plan = plan.with_demand(demand);
    }
    if fit::bar(&mut plan, &exchange, route).is_some() {
        return Err(Some(exchange));
    }
    for (position, deployment) in route.deployments.iter().enumerate() {
        let serves = position < route.primaries || route.route.rules().on_error;
        if !serves || way(deployment, exchange.client).is_none() || was_asked(&exchange, deployment) {
            plan.exclude(position, Rejection::Misfit);
        }
    }
    let picked = plan.hedge(exchange.now(), exchange.core().env.random());
    let Some(pick) = picked else { return Err(Some(exchange)) };
    let Some(deployment) = route.deployments.get(pick.target().get()) else { return Err(Some(exchange)) };
    let Some(way) = way(deployment, exchange.client) else { return Err(Some(exchange)) };
    let depth = settings.limits.json_depth;
    let Some(body) = going_on(exchange.client, &exchange.body, text.trim_end(), way, depth) else {
        plan.put_back(pick, exchange.now());
        return Err(Some(exchange));
    };
    if let Some(conversation) = &mut exchange.conversation {
        // What is kept is what the client said.
        conversation.note_input(&exchange.body);
    }
    exchange.body = body;
    exchange.goes_on = true;
    let reserved = match reserve(exchange, settings, route, deployment, pick, lent.as_ref()).await {
        Ok(reserved) => reserved,
        Err(rejected) => {
            let Rejected { exchange, pick, unfit } = *rejected;
            plan.reject(pick, unfit.why, exchange.now());
            return Err(Some(exchange));
        }
    };
    let provider = deployment.address(reserved.intent.exchange.client).protocol;
    match dispatch(reserved, settings, &**transport).await {
        Attempted::GoesOn(going_on) => {
            let (mut in_flight, upstream, framing) = *going_on;
            if let Some(exchange) = in_flight.exchange() {
                exchange.forget_request();
                exchange.draft.record.resumed = true;
            }
            let repeats = way == Continues::Prefix;
            Ok(Box::new(Continuation { in_flight, upstream, framing, provider, repeats }))
        }
        Attempted::Failed(failed) => {
            let failed = *failed;
            plan.failed(failed.pick, &failed.cause, failed.exchange.now());
            Err(Some(failed.exchange))
        }
        Attempted::Answered(_) | Attempted::Ready(_) => Err(None),
    }
}

/// The models with `resume` whose streams nobody can continue: no target of theirs is known to go on from the beginning of
/// an answer, in any client's protocol, that another one has given.
///
/// # Errors
/// A [`PipelineError`] where the settings do not fit together.
pub fn never_resumed(settings: &Settings) -> Result<Vec<Arc<str>>, PipelineError> {
    let compiled = Compiled::new(settings, &[], None)?;
    let resumes = compiled.named_routes().filter(|route| route.resumes && !may_resume(route));
    let mut names: Vec<Arc<str>> = resumes.filter_map(|route| route.name.clone()).collect();
    names.sort_unstable();
    Ok(names)
}

/// Whether some target of a route goes on from what another has given.
fn may_resume(route: &ModelRoute) -> bool {
    let clients = [Protocol::OpenAiChat, Protocol::AnthropicMessages, Protocol::GeminiGenerateContent];
    let takes_part = |position: usize| route.route.weight_at(position) > 0;
    let deployments = || route.deployments.iter().enumerate().filter(|(position, _)| takes_part(*position));
    let goes_on = |position: usize, deployment: &Deployment| {
        let serves = position < route.primaries || route.route.rules().on_error;
        serves && clients.into_iter().any(|client| way(deployment, client).is_some())
    };
    deployments().count() > 1 && deployments().any(|(position, deployment)| goes_on(position, deployment))
}

/// How a target goes on for a client. The mark of a prefix is a field of Chat Completions.
fn way(deployment: &Deployment, client: Protocol) -> Option<Continues> {
    let protocol = deployment.address(client).protocol;
    let way = continues(&deployment.provider.price_as, &deployment.model, protocol)?;
    (way != Continues::Prefix || client == Protocol::OpenAiChat).then_some(way)
}

fn was_asked(exchange: &Exchange, deployment: &Deployment) -> bool {
    let mut attempts = exchange.draft.record.attempts.iter();
    attempts.any(|attempt| attempt.provider == deployment.provider.name && attempt.model == deployment.model)
}

/// Whether a request asks for thinking or for a form of the answer, with which nobody goes on from a text.
fn is_shaped(client: Protocol, body: &Body) -> bool {
    let wish = |raw: Option<Raw<'_>>| raw.is_some_and(|raw| !raw.is_null());
    let config = || body.get("generationConfig").or_else(|| body.get("generation_config"));
    let in_config = |name: &str| wish(config().and_then(|config| config.get(name)));
    let format = || body.get("text").and_then(|text| text.get("format")?.get("type")?.str().ok());
    let fields =
        ["thinking", "reasoning", "reasoning_effort", "response_format", "output_format", "output_config"];
    fields.iter().any(|name| wish(body.get(name)))
        || ["thinkingConfig", "thinking_config", "responseMimeType", "response_mime_type"]
            .iter()
            .any(|name| in_config(name))
        || (client == Protocol::OpenAiResponses && format().is_some_and(|format| format != "text"))
        || needs(client, body, Features::NONE.with(Feature::JsonSchema, true)).has(Feature::JsonSchema)
}

/// The request with what was given of its answer as its last turn; `None` where that is the assistant's already.
fn going_on(client: Protocol, body: &Body, text: &str, way: Continues, depth: usize) -> Option<Body> {
    let (list, role) = match client {
        Protocol::GeminiGenerateContent => ("contents", "model"),
        Protocol::OpenAiResponses => ("input", "assistant"),
        Protocol::OpenAiChat | Protocol::AnthropicMessages => ("messages", "assistant"),
        Protocol::BedrockConverse => return None,
    };
    let turns = body.get(list)?;
    let mut turn = Vec::new();
    let mut object = Writer::new(&mut turn).object();
    object.key("role").string(role);
    match client {
        Protocol::GeminiGenerateContent => {
            let mut parts = Vec::new();
            parts.extend_from_slice(b"[");
            Writer::new(&mut parts).object().key("text").string(text);
            parts.extend_from_slice(b"]");
            object.key("parts").raw(std::str::from_utf8(&parts).ok()?);
        }
        _ => object.key("content").string(text),
    }
    if way == Continues::Prefix {
        object.key("prefix").raw("true");
    }
    drop(object);
    let mut edits = body.edit();
    match turns.items() {
        Ok(items) => {
            if !is_others(&items.last()?, client, role) {
                return None;
            }
            turn.insert(0, b',');
            edits.insert(list, turns.text().len().checked_sub(1)?, turn);
        }
        Err(_) if client == Protocol::OpenAiResponses && turns.kind() == Kind::String => {
            let turn = String::from_utf8(turn).ok()?;
            edits.set(list, format!(r#"[{{"role":"user","content":{}}},{turn}]"#, turns.text()));
        }
        Err(_) => return None,
    }
    Body::scan(edits.rope().concat().into(), &ScanLimits { depth }).ok()
}

/// Whether a turn is not the assistant's. Items of Responses without a role are what it did, but for what its tools
/// gave back.
fn is_others(turn: &Raw<'_>, client: Protocol, assistant: &str) -> bool {
    let said = |name: &str| turn.get(name).and_then(|said| said.str().ok());
    match said("role") {
        Some(role) => role != assistant,
        None if client == Protocol::OpenAiResponses => said("type").is_some_and(|of| of.ends_with("_output")),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body::scan(text.to_owned().into(), &ScanLimits::default()).unwrap()
    }

    #[test]
    fn the_text_so_far_is_the_last_turn() {
        let gone_on = |client, text: &str, way| {
            going_on(client, &body(text), "so \"far\"", way, 64).map(|body| body.text().to_owned())
        };
        let chat = r#"{"messages":[{"role":"user","content":"x"} ],"n":1}"#;
        assert_eq!(
            gone_on(Protocol::OpenAiChat, chat, Continues::Prefix).unwrap(),
            r#"{"messages":[{"role":"user","content":"x"} ,{"role":"assistant","content":"so \"far\"","prefix":true}],"n":1}"#
        );
        assert_eq!(
            gone_on(Protocol::AnthropicMessages, chat, Continues::Prefill).unwrap(),
            r#"{"messages":[{"role":"user","content":"x"} ,{"role":"assistant","content":"so \"far\""}],"n":1}"#
        );
        assert_eq!(
            gone_on(Protocol::GeminiGenerateContent, r#"{"contents":[{"parts":[]}]}"#, Continues::Prefill)
                .unwrap(),
            r#"{"contents":[{"parts":[]},{"role":"model","parts":[{"text":"so \"far\""}]}]}"#
        );
        let prefilled = r#"{"messages":[{"role":"assistant","content":"x"}]}"#;
        assert_eq!(gone_on(Protocol::OpenAiChat, prefilled, Continues::Prefill), None);
    }

    #[test]
    fn the_text_so_far_is_the_last_item_behind_a_text_or_behind_items() {
        let gone_on = |input: &str| {
            let body = body(&format!(r#"{{"input":{input},"n":1}}"#));
            let on = going_on(Protocol::OpenAiResponses, &body, "so far", Continues::Prefill, 64)?;
            Some(on.get("input").unwrap().text().to_owned())
        };
        let so_far = r#"{"role":"assistant","content":"so far"}"#;
        assert_eq!(
            gone_on(r#""say \"x\"""#).unwrap(),
            format!(r#"[{{"role":"user","content":"say \"x\""}},{so_far}]"#)
        );
        for others in [
            r#"{"role":"user","content":"x"}"#,
            r#"{"type":"message","role":"developer","content":[]}"#,
            r#"{"type":"function_call_output","call_id":"c","output":"x"}"#,
        ] {
            assert_eq!(gone_on(&format!("[{others}]")).unwrap(), format!("[{others},{so_far}]"));
        }
        // What it did itself is already the beginning of its turn; and nothing follows nothing.
        for own in [
            r#"[{"role":"assistant","content":"x"}]"#,
            r#"[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]"#,
            r#"[{"type":"item_reference","id":"msg_1"}]"#,
            "[]",
            "null",
        ] {
            assert_eq!(gone_on(own), None, "{own}");
        }
    }

    #[test]
    fn what_shapes_an_answer_stands_in_the_way() {
        let chat = |text| is_shaped(Protocol::OpenAiChat, &body(text));
        assert!(!chat(r#"{"messages":[],"reasoning_effort":null,"tools":[{}]}"#));
        assert!(chat(r#"{"reasoning_effort":"low"}"#));
        assert!(chat(r#"{"response_format":{"type":"json_object"}}"#));
        assert!(is_shaped(Protocol::AnthropicMessages, &body(r#"{"thinking":{"type":"adaptive"}}"#)));
        let gemini = r#"{"generationConfig":{"responseMimeType":"application/json"}}"#;
        assert!(is_shaped(Protocol::GeminiGenerateContent, &body(gemini)));
        let responses = |text: &str| is_shaped(Protocol::OpenAiResponses, &body(text));
        assert!(!responses(r#"{"input":"x","text":{"format":{"type":"text"},"verbosity":"low"}}"#));
        assert!(responses(r#"{"input":"x","text":{"format":{"type":"json_object"}}}"#));
        assert!(responses(r#"{"input":"x","reasoning":{"effort":"low"}}"#));
    }
}
