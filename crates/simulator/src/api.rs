//! The APIs that answer with text: what each makes of an answer and of a failure.

use serde_json::Value;

use crate::ask::{Ask, Form, House, Own};
use crate::frame::{Frame, Telling};
use crate::scatter::Scatter;
use crate::script::Candidate;
use crate::{anthropic, azure, bedrock, copyist, gemini, openai, responses};

/// An API that generates text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Google's `generateContent`.
    Gemini,
    /// Bedrock's Converse.
    Converse,
}

impl Api {
    /// Whether an output limit may cut the arguments of a tool call; otherwise the call is left out.
    pub(crate) const fn cuts_calls(self) -> bool {
        matches!(self, Self::Chat | Self::Responses)
    }
}

/// The id of a tool call, in the API's form; empty where it has none.
pub(crate) fn call_id(ask: &Ask, ids: &mut Scatter) -> String {
    match &ask.own {
        Own::Chat | Own::Responses(_) => ids.id("call_", 24),
        Own::Messages => ids.id(&format!("toolu_{}", anthropic::id_mark(ask.house)), 24),
        Own::Gemini(own) => gemini::call_id(own, ids),
        Own::Converse(_) => ids.id("tooluse_", 22),
    }
}

/// The whole answer.
pub(crate) fn whole(ask: &Ask, candidates: &[Candidate], ids: &mut Scatter, with_usage: bool) -> Value {
    let answer = match (&ask.own, candidates) {
        (Own::Messages, [candidate, ..]) => anthropic::whole(ask, candidate, ids, with_usage),
        (Own::Responses(own), [candidate, ..]) => responses::whole(ask, own, candidate, ids, with_usage),
        (Own::Converse(own), [candidate, ..]) => bedrock::whole(ask, own, candidate, with_usage),
        (Own::Gemini(own), _) => gemini::whole(ask, own, candidates, ids, with_usage),
        _ => openai::whole(ask, candidates, ids, with_usage),
    };
    match ask.house {
        House::Azure => azure::filtered(answer),
        House::Copyist(copyist) => copyist::whole(copyist, answer),
        _ => answer,
    }
}

/// The streamed answer.
pub(crate) fn frames(ask: &Ask, candidates: &[Candidate], ids: &mut Scatter, telling: Telling) -> Vec<Frame> {
    let frames = match (&ask.own, candidates) {
        (Own::Messages, [candidate, ..]) => anthropic::frames(ask, candidate, ids, telling),
        (Own::Responses(own), [candidate, ..]) => responses::frames(ask, own, candidate, ids, telling),
        (Own::Converse(own), [candidate, ..]) => bedrock::frames(ask, own, candidate, ids, telling),
        (Own::Gemini(own), _) => gemini::frames(ask, own, candidates, ids, telling),
        _ => openai::frames(ask, candidates, ids, telling),
    };
    match ask.house {
        House::Azure => azure::filtered_stream(frames),
        House::Copyist(copyist) => copyist::frames(copyist, frames),
        _ => frames,
    }
}

/// What a stream says when the provider fails, in the place of the frame with this number.
pub(crate) fn error_frame(ask: &Ask, place: usize) -> Vec<u8> {
    match &ask.own {
        Own::Chat => openai::ERROR_FRAME.into(),
        Own::Responses(own) => responses::error_frame(own, place),
        Own::Messages if ask.house == House::Bedrock => bedrock::error_frame(ask),
        Own::Messages => anthropic::ERROR_FRAME.into(),
        Own::Gemini(_) => gemini::error_frame(ask, place),
        Own::Converse(_) => bedrock::error_frame(ask),
    }
}

/// A frame of a stream whose payload is not JSON.
pub(crate) fn malformed_frame(ask: &Ask) -> Vec<u8> {
    match &ask.own {
        Own::Chat => openai::MALFORMED_FRAME.into(),
        Own::Responses(_) => responses::MALFORMED_FRAME.into(),
        Own::Messages if ask.house == House::Bedrock => bedrock::malformed_chunk(),
        Own::Messages => anthropic::MALFORMED_FRAME.into(),
        Own::Gemini(_) => gemini::malformed_frame(ask),
        Own::Converse(_) => bedrock::malformed_frame(),
    }
}

/// How a frame begins that has so many bytes. A line may go on for ever as it is.
pub(crate) fn endless_head(ask: &Ask, length: usize) -> Vec<u8> {
    match ask.form {
        Form::Frames => bedrock::endless_head(length),
        _ => Vec::new(),
    }
}
