//! OpenAI Chat Completions, to and from the canonical model.

pub mod finish;
pub mod stream;

mod answer;
mod error;
mod message_decode;
mod message_encode;
mod request_decode;
mod request_encode;
#[cfg(test)]
pub(crate) mod same;

use weighbridge_protocol::json::{Fields, Raw, ReadError};

use crate::{
    Adapter, Answer, AnswerFacts, AnswerTarget, ApiError, Conversation, Losses, RequestTarget, StreamReader,
    StreamTarget, StreamWriter,
};

/// The adapter of OpenAI Chat Completions.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiChat;

impl Adapter for OpenAiChat {
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
        let has = |name| document.peek(name).is_some();
        has("error") || has("detail") || document.says("object", "error")
    }

    fn decode_error(&self, status: u16, body: Raw<'_>) -> Option<ApiError> {
        error::decode(status, body)
    }

    fn encode_error(&self, error: &ApiError, request_id: &str) -> (u16, Vec<u8>) {
        error::encode(error, request_id)
    }

    fn encode_stream_error(&self, error: &ApiError, request_id: &str) -> Vec<u8> {
        error::encode_event(error, request_id)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream::ChatReader::default())
    }

    fn stream_writer(&self, target: &StreamTarget<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream::ChatWriter::new(target))
    }

    fn is_default(&self, name: &str, value: Raw<'_>) -> bool {
        let kind = || value.get("type").map(Raw::text);
        match (name, value.text()) {
            ("logprobs" | "store" | "strict", "false") | ("n", "1") => true,
            ("frequency_penalty" | "presence_penalty", "0" | "0.0") => true,
            ("service_tier" | "detail", "\"auto\"") => true,
            ("modalities", "[\"text\"]") => true,
            ("response_format", _) => kind() == Some("\"text\""),
            _ => false,
        }
    }
}
