//! What is not to be kept is not kept, and what a key that keeps nothing may still do.

use std::sync::Arc;

use weighbridge_cache::{CacheStore, Holding, KeepingTerms, StoreLimits};
use weighbridge_pipeline::settings::{AnswerKeeping, Settings};

use crate::support::*;
use crate::world::{self, World, post};

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
