//! A protocol whose folder is not here yet.

use weighbridge_protocol::json::{Fields, Raw, ReadError, Writer};
use weighbridge_units::{Loss, Protocol};

use crate::{
    Adapter, Answer, AnswerFacts, AnswerTarget, ApiError, Conversation, Event, EventSink, Frame, FrameError,
    FrameRole, FrameScope, Losses, Place, RequestTarget, StreamReader, StreamTarget, StreamWriter,
};

/// Reads nothing, and writes nothing but what it reports as lost. No protocol of
/// [`Protocol::ALL`] has this adapter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Absent(pub(crate) Protocol);

const EXPECTED: &str = "a document of a protocol that is translated";

impl Absent {
    fn nothing<'a>(self, losses: &mut Losses<'a>) -> Vec<u8> {
        losses.dropped(Place::NOWHERE, format!("{} is not translated yet", self.0), "its translator");
        let mut out = Vec::new();
        drop(Writer::new(&mut out).object());
        out
    }
}

impl Adapter for Absent {
    fn decode_request<'a>(&self, body: Raw<'a>) -> Result<Conversation<'a>, ReadError> {
        Err(ReadError::new(body, EXPECTED))
    }

    fn encode_request<'a>(
        &self,
        _: &Conversation<'a>,
        _: &RequestTarget<'_>,
        losses: &mut Losses<'a>,
    ) -> Vec<u8> {
        self.nothing(losses)
    }

    fn decode_answer<'a>(&self, body: Raw<'a>) -> Result<Answer<'a>, ReadError> {
        Err(ReadError::new(body, EXPECTED))
    }

    fn encode_answer<'a>(&self, _: &Answer<'a>, _: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> Vec<u8> {
        self.nothing(losses)
    }

    fn answer_facts(&self, answer: Fields<'_>) -> Result<AnswerFacts, ReadError> {
        Err(ReadError::new(answer.raw(), EXPECTED))
    }

    fn decode_error(&self, _: u16, _: Raw<'_>) -> Option<ApiError> {
        None
    }

    fn encode_error(&self, error: &ApiError, _: &str) -> (u16, Vec<u8>) {
        (error.status, b"{}".to_vec())
    }

    fn encode_stream_error(&self, _: &ApiError, _: &str) -> Vec<u8> {
        Vec::new()
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(*self)
    }

    fn stream_writer(&self, _: &StreamTarget<'_>) -> Box<dyn StreamWriter> {
        Box::new(*self)
    }

    fn is_default(&self, _: &str, _: Raw<'_>) -> bool {
        false
    }
}

impl StreamReader for Absent {
    fn read(&mut self, _: Frame<'_>, _: FrameScope, _: &mut EventSink<'_>) -> Result<FrameRole, FrameError> {
        Err(FrameError::Malformed(format!("{} is not translated yet", self.0)))
    }

    fn end_of_body(&mut self, _: &mut EventSink<'_>) -> bool {
        false
    }
}

impl StreamWriter for Absent {
    fn write(&mut self, _: &Event<'_>, _: &mut Vec<u8>, _: &mut Vec<Loss>) -> Result<(), FrameError> {
        Err(FrameError::Malformed(format!("{} is not translated yet", self.0)))
    }

    fn complete(&mut self, _: &mut Vec<u8>, _: &mut Vec<Loss>) {}

    fn held_events(&self) -> u64 {
        0
    }
}
