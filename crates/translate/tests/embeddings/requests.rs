//! Requests, from every client's format to every provider's.

use insta::assert_snapshot;
use weighbridge_protocol::bedrock_embeddings::Maker;
use weighbridge_translate::EmbeddingsProtocol::*;
use weighbridge_translate::embeddings::{Encoding, asked};

use crate::support::*;

const OPENAI: &str = r#"{"model": "small", "input": "Weigh \u00e9 this.", "dimensions": 256,
    "encoding_format": "base64", "user": "u-1", "logit": {"x": 1}, "empty": {}}"#;

const GEMINI: &str = r#"{"model": "models/small", "content": {"role": "user", "parts": [{"text": "Weigh"}, {"text": "this."}]},
    "task_type": "QUESTION_ANSWERING", "title": "T", "outputDimensionality": "256", "futureField": 1}"#;

#[test]
fn openai_to_all() {
    assert_snapshot!(request(OpenAi, OpenAi, OPENAI), @r#"{"model":"target-model","input":["Weigh é this."],"dimensions":256,"encoding_format":"base64","user":"u-1","logit":{"x": 1},"empty":{}}"#);
    assert_snapshot!(request(OpenAi, GeminiEmbed, OPENAI), @r#"
    {"model":"models/target-model","content":{"parts":[{"text":"Weigh é this."}]},"outputDimensionality":256}
    dropped /user: gemini-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to gemini-embed [a counterpart of `logit`]
    "#);
    assert_snapshot!(request(OpenAi, GeminiBatchEmbed, OPENAI), @r#"
    {"requests":[{"model":"models/target-model","content":{"parts":[{"text":"Weigh é this."}]},"outputDimensionality":256}]}
    dropped /user: gemini-batch-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to gemini-batch-embed [a counterpart of `logit`]
    "#);
    assert_snapshot!(request_to_vertex(OpenAi, GeminiEmbed, OPENAI), @r#"
    {"content":{"role":"user","parts":[{"text":"Weigh é this."}]},"embedContentConfig":{"outputDimensionality":256}}
    dropped /user: gemini-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to gemini-embed [a counterpart of `logit`]
    "#);
    assert_snapshot!(request(OpenAi, VertexPredict, OPENAI), @r#"
    {"instances":[{"content":"Weigh é this."}],"parameters":{"outputDimensionality":256}}
    dropped /user: vertex-predict has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to vertex-predict [a counterpart of `logit`]
    "#);
    assert_snapshot!(request(OpenAi, TITAN, OPENAI), @r#"
    {"inputText":"Weigh é this.","dimensions":256}
    dropped /user: bedrock-titan-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to bedrock-titan-embed [a counterpart of `logit`]
    "#);
    assert_snapshot!(request(OpenAi, Bedrock(Maker::TitanG1), OPENAI), @r#"
    {"inputText":"Weigh é this."}
    dropped /dimensions: bedrock-titan-embed has no word for the number of dimensions [the number of dimensions]
    dropped /user: bedrock-titan-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to bedrock-titan-embed [a counterpart of `logit`]
    "#);
    assert_snapshot!(request(OpenAi, Bedrock(Maker::TitanMultimodal), OPENAI), @r#"
    {"inputText":"Weigh é this.","embeddingConfig":{"outputEmbeddingLength":256}}
    dropped /user: bedrock-titan-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to bedrock-titan-embed [a counterpart of `logit`]
    "#);
    assert_snapshot!(request(OpenAi, COHERE, OPENAI), @r#"
    {"input_type":"search_document","texts":["Weigh é this."]}
    defaulted (document): bedrock-cohere-embed demands a purpose, and the request has none: its vectors are kept to be found [what the vectors are for]
    dropped /dimensions: bedrock-cohere-embed has no word for the number of dimensions [the number of dimensions]
    dropped /user: bedrock-cohere-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to bedrock-cohere-embed [a counterpart of `logit`]
    "#);
    assert_snapshot!(request(OpenAi, Bedrock(Maker::CohereV4), OPENAI), @r#"
    {"input_type":"search_document","texts":["Weigh é this."],"output_dimension":256}
    defaulted (document): bedrock-cohere-embed demands a purpose, and the request has none: its vectors are kept to be found [what the vectors are for]
    dropped /user: bedrock-cohere-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to bedrock-cohere-embed [a counterpart of `logit`]
    "#);
    assert_snapshot!(request(OpenAi, NOVA, OPENAI), @r#"
    {"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"GENERIC_INDEX","embeddingDimension":256,"text":{"truncationMode":"NONE","value":"Weigh é this."}}}
    defaulted (document): bedrock-nova-embed demands a purpose, and the request has none: its vectors are kept to be found [what the vectors are for]
    dropped /user: bedrock-nova-embed has no word for the end user [the end user]
    dropped /logit: the field `logit` is not carried over to bedrock-nova-embed [a counterpart of `logit`]
    "#);
}

#[test]
fn gemini_to_all() {
    assert_snapshot!(request(GeminiEmbed, OpenAi, GEMINI), @r#"
    {"model":"target-model","input":["Weigh\nthis."],"dimensions":256}
    approximated (document): openai-embeddings takes one text per vector; the parts are joined by a line break [several texts for one vector]
    dropped /task_type: openai-embeddings has no word for a task [a task]
    dropped /title: openai-embeddings has no word for a title [a title]
    dropped /futureField: the field `futureField` is not carried over to openai-embeddings [a counterpart of `futureField`]
    "#);
    assert_snapshot!(request(GeminiEmbed, GeminiEmbed, GEMINI), @r#"{"model":"models/target-model","content":{"parts":[{"text":"Weigh"},{"text":"this."}]},"taskType":"QUESTION_ANSWERING","title":"T","outputDimensionality":256,"futureField":1}"#);
    assert_snapshot!(request(GeminiEmbed, GeminiBatchEmbed, GEMINI), @r#"{"requests":[{"model":"models/target-model","content":{"parts":[{"text":"Weigh"},{"text":"this."}]},"taskType":"QUESTION_ANSWERING","title":"T","outputDimensionality":256,"futureField":1}]}"#);
    assert_snapshot!(request_to_vertex(GeminiEmbed, GeminiBatchEmbed, GEMINI), @r#"{"requests":[{"content":{"role":"user","parts":[{"text":"Weigh"},{"text":"this."}]},"embedContentConfig":{"taskType":"QUESTION_ANSWERING","title":"T","outputDimensionality":256},"futureField":1}]}"#);
    assert_snapshot!(request(GeminiEmbed, VertexPredict, GEMINI), @r#"
    {"instances":[{"content":"Weigh\nthis.","title":"T","task_type":"QUESTION_ANSWERING"}],"parameters":{"outputDimensionality":256}}
    approximated (document): vertex-predict takes one text per vector; the parts are joined by a line break [several texts for one vector]
    dropped /futureField: the field `futureField` is not carried over to vertex-predict [a counterpart of `futureField`]
    "#);
    assert_snapshot!(request(GeminiEmbed, TITAN, GEMINI), @r#"
    {"inputText":"Weigh\nthis.","dimensions":256}
    approximated (document): bedrock-titan-embed takes one text per vector; the parts are joined by a line break [several texts for one vector]
    dropped /task_type: bedrock-titan-embed has no word for a task [a task]
    dropped /title: bedrock-titan-embed has no word for a title [a title]
    dropped /futureField: the field `futureField` is not carried over to bedrock-titan-embed [a counterpart of `futureField`]
    "#);
    assert_snapshot!(request(GeminiEmbed, COHERE, GEMINI), @r#"
    {"input_type":"search_query","texts":["Weigh\nthis."]}
    approximated /task_type: bedrock-cohere-embed has no purpose `QUESTION_ANSWERING` [a purpose of that kind]
    approximated (document): bedrock-cohere-embed takes one text per vector; the parts are joined by a line break [several texts for one vector]
    dropped /outputDimensionality: bedrock-cohere-embed has no word for the number of dimensions [the number of dimensions]
    dropped /title: bedrock-cohere-embed has no word for a title [a title]
    dropped /futureField: the field `futureField` is not carried over to bedrock-cohere-embed [a counterpart of `futureField`]
    "#);
    assert_snapshot!(request(GeminiEmbed, NOVA, GEMINI), @r#"
    {"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"GENERIC_RETRIEVAL","embeddingDimension":256,"text":{"truncationMode":"NONE","value":"Weigh\nthis."}}}
    approximated /task_type: bedrock-nova-embed has no purpose `QUESTION_ANSWERING` [a purpose of that kind]
    approximated (document): bedrock-nova-embed takes one text per vector; the parts are joined by a line break [several texts for one vector]
    dropped /title: bedrock-nova-embed has no word for a title [a title]
    dropped /futureField: the field `futureField` is not carried over to bedrock-nova-embed [a counterpart of `futureField`]
    "#);
}

#[test]
fn a_batch_stays_one_request() {
    let many = r#"{"input": ["a", "b"], "model": "m"}"#;
    assert_snapshot!(request(OpenAi, OpenAi, many), @r#"{"model":"target-model","input":["a","b"]}"#);
    assert_snapshot!(request(OpenAi, GeminiBatchEmbed, many), @r#"{"requests":[{"model":"models/target-model","content":{"parts":[{"text":"a"}]}},{"model":"models/target-model","content":{"parts":[{"text":"b"}]}}]}"#);
    assert_snapshot!(request(OpenAi, VertexPredict, many), @r#"{"instances":[{"content":"a"},{"content":"b"}]}"#);
    assert_snapshot!(request(OpenAi, COHERE, many), @r#"
    {"input_type":"search_document","texts":["a","b"]}
    defaulted (document): bedrock-cohere-embed demands a purpose, and the request has none: its vectors are kept to be found [what the vectors are for]
    "#);
    let batch = r#"{"requests": [
        {"model": "models/m", "content": {"parts": {"text": "a"}}, "taskType": "RETRIEVAL_QUERY", "title": "A"},
        {"model": "models/m", "content": {"parts": [{"text": "b"}]}, "taskType": "RETRIEVAL_QUERY", "title": "B"}]}"#;
    assert_snapshot!(request(GeminiBatchEmbed, OpenAi, batch), @r#"
    {"model":"target-model","input":["a","b"]}
    dropped /requests/0/taskType: openai-embeddings has no word for a task [a task]
    dropped /requests/1/taskType: openai-embeddings has no word for a task [a task]
    dropped /requests/0/title: openai-embeddings has no word for a title [a title]
    dropped /requests/1/title: openai-embeddings has no word for a title [a title]
    "#);
    assert_snapshot!(request(GeminiBatchEmbed, GeminiBatchEmbed, batch), @r#"{"requests":[{"model":"models/target-model","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","title":"A"},{"model":"models/target-model","content":{"parts":[{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","title":"B"}]}"#);
    assert_snapshot!(request(GeminiBatchEmbed, COHERE, batch), @r#"
    {"input_type":"search_query","texts":["a","b"]}
    dropped /requests/0/title: bedrock-cohere-embed has no word for a title [a title]
    dropped /requests/1/title: bedrock-cohere-embed has no word for a title [a title]
    "#);
    assert_snapshot!(request(GeminiBatchEmbed, VertexPredict, batch), @r#"{"instances":[{"content":"a","title":"A","task_type":"RETRIEVAL_QUERY"},{"content":"b","title":"B","task_type":"RETRIEVAL_QUERY"}]}"#);
}

#[test]
fn what_vertex_has_in_a_place_of_its_own_is_read_there() {
    let body = r#"{"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING", "embedContentConfig":
        {"taskType": "SEMANTIC_SIMILARITY", "autoTruncate": false, "documentOcr": true}}"#;
    assert_snapshot!(request(GeminiEmbed, GeminiEmbed, body), @r#"
    {"model":"models/target-model","content":{"parts":[{"text":"a"}]},"taskType":"SEMANTIC_SIMILARITY","embedContentConfig":{"documentOcr":true}}
    dropped /embedContentConfig/autoTruncate: gemini-embed has no word for how to shorten a text [how to shorten a text]
    "#);
    assert_snapshot!(request(GeminiEmbed, COHERE, body), @r#"
    {"input_type":"clustering","texts":["a"],"truncate":"NONE"}
    approximated /embedContentConfig/taskType: bedrock-cohere-embed has no purpose `SEMANTIC_SIMILARITY` [a purpose of that kind]
    dropped /embedContentConfig/documentOcr: the field `documentOcr` is not carried over to bedrock-cohere-embed [a counterpart of `documentOcr`]
    "#);
    assert_snapshot!(request(GeminiEmbed, OpenAi, body), @r#"
    {"model":"target-model","input":["a"]}
    dropped /embedContentConfig/taskType: openai-embeddings has no word for a task [a task]
    dropped /embedContentConfig/documentOcr: the field `documentOcr` is not carried over to openai-embeddings [a counterpart of `documentOcr`]
    "#);
}

#[test]
fn tokens_go_to_whoever_has_the_vocabulary() {
    assert_snapshot!(request(OpenAi, OpenAi, r#"{"input": [1, 2], "model": "m"}"#), @r#"{"model":"target-model","input":[[1, 2]]}"#);
    assert_snapshot!(request(OpenAi, OpenAi, r#"{"input": [[1], "a", [2, 3]], "model": "m"}"#), @r#"{"model":"target-model","input":[[1],"a",[2, 3]]}"#);
}

#[test]
fn what_must_be_known_in_advance_is_known() {
    let openai = asked(OpenAi, OPENAI).unwrap();
    assert_eq!(openai.model.as_deref(), Some("small"));
    assert_eq!((openai.inputs, openai.encoding, openai.is_bounded), (1, Encoding::Base64, true));
    assert_eq!(openai.end_user.as_deref(), Some("u-1"));
    assert_eq!(asked(OpenAi, r#"{"input": [1, 2], "model": "m"}"#).unwrap().inputs, 1);
    assert_eq!(asked(OpenAi, r#"{"input": [[1], [2]], "model": "m"}"#).unwrap().inputs, 2);
    let image = r#"{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}}"#;
    let gemini = asked(GeminiEmbed, image).unwrap();
    assert_eq!((gemini.model, gemini.inputs, gemini.is_bounded), (None, 1, false));
}
