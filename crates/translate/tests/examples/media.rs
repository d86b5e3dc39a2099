//! Images, documents, files and sound; and marks for the cache on all of them.

use super::*;

#[test]
fn documents_of_chat() {
    insta::assert_snapshot!(request_shown(
        CHAT,
        r#"{"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": [
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
            {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "file", "file": {"filename": "b.pdf", "file_data": "https://example.com/b.pdf"}},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
            {"type": "video_url", "video_url": {"url": "https://example.com/v.mp4"}},
            {"type": "text", "text": "Read"}]}]}"#
    ));
}

#[test]
fn documents_of_anthropic() {
    insta::assert_snapshot!(request_shown(
        ANTHROPIC,
        r#"{"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": [
            {"type": "document", "title": "A", "context": "c", "citations": {"enabled": true},
                "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}},
            {"type": "document", "source": {"type": "url", "url": "https://example.com/b.pdf"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "piece"}]}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_2"}},
            {"type": "search_result", "source": "https://example.com", "title": "t",
                "content": [{"type": "text", "text": "found"}]},
            {"type": "text", "text": "Read"}]}]}"#
    ));
}

#[test]
fn results_with_images_and_documents() {
    insta::assert_snapshot!(request_shown(
        ANTHROPIC,
        r#"{"model": "m", "max_tokens": 10, "messages": [
            {"role": "user", "content": "Look"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [
                    {"type": "text", "text": "it failed"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}]},
                {"type": "tool_result", "tool_use_id": "toolu_2"},
                {"type": "text", "text": "And?"}]}]}"#
    ));
}

const MARKED_BY_ANTHROPIC: &str = r#"{"model": "m", "max_tokens": 10, "cache_control": {"type": "ephemeral"},
    "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [{"role": "user", "content": [
        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}]}"#;

#[test]
fn marks_of_anthropic() {
    let on = |target: &RequestTarget<'_>| request_for(ANTHROPIC, target, MARKED_BY_ANTHROPIC);
    insta::assert_snapshot!(format!(
        "an older model\n{}\n\na model with breakpoints\n{}\n\na router\n{}",
        on(&for_model("gpt-4o")),
        on(&for_model("gpt-5.6")),
        on(&RequestTarget { dialect: Dialect::Compatible, ..for_model("anthropic/claude-sonnet-4.5") })
    ));
}

#[test]
fn marks_of_chat() {
    insta::assert_snapshot!(request_shown(
        CHAT,
        r#"{"model": "m", "max_tokens": 10, "messages": [
            {"role": "system", "content": [{"type": "text", "text": "1",
                "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "2", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "text", "text": "3", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "4", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "5", "cache_control": {"type": "ephemeral"}}]}]}"#
    ));
}
