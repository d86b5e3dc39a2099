//! The whole conversation counts: in budgets, in limits, and where it is too long.

use serde_json::json;
use weighbridge_access::TenantName;
use weighbridge_cache::{KeepingTerms, StoreLimits};

use crate::support::*;
use crate::world::{self, post};

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
    let world = world_of_unknown_context();
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
