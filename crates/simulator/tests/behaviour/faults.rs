//! How a simulated provider fails, and what it bills then.

use std::time::Duration;

use crate::support::{ENDPOINTS, Endpoint, answer, binary_frames, body, events, exchange, request, streamed};
use http_body_util::BodyExt;
use weighbridge_simulator::{AnswerEnd, Fault, FaultMix, InvoiceLine, Simulator};

/// What a caller sees of a fault, and what is billed.
async fn under(
    fault: Fault,
    endpoint: Endpoint,
    stream: bool,
) -> (Result<(u16, Vec<u8>), String>, Option<InvoiceLine>) {
    let simulator = Simulator::new(endpoint.vendor());
    simulator.push_fault(fault);
    let body = if stream { streamed(endpoint, "words:50") } else { body(endpoint, "words:50") };
    let seen = tokio::time::timeout(Duration::from_secs(60), exchange(&simulator, &body)).await;
    let seen = match seen {
        Ok(seen) => seen.map(|(status, _, bytes)| (status, bytes.to_vec())),
        Err(_) => Err("timed out".to_owned()),
    };
    let mut invoice = simulator.invoice();
    assert!(invoice.len() <= 1 && simulator.open_answers() == 0);
    (seen, invoice.pop())
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_the_answer_is_not_billed() {
    for endpoint in ENDPOINTS {
        for stream in [false, true] {
            for (fault, status) in [
                (Fault::Status { code: 503, retry_after: Some(3) }, 503),
                (Fault::Status { code: 429, retry_after: None }, 429),
                (Fault::ContextTooLong, 400),
                (Fault::ErrorUnder200, 200),
                (Fault::Html { code: 502 }, 502),
                (Fault::Empty, 200),
            ] {
                let (seen, line) = under(fault.clone(), endpoint, stream).await;
                assert_eq!(seen.map(|(status, _)| status), Ok(status), "{fault:?}");
                assert_eq!(line, None, "{fault:?}");
            }
            for fault in [Fault::RefuseConnection, Fault::Reset] {
                let (seen, line) = under(fault, endpoint, stream).await;
                assert!(seen.is_err() && line.is_none());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_refuses_or_is_answered() {
    for endpoint in ENDPOINTS {
        for stream in [false, true] {
            let (seen, line) = under(Fault::ContentPolicy, endpoint, stream).await;
            let (status, bytes) = seen.expect("an answer");
            match endpoint {
                Endpoint::Gemini | Endpoint::GeminiArray => {
                    assert_eq!(status, 200);
                    assert!(String::from_utf8_lossy(&bytes).contains("PROHIBITED_CONTENT"));
                    let line = line.expect("billed");
                    assert_eq!((line.usage.answer(), line.told, line.end), (0, true, AnswerEnd::Complete));
                }
                _ => assert_eq!((status, line), (400, None)),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_billed_to_its_last_frame() {
    for endpoint in ENDPOINTS {
        let whole = under(Fault::SlowHead(Duration::ZERO), endpoint, true).await.1.expect("billed");
        assert_eq!((whole.end, whole.told), (AnswerEnd::Complete, true));
        for fault in [
            Fault::StallMidStream { after_frames: 8 },
            Fault::CutMidStream { after_frames: 8 },
            Fault::ResetMidStream { after_frames: 8 },
            Fault::ErrorMidStream { after_frames: 8 },
        ] {
            let (seen, line) = under(fault.clone(), endpoint, true).await;
            let line = line.expect("billed");
            assert_eq!((line.end, line.told), (AnswerEnd::Faulted, false), "{fault:?}");
            assert_eq!(line.usage.prompt(), whole.usage.prompt());
            assert!(line.usage.output > 0 && line.usage.output < whole.usage.output, "{fault:?} {line:?}");
            let broken = matches!(fault, Fault::StallMidStream { .. } | Fault::ResetMidStream { .. });
            assert_eq!(seen.is_err(), broken, "{fault:?}");
            if let Ok((_, bytes)) = seen {
                // Binary frames are no text, but hold some.
                let text = String::from_utf8_lossy(&bytes);
                for end in ["[DONE]", "message_stop", "response.completed", "finishReason", "messageStop"] {
                    assert!(!text.contains(end), "{fault:?}");
                }
                let told = ["server_error", "overloaded_error", "INTERNAL", "Exception"]
                    .iter()
                    .any(|error| text.contains(error));
                assert_eq!(told, matches!(fault, Fault::ErrorMidStream { .. }));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_broke_was_generated() {
    for endpoint in ENDPOINTS {
        let whole = under(Fault::SlowHead(Duration::ZERO), endpoint, false).await.1.expect("billed");
        for fault in [
            Fault::CutBody,
            Fault::StallMidStream { after_frames: 0 },
            Fault::CutMidStream { after_frames: 0 },
            Fault::ResetMidStream { after_frames: 0 },
            Fault::MalformedMidStream { after_frames: 0 },
        ] {
            let (seen, line) = under(fault.clone(), endpoint, false).await;
            let line = line.expect("billed");
            assert_eq!(
                (line.end, line.told, line.usage),
                (AnswerEnd::Faulted, false, whole.usage),
                "{fault:?}"
            );
            if let Ok((_, bytes)) = seen {
                assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_err(), "{fault:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_before_the_head_costs_the_input() {
    for stream in [false, true] {
        let (seen, line) = under(Fault::StallBeforeHead, Endpoint::Messages, stream).await;
        let line = line.expect("billed");
        assert_eq!(seen, Err("timed out".to_owned()));
        assert_eq!((line.usage.answer(), line.told, line.end), (0, false, AnswerEnd::Faulted));
        assert!(line.nano_usd > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn usage_that_was_not_told_is_billed_and_marked() {
    for endpoint in ENDPOINTS {
        for stream in [false, true] {
            let (_, line) = under(Fault::NoUsage, endpoint, stream).await;
            let line = line.expect("billed");
            assert_eq!((line.end, line.told), (AnswerEnd::Complete, false));
            let (_, running) = under(Fault::RunningUsage, endpoint, stream).await;
            let running = running.expect("billed");
            assert_eq!((running.usage, running.told), (line.usage, true));
        }
        let mut unasked = streamed(Endpoint::Chat, "hello");
        unasked["stream_options"] = serde_json::Value::Null;
        let simulator = Simulator::new(Endpoint::Chat.vendor());
        exchange(&simulator, &unasked).await.expect("a stream");
        assert!(!simulator.invoice()[0].told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_frame_stands_inside_a_stream_that_goes_on() {
    for endpoint in ENDPOINTS {
        let (seen, line) = under(Fault::MalformedMidStream { after_frames: 6 }, endpoint, true).await;
        let bytes = seen.expect("a stream").1;
        assert_eq!(line.map(|line| (line.end, line.told)), Some((AnswerEnd::Faulted, true)));
        if endpoint == Endpoint::Converse {
            let frames = binary_frames(&bytes);
            let broken =
                |frame: &&(String, Vec<u8>)| serde_json::from_slice::<serde_json::Value>(&frame.1).is_err();
            assert_eq!(frames.iter().filter(broken).count(), 1);
            continue;
        }
        if endpoint == Endpoint::GeminiArray {
            assert!(
                bytes.ends_with(b"}\n]\n") && serde_json::from_slice::<serde_json::Value>(&bytes).is_err()
            );
            continue;
        }
        let text = String::from_utf8(bytes).expect("UTF-8");
        let payloads =
            text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        let broken = payloads.filter(|data| serde_json::from_str::<serde_json::Value>(data).is_err());
        assert_eq!(broken.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_stops_the_generation() {
    for endpoint in ENDPOINTS {
        let simulator = Simulator::new(endpoint.vendor());
        let whole = under(Fault::SlowHead(Duration::ZERO), endpoint, true).await.1.expect("billed").usage;
        let response = simulator.answer(request(&streamed(endpoint, "words:50 pace:10"))).await;
        let mut stream = response.expect("an answer").into_body();
        for _ in 0..12 {
            stream.frame().await.expect("a frame").expect("bytes");
        }
        assert_eq!(simulator.open_answers(), 1);
        drop(stream);
        let line = simulator.invoice().remove(0);
        assert_eq!((line.end, line.told, simulator.open_answers()), (AnswerEnd::CallerLeft, false, 0));
        assert!(line.usage.output > 0 && line.usage.output < whole.output);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_before_the_head_pays_the_input() {
    let simulator = Simulator::builder(Endpoint::Chat.vendor()).latency(Duration::from_secs(5)).build();
    let answer = simulator.answer(request(&body(Endpoint::Chat, "hello")));
    assert!(tokio::time::timeout(Duration::from_secs(1), answer).await.is_err());
    let line = simulator.invoice().remove(0);
    assert_eq!((line.usage.answer(), line.end), (0, AnswerEnd::CallerLeft));
}

#[tokio::test(start_paused = true)]
async fn an_endless_line_has_no_end_of_its_own() {
    let simulator = Simulator::new(Endpoint::Chat.vendor());
    simulator.push_fault(Fault::EndlessEvent { after_frames: 2 });
    let response = simulator.answer(request(&streamed(Endpoint::Chat, "hello"))).await;
    let bytes = response.expect("an answer").into_body().collect().await.expect("bytes").to_bytes();
    assert!(bytes.len() > 64 * 1024 * 1024);
    assert_eq!(bytes.iter().rev().take_while(|byte| **byte == b'x').count(), 64 * 1024 * 1024);
}

#[tokio::test]
async fn faults_hit_the_request_they_are_meant_for() {
    let simulator = Simulator::new(Endpoint::Chat.vendor());
    simulator.push_fault_when("second", Fault::Status { code: 500, retry_after: None });
    assert_eq!(answer(&simulator, &body(Endpoint::Chat, "first")).await.0, 200);
    assert_eq!(answer(&simulator, &body(Endpoint::Chat, "second")).await.0, 500);
    assert_eq!(answer(&simulator, &body(Endpoint::Chat, "second")).await.0, 200);
}

#[tokio::test]
async fn a_mix_hits_its_share_and_is_reproducible() {
    let mix = FaultMix { seed: 7, per_ten_thousand: vec![(2_000, Fault::Empty), (1_000, Fault::Reset)] };
    let drawn: Vec<Option<Fault>> = (0..10_000).map(|number| mix.draw(number)).collect();
    let share = |fault: &Fault| drawn.iter().filter(|drawn| drawn.as_ref() == Some(fault)).count();
    assert!((1_800..2_200).contains(&share(&Fault::Empty)), "{}", share(&Fault::Empty));
    assert!((850..1_150).contains(&share(&Fault::Reset)), "{}", share(&Fault::Reset));
    assert!((0..10_000).all(|number| mix.draw(number) == drawn[number as usize]));

    let simulator = Simulator::new(Endpoint::Chat.vendor());
    simulator.set_fault_mix(FaultMix { seed: 1, per_ten_thousand: vec![(10_000, Fault::NoCredit)] });
    assert_eq!(answer(&simulator, &body(Endpoint::Chat, "hello")).await.0, 429);
    simulator.clear_faults();
    assert_eq!(answer(&simulator, &body(Endpoint::Chat, "hello")).await.0, 200);
}

#[tokio::test]
async fn crlf_streams_have_the_same_events() {
    let simulator = Simulator::builder(Endpoint::Chat.vendor()).crlf().build();
    let (_, _, bytes) = exchange(&simulator, &streamed(Endpoint::Chat, "hello")).await.expect("a stream");
    assert!(bytes.ends_with(b"data: [DONE]\r\n\r\n"));
    assert!(!events(&bytes).is_empty());
}
