//! What the tests share.

use std::sync::Arc;

use serde_json::{Value, json};
use weighbridge_cache::{CacheStore, KeepingTerms, MemoryCacheStore, StoreLimits};
use weighbridge_pipeline::settings::{RouteSettings, Settings, TargetSettings, UnknownModel};

use crate::world::{self, Answer, World};

pub(crate) const RESPONSES: &str = "/v1/responses";

pub(crate) const HOLDER: &str = "openai-responses/gpt-4o-mini";

/// Two providers that speak Responses and keep answers themselves, then those that do neither.
pub(crate) const MODELS: [&str; 6] = [
    HOLDER,
    "openai/gpt-4o-mini",
    "chat/gpt-4o-mini",
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "bedrock/amazon.nova-lite-v1:0",
];

/// The world with a provider that speaks Chat Completions only.
pub(crate) fn with_chat(settings: &mut Settings) {
    let mut chat = settings.providers[0].clone();
    chat.name = "chat".into();
    chat.spoken.retain(|spoken| spoken.protocol == weighbridge_units::Protocol::OpenAiChat);
    settings.providers.push(chat);
}

pub(crate) fn world() -> World {
    World::with_settings(1, with_chat)
}

pub(crate) fn stored_in(store: &Arc<impl CacheStore + 'static>, terms: KeepingTerms) -> World {
    let store = Arc::clone(store) as Arc<dyn CacheStore>;
    World::keeping(1, with_chat, Some(world::keeping(store, terms)))
}

pub(crate) fn memory(limits: StoreLimits) -> Arc<MemoryCacheStore> {
    Arc::new(MemoryCacheStore::new(limits))
}

pub(crate) fn question(model: &str, text: &str, previous: Option<&str>) -> Value {
    json!({ "model": model, "input": format!("echo:{text}"), "previous_response_id": previous })
}

/// The answer as its client has it: whole, or what the last event of its stream repeats.
pub(crate) fn answer_of(answer: &Answer, stream: bool) -> Value {
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

pub(crate) fn id_of(answer: &Answer) -> String {
    answer_of(answer, false)["id"].as_str().unwrap().to_owned()
}

pub(crate) fn said(answer: &Value) -> &str {
    let mut output = answer["output"].as_array().unwrap().iter();
    output.find(|item| item["type"] == "message").unwrap()["content"][0]["text"].as_str().unwrap()
}

/// The id of an answer's message.
pub(crate) fn message_of(answer: &Value) -> &str {
    let mut output = answer["output"].as_array().unwrap().iter();
    output.find(|item| item["type"] == "message").unwrap()["id"].as_str().unwrap()
}

/// What all providers were sent, the latest last.
pub(crate) fn sent(world: &World) -> Vec<String> {
    let all = [&world.openai, &world.anthropic, &world.google, &world.aws];
    let requests = all.into_iter().flat_map(|provider| provider.requests());
    requests.map(|request| String::from_utf8(request.body.to_vec()).unwrap()).collect()
}

pub(crate) fn sent_to_openai(world: &World) -> Value {
    serde_json::from_slice(&world.openai.requests().last().unwrap().body).unwrap()
}

pub(crate) async fn read(world: &World, id: &str) -> Answer {
    world.get(&format!("{RESPONSES}/{id}")).await
}

pub(crate) fn route(name: &str, targets: &[&str], fallbacks: &[&str]) -> RouteSettings {
    let target = |name: &&str| {
        let (provider, model) = name.split_once('/').unwrap();
        TargetSettings { provider: provider.into(), model: model.into(), weight: 1 }
    };
    RouteSettings {
        fallbacks: fallbacks.iter().map(target).collect(),
        ..RouteSettings::new(name, targets.iter().map(target).collect())
    }
}

/// A world with a provider `own` that keeps answers, and of whose models nobody knows the context.
pub(crate) fn world_of_unknown_context() -> World {
    World::with_settings(1, |settings| {
        let holder = settings.providers.iter().find(|provider| &*provider.name == "openai-responses");
        let mut own = holder.unwrap().clone();
        (own.name, own.price_as) = ("own".into(), "own".into());
        settings.providers.push(own);
        settings.unknown_model = UnknownModel::ZeroAndFlag;
    })
}
