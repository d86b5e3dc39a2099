//! Allocations per request: a gate, since each costs time that no profile shows in one place.
//!
//! The provider is a transport that answers from memory, so that what is counted is the pipeline's,
//! the ledger's and the answer's. The bounds are what was measured when they were set, plus a few.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::json;
use tokio::runtime::Runtime;
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};
use world::{CHAT, World, post};

const WHOLE: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
const CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";
const FINISH: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o-mini\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\ndata: [DONE]\n\n";

/// Answers from memory: whole, or so many chunks of a stream.
struct Canned {
    chunks: Option<usize>,
}

impl Transport for Canned {
    fn send(
        &self,
        _: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async {
            let mut response: Response<ByteStream> = match self.chunks {
                None => Response::new(Box::pin(
                    Full::new(Bytes::from_static(WHOLE.as_bytes())).map_err(|e| match e {}),
                )),
                Some(chunks) => {
                    let pieces = std::iter::repeat_n(CHUNK, chunks).chain([FINISH, USAGE]);
                    let frames =
                        pieces.map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece.as_bytes()))));
                    Response::new(Box::pin(StreamBody::new(futures::stream::iter(frames))))
                }
            };
            let kind = if self.chunks.is_some() { "text/event-stream" } else { "application/json" };
            response.headers_mut().insert("content-type", kind.parse().unwrap());
            Ok(response)
        })
    }
}

/// Allocations of one request, once everything that is made once has been made.
fn count(runtime: &Runtime, world: &mut World, chunks: Option<usize>) -> u64 {
    world.transport = Arc::new(Canned { chunks });
    let body = json!({
        "model": "only-gpt",
        "stream": chunks.is_some(),
        "messages": [{ "role": "user", "content": "Hello, how are you?" }],
    });
    let mut last = 0;
    for _ in 0..20 {
        let request = post(CHAT, &world.key, &body);
        let counted = allocation_counter::measure(|| {
            let status = runtime.block_on(async {
                let response = world.open(request).await;
                let status = response.status();
                let mut body = response.into_body();
                while body.frame().await.is_some() {}
                status
            });
            assert_eq!(status, 200);
        });
        last = counted.count_total;
    }
    last
}

#[test]
fn allocations_per_request_are_bounded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut world = runtime.block_on(async { World::new() });
    let whole = count(&runtime, &mut world, None);
    let (ten, hundred) = (count(&runtime, &mut world, Some(10)), count(&runtime, &mut world, Some(100)));
    println!("allocations: whole {whole}, stream of 10 chunks {ten}, of 100 chunks {hundred}");
    assert!(whole <= WHOLE_MOST, "whole: {whole}");
    assert!(ten <= STREAM_MOST, "stream: {ten}");
    assert!(hundred <= ten + 2, "a chunk that passes through allocates nothing: {ten}, then {hundred}");
}

const WHOLE_MOST: u64 = 58;
const STREAM_MOST: u64 = 88;
