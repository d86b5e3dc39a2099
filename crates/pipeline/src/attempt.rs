//! The loop of attempts: candidate, reservation, dispatch, answer; and what follows a failure.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, header, response};
use weighbridge_protocol::bedrock_converse::header::ERROR_TYPE;
use weighbridge_records::{CandidateScore, CandidateScores, ChoiceRecord, ExcludedTarget};
use weighbridge_routing::{DeadEnd, FailureCause, Pick, Plan, Rejection, Scored, Sent, TimeLimit, Verdict};
use weighbridge_stream::{Facts, Framing};
use weighbridge_translate::bedrock_converse::named_error;
use weighbridge_translate::{ApiError, decode_error, error_protocol, retry_delay};
use weighbridge_transport::{Consumed, Phase, Transport, TransportError};
use weighbridge_units::failpoint::reach;
use weighbridge_units::{AttemptOutcome, ErrorClass, Failpoint, Protocol};

use crate::admit::Travelling;
use crate::answer::AnswerBody;
use crate::attempt_timer::AttemptTimer;
use crate::compiled::{Compiled, Deployment, ModelRoute};
use crate::demand::demand;
use crate::exchange::Exchange;
use crate::hedge::{Ready, Track, race};
use crate::idempotency::{Elsewhere, elsewhere};
use crate::in_flight::{Ending, InFlight};
use crate::issued::show;
use crate::outbound;
use crate::own_keys::Lent;
use crate::refusal::Refusal;
use crate::reserve::{Rejected, Reserved, reserve};
use crate::scrub::scrub;
use crate::upstream::{Piece, StreamFailure, Upstream};
use crate::vectors::Vectors;
use crate::{fit, respond, streamed, whole};

/// The most of an error body that is read.
const ERROR_BODY_MOST: usize = 64 * 1024;

/// What one attempt led to.
pub(crate) enum Attempted {
    /// The client's answer.
    Answered(Response<AnswerBody>),
    /// Content for the client, of an attempt that has others beside it.
    Ready(Box<Ready>),
    /// A stream that continues another: its first piece is still to come.
    GoesOn(Box<(InFlight, Upstream, Framing)>),
    /// A failure before the commit point.
    Failed(Box<Failed>),
}

/// A failure before the commit point: the request, and what is known of the failure.
pub(crate) struct Failed {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) pick: Pick,
    pub(crate) cause: FailureCause,
    /// What the client is told if nothing better comes.
    pub(crate) refusal: Refusal,
    /// The provider refused a credential that another one is at hand for: the same target is worth another try.
    pub(crate) renewed: bool,
}

/// Serves an admitted request: the first candidate that answers, or the last failure.
///
/// A client that has left while an attempt was read on gets no other.
pub(crate) async fn run(request: Travelling, transport: &dyn Transport) -> Response<AnswerBody> {
    let Travelling { mut exchange, settings, route } = request;
    let lent = Lent::of(&exchange.core().shelf.load(), &exchange.principal, &route);
    let mut plan = Plan::new(Arc::clone(&route.route));
    if let Some(lent) = &lent {
        plan = plan.with_own_keys(lent.pools());
    }
    if let Some(demand) = demand(&exchange, &route) {
        plan = plan.with_demand(demand);
    }
    if let Some(position) = exchange.conversation.as_ref().and_then(|said| said.home(&route)) {
        plan.prefer(position);
    }
    let mut refusal = fit::bar(&mut plan, &exchange, &route);
    let mut repeated = None;
    let mut waits_since = None;
    let mut may_renew = true;
    loop {
        let pick = match repeated.take() {
            Some(pick) => pick,
            None if plan.tries() >= settings.limits.attempts => break,
            None if plan.tries() > 0 && !exchange.has_time() => break,
            None => match next(&mut plan, &exchange, settings.limits.retry_wait).await {
                Some(pick) => pick,
                None => break,
            },
        };
        let Some(deployment) = route.deployments.get(pick.target().get()) else { break };
        keep_decision(&mut exchange, &plan, &route);
        let reserved = match reserve(exchange, &settings, &route, deployment, pick, lent.as_ref()).await {
            Ok(reserved) => reserved,
            Err(rejected) => {
                let Rejected { exchange: request, pick, mut unfit } = *rejected;
                exchange = request;
                if let Refusal::ClaimHeld { attempt } = unfit.refusal {
                    let since = *waits_since.get_or_insert(exchange.now());
                    match Box::pin(elsewhere(&exchange, attempt, since)).await {
                        Elsewhere::Again => {
                            repeated = Some(pick);
                            continue;
                        }
                        Elsewhere::Replayed(replay) => return respond::replayed_to(exchange, replay),
                        Elsewhere::Refused(why) => unfit.refusal = why,
                    }
                }
                // A budget never triggers failover; where one has no room for a fallback, the fallback is
                // skipped and the failure before it counts (rule R9).
                let ends = unfit.ends || (unfit.why == Rejection::Budget && plan.tries() <= 1);
                plan.reject(pick, unfit.why, exchange.now());
                if ends {
                    refusal = Some(unfit.refusal);
                    break;
                }
                refusal.get_or_insert(unfit.refusal);
                continue;
            }
        };
        let attempted = match &route.hedging {
            Some(hedging) if reserved.intent.exchange.may_be_set_aside() => {
                let track = Track { settings: &settings, route: &route, lent: lent.as_ref(), transport };
                Box::pin(race(reserved, &mut plan, hedging, &track)).await
            }
            _ => dispatch(reserved, &settings, transport).await,
        };
        match attempted {
            Attempted::Answered(response) => return response,
            // Only who races, or continues a stream, stops there.
            Attempted::Ready(_) | Attempted::GoesOn(_) => return respond::internal(),
            Attempted::Failed(failed) => {
                let Failed { exchange: request, pick, cause, refusal: reason, renewed } = *failed;
                exchange = request;
                let said = exchange.conversation.as_mut();
                let is_there = !exchange.draft.presence.has_left();
                if is_there && said.is_some_and(|said| said.must_be_repeated(deployment, &reason)) {
                    repeated = Some(pick);
                    continue;
                }
                if is_there && renewed && std::mem::take(&mut may_renew) {
                    repeated = Some(pick);
                    continue;
                }
                refusal = Some(reason);
                let verdict = plan.failed(pick, &cause, exchange.now());
                if verdict == Verdict::Stop || exchange.draft.presence.has_left() {
                    break;
                }
            }
        }
    }
    let refusal = last_word(refusal, plan.dead_end(exchange.now()));
    keep_decision(&mut exchange, &plan, &route);
    respond::refused(exchange, &refusal)
}

/// The next target. Where nobody is left but who asked to be left alone for a moment, that is waited for, once.
async fn next(plan: &mut Plan, exchange: &Exchange, most: Duration) -> Option<Pick> {
    let random = || exchange.core().env.random();
    if let Some(pick) = plan.next(exchange.now(), random()) {
        return Some(pick);
    }
    let most = most.min(exchange.deadline.map_or(Duration::MAX, |deadline| deadline.since(exchange.now())));
    let wait = plan.wait(most, exchange.now(), random())?;
    // On the heap, so that requests carry no room for it.
    Box::pin(tokio::time::sleep(wait)).await;
    if exchange.has_time() { plan.next(exchange.now(), random()) } else { None }
}

/// What the client is told in the end: the last failure; or, where every target had asked to be left
/// alone, for how long.
pub(crate) fn last_word(refusal: Option<Refusal>, dead_end: DeadEnd) -> Refusal {
    match (refusal, dead_end) {
        (Some(Refusal::Upstream { error, retry_after: None }), DeadEnd::LeftAlone { retry_after, .. }) => {
            Refusal::Upstream { error, retry_after }
        }
        (Some(refusal), _) => refusal,
        (None, DeadEnd::LeftAlone { class, retry_after }) => {
            let (status, message) = match class {
                ErrorClass::RateLimit => (429, "The provider's rate limit is reached."),
                _ => (503, "The provider asked to be left alone for a while."),
            };
            Refusal::Upstream { error: error(class, status, message), retry_after }
        }
        (None, _) => {
            let message = "No provider is available for this model.";
            Refusal::Upstream { error: error(ErrorClass::Overloaded, 503, message), retry_after: None }
        }
    }
}

/// Notes how the request was routed.
pub(crate) fn keep_decision(exchange: &mut Exchange, plan: &Plan, route: &ModelRoute) {
    let decision = plan.decision();
    let record = &mut exchange.draft.record;
    if let Some(choice) = decision.choice.as_ref().filter(|_| record.choice.is_none()) {
        let score =
            |one: &Scored| CandidateScore { position: one.target.get(), score: one.score, by: one.by };
        let scores = choice.scores.iter().map(score).collect();
        let scores = CandidateScores { names: Arc::clone(route.route.names()), scores };
        record.choice =
            Some(Box::new(ChoiceRecord { seed: choice.seed, candidates: choice.candidates, scores }));
    }
    record.strategy = decision.strategy;
    record.excluded = decision
        .excluded
        .iter()
        .filter_map(|(index, why)| {
            let target = Arc::clone(route.route.target(*index)?.name());
            Some(ExcludedTarget { target, reason: why.as_str() })
        })
        .collect();
}

/// Sends one attempt and waits until it answers, up to the commit point, or fails.
pub(crate) async fn dispatch(
    reserved: Reserved,
    settings: &Compiled,
    transport: &dyn Transport,
) -> Attempted {
    let Reserved { intent, body } = reserved;
    reach(Failpoint::Reserved);
    let deployment = Arc::clone(&intent.deployment);
    let timeouts = intent.exchange.within(deployment.provider.timeouts);
    let provider = spoken(&intent.exchange, &deployment);
    let mut request =
        outbound::request(&intent.exchange, &deployment, &intent.used, intent.reservation.attempt(), body);
    let streamed = intent.exchange.envelope.stream;
    let mut in_flight = intent.dispatch();
    let shown = match show(&mut request, &mut in_flight).await {
        Ok(shown) => shown,
        Err(failure) => return not_sent(in_flight, &deployment, &failure),
    };
    let mut timer = AttemptTimer::start(timeouts, streamed);
    let mut sending = transport.send(request, timeouts.connect);
    let head = std::future::poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Ok(result)),
        Poll::Pending => {
            reach(Failpoint::Sending);
            timer.poll_expired(cx).map(Err)
        }
    })
    .await;
    drop(sending);
    let response = match head {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => return not_sent(in_flight, &deployment, &failure),
        Err(limit) => return timed_out(in_flight, limit, &Facts::default()),
    };
    let (head, body) = response.into_parts();
    in_flight.head_came(head.status.as_u16());
    in_flight.told_limits(&head.headers);
    reach(Failpoint::HeadCame);
    timer.piece_came();
    let upstream = Upstream::new(body, timer);
    if !head.status.is_success() {
        let now = in_flight.wall();
        let mut attempted = refused(in_flight, &deployment, provider, &head, upstream).await;
        if let (Attempted::Failed(failed), Some(shown)) = (&mut attempted, shown) {
            failed.renewed = shown.is_replaced(&failed.cause, now);
        }
        return attempted;
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let goes_on = in_flight.exchange().is_some_and(|exchange| std::mem::take(&mut exchange.goes_on));
    match Framing::of(content_type, provider) {
        Some(framing) if goes_on => Attempted::GoesOn(Box::new((in_flight, upstream, framing))),
        None if goes_on => {
            let refusal =
                upstream_error(error(ErrorClass::Server, 502, "The provider's answer is no stream."));
            let ending = Ending::failed(AttemptOutcome::FailedBeforeOutput, ErrorClass::Server);
            failed(in_flight, &ending, &Facts::default(), FailureCause::Broken, refusal)
        }
        Some(framing) if streamed => {
            streamed::answer(in_flight, &deployment, settings, upstream, framing).await
        }
        _ => whole::answer(in_flight, &deployment, settings, &head.headers, upstream, streamed).await,
    }
}

/// The protocol that a provider's answer is in, or its errors.
fn spoken(exchange: &Exchange, deployment: &Deployment) -> Protocol {
    match exchange.vectors.as_ref().and_then(|_| Vectors::way(deployment)) {
        Some(way) => way.format.family(),
        None => deployment.address(exchange.client).protocol,
    }
}

/// The connection could not be made, or broke before the head of an answer.
fn not_sent(in_flight: InFlight, deployment: &Deployment, failure: &TransportError) -> Attempted {
    let sent = match failure.consumed {
        Consumed::No => Sent::No,
        Consumed::Maybe => Sent::Maybe,
    };
    tracing::debug!(%failure, "an attempt did not reach an answer");
    let message = match failure.phase {
        Phase::Prepare | Phase::Connect => "The provider cannot be reached.",
        _ => "The provider closed the connection without an answer.",
    };
    let ending = match sent {
        Sent::No => Ending::refused(ErrorClass::Server),
        Sent::Maybe => Ending::failed(AttemptOutcome::FailedBeforeOutput, ErrorClass::Server),
    };
    if failure.phase == Phase::Credential {
        let refusal = no_credential(&deployment.provider.name);
        return failed(in_flight, &ending, &Facts::default(), FailureCause::NoCredential, refusal);
    }
    let refusal = upstream_error(error(ErrorClass::Server, 502, message));
    failed(in_flight, &ending, &Facts::default(), FailureCause::Transport { sent }, refusal)
}

/// The refusal where nobody has given a credential for a provider.
pub(crate) fn no_credential(provider: &str) -> Refusal {
    let message = format!(
        "The gateway has no valid credential for the provider `{provider}`; the operator has to look at it."
    );
    upstream_error(error(ErrorClass::Server, 502, &message))
}

/// A time limit of the attempt has passed.
pub(crate) fn timed_out(in_flight: InFlight, limit: TimeLimit, facts: &Facts) -> Attempted {
    let ending = Ending::failed(AttemptOutcome::TimedOut, ErrorClass::Timeout);
    let refusal = upstream_error(StreamFailure::TimedOut(limit).to_api_error());
    failed(in_flight, &ending, facts, FailureCause::TimedOut(limit), refusal)
}

/// Ends an attempt before its commit point.
pub(crate) fn failed(
    in_flight: InFlight,
    ending: &Ending,
    facts: &Facts,
    cause: FailureCause,
    refusal: Refusal,
) -> Attempted {
    match in_flight.end(ending, facts) {
        Some((exchange, pick)) => {
            Attempted::Failed(Box::new(Failed { exchange, pick, cause, refusal, renewed: false }))
        }
        None => Attempted::Answered(respond::internal()),
    }
}

/// The provider answered with an error status.
async fn refused(
    mut in_flight: InFlight,
    deployment: &Deployment,
    provider: Protocol,
    head: &response::Parts,
    mut upstream: Upstream,
) -> Attempted {
    let body = error_body(&mut upstream).await;
    let dialect = in_flight.exchange().map(|exchange| deployment.address(exchange.client).dialect);
    let provider = error_protocol(provider, dialect.unwrap_or_default(), &body);
    let retry_after = retry_after(&head.headers).or_else(|| retry_delay(provider, &body));
    let mut said = said_by(provider, head, &body);
    scrub(&mut said.message, deployment, in_flight.own_key());
    let class = said.class;
    let ending = Ending::refused(class);
    let cause = FailureCause::Status { class, retry_after };
    let refusal = told(said, &in_flight, deployment, retry_after);
    failed(in_flight, &ending, &Facts::default(), cause, refusal)
}

/// The body of an error, as far as it is looked at.
pub(crate) async fn error_body(upstream: &mut Upstream) -> BytesMut {
    let mut body = BytesMut::new();
    while body.len() < ERROR_BODY_MOST {
        match upstream.piece().await {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::Silence => {}
            Piece::End | Piece::Failed(_) => break,
        }
    }
    body.truncate(ERROR_BODY_MOST);
    body
}

/// What an error of a provider says.
pub(crate) fn said_by(provider: Protocol, head: &response::Parts, body: &[u8]) -> ApiError {
    let status = head.status.as_u16();
    let name = head.headers.get(ERROR_TYPE).and_then(|name| name.to_str().ok());
    match name {
        // AWS says in a header what went wrong, and in the body at most a sentence about it.
        Some(name) if provider == Protocol::BedrockConverse => {
            named_error(name, status, std::str::from_utf8(body).unwrap_or_default())
        }
        _ => decode_error(provider, status, body),
    }
}

/// What the client is told of a provider's error: where the provider refused a key of the client's own tenant, which
/// one that was.
pub(crate) fn told(
    said: ApiError,
    in_flight: &InFlight,
    deployment: &Deployment,
    retry_after: Option<Duration>,
) -> Refusal {
    let own = in_flight.own_key().and_then(|own| own.refused(&deployment.provider, said.class, said.status));
    own.unwrap_or_else(|| Refusal::Upstream { error: for_client(said), retry_after })
}

/// A provider's error as the client may see it: what concerns our own account there is not the
/// client's business, and must not look as if the client's key were wrong.
pub(crate) fn for_client(said: ApiError) -> ApiError {
    match said.class {
        ErrorClass::Authentication | ErrorClass::Permission | ErrorClass::Billing => error(
            ErrorClass::Server,
            502,
            "The provider refused the gateway's credential; the operator has to look at it.",
        ),
        ErrorClass::Server => ApiError { status: 502, ..said },
        ErrorClass::Overloaded => ApiError { status: 503, ..said },
        ErrorClass::Timeout => ApiError { status: 504, ..said },
        _ => said,
    }
}

/// An error that the gateway words itself.
pub(crate) fn error(class: ErrorClass, status: u16, message: &str) -> ApiError {
    ApiError { class, status, message: message.to_owned(), code: None, param: None }
}

pub(crate) fn upstream_error(error: ApiError) -> Refusal {
    Refusal::Upstream { error, retry_after: None }
}

/// How long the provider asks to be left alone. Milliseconds are OpenAI's and Azure's; dates are not
/// read, since no provider of these protocols sends them.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    number("retry-after-ms")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
}

/// Why a whole body could not be read.
pub(crate) enum Unread {
    /// It is larger than the limit.
    TooLarge,
    /// The connection broke, or time ran out.
    Failed(StreamFailure),
}

/// Reads a whole answer, bounded. One piece is not copied.
pub(crate) async fn collect(upstream: &mut Upstream, most: usize) -> Result<Bytes, (Unread, usize)> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let length = first.len() + rest.len();
        match upstream.piece().await {
            Piece::Data(data) if length + data.len() > most => return Err((Unread::TooLarge, length)),
            Piece::Data(data) if length == 0 => first = data,
            Piece::Data(data) => {
                if rest.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
            Piece::Silence => {}
            Piece::End => return Ok(if rest.is_empty() { first } else { rest.freeze() }),
            Piece::Failed(failure) => return Err((Unread::Failed(failure), length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_units() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert("retry-after", "3".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(3)));
        headers.insert("retry-after-ms", "250".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_millis(250)));
        headers.insert("retry-after-ms", "soon".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(3)));
    }

    #[test]
    fn our_own_credential_is_not_the_clients_business() {
        for class in [ErrorClass::Authentication, ErrorClass::Permission, ErrorClass::Billing] {
            let shown = for_client(error(class, 401, "Incorrect API key provided: sk-1234"));
            assert_eq!((shown.status, shown.class), (502, ErrorClass::Server));
            assert!(!shown.message.contains("sk-"));
        }
    }
}
