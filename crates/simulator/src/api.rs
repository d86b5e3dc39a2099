//! The APIs that answer with text: what each makes of a request, an answer, and a failure.

use serde_json::Value;

use crate::ask::Ask;
use crate::frame::{Frame, Telling};
use crate::scatter::Scatter;
use crate::script::Candidate;
use crate::{anthropic, openai};

/// An API that generates text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    /// OpenAI Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
}

impl Api {
    /// The id of a tool call, in the API's form.
    pub(crate) fn call_id(self, ids: &mut Scatter) -> String {
        match self {
            Self::Chat => ids.id("call_", 24),
            Self::Messages => ids.id("toolu_01", 24),
        }
    }

    /// Whether an output limit may cut the arguments of a tool call; otherwise the call is left out.
    pub(crate) const fn cuts_calls(self) -> bool {
        matches!(self, Self::Chat)
    }

    /// The whole answer.
    pub(crate) fn whole(
        self,
        ask: &Ask,
        candidates: &[Candidate],
        ids: &mut Scatter,
        with_usage: bool,
    ) -> Value {
        match (self, candidates) {
            (Self::Messages, [candidate, ..]) => anthropic::whole(ask, candidate, ids, with_usage),
            _ => openai::whole(ask, candidates, ids, with_usage),
        }
    }

    /// The streamed answer.
    pub(crate) fn frames(
        self,
        ask: &Ask,
        candidates: &[Candidate],
        ids: &mut Scatter,
        telling: Telling,
    ) -> Vec<Frame> {
        match (self, candidates) {
            (Self::Messages, [candidate, ..]) => anthropic::frames(ask, candidate, ids, telling),
            _ => openai::frames(ask, candidates, ids, telling),
        }
    }

    /// What a stream says when the provider fails, in the place of the frame with this number.
    pub(crate) fn error_frame(self, _ask: &Ask, _place: usize) -> Vec<u8> {
        match self {
            Self::Chat => openai::ERROR_FRAME.into(),
            Self::Messages => anthropic::ERROR_FRAME.into(),
        }
    }

    /// A frame of a stream whose payload is not JSON.
    pub(crate) fn malformed_frame(self, _ask: &Ask) -> Vec<u8> {
        match self {
            Self::Chat => openai::MALFORMED_FRAME.into(),
            Self::Messages => anthropic::MALFORMED_FRAME.into(),
        }
    }

    /// How a frame begins that has so many bytes. A line may go on for ever as it is.
    pub(crate) fn endless_head(self, _length: usize) -> Vec<u8> {
        Vec::new()
    }
}
