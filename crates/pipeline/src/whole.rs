//! A whole answer: read, checked, metered, and passed on or translated.

use bytes::Bytes;
use http::{HeaderMap, Response};
use weighbridge_routing::FailureCause;
use weighbridge_stream::Facts;
use weighbridge_translate::{AnswerFacts, AnswerTarget, ApiError, TranslateError, answer_facts, response};
use weighbridge_units::{AttemptOutcome, ErrorClass, Loss};

use crate::answer::AnswerBody;
use crate::attempt::{Attempted, Unread, collect, error, failed, timed_out, told, upstream_error};
use crate::compiled::{Compiled, Deployment};
use crate::hedge::{Content, Ready};
use crate::in_flight::{Ending, InFlight};
use crate::scrub::scrub;
use crate::upstream::{StreamFailure, Upstream};
use crate::{conversation, respond};

/// Reads an answer to its end and turns it into the client's. `streamed` tells that the client asked
/// for a stream, and that what the provider sends is none: it can only be an error.
pub(crate) async fn answer(
    mut in_flight: InFlight,
    deployment: &Deployment,
    settings: &Compiled,
    headers: &HeaderMap,
    mut upstream: Upstream,
    streamed: bool,
) -> Attempted {
    let bytes = match collect(&mut upstream, settings.limits.answer_bytes).await {
        Ok(bytes) => bytes,
        Err((why, length)) => return unread(in_flight, &why, length),
    };
    let Ok(text) = std::str::from_utf8(&bytes) else { return unreadable(in_flight, &bytes) };
    let attempt = in_flight.attempt();
    let Some(exchange) = in_flight.exchange() else { return Attempted::Answered(respond::internal()) };

    // One pass over the text checks it and reads its facts; what passes through is not written again.
    let client = exchange.client;
    let provider = deployment.address(client).protocol;
    let read = if let Some(vectors) = &exchange.vectors {
        let estimate = weighbridge_tokens::estimate(exchange.body.bytes().len() as u64);
        vectors.answer(deployment, headers, &bytes, text, estimate)
    } else if provider == client {
        let previous = exchange.conversation.as_ref().and_then(|said| said.previous());
        answer_facts(provider, text).map(|facts| {
            let answer = match previous {
                Some(previous) => conversation::going_on(bytes.clone(), previous),
                None => bytes.clone(),
            };
            (answer, whole_facts(facts, Vec::new(), bytes.len()))
        })
    } else {
        let kept = exchange.conversation.as_ref().and_then(|said| Some(said.kept_as(attempt?)));
        let target = AnswerTarget {
            kept: kept.as_ref(),
            legacy_functions: exchange.legacy_functions(),
            ..AnswerTarget::new(exchange.id().as_str(), exchange.arrived().as_secs()).model(&deployment.model)
        };
        response(provider, client, text, &target).map(|translated| {
            let (answer, facts) = translated.value;
            (answer.into(), whole_facts(facts, translated.losses, bytes.len()))
        })
    };
    match read {
        Ok(_) if streamed => garbage(in_flight),
        Ok((answer, facts)) if in_flight.races() => {
            Attempted::Ready(Ready::new(in_flight, Content::Whole(answer, Box::new(facts))))
        }
        Ok((answer, facts)) => Attempted::Answered(hand_over(in_flight, answer, &facts)),
        Err(TranslateError::InBandError(said)) => in_band(in_flight, deployment, said),
        Err(TranslateError::Scan(_)) => unreadable(in_flight, &bytes),
        Err(error) => {
            tracing::debug!(%error, "an answer is not of its provider's protocol");
            garbage(in_flight)
        }
    }
}

/// Hands an answer to the client.
pub(crate) fn hand_over(in_flight: InFlight, answer: Bytes, facts: &Facts) -> Response<AnswerBody> {
    let Some(mut exchange) = in_flight.succeed(facts) else { return respond::internal() };
    conversation::keep(&mut exchange, &answer);
    respond::whole(exchange, answer)
}

/// What a whole answer tells, in the words of a streamed one.
fn whole_facts(facts: AnswerFacts, losses: Vec<Loss>, bytes: usize) -> Facts {
    let AnswerFacts { id, model, usage, finish, service_tier, .. } = facts;
    Facts { id, model, usage, finish, service_tier, losses, output_bytes: bytes as u64, ..Facts::default() }
}

/// An error under status 200, before any output.
pub(crate) fn in_band(in_flight: InFlight, deployment: &Deployment, mut said: ApiError) -> Attempted {
    scrub(&mut said.message, deployment, in_flight.own_key());
    let class = said.class;
    let ending = Ending::failed(AttemptOutcome::FailedBeforeOutput, class);
    let refusal = told(said, &in_flight, deployment, None);
    failed(in_flight, &ending, &Facts::default(), FailureCause::InBand { class }, refusal)
}

/// HTML, nothing, or JSON that is no answer.
fn garbage(in_flight: InFlight) -> Attempted {
    let ending = Ending::failed(AttemptOutcome::FailedBeforeOutput, ErrorClass::Server);
    let refusal =
        upstream_error(error(ErrorClass::Server, 502, "The provider's answer cannot be understood."));
    failed(in_flight, &ending, &Facts::default(), FailureCause::Garbage, refusal)
}

/// What is no JSON: an answer that begins as one was made, and will be billed; a page of a proxy was not.
fn unreadable(in_flight: InFlight, bytes: &[u8]) -> Attempted {
    if bytes.trim_ascii_start().starts_with(b"{") { cut(in_flight, bytes.len()) } else { garbage(in_flight) }
}

/// The answer broke off.
fn cut(in_flight: InFlight, length: usize) -> Attempted {
    let facts = Facts { output_bytes: length as u64, ..Facts::default() };
    let ending = Ending::failed(AttemptOutcome::FailedMidStream, ErrorClass::Server);
    let refusal = upstream_error(StreamFailure::Broken.to_api_error());
    failed(in_flight, &ending, &facts, FailureCause::Broken, refusal)
}

fn unread(in_flight: InFlight, why: &Unread, length: usize) -> Attempted {
    let facts = Facts { output_bytes: length as u64, ..Facts::default() };
    match why {
        Unread::Failed(StreamFailure::TimedOut(limit)) => timed_out(in_flight, *limit, &facts),
        Unread::Failed(StreamFailure::Broken) => cut(in_flight, length),
        Unread::TooLarge => {
            let ending = Ending::failed(AttemptOutcome::FailedMidStream, ErrorClass::Server);
            let refusal =
                upstream_error(error(ErrorClass::Server, 502, "The provider's answer is too large."));
            failed(in_flight, &ending, &facts, FailureCause::Garbage, refusal)
        }
    }
}
