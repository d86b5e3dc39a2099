//! Requests as they should be.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use weighbridge_gateway::{ConnectionLimits, GatewayError};

use crate::client::Client;
use crate::handler::{Nowhere, Paths, builder, start, start_with};

#[tokio::test]
async fn a_body_comes_back_whole_however_it_is_sent() {
    let (gateway, _) = start();
    let mut client = Client::connect(&gateway).await;
    client.send("POST /echo HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhe").await;
    client.send("llo").await;
    assert!(client.answer().await.ends_with("\r\n\r\nhello"));
    let chunked = "POST /echo HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    client.send(chunked).await;
    assert!(client.answer().await.ends_with("\r\n\r\nhello"));
    let large = "x".repeat(3_000_000);
    client.send(format!("POST /echo HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", large.len())).await;
    client.send(&large).await;
    let answer = client.answer().await;
    assert!(answer.ends_with(&large));
}

#[tokio::test]
async fn connections_are_spread_evenly_and_know_their_peer() {
    let (gateway, _) = start();
    let mut clients = Vec::new();
    let mut threads = HashSet::new();
    for _ in 0..2 {
        let mut client = Client::connect(&gateway).await;
        client.get("/peer").await;
        let answer = client.answer().await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let (peer, thread) = body.split_once(' ').unwrap();
        assert_eq!(peer, "127.0.0.1");
        threads.insert(thread.to_owned());
        clients.push(client);
    }
    assert_eq!(threads.len(), 2, "{threads:?}");
    assert_eq!(gateway.open_connections(), 2);
}

#[tokio::test]
async fn probes_and_metrics_need_no_key() {
    let (gateway, state) = start();
    let mut client = Client::connect(&gateway).await;
    for (path, status, text) in [
        ("/healthz", "200", "ok\n"),
        ("/readyz", "200", "ready\n"),
        ("/metrics", "200", "weighbridge_up 1\n# EOF\n"),
    ] {
        client.get(path).await;
        let answer = client.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(text), "{answer}");
    }
    state.sick.store(true, Ordering::SeqCst);
    client.get("/readyz").await;
    let answer = client.answer().await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("the store is down"), "{answer}");
    client.get("/healthz").await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
    client.send("DELETE /healthz HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(client.answer().await.starts_with("HTTP/1.1 405 "));
    client.get("/other").await;
    assert!(client.answer().await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn a_panic_costs_one_request_only() {
    let (gateway, _) = start();
    let mut client = Client::connect(&gateway).await;
    client.get("/panic").await;
    assert!(client.answer().await.starts_with("HTTP/1.1 500 "));
    client.get("/peer").await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(gateway.open_requests(), 0);
}

#[tokio::test]
async fn http2_in_the_clear_is_told_from_the_first_bytes() {
    let (gateway, _) = start();
    let stream = TcpStream::connect(gateway.addresses()[0]).await.unwrap();
    let (mut sender, connection) =
        http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://test/echo").body(Full::from("hello")).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    // A request that begins with the same letter is not taken for it.
    let mut client = Client::connect(&gateway).await;
    client.send("P").await;
    client.send("OST /echo HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nhi").await;
    assert!(client.answer().await.ends_with("hi"));
}

#[tokio::test]
async fn a_stream_arrives_piece_by_piece() {
    let (gateway, state) = start();
    let mut client = Client::connect(&gateway).await;
    client.get("/stream").await;
    for piece in ["piece 1", "piece 2", "piece 3"] {
        assert!(!client.text().contains(piece));
        state.release.add_permits(1);
        client.until(piece).await;
    }
    client.until("0\r\n\r\n").await;
    assert_eq!(state.left.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let (gateway, _) = start();
    let address = gateway.addresses()[0];
    let error = builder(Paths::default()).listen(address).start().map(|_| ()).unwrap_err();
    assert!(matches!(error, GatewayError::Listen { address: named, .. } if named == address), "{error}");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so() {
    let (gateway, _) = start_with(ConnectionLimits { connections: 1, ..ConnectionLimits::default() });
    let mut first = Client::connect(&gateway).await;
    first.get("/peer").await;
    first.answer().await;
    let mut second = Client::connect(&gateway).await;
    second.get("/peer").await;
    let refusal = second.rest().await;
    assert!(refusal.starts_with("HTTP/1.1 503 ") && refusal.contains("retry-after"), "{refusal}");
    first.get("/peer").await;
    assert!(first.answer().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn the_service_can_be_mounted_elsewhere() {
    let transport = std::sync::Arc::new(Nowhere);
    let service = builder(Paths::default()).service(transport, IpAddr::from([10, 0, 0, 1]));
    let request = Request::get("/peer").body(Full::<Bytes>::default()).unwrap();
    let response = service.for_peer(IpAddr::from([10, 0, 0, 2])).call(request).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(text.starts_with(b"10.0.0.2 "), "{text:?}");
    assert_eq!(service.open_requests(), 0);
}

/// With Nagle's algorithm on, the second piece of each answer waits some 40 ms for the client's
/// delayed acknowledgement of the first.
#[tokio::test]
async fn no_piece_waits_for_a_delayed_acknowledgement() {
    let (gateway, state) = start();
    let mut client = Client::connect(&gateway).await;
    let mut times = Vec::new();
    for nth in 0..30 {
        client.get("/stream").await;
        let began = Instant::now();
        // One piece after the other, so that each leaves in a write of its own.
        for piece in 1..=3 {
            state.waiting(nth * 3 + piece).await;
            state.release.add_permits(1);
        }
        client.take_until("\r\n0\r\n\r\n").await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    // Not the slowest: the machine may have been busy with something else.
    assert!(times[20] < Duration::from_millis(30), "{times:?}");
}
