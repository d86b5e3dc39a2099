//! Native calls that leave HTTP: who may, what passes, and how the ends of a session are told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Builder;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;
use weighbridge_access::Limits;
use weighbridge_pipeline::AnswerBody;
use weighbridge_pipeline::settings::NativeCalls;
use weighbridge_transport::{
    BoxFuture, ByteStream, Duplex, Passage, Phase, Rope, Transport, TransportError, Upgraded,
};
use world::{Answer, PEER, World, monthly, read};

/// One end of a pipe in memory, which can break.
struct End(DuplexStream, Arc<Mutex<bool>>);

impl End {
    fn check(&self) -> io::Result<()> {
        if *self.1.lock().unwrap() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Duplex for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let mut space = ReadBuf::new(space);
        std::task::ready!(Pin::new(&mut self.0).poll_read(cx, &mut space))?;
        self.check()?;
        Poll::Ready(Ok(space.filled().len()))
    }

    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What may be in a pipe.
const PIPE_BYTES: usize = 1024;

/// A pipe: the test's end, the gateway's, and what breaks it.
fn pipe() -> (DuplexStream, End, Arc<Mutex<bool>>) {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let broken = Arc::new(Mutex::new(false));
    (ours, End(theirs, broken.clone()), broken)
}

/// A provider that answers one request for an upgrade.
#[derive(Clone)]
struct Switching(Arc<Mutex<Script>>);

struct Script {
    answers: Vec<Result<Upgraded, TransportError>>,
    seen: Vec<(String, HeaderMap)>,
}

impl Switching {
    fn with(answer: Result<Upgraded, TransportError>) -> Self {
        Self(Arc::new(Mutex::new(Script { answers: vec![answer], seen: Vec::new() })))
    }
}

impl Transport for Switching {
    fn send(
        &self,
        _: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async { Ok(Response::new(Box::pin(Rope::new()) as ByteStream)) })
    }

    fn upgrade(
        &self,
        request: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Upgraded, TransportError>> {
        let mut script = self.0.lock().unwrap();
        script.seen.push((request.uri().to_string(), request.headers().clone()));
        let answer = script.answers.pop().unwrap();
        Box::pin(std::future::ready(answer))
    }
}

fn asking() -> Builder {
    Request::get("/native/openai/v1/realtime?model=gpt-realtime")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw==")
        .header("sec-websocket-version", "13")
}

/// A session that has begun.
struct Talk {
    client: DuplexStream,
    client_broken: Arc<Mutex<bool>>,
    provider: DuplexStream,
    provider_broken: Arc<Mutex<bool>>,
    running: JoinHandle<()>,
    id: String,
    head: HeaderMap,
    seen: HeaderMap,
    uri: String,
}

async fn ask(world: &World, transport: &Switching, request: Builder) -> Response<AnswerBody> {
    let transport: Arc<dyn Transport> = Arc::new(transport.clone());
    let request = request.body(Full::<Bytes>::default()).unwrap();
    world.pipeline.handle(&transport, request, PEER).await
}

/// What the provider switches with, and the test's end of it.
fn switching() -> (Switching, DuplexStream, Arc<Mutex<bool>>) {
    let (provider, theirs, broken) = pipe();
    let head = Response::builder()
        .status(101)
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-accept", "HSmrc0sMlYUkAGmm5OPpG2HaGWk=")
        .header("set-cookie", "__cf=1")
        .body(())
        .unwrap();
    (Switching::with(Ok(Upgraded::Switched(head, Box::pin(theirs)))), provider, broken)
}

async fn talk(world: &World, request: Builder) -> Talk {
    let (transport, provider, provider_broken) = switching();
    let mut response = ask(world, &transport, request).await;
    assert_eq!(response.status(), 101);
    let passage = response.extensions_mut().remove::<Passage>().unwrap();
    let head = response.headers().clone();
    let id = head["x-request-id"].to_str().unwrap().to_owned();
    let (client, theirs, client_broken) = pipe();
    let running = tokio::spawn(passage.begin(Box::pin(theirs)).unwrap());
    assert!(passage.begin(Box::pin(pipe().1)).is_none());
    let (uri, seen) = transport.0.lock().unwrap().seen.remove(0);
    Talk { client, client_broken, provider, provider_broken, running, id, head, seen, uri }
}

/// A world, and a key that may make native calls.
fn world() -> (World, String) {
    let mut world = World::new();
    let key = world.add_key(|key| key.native = true);
    (world, key)
}

async fn record(world: &World, key: &str, id: &str) -> Value {
    world.ask(http::Method::GET, &format!("/v1/requests/{id}"), key).await.json()
}

async fn refused(world: &World, request: Builder) -> Answer {
    read(ask(world, &switching().0, request).await).await
}

fn nothing_is_open(world: &World) {
    assert_eq!((world.pipeline.ledger().outstanding(), world.pipeline.open_requests()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_in_both_directions_until_the_provider_closes() {
    let (world, key) = world();
    let mut talk = talk(&world, asking().header("authorization", format!("Bearer {key}"))).await;
    assert!(talk.uri.ends_with("/v1/realtime?model=gpt-realtime"), "{}", talk.uri);
    assert!(talk.seen["authorization"].to_str().unwrap().starts_with("Bearer sk-openai-"));
    assert_eq!(talk.seen["upgrade"], "websocket");
    assert_eq!(talk.seen["sec-websocket-version"], "13");
    assert!(!format!("{:?}", talk.seen).contains(&key));
    assert_eq!(talk.head["connection"], "upgrade");
    assert_eq!(talk.head["upgrade"], "websocket");
    assert_eq!(talk.head["sec-websocket-accept"], "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
    assert!(!talk.head.contains_key("set-cookie"));
    assert_eq!((world.pipeline.ledger().outstanding(), world.pipeline.open_requests()), (1, 1));

    let mut space = [0; 4];
    for _ in 0..1000 {
        talk.client.write_all(b"ping").await.unwrap();
        talk.provider.read_exact(&mut space).await.unwrap();
        assert_eq!(&space, b"ping");
        talk.provider.write_all(b"pong").await.unwrap();
        talk.client.read_exact(&mut space).await.unwrap();
        assert_eq!(&space, b"pong");
    }
    talk.provider.write_all(b"bye").await.unwrap();
    talk.provider.shutdown().await.unwrap();
    let mut rest = String::new();
    talk.client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");
    drop(talk.client);
    talk.running.await.unwrap();
    nothing_is_open(&world);
    let record = record(&world, &key, &talk.id).await;
    assert_eq!((&record["status"], &record["attempts"][0]["outcome"]), (&101.into(), &"success".into()));
    assert_eq!(
        (&record["attempts"][0]["status"], &record["tags"]["native"]),
        (&101.into(), &"GET /realtime".into())
    );
    assert_eq!(record["attempts"][0]["session"], json!({ "up_bytes": 4_000, "down_bytes": 4_003 }));
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_a_session_are_told_apart() {
    let (world, key) = world();
    for (how, outcome) in [
        ("client closes", "client-left"),
        ("client breaks", "client-left"),
        ("provider breaks", "failed-mid-stream"),
        ("nobody says anything", "timed-out"),
        ("they never end", "timed-out"),
        ("it is dropped", "client-left"),
        ("client breaks behind the end", "success"),
    ] {
        let mut talk = talk(&world, asking().header("x-api-key", &key)).await;
        match how {
            "client closes" => {
                talk.client.write_all(b"last").await.unwrap();
                talk.client.shutdown().await.unwrap();
                // What the provider still says arrives.
                let mut said = String::new();
                talk.provider.read_to_string(&mut said).await.unwrap();
                talk.provider.write_all(b"word").await.unwrap();
                drop(talk.provider);
                talk.client.read_to_string(&mut said).await.unwrap();
                assert_eq!(said, "lastword");
            }
            "client breaks" => {
                *talk.client_broken.lock().unwrap() = true;
                drop(talk.client);
            }
            "provider breaks" => {
                *talk.provider_broken.lock().unwrap() = true;
                drop(talk.provider);
            }
            "client breaks behind the end" => {
                drop(talk.provider);
                talk.client.read_to_end(&mut Vec::new()).await.unwrap();
                *talk.client_broken.lock().unwrap() = true;
                drop(talk.client);
            }
            "they never end" => {
                while !talk.running.is_finished() {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    let _ = talk.client.write_all(b"x").await;
                    let _ = talk.provider.read_u8().await;
                }
            }
            "it is dropped" => {
                talk.client.write_all(b"hello").await.unwrap();
                talk.provider.read_exact(&mut [0; 5]).await.unwrap();
                talk.running.abort();
            }
            _ => {}
        }
        let ended = talk.running.await;
        assert_eq!(ended.is_err(), how == "it is dropped", "{how}");
        nothing_is_open(&world);
        let record = record(&world, &key, &talk.id).await;
        assert_eq!(record["attempts"][0]["outcome"], outcome, "{how}: {record}");
        let [up, down] = ["up_bytes", "down_bytes"].map(|it| record["attempts"][0]["session"][it].as_u64());
        match how {
            "client closes" => assert_eq!((up, down), (Some(4), Some(4)), "{how}"),
            "it is dropped" => assert_eq!((up, down), (Some(5), Some(0)), "{how}"),
            "they never end" => assert!(up > Some(10) && down == Some(0), "{how}: {record}"),
            _ => assert_eq!((up, down), (Some(0), Some(0)), "{how}"),
        }
    }
    // None of this speaks against the provider, and one that is never taken up is over as well.
    let (transport, ..) = switching();
    drop(ask(&world, &transport, asking().header("x-api-key", &key)).await);
    nothing_is_open(&world);
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_is_sent_nothing() {
    let (world, key) = world();
    let mut talk = talk(&world, asking().header("x-api-key", &key)).await;
    let mut sent = 0;
    let flood = async {
        while let Ok(length) = talk.provider.write(&[7; 512]).await {
            sent += length;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), flood).await.is_err());
    // Two pipes, and what is in between.
    assert!(sent <= 2 * PIPE_BYTES + 16 * 1024, "{sent}");
    // Not even that is for ever.
    talk.running.await.unwrap();
    assert_eq!(record(&world, &key, &talk.id).await["attempts"][0]["outcome"], "timed-out");
}

#[tokio::test(start_paused = true)]
async fn browsers_prove_who_they_are_among_the_protocols() {
    let (world, key) = world();
    let offered = format!("realtime, openai-insecure-api-key.{key}, openai-project.proj_1");
    let talk = talk(&world, asking().header("sec-websocket-protocol", offered)).await;
    assert_eq!(talk.seen["sec-websocket-protocol"], "realtime");
    assert!(!format!("{:?}", talk.seen).contains(&key));
    let wrong =
        refused(&world, asking().header("sec-websocket-protocol", "openai-insecure-api-key.wb-x")).await;
    assert_eq!(wrong.status, 401, "{}", wrong.text());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_call_may_not_talk() {
    let (mut world, native) = world();
    let answer = refused(&world, asking().header("x-api-key", &world.key)).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    // What a session costs is not known, although it is asked for with GET.
    let poor = world.add_key(|key| (key.native, key.budgets) = (true, monthly(1_000_000_000)));
    let answer = refused(&world, asking().header("x-api-key", &poor)).await;
    assert_eq!(answer.json()["error"]["code"], "native_unpriced", "{}", answer.text());
    let answer =
        refused(&world, asking().header("x-api-key", &native).header("x-gateway-require", "region=eu")).await;
    assert_eq!(answer.status, 403, "{}", answer.text());

    let mut listed = World::with_settings(1, |settings| {
        settings.providers.iter_mut().for_each(|it| it.native_paths = vec!["/files".into()]);
    });
    let key = listed.add_key(|key| key.native = true);
    assert_eq!(refused(&listed, asking().header("x-api-key", &key)).await.status, 403);
    let mut free = World::with_settings(1, |settings| {
        settings.providers.iter_mut().for_each(|provider| provider.native = NativeCalls::Unmetered);
    });
    let poor = free.add_key(|key| (key.native, key.budgets) = (true, monthly(1_000_000_000)));
    assert_eq!(refused(&free, asking().header("x-api-key", &poor)).await.status, 101);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_one_at_once_until_it_ends() {
    let (mut world, _) = world();
    let key = world.add_key(|key| {
        (key.native, key.limits) = (true, Limits { rpm: Some(2), concurrency: Some(1), ..Limits::NONE })
    });
    let talk = talk(&world, asking().header("x-api-key", &key)).await;
    let second = refused(&world, asking().header("x-api-key", &key)).await;
    assert_eq!((second.status, second.header("x-gateway-limit-kind")), (429, Some("concurrency")));
    drop((talk.client, talk.provider));
    talk.running.await.unwrap();
    assert_eq!(refused(&world, asking().header("x-api-key", &key)).await.status, 101);
    let third = refused(&world, asking().header("x-api-key", &key)).await;
    assert_eq!((third.status, third.header("x-gateway-limit-kind")), (429, Some("rpm")));
}

#[tokio::test(start_paused = true)]
async fn other_ways_out_of_http_are_refused() {
    let (world, key) = world();
    let ask = |method: &str| {
        Request::builder().method(method).uri("/native/openai/v1/realtime").header("x-api-key", &key)
    };
    for (what, request) in [
        ("h2c", ask("GET").header("connection", "upgrade").header("upgrade", "h2c")),
        ("two", ask("GET").header("connection", "upgrade").header("upgrade", "websocket, h2c")),
        ("twice", asking().header("x-api-key", &key).header("upgrade", "websocket")),
        ("post", ask("POST").header("connection", "upgrade").header("upgrade", "websocket")),
        ("half", ask("GET").header("upgrade", "websocket")),
        ("http/2", asking().header("x-api-key", &key).version(Version::HTTP_2)),
    ] {
        let answer = refused(&world, request).await;
        assert_eq!(answer.status, 501, "{what}: {}", answer.text());
        assert!(answer.text().contains("websockets"), "{what}: {}", answer.text());
    }
    let with_body = asking().header("x-api-key", &key).body(Full::new(Bytes::from_static(b"x"))).unwrap();
    assert_eq!(world.send(with_body).await.status, 501);
    nothing_is_open(&world);
}

#[tokio::test(start_paused = true)]
async fn who_declines_is_heard_and_failures_end_the_attempt() {
    let (world, key) = world();
    let declined = |status: u16| {
        let body: ByteStream = Box::pin(Rope::from(Bytes::from_static(b"{\"no\":1}")));
        Ok(Upgraded::Declined(Response::builder().status(status).body(body).unwrap()))
    };
    for (answer, status) in [
        (declined(400), 400),
        (declined(426), 426),
        // The gateway's own credential is not the client's business.
        (declined(401), 502),
        (Err(TransportError::new(Phase::Connect, "refused")), 502),
        (Err(TransportError::new(Phase::Head, "reset")), 502),
    ] {
        let transport = Switching::with(answer);
        let answer = read(ask(&world, &transport, asking().header("x-api-key", &key)).await).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let record = world.record_by(&key, &answer).await;
        assert_eq!(record["attempts"][0]["outcome"], "failed-before-output", "{record}");
        assert!(record["attempts"][0]["session"].is_null(), "{record}");
        nothing_is_open(&world);
    }
}
