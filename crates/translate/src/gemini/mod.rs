//! Gemini generateContent, to and from the canonical model.

pub mod finish;
pub mod stream;

mod answer;
pub(crate) mod base64;
mod call_ids;
mod citations;
mod content_decode;
mod content_encode;
mod error;
mod history;
mod logprobs;
mod media_encode;
mod nested;
pub(crate) mod pieces;
mod request_decode;
mod request_encode;
#[cfg(test)]
pub(crate) mod same;
mod schema;
mod signature;
mod time;
mod tool_results;
mod wishes_decode;
mod wishes_encode;

use std::time::Duration;

use weighbridge_protocol::json::{Fields, Raw, ReadError};

use crate::{
    Adapter, Amendment, Answer, AnswerFacts, AnswerTarget, ApiError, Conversation, Dialect, Losses,
    MediumKind, RequestTarget, StreamReader, StreamTarget, StreamWriter,
};

/// The adapter of Gemini generateContent.
#[derive(Debug, Clone, Copy)]
pub struct GeminiGenerateContent;

/// The adapter of Gemini generateContent.
pub(crate) static ADAPTER: GeminiGenerateContent = GeminiGenerateContent;

impl Adapter for GeminiGenerateContent {
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

    fn opens(&self, _kind: MediumKind, url: &str, _dialect: Dialect) -> bool {
        url.starts_with("https:")
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
        document.peek("error").is_some()
    }

    fn decode_error(&self, status: u16, body: Raw<'_>) -> Option<ApiError> {
        error::decode(status, body)
    }

    fn retry_delay(&self, body: Raw<'_>) -> Option<Duration> {
        error::retry_delay(body)
    }

    fn encode_error(&self, error: &ApiError, request_id: &str) -> (u16, Vec<u8>) {
        error::encode(error, request_id)
    }

    fn encode_stream_error(&self, error: &ApiError, request_id: &str, _events: u64) -> Vec<u8> {
        error::encode_event(error, request_id)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream::GeminiReader::default())
    }

    fn stream_writer(&self, target: &StreamTarget<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream::GeminiWriter::new(target))
    }

    fn amend<'a>(&self, body: Raw<'a>, model: &str, losses: &mut Losses<'a>) -> Vec<Amendment> {
        history::amend(body, model, losses)
    }

    fn is_default(&self, name: &str, value: Raw<'_>) -> bool {
        // What these hold is reported by itself, or was understood.
        if nested::CONTAINERS.contains(&name) {
            return true;
        }
        match name {
            // The same thing in Gemini's own form.
            "parameters" | "responseSchema" | "createTime" => true,
            "role" | "index" | "tokenId" | "thought" => true,
            "thoughtSignature" => value.str().is_ok_and(|text| signature::is_skipped(&text)),
            "finishMessage" => finish::is_usual_message(value),
            "trafficType" => value.text() == "\"ON_DEMAND\"",
            "responseModalities" => value.text() == "[\"TEXT\"]",
            "safetyRatings" => all_are_harmless(value),
            _ => false,
        }
    }
}

/// Whether nothing was blocked, or rated as anything worth blocking.
fn all_are_harmless(ratings: Raw<'_>) -> bool {
    let is_harmless = |rating: Raw<'_>| {
        let is_blocked = rating.get("blocked").is_some_and(|blocked| blocked.text() == "true");
        !is_blocked && rating.get("probability").is_some_and(|raw| raw.text() == "\"NEGLIGIBLE\"")
    };
    ratings.items().is_ok_and(|mut ratings| ratings.all(is_harmless))
}
