//! Rendering: heads of answers, refusals, and the gateway's own headers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use weighbridge_access::{LossPolicy, Standing};
use weighbridge_cache::KeptReplay;
use weighbridge_translate::{StreamForm, encode_error};
use weighbridge_units::{Loss, Monotonic, Protocol, RequestId};

use crate::answer::AnswerBody;
use crate::draft::Draft;
use crate::exchange::Exchange;
use crate::idempotency::KEPT_HEADERS;
use crate::receive::REQUEST_ID;
use crate::refusal::Refusal;
use crate::tape::Head;

const PROVIDER: HeaderName = HeaderName::from_static("x-gateway-provider");
const MODEL: HeaderName = HeaderName::from_static("x-gateway-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-gateway-attempts");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-gateway-cost-usd");
pub(crate) const RESUMED: HeaderName = HeaderName::from_static("x-gateway-resumed");
const LOSS: HeaderName = HeaderName::from_static("x-gateway-loss");
const CACHE: HeaderName = HeaderName::from_static("x-gateway-cache");
const REPLAY_OF: HeaderName = HeaderName::from_static("x-gateway-replay-of");
const OVERHEAD: HeaderName = HeaderName::from_static("x-gateway-overhead-us");
/// Limit, remaining, reset of requests and of tokens, as OpenAI names them.
const REQUEST_STANDING: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKEN_STANDING: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const AT_ONCE: HeaderValue = HeaderValue::from_static("0ms");
const ONE: HeaderValue = HeaderValue::from_static("1");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Room for all headers of an answer, so that the map is not rebuilt while it is filled.
const HEADERS: usize = 24;

/// The longest list of losses that a header carries; beyond it, their number.
const LOSS_LENGTH: usize = 1024;

/// A refusal in the client's protocol.
pub(crate) fn refusal(client: Protocol, id: &RequestId, refusal: &Refusal) -> Response<AnswerBody> {
    let (status, body) = encode_error(client, &refusal.to_api_error(), id.as_str());
    // Where waiting does not help the status says so, whatever a protocol's providers would answer.
    let status = match refusal {
        Refusal::Native(why) => why.status(),
        _ if refusal.asks_for_payment() => 402,
        _ => status,
    };
    let mut response = json(status, body);
    refusal.write_headers(response.headers_mut());
    write_id(response.headers_mut(), id);
    response
}

/// A refusal of an admitted request, with the trace of its attempts.
pub(crate) fn refused(mut exchange: Box<Exchange>, why: &Refusal) -> Response<AnswerBody> {
    let mut response = refusal(exchange.client, exchange.id(), why);
    exchange.draft.record.refused = Some(why.kind());
    let now = exchange.draft.answered(response.status().as_u16());
    write_trace(response.headers_mut(), &exchange, 0, now);
    response
}

/// A whole answer.
pub(crate) fn whole(mut exchange: Box<Exchange>, body: Bytes) -> Response<AnswerBody> {
    let mut response = json(200, body);
    let now = exchange.draft.answered(200);
    write_trace(response.headers_mut(), &exchange, 0, now);
    write_text(response.headers_mut(), COST, exchange.charged().to_string());
    response
}

/// The headers of an answer that whoever asks for the same under its idempotency key gets too.
pub(crate) fn kept_headers(headers: &HeaderMap) -> HeaderMap {
    let kept = KEPT_HEADERS.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
    kept.collect()
}

/// What an idempotency key was answered with, once more: no attempt, no cost (rule A3).
pub(crate) fn replayed(replay: KeptReplay, draft: &mut Draft) -> Response<AnswerBody> {
    let headers = replay.headers.into_iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::from_maybe_shared(value).ok()?))
    });
    let status = StatusCode::from_u16(replay.status).unwrap_or(StatusCode::OK);
    let first = RequestId::new(&replay.request).ok();
    of_another(first, status, headers.collect(), AnswerBody::whole(replay.body), draft)
}

/// As [`replayed`], where that was found out on the way to a provider.
pub(crate) fn replayed_to(mut exchange: Box<Exchange>, replay: KeptReplay) -> Response<AnswerBody> {
    let mut response = replayed(replay, &mut exchange.draft);
    exchange.draft.answered(response.status().as_u16());
    write_id(response.headers_mut(), exchange.id());
    response
}

/// The answer of a request that is being carried out, to somebody who asked for the same.
pub(crate) fn followed(head: Head, body: AnswerBody, draft: &mut Draft) -> Response<AnswerBody> {
    of_another(Some(head.request), head.status, head.headers, body, draft)
}

fn of_another(
    first: Option<RequestId>,
    status: StatusCode,
    headers: HeaderMap,
    body: AnswerBody,
    draft: &mut Draft,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(CACHE, HeaderValue::from_static("idempotent"));
    headers.insert(ATTEMPTS, HeaderValue::from_static("0"));
    headers.insert(COST, HeaderValue::from_static("0"));
    if let Some(first) = &first {
        write_text(headers, REPLAY_OF, first.as_str().to_owned());
    }
    draft.record.replay_of = first;
    response
}

/// The head of a stream. Its cost is not known yet and comes as a trailer.
pub(crate) fn stream_head(exchange: &mut Exchange) -> HeaderMap {
    let now = exchange.draft.answered(200);
    let mut headers = HeaderMap::with_capacity(HEADERS);
    let content_type = match exchange.form {
        StreamForm::JsonArray if exchange.client == Protocol::GeminiGenerateContent => JSON,
        _ => EVENT_STREAM,
    };
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if exchange.wants_trailers {
        let may_resume = exchange.resumption.is_some();
        let names = if may_resume { "x-gateway-cost-usd, x-gateway-resumed" } else { "x-gateway-cost-usd" };
        headers.insert(header::TRAILER, HeaderValue::from_static(names));
    }
    write_trace(&mut headers, exchange, 1, now);
    headers
}

/// Any JSON document.
pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(body));
    response.headers_mut().reserve(HEADERS);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// A stream that is whole already.
pub(crate) fn events(body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut response = json(200, body);
    response.headers_mut().insert(header::CONTENT_TYPE, EVENT_STREAM);
    response
}

/// The id that the client finds its request by.
pub(crate) fn write_id(headers: &mut HeaderMap, id: &RequestId) {
    write_text(headers, REQUEST_ID, id.as_str().to_owned());
}

/// Where an answer comes from.
pub(crate) fn write_provider(headers: &mut HeaderMap, name: Option<HeaderValue>) {
    headers.extend(name.map(|name| (PROVIDER, name)));
}

/// An answer where something of our own broke.
pub(crate) fn internal() -> Response<AnswerBody> {
    json(
        500,
        &br#"{"error":{"message":"The gateway failed.","type":"server_error","param":null,"code":null}}"#[..],
    )
}

/// Where the request went, what was lost on the way, what it took, what is left of the limits.
/// `in_flight` counts attempts that are not on the record yet.
fn write_trace(headers: &mut HeaderMap, exchange: &Exchange, in_flight: usize, now: Monotonic) {
    write_id(headers, exchange.id());
    let record = &exchange.draft.record;
    if let Some(deployment) = &exchange.deployment {
        headers.extend(deployment.provider.shown.clone().map(|name| (PROVIDER, name)));
        headers.extend(deployment.shown.clone().map(|model| (MODEL, model)));
    }
    match record.attempts.len() + in_flight {
        1 => _ = headers.insert(ATTEMPTS, ONE),
        attempts => write_text(headers, ATTEMPTS, attempts.to_string()),
    }
    write_text(headers, OVERHEAD, record.overhead_us.to_string());
    if !record.losses.is_empty() && exchange.loss_policy != LossPolicy::Allow {
        write_text(headers, LOSS, loss_list(&record.losses));
    }
    write_standing(headers, &REQUEST_STANDING, exchange.principal.requests(now));
    write_standing(headers, &TOKEN_STANDING, exchange.principal.tokens(now));
}

/// How a limit of the key stands, in OpenAI's header names.
fn write_standing(headers: &mut HeaderMap, names: &[HeaderName; 3], standing: Option<Standing>) {
    let Some(standing) = standing else { return };
    let [limit, remaining, reset] = names;
    write_text(headers, limit.clone(), standing.limit.to_string());
    write_text(headers, remaining.clone(), standing.remaining.to_string());
    if standing.reset.is_zero() {
        headers.insert(reset, AT_ONCE);
    } else {
        write_text(headers, reset.clone(), format!("{}ms", standing.reset.as_millis()));
    }
}

/// Takes the text over, without a copy; one that no header can carry is left out. For numbers as well:
/// `HeaderValue::from` asks the allocator twice for each.
fn write_text(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// The losses as `kind pointer; …`, or how many there are where that is too long for a header.
fn loss_list(losses: &[Loss]) -> String {
    let list = losses
        .iter()
        .map(|loss| format!("{} {}", loss.kind.as_str(), loss.place()))
        .collect::<Vec<_>>()
        .join("; ");
    let plain = list.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if plain && list.len() <= LOSS_LENGTH { list } else { losses.len().to_string() }
}

#[cfg(test)]
mod tests {
    use weighbridge_units::LossKind;

    use super::*;

    fn loss(pointer: &str) -> Loss {
        Loss { pointer: pointer.into(), kind: LossKind::Dropped, reason: "".into(), needed: "".into() }
    }

    #[test]
    fn losses_fit_into_a_header() {
        assert_eq!(loss_list(&[loss("/seed"), loss("/n")]), "dropped /seed; dropped /n");
        assert_eq!(loss_list(&vec![loss("/messages/0/content"); 100]), "100");
        assert_eq!(loss_list(&[loss("/é\n")]), "1");
    }
}
