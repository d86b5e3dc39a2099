//! Every client against every provider whose stream breaks: it never ends well, and its attempt is settled once,
//! with what was metered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::time::Duration;

use serde_json::Value;
use weighbridge_ledger::{AttemptEntry, LedgerStore};
use weighbridge_simulator::{Fault, InvoiceLine};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_units::{Bucket, NanoUsd, Protocol};
use world::clients::{MODELS, ask, clients};
use world::{Answer, World};

/// At a pace: a failure that comes together with the first content is still one before output.
const PACED: &str = "pace:2 words:60";
const FREE: &str = "0.000000000";
const AFTER: usize = 12;

/// What ends a stream well in each client's protocol.
fn good_ends(client: Protocol) -> &'static [&'static str] {
    match client {
        Protocol::OpenAiChat => &["[DONE]", "\"finish_reason\":\"stop\""],
        Protocol::AnthropicMessages => &["message_stop", "end_turn"],
        Protocol::OpenAiResponses => &["response.completed", "response.incomplete"],
        _ => &["finishReason"],
    }
}

/// One request whose provider fails so; it is invoiced once at most.
async fn failing(
    world: &World,
    client: Protocol,
    model: &str,
    fault: &Fault,
) -> (Answer, Value, Option<InvoiceLine>) {
    world.afresh(Some(fault));
    let (path, body) = ask(client, model, PACED, true);
    let answer = world.post(&path, &body).await;
    let record = world.record(&answer).await;
    // A body that goes on behind the end of its stream is read to its own.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut lines = world.invoice();
    assert!(lines.len() <= 1, "{client} {model} {fault:?}: no second try: {lines:?}");
    assert_eq!(world.pipeline.ledger().outstanding(), 0, "{client} {model} {fault:?}");
    (answer, record, lines.pop())
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_never_ends_well_and_is_settled_with_what_was_metered() {
    for client in clients() {
        for fault in [
            Fault::ErrorMidStream { after_frames: AFTER },
            Fault::CutMidStream { after_frames: AFTER },
            Fault::ResetMidStream { after_frames: AFTER },
            Fault::MalformedMidStream { after_frames: AFTER },
            Fault::StallMidStream { after_frames: AFTER },
        ] {
            let world = World::new();
            for (model, _) in MODELS {
                let (answer, record, line) = failing(&world, client, model, &fault).await;
                let case = format!("{client} {model} {fault:?}: {} {record}", answer.text());
                assert_eq!(answer.status, 200, "{case}");
                assert!(answer.text().contains("error"), "{case}");
                for good in good_ends(client) {
                    assert!(!answer.text().contains(good), "it ends well with {good}: {case}");
                }
                let attempt = &record["attempts"][0];
                // What passes as it came may have the corrupt frame in it.
                if attempt["provider_protocol"] != client.as_str() {
                    assert_eq!(check(client, &answer.body), Ok(Verdict::EndedWithError), "{case}");
                }

                let stalls = matches!(fault, Fault::StallMidStream { .. });
                let outcome = if stalls { "timed-out" } else { "failed-mid-stream" };
                assert_eq!(record["attempts"].as_array().map(Vec::len), Some(1), "{case}");
                assert_eq!(attempt["outcome"], outcome, "{case}");
                assert_eq!(
                    (&attempt["charged_usd"], &attempt["provenance"]),
                    (&FREE.into(), &"estimated".into())
                );
                assert!(attempt["first_token_us"].is_u64(), "{case}");

                let line = line.expect("what was generated is invoiced");
                let entry = world.store.attempt(line.attempt.unwrap()).await.unwrap();
                let Some(AttemptEntry::Ended(ended)) = entry else { panic!("{case}: {entry:?}") };
                assert_eq!(ended.settlement.charged, NanoUsd::ZERO, "{case}");
                assert!(ended.settlement.cost > NanoUsd::ZERO, "somebody bears the cost: {case}");
                let usage = ended.used.usage;
                assert!(usage.prompt() > 0 && usage.get(Bucket::Output) > 0, "{case}: {usage:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_under_status_200_is_no_stream() {
    for client in clients() {
        let world = World::new();
        for (model, _) in MODELS {
            let (answer, record, line) = failing(&world, client, model, &Fault::ErrorUnder200).await;
            let case = format!("{client} {model}: {} {record}", answer.text());
            assert!(answer.status >= 500, "{case}");
            assert!(answer.json()["error"]["message"].is_string(), "{case}");
            let attempt = &record["attempts"][0];
            assert_eq!(
                (&attempt["outcome"], &attempt["charged_usd"]),
                (&"failed-before-output".into(), &FREE.into())
            );
            assert!(line.is_none(), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_ends_counts() {
    for client in clients() {
        let world = World::new();
        for (model, _) in MODELS {
            let (answer, record, line) = failing(&world, client, model, &Fault::TwoEnds).await;
            let case = format!("{client} {model}: {} {record}", answer.text());
            let attempt = &record["attempts"][0];
            assert_eq!(
                (&attempt["outcome"], &attempt["provenance"]),
                (&"success".into(), &"reported".into()),
                "{case}"
            );
            let cost = format!("0.{:09}", line.expect("it is invoiced").nano_usd);
            assert_eq!(attempt["cost_usd"], cost.as_str(), "{case}");
            if attempt["provider_protocol"] != client.as_str() {
                assert_eq!(check(client, &answer.body), Ok(Verdict::EndedWell), "{case}");
            }
        }
    }
}
