//! Answers with all that they can say.

use super::*;

#[test]
fn citations_of_anthropic() {
    insta::assert_snapshot!(answer_shown(
        ANTHROPIC,
        r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
            {"type": "text", "text": "Ä. "},
            {"type": "text", "text": "It rains", "citations": [
                {"type": "web_search_result_location", "url": "https://example.com", "title": "Weather",
                    "encrypted_index": "ZW5j", "cited_text": "rain"},
                {"type": "page_location", "document_index": 0, "document_title": "D", "cited_text": "rain",
                    "start_page_number": 1, "end_page_number": 2, "file_id": null}]},
            {"type": "text", "text": "."}],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 2,
            "cache_read_input_tokens": 5, "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
            "output_tokens_details": {"thinking_tokens": 1}, "service_tier": "priority"}}"#
    ));
}

#[test]
fn annotations_of_chat() {
    insta::assert_snapshot!(answer_shown(
        CHAT,
        r#"{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
            "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Ä. It rains.",
            "annotations": [{"type": "url_citation", "url_citation": {"start_index": 3, "end_index": 11,
                "url": "https://example.com", "title": "Weather"}}]}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, "service_tier": "flex",
        "system_fingerprint": "fp_1"}"#
    ));
}

#[test]
fn sound_and_probabilities_of_chat() {
    insta::assert_snapshot!(answer_shown(
        CHAT,
        r#"{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": {"content": [
                {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}], "refusal": null},
            "message": {"role": "assistant", "content": null, "audio": {"id": "audio_1", "data": "aGk=",
                "expires_at": 1700000000, "transcript": "Hi"}}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19,
            "prompt_tokens_details": {"audio_tokens": 4, "cached_tokens": 2},
            "completion_tokens_details": {"audio_tokens": 6, "accepted_prediction_tokens": 1,
                "rejected_prediction_tokens": 2}}}"#
    ));
}

#[test]
fn images_of_a_router() {
    insta::assert_snapshot!(answer_shown(
        CHAT,
        r#"{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
            "index": 0, "finish_reason": "stop", "native_finish_reason": "STOP",
            "message": {"role": "assistant", "content": "Here", "images": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}, "index": 0}]}}]}"#
    ));
}

#[test]
fn refusals_of_anthropic() {
    let answer = |details: &str| {
        answer_shown(
            ANTHROPIC,
            &format!(
                r#"{{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                "stop_reason": "refusal", "stop_sequence": null, "stop_details": {details},
                "usage": {{"input_tokens": 3, "output_tokens": 0}}}}"#
            ),
        )
    };
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        answer("null"),
        answer(r#"{"type": "refusal", "category": "cyber", "explanation": "It is not safe."}"#)
    ));
}

/// Figures of each attempt are billed, and sum up to more than the figures beside them.
#[test]
fn iterations_of_anthropic() {
    insta::assert_snapshot!(answer_shown(
        ANTHROPIC,
        r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "Yes"}], "stop_reason": "model_context_window_exceeded",
        "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5, "iterations": [
            {"type": "compaction", "input_tokens": 100, "output_tokens": 50, "cache_read_input_tokens": 7},
            {"type": "message", "input_tokens": 10, "output_tokens": 5}]}}"#
    ));
}
