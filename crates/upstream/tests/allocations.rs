//! Allocations of one request over HTTP/1.1 on a kept connection: a gate, since each costs time that no profile
//! shows in one place.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use weighbridge_transport::{Rope, Transport};
use weighbridge_upstream::{AllowedOrigins, HttpTransport, TransportOptions};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

#[test]
fn a_request_on_a_kept_connection_allocates_little() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/chat/completions", listener.local_addr().unwrap());
    // On a thread of its own, whose allocations are not counted.
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = [0; 4096];
        while stream.read(&mut received).is_ok_and(|length| length > 0) {
            stream.write_all(ANSWER).unwrap();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let transport = HttpTransport::new(AllowedOrigins::of([&url]).unwrap(), TransportOptions::default());
    let mut last = 0;
    for _ in 0..20 {
        let mut request = Request::post(&url).body(Rope::from(Bytes::from_static(b"{}"))).unwrap();
        // As the pipeline makes them: with room for what the transport adds.
        *request.headers_mut() = http::HeaderMap::with_capacity(8);
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async {
                let response = transport.send(request, Duration::from_secs(5)).await.unwrap();
                assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "{}");
            });
        });
        last = counted.count_total;
    }
    assert!(last <= 12, "{last} allocations");
}
