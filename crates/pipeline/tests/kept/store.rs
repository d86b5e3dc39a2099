//! The store that answers are kept in: full, slow, or failing.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::json;
use weighbridge_access::MemoryKeyStore;
use weighbridge_cache::{
    CacheStore, EntryKey, Holding, ItemTag, KeepingTerms, Kept, MemoryCacheStore, StoreError, StoreLimits,
    Tenant,
};
use weighbridge_pipeline::Jobs;
use weighbridge_units::Timestamp;

use crate::support::*;

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
