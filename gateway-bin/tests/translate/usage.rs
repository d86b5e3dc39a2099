//! What is refused, and how.

use weighbridge_units::Protocol;

use crate::{assert_exit, between, cases, said, translate};

const PAIR: [&str; 4] = ["--from", "openai-chat", "--to", "anthropic-messages"];

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    for (input, place) in [
        (&b"{\"model\": \"m\",\n oops}"[..], "line 2"),
        (b"", "line 1"),
        (b"[]", "the body is an array: an object is expected"),
        (b"{\"model\": \"\xff\"}", "byte 11"),
        (br#"{"model": "m", "messages": [{"role": "user", "content": 7}]}"#, "/messages/0/content"),
        (br#"{"model": "m", "model": "n", "messages": []}"#, "`model`"),
    ] {
        let output = between(Protocol::OpenAiChat, Protocol::AnthropicMessages, &[], input);
        assert_exit(&output, 1);
        assert!(output.stdout.is_empty());
        assert!(said(&output)[0].contains(place), "{:?}", said(&output));
    }
    let answer = br#"{"choices": 7}"#;
    let output = between(Protocol::OpenAiChat, Protocol::AnthropicMessages, &["--response"], answer);
    assert_exit(&output, 1);
    assert!(said(&output)[0].contains("/choices"), "{:?}", said(&output));
}

#[test]
fn an_event_that_cannot_be_read_is_named_with_its_place() {
    let chat = |data: &str| {
        let event = format!("data: {data}\n\n");
        let output =
            between(Protocol::OpenAiChat, Protocol::AnthropicMessages, &["--stream"], event.as_bytes());
        assert_exit(&output, 1);
        said(&output).join("\n")
    };
    let unfit = chat(r#"{"choices": [{"delta": {"content": "a"}, "index": "b"}]}"#);
    assert!(unfit.contains(": /choices/0/index: "), "{unfit}");
    let cut = chat(r#"{"choices": ["#);
    assert!(cut.contains("line 1, column 14"), "{cut}");
}

#[test]
fn wrong_usage_is_told_apart() {
    let mut wrong = vec![
        vec![],
        vec!["--from", "openai-chat"],
        vec!["--from", "openai-chat", "--to", "klingon"],
        [&PAIR[..], &["--response", "--stream"]].concat(),
        [&PAIR[..], &["--response", "--dialect", "azure"]].concat(),
        [&PAIR[..], &["--status", "500"]].concat(),
        [&PAIR[..], &["--response", "--status", "99"]].concat(),
        [&PAIR[..], &["--json-array"]].concat(),
        [&PAIR[..], &["--loss-policy", "shrug"]].concat(),
        [&PAIR[..], &["--dialect", "saxon"]].concat(),
        [&PAIR[..], &["a.json", "b.json"]].concat(),
    ];
    for arguments in wrong.drain(..) {
        let output = translate(&arguments, b"{}");
        assert_exit(&output, 2);
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let output = translate(&["--from", "openai-chat", "--to", "klingon"], b"{}");
    assert!(said(&output).join(" ").contains("anthropic-messages"), "{:?}", said(&output));
}

/// Gemini has the model in the path: somebody must say it.
#[test]
fn a_model_that_nobody_names_is_asked_for() {
    let request = cases::request(Protocol::GeminiGenerateContent);
    let output = between(Protocol::GeminiGenerateContent, Protocol::OpenAiChat, &[], request.as_bytes());
    assert_exit(&output, 2);
    assert!(said(&output)[0].contains("--model"), "{:?}", said(&output));
    let vertex = ["--dialect", "vertex"];
    let to = Protocol::AnthropicMessages;
    assert_exit(&between(Protocol::GeminiGenerateContent, to, &vertex, request.as_bytes()), 0);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = translate(&[&PAIR[..], &["nowhere.json"]].concat(), b"");
    assert_exit(&output, 1);
    assert!(said(&output)[0].contains("nowhere.json"), "{:?}", said(&output));
}
