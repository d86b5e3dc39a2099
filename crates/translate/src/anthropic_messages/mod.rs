//! Anthropic Messages, to and from the canonical model.

pub mod finish;
pub mod stream;

mod answer;
mod answer_encode;
mod blocks_decode;
mod blocks_encode;
mod cache_mark;
mod cache_place;
mod citations;
mod error;
mod history;
mod media_encode;
mod plan;
mod request_decode;
mod request_encode;
#[cfg(test)]
pub(crate) mod same;
mod tools_encode;
mod wishes_decode;
mod wishes_encode;

use weighbridge_protocol::json::{Fields, Raw, ReadError};

use crate::prompt_cache::{FieldOf, Insertion};
use crate::{
    Adapter, Amendment, Answer, AnswerFacts, AnswerTarget, ApiError, Conversation, Dialect, Losses,
    MediumKind, PromptCaching, RequestTarget, StreamReader, StreamTarget, StreamWriter,
};

/// The adapter of Anthropic Messages.
#[derive(Debug, Clone, Copy)]
pub struct AnthropicMessages;

impl Adapter for AnthropicMessages {
    fn decode_request<'a>(&self, body: Raw<'a>) -> Result<Conversation<'a>, ReadError> {
        request_decode::decode(body)
    }

    fn encode_request<'a>(
        &self,
        conversation: &Conversation<'a>,
        target: &RequestTarget<'_>,
        losses: &mut Losses<'a>,
    ) -> Vec<u8> {
        request_encode::encode(conversation, target, losses)
    }

    fn opens(&self, kind: MediumKind, url: &str, dialect: Dialect) -> bool {
        let opened = matches!(kind, MediumKind::Image | MediumKind::Document);
        opened && url.starts_with("https:") && !matches!(dialect, Dialect::Vertex | Dialect::Bedrock)
    }

    fn decode_answer<'a>(&self, body: Raw<'a>) -> Result<Answer<'a>, ReadError> {
        answer::decode(body)
    }

    fn encode_answer<'a>(
        &self,
        answer: &Answer<'a>,
        target: &AnswerTarget<'_>,
        losses: &mut Losses<'a>,
    ) -> Vec<u8> {
        answer_encode::encode(answer, target, losses)
    }

    fn answer_facts(&self, answer: Fields<'_>) -> Result<AnswerFacts, ReadError> {
        answer::facts(answer)
    }

    fn may_be_error(&self, document: &Fields<'_>) -> bool {
        document.peek("error").is_some() || document.says("type", "error")
    }

    fn decode_error(&self, status: u16, body: Raw<'_>) -> Option<ApiError> {
        error::decode(status, body)
    }

    fn encode_error(&self, error: &ApiError, request_id: &str) -> (u16, Vec<u8>) {
        error::encode(error, request_id)
    }

    fn encode_stream_error(&self, error: &ApiError, request_id: &str, _events: u64) -> Vec<u8> {
        error::encode_event(error, request_id)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream::MessagesReader::default())
    }

    fn stream_writer(&self, target: &StreamTarget<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream::MessagesWriter::new(target))
    }

    fn amend<'a>(&self, body: Raw<'a>, _model: &str, losses: &mut Losses<'a>) -> Vec<Amendment> {
        history::amend(body, losses)
    }

    fn place_cache_marks(&self, field: FieldOf<'_, '_>, caching: &PromptCaching) -> Vec<Insertion> {
        cache_place::place(field, caching).unwrap_or_default()
    }

    fn is_default(&self, name: &str, value: Raw<'_>) -> bool {
        let kind = || value.get("type").map(Raw::text);
        match (name, value.text()) {
            ("speed", "\"standard\"") | ("defer_loading", "false") => true,
            ("inference_geo", "\"global\"" | "\"not_available\"") => true,
            // Which version of the format it is, where the body says it.
            ("anthropic_version", _) => true,
            ("caller", _) => kind() == Some("\"direct\""),
            _ => false,
        }
    }
}
