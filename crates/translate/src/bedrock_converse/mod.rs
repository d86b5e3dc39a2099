//! Bedrock Converse, to and from the canonical model.
//!
//! What is Claude's on Bedrock is Anthropic's elsewhere: places in documents are counted alike,
//! signatures of reasoning are accepted by both, and what `redactedContent` holds in bytes is the text
//! that Anthropic's own format has.

pub mod finish;
pub mod stream;

mod answer;
mod base64;
mod blocks_decode;
mod blocks_encode;
mod cache_place;
mod call_ids;
mod citations;
mod document_names;
mod documents_encode;
mod error;
mod family;
#[cfg(test)]
mod laws;
mod leftovers;
mod media;
mod model_fields;
mod reasoning;
mod reasoning_wish;
mod request_decode;
mod request_encode;
#[cfg(test)]
pub(crate) mod same;
mod tools_decode;
mod tools_encode;
mod turns;

use weighbridge_protocol::bedrock_converse::{event, usage};
use weighbridge_protocol::json::{Fields, Raw, ReadError};

use crate::prompt_cache::{FieldOf, Insertion};
use crate::{
    Adapter, Answer, AnswerFacts, AnswerTarget, ApiError, Conversation, Dialect, Losses, MediumKind,
    PromptCaching, RequestTarget, StreamReader, StreamTarget, StreamWriter,
};

pub use error::named as named_error;

/// The adapter of Bedrock Converse.
#[derive(Debug, Clone, Copy)]
pub struct BedrockConverse;

/// The adapter of Bedrock Converse.
pub(crate) static ADAPTER: BedrockConverse = BedrockConverse;

impl Adapter for BedrockConverse {
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

    fn opens(&self, _kind: MediumKind, _url: &str, _dialect: Dialect) -> bool {
        false
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
        answer::encode(answer, target, losses)
    }

    fn answer_facts(&self, answer: Fields<'_>) -> Result<AnswerFacts, ReadError> {
        answer::facts(answer)
    }

    fn may_be_error(&self, document: &Fields<'_>) -> bool {
        document.peek("output").is_none()
    }

    fn decode_error(&self, status: u16, body: Raw<'_>) -> Option<ApiError> {
        error::decode(status, body)
    }

    fn encode_error(&self, error: &ApiError, _request_id: &str) -> (u16, Vec<u8>) {
        error::encode(error)
    }

    fn encode_stream_error(&self, error: &ApiError, _request_id: &str, _events: u64) -> Vec<u8> {
        error::encode_event(error)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream::ConverseReader::default())
    }

    fn stream_writer(&self, target: &StreamTarget<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream::ConverseWriter::new(target))
    }

    fn outlived(&self, name: &str) -> Option<&'static str> {
        (name == blocks_decode::GUARDED)
            .then_some("it stands as ordinary content, which nothing marks for a guardrail")
    }

    fn place_cache_marks(&self, field: FieldOf<'_, '_>, caching: &PromptCaching) -> Vec<Insertion> {
        cache_place::place(field, caching).unwrap_or_default()
    }

    fn is_default(&self, name: &str, value: Raw<'_>) -> bool {
        match (name, value.text()) {
            // Of no use to anybody else.
            ("metrics" | event::PADDING, _) => true,
            // What they say was taken over.
            ("stopReason", _) => true,
            ("additionalModelResponseFields", _) => finish::is_sequence_alone(value),
            ("location/web/domain", _) => true,
            ("additionalModelResponseFieldPaths", _) => finish::are_sequence_paths(value),
            (repeated, _) if usage::REPEATED.contains(&repeated) => true,
            ("performanceConfig", _) => {
                value.get("latency").is_some_and(|latency| latency.text() == "\"standard\"")
            }
            _ => false,
        }
    }
}
