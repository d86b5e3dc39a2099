//! `docs/embeddings.md`: its table is what the translator does.

use weighbridge_protocol::bedrock_embeddings::Maker;
use weighbridge_translate::EmbeddingsProtocol::{self, *};
use weighbridge_translate::embeddings::{self, RequestTarget};
use weighbridge_translate::{Dialect, TranslateError};
use weighbridge_units::LossKind;

use crate::support::{COHERE, NOVA, TITAN};

const PAGE: &str = include_str!("../../../../docs/embeddings.md");

/// A feature, and a request of a client that has it and nothing else.
const FEATURES: [(&str, EmbeddingsProtocol, &str); 12] = [
    ("one text", OpenAi, r#"{"model": "m", "input": "a"}"#),
    ("several texts, a vector each", OpenAi, r#"{"model": "m", "input": ["a", "b"]}"#),
    (
        "several texts, one vector (`parts`)",
        GeminiEmbed,
        r#"{"content": {"parts": [{"text": "a"}, {"text": "b"}]}}"#,
    ),
    ("tokens of the model's vocabulary", OpenAi, r#"{"model": "m", "input": [1, 2]}"#),
    (
        "images, sound, video",
        GeminiEmbed,
        r#"{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}}"#,
    ),
    ("`dimensions`, `outputDimensionality`", OpenAi, r#"{"model": "m", "input": "a", "dimensions": 256}"#),
    ("`encoding_format: base64`", OpenAi, r#"{"model": "m", "input": "a", "encoding_format": "base64"}"#),
    ("`user`", OpenAi, r#"{"model": "m", "input": "a", "user": "u"}"#),
    (
        "`taskType`: retrieval, classes, groups",
        GeminiEmbed,
        r#"{"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}"#,
    ),
    (
        "`taskType`: likeness, code, questions, facts",
        GeminiEmbed,
        r#"{"content": {"parts": [{"text": "a"}]}, "taskType": "QUESTION_ANSWERING"}"#,
    ),
    ("`title`", GeminiEmbed, r#"{"content": {"parts": [{"text": "a"}]}, "title": "t"}"#),
    (
        "`autoTruncate: true`",
        GeminiEmbed,
        r#"{"content": {"parts": [{"text": "a"}]}, "embedContentConfig": {"autoTruncate": true}}"#,
    ),
];

const TARGETS: [(&str, EmbeddingsProtocol, Dialect); 8] = [
    ("OpenAI", OpenAi, Dialect::Native),
    ("Gemini API", GeminiBatchEmbed, Dialect::Native),
    ("Vertex AI", GeminiBatchEmbed, Dialect::Vertex),
    ("Vertex `predict`", VertexPredict, Dialect::Vertex),
    ("Titan V2", TITAN, Dialect::Native),
    ("Cohere v3", COHERE, Dialect::Native),
    ("Cohere v4", Bedrock(Maker::CohereV4), Dialect::Native),
    ("Nova", NOVA, Dialect::Native),
];

fn cell(from: EmbeddingsProtocol, to: EmbeddingsProtocol, dialect: Dialect, body: &str) -> &'static str {
    let target = RequestTarget { dialect, ..RequestTarget::new("m") };
    let losses = match embeddings::request(from, to, body, &target) {
        Ok(sent) => sent.losses,
        Err(TranslateError::Unsupported { .. }) => return "refused",
        Err(error) => unreachable!("{from} to {to}: {error}"),
    };
    // A purpose that is made up belongs to the target, not to the feature.
    let kind = losses.iter().map(|loss| loss.kind).find(|kind| *kind != LossKind::Defaulted);
    kind.map_or("yes", LossKind::as_str)
}

#[test]
fn the_page_has_the_table() {
    let heads: Vec<&str> = TARGETS.iter().map(|(name, ..)| *name).collect();
    let mut table = format!("| | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for (feature, from, body) in FEATURES {
        let cells: Vec<&str> =
            TARGETS.iter().map(|(_, to, dialect)| cell(from, *to, *dialect, body)).collect();
        table.push_str(&format!("| {feature} | {} |\n", cells.join(" | ")));
    }
    assert!(PAGE.contains(&table), "docs/embeddings.md must have this table:\n{table}");
}
