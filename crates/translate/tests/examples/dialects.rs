//! The same request for each of the houses that serve a protocol.

use super::*;

const OF_CHAT: &str = r#"{"model": "m", "max_completion_tokens": 10, "stream": true, "user": "u",
    "reasoning_effort": "low", "service_tier": "auto", "store": true, "metadata": {"a": "b"}, "top_k": 3,
    "verbosity": "low", "prompt_cache_key": "k",
    "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_id": "file-1"}}]}]}"#;

const OF_ANTHROPIC: &str = r#"{"model": "m", "max_tokens": 10, "stream": true, "metadata": {"user_id": "u"},
    "system": "Be brief.", "top_k": 3, "service_tier": "auto", "thinking": {"type": "disabled"},
    "messages": [{"role": "user", "content": [
        {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]}]}"#;

/// What a client of Responses may say though it is the case anyway.
const OF_RESPONSES: &str = r#"{"model": "m", "input": "Hi", "store": false, "metadata": {}, "include": [],
    "text": {"format": {"type": "text"}, "verbosity": "medium"}, "service_tier": "auto",
    "parallel_tool_calls": true, "tools": [{"type": "function", "name": "f", "parameters": {}}],
    "tool_choice": "auto", "reasoning": {"effort": null, "summary": null}, "top_p": 1, "temperature": 1}"#;

fn for_each(from: Protocol, to: Protocol, body: &str, dialects: &[(&str, Dialect)]) -> String {
    let shown = |(name, dialect): &(&str, Dialect)| {
        let target = RequestTarget { dialect: *dialect, ..TARGET };
        let translated = request(from, to, body, &target).unwrap();
        format!("{name}\n{}", shown(&translated.value, &translated.losses))
    };
    dialects.iter().map(shown).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn houses_of_anthropic() {
    insta::assert_snapshot!(for_each(
        CHAT,
        ANTHROPIC,
        OF_CHAT,
        &[("Anthropic", Dialect::Native), ("Vertex", Dialect::Vertex), ("Bedrock", Dialect::Bedrock)]
    ));
}

#[test]
fn houses_of_chat() {
    insta::assert_snapshot!(for_each(
        ANTHROPIC,
        CHAT,
        OF_ANTHROPIC,
        &[("OpenAI", Dialect::Native), ("Azure", Dialect::Azure), ("others", Dialect::Compatible)]
    ));
}

/// Others may refuse what came later than their copy of the format, also where it says nothing.
#[test]
fn others_are_told_only_what_was_asked_for() {
    let houses = [("OpenAI", Dialect::Native), ("others", Dialect::Compatible)];
    insta::assert_snapshot!(
        "defaults_of_responses_to_houses_of_chat",
        for_each(RESPONSES, CHAT, OF_RESPONSES, &houses)
    );
    insta::assert_snapshot!("chat_to_houses_of_responses", for_each(CHAT, RESPONSES, OF_CHAT, &houses));
}

/// What Azure's filter says about prompt and answer has no counterpart elsewhere: it is reported, and an
/// answer that the filter stopped says so.
#[test]
fn filters_of_azure_are_reported() {
    let severity = r#"{"hate": {"filtered": true, "severity": "high"}}"#;
    let answer = format!(
        r#"{{"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "prompt_filter_results": [{{"prompt_index": 0, "content_filter_results": {severity}}}],
        "choices": [{{"index": 0, "finish_reason": "content_filter", "content_filter_results": {severity},
            "message": {{"role": "assistant", "content": "I"}}}}]}}"#
    );
    let target = AnswerTarget::new("made-up", 1_700_000_000);
    let translated = response(CHAT, ANTHROPIC, &answer, &target).unwrap();
    let body = String::from_utf8(translated.value.0).unwrap();
    assert!(body.contains(r#""stop_reason":"refusal""#), "{body}");
    let lost: Vec<&str> = translated.losses.iter().map(|loss| loss.pointer.as_str()).collect();
    assert!(lost.contains(&"/prompt_filter_results"), "{lost:?}");
    assert!(lost.contains(&"/choices/0/content_filter_results"), "{lost:?}");
    // Where nothing is translated, nothing of it is lost.
    let same = response(CHAT, CHAT, &answer, &target).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&same.value.0).unwrap();
    assert_eq!(kept["prompt_filter_results"][0]["content_filter_results"]["hate"]["severity"], "high");
    assert_eq!(kept["choices"][0]["content_filter_results"]["hate"]["filtered"], true);
}

/// A prompt that Azure's filter refused is an error under 400, whose details say why.
#[test]
fn prompts_that_azure_refuses() {
    let body = br#"{"error": {"message": "filtered", "type": null, "param": "prompt", "code": "content_filter",
        "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}}}"#;
    let error = weighbridge_translate::decode_error(CHAT, 400, body);
    assert_eq!(error.class, weighbridge_units::ErrorClass::ContentPolicy);
}
