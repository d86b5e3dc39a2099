//! What passes of the heads of native calls and of their answers.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What is the business of one connection: <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>. `connection` may name
/// more.
static OF_THE_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// What a request says of its sender, and what is the gateway's to say: credentials, whose account it is, who asked
/// from where, how long the body is.
static OF_THE_CLIENT: [HeaderName; 23] = [
    header::HOST,
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::FORWARDED,
    header::ORIGIN,
    header::REFERER,
    header::USER_AGENT,
    header::VIA,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("x-goog-user-project"),
    HeaderName::from_static("x-goog-iam-authorization-token"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-client-request-id"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// Beginnings of names that mean the same.
const OF_THE_CLIENT_TOO: [&str; 4] = ["x-gateway-", "x-forwarded-", "x-amz-", "sec-"];

/// What an answer says to the gateway, and not to its client.
static OF_THE_GATEWAY: [HeaderName; 10] = [
    header::SET_COOKIE,
    header::WWW_AUTHENTICATE,
    header::AUTHORIZATION,
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("anthropic-organization-id"),
    HeaderName::from_static("x-request-id"),
];

/// The names that `connection` lists.
fn named(headers: &HeaderMap) -> Vec<String> {
    let lists = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn passed(headers: &HeaderMap, stays: impl Fn(&HeaderName) -> bool, onto: &mut HeaderMap) {
    let named = named(headers);
    let passes = |name: &HeaderName| {
        !OF_THE_CONNECTION.contains(name) && !named.iter().any(|it| it == name.as_str()) && !stays(name)
    };
    let mut last: Option<&HeaderName> = None;
    for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
        // The first of a name replaces what the gateway would have sent, further ones join it.
        if last == Some(name) {
            onto.append(name, value.clone());
        } else {
            onto.insert(name, value.clone());
        }
        last = Some(name);
    }
}

/// Puts what passes of a client's headers onto those of the gateway's own request.
pub(super) fn up(client: &HeaderMap, onto: &mut HeaderMap) {
    let stays = |name: &HeaderName| {
        OF_THE_CLIENT.contains(name) || OF_THE_CLIENT_TOO.iter().any(|it| name.as_str().starts_with(it))
    };
    passed(client, stays, onto);
}

/// What of a handshake is the business of both ends: <https://www.rfc-editor.org/rfc/rfc6455#section-4.1>.
static OF_WEBSOCKETS: [HeaderName; 3] =
    [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION, header::SEC_WEBSOCKET_EXTENSIONS];

/// The subprotocols in which browsers, which cannot set headers, tell OpenAI whose they are; its SDK's
/// `OpenAIRealtimeWebSocket` does: <https://developers.openai.com/api/docs/guides/realtime-websocket>.
const OF_THE_CLIENT_AMONG_PROTOCOLS: [&str; 3] = [PROTOCOL_KEY, "openai-organization.", "openai-project."];

/// What is before the key in one of them.
pub(crate) const PROTOCOL_KEY: &str = "openai-insecure-api-key.";

/// The subprotocols that a client offers.
pub(crate) fn protocols(client: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = client.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// Puts a websocket's handshake onto the gateway's own request.
pub(super) fn up_websocket(client: &HeaderMap, onto: &mut HeaderMap) {
    onto.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    for name in &OF_WEBSOCKETS {
        for value in client.get_all(name) {
            onto.append(name, value.clone());
        }
    }
    let passes = |protocol: &&str| !OF_THE_CLIENT_AMONG_PROTOCOLS.iter().any(|it| protocol.starts_with(it));
    let passed = protocols(client).filter(passes).collect::<Vec<_>>().join(", ");
    if let Some(passed) = HeaderValue::try_from(passed).ok().filter(|passed| !passed.is_empty()) {
        onto.insert(header::SEC_WEBSOCKET_PROTOCOL, passed);
    }
}

/// What passes of a provider's headers.
pub(super) fn down(provider: &HeaderMap) -> HeaderMap {
    let mut onto = HeaderMap::with_capacity(provider.len() + 4);
    let stays = |name: &HeaderName| OF_THE_GATEWAY.contains(name) || name.as_str().starts_with("x-gateway-");
    passed(provider, stays, &mut onto);
    onto
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn credentials_and_connections_end_here() {
        let client = map(&[
            ("authorization", "Bearer wb-x"),
            ("x-api-key", "wb-x"),
            ("cookie", "a=b"),
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("openai-organization", "org-other"),
            ("content-encoding", "gzip"),
            ("openai-beta", "assistants=v2"),
            ("accept", "a"),
            ("accept", "b"),
            ("anthropic-version", "2024-01-01"),
        ]);
        let mut onto = map(&[("authorization", "Bearer sk-own"), ("anthropic-version", "2023-06-01")]);
        up(&client, &mut onto);
        assert_eq!(onto.get("authorization").unwrap(), "Bearer sk-own");
        assert_eq!(onto.get("anthropic-version").unwrap(), "2024-01-01");
        assert_eq!(onto.get_all("accept").iter().count(), 2);
        assert_eq!(onto.len(), 6, "{onto:?}");
        assert!(onto.contains_key("content-encoding") && onto.contains_key("openai-beta"));
    }

    #[test]
    fn a_handshake_passes_without_the_credentials_among_its_protocols() {
        let client = map(&[
            ("upgrade", "websocket"),
            ("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw=="),
            ("sec-websocket-protocol", "realtime, openai-insecure-api-key.wb-x,openai-organization.org-1"),
            ("sec-websocket-protocol", "openai-project.p, openai-beta.realtime-v1"),
            ("sec-fetch-site", "cross-site"),
        ]);
        let mut onto = HeaderMap::new();
        up(&client, &mut onto);
        assert!(onto.is_empty(), "{onto:?}");
        up_websocket(&client, &mut onto);
        assert_eq!(onto["sec-websocket-protocol"], "realtime, openai-beta.realtime-v1");
        assert_eq!(onto["sec-websocket-key"], "x3JJHMbDL1EzLkh9GBhXDw==");
        assert_eq!((onto.len(), &onto["upgrade"]), (3, &HeaderValue::from_static("websocket")));
        let mut none = HeaderMap::new();
        up_websocket(&map(&[("sec-websocket-protocol", "openai-insecure-api-key.wb-x")]), &mut none);
        assert_eq!(none.len(), 1, "{none:?}");
    }

    #[test]
    fn answers_set_no_cookies() {
        let sent = down(&map(&[
            ("set-cookie", "__cf=1"),
            ("openai-organization", "ours"),
            ("transfer-encoding", "chunked"),
            ("x-gateway-cost-usd", "0"),
            ("content-encoding", "gzip"),
            ("content-type", "text/plain"),
            ("location", "/v1/files/1"),
        ]));
        assert_eq!(sent.len(), 3, "{sent:?}");
    }
}
