//! Credentials of providers: issued ones, keys in the query, keys of different weight.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "of the world, this uses a part")]

mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, Response};
use serde_json::{Value, json};
use weighbridge_catalogue::AuthStyle;
use weighbridge_ledger::{LedgerStore, RollupQuery};
use weighbridge_pipeline::settings::{CredentialProof, ProviderCredential};
use weighbridge_transport::{
    BoxFuture, ByteStream, Generation, Issue, Issued, Phase, Rope, Signer, Transport, TransportError,
};
use weighbridge_units::NanoUsd;
use world::World;

const CHAT: &str = "/v1/chat/completions";

fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "words:5" }] })
}

/// An issuer that gives these tokens one after another, each when it is asked for one and some time after.
struct Script {
    tokens: Vec<&'static str>,
    takes: Duration,
    /// How many were given; the last of them is at hand.
    given: Mutex<usize>,
    asked: AtomicUsize,
    stale: Mutex<bool>,
}

impl Script {
    fn new(tokens: &[&'static str]) -> Arc<Self> {
        Self::slow(tokens, Duration::ZERO)
    }

    fn slow(tokens: &[&'static str], takes: Duration) -> Arc<Self> {
        let (given, asked, stale) = Default::default();
        Arc::new(Self { tokens: tokens.to_vec(), takes, given, asked, stale })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn credential(self: &Arc<Self>) -> ProviderCredential {
        let issued = Issued(Arc::clone(self) as Arc<dyn Issue>);
        CredentialProof::Issued { issued, secrets: Vec::new() }.into()
    }
}

impl Issue for Script {
    fn put(&self, request: &mut Request<Rope>, _: SystemTime) -> Option<Generation> {
        let given = *self.given.lock().unwrap();
        if given == 0 || *self.stale.lock().unwrap() {
            return None;
        }
        let token = HeaderValue::try_from(format!("Bearer {}", self.tokens[given - 1])).unwrap();
        request.headers_mut().insert("authorization", token);
        Some(Generation(given as u64))
    }

    fn ready(&self, _: SystemTime) -> BoxFuture<'_, Result<(), TransportError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            tokio::time::sleep(self.takes).await;
            let mut given = self.given.lock().unwrap();
            if *given == self.tokens.len() {
                return Err(TransportError::new(Phase::Credential, "the issuer is down"));
            }
            *given += 1;
            *self.stale.lock().unwrap() = false;
            Ok(())
        })
    }

    fn refused(&self, generation: Generation, _: SystemTime) -> bool {
        let given = *self.given.lock().unwrap();
        *self.stale.lock().unwrap() = generation.0 == given as u64 && given < self.tokens.len();
        given < self.tokens.len()
    }

    fn secrets(&self, each: &mut dyn FnMut(&str)) {
        self.tokens.iter().for_each(|token| each(token));
    }
}

/// A world whose OpenAI is shown these tokens.
fn world(script: &Arc<Script>) -> World {
    World::with_settings(1, |settings| settings.providers[0].credentials = vec![script.credential()])
}

/// What OpenAI was shown.
fn shown(world: &World) -> Vec<String> {
    let shown = |request: &weighbridge_simulator::ReceivedRequest| {
        request.headers["authorization"].to_str().unwrap().to_owned()
    };
    world.openai.requests().iter().map(shown).collect()
}

#[tokio::test(start_paused = true)]
async fn an_issued_token_is_waited_for_once_and_then_at_hand() {
    let script = Script::slow(&["tok-1"], Duration::from_secs(2));
    let world = world(&script);
    for _ in 0..3 {
        assert_eq!(world.post(CHAT, &chat("only-gpt")).await.status, 200);
    }
    assert_eq!(shown(&world), ["Bearer tok-1"; 3]);
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_at_the_provider_fails_no_request() {
    // The simulator refuses what has this word in it.
    let script = Script::new(&["tok-invalid", "tok-2"]);
    let world = world(&script);
    let answer = world.post(CHAT, &chat("only-gpt")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(shown(&world), ["Bearer tok-invalid", "Bearer tok-2"]);
    let record = world.record(&answer).await;
    let outcomes: Vec<_> = record["attempts"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["failed-before-output", "success"], "{record}");
    assert_eq!(record["attempts"][0]["charged_usd"], "0.000000000", "{record}");
    // The credential is not benched.
    assert_eq!(world.post(CHAT, &chat("only-gpt")).await.status, 200);
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_all_refused_bench_the_credential_and_the_fallback_serves() {
    let script = Script::new(&["tok-invalid-1", "tok-invalid-2", "tok-3"]);
    let world = world(&script);
    let answer = world.post(CHAT, &chat("gpt")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(shown(&world), ["Bearer tok-invalid-1", "Bearer tok-invalid-2"], "one try more, and no other");
    assert_eq!(world.anthropic.request_count(), 1);
    // While it is benched, nobody asks there; then it is asked for the next one.
    assert_eq!(world.post(CHAT, &chat("gpt")).await.status, 200);
    assert_eq!((world.openai.request_count(), world.anthropic.request_count()), (2, 2));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(world.post(CHAT, &chat("gpt")).await.status, 200);
    assert_eq!(shown(&world).last().unwrap(), "Bearer tok-3");
}

#[tokio::test(start_paused = true)]
async fn without_a_credential_nothing_is_sent_and_the_next_provider_serves() {
    let script = Script::new(&[]);
    let world = world(&script);
    let answer = world.post(CHAT, &chat("only-gpt")).await;
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.json()["error"]["message"],
        "The gateway has no valid credential for the provider `openai`; the operator has to look at it."
    );
    tokio::time::advance(Duration::from_secs(10)).await;
    let answer = world.post(CHAT, &chat("gpt")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let record = world.record(&answer).await;
    assert_eq!(record["attempts"][0]["cost_usd"], "0.000000000", "{record}");
    // It is the credential that is benched: the issuer is not asked for every request.
    let asked = script.asked();
    assert_eq!(world.post(CHAT, &chat("gpt")).await.status, 200);
    assert_eq!((script.asked(), world.openai.request_count()), (asked, 0));
    assert_eq!((world.anthropic.request_count(), world.pipeline.ledger().outstanding()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn of_several_credentials_the_next_one_is_shown_where_one_is_not_to_be_had() {
    let script = Script::new(&[]);
    let world = World::with_settings(1, |settings| {
        settings.providers[0].credentials =
            vec![script.credential(), ProviderCredential::key("sk-fine".to_owned())];
    });
    for _ in 0..4 {
        assert_eq!(world.post(CHAT, &chat("only-gpt")).await.status, 200);
    }
    assert_eq!(shown(&world), ["Bearer sk-fine"; 4]);
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_a_credential_is_waited_for_owes_nothing() {
    let script = Script::slow(&["tok-1"], Duration::from_secs(9));
    let world = world(&script);
    let waiting = world.open(world::post(CHAT, &world.key, &chat("only-gpt")));
    assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((world.pipeline.ledger().outstanding(), world.openai.request_count()), (0, 0));
    let query = RollupQuery::ALL;
    let rollups = world.store.rollups(query).await.unwrap();
    assert_eq!(rollups.len(), 1);
    let left = &rollups[0].1;
    assert_eq!(
        (left.attempts, left.estimated, left.cost, left.charged),
        (1, 0, NanoUsd::ZERO, NanoUsd::ZERO)
    );
}

/// A provider that repeats what it was shown.
struct Echoing;

impl Transport for Echoing {
    fn send(
        &self,
        request: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        let shown = request.headers()["authorization"].to_str().unwrap();
        let said =
            json!({ "error": { "message": format!("What is {shown}?"), "type": "invalid_request_error" } });
        let body: ByteStream = Box::pin(Rope::from(bytes::Bytes::from(said.to_string())));
        Box::pin(async { Ok(Response::builder().status(400).body(body).unwrap()) })
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_of_a_token_is_not_passed_on() {
    let mut world = world(&Script::new(&["tok-geheim"]));
    world.transport = Arc::new(Echoing);
    let answer = world.post(CHAT, &chat("only-gpt")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["message"], "What is Bearer [credential removed]?");
}

/// A network as the real transport is: it signs last.
struct Signing(Arc<dyn Transport>);

impl Transport for Signing {
    fn send(
        &self,
        mut request: Request<Rope>,
        connect_timeout: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Signer::apply(&mut request, SystemTime::UNIX_EPOCH).unwrap();
        self.0.send(request, connect_timeout)
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_in_the_query_is_in_the_request_line_only() {
    let mut world = World::with_settings(1, |settings| {
        let google = settings.providers.iter_mut().find(|provider| &*provider.name == "gemini").unwrap();
        google.auth = AuthStyle::Query;
        google.credentials = vec![ProviderCredential::key("AIza-1".to_owned())];
    });
    world.transport = Arc::new(Signing(Arc::clone(&world.transport)));
    for stream in [false, true] {
        let mut body = chat("gemini/gemini-2.5-flash");
        body["stream"] = stream.into();
        let answer = world.post(CHAT, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = world.google.requests().pop().unwrap();
        let expected =
            if stream { ":streamGenerateContent?alt=sse&key=AIza-1" } else { ":generateContent?key=AIza-1" };
        assert!(sent.target.ends_with(expected), "{}", sent.target);
        assert!(!format!("{:?}", sent.headers).contains("AIza"));
        let record = world.record(&answer).await;
        assert!(!record.to_string().contains("AIza"), "{record}");
    }
    // A tenant's own key goes there as well.
    let own = world::open_key(1, "acme", "gemini", "AIza-own-0123456789");
    world.pipeline.put_provider_keys(vec![own]).unwrap();
    assert_eq!(world.post(CHAT, &chat("gemini/gemini-2.5-flash")).await.status, 200);
    let sent = world.google.requests().pop().unwrap();
    assert!(sent.target.ends_with(":generateContent?key=AIza-own-0123456789"), "{}", sent.target);
}

#[tokio::test(start_paused = true)]
async fn keys_of_different_weight_are_shown_as_often() {
    let world = World::with_settings(1, |settings| {
        let key =
            |key: &str, weight| ProviderCredential { weight, ..ProviderCredential::key(key.to_owned()) };
        settings.providers[0].credentials = vec![key("sk-a", 3), key("sk-b", 1), key("sk-c", 0)];
    });
    for _ in 0..40 {
        assert_eq!(world.post(CHAT, &chat("only-gpt")).await.status, 200);
    }
    let shown = shown(&world);
    let count = |key: &str| shown.iter().filter(|shown| shown.ends_with(key)).count();
    assert_eq!([count("sk-a"), count("sk-b"), count("sk-c")], [30, 10, 0]);
}
