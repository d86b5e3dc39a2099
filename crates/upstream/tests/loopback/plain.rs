//! In the clear: reuse, stale connections, faults, limits, cancelling.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::provider::{Provider, Reply};
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use tokio::time::timeout;
use weighbridge_transport::{BoxFuture, ByteStream, Consumed, Phase, Rope, Transport, TransportError};
use weighbridge_upstream::{
    AllowedOrigins, HttpTransport, HttpVersion, OriginOptions, Resolve, TransportOptions,
};

const PATIENCE: Duration = Duration::from_secs(5);

fn transport_to(provider: &Provider) -> HttpTransport {
    transport_with(provider, TransportOptions::default())
}

fn transport_with(provider: &Provider, options: TransportOptions) -> HttpTransport {
    HttpTransport::new(AllowedOrigins::of([provider.url("/")]).unwrap(), options)
}

fn request(url: String) -> Request<Rope> {
    let body = Rope::from_iter([Bytes::from_static(b"{\"model\":"), Bytes::from_static(b"\"m\"}")]);
    Request::post(url).body(body).unwrap()
}

async fn send(
    transport: &HttpTransport,
    provider: &Provider,
) -> Result<http::Response<ByteStream>, TransportError> {
    timeout(PATIENCE, transport.send(request(provider.url("/v1/chat")), PATIENCE)).await.unwrap()
}

async fn text(response: http::Response<ByteStream>) -> Result<String, TransportError> {
    let body = timeout(PATIENCE, response.into_body().collect()).await.unwrap()?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn a_request_arrives_as_it_was_meant() {
    let provider = Provider::start([Reply::ok("hello")]).await;
    let response = send(&transport_to(&provider), &provider).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(text(response).await.unwrap(), "hello");
    let seen = provider.requests();
    assert!(seen[0].starts_with("POST /v1/chat HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].contains(&format!("host: {}\r\n", provider.authority())), "{}", seen[0]);
    assert!(seen[0].contains("content-length: 13\r\n"), "{}", seen[0]);
    assert!(seen[0].ends_with("\r\n\r\n{\"model\":\"m\"}"), "{}", seen[0]);
}

#[tokio::test]
async fn a_connection_serves_the_next_request_once_its_answer_was_read() {
    let provider = Provider::start([
        Reply::ok("one"),
        Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"),
        Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        Reply::ok("four"),
    ])
    .await;
    let transport = transport_to(&provider);
    for expected in ["one", "two", "", "four"] {
        assert_eq!(text(send(&transport, &provider).await.unwrap()).await.unwrap(), expected);
    }
    assert_eq!(provider.connections(), 1);
}

#[tokio::test]
async fn requests_at_the_same_time_take_connections_of_their_own() {
    let provider = Provider::start([Reply::ok("a"), Reply::ok("b"), Reply::ok("c")]).await;
    let transport = transport_to(&provider);
    let (first, second) = tokio::join!(send(&transport, &provider), send(&transport, &provider));
    assert_eq!(provider.connections(), 2);
    text(first.unwrap()).await.unwrap();
    text(second.unwrap()).await.unwrap();
    text(send(&transport, &provider).await.unwrap()).await.unwrap();
    assert_eq!(provider.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_the_provider_closed_is_replaced_unnoticed() {
    let provider = Provider::start([Reply::ok("one").then_close(), Reply::ok("two")]).await;
    let transport = transport_to(&provider);
    assert_eq!(text(send(&transport, &provider).await.unwrap()).await.unwrap(), "one");
    provider.closed(1).await;
    assert_eq!(text(send(&transport, &provider).await.unwrap()).await.unwrap(), "two");
    assert_eq!((provider.connections(), provider.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_never_sent_again() {
    let provider = Provider::start([Reply::ok("one"), Reply::reset(), Reply::ok("never")]).await;
    let transport = transport_to(&provider);
    text(send(&transport, &provider).await.unwrap()).await.unwrap();
    // On a kept connection, where a blind retry would be tempting.
    let error = send(&transport, &provider).await.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Head, Consumed::Maybe), "{error}");
    assert_eq!((provider.connections(), provider.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_refused_connection_consumed_nothing() {
    let provider = Provider::start([]).await;
    let transport = transport_to(&provider);
    provider.stop().await;
    let error = send(&transport, &provider).await.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
    assert!(error.message.contains(&provider.authority()), "{error}");
}

#[tokio::test]
async fn connecting_has_a_time_limit() {
    // It listens, but never answers a TLS handshake.
    let provider = Provider::start([Reply::silence()]).await;
    let url = provider.url("/").replace("http:", "https:");
    let transport = HttpTransport::new(AllowedOrigins::of([&url]).unwrap(), TransportOptions::default());
    let sending = transport.send(request(url), Duration::from_millis(50));
    let error = timeout(PATIENCE, sending).await.unwrap().map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
}

#[tokio::test]
async fn an_address_that_is_not_configured_is_not_called() {
    let (provider, other) = (Provider::start([Reply::ok("")]).await, Provider::start([]).await);
    let transport = transport_to(&other);
    for url in [provider.url("/"), provider.url("/").replace("http://", "http://user@"), "/v1".into()] {
        let error = transport.send(request(url), PATIENCE).await.map(|_| ()).unwrap_err();
        assert_eq!((error.phase, error.consumed), (Phase::Prepare, Consumed::No), "{error}");
    }
    assert_eq!(provider.connections(), 0);
}

#[tokio::test]
async fn who_stops_waiting_for_the_head_closes_the_connection() {
    let provider = Provider::start([Reply::silence(), Reply::ok("next")]).await;
    let transport = transport_to(&provider);
    let waiting = transport.send(request(provider.url("/")), PATIENCE);
    assert!(timeout(Duration::from_millis(50), waiting).await.is_err());
    provider.closed(1).await;
    assert_eq!(text(send(&transport, &provider).await.unwrap()).await.unwrap(), "next");
}

#[tokio::test]
async fn who_drops_the_body_closes_the_connection() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    let provider = Provider::start([Reply::raw(endless).then_silence()]).await;
    let response = send(&transport_to(&provider), &provider).await.unwrap();
    let mut body = response.into_body();
    let first = timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "first");
    drop(body);
    provider.closed(1).await;
}

#[tokio::test]
async fn a_cut_body_is_an_error_and_its_connection_is_not_used_again() {
    for cut in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let provider = Provider::start([Reply::raw(cut).then_close(), Reply::ok("whole")]).await;
        let transport = transport_to(&provider);
        let error = text(send(&transport, &provider).await.unwrap()).await.unwrap_err();
        assert_eq!((error.phase, error.consumed), (Phase::Body, Consumed::Maybe), "{error}");
        assert_eq!(text(send(&transport, &provider).await.unwrap()).await.unwrap(), "whole");
        assert_eq!(provider.connections(), 2);
    }
}

#[tokio::test]
async fn heads_are_bounded() {
    let line = format!("x-flood: {}\r\n", "a".repeat(1000));
    let long = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", line.repeat(80));
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(200));
    let endless = "HTTP/1.1 200 OK\r\n".to_owned() + &line.repeat(10_000);
    for flood in [long, many, endless, "SSH-2.0-OpenSSH\r\n\r\n".to_owned()] {
        let provider = Provider::start([Reply::raw(flood)]).await;
        let error = send(&transport_to(&provider), &provider).await.map(|_| ()).unwrap_err();
        assert_eq!((error.phase, error.consumed), (Phase::Head, Consumed::Maybe), "{error}");
    }
}

#[tokio::test]
async fn idle_connections_are_closed_in_time_even_without_traffic() {
    let provider = Provider::start([Reply::ok("one"), Reply::ok("two")]).await;
    let options =
        TransportOptions { idle_timeout: Duration::from_millis(100), ..TransportOptions::default() };
    let transport = transport_with(&provider, options);
    text(send(&transport, &provider).await.unwrap()).await.unwrap();
    provider.closed(1).await;
    // The one that closes old connections starts again with new ones.
    text(send(&transport, &provider).await.unwrap()).await.unwrap();
    provider.closed(2).await;
    assert_eq!(provider.connections(), 2);
}

#[tokio::test]
async fn no_more_connections_wait_than_allowed() {
    let provider = Provider::start([Reply::ok("a"), Reply::ok("b"), Reply::ok("c")]).await;
    let options = TransportOptions { idle_per_origin: 1, ..TransportOptions::default() };
    let transport = transport_with(&provider, options);
    let (a, b, c) =
        tokio::join!(send(&transport, &provider), send(&transport, &provider), send(&transport, &provider));
    for response in [a, b, c] {
        text(response.unwrap()).await.unwrap();
    }
    provider.closed(2).await;
}

/// Addresses in turn; then none.
struct Moves(std::sync::Mutex<std::collections::VecDeque<IpAddr>>);

impl Resolve for Moves {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let next = self.0.lock().unwrap().pop_front().map(|address| vec![address]);
        Box::pin(async { next.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn resolving(url: &str, moves: &[&str]) -> HttpTransport {
    let addresses = moves.iter().map(|address| address.parse().unwrap()).collect();
    let origins = AllowedOrigins::of([url]).unwrap();
    let options = TransportOptions { max_age: Duration::ZERO, ..TransportOptions::default() };
    HttpTransport::resolving_by(origins, options, Moves(std::sync::Mutex::new(addresses)))
}

#[tokio::test]
async fn an_old_connection_is_not_kept_and_a_provider_that_moves_is_followed() {
    let provider = Provider::start([Reply::ok("one"), Reply::ok("two")]).await;
    let url = format!("http://api.test:{}/", provider.port());
    // Where it is first, nobody listens: the next connection asks again.
    let transport = resolving(&url, &["127.0.0.3", "127.0.0.1"]);
    let error = transport.send(request(url.clone()), PATIENCE).await.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
    for (expected, connections) in [("one", 1), ("two", 2)] {
        let response = transport.send(request(url.clone()), PATIENCE).await.unwrap();
        assert_eq!(text(response).await.unwrap(), expected);
        assert_eq!(provider.connections(), connections);
    }
    assert!(provider.requests()[0].contains(&format!("host: api.test:{}\r\n", provider.port())));
}

#[tokio::test]
async fn a_name_without_address_consumed_nothing() {
    let url = "http://api.test/";
    let error = resolving(url, &[]).send(request(url.into()), PATIENCE).await.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
    assert!(error.message.contains("http://api.test: no such name"), "{error}");
}

#[tokio::test]
async fn a_changed_origin_gets_new_connections() {
    let provider = Provider::start([Reply::ok("one"), Reply::ok("two")]).await;
    let origins = AllowedOrigins::of([provider.url("/")]).unwrap();
    let transport = HttpTransport::new(origins.clone(), TransportOptions::default());
    text(send(&transport, &provider).await.unwrap()).await.unwrap();
    let http1 = OriginOptions { http: HttpVersion::Http1, ..OriginOptions::default() };
    origins.replace_with([(provider.url("/"), http1)]).unwrap();
    text(send(&transport, &provider).await.unwrap()).await.unwrap();
    assert_eq!(provider.connections(), 2);
}

#[tokio::test]
async fn compressed_answers_are_decoded_unless_somebody_asked_for_them() {
    let zipped = zstd::encode_all(&b"a small answer"[..], 1).unwrap();
    let reply = || Reply::with("content-encoding: zstd", &zipped);
    let provider = Provider::start([reply(), reply(), Reply::with("content-encoding: dcb", b"?")]).await;
    let transport = transport_to(&provider);
    let response = send(&transport, &provider).await.unwrap();
    assert!(response.headers().is_empty(), "{:?}", response.headers());
    assert_eq!(text(response).await.unwrap(), "a small answer");

    let mut asking = request(provider.url("/"));
    asking.headers_mut().insert("accept-encoding", "zstd".parse().unwrap());
    let response = transport.send(asking, PATIENCE).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "zstd");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), zipped);

    let error = send(&transport, &provider).await.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Head, Consumed::Maybe), "{error}");
    for (request, asked) in provider.requests().iter().zip(["identity", "zstd", "identity"]) {
        assert!(request.contains(&format!("accept-encoding: {asked}\r\n")), "{request}");
    }
    // The connection of a decoded answer is used again.
    assert_eq!(provider.connections(), 1);
}
