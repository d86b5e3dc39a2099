//! Answers are read, streamed again and deleted by whom they were given to, and by nobody else.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use serde_json::json;
use weighbridge_access::{MemoryKeyStore, TenantName};
use weighbridge_cache::{CacheStore, Holding, KeepingTerms, StoreLimits};
use weighbridge_pipeline::Jobs;
use weighbridge_simulator::Fault;

use crate::support::*;
use crate::world::post;

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
