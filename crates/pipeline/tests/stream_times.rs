//! Streams and time, in virtual time: limits, signs of life, and what is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use weighbridge_pipeline::settings::{Settings, Timeouts};
use weighbridge_simulator::Fault;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_translate::keep_alive;
use weighbridge_units::Protocol;
use world::clients::{MODELS, ask, clients, streamed_text};
use world::{CHAT, World};

const SAID: &str =
    "Grüße, how are you? I hope that the load on your scales is none that you have to bear alone.";

/// How many a stream has; providers may have sent some of them.
fn signs_of_life(client: Protocol, stream: &str) -> usize {
    let sign = std::str::from_utf8(keep_alive(client)).unwrap();
    match client {
        // Each frame has two line ends besides.
        Protocol::GeminiGenerateContent => {
            stream.matches(sign).count() - 2 * stream.matches("data: ").count()
        }
        _ => stream.matches(sign).count(),
    }
}

/// What is different about a provider's time limits.
type Change = fn(&mut Timeouts);

fn with_timeouts(change: impl Fn(&mut Timeouts)) -> World {
    let change = |settings: &mut Settings| {
        settings.providers.iter_mut().for_each(|provider| change(&mut provider.timeouts));
    };
    World::with_settings(1, change)
}

fn chat(model: &str) -> serde_json::Value {
    ask(Protocol::OpenAiChat, model, "words:20", true).1
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_begin_is_given_up_for_the_next_target() {
    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }
    // No head; a head and nothing behind it; signs of life, but no content.
    let cases: [(Fault, u64, Change); 5] = [
        (Fault::StallBeforeHead, 5, |limits| limits.first_byte = seconds(5)),
        (Fault::StallMidStream { after_frames: 0 }, 7, |limits| limits.idle = seconds(7)),
        (Fault::SlowFrames(seconds(4)), 6, |limits| limits.first_token = Some(seconds(6))),
        (Fault::StallBeforeHead, 3, |limits| limits.first_token = Some(seconds(3))),
        (Fault::StallMidStream { after_frames: 1 }, 8, |limits| limits.total = seconds(8)),
    ];
    for (fault, limit, change) in cases {
        for model in ["gpt", "claude"] {
            let world = with_timeouts(change);
            let first = if model == "gpt" { &world.openai } else { &world.anthropic };
            first.push_fault(fault.clone());
            let before = Instant::now();
            let answer = world.post(CHAT, &chat(model)).await;
            let record = world.record(&answer).await;
            let case = format!("{model} {fault:?}: {record}");
            assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("2")), "{case}");
            assert_eq!(record["attempts"][0]["outcome"], "timed-out", "{case}");
            assert!(record["attempts"][0]["first_token_us"].is_null(), "{case}");
            assert_eq!(record["attempts"][1]["outcome"], "success", "{case}");
            let waited = before.elapsed();
            assert!(waited >= seconds(limit), "{case}: {waited:?}");
            assert!(waited < seconds(limit) + Duration::from_millis(100), "{case}: {waited:?}");
            assert!(answer.text().ends_with("data: [DONE]\n\n"), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_the_first_content_lets_a_stream_run_that_has_begun() {
    for (model, _) in MODELS {
        let world = with_timeouts(|limits| limits.first_token = Some(Duration::from_secs(20)));
        world.simulators().iter().for_each(|it| it.push_fault(Fault::SlowFrames(Duration::from_secs(3))));
        let answer = world.post(CHAT, &chat(model)).await;
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{model}: {}", answer.text());
    }
    // A whole answer has no first content.
    let world = with_timeouts(|limits| limits.first_token = Some(Duration::from_secs(1)));
    world.openai.push_fault(Fault::SlowHead(Duration::from_secs(3)));
    let mut body = chat("only-gpt");
    body["stream"] = json!(false);
    assert_eq!(world.post(CHAT, &body).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn silence_and_length_end_a_stream_in_the_clients_protocol() {
    let seconds = Duration::from_secs;
    for client in clients() {
        for (fault, limit) in [
            (Fault::StallMidStream { after_frames: 12 }, Timeouts::default().idle),
            // A long answer that always gives signs of life.
            (Fault::SlowFrames(seconds(50)), Timeouts::default().total),
        ] {
            let world = World::new();
            for (model, _) in MODELS {
                world.afresh(Some(&fault));
                let (path, body) = ask(client, model, "pace:1 words:60", true);
                let before = Instant::now();
                let answer = world.post(&path, &body).await;
                let waited = before.elapsed();
                let record = world.record(&answer).await;
                let case = format!("{client} {model} {fault:?}: {waited:?} {} {record}", answer.text());
                assert_eq!(
                    (answer.status, &record["attempts"][0]["outcome"]),
                    (200, &"timed-out".into()),
                    "{case}"
                );
                assert!(waited >= limit && waited < limit + seconds(1), "{case}");
                assert!(answer.text().contains("\"error\"") || answer.text().contains("failed"), "{case}");
                if record["attempts"][0]["provider_protocol"] != client.as_str() {
                    assert_eq!(check(client, &answer.body), Ok(Verdict::EndedWithError), "{case}");
                }
                // Whose answer is long is not to blame: asked again, it answers.
                if matches!(fault, Fault::SlowFrames(_)) {
                    for _ in 0..10 {
                        let again = world.post(&path, &body).await;
                        assert_eq!(again.status, 200, "{case}: {}", again.text());
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_signs_of_life_while_its_provider_is_silent() {
    let worlds = [None, Some(Duration::from_secs(15))].map(|interval| {
        World::with_settings(1, |settings| {
            settings.keep_alive = interval;
            let providers = settings.providers.iter_mut();
            providers.for_each(|provider| provider.timeouts.total = Duration::from_secs(3_600));
        })
    });
    for client in clients() {
        for (model, _) in MODELS {
            let mut texts = Vec::new();
            for world in &worlds {
                world.afresh(Some(&Fault::SlowFrames(Duration::from_secs(40))));
                let (path, body) = ask(client, model, &format!("echo:{SAID}"), true);
                let before = Instant::now();
                let response = world.open(world::post(&path, &world.key, &body)).await;
                assert_eq!(response.status(), 200);
                // Nothing is said before there is content: another target might still have to be tried.
                assert!(before.elapsed() >= Duration::from_secs(40), "{client} {model}");
                let answer = world::read(response).await;
                texts.push((answer.text(), before.elapsed()));
            }
            let [(plain, _), (alive, took)] = &texts[..] else { panic!("two answers") };
            assert_eq!(check(client, alive.as_bytes()), check(client, plain.as_bytes()), "{client} {model}");
            // Two in each pause of 40 s; the first pauses came before the content.
            let signs = signs_of_life(client, alive) - signs_of_life(client, plain);
            assert!(signs >= 2, "{client} {model}: {alive}");
            assert!(signs as u64 <= took.as_secs() / 15, "{client} {model}: {alive}");
            let texts = [plain, alive].map(|answer| streamed_text(client, answer));
            assert_eq!(texts, [SAID, SAID], "{client} {model}: {alive}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn first_content_and_gaps_are_on_the_record() {
    let world = World::new();
    for client in clients() {
        for (model, _) in MODELS {
            world.afresh(Some(&Fault::SlowFrames(Duration::from_secs(1))));
            let (path, body) = ask(client, model, "words:60", true);
            let answer = world.post(&path, &body).await;
            let record = world.record(&answer).await;
            let attempt = &record["attempts"][0];
            let number = |place: &str| attempt.pointer(place).and_then(|number| number.as_u64());
            let first = number("/first_token_us").unwrap_or_else(|| panic!("{client} {model}: {record}"));
            // A second before each frame; the first ones may hold no content.
            assert!((1_000_000..=8_000_000).contains(&first), "{client} {model}: {record}");
            assert!(first >= number("/first_byte_us").unwrap(), "{client} {model}: {record}");
            let gaps = ["/token_gaps/count", "/token_gaps/mean_us", "/token_gaps/longest_us"].map(number);
            let [Some(count), Some(mean), Some(longest)] = gaps else { panic!("{client} {model}: {record}") };
            assert!(count >= 5 && (1_000_000..2_000_000).contains(&mean), "{client} {model}: {record}");
            assert!(longest >= mean && longest <= 5_000_000, "{client} {model}: {record}");
            assert!(first + count * mean <= number("/ended_us").unwrap(), "{client} {model}: {record}");
        }
    }
    // A whole answer has neither.
    world.afresh(None);
    let mut body = chat("only-gpt");
    body["stream"] = json!(false);
    let answer = world.post(CHAT, &body).await;
    let record = world.record(&answer).await;
    let attempt = &record["attempts"][0];
    assert!(attempt["first_token_us"].is_null() && attempt["token_gaps"].is_null(), "{record}");
}
