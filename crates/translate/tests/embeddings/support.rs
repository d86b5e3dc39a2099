//! What the cases share: translating, and showing what comes of it.

use weighbridge_protocol::bedrock_embeddings::Maker;
use weighbridge_translate::EmbeddingsProtocol::{self, *};
use weighbridge_translate::embeddings::{self, AnswerTarget, Encoding, RequestTarget};
use weighbridge_translate::{Dialect, TranslateError};
use weighbridge_units::Loss;

pub(crate) const TITAN: EmbeddingsProtocol = Bedrock(Maker::TitanV2);
pub(crate) const COHERE: EmbeddingsProtocol = Bedrock(Maker::CohereV3);
pub(crate) const NOVA: EmbeddingsProtocol = Bedrock(Maker::Nova);

/// Every format, each maker apart.
pub(crate) fn all() -> Vec<EmbeddingsProtocol> {
    let google = [OpenAi, GeminiEmbed, GeminiBatchEmbed, VertexPredict];
    google.into_iter().chain(Maker::ALL.map(Bedrock)).collect()
}

pub(crate) fn shown(body: &[u8], losses: &[Loss]) -> String {
    let mut lines = vec![std::str::from_utf8(body).unwrap().to_owned()];
    lines.extend(losses.iter().map(|loss| format!("{loss} [{}]", loss.needed)));
    lines.join("\n")
}

pub(crate) fn request(from: EmbeddingsProtocol, to: EmbeddingsProtocol, body: &str) -> String {
    let translated = embeddings::request(from, to, body, &RequestTarget::new("target-model")).unwrap();
    shown(&translated.value, &translated.losses)
}

pub(crate) fn request_to_vertex(from: EmbeddingsProtocol, to: EmbeddingsProtocol, body: &str) -> String {
    let target = RequestTarget { dialect: Dialect::Vertex, ..RequestTarget::new("target-model") };
    let translated = embeddings::request(from, to, body, &target).unwrap();
    shown(&translated.value, &translated.losses)
}

pub(crate) fn refusal(from: EmbeddingsProtocol, to: EmbeddingsProtocol, body: &str) -> String {
    let error = embeddings::request(from, to, body, &RequestTarget::new("target-model")).unwrap_err();
    let kind = match error {
        TranslateError::Unsupported { .. } => "unsupported",
        TranslateError::Read { .. } => "read",
        _ => "other",
    };
    format!("{kind} {error}")
}

pub(crate) fn answer(
    from: EmbeddingsProtocol,
    to: EmbeddingsProtocol,
    encoding: Encoding,
    body: &str,
) -> String {
    let target = AnswerTarget { encoding, tokens_estimate: 3, ..AnswerTarget::new("client-model") };
    let translated = embeddings::answer(from, to, body, &target).unwrap();
    let (value, facts) = translated.value;
    format!("{}\n{:?}, {} vectors", shown(&value, &translated.losses), facts.usage, facts.vectors)
}
