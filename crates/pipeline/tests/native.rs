//! Native calls: what passes, what does not, and what is left of them in ledger and records.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::json;
use weighbridge_access::{Limits, ModelScope};
use weighbridge_pipeline::settings::NativeCalls;
use weighbridge_simulator::Fault;
use weighbridge_transport::{BoxFuture, ByteStream, Phase, Rope, Transport, TransportError};
use world::{Answer, PEER, World, monthly, post};

const FORM: &str = "multipart/form-data; boundary=x";

fn form(content: &str) -> Bytes {
    let field = |name: &str, text: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    format!("{}{}--x--\r\n", field("purpose", "batch"), field("file", content)).into()
}

fn upload(key: &str, content: &str) -> Request<Full<Bytes>> {
    Request::post("/native/openai/v1/files")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", FORM)
        .body(Full::new(form(content)))
        .unwrap()
}

/// A world, and a key that may make native calls.
fn world() -> (World, String) {
    let mut world = World::new();
    let key = world.add_key(|key| key.native = true);
    (world, key)
}

async fn get(world: &World, key: &str, path: &str) -> Answer {
    world.ask(Method::GET, path, key).await
}

#[tokio::test(start_paused = true)]
async fn files_and_batches_cross_as_they_are() {
    let (world, key) = world();
    let uploaded = world.send(upload(&key, "{\"custom_id\":\"1\"}\n")).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.text());
    assert_eq!(uploaded.header("x-gateway-provider"), Some("openai"));
    let file = uploaded.json()["id"].as_str().unwrap().to_owned();
    let record = world.record_by(&key, &uploaded).await;
    assert_eq!(record["model"], "native/openai", "{record}");
    assert_eq!(record["tags"]["native"], "POST /files", "{record}");
    let attempt = &record["attempts"][0];
    assert_eq!((&attempt["outcome"], &attempt["model"]), (&json!("success"), &json!("native")), "{record}");
    assert_eq!((&attempt["cost_usd"], &attempt["provenance"]), (&json!("0.000000000"), &json!("estimated")));

    let batch =
        json!({ "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    let made = world.send(post("/native/openai/batches", &key, &batch)).await;
    assert_eq!((made.status, &made.json()["status"]), (200, &json!("validating")), "{}", made.text());

    let content = get(&world, &key, &format!("/native/openai/v1/files/{file}/content")).await;
    assert_eq!(
        (content.text(), content.header("content-type")),
        ("{\"custom_id\":\"1\"}\n".into(), Some("application/octet-stream"))
    );
    let listed = get(&world, &key, "/native/openai/v1/files?limit=2").await.json();
    assert_eq!(listed["data"][0]["id"], file.as_str());
    let deleted = world.ask(Method::DELETE, &format!("/native/openai/files/{file}"), &key).await;
    assert_eq!(deleted.json()["deleted"], true);
    // What the provider says no to is its word.
    let gone = get(&world, &key, &format!("/native/openai/files/{file}")).await;
    assert_eq!(gone.status, 404);
    assert!(gone.text().contains("No such file"), "{}", gone.text());
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
    assert_eq!(world.pipeline.open_requests(), 0);

    let requests = world.openai.requests();
    for request in &requests {
        let credential = request.headers["authorization"].to_str().unwrap();
        assert!(credential.starts_with("Bearer sk-openai-"), "{credential}");
        assert!(!format!("{request:?}").contains(&key));
    }
    assert_eq!(requests[0].headers["content-type"], FORM);
    assert_eq!(requests[3].target, "/v1/files?limit=2");
    assert!(!requests[3].headers.contains_key("content-type"));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_metered_like_anything_else() {
    let (world, key) = world();
    for (path, body) in [
        (
            "/native/openai/v1/chat/completions",
            json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "echo:Hi" }] }),
        ),
        ("/native/openai/responses", json!({ "model": "gpt-4o-mini", "input": "echo:Hi" })),
        ("/native/openai/v1/embeddings", json!({ "model": "text-embedding-3-small", "input": "Hi" })),
        (
            "/native/anthropic/v1/messages",
            json!({ "model": "claude-haiku-4-5", "max_tokens": 20, "messages": [{ "role": "user", "content": "echo:Hi" }] }),
        ),
        (
            "/native/gemini/v1beta/models/gemini-2.5-flash:generateContent",
            json!({ "contents": [{ "role": "user", "parts": [{ "text": "echo:Hi" }] }] }),
        ),
        (
            "/native/openai/v1/chat/completions",
            json!({ "model": "gpt-4o-mini", "stream": true, "messages": [{ "role": "user", "content": "echo:Hi" }] }),
        ),
    ] {
        world.afresh(None);
        let answer = world.send(post(path, &key, &body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let record = world.record_by(&key, &answer).await;
        let lines = world.invoice();
        assert_eq!(lines.len(), 1, "{path}");
        let attempt = &record["attempts"][0];
        assert_eq!(attempt["cost_usd"], format!("0.{:09}", lines[0].nano_usd).as_str(), "{path}: {record}");
        assert_eq!(attempt["provenance"], "reported", "{path}: {record}");
        let provider = path.split('/').nth(2).unwrap();
        let model = record["model"].as_str().unwrap();
        assert!(model.starts_with(&format!("{provider}/")), "{path}: {record}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_makes_native_calls_unless_told_so() {
    let (mut world, key) = world();
    for refused in [
        get(&world, &world.key, "/native/openai/v1/files").await,
        get(&world, &world.key, "/native/nobody/x").await,
    ] {
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.text().contains("no native calls"), "{}", refused.text());
    }
    let unknown = get(&world, &key, "/native/nobody/v1/files").await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    // A key for some models makes those calls that name one of them, and others only where it is said.
    let only =
        |models: &[&str]| ModelScope::Only(models.iter().map(|model| model.parse().unwrap()).collect());
    let narrow = world.add_key(|key| (key.native, key.models) = (true, only(&["openai/gpt-4o-mini"])));
    let wide = world.add_key(|key| (key.native, key.models) = (true, only(&["native/openai"])));
    let said =
        |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "echo:Hi" }] });
    let chat = "/native/openai/v1/chat/completions";
    assert_eq!(world.send(post(chat, &narrow, &said("gpt-4o-mini"))).await.status, 200);
    assert_eq!(world.send(post(chat, &narrow, &said("gpt-4o"))).await.status, 403);
    assert_eq!(get(&world, &narrow, "/native/openai/files").await.status, 403);
    assert_eq!(get(&world, &wide, "/native/openai/files").await.status, 200);
    assert_eq!(world.send(post(chat, &wide, &said("gpt-4o"))).await.status, 403);
}

#[tokio::test(start_paused = true)]
async fn paths_stay_below_the_base_url() {
    let (world, key) = world();
    for path in [
        "/native/openai/../v1/files",
        "/native/openai/%2e%2e/files",
        "/native/openai//evil.test/x",
        "/native/openai/a%2Fb",
        "/native/openai/a%255cb",
        "/native/openai/v1/files/..",
    ] {
        let refused = get(&world, &key, path).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.text());
    }
    let refused = world.ask(Method::TRACE, "/native/openai/files", &key).await;
    assert_eq!(refused.status, 405);
    assert_eq!(world.openai.request_count(), 0);
    let request = Request::get(format!("/native/openai/files?key={key}&limit=1"));
    assert_eq!(world.send(request.body(Full::default()).unwrap()).await.status, 200);
    assert_eq!(world.openai.requests()[0].target, "/v1/files?limit=1");
}

#[tokio::test(start_paused = true)]
async fn operators_say_which_paths_and_whether_at_all() {
    let mut world = World::with_settings(1, |settings| {
        for provider in &mut settings.providers {
            match &*provider.name {
                "openai" => provider.native_paths = vec!["/files".into()],
                "anthropic" => provider.native = NativeCalls::Off,
                _ => {}
            }
        }
    });
    let key = world.add_key(|key| key.native = true);
    assert_eq!(get(&world, &key, "/native/openai/v1/files").await.status, 200);
    for path in ["/native/openai/v1/batches", "/native/openai/filesystem"] {
        let refused = get(&world, &key, path).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
    }
    assert_eq!(get(&world, &key, "/native/anthropic/v1/models").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_priced_is_not_for_budgets() {
    let (mut world, _) = world();
    let batch = json!({ "input_file_id": "x", "endpoint": "/v1/embeddings", "completion_window": "24h" });
    let poor = world.add_key(|key| (key.native, key.budgets) = (true, monthly(1_000_000_000)));
    let refused = world.send(post("/native/openai/batches", &poor, &batch)).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "native_unpriced");
    // What makes nothing costs nothing, and what is known is reserved and settled.
    assert_eq!(get(&world, &poor, "/native/openai/batches").await.status, 200);
    let body = json!({ "model": "gpt-4o-mini", "max_tokens": 20, "messages": [{ "role": "user", "content": "echo:Hi" }] });
    assert_eq!(world.send(post("/native/openai/chat/completions", &poor, &body)).await.status, 200);
    // A budget of requests can bear it, as often as it says.
    let few = world
        .add_key(|key| (key.native, key.budgets) = (true, vec!["requests=1 period=day".parse().unwrap()]));
    assert_eq!(world.send(upload(&few, "{}")).await.status, 200);
    assert_eq!(world.send(upload(&few, "{}")).await.status, 429);

    let mut free = World::with_settings(1, |settings| {
        settings.providers.iter_mut().for_each(|provider| provider.native = NativeCalls::Unmetered);
    });
    let poor = free.add_key(|key| (key.native, key.budgets) = (true, monthly(1_000_000_000)));
    assert_eq!(free.send(upload(&poor, "{}")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn limits_of_the_key_count() {
    let (mut world, _) = world();
    let slow = world.add_key(|key| {
        (key.native, key.limits) = (true, Limits { rpm: Some(2), concurrency: Some(1), ..Limits::NONE })
    });
    let open = world
        .open(Request::get("/native/openai/files").header("x-api-key", &slow).body(Full::default()).unwrap())
        .await;
    let refused = get(&world, &slow, "/native/openai/files").await;
    assert_eq!((refused.status, refused.header("x-gateway-limit-kind")), (429, Some("concurrency")));
    drop(open);
    assert_eq!(get(&world, &slow, "/native/openai/files").await.status, 200);
    let refused = get(&world, &slow, "/native/openai/files").await;
    assert_eq!((refused.status, refused.header("x-gateway-limit-kind")), (429, Some("rpm")));
    assert_eq!(world.pipeline.open_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn failures_end_their_attempts() {
    let (world, key) = world();
    for (fault, status, outcome) in [
        (Fault::RefuseConnection, 502, "failed-before-output"),
        (Fault::Reset, 502, "failed-before-output"),
        (Fault::Status { code: 401, retry_after: None }, 502, "failed-before-output"),
        (Fault::Status { code: 503, retry_after: Some(3) }, 503, "failed-before-output"),
    ] {
        world.afresh(Some(&fault));
        let answer = world.send(upload(&key, "{}")).await;
        assert_eq!(answer.status, status, "{fault:?}: {}", answer.text());
        assert!(!answer.text().contains("sk-"), "{}", answer.text());
        let record = world.record_by(&key, &answer).await;
        assert_eq!(record["attempts"][0]["outcome"], outcome, "{fault:?}: {record}");
        assert_eq!(world.pipeline.ledger().outstanding(), 0, "{fault:?}");
        tokio::time::advance(Duration::from_secs(400)).await;
    }
}

/// A provider that answers without end, or says nothing; it counts what is sent to it.
#[derive(Clone, Default)]
struct Odd(Arc<Mutex<u64>>);

impl Transport for Odd {
    fn send(
        &self,
        request: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                *self.0.lock().unwrap() += frame?.into_data().map_or(0, |data| data.len() as u64);
            }
            if path.ends_with("silent") {
                return std::future::pending().await;
            }
            let pieces = vec![
                Ok(Frame::data(Bytes::from_static(b"half"))),
                Err(TransportError::new(Phase::Body, "reset")),
            ];
            let body: ByteStream = Box::pin(StreamBody::new(futures::stream::iter(pieces)));
            Ok(Response::builder().header("content-type", "audio/mpeg").body(body).unwrap())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_are_bounded_and_pass_piece_by_piece() {
    let mut world = World::with_settings(1, |settings| settings.limits.native_bytes = 3_000_000);
    let key = world.add_key(|key| key.native = true);
    let odd = Odd::default();
    let transport: Arc<dyn Transport> = Arc::new(odd.clone());
    let send = |pieces: usize, path: &str| {
        let piece = Bytes::from(vec![7; 1_000_000]);
        let frames = (0..pieces).map(move |_| Ok::<_, std::convert::Infallible>(Frame::data(piece.clone())));
        let body = StreamBody::new(futures::stream::iter(frames.collect::<Vec<_>>()));
        let request =
            Request::post(format!("/native/openai/{path}")).header("x-api-key", &key).body(body).unwrap();
        world.pipeline.handle(&transport, request, PEER)
    };
    // An answer that breaks off does not look as if it had ended.
    let answer = send(3, "audio/speech").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[header::CONTENT_TYPE]),
        (200, &"audio/mpeg".parse().unwrap())
    );
    assert_eq!(*odd.0.lock().unwrap(), 3_000_000);
    let mut body = answer.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
    drop(body);
    let refused = send(4, "audio/speech").await;
    assert_eq!(refused.status(), 413);
    let late = send(1, "silent").await;
    assert_eq!(late.status(), 504);
    assert_eq!((world.pipeline.ledger().outstanding(), world.pipeline.open_requests()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_only_where_what_is_demanded_holds() {
    let mut world = World::with_settings(1, |settings| {
        let openai = settings.providers.iter_mut().find(|provider| &*provider.name == "openai");
        openai.unwrap().labels = "region=us".parse().unwrap();
    });
    let key = world.add_key(|key| key.native = true);
    for (demanded, status) in [("region=eu", 403), ("region=us", 200)] {
        let mut request = upload(&key, "{}");
        request.headers_mut().insert("x-gateway-require", demanded.parse().unwrap());
        let answer = world.send(request).await;
        assert_eq!(answer.status, status, "{demanded}: {}", answer.text());
        let bound = world.add_key(|key| (key.native, key.require) = (true, demanded.parse().unwrap()));
        let answer = world.send(upload(&bound, "{}")).await;
        assert_eq!(answer.status, status, "{demanded} of the key: {}", answer.text());
    }
    assert_eq!(world.openai.request_count(), 2);
}
