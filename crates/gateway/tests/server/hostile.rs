//! Clients that are broken, slow, or worse.

use std::time::{Duration, Instant};

use weighbridge_gateway::ConnectionLimits;

use crate::client::Client;
use crate::handler::{start, start_with};

#[tokio::test]
async fn malformed_requests_get_400_and_the_connection_closes() {
    let (gateway, _) = start();
    for malformed in [
        "NONSENSE\r\n\r\n",
        "GET /peer HTTP/9.9\r\n\r\n",
        "GET /peer HTTP/1.1\r\nbad header: \x01\r\n\r\n",
        "GET /peer HTTP/1.1\r\nx: a\0b\r\n\r\n",
        "GET /peer HTTP/1.1\r\n folded: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\ncontent-length: +5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ] {
        let mut client = Client::connect(&gateway).await;
        client.send(malformed).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{malformed:?} got {answer:?}");
    }
}

/// hyper takes the body as `transfer-encoding` says, as the standard allows, and closes: nothing
/// that follows on the connection is ever taken for a request.
#[tokio::test]
async fn nothing_can_be_smuggled_behind_a_body_that_is_framed_twice() {
    let (gateway, _) = start();
    for framing in [
        "content-length: 40\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 40\r\n",
    ] {
        let mut client = Client::connect(&gateway).await;
        let smuggled = "GET /peer HTTP/1.1\r\nhost: t\r\n\r\n";
        client.send(format!("POST /echo HTTP/1.1\r\n{framing}\r\n0\r\n\r\n{smuggled}")).await;
        let answers = client.rest().await;
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
        assert!(answers.contains("connection: close"), "{answers}");
    }
}

#[tokio::test]
async fn floods_of_headers_get_431() {
    let (gateway, _) = start();
    let many = format!("GET /peer HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    let large = format!("GET /peer HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    for flood in [many, large] {
        let mut client = Client::connect(&gateway).await;
        client.send(flood).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    }
}

#[tokio::test]
async fn slow_heads_get_408_and_idle_connections_close_in_silence() {
    let limits = ConnectionLimits { head_time: Duration::from_millis(100), ..ConnectionLimits::default() };
    let (gateway, _) = start_with(limits);
    for beginning in ["P", "GET /peer HT", "GET /peer HTTP/1.1\r\nhost: t\r\n"] {
        let mut client = Client::connect(&gateway).await;
        client.send(beginning).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{beginning:?} got {answer:?}");
    }
    let mut silent = Client::connect(&gateway).await;
    assert_eq!(silent.rest().await, "");
    let mut kept = Client::connect(&gateway).await;
    kept.get("/peer").await;
    kept.answer().await;
    assert_eq!(kept.rest().await, "");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_at_once() {
    let (gateway, state) = start();
    for (nth, path) in [(1, "/wait"), (2, "/stream")] {
        let mut client = Client::connect(&gateway).await;
        client.get(path).await;
        state.waiting(nth).await;
        let began = Instant::now();
        drop(client);
        state.left(nth).await;
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    assert_eq!(gateway.open_requests(), 0);
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_its_answer_for_ever() {
    let limits = ConnectionLimits { write_time: Duration::from_millis(200), ..ConnectionLimits::default() };
    let (gateway, state) = start_with(limits);
    let mut client = Client::connect(&gateway).await;
    client.get("/flood").await;
    state.left(1).await;
    assert_eq!(gateway.open_requests(), 0);
}
