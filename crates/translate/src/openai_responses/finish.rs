//! `status` and `incomplete_details`, read and written.

use weighbridge_protocol::openai_responses::finish as wire;

use crate::{FinishReason, PartsSeen};

/// What `status` and the reason in `incomplete_details` mean; `None` while the answer is being made.
///
/// A whole answer says `completed` also where it calls tools: its items tell.
pub fn read(status: Option<&str>, reason: Option<&str>, seen: PartsSeen) -> Option<FinishReason> {
    Some(match (status?, reason) {
        (wire::IN_PROGRESS | wire::QUEUED, _) => return None,
        (wire::COMPLETED, _) if seen.tool_calls => FinishReason::ToolCalls,
        (wire::COMPLETED, _) => FinishReason::Stop,
        (wire::INCOMPLETE, Some(wire::MAX_OUTPUT_TOKENS)) => FinishReason::Length,
        (wire::INCOMPLETE, Some(wire::CONTENT_FILTER)) => FinishReason::ContentFilter,
        (wire::INCOMPLETE, Some(other)) => FinishReason::Other(other.to_owned()),
        (other, _) => FinishReason::Other(other.to_owned()),
    })
}

/// How an answer ended, in this protocol's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// `status`.
    pub status: &'static str,
    /// `incomplete_details.reason`.
    pub reason: Option<&'static str>,
    /// Why that says less than the reason, where it does.
    pub lost: Option<&'static str>,
}

/// The end of a whole answer whose provider did not say why it ended.
pub const UNTOLD: Ending = Ending { status: wire::COMPLETED, reason: None, lost: None };

/// The words for a reason. The format documents only those of [`wire`], and strict clients accept no
/// others.
pub fn write(reason: &FinishReason, seen: PartsSeen) -> Ending {
    let completed = |lost| Ending { lost, ..UNTOLD };
    let incomplete =
        |reason: &'static str, lost| Ending { status: wire::INCOMPLETE, reason: Some(reason), lost };
    match reason {
        FinishReason::Stop => completed(None),
        FinishReason::ToolCalls if seen.tool_calls => completed(None),
        FinishReason::ToolCalls => {
            completed(Some("`completed` does not say that tools are called, and there is no call"))
        }
        FinishReason::StopSequence(_) => {
            completed(Some("`completed` does not say that a stop sequence was hit, nor which"))
        }
        FinishReason::Length => incomplete(wire::MAX_OUTPUT_TOKENS, None),
        FinishReason::ContextFull => incomplete(
            wire::MAX_OUTPUT_TOKENS,
            Some("`max_output_tokens` does not say that the context window is full"),
        ),
        FinishReason::ContentFilter => incomplete(wire::CONTENT_FILTER, None),
        // A refusal in words is a whole answer; one without words is a filter's.
        FinishReason::Refusal if seen.refusal => completed(None),
        FinishReason::Refusal => {
            incomplete(wire::CONTENT_FILTER, Some("`content_filter` does not say that the model refused"))
        }
        FinishReason::Pause => completed(Some("a turn cannot be paused here and continued")),
        FinishReason::MalformedCall => {
            completed(Some("`completed` does not say that a call of a tool could not be read"))
        }
        FinishReason::Other(name) => match name.as_str() {
            wire::MAX_MESSAGES => incomplete(wire::MAX_MESSAGES, None),
            wire::STEERED => incomplete(wire::STEERED, None),
            wire::CANCELLED => Ending { status: wire::CANCELLED, ..UNTOLD },
            _ => completed(Some("the reason has no counterpart here")),
        },
    }
}
