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

fn for_each(from: Protocol, body: &str, dialects: &[(&str, Dialect)]) -> String {
    let shown = |(name, dialect): &(&str, Dialect)| {
        format!("{name}\n{}", request_for(from, &RequestTarget { dialect: *dialect, ..TARGET }, body))
    };
    dialects.iter().map(shown).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn houses_of_anthropic() {
    insta::assert_snapshot!(for_each(
        CHAT,
        OF_CHAT,
        &[("Anthropic", Dialect::Native), ("Vertex", Dialect::Vertex), ("Bedrock", Dialect::Bedrock)]
    ));
}

#[test]
fn houses_of_chat() {
    insta::assert_snapshot!(for_each(
        ANTHROPIC,
        OF_ANTHROPIC,
        &[("OpenAI", Dialect::Native), ("Azure", Dialect::Azure), ("others", Dialect::Compatible)]
    ));
}
