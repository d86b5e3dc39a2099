//! Bedrock's own calls, which pass as they are and are metered beside: what they used is what the provider bills.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use weighbridge_access::ModelScope;
use weighbridge_simulator::Fault;
use weighbridge_stream::aws::{encode_event, encode_exception};
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};
use world::{Answer, PEER, World, monthly, post, read};

const NOVA: &str = "amazon.nova-lite-v1:0";
const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const TITAN: &str = "amazon.titan-embed-text-v2:0";

fn path(model: &str, call: &str) -> String {
    format!("/native/bedrock/model/{}/{call}", model.replace(':', "%3A"))
}

fn converse(text: &str, most: Option<u64>) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": [{ "text": text }] }] });
    if let Some(most) = most {
        body["inferenceConfig"] = json!({ "maxTokens": most });
    }
    body
}

fn messages(text: &str) -> Value {
    let said = json!([{ "role": "user", "content": text }]);
    json!({ "anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": said })
}

/// Every kind of call that is metered.
fn calls() -> Vec<(String, Value)> {
    vec![
        (path(NOVA, "converse"), converse("words:20", Some(100))),
        (path(NOVA, "converse"), converse("words:20", None)),
        (path(NOVA, "converse-stream"), converse("words:20", Some(100))),
        (path(CLAUDE, "converse-stream"), converse("words:20", Some(100))),
        (path(CLAUDE, "invoke"), messages("words:20")),
        (path(CLAUDE, "invoke-with-response-stream"), messages("words:20")),
    ]
}

fn titan() -> (String, Value) {
    (path(TITAN, "invoke"), json!({ "inputText": "three small words" }))
}

fn world() -> (World, String) {
    let mut world = World::new();
    let key = world.add_key(|key| key.native = true);
    (world, key)
}

/// The only attempt of a request, which the provider has billed by one line of the same cost.
async fn billed(world: &World, key: &str, answer: &Answer, about: &str) -> Value {
    let record = world.record_by(key, answer).await;
    let lines = world.invoice();
    assert_eq!(lines.len(), 1, "{about}");
    let attempt = record["attempts"][0].clone();
    assert_eq!(attempt["cost_usd"], format!("0.{:09}", lines[0].nano_usd).as_str(), "{about}: {record}");
    assert!(lines[0].nano_usd > 0, "{about}");
    attempt
}

#[tokio::test(start_paused = true)]
async fn what_they_used_is_what_is_billed() {
    let (world, key) = world();
    for (path, body) in calls().into_iter().chain([titan()]) {
        world.afresh(None);
        let answer = world.send(post(&path, &key, &body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let attempt = billed(&world, &key, &answer, &path).await;
        assert_eq!(
            (&attempt["provenance"], &attempt["outcome"]),
            (&"reported".into(), &"success".into()),
            "{path}"
        );
        let model = path.split('/').nth(4).unwrap().replace("%3A", ":");
        assert_eq!(attempt["model"], model.as_str(), "{path}");
        let record = world.record_by(&key, &answer).await;
        assert_eq!(record["model"], format!("bedrock/{model}"), "{path}");
        assert_eq!(world.pipeline.ledger().outstanding(), 0, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_pass_byte_by_byte() {
    let (world, key) = world();
    for (path, body) in calls() {
        let mut request = post(&path, &key, &body);
        // What is to be read must not be compressed, whatever the client can take.
        request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
        let answer = world.send(request).await;
        let sent = world.aws.requests().pop().unwrap();
        assert!(sent.headers.get("accept-encoding").is_none_or(|value| value != "gzip"), "{path}");
        assert_eq!(sent.body, body.to_string(), "{path}");
        let is_stream = path.ends_with("stream");
        let kind = if is_stream { "application/vnd.amazon.eventstream" } else { "application/json" };
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_bears_them_and_holds_their_worst() {
    let (mut world, _) = world();
    for (path, body) in calls() {
        world.afresh(None);
        let poor = world.add_key(|key| (key.native, key.budgets) = (true, monthly(1_000_000_000)));
        let answer = world.send(post(&path, &poor, &body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        billed(&world, &poor, &answer, &path).await;
        // Room for nothing at all: the worst does not fit, and nothing is sent.
        let broke = world.add_key(|key| (key.native, key.budgets) = (true, monthly(10)));
        let sent = world.aws.request_count();
        let refused = world.send(post(&path, &broke, &body)).await;
        assert_eq!(refused.status, 429, "{path}: {}", refused.text());
        assert_eq!(world.aws.request_count(), sent, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_bound_is_not_for_budgets() {
    let (mut world, rich) = world();
    let poor = world.add_key(|key| (key.native, key.budgets) = (true, monthly(1_000_000_000)));
    let guarded = json!({ "guardrailIdentifier": "g", "guardrailVersion": "1" });
    let mut with_guardrail = converse("hello", Some(10));
    with_guardrail["guardrailConfig"] = guarded;
    let no_such = path("amazon.no-such-model-v1:0", "converse");
    for (path, body) in [
        // A format of the model's own, which is not understood.
        titan(),
        (path(NOVA, "converse"), with_guardrail),
        // A model that no price is known of.
        (no_such.clone(), converse("hello", Some(10))),
    ] {
        let refused = world.send(post(&path, &poor, &body)).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
        assert_eq!(refused.json()["error"]["code"], "native_unpriced", "{path}");
    }
    assert_eq!(world.aws.request_count(), 0);
    // Names that clients make up are no names in the books.
    let answer = world.send(post(&no_such, &rich, &converse("hello", None))).await;
    let record = world.record_by(&rich, &answer).await;
    assert_eq!(
        (&record["model"], &record["attempts"][0]["model"]),
        (&"native/bedrock".into(), &"native".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_for_some_models_invokes_those() {
    let (mut world, _) = world();
    let only =
        |models: &[&str]| ModelScope::Only(models.iter().map(|model| model.parse().unwrap()).collect());
    let narrow = world.add_key(|key| (key.native, key.models) = (true, only(&[&format!("bedrock/{NOVA}")])));
    let wide = world.add_key(|key| (key.native, key.models) = (true, only(&["native/bedrock"])));
    let other = world.add_key(|key| (key.native, key.models) = (true, only(&["gpt"])));
    for (key, model, status) in
        [(&narrow, NOVA, 200), (&narrow, CLAUDE, 403), (&wide, CLAUDE, 200), (&other, NOVA, 403)]
    {
        let answer = world.send(post(&path(model, "converse"), key, &converse("hello", Some(10)))).await;
        assert_eq!(answer.status, status, "{model}: {}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_entered_as_such() {
    let (world, key) = world();
    let (path, body) = (path(NOVA, "converse-stream"), converse("words:20", Some(100)));
    for (fault, outcome, is_billed) in [
        (Fault::Status { code: 400, retry_after: None }, "failed-before-output", false),
        (Fault::Status { code: 503, retry_after: None }, "failed-before-output", false),
        (Fault::RefuseConnection, "failed-before-output", false),
        (Fault::CutMidStream { after_frames: 3 }, "failed-mid-stream", true),
        (Fault::ErrorMidStream { after_frames: 3 }, "failed-mid-stream", true),
    ] {
        world.afresh(Some(&fault));
        let response = world.open(post(&path, &key, &body)).await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let is_broken = response.into_body().collect().await.is_err();
        // What ends without its end breaks off; an error of the provider's own has been passed on.
        assert_eq!(is_broken, matches!(fault, Fault::CutMidStream { .. }), "{fault:?}");
        let record = world.ask(http::Method::GET, &format!("/v1/requests/{id}"), &key).await.json();
        let attempt = &record["attempts"][0];
        assert_eq!(attempt["outcome"], outcome, "{fault:?}: {record}");
        // The tenant pays for no failure.
        assert_eq!(attempt["charged_usd"], "0.000000000", "{fault:?}: {record}");
        assert_eq!(attempt["cost_usd"] != "0.000000000", is_billed, "{fault:?}: {record}");
        tokio::time::advance(std::time::Duration::from_secs(400)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_pays_for_what_it_was_sent() {
    let (world, key) = world();
    let (path, body) = (path(CLAUDE, "invoke-with-response-stream"), messages("words:200"));
    let response = world.open(post(&path, &key, &body)).await;
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let mut stream = response.into_body();
    for _ in 0..20 {
        stream.frame().await.unwrap().unwrap();
    }
    drop(stream);
    let record = world.ask(http::Method::GET, &format!("/v1/requests/{id}"), &key).await.json();
    let attempt = &record["attempts"][0];
    assert_eq!(attempt["outcome"], "client-left", "{record}");
    assert!(attempt["usage"]["output"].as_u64() > Some(0), "{record}");
    assert_ne!(attempt["charged_usd"], "0.000000000", "{record}");
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
}

/// A provider that answers with this head, and this body in pieces of that length.
struct Told {
    heads: Vec<(String, String)>,
    body: Vec<u8>,
    length: usize,
}

impl Transport for Told {
    fn send(
        &self,
        _: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        let pieces: Vec<_> =
            self.body.chunks(self.length).map(|it| Ok(Frame::data(Bytes::copy_from_slice(it)))).collect();
        let mut response = Response::builder().header("content-type", "application/vnd.amazon.eventstream");
        for (name, value) in &self.heads {
            response = response.header(name, value);
        }
        let body: ByteStream = Box::pin(StreamBody::new(futures::stream::iter(pieces)));
        Box::pin(std::future::ready(Ok(response.body(body).unwrap())))
    }
}

/// As a server sends it on: whoever knows its length does not ask what comes behind it.
#[tokio::test(start_paused = true)]
async fn an_answer_of_a_known_length_ends_with_its_last_byte() {
    let (world, key) = world();
    let said = json!({ "output": { "message": { "role": "assistant", "content": [{ "text": "yes" }] } },
        "stopReason": "end_turn", "usage": { "inputTokens": 7, "outputTokens": 3, "totalTokens": 10 } });
    let body = said.to_string().into_bytes();
    for length in [1, 7, body.len()] {
        let (told, whole) = (body.clone(), body.len());
        let transport: Arc<dyn Transport> =
            Arc::new(Told { heads: vec![("content-length".into(), whole.to_string())], body: told, length });
        let request = post(&path(NOVA, "converse"), &key, &converse("hello", Some(10)));
        let response = world.pipeline.handle(&transport, request, PEER).await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let (mut answer, mut read) = (response.into_body(), 0);
        while read < whole {
            read += answer.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
        drop(answer);
        let record = world.ask(http::Method::GET, &format!("/v1/requests/{id}"), &key).await.json();
        let attempt = &record["attempts"][0];
        assert_eq!(
            (&attempt["outcome"], &attempt["usage"]["input"]),
            (&"success".into(), &7.into()),
            "{record}"
        );
        assert_eq!(world.pipeline.ledger().outstanding(), 0);
    }
}

/// The usage, by bucket, of a model whose own format is not understood.
async fn usage_of_another(call: &str, told: Told) -> (Value, Value) {
    let (world, key) = world();
    let transport: Arc<dyn Transport> = Arc::new(told);
    let request = post(&path(NOVA, call), &key, &json!({ "messages": [] }));
    let answer = read(world.pipeline.handle(&transport, request, PEER).await).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let attempt = world.record_by(&key, &answer).await["attempts"][0].clone();
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
    (attempt["usage"].clone(), attempt["provenance"].clone())
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_counted_by_its_head() {
    let all = vec![("input", "7"), ("output", "3"), ("cache-read-input", "20"), ("cache-write-input", "5")];
    // What a prompt is guessed to be that the answer's counts leave out.
    let guess = json!(weighbridge_tokens::estimate(json!({ "messages": [] }).to_string().len() as u64));
    for (counts, input, provenance) in [
        (all, json!(7), "reported"),
        (vec![("input", "7")], json!(7), "reported"),
        (vec![("output", "3")], guess.clone(), "estimated"),
        (vec![("input", "-1"), ("output", "3")], guess, "estimated"),
        // Nobody knows, and no guess is charged.
        (vec![], Value::Null, "estimated"),
    ] {
        let case = format!("{counts:?}");
        let has_cache = counts.len() == 4;
        let output = counts.iter().any(|(name, _)| *name == "output").then_some(3);
        let head = |(name, count): &(&str, &str)| {
            (format!("x-amzn-bedrock-{name}-token-count"), (*count).to_owned())
        };
        let told = Told { heads: counts.iter().map(head).collect(), body: b"{}".to_vec(), length: 1 };
        let (usage, said) = usage_of_another("invoke", told).await;
        assert_eq!((&usage["input"], &said), (&input, &provenance.into()), "{case}");
        assert_eq!(usage["output"].as_u64().filter(|count| *count > 0), output, "{case}");
        if has_cache {
            let rest = ["output", "cache_read", "cache_write_5m"].map(|bucket| usage[bucket].as_u64());
            assert_eq!(rest, [Some(3), Some(20), Some(5)], "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_counted_by_the_last_event_of_its_stream() {
    // {"generation":"amazon-bedrock-invocationMetrics"}, and a last event with 9 tokens and 4, in base64.
    let events = [
        "eyJnZW5lcmF0aW9uIjoiYW1hem9uLWJlZHJvY2staW52b2NhdGlvbk1ldHJpY3MifQ==",
        "eyJnZW5lcmF0aW9uIjoiIiwiYW1hem9uLWJlZHJvY2staW52b2NhdGlvbk1ldHJpY3MiOnsi\
         aW5wdXRUb2tlbkNvdW50Ijo5LCJvdXRwdXRUb2tlbkNvdW50Ijo0fX0=",
    ];
    let mut stream = Vec::new();
    for event in events {
        encode_event("chunk", format!("{{\"bytes\":\"{event}\"}}").as_bytes(), &mut stream).unwrap();
    }
    for length in [1, 7, 100, stream.len()] {
        let told = Told { heads: Vec::new(), body: stream.clone(), length };
        let (usage, provenance) = usage_of_another("invoke-with-response-stream", told).await;
        assert_eq!((&usage["input"], &usage["output"]), (&json!(9), &json!(4)), "{length}: {usage}");
        assert_eq!(provenance, "reported", "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_does_not_end_well_where_its_framing_tells_of_an_error_or_is_torn() {
    let event = |out: &mut Vec<u8>| encode_event("chunk", br#"{"bytes":"e30="}"#, out).unwrap();
    let (mut failed, mut torn, mut corrupt, mut whole) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for stream in [&mut failed, &mut torn, &mut corrupt, &mut whole] {
        event(stream);
        event(stream);
    }
    encode_exception("throttlingException", br#"{"message":"too fast"}"#, &mut failed).unwrap();
    torn.pop();
    corrupt[20] ^= 1;
    let broken = "failed-mid-stream";
    for (body, outcome, breaks_off) in
        [(failed, broken, false), (torn, broken, true), (corrupt, broken, false), (whole, "success", false)]
    {
        for length in [1, body.len()] {
            let (world, key) = world();
            let transport: Arc<dyn Transport> =
                Arc::new(Told { heads: Vec::new(), body: body.clone(), length });
            let asked = path(NOVA, "invoke-with-response-stream");
            let request = post(&asked, &key, &json!({ "messages": [] }));
            let response = world.pipeline.handle(&transport, request, PEER).await;
            let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
            assert_eq!(response.into_body().collect().await.is_err(), breaks_off, "{outcome}, {length}");
            let record = world.ask(http::Method::GET, &format!("/v1/requests/{id}"), &key).await.json();
            assert_eq!(record["attempts"][0]["outcome"], outcome, "{length}: {record}");
        }
    }
}
