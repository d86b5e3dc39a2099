//! What each protocol folder provides, and the registry of them.

use std::time::Duration;

use weighbridge_protocol::Dialect;
use weighbridge_protocol::json::{Fields, Raw, ReadError};
use weighbridge_units::Protocol;

use crate::amendment::Amendment;
use crate::answer::{Answer, AnswerFacts};
use crate::conversation::Conversation;
use crate::error::ApiError;
use crate::fetched::MediumKind;
use crate::losses::Losses;
use crate::prompt_cache::{FieldOf, Insertion, PromptCaching};
use crate::{
    AnswerTarget, RequestTarget, StreamReader, StreamTarget, StreamWriter, anthropic_messages,
    bedrock_converse, gemini, openai_chat, openai_responses,
};

/// One protocol, to and from the canonical model. Adding a protocol is a folder with an
/// implementation of this, and a line in [`adapter`].
pub trait Adapter: Sync {
    /// Reads a request.
    ///
    /// # Errors
    /// [`ReadError`] where a field that is understood is missing or wrongly typed.
    fn decode_request<'a>(&self, body: Raw<'a>) -> Result<Conversation<'a>, ReadError>;

    /// Writes a request; what it cannot say is reported.
    fn encode_request<'a>(
        &self,
        conversation: &Conversation<'a>,
        target: &RequestTarget<'_>,
        losses: &mut Losses<'a>,
    ) -> Vec<u8>;

    /// Whether a provider of the protocol opens an address itself: what it does not open has to be sent.
    fn opens(&self, kind: MediumKind, url: &str, dialect: Dialect) -> bool;

    /// Reads a whole answer.
    ///
    /// # Errors
    /// [`ReadError`] where it has no content at all; odd fields only go to a bag.
    fn decode_answer<'a>(&self, body: Raw<'a>) -> Result<Answer<'a>, ReadError>;

    /// Writes a whole answer; what it cannot say is reported.
    fn encode_answer<'a>(
        &self,
        answer: &Answer<'a>,
        target: &AnswerTarget<'_>,
        losses: &mut Losses<'a>,
    ) -> Vec<u8>;

    /// Reads only the facts of a whole answer, whose fields were opened when it was checked.
    ///
    /// # Errors
    /// As [`Self::decode_answer`].
    fn answer_facts(&self, answer: Fields<'_>) -> Result<AnswerFacts, ReadError>;

    /// Whether the fields of a document under status 200 call for [`Self::decode_error`]: a look that
    /// spares nearly every answer being read as an error first.
    fn may_be_error(&self, _document: &Fields<'_>) -> bool {
        true
    }

    /// Sorts an error; `None` where the document is none.
    fn decode_error(&self, status: u16, body: Raw<'_>) -> Option<ApiError>;

    /// How long the provider asks to wait before the next attempt, where its error's body says so rather
    /// than a header.
    fn retry_delay(&self, _body: Raw<'_>) -> Option<Duration> {
        None
    }

    /// The status and body that tell an error.
    fn encode_error(&self, error: &ApiError, request_id: &str) -> (u16, Vec<u8>);

    /// One complete event that tells an error in mid-stream, after so many events.
    fn encode_stream_error(&self, error: &ApiError, request_id: &str, events: u64) -> Vec<u8>;

    /// Interprets the frames of one provider's stream.
    fn stream_reader(&self) -> Box<dyn StreamReader>;

    /// Writes the frames of one client's stream.
    fn stream_writer(&self, target: &StreamTarget<'_>) -> Box<dyn StreamWriter>;

    /// Whether a field of this protocol says what is the case anyway, so that leaving it out loses
    /// nothing.
    fn is_default(&self, name: &str, value: Raw<'_>) -> bool;

    /// The fields of a request that is to pass through as it is, which are written anew because a
    /// provider of this protocol would refuse them: clients bring back what other providers made.
    /// What is left out is reported. `model` is the one that the provider is asked for.
    fn amend<'a>(&self, _body: Raw<'a>, _model: &str, _losses: &mut Losses<'a>) -> Vec<Amendment> {
        Vec::new()
    }

    /// What becomes of a field that no reader takes, though what it holds is read: why it is not the same
    /// without the field.
    fn outlived(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// What is put into a request so that its prompt is cached; nothing where the protocol has no marks for
    /// that, and its providers cache on their own.
    fn place_cache_marks(&self, _field: FieldOf<'_, '_>, _caching: &PromptCaching) -> Vec<Insertion> {
        Vec::new()
    }

    /// Whether a field says something though it is an empty object: it switches something on.
    fn is_switch(&self, _name: &str) -> bool {
        false
    }
}

/// The adapter of a protocol.
pub fn adapter(protocol: Protocol) -> &'static dyn Adapter {
    match protocol {
        Protocol::OpenAiChat => &openai_chat::OpenAiChat,
        Protocol::AnthropicMessages => &anthropic_messages::AnthropicMessages,
        Protocol::OpenAiResponses => &openai_responses::ADAPTER,
        Protocol::GeminiGenerateContent => &gemini::ADAPTER,
        Protocol::BedrockConverse => &bedrock_converse::ADAPTER,
    }
}

/// Interprets the frames of one stream of a provider.
pub fn stream_reader(provider: Protocol) -> Box<dyn StreamReader> {
    adapter(provider).stream_reader()
}

/// Writes the frames of one stream for a client.
pub fn stream_writer(client: Protocol, target: &StreamTarget<'_>) -> Box<dyn StreamWriter> {
    adapter(client).stream_writer(target)
}
