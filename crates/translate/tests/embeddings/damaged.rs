//! Bodies that are cut, or have something odd in place of each of their values: a typed error that points
//! into the body, or a translation that is JSON, and no panic.

use serde_json::{Value, json};
use weighbridge_translate::EmbeddingsProtocol::{self, *};
use weighbridge_translate::TranslateError;
use weighbridge_translate::embeddings::{self, AnswerTarget, Encoding, RequestTarget};

use crate::support::*;

const REQUESTS: [(EmbeddingsProtocol, &str); 7] = [
    (
        OpenAi,
        r#"{"model": "m", "input": ["a", [1, 2]], "dimensions": 8, "encoding_format": "base64", "user": "u"}"#,
    ),
    (
        GeminiEmbed,
        r#"{"model": "models/m", "content": {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}, "taskType": "CLUSTERING", "title": "t", "embedContentConfig": {"autoTruncate": true}}"#,
    ),
    (
        GeminiBatchEmbed,
        r#"{"requests": [{"model": "m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8}]}"#,
    ),
    (
        VertexPredict,
        r#"{"instances": [{"content": "a", "title": "t", "task_type": "CLUSTERING"}], "parameters": {"autoTruncate": false, "outputDimensionality": 8}}"#,
    ),
    (TITAN, r#"{"inputText": "a", "dimensions": 256, "normalize": true}"#),
    (COHERE, r#"{"texts": ["a"], "input_type": "clustering", "truncate": "END"}"#),
    (
        NOVA,
        r#"{"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingPurpose": "CLUSTERING", "embeddingDimension": 256, "text": {"truncationMode": "START", "value": "a"}}}"#,
    ),
];

const ANSWERS: [(EmbeddingsProtocol, &str); 6] = [
    (
        OpenAi,
        r#"{"object": "list", "data": [{"index": 0, "embedding": [1.5]}, {"index": 1, "embedding": "AACAPw=="}], "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}"#,
    ),
    (
        GeminiBatchEmbed,
        r#"{"embeddings": [{"values": [1.5], "statistics": {"tokenCount": 1}}], "usageMetadata": {"promptTokenCount": 2, "promptTokenDetails": [{"modality": "AUDIO", "tokenCount": 1}]}}"#,
    ),
    (
        VertexPredict,
        r#"{"predictions": [{"embeddings": {"values": [1.5], "statistics": {"token_count": 1, "truncated": true}}}]}"#,
    ),
    (TITAN, r#"{"embedding": [1.5], "embeddingsByType": {"float": [1.5]}, "inputTextTokenCount": 1}"#),
    (COHERE, r#"{"embeddings": {"float": [[1.5]]}, "id": "i", "texts": ["a"]}"#),
    (NOVA, r#"{"embeddings": [{"embeddingType": "TEXT", "embedding": [1.5]}], "inputTokenCount": 1}"#),
];

/// A document with something else in place of each of its values, and cut at each of its characters.
fn damaged(text: &str) -> Vec<String> {
    let whole: Value = serde_json::from_str(text).unwrap();
    let odd = [
        json!(null),
        json!(true),
        json!(-1.5),
        json!(1e300),
        json!("x"),
        json!([]),
        json!({}),
        json!([[{"a": []}]]),
    ];
    let mut found: Vec<String> = text.char_indices().map(|(at, _)| text[..at].to_owned()).collect();
    let mut pointers = vec![String::new()];
    let mut next = 0;
    while let Some(pointer) = pointers.get(next).cloned() {
        next += 1;
        match whole.pointer(&pointer).unwrap() {
            Value::Object(fields) => pointers.extend(fields.keys().map(|name| format!("{pointer}/{name}"))),
            Value::Array(items) => {
                pointers.extend((0..items.len()).map(|index| format!("{pointer}/{index}")))
            }
            _ => {}
        }
        for odd in &odd {
            let mut other = whole.clone();
            *other.pointer_mut(&pointer).unwrap() = odd.clone();
            found.push(other.to_string());
        }
    }
    found
}

/// An error points to something that is there, or says which field is not.
fn is_located(error: &TranslateError, body: &str) -> bool {
    match error {
        TranslateError::Read { pointer, .. } | TranslateError::Unsupported { pointer, .. } => {
            let whole: Value = serde_json::from_str(body).unwrap();
            let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            whole.pointer(pointer).is_some() || whole.pointer(parent).is_some()
        }
        _ => true,
    }
}

#[test]
fn damaged_requests_are_refused_or_translated() {
    for (from, text) in REQUESTS {
        for body in damaged(text) {
            let _asked = embeddings::asked(from, &body);
            for to in all() {
                match embeddings::request(from, to, &body, &RequestTarget::new("m")) {
                    Ok(sent) => {
                        let sent: Result<Value, _> = serde_json::from_slice(&sent.value);
                        assert!(sent.is_ok(), "{from} to {to}: {body}");
                    }
                    Err(error) => assert!(is_located(&error, &body), "{from} to {to}: {body}: {error}"),
                }
            }
        }
    }
}

#[test]
fn damaged_answers_are_refused_or_translated() {
    for (provider, text) in ANSWERS {
        for body in damaged(text) {
            for client in all() {
                for encoding in [Encoding::Float, Encoding::Base64] {
                    let target = AnswerTarget { encoding, ..AnswerTarget::new("m") };
                    match embeddings::answer(provider, client, &body, &target) {
                        Ok(told) => {
                            let told: Result<Value, _> = serde_json::from_slice(&told.value.0);
                            assert!(told.is_ok(), "{provider} to {client}: {body}");
                        }
                        Err(error) => {
                            assert!(is_located(&error, &body), "{provider} to {client}: {body}: {error}")
                        }
                    }
                }
            }
        }
    }
}
