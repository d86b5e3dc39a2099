//! OpenAI Responses, to and from the canonical model.

pub mod finish;
pub mod kept;
pub mod stream;

mod answer;
mod bag_names;
mod citations;
mod error;
mod history;
mod items_decode;
mod items_encode;
#[cfg(test)]
mod laws;
mod logprobs;
mod media;
mod output_encode;
mod parts_decode;
mod parts_encode;
mod request_decode;
mod request_encode;
mod response_object;
#[cfg(test)]
pub(crate) mod same;
mod tools_decode;
mod tools_encode;

use weighbridge_protocol::json::{Fields, Kind, Raw, ReadError};
use weighbridge_protocol::openai_responses::{INCLUDE_REASONING, usage};

use crate::{
    Adapter, Amendment, Answer, AnswerFacts, AnswerTarget, ApiError, Conversation, Dialect, Losses,
    MediumKind, RequestTarget, StreamReader, StreamTarget, StreamWriter,
};

/// The adapter of OpenAI Responses.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiResponses;

/// The adapter in the registry.
pub(crate) static ADAPTER: OpenAiResponses = OpenAiResponses;

impl Adapter for OpenAiResponses {
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
        matches!(kind, MediumKind::Image | MediumKind::Document)
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
        // Every answer has `error`, and nearly every answer's is null.
        let has = |name| document.peek(name).is_some_and(|value| !value.is_null());
        has("error") || has("detail") || document.says("object", "error") || document.says("type", "error")
    }

    fn decode_error(&self, status: u16, body: Raw<'_>) -> Option<ApiError> {
        error::decode(status, body)
    }

    fn encode_error(&self, error: &ApiError, request_id: &str) -> (u16, Vec<u8>) {
        error::encode(error, request_id)
    }

    fn encode_stream_error(&self, error: &ApiError, request_id: &str, events: u64) -> Vec<u8> {
        error::encode_event(error, request_id, events)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream::ResponsesReader::default())
    }

    fn stream_writer(&self, target: &StreamTarget<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream::ResponsesWriter::new(target))
    }

    fn amend<'a>(&self, body: Raw<'a>, _model: &str, losses: &mut Losses<'a>) -> Vec<Amendment> {
        history::amend(body, losses)
    }

    fn is_default(&self, name: &str, value: Raw<'_>) -> bool {
        let kind = || value.get("type").map(Raw::text);
        match (name, value.text()) {
            // What items are called and how far they are helps nobody else.
            ("id" | "status" | "object" | "completed_at" | "obfuscation" | "sequence_number", _) => true,
            ("type", "\"message\"" | "\"custom_tool_call_output\"") => true,
            // The part is reported as a whole.
            (bag_names::IN_MESSAGE, _) => true,
            ("background" | "defer_loading" | "async", "false") => true,
            ("truncation", "\"disabled\"") | ("prompt_cache_retention", "\"in_memory\"") => true,
            ("allowed_callers", "[\"direct\"]") => true,
            ("caller", _) => kind() == Some("\"direct\""),
            ("stream_options.include_obfuscation", _) => true,
            // Others give what can be brought back unasked.
            (bag_names::INCLUDE, _) => value.str().is_ok_and(|name| name == INCLUDE_REASONING),
            // Of texts that were said before; and OpenRouter's repetition of all texts.
            ("logprobs", _) => value.kind() == Kind::Array,
            ("output_text", _) => value.kind() == Kind::String,
            ("tool_usage", _) => usage::tells_only_searches(value),
            _ => bag_names::is_echo(name),
        }
    }
}
