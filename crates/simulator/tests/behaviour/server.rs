//! The same over TCP, with the control routes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use weighbridge_simulator::Simulator;

use crate::support::{Call, Endpoint, body, streamed};

/// A simulated provider that serves a port on a thread of its own until it is dropped.
struct Served {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    simulator: Simulator,
}

impl Served {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let simulator = Simulator::new(Endpoint::Chat.vendor());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = simulator.clone();
        let thread = std::thread::spawn(move || {
            let shutdown = async {
                let _ = stopped.await;
            };
            runtime.block_on(served.serve(listener, shutdown)).expect("it serves");
        });
        Self { address, stop: Some(stop), thread: Some(thread), simulator }
    }

    /// Sends one request on a connection of its own and reads until the server closes it.
    fn raw(&self, method: &str, target: &str, body: &str) -> String {
        let mut socket = self.send(method, target, body);
        let mut answer = Vec::new();
        // A reset is an end like any other here.
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn send(&self, method: &str, target: &str, body: &str) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).expect("a connection");
        write!(
            socket,
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer sk-1\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("sent");
        socket
    }

    fn control(&self, method: &str, route: &str, body: &Value) -> Value {
        let answer = self.raw(method, &format!("/__sim/{route}"), &body.to_string());
        let json = answer.split_once("\r\n\r\n").expect("a body").1;
        serde_json::from_str(json).expect("JSON")
    }

    fn chat(&self, call: &Call) -> String {
        self.raw("POST", "/v1/chat/completions", &call.body.to_string())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ended well");
        }
    }
}

#[test]
fn it_answers_invoices_and_remembers() {
    let server = Served::start();
    let answer = server.chat(&body(Endpoint::Chat, "echo:over TCP"));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("over TCP"), "{answer}");
    assert!(answer.contains("x-request-id: req_"));

    let invoice = server.control("GET", "invoice", &Value::Null);
    assert_eq!(invoice["lines"][0]["told"], true);
    assert_eq!(invoice["lines"][0]["end"], "complete");
    let requests = server.control("GET", "requests", &Value::Null);
    assert_eq!(requests["requests"][0]["body"]["model"], "gpt-4o-mini");
    assert_eq!(requests["requests"][0]["headers"]["authorization"], "Bearer sk-1");

    server.control("POST", "forget", &Value::Null);
    assert_eq!(server.control("GET", "invoice", &Value::Null)["lines"], json!([]));
}

#[test]
fn faults_are_queued_by_route() {
    let server = Served::start();
    let faults = json!({"faults": [
        {"kind": "status", "code": 429, "retry_after": 7},
        {"kind": "reset", "when": "broken"},
        {"kind": "cut-body"},
    ]});
    assert_eq!(server.control("POST", "faults", &faults), json!({}));
    let refused = server.chat(&body(Endpoint::Chat, "hello"));
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: 7"), "{refused}");
    assert_eq!(server.chat(&body(Endpoint::Chat, "broken")), "");
    let cut = server.chat(&body(Endpoint::Chat, "hello"));
    assert!(cut.starts_with("HTTP/1.1 200") && !cut.ends_with('}'), "{cut}");
    assert!(server.chat(&body(Endpoint::Chat, "hello")).ends_with('}'));

    let unknown = server.control("POST", "faults", &json!({"faults": [{"kind": "flood"}]}));
    assert!(unknown["error"].as_str().is_some_and(|text| text.contains("flood")), "{unknown}");
}

#[test]
fn every_kind_of_fault_has_a_name() {
    let server = Served::start();
    let kinds = [
        "refuse-connection",
        "reset",
        "no-credit",
        "context-too-long",
        "content-policy",
        "error-under-200",
        "empty",
        "cut-body",
        "stall-before-head",
        "stall-mid-stream",
        "cut-mid-stream",
        "reset-mid-stream",
        "error-mid-stream",
        "malformed-mid-stream",
        "endless-event",
        "no-usage",
        "running-usage",
        "slow-head",
        "slow-frames",
    ];
    let faults: Vec<Value> = kinds.iter().map(|kind| json!({"kind": kind})).collect();
    assert_eq!(server.control("POST", "faults", &json!({"faults": faults})), json!({}));
    assert_eq!(server.control("DELETE", "faults", &Value::Null), json!({}));
    let mix = json!({"seed": 1, "faults": [{"kind": "html", "code": 502, "per_ten_thousand": 10000}]});
    assert_eq!(server.control("POST", "mix", &mix), json!({}));
    assert!(server.chat(&body(Endpoint::Chat, "hello")).contains("<html>"));
}

#[test]
fn a_caller_that_closes_its_connection_is_noticed() {
    let server = Served::start();
    let stream = streamed(Endpoint::Chat, "words:5000 pace:20");
    let mut socket = server.send("POST", "/v1/chat/completions", &stream.body.to_string());
    let mut beginning = [0; 64];
    socket.read_exact(&mut beginning).expect("it has begun");
    assert_eq!(server.simulator.open_answers(), 1);
    drop(socket);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while server.simulator.open_answers() > 0 {
        assert!(std::time::Instant::now() < deadline, "it still generates");
        std::thread::sleep(Duration::from_millis(5));
    }
    let invoice = server.control("GET", "invoice", &Value::Null);
    assert_eq!(invoice["lines"][0]["end"], "caller-left");
    assert!(invoice["lines"][0]["usage"]["output"].as_u64() < Some(1_000));
}
