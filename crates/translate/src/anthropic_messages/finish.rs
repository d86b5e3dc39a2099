//! `stop_reason` and `stop_sequence`, read and written.

use weighbridge_protocol::anthropic_messages::finish as wire;

use crate::{FinishReason, PartsSeen};

/// What a value of `stop_reason` means, together with the value of `stop_sequence`.
pub fn read(reason: &str, sequence: Option<&str>) -> FinishReason {
    match reason {
        wire::END_TURN => FinishReason::Stop,
        wire::STOP_SEQUENCE => FinishReason::StopSequence(sequence.map(str::to_owned)),
        wire::MAX_TOKENS => FinishReason::Length,
        wire::CONTEXT_FULL => FinishReason::ContextFull,
        wire::TOOL_USE => FinishReason::ToolCalls,
        wire::REFUSAL => FinishReason::Refusal,
        wire::PAUSE_TURN => FinishReason::Pause,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// The value of `stop_reason` for a reason, and why it says less than the reason, where it does.
/// The value of `stop_sequence` is [`sequence`].
pub fn write(reason: &FinishReason, seen: PartsSeen) -> (&'static str, Option<&'static str>) {
    match reason {
        FinishReason::Stop => (ended(seen), None),
        FinishReason::StopSequence(_) => (wire::STOP_SEQUENCE, None),
        FinishReason::Length => (wire::MAX_TOKENS, None),
        FinishReason::ContextFull => (wire::CONTEXT_FULL, None),
        FinishReason::ToolCalls => (wire::TOOL_USE, None),
        FinishReason::ContentFilter => {
            (wire::REFUSAL, Some("`refusal` does not say that a filter left content out"))
        }
        FinishReason::Refusal => (wire::REFUSAL, None),
        FinishReason::Pause => (wire::PAUSE_TURN, None),
        FinishReason::MalformedCall => {
            (ended(seen), Some("no reason here says that a call of a tool could not be read"))
        }
        FinishReason::Other(_) => (ended(seen), Some("the reason has no counterpart here")),
    }
}

/// How a turn that came to its end is called, by what it consists of: a client that is not told of
/// the calls would not make them.
pub fn ended(seen: PartsSeen) -> &'static str {
    if seen.tool_calls {
        wire::TOOL_USE
    } else if seen.refusal {
        wire::REFUSAL
    } else {
        wire::END_TURN
    }
}

/// The value of `stop_sequence` for a reason.
pub fn sequence(reason: &FinishReason) -> Option<&str> {
    match reason {
        FinishReason::StopSequence(sequence) => sequence.as_deref(),
        _ => None,
    }
}
