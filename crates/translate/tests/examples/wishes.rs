//! How the next message is to be made: effort, form, sampling, tiers.

use super::*;

/// What of a translated request concerns thinking.
fn thinking_of(from: Protocol, wish: &str, model: &'static str) -> String {
    let body = format!(
        r#"{{"model": "m", "max_tokens": 32000, "messages": [{{"role": "user", "content": "Hi"}}], {wish}}}"#
    );
    let translated = request(from, other(from), &body, &for_model(model)).unwrap();
    let body = String::from_utf8(translated.value).unwrap();
    let root = weighbridge_protocol::json::Raw::parse(&body, &Default::default()).unwrap();
    let fields = ["thinking", "output_config", "reasoning_effort", "temperature"];
    let said: Vec<String> = fields
        .iter()
        .filter_map(|name| root.get(name).map(|value| format!("{name}: {}", value.text())))
        .collect();
    let losses: String = translated.losses.iter().map(|loss| format!("\n      {loss}")).collect();
    format!("{}{losses}", if said.is_empty() { "nothing".to_owned() } else { said.join(", ") })
}

fn table(from: Protocol, wishes: &[&str], models: &[&'static str]) -> String {
    let mut lines = Vec::new();
    for wish in wishes {
        lines.push((*wish).to_owned());
        lines.extend(models.iter().map(|model| format!("  {model}: {}", thinking_of(from, wish, model))));
    }
    lines.join("\n")
}

#[test]
fn efforts_of_chat_become_thinking() {
    insta::assert_snapshot!(table(
        CHAT,
        &[
            r#""reasoning_effort": "none""#,
            r#""reasoning_effort": "minimal""#,
            r#""reasoning_effort": "low""#,
            r#""reasoning_effort": "medium""#,
            r#""reasoning_effort": "high""#,
            r#""reasoning_effort": "xhigh", "temperature": 0.5"#,
            r#""reasoning": {"max_tokens": 5000}"#,
            r#""reasoning": {"enabled": true}"#,
            r#""reasoning": {"effort": "high", "exclude": true}"#,
        ],
        &["claude-haiku-4-5", "claude-opus-4-6", "claude-opus-4-8", "house-model"],
    ));
}

#[test]
fn thinking_becomes_an_effort_of_chat() {
    insta::assert_snapshot!(table(
        ANTHROPIC,
        &[
            r#""thinking": {"type": "disabled"}"#,
            r#""thinking": {"type": "enabled", "budget_tokens": 1024}"#,
            r#""thinking": {"type": "enabled", "budget_tokens": 10000}"#,
            r#""thinking": {"type": "enabled", "budget_tokens": 31999}"#,
            r#""thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}"#,
            r#""thinking": {"type": "adaptive", "display": "summarized"}"#,
            r#""output_config": {"effort": "low"}, "temperature": 0.5"#,
        ],
        &["gpt-4o", "gpt-5", "gpt-5.1", "o3", "house-model"],
    ));
}

const SCHEMA: &str = r#"{"type": "json_schema", "json_schema": {"name": "city", "description": "A city.",
    "strict": true, "schema": {"type": "object", "properties": {"name": {"type": "string"}},
    "required": ["name"], "additionalProperties": false}}}"#;

fn with_format(format: &str, more: &str) -> String {
    format!(
        r#"{{"model": "m", "max_tokens": 100, "messages": [{{"role": "user", "content": "Where?"}}],
        "response_format": {format}{more}}}"#
    )
}

#[test]
fn schema_for_a_model_that_matches_schemas() {
    insta::assert_snapshot!(request_for(CHAT, &for_model("claude-sonnet-4-5"), &with_format(SCHEMA, "")));
}

#[test]
fn schema_for_any_other_model_is_a_tool() {
    insta::assert_snapshot!(request_for(CHAT, &TARGET, &with_format(SCHEMA, "")));
}

#[test]
fn schema_beside_tools() {
    let tools = r#", "tools": [{"type": "function", "function": {"name": "now"}}]"#;
    insta::assert_snapshot!(request_for(CHAT, &TARGET, &with_format(SCHEMA, tools)));
}

#[test]
fn json_of_any_form() {
    insta::assert_snapshot!(request_for(
        CHAT,
        &for_model("claude-sonnet-4-5"),
        &with_format(r#"{"type": "json_object"}"#, "")
    ));
}

#[test]
fn answer_of_the_tool_for_schemas() {
    insta::assert_snapshot!(answer_shown(
        ANTHROPIC,
        r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "wb_structured_answer", "input": {"name": "Rome"}}],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 2}}"#
    ));
}

#[test]
fn schema_of_anthropic() {
    for older in [false, true] {
        let format = r#"{"type": "json_schema", "schema": {"type": "object"}}"#;
        let field = match older {
            true => format!(r#""output_format": {format}"#),
            false => format!(r#""output_config": {{"format": {format}}}"#),
        };
        let body = format!(
            r#"{{"model": "m", "max_tokens": 5, "messages": [{{"role": "user", "content": "?"}}], {field}}}"#
        );
        insta::allow_duplicates! {
            insta::assert_snapshot!("schema_of_anthropic", request_shown(ANTHROPIC, &body));
        }
    }
}

#[test]
fn chat_request_with_all_wishes() {
    insta::assert_snapshot!(request_shown(
        CHAT,
        r#"{
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 50,
        "temperature": 2, "top_p": 0.5, "top_k": 40, "seed": 7, "frequency_penalty": 0.1,
        "presence_penalty": 0, "logit_bias": {"1": 1}, "logprobs": true, "top_logprobs": 3, "n": 1,
        "service_tier": "priority", "metadata": {"a": "b"}, "verbosity": "low", "store": false,
        "prediction": {"type": "content", "content": "Hi there"}, "user": "u1", "prompt_cache_key": "k",
        "modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "mp3"},
        "web_search_options": {}, "stop": ["A", "B"]}"#
    ));
}

#[test]
fn anthropic_request_with_all_wishes() {
    insta::assert_snapshot!(request_shown(
        ANTHROPIC,
        r#"{
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50,
        "temperature": 0.25, "top_p": 0.5, "top_k": 40, "service_tier": "standard_only",
        "metadata": {"user_id": "u1"}, "stop_sequences": ["A", "B", "C", "D", "E"],
        "container": "container_1", "context_management": {"edits": []}, "inference_geo": "us",
        "mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}]}"#
    ));
}

#[test]
fn a_cap_above_the_models_own_is_lowered() {
    let body = r#"{"model": "m", "max_tokens": 32000, "messages": [{"role": "user", "content": "Hi"}]}"#;
    for (from, field) in [(ANTHROPIC, "max_completion_tokens"), (CHAT, "max_tokens")] {
        let lowered = RequestTarget { max_output_of_model: Some(16_384), ..TARGET };
        let shown = request_for(from, &lowered, body);
        assert!(shown.contains(&format!("{field}: 16384")), "{shown}");
        assert!(
            shown.contains("/max_tokens") && shown.contains("at most 16384 tokens, not 32000"),
            "{shown}"
        );
        let fits = request_for(from, &RequestTarget { max_output_of_model: Some(32_000), ..TARGET }, body);
        assert!(fits.contains(&format!("{field}: 32000")) && !fits.contains("/max_tokens"), "{fits}");
    }
}
