//! What a stream may hold in memory, however long it is and whatever its provider sends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use tokio::runtime::Runtime;
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};
use weighbridge_units::Protocol;
use world::World;
use world::clients::ask;

const CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";
const ENDLESS: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
static FILLER: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// So many chunks, and perhaps an event that does not end.
struct Canned {
    chunks: usize,
    filler: usize,
}

impl Transport for Canned {
    fn send(
        &self,
        _: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async {
            let chunks = std::iter::repeat_n(CHUNK.as_bytes(), self.chunks);
            let begun = std::iter::repeat_n(ENDLESS.as_bytes(), usize::from(self.filler > 0));
            let pieces = chunks.chain(begun).chain(std::iter::repeat_n(&FILLER[..], self.filler));
            let frames = pieces.map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece))));
            let mut response: Response<ByteStream> =
                Response::new(Box::pin(StreamBody::new(futures::stream::iter(frames))));
            response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
            Ok(response)
        })
    }
}

/// The most that one stream held at once, of what was allocated since it began.
fn most_held(runtime: &Runtime, world: &mut World, client: Protocol, chunks: usize, filler: usize) -> u64 {
    world.transport = Arc::new(Canned { chunks, filler });
    let (path, body) = ask(client, "only-gpt", "Hello", true);
    let request = world::post(&path, &world.key, &body);
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            let response = world.open(request).await;
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            while body.frame().await.is_some() {}
        });
    });
    counted.bytes_max
}

#[test]
fn memory_per_stream_is_bounded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut world = runtime.block_on(async { World::new() });
    for client in [Protocol::OpenAiChat, Protocol::AnthropicMessages] {
        // Once, for what is made once.
        most_held(&runtime, &mut world, client, 10, 0);
        let short = most_held(&runtime, &mut world, client, 100, 0);
        let long = most_held(&runtime, &mut world, client, 50_000, 0);
        // 64 MiB without an end, as an attacker or a broken provider sends it.
        let endless = most_held(&runtime, &mut world, client, 10, 1_024);
        println!(
            "{client}: 100 chunks {short} bytes, 50,000 chunks {long} bytes, an endless event {endless} bytes"
        );
        assert!(long <= short + 8 * 1_024, "a stream holds the more the longer it is: {short}, then {long}");
        assert!(long <= ORDINARY_MOST, "{client}: {long}");
        assert!(endless <= ENDLESS_MOST, "{client}: {endless}");
    }
}

/// What an ordinary stream holds beside its connections.
const ORDINARY_MOST: u64 = 64 * 1024;
/// One unfinished event of 16 MiB, in a buffer that has doubled, and for a moment the one before it.
const ENDLESS_MOST: u64 = 49 * 1024 * 1024;
