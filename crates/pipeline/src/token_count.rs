//! The size of a prompt: asked of the provider where it can be, else estimated and marked as such.
//!
//! A count costs nothing anywhere, so nothing is reserved and no attempt is kept; it counts among the
//! key's requests per minute.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body::Body as HttpBody;
use weighbridge_protocol::json::Raw;
use weighbridge_protocol::{Body, envelope_at};
use weighbridge_translate::token_count::{self, Call, PromptSize, TokenCount};
use weighbridge_translate::{RequestTarget, TranslateError};
use weighbridge_transport::{Rope, Transport};
use weighbridge_units::Protocol;

use crate::admit::Reading;
use crate::answer::AnswerBody;
use crate::attempt::collect;
use crate::attempt_timer::AttemptTimer;
use crate::compiled::{Address, Deployment};
use crate::conversation::Conversation;
use crate::draft::Draft;
use crate::endpoint::Inference;
use crate::fit::unmet;
use crate::outbound::{self, bad_request, json_string};
use crate::own_keys::Lent;
use crate::receive::Authenticated;
use crate::refusal::Refusal;
use crate::respond;
use crate::steer::{Steered, steer};
use crate::upstream::Upstream;

/// Tells that nobody counted: no client's format has a word for that.
const ESTIMATED: HeaderName = HeaderName::from_static("x-gateway-token-count");

/// The most that is read of an answer which holds one number.
const ANSWER_MOST: usize = 64 * 1024;

/// Answers the question how many tokens a request has.
pub(crate) async fn answer<B>(
    caller: Authenticated,
    asked: Inference,
    body: B,
    draft: &mut Draft,
    transport: &dyn Transport,
) -> Result<Response<AnswerBody>, Refusal>
where
    B: HttpBody<Data = Bytes>,
{
    let client = asked.protocol;
    let Reading { settings, body, place: _place } = caller.read(body, draft).await?;
    let envelope =
        envelope_at(client, &body, asked.addressed).map_err(|error| Refusal::bad_field(&error, &body))?;
    let name = settings.alias(&envelope.model).map_or(&*envelope.model, |name| name);
    let route = caller.route(&settings, name, draft)?;
    // It is counted where it would be served: a count sends the prompt to somebody too.
    let Steered { route, demands, refused, .. } = steer(&caller, &settings, route, client, &body, &envelope);
    if let Some(refused) = refused {
        return Err(refused);
    }
    let mut admission = caller.admission(&route, 0, draft)?;
    if let Some(fleet) = draft.core.fleet.as_ref().filter(|_| admission.is_limited(None)) {
        let now = draft.core.env.monotonic();
        Box::pin(admission.confirm(fleet, now)).await.map_err(Refusal::Limit)?;
    }

    let conversation = match client {
        Protocol::OpenAiResponses => {
            Some(Box::pin(Conversation::read(&body, &caller.principal, &settings, draft)).await?)
        }
        _ => None,
    };
    // What was said before counts too.
    let said = |deployment: &Deployment| match &conversation {
        Some(said) => said.counted(&body, deployment, &settings).map_err(|unfit| unfit.refusal),
        None => Ok(None),
    };

    let lent = Lent::of(&draft.core.shelf.load(), &caller.principal, &route);
    let mut count = None;
    for (position, deployment) in route.deployments.iter().enumerate() {
        if unmet(&deployment.provider, &demands).is_some() {
            continue;
        }
        let Some((call, address, uri)) = way(deployment) else { continue };
        let Some(used) = Lent::first(lent.as_ref(), position) else { continue };
        let said = said(deployment)?;
        let question = question(client, call, address, deployment, said.as_ref().unwrap_or(&body))?;
        let outbound = outbound::call(
            &deployment.provider,
            &used,
            uri,
            (call.protocol() == client).then_some(&caller.head.headers),
            question,
        );
        count = ask(deployment, outbound, call, transport).await;
        break;
    }
    admission.true_up(0, draft.core.env.monotonic());
    let count = match count {
        Some(count) => count,
        None => {
            let said = route.deployments.first().map(|deployment| said(deployment)).transpose()?.flatten();
            estimate(client, said.as_ref().unwrap_or(&body))?
        }
    };
    let mut response = respond::json(200, token_count::encode(client, count));
    if count.is_estimate {
        response.headers_mut().insert(ESTIMATED, HeaderValue::from_static("estimated"));
    }
    Ok(response)
}

/// How a deployment is asked, if it can be.
fn way(deployment: &Deployment) -> Option<(Call, &Address, Uri)> {
    deployment.addresses().iter().find_map(|address| {
        let call = Call::of(address.protocol, address.dialect, &deployment.model)?;
        Some((call, address, address.beside(&call.path(&deployment.model))?))
    })
}

/// The question for a provider: the client's own with the model's name in it, or a translation.
fn question(
    client: Protocol,
    call: Call,
    address: &Address,
    deployment: &Deployment,
    body: &Body,
) -> Result<Rope, Refusal> {
    let own = matches!((client, call), (Protocol::AnthropicMessages, Call::Anthropic))
        || matches!((client, call), (Protocol::OpenAiResponses, Call::Responses));
    if own {
        let mut edits = body.edit();
        edits.set("model", json_string(&deployment.model));
        return Ok(edits.rope().into_iter().collect());
    }
    let target = RequestTarget { dialect: address.dialect, ..RequestTarget::new(&deployment.model) };
    let question = token_count::request(client, call, body.text(), &target);
    Ok(Rope::from(Bytes::from(question.map_err(|error| bad_request(&error))?.value)))
}

/// Asks a provider. `None` where it does not tell, for whatever reason: an estimate is then better than
/// a refusal.
async fn ask(
    deployment: &Deployment,
    request: Request<Rope>,
    call: Call,
    transport: &dyn Transport,
) -> Option<TokenCount> {
    let provider = &deployment.provider;
    let timeouts = provider.timeouts;
    let answer = tokio::time::timeout(timeouts.first_byte, transport.send(request, timeouts.connect)).await;
    let failed = |why: &str| {
        tracing::debug!(provider = &*provider.name, model = &*deployment.model, why, "no count of tokens");
    };
    let response = match answer {
        Ok(Ok(response)) if response.status().is_success() => response,
        Ok(Ok(response)) => {
            failed(response.status().as_str());
            return None;
        }
        Ok(Err(error)) => {
            failed(&error.message);
            return None;
        }
        Err(_) => {
            failed("it took too long");
            return None;
        }
    };
    let mut upstream = Upstream::new(response.into_body(), AttemptTimer::start(timeouts, false));
    let Ok(bytes) = collect(&mut upstream, ANSWER_MOST).await else {
        failed("its answer broke off");
        return None;
    };
    let count = token_count::answer(call, std::str::from_utf8(&bytes).ok()?);
    count.map_err(|error| failed(&error.to_string())).ok()
}

/// The best guess, from the size of what the request holds.
fn estimate(client: Protocol, body: &Body) -> Result<TokenCount, Refusal> {
    let read = |question| token_count::decode(client, question);
    let conversation = Raw::parse(body.text(), &Default::default())
        .map_err(TranslateError::from)
        .map_err(|error| bad_request(&error))
        .and_then(|question| read(question).map_err(|error| Refusal::bad_field(&error, body)))?;
    let PromptSize { text_bytes, messages, images, unseen } = PromptSize::of(&conversation);
    let tokens = weighbridge_tokens::prompt_estimate(text_bytes, messages, images.saturating_add(unseen));
    Ok(TokenCount { tokens, cached: 0, is_estimate: true })
}
