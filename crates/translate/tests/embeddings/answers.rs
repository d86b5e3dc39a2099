//! Answers, from every provider's format to every client's.

use insta::assert_snapshot;
use weighbridge_translate::EmbeddingsProtocol::*;
use weighbridge_translate::embeddings::Encoding::{Base64, Float};
use weighbridge_translate::embeddings::{self, AnswerTarget};

use crate::support::*;

const OPENAI: &str = r#"{"id": "e-1", "object": "list", "data": [
    {"object": "embedding", "embedding": [0.10, -1e-7], "index": 1},
    {"object": "embedding", "embedding": "AAAAPwAAAMA=", "index": 0}],
    "model": "small-2", "usage": {"prompt_tokens": 5, "total_tokens": 5, "cost": {"usd": 1}}}"#;

#[test]
fn openai_to_clients() {
    assert_snapshot!(answer(OpenAi, OpenAi, Float, OPENAI), @r#"
    {"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-2]},{"object":"embedding","index":1,"embedding":[0.10, -1e-7]}],"model":"small-2","usage":{"prompt_tokens":5,"total_tokens":5,"cost":{"usd": 1}},"id":"e-1"}
    {"input": 5}, 2 vectors
    "#);
    assert_snapshot!(answer(OpenAi, OpenAi, Base64, OPENAI), @r#"
    {"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAAMA="},{"object":"embedding","index":1,"embedding":"zczMPZW/1rM="}],"model":"small-2","usage":{"prompt_tokens":5,"total_tokens":5,"cost":{"usd": 1}},"id":"e-1"}
    {"input": 5}, 2 vectors
    "#);
    assert_snapshot!(answer(OpenAi, GeminiBatchEmbed, Float, OPENAI), @r#"
    {"embeddings":[{"values":[0.5,-2]},{"values":[0.10, -1e-7]}],"usageMetadata":{"promptTokenCount":5}}
    dropped /usage/cost: the field `cost` is not carried over to gemini-batch-embed [a counterpart of `cost`]
    dropped /id: the field `id` is not carried over to gemini-batch-embed [a counterpart of `id`]
    {"input": 5}, 2 vectors
    "#);
    let one =
        r#"{"data": [{"embedding": [1]}], "model": "m", "usage": {"prompt_tokens": 2, "total_tokens": 2}}"#;
    assert_snapshot!(answer(OpenAi, GeminiEmbed, Float, one), @r#"
    {"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":2}}
    {"input": 2}, 1 vectors
    "#);
}

#[test]
fn google_to_clients() {
    let batch = r#"{"embeddings": [{"values": [1, 2]}, {"values": [3.0, 4]}]}"#;
    assert_snapshot!(answer(GeminiBatchEmbed, OpenAi, Float, batch), @r#"
    {"object":"list","data":[{"object":"embedding","index":0,"embedding":[1, 2]},{"object":"embedding","index":1,"embedding":[3.0, 4]}],"model":"client-model","usage":{"prompt_tokens":3,"total_tokens":3}}
    defaulted (document): openai-embeddings demands the tokens of the prompt, and the provider tells none [the tokens of the prompt]
    {}, 2 vectors
    "#);
    assert_snapshot!(answer(GeminiBatchEmbed, GeminiBatchEmbed, Float, batch), @r#"
    {"embeddings":[{"values":[1, 2]},{"values":[3.0, 4]}]}
    {}, 2 vectors
    "#);
    let one = r#"{"embedding": {"values": [1], "shape": [1]}, "truncated": true, "usageMetadata": {"promptTokenCount": 9,
        "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 5}]}}"#;
    assert_snapshot!(answer(GeminiEmbed, OpenAi, Float, one), @r#"
    {"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"client-model","usage":{"prompt_tokens":9,"total_tokens":9}}
    dropped /embedding/shape: the field `shape` is not carried over to openai-embeddings [a counterpart of `shape`]
    dropped /truncated: the field `truncated` is not carried over to openai-embeddings [a counterpart of `truncated`]
    {"input": 4, "input_audio": 5}, 1 vectors
    "#);
    assert_snapshot!(answer(GeminiEmbed, GeminiBatchEmbed, Float, one), @r#"
    {"embeddings":[{"values":[1],"shape":[1]}],"usageMetadata":{"promptTokenCount":9,"promptTokenDetails":[{"modality":"TEXT","tokenCount":4},{"modality":"AUDIO","tokenCount":5}]},"truncated":true}
    {"input": 4, "input_audio": 5}, 1 vectors
    "#);
    let vertex = r#"{"predictions": [{"embeddings": {"values": [1], "statistics": {"token_count": 4, "truncated": false}}},
        {"embeddings": {"values": [2], "statistics": {"token_count": 3, "truncated": true}}}],
        "metadata": {"billableCharacterCount": 11}}"#;
    assert_snapshot!(answer(VertexPredict, OpenAi, Float, vertex), @r#"
    {"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]},{"object":"embedding","index":1,"embedding":[2]}],"model":"client-model","usage":{"prompt_tokens":7,"total_tokens":7}}
    dropped /predictions/1/embeddings/statistics/truncated: the field `truncated` is not carried over to openai-embeddings [a counterpart of `truncated`]
    dropped /metadata: the field `metadata` is not carried over to openai-embeddings [a counterpart of `metadata`]
    {"input": 7}, 2 vectors
    "#);
    assert_snapshot!(answer(VertexPredict, GeminiBatchEmbed, Float, vertex), @r#"
    {"embeddings":[{"values":[1]},{"values":[2]}],"usageMetadata":{"promptTokenCount":7}}
    dropped /predictions/1/embeddings/statistics/truncated: the field `truncated` is not carried over to gemini-batch-embed [a counterpart of `truncated`]
    dropped /metadata: the field `metadata` is not carried over to gemini-batch-embed [a counterpart of `metadata`]
    {"input": 7}, 2 vectors
    "#);
}

#[test]
fn bedrock_to_clients() {
    let titan = r#"{"embedding": [0.5], "embeddingsByType": {"float": [0.5], "binary": [1]}, "inputTextTokenCount": 6}"#;
    assert_snapshot!(answer(TITAN, OpenAi, Base64, titan), @r#"
    {"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPw=="}],"model":"client-model","usage":{"prompt_tokens":6,"total_tokens":6}}
    dropped /embeddingsByType/binary: the field `binary` is not carried over to openai-embeddings [a counterpart of `binary`]
    {"input": 6}, 1 vectors
    "#);
    assert_snapshot!(answer(TITAN, GeminiEmbed, Float, titan), @r#"
    {"embedding":{"values":[0.5]},"usageMetadata":{"promptTokenCount":6}}
    dropped /embeddingsByType/binary: the field `binary` is not carried over to gemini-embed [a counterpart of `binary`]
    {"input": 6}, 1 vectors
    "#);
    let cohere = r#"{"id": "c-1", "texts": ["a"], "embeddings": {"float": [[0.5]], "int8": [[1]]}, "response_type": "embeddings_by_type"}"#;
    assert_snapshot!(answer(COHERE, OpenAi, Float, cohere), @r#"
    {"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"client-model","usage":{"prompt_tokens":3,"total_tokens":3}}
    defaulted (document): openai-embeddings demands the tokens of the prompt, and the provider tells none [the tokens of the prompt]
    dropped /embeddings/int8: the field `int8` is not carried over to openai-embeddings [a counterpart of `int8`]
    dropped /id: the field `id` is not carried over to openai-embeddings [a counterpart of `id`]
    {}, 1 vectors
    "#);
    let nova = r#"{"embeddings": [{"embeddingType": "TEXT", "embedding": [1], "truncatedCharLength": 5}], "inputTokenCount": 2}"#;
    assert_snapshot!(answer(NOVA, OpenAi, Float, nova), @r#"
    {"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"client-model","usage":{"prompt_tokens":2,"total_tokens":2}}
    dropped /embeddings/0/truncatedCharLength: the field `truncatedCharLength` is not carried over to openai-embeddings [a counterpart of `truncatedCharLength`]
    {"input": 2}, 1 vectors
    "#);
}

#[test]
fn tokens_that_a_header_told_count() {
    let cohere = r#"{"embeddings": [[0.5]]}"#;
    let target = AnswerTarget { tokens_header: Some(7), ..AnswerTarget::new("m") };
    let translated = embeddings::answer(COHERE, OpenAi, cohere, &target).unwrap();
    assert!(translated.losses.is_empty());
    assert_eq!(translated.value.1.usage.prompt(), 7);
    assert_eq!(embeddings::answer_facts(COHERE, cohere, Some(7)).unwrap(), translated.value.1);
    // A body that tells them knows better.
    let titan = r#"{"embedding": [0.5], "inputTextTokenCount": 6}"#;
    assert_eq!(embeddings::answer_facts(TITAN, titan, Some(7)).unwrap().usage.prompt(), 6);
}
