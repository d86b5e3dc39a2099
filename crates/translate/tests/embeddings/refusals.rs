//! Requests that cannot be sent, answers that are none.

use insta::assert_snapshot;
use weighbridge_translate::EmbeddingsProtocol::*;
use weighbridge_translate::TranslateError;
use weighbridge_translate::embeddings::{self, AnswerTarget, Encoding};

use crate::support::*;

#[test]
fn a_batch_is_not_split() {
    let three = r#"{"model": "m", "input": ["a", "b", "c"]}"#;
    assert_snapshot!(refusal(OpenAi, TITAN, three), @"unsupported /input/1: bedrock-titan-embed takes one input per request and this one has 3; send them in several requests");
    let many = format!(r#"{{"model": "m", "input": ["a"{}]}}"#, r#","a""#.repeat(96));
    assert_snapshot!(refusal(OpenAi, COHERE, &many), @"unsupported /input/96: bedrock-cohere-embed takes 96 inputs per request and this one has 97; send them in several requests");
}

#[test]
fn what_is_no_text_is_not_guessed_at() {
    assert_snapshot!(refusal(OpenAi, GeminiBatchEmbed, r#"{"model": "m", "input": ["a", [1, 2]]}"#), @"unsupported /input/1: gemini-batch-embed takes texts and no tokens; send the text itself");
    let image = r#"{"requests": [{"content": {"parts": [{"text": "a"}]}},
        {"content": {"parts": [{"text": "b"}, {"inlineData": {"mimeType": "image/png", "data": ""}}]}}]}"#;
    assert_snapshot!(refusal(GeminiBatchEmbed, OpenAi, image), @"unsupported /requests/1: openai-embeddings takes texts; a content with anything else is not translated");
}

#[test]
fn inputs_that_differ_do_not_share_a_request_that_says_it_once() {
    let differ = r#"{"requests": [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 128},
        {"content": {"parts": [{"text": "b"}]}, "outputDimensionality": 256}]}"#;
    assert_snapshot!(refusal(GeminiBatchEmbed, OpenAi, differ), @"unsupported /requests/1: the inputs differ in the number of dimensions; send those that agree in one request each");
}

#[test]
fn what_is_wrongly_typed_is_pointed_at() {
    let bodies = [
        (OpenAi, r#"{"model": "m"}"#),
        (OpenAi, r#"{"model": "m", "input": []}"#),
        (OpenAi, r#"{"model": "m", "input": null}"#),
        (OpenAi, r#"{"model": "m", "input": {"a": 1}}"#),
        (OpenAi, r#"{"model": "m", "input": ["a", null]}"#),
        (OpenAi, r#"{"model": "m", "input": [1, "a"]}"#),
        (OpenAi, r#"{"model": "m", "input": [[1, -2]]}"#),
        (OpenAi, r#"{"model": "m", "input": "a", "dimensions": "256"}"#),
        (OpenAi, "[]"),
        (OpenAi, r#"{"model": "m", "input": "a""#),
        (GeminiEmbed, "{}"),
        (GeminiEmbed, r#"{"content": {"parts": "a"}}"#),
        (GeminiBatchEmbed, r#"{"requests": []}"#),
        (GeminiBatchEmbed, r#"{"requests": [{"content": {"parts": [{"text": 1}]}}]}"#),
        (TITAN, "{}"),
        (COHERE, r#"{"texts": []}"#),
        (NOVA, r#"{"singleEmbeddingParams": {}}"#),
        (VertexPredict, r#"{"instances": []}"#),
    ];
    let lines: Vec<String> = bodies
        .into_iter()
        .map(|(from, body)| format!("{from} {body}: {}", refusal(from, OpenAi, body)))
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    openai-embeddings {"model": "m"}: read /input: the field `input` expected, found nothing
    openai-embeddings {"model": "m", "input": []}: read /input: at least one input expected, found an array
    openai-embeddings {"model": "m", "input": null}: read /input: the field `input` expected, found nothing
    openai-embeddings {"model": "m", "input": {"a": 1}}: read /input: a text or an array of tokens expected, found an object
    openai-embeddings {"model": "m", "input": ["a", null]}: read /input/1: a text or an array of tokens expected, found null
    openai-embeddings {"model": "m", "input": [1, "a"]}: read /input/1: a whole number from 0 expected, found a string
    openai-embeddings {"model": "m", "input": [[1, -2]]}: read /input/0/1: a whole number from 0 expected, found a number
    openai-embeddings {"model": "m", "input": "a", "dimensions": "256"}: read /dimensions: a whole number from 0 expected, found a string
    openai-embeddings []: read the body: an object expected, found an array
    openai-embeddings {"model": "m", "input": "a": other the body is not JSON: a comma or the end of the object expected at line 1, column 28
    gemini-embed {}: read /content: the field `content` expected, found nothing
    gemini-embed {"content": {"parts": "a"}}: read /content/parts: an array expected, found a string
    gemini-batch-embed {"requests": []}: read /requests: at least one request expected, found an array
    gemini-batch-embed {"requests": [{"content": {"parts": [{"text": 1}]}}]}: read /requests/0/content/parts/0/text: a string expected, found a number
    bedrock-titan-embed {}: read /inputText: the field `inputText` expected, found nothing
    bedrock-cohere-embed {"texts": []}: read /texts: at least one text expected, found an array
    bedrock-nova-embed {"singleEmbeddingParams": {}}: read /singleEmbeddingParams/text: the field `text` expected, found nothing
    vertex-predict {"instances": []}: read /instances: at least one instance expected, found an array
    "#);
}

#[test]
fn an_answer_without_vectors_is_none() {
    let bodies = [
        (OpenAi, "{}"),
        (OpenAi, r#"{"data": [{"index": 0}]}"#),
        (OpenAi, r#"{"data": [{"embedding": 1}]}"#),
        (OpenAi, r#"{"data": [{"embedding": "AAAA"}]}"#),
        (OpenAi, r#"{"data": [{"embedding": "AADAfw=="}]}"#),
        (OpenAi, r#"{"data": [{"embedding": "~"}]}"#),
        (GeminiEmbed, r#"{"embedding": {}}"#),
        (GeminiBatchEmbed, r#"{"embeddings": 1}"#),
        (VertexPredict, r#"{"predictions": [{}]}"#),
        (TITAN, r#"{"message": "no"}"#),
        (COHERE, r#"{"embeddings": {"int8": [[1]]}}"#),
    ];
    let fails = |(provider, body): (_, &str)| {
        let error =
            embeddings::answer(provider, GeminiBatchEmbed, body, &AnswerTarget::new("m")).unwrap_err();
        format!("{provider} {body}: {error}")
    };
    assert_snapshot!(bodies.map(fails).join("\n"), @r#"
    openai-embeddings {}: /data: the field `data` expected, found nothing
    openai-embeddings {"data": [{"index": 0}]}: /data/0/embedding: the field `embedding` expected, found nothing
    openai-embeddings {"data": [{"embedding": 1}]}: /data/0/embedding: an array of numbers or their base64 expected, found a number
    openai-embeddings {"data": [{"embedding": "AAAA"}]}: /data/0/embedding: base64 of finite numbers of 32 bits expected, found a string
    openai-embeddings {"data": [{"embedding": "AADAfw=="}]}: /data/0/embedding: base64 of finite numbers of 32 bits expected, found a string
    openai-embeddings {"data": [{"embedding": "~"}]}: /data/0/embedding: base64 of finite numbers of 32 bits expected, found a string
    gemini-embed {"embedding": {}}: /embedding/values: the field `values` expected, found nothing
    gemini-batch-embed {"embeddings": 1}: /embeddings: an array expected, found a number
    vertex-predict {"predictions": [{}]}: /predictions/0/embeddings: the field `embeddings` expected, found nothing
    bedrock-titan-embed {"message": "no"}: the provider answered with an error under a status of success: no
    bedrock-cohere-embed {"embeddings": {"int8": [[1]]}}: /embeddings/float: the field `float` expected, found nothing
    "#);
    for number in ["1e39", "\"a\"", "null"] {
        let body = format!(r#"{{"data": [{{"embedding": [0, {number}]}}]}}"#);
        let target = AnswerTarget { encoding: Encoding::Base64, ..AnswerTarget::new("m") };
        let error = embeddings::answer(OpenAi, OpenAi, &body, &target).unwrap_err();
        assert!(error.to_string().starts_with("/data/0/embedding/1: a number of 32 bits"), "{error}");
    }
}

#[test]
fn an_error_under_a_status_of_success_is_one() {
    let body = r#"{"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}"#;
    let error = embeddings::answer_facts(OpenAi, body, None).unwrap_err();
    assert!(matches!(error, TranslateError::InBandError(_)), "{error}");
}
