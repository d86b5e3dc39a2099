//! Answers of OpenAI Responses that are kept: read, gone on from, deleted, whoever gave them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_access::{MemoryKeyStore, TenantName};
use weighbridge_cache::{
    CacheStore, EntryKey, Holding, ItemTag, KeepingTerms, Kept, MemoryCacheStore, StoreError, StoreLimits,
    Tenant,
};
use weighbridge_pipeline::Jobs;
use weighbridge_pipeline::settings::{AnswerKeeping, RouteSettings, Settings, TargetSettings, UnknownModel};
use weighbridge_simulator::Fault;
use weighbridge_transport::Rope;
use weighbridge_units::Timestamp;
use world::{Answer, World, post};

const RESPONSES: &str = "/v1/responses";
const HOLDER: &str = "openai-responses/gpt-4o-mini";
/// Two providers that speak Responses and keep answers themselves, then those that do neither.
const MODELS: [&str; 6] = [
    HOLDER,
    "openai/gpt-4o-mini",
    "chat/gpt-4o-mini",
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "bedrock/amazon.nova-lite-v1:0",
];

/// The world with a provider that speaks Chat Completions only.
fn with_chat(settings: &mut Settings) {
    let mut chat = settings.providers[0].clone();
    chat.name = "chat".into();
    chat.spoken.retain(|spoken| spoken.protocol == weighbridge_units::Protocol::OpenAiChat);
    settings.providers.push(chat);
}

fn world() -> World {
    World::with_settings(1, with_chat)
}

fn stored_in(store: &Arc<impl CacheStore + 'static>, terms: KeepingTerms) -> World {
    let store = Arc::clone(store) as Arc<dyn CacheStore>;
    World::keeping(1, with_chat, Some(world::keeping(store, terms)))
}

fn memory(limits: StoreLimits) -> Arc<MemoryCacheStore> {
    Arc::new(MemoryCacheStore::new(limits))
}

fn question(model: &str, text: &str, previous: Option<&str>) -> Value {
    json!({ "model": model, "input": format!("echo:{text}"), "previous_response_id": previous })
}

/// The answer as its client has it: whole, or what the last event of its stream repeats.
fn answer_of(answer: &Answer, stream: bool) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    if !stream {
        return answer.json();
    }
    let text = answer.text();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = events.map(|data| serde_json::from_str(data).unwrap()).collect();
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed", "{text}");
    assert_eq!(events[0]["response"]["id"], last["response"]["id"], "one id from the first event on: {text}");
    last["response"].clone()
}

fn id_of(answer: &Answer) -> String {
    answer_of(answer, false)["id"].as_str().unwrap().to_owned()
}

fn said(answer: &Value) -> &str {
    let mut output = answer["output"].as_array().unwrap().iter();
    output.find(|item| item["type"] == "message").unwrap()["content"][0]["text"].as_str().unwrap()
}

/// The id of an answer's message.
fn message_of(answer: &Value) -> &str {
    let mut output = answer["output"].as_array().unwrap().iter();
    output.find(|item| item["type"] == "message").unwrap()["id"].as_str().unwrap()
}

/// What all providers were sent, the latest last.
fn sent(world: &World) -> Vec<String> {
    let all = [&world.openai, &world.anthropic, &world.google, &world.aws];
    let requests = all.into_iter().flat_map(|provider| provider.requests());
    requests.map(|request| String::from_utf8(request.body.to_vec()).unwrap()).collect()
}

fn sent_to_openai(world: &World) -> Value {
    serde_json::from_slice(&world.openai.requests().last().unwrap().body).unwrap()
}

async fn read(world: &World, id: &str) -> Answer {
    world.get(&format!("{RESPONSES}/{id}")).await
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_the_answer_is_read_and_deleted() {
    for model in MODELS {
        for stream in [false, true] {
            let world = world();
            let case = format!("{model} stream={stream}");
            let mut body = question(model, "Hi", None);
            body["stream"] = stream.into();
            let answer = world.post(RESPONSES, &body).await;
            let told = answer_of(&answer, stream);
            let id = told["id"].as_str().unwrap();
            assert!(id.starts_with("resp_") && told["store"] == true, "{case}: {told}");

            let kept = read(&world, id).await;
            assert_eq!((kept.status, kept.json()), (200, told.clone()), "{case}");
            if !stream {
                assert_eq!(kept.body, answer.body, "{case}: to the byte");
            }
            let items = world.get(&format!("/openai/v1/responses/{id}/input_items?order=asc")).await.json();
            assert_eq!(items["data"].as_array().map(Vec::len), Some(1), "{case}: {items}");
            assert_eq!(items["data"][0]["content"][0]["text"], "echo:Hi", "{case}: {items}");
            let wrong = world.get(&format!("{RESPONSES}/{id}/input_items?limit=0")).await;
            assert_eq!((wrong.status, &wrong.json()["error"]["param"]), (400, &json!("limit")), "{case}");

            let path = format!("{RESPONSES}/{id}");
            let deleted = world.ask(Method::DELETE, &path, &world.key).await;
            assert_eq!((deleted.status, &deleted.json()["deleted"]), (200, &json!(true)), "{case}");
            for gone in [
                read(&world, id).await,
                world.get(&format!("{path}/input_items")).await,
                world.ask(Method::DELETE, &path, &world.key).await,
            ] {
                assert_eq!((gone.status, &gone.json()["error"]["code"]), (404, &json!("response_not_found")));
            }
            let on = world.post(RESPONSES, &question(model, "Ho", Some(id))).await;
            assert_eq!(on.status, 400, "{case}: {}", on.text());
            assert_eq!(on.json()["error"]["code"], "previous_response_not_found", "{case}");
            assert_eq!(world.pipeline.ledger().outstanding(), 0, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_at_any_provider() {
    for first in MODELS {
        for second in MODELS {
            let world = world();
            let case = format!("{first}, then {second}");
            let one = id_of(&world.post(RESPONSES, &question(first, "apples", None)).await);
            let two = world.post(RESPONSES, &question(second, "pears", Some(&one))).await;
            let told = answer_of(&two, false);
            assert_eq!((said(&told), &told["previous_response_id"]), ("pears", &json!(one)), "{case}");
            // What came before is no loss, wherever it went.
            let losses = two.header("x-gateway-loss").unwrap_or_default();
            assert!(
                !["/input", "/previous", "/store"].iter().any(|lost| losses.contains(lost)),
                "{case}: {losses}"
            );
            let bodies = sent(&world);
            let second_body = bodies.iter().find(|body| body.contains("pears")).unwrap();
            let is_held = first == second && MODELS[..2].contains(&first);
            assert_eq!(second_body.contains(&one), is_held, "{case}: {second_body}");
            // The question and its answer.
            assert_eq!(
                second_body.matches("apples").count(),
                if is_held { 0 } else { 2 },
                "{case}: {second_body}"
            );

            // Where the provider spoke of another request, a third turn has all of both.
            let two = id_of(&two);
            let mut third = question("gemini/gemini-2.5-flash", "plums", Some(&two));
            third["stream"] = true.into();
            let three = answer_of(&world.post(RESPONSES, &third).await, true);
            assert_eq!((said(&three), &three["previous_response_id"]), ("plums", &json!(two)), "{case}");
            let bodies = sent(&world);
            let third_body = bodies.iter().find(|body| body.contains("plums")).unwrap();
            for (fruit, times) in [("apples", 2), ("pears", 2), ("plums", 1)] {
                assert_eq!(third_body.matches(fruit).count(), times, "{case}: {third_body}");
            }
            let path = format!("{RESPONSES}/{}/input_items", three["id"].as_str().unwrap());
            let items = world.get(&path).await.json();
            assert_eq!(items["data"].as_array().map(Vec::len), Some(5), "{case}: {items}");
        }
    }
}

fn route(name: &str, targets: &[&str], fallbacks: &[&str]) -> RouteSettings {
    let target = |name: &&str| {
        let (provider, model) = name.split_once('/').unwrap();
        TargetSettings { provider: provider.into(), model: model.into(), weight: 1 }
    };
    RouteSettings {
        fallbacks: fallbacks.iter().map(target).collect(),
        ..RouteSettings::new(name, targets.iter().map(target).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn another_provider_is_sent_the_whole_conversation_where_the_first_one_fails() {
    for other in MODELS.into_iter().skip(1) {
        let world = World::with_settings(1, |settings| {
            with_chat(settings);
            settings.routes.push(route("answers", &[HOLDER], &[other]));
        });
        let one = id_of(&world.post(RESPONSES, &question("answers", "apples", None)).await);
        world.openai.push_fault(Fault::Status { code: 500, retry_after: None });
        let two = world.post(RESPONSES, &question("answers", "pears", Some(&one))).await;
        assert_eq!(said(&answer_of(&two, false)), "pears", "{other}");
        assert_eq!(two.header("x-gateway-attempts"), Some("2"), "{other}");
        let bodies: Vec<_> = sent(&world).into_iter().filter(|body| body.contains("pears")).collect();
        let [held, replayed] = &bodies[..] else { panic!("{other}: {bodies:?}") };
        assert!(held.contains(&one) && !held.contains("apples"), "{other}: {held}");
        assert!(!replayed.contains(&one), "{other}: an id means nothing elsewhere: {replayed}");
        assert_eq!(replayed.matches("apples").count(), 2, "{other}: {replayed}");

        // Back at the first one, which does not hold what the other one has answered.
        let three = world.post(RESPONSES, &question(HOLDER, "plums", Some(&id_of(&two)))).await;
        assert_eq!(said(&answer_of(&three, false)), "plums", "{other}");
        let sent = sent_to_openai(&world);
        assert_eq!(sent["input"].as_array().map(Vec::len), Some(5), "{other}: {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_with_the_provider_that_holds_it() {
    let world = World::with_settings(1, |settings| {
        settings.routes.push(route(
            "any",
            &["gemini/gemini-2.5-flash", HOLDER, "anthropic/claude-haiku-4-5"],
            &[],
        ));
    });
    let mut previous = id_of(&world.post(RESPONSES, &question(HOLDER, "0", None)).await);
    for turn in 1..8 {
        let answer = world.post(RESPONSES, &question("any", &turn.to_string(), Some(&previous))).await;
        assert_eq!(answer.header("x-gateway-provider"), Some("openai-responses"), "turn {turn}");
        assert_eq!(sent_to_openai(&world)["previous_response_id"], previous.as_str(), "turn {turn}");
        previous = id_of(&answer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_has_forgotten_is_sent_the_whole_conversation() {
    for stream in [false, true] {
        let world = world();
        let one = id_of(&world.post(RESPONSES, &question(HOLDER, "apples", None)).await);
        let forget = Request::delete(format!("http://openai.test/v1/responses/{one}"))
            .header("authorization", "Bearer sk-openai-responses-one")
            .body(Rope::default());
        let forgotten = world.transport.send(forget.unwrap(), Duration::from_secs(1)).await;
        assert_eq!(forgotten.map(|answer| answer.status().as_u16()).unwrap_or_default(), 200);

        let mut body = question(HOLDER, "pears", Some(&one));
        body["stream"] = stream.into();
        let two = world.post(RESPONSES, &body).await;
        assert_eq!(said(&answer_of(&two, stream)), "pears");
        assert_eq!(two.header("x-gateway-attempts"), Some("2"));
        let sent = sent_to_openai(&world);
        assert_eq!(sent["input"].as_array().map(Vec::len), Some(3), "{sent}");
        let record = world.record(&two).await;
        assert_eq!(record["attempts"][0]["outcome"], "failed-before-output", "{record}");
        assert_eq!(world.invoice().len(), 2);
        assert_eq!(world.pipeline.ledger().outstanding(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn other_tenants_find_nothing() {
    let mut world = world();
    let other = world.add_key(|key| key.tenant = TenantName::new("other").unwrap());
    let colleague = world.add_key(|key| key.name = "colleague".into());
    for model in [HOLDER, "gemini/gemini-2.5-flash"] {
        let id = id_of(&world.post(RESPONSES, &question(model, "Hi", None)).await);
        let requests = sent(&world).len();
        let path = format!("{RESPONSES}/{id}");
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::DELETE, path.clone()),
            (Method::GET, format!("{path}/input_items")),
        ] {
            let answer = world.ask(method, &path, &other).await;
            assert_eq!(answer.status, 404, "{model}: {}", answer.text());
        }
        // Also an id that the provider knows goes nowhere, nor does one that nobody could have.
        for previous in [&*id, "resp_made_up", "a b", ""] {
            let on = world.send(post(RESPONSES, &other, &question(model, "Ho", Some(previous)))).await;
            assert_eq!(on.status, 400, "{model} {previous}: {}", on.text());
            let error = &on.json()["error"];
            assert_eq!(error["message"], format!("Previous response with id '{previous}' not found."));
        }
        assert_eq!(sent(&world).len(), requests, "{model}: nothing was sent");
        assert_eq!(
            world.ask(Method::GET, &path, &colleague).await.status,
            200,
            "{model}: the whole tenant reads"
        );
        let on = world.send(post(RESPONSES, &colleague, &question(model, "Ho", Some(&id)))).await;
        assert_eq!(said(&answer_of(&on, false)), "Ho", "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_its_time() {
    let store = memory(StoreLimits::default());
    let hour = Duration::from_secs(3_600);
    let world = stored_in(&store, KeepingTerms { ttl: hour, ..KeepingTerms::default() });
    let one = id_of(&world.post(RESPONSES, &question(HOLDER, "1", None)).await);
    tokio::time::advance(hour - Duration::from_secs(60)).await;
    // It lives as long as what came of it.
    let two = id_of(&world.post(RESPONSES, &question(HOLDER, "2", Some(&one))).await);
    assert_eq!(read(&world, &two).await.status, 200);
    tokio::time::advance(hour - Duration::from_secs(60)).await;
    assert_eq!(read(&world, &one).await.status, 200);
    tokio::time::advance(Duration::from_secs(61)).await;
    for id in [&one, &two] {
        assert_eq!(read(&world, id).await.status, 404);
        let on = world.post(RESPONSES, &question(HOLDER, "3", Some(id))).await;
        assert_eq!(on.status, 400, "{}", on.text());
    }
    assert_eq!(store.holding().await.unwrap().entries, 2);
    let three = id_of(&world.post(RESPONSES, &question(HOLDER, "3", None)).await);
    assert_eq!(read(&world, &three).await.status, 200);
    let jobs = Jobs::start(&world.pipeline, Arc::new(MemoryKeyStore::new()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = store.holding().await.unwrap();
    assert_eq!((left.entries, world.pipeline.kept_answers()), (1, left), "swept");
    jobs.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_behind_where_nothing_is_to_be_kept() {
    // By the client, the key, the configuration, and for want of a place.
    for why in ["client", "key", "settings", "place"] {
        for model in MODELS {
            for stream in [false, true] {
                let store = memory(StoreLimits::default());
                let keeping =
                    world::keeping(Arc::clone(&store) as Arc<dyn CacheStore>, KeepingTerms::default());
                let change = |settings: &mut Settings| {
                    with_chat(settings);
                    if why == "settings" {
                        settings.answer_keeping = AnswerKeeping::Never;
                    }
                };
                let mut world = World::keeping(1, change, (why != "place").then_some(keeping));
                let key = world.add_key(|key| key.allow_store = why != "key");
                let mut body = question(model, "Hi", None);
                body["stream"] = stream.into();
                if why == "client" {
                    body["store"] = false.into();
                }
                let answer = world.send(post(RESPONSES, &key, &body)).await;
                let told = answer_of(&answer, stream);
                let case = format!("{why} {model} stream={stream}: {told}");
                assert_eq!(told["store"], false, "{case}");
                if MODELS[..2].contains(&model) {
                    assert_eq!(sent_to_openai(&world)["store"], false, "{case}");
                }
                let id = told["id"].as_str().unwrap();
                assert_eq!(read(&world, id).await.status, 404, "{case}");
                let on = world.send(post(RESPONSES, &key, &question(model, "Ho", Some(id)))).await;
                assert_eq!(on.status, 400, "{case}: {}", on.text());
                assert_eq!(on.json()["error"]["param"], "previous_response_id", "{case}");
                assert_eq!(store.holding().await.unwrap(), Holding::default(), "{case}");
                assert_eq!(world.pipeline.lost_answers(), 0, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_keeps_nothing_may_go_on_from_what_was_kept() {
    let mut world = world();
    let key = world.add_key(|key| key.allow_store = false);
    for model in MODELS {
        let one = id_of(&world.post(RESPONSES, &question(model, "apples", None)).await);
        let two = world.send(post(RESPONSES, &key, &question(model, "pears", Some(&one)))).await;
        assert_eq!(said(&answer_of(&two, false)), "pears", "{model}");
        assert_eq!(read(&world, &id_of(&two)).await.status, 404, "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_costs_the_oldest_answers_and_no_request() {
    let limits = StoreLimits { entry_bytes: 4_000, total_bytes: 12_000 };
    let store = memory(limits);
    let world = stored_in(&store, KeepingTerms::default());
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(id_of(&world.post(RESPONSES, &question("gemini/gemini-2.5-flash", "Hi", None)).await));
    }
    assert_eq!(read(&world, ids.last().unwrap()).await.status, 200);
    assert_eq!(read(&world, &ids[0]).await.status, 404);
    assert!(store.holding().await.unwrap().bytes <= limits.total_bytes);
    assert_eq!(world.pipeline.lost_answers(), 0);

    let large = world.post(RESPONSES, &question(HOLDER, &"x".repeat(5_000), None)).await;
    assert_eq!(
        read(&world, &id_of(&large)).await.status,
        404,
        "the answer is good, and too large to be kept"
    );
    assert_eq!(world.pipeline.lost_answers(), 1);
}

/// A store that takes its time, or fails.
struct Slow {
    memory: MemoryCacheStore,
    fails: bool,
}

impl Slow {
    fn is_away(&self) -> Result<(), StoreError> {
        if self.fails { Err(StoreError::Unavailable("a test".into())) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl CacheStore for Slow {
    async fn put(&self, kept: Kept) -> Result<u64, StoreError> {
        self.is_away()?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        self.memory.put(kept).await
    }

    async fn get(&self, key: &EntryKey, now: Timestamp) -> Result<Option<Kept>, StoreError> {
        self.is_away()?;
        self.memory.get(key, now).await
    }

    async fn find(
        &self,
        tenant: &Tenant,
        items: &[ItemTag],
        now: Timestamp,
    ) -> Result<Vec<Option<EntryKey>>, StoreError> {
        self.is_away()?;
        self.memory.find(tenant, items, now).await
    }

    async fn prolong(&self, key: &EntryKey, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        self.memory.prolong(key, now, until).await
    }

    async fn delete(&self, key: &EntryKey, now: Timestamp) -> Result<bool, StoreError> {
        self.memory.delete(key, now).await
    }

    async fn sweep(&self, now: Timestamp, limit: u64) -> Result<u64, StoreError> {
        self.memory.sweep(now, limit).await
    }

    async fn holding(&self) -> Result<Holding, StoreError> {
        self.memory.holding().await
    }
}

fn slow(fails: bool) -> Arc<Slow> {
    Arc::new(Slow { memory: MemoryCacheStore::new(StoreLimits::default()), fails })
}

#[tokio::test(start_paused = true)]
async fn no_client_waits_for_the_store_and_none_comes_too_early() {
    for model in MODELS {
        for stream in [false, true] {
            let world = stored_in(&slow(false), KeepingTerms::default());
            let mut body = question(model, "Hi", None);
            body["stream"] = stream.into();
            let ask_answer = async || {
                let before = tokio::time::Instant::now();
                let answer = answer_of(&world.post(RESPONSES, &body).await, stream);
                assert!(before.elapsed() < Duration::from_secs(5), "{model}: the store is behind the answer");
                answer
            };
            let ask = async || ask_answer().await["id"].as_str().unwrap().to_owned();
            // At once, and each of the ways to ask for it first.
            let id = ask().await;
            assert_eq!(read(&world, &id).await.status, 200, "{model} stream={stream}");
            let on = world.post(RESPONSES, &question(model, "Ho", Some(&ask().await))).await;
            assert_eq!(said(&answer_of(&on, false)), "Ho", "{model} stream={stream}");
            let items = json!([{ "type": "item_reference", "id": message_of(&ask_answer().await) }]);
            let named = world.post(RESPONSES, &json!({ "model": model, "input": items })).await;
            assert_eq!(named.status, 200, "{model} stream={stream}: {}", named.text());
            let path = format!("{RESPONSES}/{}", ask().await);
            assert_eq!(
                world.ask(Method::DELETE, &path, &world.key).await.status,
                200,
                "{model} stream={stream}"
            );
            assert_eq!(world.get(&path).await.status, 404, "{model} stream={stream}: it does not come back");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_answers_that_are_being_kept() {
    let store = slow(false);
    let world = stored_in(&store, KeepingTerms::default());
    let jobs = Jobs::start(&world.pipeline, Arc::new(MemoryKeyStore::new()));
    world.directory.refresh(world.keys.clone(), Vec::new());
    let answer = world.post(RESPONSES, &question(HOLDER, "Hi", None)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(store.holding().await.unwrap().entries, 0);
    jobs.stop().await;
    assert_eq!(store.holding().await.unwrap().entries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_takes_no_answer_with_it() {
    let world = stored_in(&slow(true), KeepingTerms::default());
    let id = id_of(&world.post(RESPONSES, &question(HOLDER, "Hi", None)).await);
    let kept = read(&world, &id).await;
    assert_eq!(kept.status, 503, "{}", kept.text());
    assert!(kept.header("retry-after").is_some());
    let on = world.post(RESPONSES, &question(HOLDER, "Ho", Some(&id))).await;
    assert_eq!(on.status, 503, "nobody knows whose it is: {}", on.text());
    assert_eq!(world.pipeline.lost_answers(), 1);
    assert_eq!(world.invoice().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_whole_answers_are_kept() {
    for model in MODELS {
        let store = memory(StoreLimits::default());
        let world = stored_in(&store, KeepingTerms::default());
        let body = json!({ "model": model, "input": "words:200", "stream": true });
        let mut left = world.open(post(RESPONSES, &world.key, &body)).await.into_body();
        left.frame().await.unwrap().unwrap();
        drop(left);
        world.openai.push_fault(Fault::Reset);
        let refused = world.post(RESPONSES, &json!({ "model": "openai/no-such", "input": "Hi" })).await;
        assert_ne!(refused.status, 200, "{model}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(store.holding().await.unwrap(), Holding::default(), "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn r4_a_budget_counts_the_whole_conversation() {
    let mut world = world();
    // Room for a short question, and not for a long history or a window full of one.
    let key = world.add_key(|key| key.budgets = world::monthly(15_000_000));
    let history = "word ".repeat(40_000);
    for model in [HOLDER, "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"] {
        let short = world.send(post(RESPONSES, &key, &question(model, "Hi", None))).await;
        assert_eq!(short.status, 200, "{model}: {}", short.text());
        let body = json!({ "model": HOLDER, "input": format!("{history} echo:Hi") });
        let long = id_of(&world.post(RESPONSES, &body).await);
        let on = world.send(post(RESPONSES, &key, &question(model, "Ho", Some(&long)))).await;
        assert_eq!(on.status, 429, "{model}: {}", on.text());
        assert_eq!(on.header("x-gateway-limit-kind"), Some("budget"), "{model}");
        let free = world.post(RESPONSES, &question(model, "Ho", Some(&long))).await;
        assert_eq!(free.status, 200, "{model}: {}", free.text());
    }
    // A short history costs what it has, not a window, where it is sent in full.
    let short = id_of(&world.post(RESPONSES, &question("gemini/gemini-2.5-flash", "apples", None)).await);
    let on = world.send(post(RESPONSES, &key, &question(HOLDER, "pears", Some(&short)))).await;
    assert_eq!(on.status, 200, "{}", on.text());
}

#[tokio::test(start_paused = true)]
async fn r4_a_model_of_unknown_context_is_sent_what_can_be_bounded() {
    let world = World::with_settings(1, |settings| {
        let holder = settings.providers.iter().find(|provider| &*provider.name == "openai-responses");
        let mut own = holder.unwrap().clone();
        (own.name, own.price_as) = ("own".into(), "own".into());
        settings.providers.push(own);
        settings.unknown_model = UnknownModel::ZeroAndFlag;
    });
    let one = id_of(&world.post(RESPONSES, &question("own/gpt-4o-mini", "apples", None)).await);
    let two = world.post(RESPONSES, &question("own/gpt-4o-mini", "pears", Some(&one))).await;
    assert_eq!(said(&answer_of(&two, false)), "pears");
    let sent = sent_to_openai(&world);
    assert_eq!(sent["input"].as_array().map(Vec::len), Some(3), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_history_that_is_too_long_is_refused() {
    let store = memory(StoreLimits::default());
    let world = stored_in(&store, KeepingTerms { chain_answers: 2, ..KeepingTerms::default() });
    let mut previous = None;
    for _ in 0..3 {
        let answer = world.post(RESPONSES, &question(HOLDER, "Hi", previous.as_deref())).await;
        previous = Some(id_of(&answer));
    }
    let refused = world.post(RESPONSES, &question(HOLDER, "Hi", previous.as_deref())).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let error = &refused.json()["error"];
    assert_eq!(error["param"], "previous_response_id", "{error}");
    assert!(error["message"].as_str().unwrap().contains("more than 2 answers"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_conversation_counts_when_tokens_are_counted() {
    let mut world = world();
    let other = world.add_key(|key| key.tenant = TenantName::new("other").unwrap());
    let history = "apples ".repeat(300);
    let kept = id_of(&world.post(RESPONSES, &question(HOLDER, &history, None)).await);
    for model in MODELS {
        let path = format!("{RESPONSES}/input_tokens");
        let count = world.post(&path, &question(model, "Hi", Some(&kept))).await;
        assert!(count.json()["input_tokens"].as_u64().unwrap() > 300, "{model}: {}", count.text());
        let refused = world.send(post(&path, &other, &question(model, "Hi", Some(&kept)))).await;
        assert_eq!(refused.status, 400, "{model}: {}", refused.text());
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_with_a_kept_answer_is_said() {
    let world = world();
    let id = id_of(&world.post(RESPONSES, &question(HOLDER, "Hi", None)).await);
    let wrong = world.get(&format!("{RESPONSES}/{id}?stream=true&starting_after=x")).await;
    assert_eq!((wrong.status, &wrong.json()["error"]["param"]), (400, &json!("starting_after")));
    let cancelled = world.ask(Method::POST, &format!("{RESPONSES}/{id}/cancel"), &world.key).await;
    assert_eq!(cancelled.status, 400);
    assert_eq!(cancelled.json()["error"]["message"], "Cannot cancel a synchronous response.");
    let unknown = world.ask(Method::POST, &format!("{RESPONSES}/resp_x/cancel"), &world.key).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("response_not_found")));
    let posted = world.ask(Method::POST, &format!("{RESPONSES}/{id}"), &world.key).await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, DELETE")));
    for model in MODELS {
        let mut body = question(model, "Hi", None);
        body["background"] = true.into();
        let (answer, requests) = (world.post(RESPONSES, &body).await, sent(&world).len());
        if MODELS[..2].contains(&model) {
            let error = &answer.json()["error"];
            assert_eq!((answer.status, &error["param"]), (400, &json!("background")), "{model}");
            assert_eq!(requests, 1, "{model}: nothing was sent");
        } else {
            let losses = answer.header("x-gateway-loss").unwrap_or_default();
            assert!(answer.status == 200 && losses.contains("/background"), "{model}: {losses}");
        }
    }
    for wrong in [json!({ "store": "yes" }), json!({ "previous_response_id": 7 })] {
        let mut body = question(HOLDER, "Hi", None);
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let refused = world.post(RESPONSES, &body).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
}

/// Tenants share the account at the provider.
#[tokio::test(start_paused = true)]
async fn what_a_provider_holds_cannot_be_named() {
    let world = World::new();
    for (name, value, status) in [
        ("conversation", json!("conv_1"), 400),
        ("conversation", json!({ "id": "conv_1" }), 400),
        ("input", json!([{ "type": "item_reference", "id": "msg_1" }]), 404),
        ("input", json!([{ "id": "msg_1" }]), 404),
        ("input", json!([{ "type": null, "id": "msg_1" }]), 404),
        ("input", json!([{ "type": "image_generation_call", "id": "ig_1" }]), 404),
    ] {
        for model in ["openai-responses/gpt-4o-mini", "anthropic/claude-haiku-4-5"] {
            let mut body = json!({ "model": model, "input": "echo:Hi" });
            body[name] = value.clone();
            for path in [RESPONSES, "/v1/responses/input_tokens"] {
                let refused = world.post(path, &body).await;
                assert_eq!(refused.status, status, "{}", refused.text());
                assert_eq!(refused.json()["error"]["param"], name, "{}", refused.text());
            }
        }
    }
    assert_eq!(world.openai.request_count() + world.anthropic.request_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn items_are_named_at_any_provider() {
    let item = |id: &str| json!({ "type": "item_reference", "id": id });
    for first in MODELS {
        for second in MODELS {
            let mut world = world();
            let other = world.add_key(|key| key.tenant = TenantName::new("other").unwrap());
            let case = format!("{first}, then {second}");
            let one = answer_of(&world.post(RESPONSES, &question(first, "apples", None)).await, false);
            let path = format!("{RESPONSES}/{}/input_items", one["id"].as_str().unwrap());
            let asked = world.get(&path).await.json()["data"][0]["id"].as_str().unwrap().to_owned();
            // A reference need not say that it is one.
            let named = json!([item(&asked), { "id": message_of(&one) }]);
            let mut body = question(second, "pears", None);
            body["input"] = json!([named[0], named[1], { "role": "user", "content": "echo:pears" }]);
            body["stream"] = (first == second).into();
            let two = world.post(RESPONSES, &body).await;
            let two = answer_of(&two, first == second);
            assert_eq!(said(&two), "pears", "{case}");
            let bodies = sent(&world);
            let sent_body = bodies.iter().find(|body| body.contains("pears")).unwrap();
            assert!(
                !sent_body.contains("item_reference") && !sent_body.contains(&asked),
                "{case}: {sent_body}"
            );
            assert_eq!(sent_body.matches("apples").count(), 2, "{case}: {sent_body}");

            let refused = world.send(post(RESPONSES, &other, &body)).await;
            let error = &refused.json()["error"];
            assert_eq!(error["message"], format!("Item with id '{asked}' not found."), "{case}");
            let expected = (404, &json!("input"), &json!("invalid_request_error"), &json!(null));
            assert_eq!((refused.status, &error["param"], &error["type"], &error["code"]), expected, "{case}");

            // What goes on from it has all of it, and so has its list.
            let two_id = two["id"].as_str().unwrap();
            let list =
                async || world.get(&format!("{RESPONSES}/{two_id}/input_items?order=asc")).await.json();
            let ids: Vec<Value> =
                list().await["data"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
            assert_eq!(ids[..2], [json!(asked), json!(message_of(&one))], "{case}");
            let three = question("gemini/gemini-2.5-flash", "plums", Some(two_id));
            let three = answer_of(&world.post(RESPONSES, &three).await, false);
            let bodies = sent(&world);
            let sent_body = bodies.iter().find(|body| body.contains("plums")).unwrap();
            for (fruit, times) in [("apples", 2), ("pears", 2)] {
                assert_eq!(sent_body.matches(fruit).count(), times, "{case}: {sent_body}");
            }
            assert_eq!(three["previous_response_id"], two_id, "{case}");

            // Without what it names it cannot be gone on from, nor be named.
            let one_path = format!("{RESPONSES}/{}", one["id"].as_str().unwrap());
            assert_eq!(world.ask(Method::DELETE, &one_path, &world.key).await.status, 200, "{case}");
            assert_eq!(list().await["data"].as_array().map(Vec::len), Some(1), "{case}");
            for body in [question(second, "figs", Some(two_id)), body] {
                let refused = world.post(RESPONSES, &body).await;
                assert_eq!(
                    (refused.status, &refused.json()["error"]["param"]),
                    (404, &json!("input")),
                    "{case}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reasoning_is_named_where_it_is_held_and_left_out_elsewhere() {
    const THINKER: &str = "openai-responses/gpt-5-mini";
    for (second, holds) in
        [(THINKER, true), ("openai/gpt-5-mini", false), ("anthropic/claude-haiku-4-5", false)]
    {
        let world = world();
        let one = answer_of(&world.post(RESPONSES, &question(THINKER, "apples", None)).await, false);
        let reasoning = one["output"][0]["id"].as_str().unwrap();
        assert!(reasoning.starts_with("rs_"), "{one}");
        let named = |id: &str| json!({ "type": "item_reference", "id": id });
        let body = json!({ "model": second, "input": [
            { "role": "user", "content": "echo:apples" }, named(reasoning), named(message_of(&one)),
            { "role": "user", "content": "echo:pears" }] });
        let two = world.post(RESPONSES, &body).await;
        assert_eq!(said(&answer_of(&two, false)), "pears", "{second}");
        let bodies = sent(&world);
        let sent_body = bodies.iter().find(|body| body.contains("pears")).unwrap();
        assert_eq!(sent_body.contains(reasoning), holds, "{second}: {sent_body}");
        if !holds {
            continue;
        }
        // Where it has been forgotten, the request is made once more without.
        let forget = format!("http://openai.test/v1/responses/{}", one["id"].as_str().unwrap());
        let forget = Request::delete(forget).header("authorization", "Bearer sk-openai-responses-one");
        world.transport.send(forget.body(Rope::default()).unwrap(), Duration::from_secs(1)).await.unwrap();
        let three = world.post(RESPONSES, &body).await;
        assert_eq!(said(&answer_of(&three, false)), "pears");
        assert_eq!(three.header("x-gateway-attempts"), Some("2"));
        let sent = sent_to_openai(&world);
        assert_eq!(sent["input"].as_array().map(Vec::len), Some(3), "{sent}");
        assert_eq!(world.pipeline.ledger().outstanding(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_holds_what_is_named_is_asked_first() {
    let world = World::with_settings(1, |settings| {
        let any = ["gemini/gemini-2.5-flash", HOLDER, "anthropic/claude-haiku-4-5"];
        settings.routes.push(route("any", &any, &[]));
    });
    let one = answer_of(&world.post(RESPONSES, &question(HOLDER, "apples", None)).await, false);
    let named = json!({ "type": "item_reference", "id": message_of(&one) });
    for _ in 0..4 {
        let body = json!({ "model": "any", "input": [named, { "role": "user", "content": "echo:pears" }] });
        let two = world.post(RESPONSES, &body).await;
        assert_eq!(two.header("x-gateway-provider"), Some("openai-responses"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_is_replayed_and_told_under_the_clients_id() {
    for stream in [false, true] {
        // A model of unknown context is always sent the whole conversation.
        let world = World::with_settings(1, |settings| {
            let holder = settings.providers.iter().find(|provider| &*provider.name == "openai-responses");
            let mut own = holder.unwrap().clone();
            (own.name, own.price_as) = ("own".into(), "own".into());
            settings.providers.push(own);
            settings.unknown_model = UnknownModel::ZeroAndFlag;
        });
        let one = id_of(&world.post(RESPONSES, &question("own/gpt-4o-mini", "apples", None)).await);
        let mut body = question("own/gpt-4o-mini", "pears", Some(&one));
        body["stream"] = stream.into();
        let two = world.post(RESPONSES, &body).await;
        assert!(sent_to_openai(&world)["previous_response_id"].is_null());
        let told = answer_of(&two, stream);
        assert_eq!(told["previous_response_id"], one);
        let repeats = two.text().matches(&format!("\"previous_response_id\":\"{one}\"")).count();
        assert_eq!(repeats, if stream { 3 } else { 1 }, "{}", two.text());
        assert!(!two.text().contains("\"previous_response_id\":null"), "{}", two.text());
        let kept = read(&world, told["id"].as_str().unwrap()).await;
        assert_eq!(kept.json(), told, "kept as the client has it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_answer_is_streamed_again() {
    for model in MODELS {
        let world = world();
        let one = answer_of(&world.post(RESPONSES, &question(model, "apples", None)).await, false);
        let id = one["id"].as_str().unwrap();
        let again = world.get(&format!("{RESPONSES}/{id}?stream=true&include_obfuscation=false")).await;
        assert!(again.header("content-type").unwrap().starts_with("text/event-stream"), "{model}");
        assert_eq!(answer_of(&again, true), one, "{model}");
        let rest = world.get(&format!("{RESPONSES}/{id}?stream=true&starting_after=1")).await;
        assert!(rest.text().starts_with("event: response.output_item.added\n"), "{model}: {}", rest.text());
        assert!(again.text().ends_with(&rest.text()), "{model}");
        let requests = sent(&world).len();
        assert_eq!(requests, 1, "{model}: nobody was asked");
    }
}

#[tokio::test(start_paused = true)]
async fn r8_the_whole_conversation_counts_among_the_tokens_of_a_minute() {
    let history = "word ".repeat(20_000); // more than a model answers, or 16,384 tokens
    for model in [HOLDER, "gemini/gemini-2.5-flash"] {
        for named in [false, true] {
            let mut world = world();
            let key = world.add_key(|key| key.limits.tpm = Some(12_000));
            let body = json!({ "model": model, "input": format!("{history} echo:{history}") });
            let long = answer_of(&world.post(RESPONSES, &body).await, false);
            let sent_before = sent(&world).len();
            let on = match named {
                false => question(model, "Ho", long["id"].as_str()),
                true => json!({ "model": model, "input": [
                    { "type": "item_reference", "id": message_of(&long) },
                    { "role": "user", "content": "echo:Ho" }] }),
            };
            let refused = world.send(post(RESPONSES, &key, &on)).await;
            assert_eq!(refused.status, 429, "{model}: {}", refused.text());
            assert_eq!(refused.header("x-gateway-limit-kind"), Some("tpm"), "{model}");
            assert_eq!(sent(&world).len(), sent_before, "{model}: nothing was sent");
            // Nothing of the limit was consumed.
            let short = world.send(post(RESPONSES, &key, &question(model, "Hi", None))).await;
            assert_eq!(short.status, 200, "{model}: {}", short.text());
            assert!(short.header("x-ratelimit-remaining-tokens").unwrap().parse::<u64>().unwrap() > 11_000);
        }
    }
}
