//! Ending in order.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::Client;
use crate::handler::start;

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn c8_running_answers_finish_and_new_work_is_refused() {
    let (gateway, state) = start();
    let address = gateway.addresses()[0];
    let (mut waiting, mut streaming, mut idle) =
        (Client::connect(&gateway).await, Client::connect(&gateway).await, Client::connect(&gateway).await);
    idle.get("/peer").await;
    idle.answer().await;
    waiting.get("/wait").await;
    streaming.get("/stream").await;
    state.waiting(2).await;

    let ending = tokio::spawn(gateway.shutdown(LONG));
    crate::handler::until(|| std::net::TcpStream::connect(address).is_err()).await;

    idle.get("/peer").await;
    let refusal = idle.rest().await;
    assert!(refusal.starts_with("HTTP/1.1 503 ") && refusal.contains("connection: close"), "{refusal}");

    state.release.add_permits(4);
    assert!(waiting.rest().await.ends_with("released"));
    assert!(streaming.rest().await.ends_with("piece 3\r\n0\r\n\r\n"));
    let report = ending.await.unwrap();
    assert_eq!((report.requests_at_start, report.requests_cut, report.connections_cut), (2, 0, 0));
    assert!(report.took < LONG);
}

#[tokio::test]
async fn c8_what_does_not_finish_in_time_is_cut_off() {
    let (gateway, state) = start();
    let (mut client, mut half) = (Client::connect(&gateway).await, Client::connect(&gateway).await);
    client.get("/stream").await;
    half.send("GET /pe").await;
    state.waiting(1).await;
    let report = gateway.shutdown(Duration::from_millis(100)).await;
    assert_eq!((report.requests_at_start, report.requests_cut), (1, 1));
    // The handler saw its client leave before the report was given.
    state.left(1).await;
    assert!(!client.rest().await.contains("\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn c8_what_goes_on_without_its_client_is_waited_for() {
    let (gateway, state) = start();
    state.lingering.store(2, Ordering::SeqCst);
    let ending = tokio::spawn(gateway.shutdown(LONG));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!ending.is_finished());
    state.lingering.store(0, Ordering::SeqCst);
    let report = ending.await.unwrap();
    assert_eq!((report.requests_at_start, report.requests_cut), (2, 0));

    let (gateway, state) = start();
    state.lingering.store(1, Ordering::SeqCst);
    let report = gateway.shutdown(Duration::from_millis(50)).await;
    assert_eq!((report.requests_at_start, report.requests_cut), (1, 1));
}

#[tokio::test]
async fn a_gateway_without_work_ends_at_once() {
    let (gateway, _) = start();
    let mut idle = Client::connect(&gateway).await;
    idle.get("/peer").await;
    idle.answer().await;
    let report = gateway.shutdown(LONG).await;
    assert_eq!((report.requests_at_start, report.connections_cut), (0, 0));
    assert!(report.took < Duration::from_secs(1), "{report:?}");
    assert_eq!(idle.rest().await, "");
}
