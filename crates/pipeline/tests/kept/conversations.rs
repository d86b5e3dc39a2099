//! Conversations go on from a kept answer, at whichever provider.

use std::time::Duration;

use http::Request;
use serde_json::json;
use weighbridge_simulator::Fault;
use weighbridge_transport::Rope;

use crate::support::*;
use crate::world::World;

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
async fn what_was_forgotten_is_replayed_and_told_under_the_clients_id() {
    for stream in [false, true] {
        // A model of unknown context is always sent the whole conversation.
        let world = world_of_unknown_context();
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
