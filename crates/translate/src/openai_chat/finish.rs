//! `finish_reason`, read and written.

use weighbridge_protocol::openai_chat::finish as wire;

use crate::{FinishReason, PartsSeen};

/// What a value of `finish_reason` means.
pub fn read(reason: &str) -> FinishReason {
    match reason {
        wire::STOP => FinishReason::Stop,
        wire::LENGTH => FinishReason::Length,
        wire::TOOL_CALLS | wire::FUNCTION_CALL => FinishReason::ToolCalls,
        wire::CONTENT_FILTER => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// The value of `finish_reason` for a reason, and why it says less than the reason, where it does.
///
/// The format documents only the values of [`wire`], and strict clients accept no others.
pub fn write(reason: &FinishReason, seen: PartsSeen) -> (&'static str, Option<&'static str>) {
    match reason {
        FinishReason::Stop => (wire::STOP, None),
        FinishReason::StopSequence(_) => {
            (wire::STOP, Some("`stop` does not say that a stop sequence was hit, nor which"))
        }
        FinishReason::Length => (wire::LENGTH, None),
        FinishReason::ContextFull => {
            (wire::LENGTH, Some("`length` does not say that the context window is full"))
        }
        FinishReason::ToolCalls => (wire::TOOL_CALLS, None),
        FinishReason::ContentFilter => (wire::CONTENT_FILTER, None),
        // A refusal in words ends with `stop`; one without words is a filter's.
        FinishReason::Refusal if seen.refusal => (wire::STOP, None),
        FinishReason::Refusal => {
            (wire::CONTENT_FILTER, Some("`content_filter` does not say that the model refused"))
        }
        FinishReason::Pause => (wire::STOP, Some("a turn cannot be paused here and continued")),
        FinishReason::MalformedCall => {
            (wire::STOP, Some("`stop` does not say that a call of a tool could not be read"))
        }
        FinishReason::Other(_) if seen.tool_calls => {
            (wire::TOOL_CALLS, Some("the reason has no counterpart here"))
        }
        FinishReason::Other(_) => (wire::STOP, Some("the reason has no counterpart here")),
    }
}

/// The value for an answer whose provider did not say why it ended.
pub fn ended(seen: PartsSeen) -> &'static str {
    if seen.tool_calls { wire::TOOL_CALLS } else { wire::STOP }
}

/// The value for a client that may know the form of calls before tools only.
pub fn for_client(written: &'static str, legacy_functions: bool) -> &'static str {
    if legacy_functions && written == wire::TOOL_CALLS { wire::FUNCTION_CALL } else { written }
}
