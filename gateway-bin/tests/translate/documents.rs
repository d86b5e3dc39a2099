//! Requests, answers and errors, between every two protocols.

use serde_json::Value;
use weighbridge_translate::{answer_facts, decode_error};
use weighbridge_units::{ErrorClass, Protocol};

use crate::{assert_exit, between, cases, pairs, said, written};

#[test]
fn a_request_of_every_protocol_goes_to_every_protocol() {
    for (from, to) in pairs() {
        let output = between(from, to, &["--model", "m-2"], cases::request(from).as_bytes());
        assert_exit(&output, 0);
        let text = written(&output);
        let request: Value = serde_json::from_str(text).unwrap();
        for word in ["Be brief.", "Rain in Oslo?", "Tells rain."] {
            assert!(text.contains(word), "{from} to {to}: {text}");
        }
        // All five can say all of this; `stream_options` and the like are not asked for.
        assert!(said(&output).is_empty(), "{from} to {to}: {:?}", said(&output));
        let names_model = request.get("model").is_some();
        let has_model_in_body = !matches!(to, Protocol::GeminiGenerateContent | Protocol::BedrockConverse);
        assert_eq!(names_model, has_model_in_body, "{from} to {to}");
        assert!(!names_model || request["model"] == "m-2", "{from} to {to}: {text}");
    }
}

#[test]
fn within_one_protocol_the_bytes_pass() {
    for protocol in Protocol::ALL {
        for (more, input) in
            [(&[][..], cases::request(protocol)), (&["--response"][..], cases::answer(protocol))]
        {
            let output = between(protocol, protocol, more, input.as_bytes());
            assert_exit(&output, 0);
            assert_eq!(written(&output), format!("{input}\n"));
        }
    }
}

#[test]
fn an_answer_of_every_protocol_goes_to_every_protocol() {
    for (from, to) in pairs() {
        let output = between(from, to, &["--response"], cases::answer(from).as_bytes());
        assert_exit(&output, 0);
        let facts = answer_facts(to, written(&output)).unwrap();
        assert!(written(&output).contains("Dry."), "{from} to {to}");
        let usage = facts.usage.unwrap();
        assert_eq!((usage.prompt(), usage.answer()), (11, 2), "{from} to {to}");
    }
}

#[test]
fn an_error_of_every_protocol_goes_to_every_protocol() {
    for (from, to) in pairs() {
        let (status, body) = cases::error(from);
        for more in [&["--response", "--status", "429"][..], &["--response"][..]] {
            let output = between(from, to, more, body.as_bytes());
            assert_exit(&output, 0);
            assert!(said(&output)[0].starts_with("error 4"), "{from} to {to}: {:?}", said(&output));
            let error = decode_error(to, status, written(&output).as_bytes());
            assert_eq!((error.class, error.message.as_str()), (ErrorClass::RateLimit, "Slow down"));
        }
    }
}

#[test]
fn a_page_under_a_status_of_failure_is_an_error() {
    let more = ["--response", "--status", "503"];
    let output = between(Protocol::OpenAiChat, Protocol::AnthropicMessages, &more, b"<html>Busy</html>");
    assert_exit(&output, 0);
    let error: Value = serde_json::from_str(written(&output)).unwrap();
    assert_eq!(error["type"], "error");
    assert!(said(&output)[0].contains("503"), "{:?}", said(&output));
}

#[test]
fn a_file_is_read_where_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.json");
    std::fs::write(&file, cases::request(Protocol::OpenAiChat)).unwrap();
    let output =
        between(Protocol::OpenAiChat, Protocol::AnthropicMessages, &[file.to_str().unwrap()], b"not read");
    assert_exit(&output, 0);
    assert!(written(&output).contains("Rain in Oslo?"));
}

/// A request with two things that Messages has no word for.
const LOSSY: &[u8] = br#"{"model": "m-1", "max_completion_tokens": 9, "seed": 7, "logit_bias": {"1": 2},
    "messages": [{"role": "user", "content": "Hi"}]}"#;

#[test]
fn losses_are_told_as_the_policy_says() {
    let run = |more: &[&str]| between(Protocol::OpenAiChat, Protocol::AnthropicMessages, more, LOSSY);
    let warned = run(&[]);
    assert_exit(&warned, 0);
    let lines = said(&warned);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("dropped /seed: ")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("dropped /logit_bias: ")), "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("(needed: ")), "{lines:?}");

    let allowed = run(&["--loss-policy", "allow"]);
    assert_exit(&allowed, 0);
    assert_eq!((written(&allowed), said(&allowed).len()), (written(&warned), 0));

    let rejected = run(&["--loss-policy", "reject"]);
    assert_exit(&rejected, 3);
    assert_eq!((written(&rejected), said(&rejected)), ("", lines));
}
