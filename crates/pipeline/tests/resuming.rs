//! Streams that break off and are continued by another target: one well-formed answer, two attempts, each booked by
//! what it used.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_ledger::{AttemptEntry, LedgerStore, Quantity};
use weighbridge_pipeline::settings::{HedgeAfter, HedgeSettings};
use weighbridge_simulator::Fault;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_units::{AttemptOutcome, NanoUsd, Protocol};
use world::clients::{ask, clients, streamed_text};
use world::{Answer, CHAT, MESSAGES, World, post};

const PACED: &str = "pace:2 words:60";
const CUT: Fault = Fault::CutMidStream { after_frames: 12 };

/// `gpt` goes on at Anthropic. `two` is of two Claudes, at Anthropic and at Vertex.
fn world() -> World {
    World::with_settings(1, |settings| {
        let mut two = settings.routes.iter().find(|route| &*route.name == "only-claude").unwrap().clone();
        let mut other = two.targets[0].clone();
        (other.provider, other.model) = ("vertex".into(), "claude-haiku-4-5@20251001".into());
        (two.name, two.fallbacks) = ("two".into(), vec![other]);
        settings.routes.push(two);
        settings.routes.iter_mut().for_each(|route| route.failover.resume = true);
    })
}

fn outcomes(record: &Value) -> Vec<(&str, &str)> {
    let attempts = record["attempts"].as_array().unwrap();
    attempts.iter().map(|a| (a["provider"].as_str().unwrap(), a["outcome"].as_str().unwrap())).collect()
}

/// Every line of the invoices has its entry, with its cost where that is exact; nothing is pending.
async fn assert_settled(world: &World) -> Vec<(AttemptOutcome, NanoUsd)> {
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!((world.pipeline.ledger().outstanding(), world.pipeline.open_requests()), (0, 0));
    for (account, balance) in world.store.balances().await.unwrap() {
        assert_eq!(balance.pending, Quantity::ZERO, "{account}");
    }
    let mut entries = Vec::new();
    for line in world.invoice() {
        match world.store.attempt(line.attempt.unwrap()).await.unwrap() {
            Some(AttemptEntry::Ended(ended)) => {
                let settled = &ended.settlement;
                if settled.outcome == AttemptOutcome::Success {
                    assert_eq!(settled.cost.get(), line.nano_usd);
                }
                entries.push((settled.outcome, settled.charged));
            }
            other => panic!("{other:?}"),
        }
    }
    entries
}

/// What a stream says in answer to the request, where nothing fails.
async fn said(client: Protocol, path: &str, body: &Value) -> String {
    let answer = World::new().post(path, body).await;
    assert_eq!(check(client, &answer.body), Ok(Verdict::EndedWell), "{}", answer.text());
    streamed_text(client, &answer.text())
}

/// The client has the beginning of what the first said, and all that the second did, who was given that beginning.
async fn assert_joined(world: &World, client: Protocol, answer: &Answer, first: &str) {
    let mut asked = serde_json::from_slice::<Value>(&world.anthropic.requests().pop().unwrap().body).unwrap();
    let turn = asked["messages"].as_array().unwrap().last().unwrap();
    let given = turn["content"].as_str().or(turn["content"][0]["text"].as_str()).unwrap().to_owned();
    assert_eq!((turn["role"].as_str(), given.trim_end()), (Some("assistant"), &*given));
    asked["model"] = "only-claude".into();
    let second = said(Protocol::AnthropicMessages, MESSAGES, &asked).await;
    let all = streamed_text(client, &answer.text());
    let begun = all.strip_suffix(&*second).unwrap_or_else(|| panic!("{all:?} {second:?}"));
    assert!(first.starts_with(begun) && !second.is_empty(), "{first:?} {all:?}");
    assert_eq!(begun.trim_end(), given);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_is_continued_wherever_it_does() {
    for client in clients().filter(|client| *client != Protocol::OpenAiResponses) {
        let (path, body) = ask(client, "gpt", PACED, true);
        let first_said = said(client, &path, &body).await;
        for after_frames in [5, 24] {
            for fault in [
                Fault::CutMidStream { after_frames },
                Fault::ResetMidStream { after_frames },
                Fault::ErrorMidStream { after_frames },
                Fault::MalformedMidStream { after_frames },
                Fault::StallMidStream { after_frames },
            ] {
                let world = world();
                world.openai.push_fault(fault.clone());
                let answer = world.post(&path, &body).await;
                let record = world.record(&answer).await;
                let case = format!("{client} {fault:?}: {} {record}", answer.text());
                assert_eq!(check(client, &answer.body), Ok(Verdict::EndedWell), "{case}");
                let stalls = matches!(fault, Fault::StallMidStream { .. });
                let first = if stalls { "timed-out" } else { "failed-mid-stream" };
                assert_eq!(outcomes(&record), [("openai", first), ("anthropic", "success")], "{case}");
                assert_eq!(record["resumed"], true, "{case}");
                assert_eq!(record["attempts"][0]["charged_usd"], "0.000000000", "{case}");
                let marked = client != Protocol::GeminiGenerateContent;
                assert_eq!(answer.text().matches(": resumed\n\n").count(), usize::from(marked), "{case}");

                assert_joined(&world, client, &answer, &first_said).await;
                let entries = assert_settled(&world).await;
                assert_eq!(entries.len(), 2, "{case}");
                assert!(entries.iter().all(|(outcome, charged)| {
                    (*outcome == AttemptOutcome::Success) == (*charged > NanoUsd::ZERO)
                }));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn within_one_protocol_frames_pass_and_the_other_goes_on_in_them() {
    for fault in
        [CUT, Fault::ErrorMidStream { after_frames: 12 }, Fault::MalformedMidStream { after_frames: 12 }]
    {
        let world = world();
        world.anthropic.push_fault(fault.clone());
        let (path, body) = ask(Protocol::AnthropicMessages, "two", PACED, true);
        let answer = world.post(&path, &body).await;
        let record = world.record(&answer).await;
        let case = format!("{fault:?}: {} {record}", answer.text());
        assert_eq!(check(Protocol::AnthropicMessages, &answer.body), Ok(Verdict::EndedWell), "{case}");
        assert_eq!(outcomes(&record), [("anthropic", "failed-mid-stream"), ("vertex", "success")], "{case}");
        assert_eq!(answer.text().matches("event: message_start").count(), 1, "{case}");
        assert_eq!(assert_settled(&world).await.len(), 2, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_continued_stays_broken() {
    let broken = |answer: &Answer, case: &str| {
        assert_eq!(
            check(Protocol::OpenAiChat, &answer.body),
            Ok(Verdict::EndedWithError),
            "{case}: {}",
            answer.text()
        );
        assert!(!answer.text().contains(": resumed"), "{case}");
    };
    let chat = |change: Value| {
        let (_, mut body) = ask(Protocol::OpenAiChat, "gpt", PACED, true);
        change.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    let cases = [
        ("off", chat(json!({}))),
        ("nobody goes on", chat(json!({ "model": "claude" }))),
        ("nobody is left", chat(json!({ "model": "only-gpt" }))),
        ("two answers", chat(json!({ "n": 2 }))),
    ];
    for (case, body) in cases {
        let world = if case == "off" { World::new() } else { world() };
        let by = if case == "nobody goes on" { &world.anthropic } else { &world.openai };
        by.push_fault(CUT);
        let answer = world.post(CHAT, &body).await;
        broken(&answer, case);
        let record = world.record(&answer).await;
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{case}: {record}");
        assert_eq!(assert_settled(&world).await.len(), 1, "{case}");
    }
    // The second fails before its head, or breaks off as well: no third is asked.
    for (fault, outcome) in [
        (Fault::Status { code: 500, retry_after: None }, "failed-before-output"),
        (Fault::Reset, "failed-before-output"),
        (CUT, "failed-mid-stream"),
        (Fault::ErrorUnder200, "failed-before-output"),
    ] {
        let world = world();
        world.openai.push_fault(CUT);
        world.anthropic.push_fault(fault.clone());
        let answer = world.post(CHAT, &chat(json!({}))).await;
        let record = world.record(&answer).await;
        let case = format!("{fault:?} {} {record}", answer.text());
        assert_eq!(check(Protocol::OpenAiChat, &answer.body), Ok(Verdict::EndedWithError), "{case}");
        assert_eq!(outcomes(&record), [("openai", "failed-mid-stream"), ("anthropic", outcome)], "{case}");
        assert!(assert_settled(&world).await.iter().all(|(_, charged)| *charged == NanoUsd::ZERO), "{case}");
    }
}

/// The answer that the last event of a stream of Responses repeats.
fn last_answer(answer: &Answer) -> Value {
    let text = answer.text();
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let mut event: Value = serde_json::from_str(last).unwrap();
    assert_eq!(event["type"], "response.completed", "{text}");
    event["response"].take()
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_responses_is_continued_and_kept_as_its_client_has_it() {
    let client = Protocol::OpenAiResponses;
    for (before, fault) in [
        (None, CUT),
        (Some("echo:before"), Fault::ErrorMidStream { after_frames: 12 }),
        (None, Fault::StallMidStream { after_frames: 12 }),
    ] {
        let world = world();
        let (path, mut body) = ask(client, "two", PACED, true);
        if let Some(text) = before {
            let first = world.post(&path, &ask(client, "two", text, false).1).await.json();
            body["previous_response_id"] = first["id"].clone();
        }
        world.anthropic.push_fault(fault.clone());
        let answer = world.post(&path, &body).await;
        let record = world.record(&answer).await;
        let case = format!("{fault:?}: {} {record}", answer.text());
        assert_eq!(check(client, &answer.body), Ok(Verdict::EndedWell), "{case}");
        assert_eq!(record["resumed"], true, "{case}");
        let providers: Vec<_> = outcomes(&record).into_iter().map(|(provider, _)| provider).collect();
        assert_eq!((providers, outcomes(&record)[1].1), (vec!["anthropic", "vertex"], "success"), "{case}");

        // The second had what was said before, what was asked, and the beginning of the answer.
        let sent: Value = serde_json::from_slice(&world.google.requests().pop().unwrap().body).unwrap();
        let turns = sent["messages"].as_array().unwrap();
        assert_eq!(turns.len(), if before.is_some() { 4 } else { 2 }, "{sent}");
        let given = turns.last().unwrap();
        let begun = given["content"].as_str().or(given["content"][0]["text"].as_str()).unwrap();
        let text = streamed_text(client, &answer.text());
        assert!(given["role"] == "assistant" && text.starts_with(begun) && text != begun, "{case}");

        // What is kept is what the client was told, and what it has asked itself.
        let told = last_answer(&answer);
        assert_eq!(told["output"][0]["content"][0]["text"], text, "{case}");
        assert_eq!(told["previous_response_id"], body["previous_response_id"], "{case}");
        let id = told["id"].as_str().unwrap();
        assert_eq!(world.get(&format!("{path}/{id}")).await.json(), told, "{case}");
        let items = world.get(&format!("{path}/{id}/input_items")).await.json();
        let newest = &items["data"][0];
        assert_eq!(
            (&newest["role"], &newest["content"][0]["text"]),
            (&json!("user"), &json!(PACED)),
            "{items}"
        );
        let on = json!({ "model": "two", "input": "echo:more", "previous_response_id": id });
        assert_eq!(world.post(&path, &on).await.status, 200);
        let sent: Value = serde_json::from_slice(&world.anthropic.requests().pop().unwrap().body).unwrap();
        let said: Vec<_> = sent["messages"].as_array().unwrap().iter().rev().take(2).collect();
        assert!(said[0].to_string().contains("echo:more"), "{sent}");
        let earlier = said[1]["content"].as_str().or(said[1]["content"][0]["text"].as_str());
        assert_eq!((said[1]["role"].as_str(), earlier), (Some("assistant"), Some(&*text)), "{sent}");
        assert_settled(&world).await;
    }
}

/// Where the first provider speaks Responses itself, and where nobody is left to go on.
#[tokio::test(start_paused = true)]
async fn an_answer_of_responses_that_nobody_continues_ends_as_without_resume() {
    let client = Protocol::OpenAiResponses;
    let world = world();
    let (path, body) = ask(client, "gpt", PACED, true);
    world.openai.push_fault(Fault::CutMidStream { after_frames: 12 });
    let text = world.post(&path, &body).await.text();
    assert!(text.contains("event: error") && !text.contains("response.completed"), "{text}");
    assert_eq!(world.anthropic.request_count(), 0);

    world.anthropic.push_fault(CUT);
    world.google.push_fault(Fault::Status { code: 500, retry_after: None });
    let (_, body) = ask(client, "two", PACED, true);
    let answer = world.post(&path, &body).await;
    assert_eq!(check(client, &answer.body), Ok(Verdict::EndedWithError), "{}", answer.text());
    assert_eq!(world.google.request_count(), 1);
    assert!(assert_settled(&world).await.iter().all(|(_, charged)| *charged == NanoUsd::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_tool_is_not_continued() {
    let world = world();
    let (_, mut body) = ask(Protocol::OpenAiChat, "gpt", "pace:2 tool:f", true);
    body["tools"] =
        json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]);
    let healthy = World::new().post(CHAT, &body).await;
    assert!(healthy.text().contains("tool_calls"), "{}", healthy.text());
    world.openai.push_fault(Fault::CutMidStream { after_frames: 3 });
    let answer = world.post(CHAT, &body).await;
    assert_eq!(check(Protocol::OpenAiChat, &answer.body), Ok(Verdict::EndedWithError), "{}", answer.text());
    assert_eq!(world.anthropic.request_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_trailer_tells_of_it_and_of_the_cost() {
    let world = world();
    for (fault, resumed) in [(None, None), (Some(CUT), Some("true"))] {
        world.afresh(None);
        fault.into_iter().for_each(|fault| world.openai.push_fault(fault));
        let (_, body) = ask(Protocol::OpenAiChat, "gpt", PACED, true);
        let mut request = post(CHAT, &world.key, &body);
        request.headers_mut().insert("te", "trailers".parse().unwrap());
        let response = world.open(request).await;
        assert_eq!(response.headers()["trailer"], "x-gateway-cost-usd, x-gateway-resumed");
        let trailers = response.into_body().collect().await.unwrap().trailers().cloned().unwrap();
        assert_eq!(trailers.get("x-gateway-resumed").map(|value| value.to_str().unwrap()), resumed);
        let charged: NanoUsd = assert_settled(&world)
            .await
            .iter()
            .fold(NanoUsd::ZERO, |sum, (_, charged)| sum.plus(*charged).unwrap());
        assert_eq!(trailers["x-gateway-cost-usd"], charged.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_won_a_race_is_continued_too_and_who_leaves_meanwhile_pays_for_one() {
    let world = World::with_settings(1, |settings| {
        let hedge = HedgeSettings { after: HedgeAfter::Time(std::time::Duration::from_secs(5)), most: 1 };
        settings.routes.iter_mut().for_each(|route| {
            (route.failover.resume, route.failover.hedge) = (true, Some(hedge));
        });
    });
    let (_, body) = ask(Protocol::OpenAiChat, "gpt", PACED, true);
    world.openai.push_fault(CUT);
    let answer = world.post(CHAT, &body).await;
    assert_eq!(check(Protocol::OpenAiChat, &answer.body), Ok(Verdict::EndedWell), "{}", answer.text());
    assert_settled(&world).await;

    let asked = world.anthropic.request_count();
    world.openai.push_fault(CUT);
    world.anthropic.push_fault(Fault::StallBeforeHead);
    let mut leaves = world.open(post(CHAT, &world.key, &body)).await.into_body();
    let read = async { while leaves.frame().await.is_some() {} };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(20), read).await.is_err());
    assert_eq!(world.anthropic.request_count(), asked + 1);
    drop(leaves);
    assert_settled(&world).await;
    assert_eq!(world.anthropic.open_answers(), 0);
}

#[tokio::test(start_paused = true)]
async fn l4_under_an_idempotency_key_the_second_attempt_has_the_claim_and_the_joined_stream_is_kept() {
    let world = world();
    let (_, body) = ask(Protocol::OpenAiChat, "gpt", PACED, true);
    let send = || {
        let mut request = post(CHAT, &world.key, &body);
        request.headers_mut().insert("idempotency-key", "once".parse().unwrap());
        world.send(request)
    };
    world.openai.push_fault(CUT);
    // Whoever asks meanwhile reads along.
    let (first, along) = tokio::join!(send(), async {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        send().await
    });
    assert_eq!(check(Protocol::OpenAiChat, &first.body), Ok(Verdict::EndedWell), "{}", first.text());
    assert!(first.text().contains(": resumed"));
    let entries = assert_settled(&world).await;
    assert_eq!(
        entries.iter().map(|(outcome, _)| *outcome).collect::<Vec<_>>(),
        [AttemptOutcome::FailedMidStream, AttemptOutcome::Success]
    );
    let later = send().await;
    for again in [along, later] {
        assert_eq!(again.body, first.body, "{}", again.text());
        assert_eq!(again.header("x-gateway-cache"), Some("idempotent"));
    }
    assert_eq!(assert_settled(&world).await.len(), 2, "nothing is sent again");
}

#[test]
fn a_model_that_nobody_can_continue_is_told_before_it_is_served() {
    let never = |change: &dyn Fn(&mut weighbridge_pipeline::settings::Settings)| {
        let mut settings = world().settings;
        change(&mut settings);
        let names = weighbridge_pipeline::never_resumed(&settings).unwrap();
        names.iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    let named = |names: &[String], name: &str| names.iter().any(|known| known == name);
    let told = never(&|_| {});
    // One goes on at Anthropic; a Claude alone is broken off by itself, and GPT does not go on.
    assert!(!named(&told, "gpt") && !named(&told, "two"), "{told:?}");
    assert!(named(&told, "only-gpt") && named(&told, "only-claude"), "{told:?}");
    // A fallback that serves no errors is not asked to go on.
    let told = never(&|settings| {
        settings.routes.iter_mut().for_each(|route| route.failover.rules.on_error = false);
    });
    assert!(named(&told, "gpt"), "{told:?}");
    assert!(
        never(&|settings| settings.routes.iter_mut().for_each(|route| route.failover.resume = false))
            .is_empty()
    );
}
