//! The traps of the wire format, each with a test of its name: what a recording shows, in small.

use serde_json::json;
use weighbridge_translate::bedrock_converse::named_error;
use weighbridge_translate::{
    Content, FinishReason, RequestTarget, TranslateError, adapter, answer_facts, decode_error, request,
    response,
};
use weighbridge_units::{Bucket, ErrorClass, Usage};

use crate::support::*;

fn answer(content: &str, reason: &str) -> String {
    format!(
        r#"{{"output":{{"message":{{"role":"assistant","content":{content}}}}},"stopReason":"{reason}",
        "usage":{{"inputTokens":1,"outputTokens":2,"totalTokens":3}},"metrics":{{"latencyMs":1}}}}"#
    )
}

#[test]
fn trap_1_what_was_cached_stands_beside_the_input() {
    let body = r#"{"output":{"message":{"role":"assistant","content":[{"text":"5"}]}},"stopReason":"end_turn",
        "usage":{"inputTokens":13,"outputTokens":5,"totalTokens":1522,"cacheReadInputTokens":1504,"cacheWriteInputTokens":0}}"#;
    let usage = answer_facts(CONVERSE, body).unwrap().usage.unwrap();
    let expected = Usage::new()
        .with(Bucket::Input, 13)
        .with(Bucket::CacheRead, 1504)
        .with(Bucket::CacheWrite5m, 0)
        .with(Bucket::Output, 5);
    assert_eq!((usage, usage.total()), (expected, 1522));
    let to_chat = json(&response(CONVERSE, CHAT, body, &ANSWER).unwrap().value.0);
    assert_eq!(to_chat["usage"]["prompt_tokens"], 1517);
    assert_eq!(to_chat["usage"]["prompt_tokens_details"]["cached_tokens"], 1504);
    let to_anthropic = json(&response(CONVERSE, ANTHROPIC, body, &ANSWER).unwrap().value.0);
    assert_eq!(to_anthropic["usage"]["input_tokens"], 13);
    assert_eq!(to_anthropic["usage"]["cache_read_input_tokens"], 1504);
}

#[test]
fn trap_8_an_empty_content_is_an_answer() {
    let facts = answer_facts(CONVERSE, &answer("[]", "content_filtered")).unwrap();
    assert_eq!(facts.finish, Some(FinishReason::ContentFilter));
    let to_chat = json(&response(CONVERSE, CHAT, &answer("[]", "end_turn"), &ANSWER).unwrap().value.0);
    assert_eq!(to_chat["choices"][0]["finish_reason"], "stop");
}

#[test]
fn trap_10_an_error_under_a_status_of_success_is_no_answer() {
    let error =
        answer_facts(CONVERSE, r#"{"message":"Too many requests, please wait before trying again."}"#);
    assert!(
        matches!(error, Err(TranslateError::InBandError(error)) if error.message.starts_with("Too many"))
    );
}

#[test]
fn trap_13_what_is_redacted_is_what_anthropic_calls_data() {
    let body =
        answer(r#"[{"reasoningContent":{"redactedContent":"RXU4RUNrZ0k="}},{"text":"Hi"}]"#, "end_turn");
    let read = adapter(CONVERSE).decode_answer(raw(&body)).unwrap();
    let Content::Reasoning(reasoning) = &read.candidates[0].parts[0].content else { panic!("reasoning") };
    let proof = reasoning.proof.as_ref().unwrap();
    assert_eq!((proof.format.as_ref(), proof.data.as_ref()), ("anthropic-claude-v1", "Eu8ECkgI"));
    // What Bedrock itself seals for other models is none of Anthropic's, and comes back untouched.
    let body = answer(r#"[{"reasoningContent":{"redactedContent":"cnNuX3BVUGg="}}]"#, "end_turn");
    let read = adapter(CONVERSE).decode_answer(raw(&body)).unwrap();
    let Content::Reasoning(reasoning) = &read.candidates[0].parts[0].content else { panic!("reasoning") };
    let proof = reasoning.proof.as_ref().unwrap();
    assert_eq!((proof.format.as_ref(), proof.data.as_ref()), ("amazon-bedrock-v1", "cnNuX3BVUGg="));
}

#[test]
fn trap_13_a_signature_without_text_is_kept() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[
        {"type":"thinking","thinking":"","signature":"c2ln"},{"type":"tool_use","id":"a","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"}]}],
        "tools":[{"name":"f","input_schema":{"type":"object"}}]}"#;
    let sent = request(ANTHROPIC, CONVERSE, body, &RequestTarget::new(CLAUDE)).unwrap();
    assert_eq!(sent.losses, []);
    assert_eq!(
        json(&sent.value)["messages"][1]["content"][0],
        json!({"reasoningContent": {"reasoningText": {"text": "", "signature": "c2ln"}}})
    );
    // Another maker's model has no use for it.
    let sent = request(ANTHROPIC, CONVERSE, body, &RequestTarget::new(NOVA)).unwrap();
    assert_eq!(sent.losses.len(), 1);
}

#[test]
fn trap_14_calls_of_the_providers_own_tools_are_not_the_clients() {
    let content = r#"[{"toolUse":{"toolUseId":"a","name":"nova_grounding","input":{},"type":"server_tool_use"}},
        {"toolResult":{"toolUseId":"a","content":[],"type":"nova_grounding_result"}},{"text":"4.0"}]"#;
    for to in [CHAT, ANTHROPIC] {
        let translated = response(CONVERSE, to, &answer(content, "end_turn"), &ANSWER).unwrap();
        let body = String::from_utf8(translated.value.0).unwrap();
        assert!(!body.contains("nova_grounding"), "{body}");
        let pointers: Vec<&str> = translated.losses.iter().map(|loss| loss.pointer.as_str()).collect();
        assert_eq!(pointers, ["/output/message/content/0", "/output/message/content/1"]);
    }
}

#[test]
fn trap_15_texts_keep_their_order_and_nothing_comes_between() {
    let content = r#"[{"text":"a"},{"citationsContent":{"content":[{"text":" b"}],"citations":[]}},
        {"toolUse":{"toolUseId":"t","name":"f","input":{}}},{"text":"c"}]"#;
    let to_anthropic =
        json(&response(CONVERSE, ANTHROPIC, &answer(content, "tool_use"), &ANSWER).unwrap().value.0);
    let kinds: Vec<&str> = to_anthropic["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["text", "text", "tool_use", "text"]);
    let to_chat = json(&response(CONVERSE, CHAT, &answer(content, "tool_use"), &ANSWER).unwrap().value.0);
    assert_eq!(to_chat["choices"][0]["message"]["content"], "a bc");
}

#[test]
fn trap_all_results_of_a_turn_are_in_one_message() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[
        {"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
        {"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"a","content":"1"},{"role":"tool","tool_call_id":"b","content":"2"},
        {"role":"user","content":"And?"}],
        "tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let sent = json(&request(CHAT, CONVERSE, body, &RequestTarget::new(NOVA)).unwrap().value);
    assert_eq!(sent["messages"].as_array().unwrap().len(), 3);
    let last = sent["messages"][2]["content"].as_array().unwrap();
    assert!(last[0]["toolResult"].is_object() && last[1]["toolResult"].is_object());
    assert_eq!(last[2], json!({"text": "And?"}));
}

#[test]
fn trap_20_media_at_an_address_is_reported_unless_it_is_in_s3() {
    let body = |url: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"Look"}},
            {{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
        )
    };
    let sent =
        request(CHAT, CONVERSE, &body("https://example.com/a.png"), &RequestTarget::new(CLAUDE)).unwrap();
    assert_eq!(sent.losses.len(), 1);
    assert_eq!(sent.losses[0].pointer, "/messages/0/content/1");
}

#[test]
fn trap_25_traces_of_guardrails_are_reported() {
    let body = answer("[]", "guardrail_intervened")
        .replace(r#""metrics""#, r#""trace":{"guardrail":{"a":1}},"metrics""#);
    let translated = response(CONVERSE, ANTHROPIC, &body, &ANSWER).unwrap();
    let pointers: Vec<&str> = translated.losses.iter().map(|loss| loss.pointer.as_str()).collect();
    assert!(pointers.contains(&"/trace"), "{pointers:?}");
}

#[test]
fn trap_every_stop_reason_has_a_meaning() {
    let read = |reason: &str| answer_facts(CONVERSE, &answer("[]", reason)).unwrap().finish.unwrap();
    for (reason, meaning) in [
        ("end_turn", FinishReason::Stop),
        ("tool_use", FinishReason::ToolCalls),
        ("max_tokens", FinishReason::Length),
        ("stop_sequence", FinishReason::StopSequence(None)),
        ("guardrail_intervened", FinishReason::ContentFilter),
        ("content_filtered", FinishReason::ContentFilter),
        ("malformed_model_output", FinishReason::MalformedCall),
        ("malformed_tool_use", FinishReason::MalformedCall),
        ("model_context_window_exceeded", FinishReason::ContextFull),
        ("eos", FinishReason::Other("eos".into())),
    ] {
        assert_eq!(read(reason), meaning);
    }
}

#[test]
fn trap_the_header_tells_what_an_error_is() {
    let class = |kind: &str, status, message: &str| {
        named_error(kind, status, &json!({"message": message}).to_string()).class
    };
    for (kind, status, expected) in [
        (
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            429,
            ErrorClass::RateLimit,
        ),
        ("ModelNotReadyException", 429, ErrorClass::RateLimit),
        ("ExpiredTokenException:http://internal.amazon.com/coral/", 403, ErrorClass::Authentication),
        ("AccessDeniedException", 403, ErrorClass::Permission),
        ("ServiceQuotaExceededException", 400, ErrorClass::Billing),
        ("ModelErrorException", 424, ErrorClass::Server),
        ("ModelTimeoutException", 408, ErrorClass::Timeout),
        ("ServiceUnavailableException", 503, ErrorClass::Overloaded),
        ("ResourceNotFoundException", 404, ErrorClass::NotFound),
        ("ValidationException", 400, ErrorClass::BadRequest),
        ("throttlingException", 200, ErrorClass::RateLimit),
        ("NewException", 503, ErrorClass::Overloaded),
    ] {
        assert_eq!(class(kind, status, "m"), expected, "{kind}");
    }
    let status = |kind, status| named_error(kind, status, "{}").status;
    assert_eq!((status("modelStreamErrorException", 200), status("ModelErrorException", 424)), (500, 424));
    assert_eq!(
        named_error("throttlingException", 200, "<").message,
        "the provider answered with throttlingException and no message"
    );
}

#[test]
fn trap_without_the_header_status_and_message_tell() {
    for (status, message, expected) in [
        (400, "The provided model identifier is invalid.", ErrorClass::NotFound),
        (400, "Input is too long for requested model.", ErrorClass::ContextTooLong),
        (
            400,
            "The model returned the following errors: prompt is too long: 200001 tokens > 200000 maximum",
            ErrorClass::ContextTooLong,
        ),
        (400, "Malformed input request", ErrorClass::BadRequest),
        (403, "The security token included in the request is expired", ErrorClass::Authentication),
        (403, "You don't have access to the model with the specified model ID.", ErrorClass::Permission),
        (424, "The model failed.", ErrorClass::Server),
        (408, "The model took too long to respond.", ErrorClass::Timeout),
    ] {
        let body = json!({"message": message}).to_string();
        let error = decode_error(CONVERSE, status, body.as_bytes());
        assert_eq!((error.class, error.status, error.message.as_str()), (expected, status, message));
    }
    let body = r#"{"Message":"User is not authorized to perform bedrock:InvokeModel"}"#;
    assert_eq!(decode_error(CONVERSE, 403, body.as_bytes()).class, ErrorClass::Permission);
}

/// A tool that takes free text stands as a function with one field, and comes back as what it was.
#[test]
fn trap_a_tool_that_takes_free_text_comes_back() {
    let body = r#"{"model":"m","max_completion_tokens":9,"messages":[{"role":"user","content":"Look"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"custom","custom":{"name":"sql","input":"select \"1\""}}]},
        {"role":"tool","tool_call_id":"a","content":"1"}],
        "tools":[{"type":"custom","custom":{"name":"sql","description":"Asks."}}],
        "tool_choice":{"type":"custom","custom":{"name":"sql"}}}"#;
    let there = request(CHAT, CONVERSE, body, &RequestTarget::new(CLAUDE)).unwrap();
    assert_eq!(there.losses, []);
    let sent = json(&there.value);
    let spec = &sent["toolConfig"]["tools"][0]["toolSpec"];
    assert_eq!((&spec["name"], &spec["description"]), (&json!("wb_custom__sql"), &json!("Asks.")));
    assert_eq!(spec["inputSchema"]["json"]["required"], json!(["input"]));
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({"tool": {"name": "wb_custom__sql"}}));
    let call = &sent["messages"][1]["content"][0]["toolUse"];
    assert_eq!(
        (&call["name"], &call["input"]),
        (&json!("wb_custom__sql"), &json!({"input": "select \"1\""}))
    );

    let text = String::from_utf8(there.value).unwrap();
    let back = request(CONVERSE, CHAT, &text, &RequestTarget::new("m")).unwrap();
    let (back, body) = (json(&back.value), json(body.as_bytes()));
    assert_eq!((&back["tools"], &back["tool_choice"]), (&body["tools"], &body["tool_choice"]));
    assert_eq!(back["messages"][1]["tool_calls"], body["messages"][1]["tool_calls"]);

    let called = r#"[{"toolUse":{"toolUseId":"a","name":"wb_custom__sql","input":{"input":"select 2"}}}]"#;
    let told = json(&response(CONVERSE, CHAT, &answer(called, "tool_use"), &ANSWER).unwrap().value.0);
    let call = &told["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["custom"], json!({"name": "sql", "input": "select 2"}));
}

/// Of names that are too long the beginning is left: cut once, they stay as they are.
#[test]
fn trap_a_name_that_was_cut_is_not_cut_again() {
    let name = format!("wb-{}-0123456789abcdef", "x".repeat(44));
    for name in [name.as_str(), "wb-_5", "wb-a", "wb-a_3a0"] {
        let body = answer(
            &format!(r#"[{{"toolUse":{{"toolUseId":"a","name":"{name}","input":{{}}}}}}]"#),
            "tool_use",
        );
        let again = |body: &str| {
            let written = response(CONVERSE, CONVERSE, body, &ANSWER).unwrap();
            String::from_utf8(written.value.0).unwrap()
        };
        let first = again(&body);
        assert_eq!(again(&first), first);
        assert!(name.len() < 64 || first.contains(name), "{first}");
    }
}

/// The mark for a guardrail is lost, and not the text that it stands around.
#[test]
fn trap_guarded_content_is_content() {
    let body = r#"{"messages":[{"role":"user","content":[{"guardContent":{"text":{"text":"Hi","qualifiers":["query"]}}}]}]}"#;
    let sent = request(CONVERSE, CHAT, body, &RequestTarget::new("m")).unwrap();
    assert_eq!(json(&sent.value)["messages"][0]["content"], "Hi");
    let lost: Vec<String> = sent.losses.iter().map(ToString::to_string).collect();
    assert_eq!(
        lost,
        [
            "approximated /messages/0/content/0/guardContent: it stands as ordinary content, which nothing marks for a guardrail"
        ]
    );
}
