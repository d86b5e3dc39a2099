//! What tests of streams need: the grammars of the protocols, as small automata written from the
//! providers' documentation, apart from the readers and writers that they judge.
//!
//! ```
//! use weighbridge_stream::testkit::{Verdict, check};
//! use weighbridge_units::Protocol;
//!
//! let cut = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\
//!     \"type\":\"message\",\"role\":\"assistant\",\"model\":\"x\",\"content\":[],\"stop_reason\":null,\
//!     \"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":0}}}\n\n";
//! assert_eq!(check(Protocol::AnthropicMessages, cut), Ok(Verdict::Unfinished));
//! ```

mod anthropic_messages;
mod gemini;
mod openai_chat;

use serde_json::Value;
use thiserror::Error;
use weighbridge_units::Protocol;

use crate::json_array::JsonArrayDecoder;
use crate::sse::{SseDecoder, SseItem};

/// How a stream that obeys its grammar stands at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The protocol's own end was reached.
    EndedWell,
    /// It ended with the protocol's error event.
    EndedWithError,
    /// It stopped before either.
    Unfinished,
}

/// Where and how a stream breaks its protocol's grammar.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("event {event} breaks the grammar: {what}")]
pub struct GrammarError {
    /// Which event of the stream, from 0.
    pub event: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Checks a whole client-side stream against the grammar of its protocol, strictly: fields that the
/// SDKs' models require must be there, with the right types.
///
/// # Errors
/// The first violation.
pub fn check(protocol: Protocol, stream: &[u8]) -> Result<Verdict, GrammarError> {
    let mut grammar: Box<dyn Grammar> = match protocol {
        Protocol::AnthropicMessages => Box::new(anthropic_messages::MessagesGrammar::default()),
        Protocol::GeminiGenerateContent => Box::new(gemini::GeminiGrammar::default()),
        _ => Box::new(openai_chat::ChatGrammar::default()),
    };
    let mut result = Ok(());
    let mut event = 0;
    let mut verdict = Verdict::Unfinished;
    let mut take = |item: SseItem<'_>| {
        let message = match item {
            SseItem::Message(message) => message,
            SseItem::Comment => return,
            SseItem::Bare(_) => {
                let what = "something stands outside of any event".to_owned();
                result = result.clone().and(Err(GrammarError { event, what }));
                return;
            }
        };
        if result.is_ok() {
            let step = match verdict {
                Verdict::Unfinished => grammar.step(message.event, &message.data),
                _ => Err("an event follows the end".into()),
            };
            match step {
                Ok(next) => verdict = next,
                Err(what) => result = Err(GrammarError { event, what }),
            }
            event += 1;
        }
    };
    let mut decoder = SseDecoder::new();
    let decoded = decoder.push(stream, &mut take).and_then(|()| decoder.finish(&mut take));
    if let Err(error) = decoded {
        return Err(GrammarError { event, what: error.to_string() });
    }
    result.map(|()| if verdict == Verdict::Unfinished { grammar.at_end() } else { verdict })
}

/// As [`check`], of a stream in the form of a JSON array, as Gemini has it for clients that do not ask for
/// events.
///
/// # Errors
/// The first violation.
pub fn check_array(stream: &[u8]) -> Result<Verdict, GrammarError> {
    let mut events = Vec::new();
    let mut decoder = JsonArrayDecoder::new();
    let mut take = |element: &[u8]| {
        events.extend_from_slice(b"data: ");
        events.extend(element.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
        events.extend_from_slice(b"\n\n");
    };
    let decoded = decoder.push(stream, &mut take);
    match decoded.and_then(|()| decoder.finish()) {
        Ok(()) => check(Protocol::GeminiGenerateContent, &events),
        Err(error) => Err(GrammarError { event: 0, what: error.to_string() }),
    }
}

/// One protocol's automaton.
trait Grammar {
    /// Takes the next event.
    fn step(&mut self, name: Option<&[u8]>, data: &[u8]) -> Result<Verdict, String>;

    /// How a stream stands that ends without a marker of the end.
    fn at_end(&self) -> Verdict {
        Verdict::Unfinished
    }
}

fn parse(data: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(data).map_err(|error| format!("its data is not JSON: {error}"))
}

/// Checks that `object` has a field of a kind.
fn need(object: &Value, field: &str, kind: impl Fn(&Value) -> bool) -> Result<(), String> {
    match object.get(field) {
        Some(value) if kind(value) => Ok(()),
        Some(value) => Err(format!("`{field}` is {value}")),
        None => Err(format!("`{field}` is missing")),
    }
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn is_string_or_null(value: &Value) -> bool {
    value.is_string() || value.is_null()
}
