//! Items that requests name by their ids.

use std::time::Duration;

use http::{Method, Request};
use serde_json::{Value, json};
use weighbridge_access::TenantName;
use weighbridge_transport::Rope;

use crate::support::*;
use crate::world::{World, post};

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
