//! Why an answer ended.

use std::borrow::Cow;

use weighbridge_protocol::json::Bag;

use crate::place::Place;

/// Why a candidate answer ended, in one vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model came to an end.
    Stop,
    /// A stop sequence was hit: which one, where the provider says.
    StopSequence(Option<String>),
    /// The output cap was reached.
    Length,
    /// The context window is full.
    ContextFull,
    /// The model calls tools.
    ToolCalls,
    /// A filter left content out.
    ContentFilter,
    /// The model, or a classifier beside it, refused.
    Refusal,
    /// A long turn was interrupted and can be continued.
    Pause,
    /// The model's call of a tool could not be read.
    MalformedCall,
    /// A reason that only the provider knows, in its words.
    Other(String),
}

/// What a provider adds to the reason: why a filter or the model itself refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StopDetails<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// What kind of content was refused, in the provider's words.
    pub category: Option<Cow<'a, str>>,
    /// For people.
    pub explanation: Option<Cow<'a, str>>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

/// What parts an answer has, as far as its finish reason depends on them.
///
/// Anthropic names refusals and tool calls in the reason; OpenAI says `stop` for a refusal, and for
/// a call that the client forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartsSeen {
    /// The model's words for refusing.
    pub refusal: bool,
    /// Calls of the client's tools.
    pub tool_calls: bool,
}
