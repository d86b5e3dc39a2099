//! What each provider's errors come to: status and class for every kind of client, how long the target is
//! left alone, and who answers instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::time::Duration;

use serde_json::{Value, json};
use weighbridge_pipeline::settings::{RouteSettings, TargetSettings};
use weighbridge_simulator::{Fault, Simulator};
use world::{Answer, CHAT, MESSAGES, World};

const RESPONSES: &str = "/v1/responses";

/// A model at each house, and the client's path that decides in which format it is asked.
const ASKED: [(&str, &str); 10] = [
    ("azure/gpt-4o-mini", CHAT),
    ("azure/gpt-4o-mini", RESPONSES),
    ("azure-dated/gpt-4o-mini", MESSAGES),
    ("gemini/gemini-2.5-flash", CHAT),
    ("vertex/gemini-2.5-flash", MESSAGES),
    ("vertex/claude-haiku-4-5@20251001", MESSAGES),
    ("vertex/claude-haiku-4-5@20251001", CHAT),
    ("bedrock/amazon.nova-lite-v1:0", CHAT),
    ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", MESSAGES),
    ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", CHAT),
];

fn ask(path: &str, model: &str, text: &str, stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": text }]);
    match path {
        RESPONSES => json!({ "model": model, "input": text, "stream": stream }),
        _ => json!({ "model": model, "messages": messages, "max_tokens": 200, "stream": stream }),
    }
}

/// A world in which `routed` leads to the model, and from there to Anthropic.
fn world(model: &str) -> World {
    let target = |name: &str| {
        let (provider, model) = name.split_once('/').unwrap();
        TargetSettings { provider: provider.into(), model: model.into(), weight: 1 }
    };
    World::with_settings(1, |settings| {
        settings.routes.push(RouteSettings {
            fallbacks: vec![target("anthropic/claude-haiku-4-5")],
            ..RouteSettings::new("routed", vec![target(model)])
        });
    })
}

/// Who is behind a model's name.
fn behind<'w>(world: &'w World, model: &str) -> &'w Simulator {
    match model.split('/').next().unwrap() {
        "gemini" | "vertex" => &world.google,
        "bedrock" => &world.aws,
        _ => &world.azure,
    }
}

fn status(code: u16) -> Fault {
    Fault::Status { code, retry_after: None }
}

/// The message of an error, in any client's protocol.
fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_error_has_its_status_and_class() {
    for (model, path) in ASKED {
        for stream in [false, true] {
            let is_google = model.starts_with("gemini") || model.starts_with("vertex");
            let is_aws = model.starts_with("bedrock");
            // What goes wrong, what the client is told, and the class in the record.
            let mut cases = vec![
                (status(500), 502, "server", None),
                (status(503), 503, "overloaded", None),
                (status(404), 404, "not-found", None),
                (status(if is_google { 504 } else { 408 }), 504, "timeout", None),
                (status(403), 502, "permission", Some("operator")),
                (Fault::NoCredit, 502, "billing", Some("operator")),
                (Fault::ContextTooLong, 400, "context-too-long", None),
                (Fault::ErrorUnder200, 502, "server", None),
                (Fault::Html { code: 502 }, 502, "server", None),
                (Fault::Empty, 502, "server", None),
            ];
            if is_aws {
                cases.push((status(424), 502, "server", Some("error while processing the model")));
            } else {
                cases.push((status(401), 502, "authentication", Some("operator")));
            }
            if model.starts_with("azure") {
                cases.push((Fault::ContentPolicy, 400, "content-policy", Some("content management policy")));
            }
            for (fault, expected, class, says) in cases {
                let world = world(model);
                let case = format!("{model} at {path} stream={stream} {fault:?}");
                let behind = behind(&world, model);
                // Both credentials are tried where one is refused.
                (0..2).for_each(|_| behind.push_fault(fault.clone()));
                let answer = world.post(path, &ask(path, model, "echo:Hi", stream)).await;
                // Anthropic's clients know another status of overload.
                let expected =
                    if expected == 503 && path == MESSAGES { vec![503, 529] } else { vec![expected] };
                assert!(expected.contains(&answer.status), "{case}: {} {}", answer.status, answer.text());
                let said = message(&answer);
                assert!(!said.is_empty() && !said.contains("no message"), "{case}: {}", answer.text());
                assert!(says.is_none_or(|words| said.contains(words)), "{case}: {said}");
                let record = world.record(&answer).await;
                assert_eq!(record["attempts"][0]["error"], class, "{case}: {record}");
                assert!(world.invoice().is_empty(), "{case}");
                assert_eq!(world.pipeline.ledger().outstanding(), 0, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_is_left_alone_for_as_long_as_it_asks() {
    for (model, path) in ASKED {
        for stream in [false, true] {
            let world = world(model);
            let case = format!("{model} at {path} stream={stream}");
            let behind = behind(&world, model);
            behind.push_fault(Fault::Status { code: 429, retry_after: Some(9) });
            // Alone, it is the client's to wait.
            let answer = world.post(path, &ask(path, model, "echo:Hi", stream)).await;
            assert_eq!((answer.status, answer.header("retry-after")), (429, Some("9")), "{case}");
            let record = world.record(&answer).await;
            assert_eq!(record["attempts"][0]["error"], "rate-limit", "{case}: {record}");

            // Somebody else answers whoever has a choice, until the time has come.
            for (after, by) in [(0, "anthropic"), (8, "anthropic"), (2, model.split('/').next().unwrap())] {
                tokio::time::advance(Duration::from_secs(after)).await;
                let answer = world.post(path, &ask(path, "routed", "echo:Hi", stream)).await;
                assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                assert_eq!(answer.header("x-gateway-provider"), Some(by), "{case} after {after}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failures_go_on_to_the_next_provider() {
    for (model, path) in ASKED {
        for stream in [false, true] {
            for fault in [status(500), status(503), Fault::NoCredit, Fault::ErrorUnder200, Fault::Reset] {
                let world = world(model);
                let case = format!("{model} at {path} stream={stream} {fault:?}");
                (0..2).for_each(|_| behind(&world, model).push_fault(fault.clone()));
                let answer = world.post(path, &ask(path, "routed", "echo:Hi", stream)).await;
                assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                assert_eq!(answer.header("x-gateway-provider"), Some("anthropic"), "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_says_so_and_has_a_cost() {
    for (model, path) in ASKED {
        for fault in [
            Fault::ErrorMidStream { after_frames: 7 },
            Fault::CutMidStream { after_frames: 7 },
            Fault::ResetMidStream { after_frames: 7 },
            Fault::MalformedMidStream { after_frames: 7 },
        ] {
            let world = world(model);
            let case = format!("{model} at {path} {fault:?}");
            behind(&world, model).push_fault(fault);
            let answer = world.post(path, &ask(path, model, "words:60", true)).await;
            assert_eq!(answer.status, 200, "{case}: {}", answer.text());
            let text = answer.text();
            assert!(text.contains("error"), "{case}: {text}");
            for good in ["[DONE]", "message_stop", "\"finish_reason\":\"stop\"", "response.completed"] {
                assert!(!text.contains(good), "{case}: a broken stream must not end well ({good}): {text}");
            }
            let record = world.record(&answer).await;
            let attempt = &record["attempts"][0];
            assert_eq!(attempt["outcome"], "failed-mid-stream", "{case}: {record}");
            assert_ne!(attempt["cost_usd"], "0.000000000", "{case}: {record}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_stops_an_answer_is_told_to_every_client() {
    for stream in [false, true] {
        for (path, reason) in
            [(CHAT, "\"content_filter\""), (MESSAGES, "\"refusal\""), (RESPONSES, "\"content_filter\"")]
        {
            for model in ["azure/gpt-4o-mini", "azure-dated/gpt-4o-mini"] {
                let world = world(model);
                let answer = world.post(path, &ask(path, model, "forbidden", stream)).await;
                let case = format!("{model} at {path} stream={stream}: {}", answer.text());
                assert_eq!(answer.status, 200, "{case}");
                assert!(answer.text().contains(reason), "{case}");
                let record = world.record(&answer).await;
                let cost = format!("0.{:09}", world.invoice()[0].nano_usd);
                assert_eq!(record["attempts"][0]["cost_usd"], cost.as_str(), "{case}");
            }
        }
    }
}
