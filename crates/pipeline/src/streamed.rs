//! A streamed answer up to its commit point: until the first content has come, everything is held
//! back, and a failure means the next candidate.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Response};
use weighbridge_routing::FailureCause;
use weighbridge_stream::{Framing, Relay, RelayOptions, RelayState};
use weighbridge_units::{AttemptOutcome, ErrorClass};

use crate::answer::{AnswerBody, StreamBody};
use crate::attempt::{Attempted, error, failed, timed_out, told, upstream_error};
use crate::compiled::{Compiled, Deployment};
use crate::exchange::Exchange;
use crate::hedge::{Content, Ready};
use crate::in_flight::{Ending, InFlight};
use crate::respond;
use crate::scrub::scrub;
use crate::upstream::{Piece, StreamFailure, Upstream};

/// Reads a stream to its commit point and hands it to the client.
pub(crate) async fn answer(
    mut in_flight: InFlight,
    deployment: &Deployment,
    settings: &Compiled,
    mut upstream: Upstream,
    framing: Framing,
) -> Attempted {
    let attempt = in_flight.attempt();
    let Some(exchange) = in_flight.exchange() else { return Attempted::Answered(respond::internal()) };
    let mut relay = relay_for(exchange, deployment, framing);
    if let (Some(said), Some(attempt)) = (&exchange.conversation, attempt) {
        relay.keep_as(said.kept_as(attempt));
        if let Some(previous) = said.previous() {
            relay.goes_on_from(previous.to_string());
        }
    }
    let mut held: VecDeque<Bytes> = VecDeque::new();
    let mut held_bytes = 0;
    loop {
        match relay.state() {
            RelayState::Failed => return broken(in_flight, deployment, &relay),
            _ if relay.committed() => break,
            RelayState::Running => {}
            // An end without any content is an answer too.
            RelayState::Ended => break,
        }
        match upstream.piece().await {
            Piece::Data(chunk) => {
                held_bytes += chunk.len();
                relay.push(chunk, &mut held);
                if held_bytes > settings.limits.hold_bytes && !relay.committed() {
                    return early(in_flight, &relay, StreamFailure::Broken);
                }
            }
            Piece::Silence => {}
            Piece::End => return early(in_flight, &relay, StreamFailure::Broken),
            Piece::Failed(failure) => return early(in_flight, &relay, failure),
        }
    }
    let held = Held { upstream, relay, held };
    if in_flight.races() {
        return Attempted::Ready(Ready::new(in_flight, Content::Stream(Box::new(held))));
    }
    Attempted::Answered(held.hand_over(in_flight, settings))
}

/// A stream that has come to its commit point.
pub(crate) struct Held {
    upstream: Upstream,
    relay: Relay,
    held: VecDeque<Bytes>,
}

impl Held {
    /// Hands it to the client.
    pub(crate) fn hand_over(self, mut in_flight: InFlight, settings: &Compiled) -> Response<AnswerBody> {
        let Self { mut upstream, relay, held } = self;
        if let Some(exchange) = in_flight.exchange().filter(|_| !relay.is_resumable()) {
            exchange.resumption = None;
        }
        in_flight.committed(upstream.last_piece(), relay.facts().output_bytes);
        upstream.committed(settings.keep_alive);
        let Some(exchange) = in_flight.exchange() else { return respond::internal() };
        let headers: HeaderMap = respond::stream_head(exchange);
        let body = StreamBody::new(upstream, relay, held, in_flight, settings.keep_alive);
        let mut response = Response::new(AnswerBody::stream(body));
        *response.headers_mut() = headers;
        response
    }
}

fn relay_for(exchange: &Exchange, deployment: &Deployment, framing: Framing) -> Relay {
    let wants_usage = exchange.envelope.wants_usage;
    let options = RelayOptions {
        provider: deployment.address(exchange.client).protocol,
        framing,
        client: exchange.client,
        hide_usage: !wants_usage,
        show_usage: wants_usage,
        form: exchange.form,
        id_fallback: exchange.id().as_str(),
        model_fallback: &deployment.model,
        created: exchange.arrived().as_secs(),
        request_id: exchange.id().as_str(),
        legacy_functions: exchange.legacy_functions(),
    };
    if exchange.resumption.is_some() { Relay::resumable(&options) } else { Relay::new(&options) }
}

/// The stream said that it failed, or is not what it should be.
fn broken(in_flight: InFlight, deployment: &Deployment, relay: &Relay) -> Attempted {
    let facts = relay.facts();
    let Some(said) = relay.failure().cloned() else {
        return early(in_flight, relay, StreamFailure::Broken);
    };
    let class = said.class;
    let mut said = said;
    scrub(&mut said.message, deployment, in_flight.own_key());
    let refusal = told(said, &in_flight, deployment, None);
    // A provider that has told usage has begun to work, whether or not there was content.
    let outcome = if facts.usage.is_some() {
        AttemptOutcome::FailedMidStream
    } else {
        AttemptOutcome::FailedBeforeOutput
    };
    let ending = Ending::failed(outcome, class);
    failed(in_flight, &ending, facts, FailureCause::InBand { class }, refusal)
}

/// The stream ended or stalled before any content.
fn early(in_flight: InFlight, relay: &Relay, failure: StreamFailure) -> Attempted {
    let facts = relay.facts();
    match failure {
        StreamFailure::TimedOut(limit) => timed_out(in_flight, limit, facts),
        StreamFailure::Broken => {
            let ending = Ending::failed(AttemptOutcome::FailedMidStream, ErrorClass::Server);
            let refusal =
                upstream_error(error(ErrorClass::Server, 502, "The provider's stream held no answer."));
            failed(in_flight, &ending, facts, FailureCause::Broken, refusal)
        }
    }
}
