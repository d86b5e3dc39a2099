//! Why an answer ended.

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
    /// A reason that only the provider knows, in its words.
    Other(String),
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
