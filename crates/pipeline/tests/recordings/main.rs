//! Recorded traffic of real vendors, played to the gateway where each vendor's preset says that it is: what was
//! recorded reaches every client, whole and streamed, and is weighed as the vendor has told. The recordings lie
//! beside the repository (`../shared/fixtures`); where they are missing the tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "what is skipped is said")]

mod cases;
mod told;
#[path = "../world/mod.rs"]
mod world;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use weighbridge_pipeline::settings::{ProviderCredential, ProviderSettings, UnknownModel};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};
use weighbridge_units::{Bucket, Protocol};

use cases::{Case, cases};
use told::{Tokens, Told};
use world::clients::{ask, clients};
use world::{Answer, CHAT, World, post};

/// A vendor that says to everybody what it said once, and keeps what it was sent.
struct Tape {
    status: u16,
    content_type: String,
    said: Bytes,
    /// How many bytes come at once.
    piece: usize,
    sent: Mutex<Vec<(Uri, Bytes)>>,
}

impl Tape {
    fn answer(&self, request: Request<Rope>) -> Response<ByteStream> {
        let (head, body) = request.into_parts();
        self.sent.lock().unwrap().push((head.uri, body.to_bytes()));
        let said: Vec<Bytes> = self.said.chunks(self.piece).map(Bytes::copy_from_slice).collect();
        let frames = futures::stream::iter(said.into_iter().map(|piece| Ok(Frame::data(piece))));
        Response::builder()
            .status(self.status)
            .header("content-type", &self.content_type)
            .body(Box::pin(StreamBody::new(frames)) as ByteStream)
            .unwrap()
    }
}

/// All of them, each at a host of its own.
struct Tapes(HashMap<String, Arc<Tape>>);

impl Transport for Tapes {
    fn send(
        &self,
        request: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        let tape = self.0.get(request.uri().host().unwrap()).unwrap();
        let response = tape.answer(request);
        Box::pin(async { Ok(response) })
    }
}

/// A case, played to the gateway.
struct Played {
    case: Case,
    world: Arc<World>,
    tape: Arc<Tape>,
    /// The provider's name in the gateway's configuration, and its host.
    at: String,
    /// Whether the vendor's preset speaks what was recorded.
    is_presets: bool,
}

impl Played {
    /// Puts all cases into one gateway, a provider for each.
    fn all(cases: Vec<Case>, piece: usize) -> Vec<Self> {
        let (mut providers, mut tapes) = (Vec::new(), HashMap::new());
        for (at, case) in cases.iter().enumerate() {
            let (name, compatible) = (format!("c{at}"), weighbridge_catalogue::preset("openai-compatible"));
            let preset = case.preset().or(compatible).unwrap();
            let known = preset.base_url_in(Some("us-central1"), Some("REDACTED"));
            let known: Uri = known.unwrap_or_else(|| "https://house.test".to_owned()).parse().unwrap();
            let base_url = format!("https://{name}{}", known.path().trim_end_matches('/'));
            providers.push(ProviderSettings {
                name: name.as_str().into(),
                spoken: case.spoken().0,
                credentials: vec![ProviderCredential::key("sk-one".to_owned())],
                ..ProviderSettings::of(preset, base_url)
            });
            let tape = Tape {
                status: case.status,
                content_type: case.content_type.clone(),
                said: case.said.clone(),
                piece,
                sent: Mutex::default(),
            };
            tapes.insert(name, Arc::new(tape));
        }
        let mut world = World::with_settings(1, |settings| {
            settings.providers = providers;
            settings.routes.clear();
            // Usage is what is looked at, and many of the models have no price any more.
            settings.unknown_model = UnknownModel::ZeroAndFlag;
        });
        world.transport = Arc::new(Tapes(tapes.clone()));
        let world = Arc::new(world);
        let played = |(at, case): (usize, Case)| {
            let (at, is_presets) = (format!("c{at}"), case.spoken().1);
            Self { tape: Arc::clone(&tapes[&at]), world: Arc::clone(&world), at, is_presets, case }
        };
        cases.into_iter().enumerate().map(played).collect()
    }

    async fn ask(&self, client: Protocol) -> Answer {
        let model = format!("{}/{}", self.at, self.case.model);
        let (path, mut body) = ask(client, &model, "Hi", self.case.is_stream);
        if client == Protocol::OpenAiChat && self.case.is_stream {
            body["stream_options"] = json!({ "include_usage": true });
        }
        self.world.send(post(&path, &self.world.key, &body)).await
    }

    /// What the vendor said, read by the test alone.
    fn answers(&self) -> Vec<Value> {
        let said = std::str::from_utf8(&self.case.said).unwrap();
        match self.case.is_stream {
            true => told::events(self.case.protocol, said),
            false => vec![serde_json::from_str(said).unwrap()],
        }
    }

    fn told(&self) -> Told {
        match self.case.is_stream {
            true => told::streamed(self.case.protocol, &self.answers()),
            false => told::whole(self.case.protocol, &self.answers()[0]),
        }
    }

    /// The usage of the one attempt, as the record has it.
    async fn recorded(&self, answer: &Answer) -> (Value, Tokens) {
        let record = self.world.record(answer).await;
        let attempt = record["attempts"][0].clone();
        let sum = |of: fn(Bucket) -> bool| {
            let usage = attempt["usage"].as_object().into_iter().flatten();
            let counted = usage.filter(|(name, _)| Bucket::from_name(name).is_some_and(of));
            counted.map(|(_, count)| count.as_u64().unwrap()).sum()
        };
        let tokens = Tokens { prompt: sum(Bucket::is_prompt), answer: sum(Bucket::is_answer) };
        (attempt, tokens)
    }
}

/// Recordings that end with an error, or in the middle; or say, whole, that something went wrong.
const BROKEN: [&str; 7] = [
    "anthropic--error-first-event-overloaded",
    "azure--prompt-content-filtering-1",
    "google-vertex--streaming-failure-error-mid-stream",
    "google-vertex--streaming-failure-invalid-json",
    "groq--tool-use-failed-error-streaming-with-text-1",
    "openai--error-event-flat-shape",
    "openrouter--openrouter-stream-error",
];

/// A recording with a kind of token that the price book has no rate for.
const UNPRICED: [&str; 1] =
    ["mistral--chat-audio-models-mistral-voxtral-small-latest-can-understand-mp3-audi"];

/// Recordings that the test's own reader cannot read: a tool that takes free text, arguments that Gemini sends piece by
/// piece, a sound with its words, and explanations of why nothing was said, which each protocol has elsewhere.
const UNREAD: [&str; 9] = [
    "anthropic--anthropic-refusal",
    "anthropic--anthropic-refusal-v2",
    "google-ai-studio--google-stream-no-args-tool-call",
    "google-ai-studio--google-vertex-stream-tool-call-arguments-nested-1",
    "google-ai-studio--unary-failure-with-message-no-content",
    "google-vertex--google-model-armor-prompt-template-text-gets-blocked-2",
    "google-vertex--multimodal-tool-return-matrix-direct-binary-audio-google-vertex-1",
    "openai--chat-text-to-audio",
    "openai--response-custom-tool-call",
];

fn said_well(is_stream: bool) -> impl Iterator<Item = Case> {
    let is_event = |case: &Case| !case.content_type.contains("amazon");
    cases().into_iter().filter(move |case| {
        case.is_stream == is_stream
            && case.status == 200
            && is_event(case)
            && !BROKEN.contains(&case.name.as_str())
            && !UNREAD.contains(&case.name.as_str())
    })
}

/// What the vendor told is what was weighed: neither figure is smaller than the vendor's, and where the vendor adds
/// them up, they make up its total.
async fn assert_weighed(played: &Played, client: Protocol, answer: &Answer) {
    let name = format!("{} to {client}", played.case.name);
    let (attempt, weighed) = played.recorded(answer).await;
    assert_eq!(attempt["outcome"], "success", "{name}: {attempt}");
    let Some(usage) = told::usage(played.case.protocol, &played.answers()) else {
        assert_ne!(attempt["provenance"], "reported", "{name}: {attempt}");
        return;
    };
    let is_estimated = UNPRICED.contains(&played.case.name.as_str()) || !usage.tells_prompt;
    assert_eq!(attempt["provenance"] == "reported", !is_estimated, "{name}: {attempt}");
    let stated = usage.stated;
    assert!(
        weighed.prompt >= stated.prompt && weighed.answer >= stated.answer,
        "{name}: {attempt} of {usage:?}"
    );
    let sum = stated.prompt + stated.answer;
    // Parts that are larger than their whole are counted beside it, and flagged.
    let is_odd = attempt["usage"]["contradictory"] == true;
    match usage.total.filter(|total| *total >= sum) {
        _ if is_odd => {}
        // What nobody told is not free (rule M7): it is estimated here, and the client is told no more than we were.
        _ if !usage.tells_prompt => {
            assert!(weighed.prompt > 0 && weighed.answer == stated.answer, "{name}: {attempt} of {usage:?}");
            return;
        }
        Some(total) => assert_eq!(weighed.prompt + weighed.answer, total, "{name}: {attempt} of {usage:?}"),
        None => assert_eq!(weighed, stated, "{name}: {attempt} of {usage:?}"),
    }
    // The client is told the same.
    let shown: Vec<Value> = match played.case.is_stream {
        true => told::events(client, &answer.text()),
        false => vec![answer.json()],
    };
    let shown = told::usage(client, &shown).unwrap_or_else(|| panic!("{name}: {}", answer.text()));
    if client != played.case.protocol {
        assert_eq!(shown.stated, weighed, "{name}");
    }
}

/// Looks at each case, and then says which ones were not right.
async fn each<F>(cases: impl Iterator<Item = Case>, piece: usize, check: impl Fn(Played) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut wrong = Vec::new();
    for played in Played::all(cases.collect(), piece) {
        let name = played.case.name.clone();
        if tokio::spawn(check(played)).await.is_err() {
            wrong.push(name);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn whole_answers_of_every_vendor_reach_every_client() {
    each(said_well(false), usize::MAX, whole_answer).await;
}

async fn whole_answer(played: Played) {
    let told = played.told();
    for client in clients() {
        let name = format!("{} to {client}", played.case.name);
        let answer = played.ask(client).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(told::whole(client, &answer.json()), told, "{name}");
        if client == played.case.protocol && client != Protocol::OpenAiResponses {
            assert_eq!(answer.body, played.case.said, "{name}");
        }
        assert_weighed(&played, client, &answer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_every_vendor_reach_every_client() {
    each(said_well(true), 1_000, stream).await;
}

async fn stream(played: Played) {
    let told = played.told();
    for client in clients() {
        let name = format!("{} to {client}", played.case.name);
        let answer = played.ask(client).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        if client != played.case.protocol {
            assert_eq!(check(client, &answer.body), Ok(Verdict::EndedWell), "{name}: {}", answer.text());
        }
        let events = told::events(client, &answer.text());
        assert_eq!(told::streamed(client, &events), told, "{name}");
        // Responses says everything once more at its end.
        if client == Protocol::OpenAiResponses && client != played.case.protocol {
            let whole = &events.last().unwrap()["response"];
            assert_eq!(told::whole(client, whole), told, "{name}");
        }
        assert_weighed(&played, client, &answer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_or_fails_is_never_a_clean_end() {
    let is_broken = |case: &Case| case.status != 200 || BROKEN.contains(&case.name.as_str());
    each(cases().into_iter().filter(is_broken), 1_000, broken).await;
}

async fn broken(played: Played) {
    for client in clients() {
        let name = format!("{} to {client}", played.case.name);
        let answer = played.ask(client).await;
        let (attempt, _) = played.recorded(&answer).await;
        assert_ne!(attempt["outcome"], "success", "{name}: {attempt}");
        if answer.status == 200 {
            assert!(played.case.is_stream, "{name}: {}", answer.text());
            if client != played.case.protocol {
                let verdict = check(client, &answer.body);
                assert_eq!(verdict, Ok(Verdict::EndedWithError), "{name}: {}", answer.text());
            }
        } else {
            // Our credentials are our business: the client's own are right.
            assert!(
                answer.status >= 400 && ![401, 403].contains(&answer.status),
                "{name}: {}",
                answer.status
            );
            let error = answer.json();
            let message = error.pointer("/error/message").and_then(Value::as_str);
            assert!(message.is_some_and(|message| !message.is_empty()), "{name}: {error}");
        }
    }
}

/// Paths that were recorded elsewhere: a plan of Z.ai's for coding, and one of the providers behind Hugging Face's
/// router.
const ELSEWHERE: [&str; 2] = ["/api/coding/paas/v4/", "/together/v1/"];

/// A request that a vendor has taken goes out to it as it was: what is left out of requests, or renamed, is nothing
/// that the vendor takes.
#[tokio::test(start_paused = true)]
async fn what_a_vendor_has_taken_is_sent_as_it_was_to_where_it_was_sent() {
    let is_taken = |case: &Case| {
        case.protocol == Protocol::OpenAiChat
            && case.status == 200
            && case.is_recorded
            && !BROKEN.contains(&case.name.as_str())
    };
    each(cases().into_iter().filter(is_taken), usize::MAX, sent).await;
}

async fn sent(played: Played) {
    let Some(mut request) = played.case.request.clone() else { return };
    let name = &played.case.name;
    let model =
        std::mem::replace(&mut request["model"], json!(format!("{}/{}", played.at, played.case.model)));
    let answer = played.world.send(post(CHAT, &played.world.key, &request)).await;
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    assert_eq!(answer.header("x-gateway-loss"), None, "{name}");
    let (uri, sent) = played.tape.sent.lock().unwrap().pop().unwrap();
    let mut sent: Value = serde_json::from_slice(&sent).unwrap();
    sent["model"] = model.clone();
    request["model"] = model;
    // What makes a stream tell its usage is ours.
    for body in [&mut sent, &mut request] {
        body.as_object_mut().unwrap().remove("stream_options");
    }
    assert_eq!(sent, request, "{name}");
    if played.is_presets && played.case.preset().is_some_and(|preset| is_remote(preset.base_url)) {
        let is_elsewhere = ELSEWHERE.iter().any(|path| played.case.path.starts_with(path));
        assert_eq!(uri.path() != played.case.path, is_elsewhere, "{name}: {uri} for {}", played.case.path);
    }
}

/// Whether a preset has one address for everybody.
fn is_remote(base_url: Option<&str>) -> bool {
    base_url.is_some_and(|url| url.starts_with("https://"))
}
