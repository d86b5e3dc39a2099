//! OpenAI Chat Completions, to and from the canonical model.

pub mod finish;
pub mod stream;

mod answer;
mod answer_encode;
mod cache_mark;
mod citations;
mod content_decode;
mod content_encode;
mod error;
mod logprobs;
mod message_decode;
mod message_encode;
mod pieces;
mod reasoning;
mod request_decode;
mod request_encode;
#[cfg(test)]
pub(crate) mod same;
mod tools_decode;
mod wishes_decode;
mod wishes_encode;

pub(crate) use reasoning::BETWEEN;
use weighbridge_protocol::json::{Fields, Raw, ReadError};

use crate::{
    Adapter, Answer, AnswerFacts, AnswerTarget, ApiError, Conversation, Dialect, Losses, MediumKind,
    RequestTarget, StreamReader, StreamTarget, StreamWriter,
};

/// The adapter of OpenAI Chat Completions.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiChat;

/// Whether a request asks with `functions`, the form before tools, and so expects calls in that form.
pub fn asks_with_functions(body: Raw<'_>) -> bool {
    let has = |name| body.get(name).is_some_and(|value| !value.is_null());
    has("functions") && !has("tools")
}

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

    fn opens(&self, kind: MediumKind, _url: &str, _dialect: Dialect) -> bool {
        // Files and sounds are taken as bytes only.
        kind == MediumKind::Image
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
        let has = |name| document.peek(name).is_some();
        has("error") || has("detail") || document.says("object", "error")
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
        Box::new(stream::ChatReader::default())
    }

    fn stream_writer(&self, target: &StreamTarget<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream::ChatWriter::new(target))
    }

    fn is_default(&self, name: &str, value: Raw<'_>) -> bool {
        match (name, value.text()) {
            ("strict", "false") | ("detail", "\"auto\"") => true,
            ("modalities", "[\"text\"]") => true,
            // Padding against those who measure the lengths of encrypted packets.
            ("obfuscation", _) => true,
            _ => false,
        }
    }

    fn is_switch(&self, name: &str) -> bool {
        name == "web_search_options"
    }
}
