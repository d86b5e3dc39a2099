//! Connections that leave HTTP.

use std::time::Duration;

use weighbridge_gateway::ConnectionLimits;

use crate::client::Client;
use crate::handler::{start, start_with, until};

const LONG: Duration = Duration::from_secs(10);

fn asking(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
}

#[tokio::test]
async fn what_follows_a_switch_is_not_http_any_more() {
    let (gateway, _) = start();
    let mut client = Client::connect(&gateway).await;
    // The connection was one of HTTP's before, and the first bytes of what follows come along with the request.
    client.get("/peer").await;
    client.answer().await;
    client.send(asking("/switch") + "GET /peer HTTP/1.1\r\n\r\n").await;
    client.take_until("GET /peer HTTP/1.1\r\n\r\n").await;
    assert_eq!((gateway.open_requests(), gateway.open_connections()), (1, 1));
    client.send([0, 255, b'!']).await;
    client.take_until("!").await;
    client.close_half().await;
    assert_eq!(client.rest().await, "");
    until(|| (gateway.open_requests(), gateway.open_connections()) == (0, 0)).await;
}

#[tokio::test]
async fn the_head_of_a_switch_says_so_and_comes_first() {
    let (gateway, _) = start();
    let mut client = Client::connect(&gateway).await;
    client.send(asking("/switch") + "frame").await;
    client.until("frame").await;
    let text = client.text();
    assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{text}");
    assert!(text.contains("connection: upgrade\r\n") && text.ends_with("\r\n\r\nframe"), "{text}");
    assert!(!text.contains("content-length") && !text.contains("chunked"), "{text}");
}

#[tokio::test]
async fn who_is_not_switched_stays_with_http() {
    let (gateway, _) = start();
    let mut client = Client::connect(&gateway).await;
    client.send(asking("/peer")).await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
    client.get("/peer").await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
    // What is no request gets none of what a switch would have been.
    client.send(asking("/peer") + "garbage\r\n\r\n").await;
    let rest = client.rest().await;
    assert!(rest.starts_with("HTTP/1.1 200 ") && rest.contains("HTTP/1.1 400 "), "{rest}");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_not_waited_for() {
    let write_time = Duration::from_millis(100);
    let (gateway, state) = start_with(ConnectionLimits { write_time, ..ConnectionLimits::default() });
    let mut client = Client::connect(&gateway).await;
    client.send(asking("/torrent")).await;
    state.left(1).await;
    until(|| (gateway.open_requests(), gateway.open_connections()) == (0, 0)).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_what_it_had() {
    let (gateway, state) = start();
    let mut client = Client::connect(&gateway).await;
    client.send(asking("/torrent")).await;
    client.until("xxxx").await;
    drop(client);
    state.left(1).await;
    until(|| gateway.open_requests() == 0).await;
}

#[tokio::test]
async fn a_drain_waits_for_what_left_http_and_then_cuts_it() {
    let (gateway, _) = start();
    let mut client = Client::connect(&gateway).await;
    client.send(asking("/switch") + "a").await;
    client.take_until("\r\n\r\na").await;
    let address = gateway.addresses()[0];
    let ending = tokio::spawn(gateway.shutdown(LONG));
    until(|| std::net::TcpStream::connect(address).is_err()).await;
    client.send("still here").await;
    client.take_until("still here").await;
    client.close_half().await;
    let report = ending.await.unwrap();
    assert_eq!((report.requests_at_start, report.requests_cut, report.connections_cut), (1, 0, 0));

    let (gateway, state) = start();
    let mut client = Client::connect(&gateway).await;
    client.send(asking("/switch") + "a").await;
    client.take_until("\r\n\r\na").await;
    let report = gateway.shutdown(Duration::from_millis(100)).await;
    assert_eq!((report.requests_at_start, report.requests_cut), (1, 1));
    state.left(1).await;
    assert_eq!(client.rest().await, "");
}
