//! Connections that leave HTTP, and those that do not.

use std::future::poll_fn;
use std::time::Duration;

use crate::provider::{Provider, Reply};
use http::Request;
use http_body_util::BodyExt;
use tokio::time::timeout;
use weighbridge_transport::{Consumed, Phase, Rope, Transport, Tunnel, Upgraded};
use weighbridge_upstream::{AllowedOrigins, HttpTransport, TransportOptions};

const PATIENCE: Duration = Duration::from_secs(5);
const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";

fn transport_to(provider: &Provider) -> HttpTransport {
    HttpTransport::new(AllowedOrigins::of([provider.url("/")]).unwrap(), TransportOptions::default())
}

fn asking(url: String) -> Request<Rope> {
    Request::get(url).header("upgrade", "websocket").body(Rope::new()).unwrap()
}

async fn read(tunnel: &mut Tunnel, most: usize) -> String {
    let mut space = vec![0; most];
    let reading = poll_fn(|cx| tunnel.as_mut().poll_read(cx, &mut space));
    let length = timeout(PATIENCE, reading).await.unwrap().unwrap();
    String::from_utf8(space[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn what_follows_the_switch_passes_in_both_directions_until_it_is_dropped() {
    // The first bytes of the new protocol come in one piece with the head.
    let provider = Provider::start([Reply::raw(format!("{SWITCHED}hello")), Reply::raw("echo")]).await;
    let transport = transport_to(&provider);
    let upgraded = transport.upgrade(asking(provider.url("/v1/realtime?model=m")), PATIENCE).await.unwrap();
    let Upgraded::Switched(head, mut tunnel) = upgraded else { panic!("{upgraded:?}") };
    assert_eq!((head.status().as_u16(), &head.headers()["upgrade"]), (101, &"websocket".parse().unwrap()));
    assert_eq!(read(&mut tunnel, 2).await, "he");
    assert_eq!(read(&mut tunnel, 10).await, "llo");
    let frame = b"frame\r\n\r\n";
    assert_eq!(poll_fn(|cx| tunnel.as_mut().poll_write(cx, frame)).await.unwrap(), frame.len());
    poll_fn(|cx| tunnel.as_mut().poll_flush(cx)).await.unwrap();
    assert_eq!(read(&mut tunnel, 10).await, "echo");
    drop(tunnel);
    provider.closed(1).await;
    let seen = provider.requests();
    assert!(seen[0].starts_with("GET /v1/realtime?model=m HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].contains("connection: upgrade\r\n"), "{}", seen[0]);
    assert_eq!(seen[1].as_bytes(), frame);
}

#[tokio::test]
async fn who_declines_is_heard() {
    let provider = Provider::start([Reply::raw("HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno")]).await;
    let upgraded = transport_to(&provider).upgrade(asking(provider.url("/")), PATIENCE).await.unwrap();
    let Upgraded::Declined(response) = upgraded else { panic!("{upgraded:?}") };
    assert_eq!(response.status(), 401);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "no");
}

#[tokio::test]
async fn an_upgrade_goes_to_the_configured_and_fails_like_any_request() {
    let (provider, other) = (Provider::start([Reply::reset()]).await, Provider::start([]).await);
    let transport = transport_to(&provider);
    let error = transport.upgrade(asking(other.url("/")), PATIENCE).await.unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Prepare, Consumed::No), "{error}");
    let error = transport.upgrade(asking(provider.url("/")), PATIENCE).await.unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Head, Consumed::Maybe), "{error}");
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn who_stops_waiting_for_the_switch_closes_the_connection() {
    let provider = Provider::start([Reply::silence()]).await;
    let transport = transport_to(&provider);
    let waiting = transport.upgrade(asking(provider.url("/")), PATIENCE);
    assert!(timeout(Duration::from_millis(50), waiting).await.is_err());
    provider.closed(1).await;
}
