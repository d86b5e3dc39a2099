//! What is measured, by the clock (`translation.rs`) and in instructions (`instructions.rs`): bodies of each
//! protocol that say the same, and what happens to them on their way.

mod bodies;
mod typed;

use bytes::Bytes;
use weighbridge_protocol::json::ScanLimits;
use weighbridge_protocol::{Body, envelope};
use weighbridge_translate::{AnswerTarget, RequestTarget};
use weighbridge_units::Protocol;

const TARGET: RequestTarget<'_> = RequestTarget::new("some-model");
const ANSWERED: AnswerTarget<'_> = AnswerTarget::new("made-up", 1_700_000_000);

/// A document in one protocol, for work on its way to the other.
pub(crate) struct Measured {
    from: Protocol,
    to: Protocol,
    body: String,
    /// The same as it arrives.
    bytes: Bytes,
}

/// A request of about so many kilobytes, as a client of `from` sends it.
pub(crate) fn request(kilobytes: usize, from: Protocol, to: Protocol) -> Measured {
    let chat = bodies::request(kilobytes * 1024);
    let body = match from {
        Protocol::OpenAiChat => chat,
        other => {
            let sent = weighbridge_translate::request(Protocol::OpenAiChat, other, &chat, &TARGET).unwrap();
            String::from_utf8(sent.value).unwrap()
        }
    };
    // Gemini's model stands in the path, and the route writes it into the body.
    let body = match from {
        Protocol::GeminiGenerateContent => body.replacen('{', r#"{"model":"some-model","#, 1),
        _ => body,
    };
    Measured { from, to, bytes: Bytes::from(body.clone()), body }
}

/// An answer of about two kilobytes, as a provider of `from` gives it.
pub(crate) fn answer(from: Protocol, to: Protocol) -> Measured {
    let chat = bodies::answer(2 * 1024);
    let body = match from {
        Protocol::OpenAiChat => chat,
        other => {
            let told =
                weighbridge_translate::response(Protocol::OpenAiChat, other, &chat, &ANSWERED).unwrap();
            String::from_utf8(told.value.0).unwrap()
        }
    };
    Measured { from, to, bytes: Bytes::from(body.clone()), body }
}

impl Measured {
    /// What is done to a request that passes to a provider of its own protocol.
    pub(crate) fn peek_and_patch(&self) -> Vec<Bytes> {
        let body = Body::scan(self.bytes.clone(), &ScanLimits::default()).unwrap();
        let asked = envelope(self.from, &body).unwrap();
        let mut edits = body.edit();
        edits.set("model", format!("\"{}-2026\"", asked.model));
        edits.rope()
    }

    /// Translates a request.
    pub(crate) fn translate_request(&self) -> Vec<u8> {
        weighbridge_translate::request(self.from, self.to, &self.body, &TARGET).unwrap().value
    }

    /// Translates an answer.
    pub(crate) fn translate_answer(&self) -> Vec<u8> {
        weighbridge_translate::response(self.from, self.to, &self.body, &ANSWERED).unwrap().value.0
    }

    /// What the translation of a request is held against: typed structs.
    pub(crate) fn retype_request(&self) -> Vec<u8> {
        typed::request(self.from, &self.body)
    }

    /// What the translation of an answer is held against.
    pub(crate) fn retype_answer(&self) -> Vec<u8> {
        typed::answer(self.from, &self.body)
    }
}
