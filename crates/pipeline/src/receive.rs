//! Received → Authenticated: who is asking, from where, and with what attributes.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, header, request};
use weighbridge_access::{AccessError, ClientOrigin, Principal, client_ip};
use weighbridge_protocol::gemini::CREDENTIAL_QUERY;
use weighbridge_records::Caller;
use weighbridge_units::{AttemptId, RequestId, Timestamp};

use crate::attributes::Attributes;
use crate::draft::Draft;
use crate::env::Env;
use crate::native::{PROTOCOL_KEY, protocols};
use crate::refusal::Refusal;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(crate) const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const AZURE_KEY: HeaderName = HeaderName::from_static("api-key");
/// Headers that hold nothing but the key: of Anthropic's, Google's and Azure's SDKs.
static PLAIN_KEYS: [HeaderName; 3] = [API_KEY, GOOGLE_KEY, AZURE_KEY];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const BEARER: &str = "bearer ";

/// A request of which only the head was looked at.
pub(crate) struct Received {
    pub(crate) head: request::Parts,
    pub(crate) peer: IpAddr,
}

/// A request whose key is known.
pub(crate) struct Authenticated {
    pub(crate) head: request::Parts,
    pub(crate) principal: Arc<Principal>,
    pub(crate) attributes: Attributes,
}

impl Received {
    /// Who is asking? Nothing but the head is read for it.
    pub(crate) fn authenticate(self, draft: &mut Draft) -> Result<Authenticated, Refusal> {
        let Self { head, peer } = self;
        let core = &draft.core;
        let presented = presented_key(&head.headers, head.uri.query()).ok_or(Refusal::Unauthenticated)?;
        let settings = core.compiled.load();
        let forwarded = head.headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let origin = ClientOrigin {
            ip: client_ip(peer, forwarded, &settings.trusted_proxies),
            referrer: head.headers.get(header::REFERER).and_then(|value| value.to_str().ok()),
        };
        let principal = core.directory.authenticate(presented, &origin, draft.record.at);
        let principal = principal.map_err(|error| match error {
            AccessError::AddressNotAllowed(_) | AccessError::ReferrerNotAllowed => Refusal::OriginNotAllowed,
            AccessError::Blocked => Refusal::Blocked,
            _ => Refusal::Unauthenticated,
        })?;
        let key = principal.key();
        draft.record.caller = Some(Caller { key: key.id, tenant: key.tenant.shared() });
        let attributes = Attributes::read(&head.headers, &key.tags)?;
        Ok(Authenticated { head, principal, attributes })
    }
}

/// The id of a request: the client's, where it is fit to be one, else a new one.
pub(crate) fn request_id(headers: &HeaderMap, at: Timestamp, env: &dyn Env) -> RequestId {
    let given = headers.get(REQUEST_ID).and_then(|id| RequestId::new(id.to_str().ok()?).ok());
    given.unwrap_or_else(|| RequestId::from_attempt(AttemptId::new(at, env.random_wide())))
}

/// The key, from whichever place the SDK uses. One key only: two that differ are nobody's.
fn presented_key<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a str> {
    let bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let text = value.to_str().ok()?;
        let scheme = text.get(..BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| text[BEARER.len()..].trim())
    });
    let plain = PLAIN_KEYS.iter().flat_map(|name| headers.get_all(name));
    let plain = plain.map(|value| value.to_str().ok().map(str::trim));
    let mut keys = bearer.chain(plain);
    let Some(first) = keys.next() else { return protocol_key(headers).or_else(|| query_key(query?)) };
    let first = first?;
    keys.all(|key| key == Some(first)).then_some(first)
}

/// The key among the subprotocols of a websocket, where browsers have to put it that speak OpenAI's Realtime API.
fn protocol_key(headers: &HeaderMap) -> Option<&str> {
    let mut keys = protocols(headers).filter_map(|protocol| protocol.strip_prefix(PROTOCOL_KEY));
    let first = keys.next()?;
    keys.all(|key| key == first).then_some(first)
}

/// The key in a query, where Google's clients may put it. A key has no characters that are escaped.
fn query_key(query: &str) -> Option<&str> {
    query.split('&').find_map(|field| field.strip_prefix(CREDENTIAL_QUERY)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(pairs: &[(HeaderName, &'static str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        presented_key(&headers, None).map(str::to_owned)
    }

    #[test]
    fn a_key_is_taken_from_either_place_but_never_from_two() {
        let bearer = header::AUTHORIZATION;
        assert_eq!(key_of(&[(bearer.clone(), "Bearer k")]).as_deref(), Some("k"));
        assert_eq!(key_of(&[(bearer.clone(), "bearer  k ")]).as_deref(), Some("k"));
        assert_eq!(key_of(&[(API_KEY, "k")]).as_deref(), Some("k"));
        assert_eq!(key_of(&[(API_KEY, "k"), (bearer.clone(), "Bearer k")]).as_deref(), Some("k"));
        assert_eq!(key_of(&[(API_KEY, "k"), (bearer.clone(), "Bearer other")]), None);
        assert_eq!(key_of(&[(bearer.clone(), "Bearer k"), (bearer.clone(), "Bearer l")]), None);
        assert_eq!(key_of(&[(bearer.clone(), "Basic k")]), None);
        assert_eq!(key_of(&[(bearer, "k")]), None);
        assert_eq!(key_of(&[]), None);
    }

    #[test]
    fn browsers_put_it_among_the_protocols_of_a_websocket() {
        let protocols = header::SEC_WEBSOCKET_PROTOCOL;
        let offered = "realtime, openai-insecure-api-key.k, openai-beta.realtime-v1";
        assert_eq!(key_of(&[(protocols.clone(), offered)]).as_deref(), Some("k"));
        assert_eq!(key_of(&[(protocols.clone(), offered), (API_KEY, "other")]).as_deref(), Some("other"));
        let two = "openai-insecure-api-key.k,openai-insecure-api-key.l";
        assert_eq!(key_of(&[(protocols.clone(), two)]), None);
        assert_eq!(key_of(&[(protocols, "realtime")]), None);
    }

    #[test]
    fn google_and_azure_have_places_of_their_own() {
        assert_eq!(key_of(&[(GOOGLE_KEY, "k")]).as_deref(), Some("k"));
        assert_eq!(key_of(&[(AZURE_KEY, "k"), (GOOGLE_KEY, "k")]).as_deref(), Some("k"));
        assert_eq!(key_of(&[(AZURE_KEY, "k"), (GOOGLE_KEY, "other")]), None);
        let none = HeaderMap::new();
        assert_eq!(presented_key(&none, Some("alt=sse&key=k")), Some("k"));
        assert_eq!(presented_key(&none, Some("keys=k")), None);
    }
}
