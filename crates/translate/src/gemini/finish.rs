//! `finishReason`, read and written.

use std::borrow::Cow;

use weighbridge_protocol::gemini::finish as wire;
use weighbridge_protocol::json::Raw;

use crate::{FinishReason, PartsSeen};

/// What a value of `finishReason` means in an answer that calls tools or does not: `STOP` is the end of
/// either.
pub fn read(reason: &str, has_calls: bool) -> FinishReason {
    match reason {
        wire::STOP if has_calls => FinishReason::ToolCalls,
        wire::STOP => FinishReason::Stop,
        wire::MAX_TOKENS => FinishReason::Length,
        wire::MALFORMED_FUNCTION_CALL | wire::UNEXPECTED_TOOL_CALL => FinishReason::MalformedCall,
        wire::CONTINUATION => FinishReason::Pause,
        filter if wire::FILTERS.contains(&filter) => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// What a value says beyond what it means: several values have one meaning.
pub fn category(reason: &str) -> Option<&str> {
    match read(reason, false) {
        FinishReason::ContentFilter if reason != wire::SAFETY => Some(reason),
        FinishReason::MalformedCall if reason != wire::MALFORMED_FUNCTION_CALL => Some(reason),
        _ => None,
    }
}

/// Whether a `finishMessage` only says that tools are called, as the parts do.
pub(super) fn is_usual_message(raw: Raw<'_>) -> bool {
    raw.text().starts_with("\"Model generated function call")
}

/// The value of `finishReason` for a reason and what its provider adds to it, and why it says less than
/// the reason, where it does.
pub fn write<'r>(
    reason: &'r FinishReason,
    seen: PartsSeen,
    category: Option<&'r str>,
) -> (Cow<'r, str>, Option<&'static str>) {
    let own = |usual: &'static str| {
        let named = category.filter(|name| self::category(name).is_some() && read(name, false) == *reason);
        Cow::Borrowed(named.unwrap_or(usual))
    };
    let (value, lost) = match reason {
        FinishReason::Stop => (wire::STOP, None),
        FinishReason::StopSequence(_) => {
            (wire::STOP, Some("`STOP` does not say that a stop sequence was hit, nor which"))
        }
        FinishReason::Length => (wire::MAX_TOKENS, None),
        FinishReason::ContextFull => {
            (wire::MAX_TOKENS, Some("`MAX_TOKENS` does not say that the context window is full"))
        }
        FinishReason::ToolCalls if seen.tool_calls => (wire::STOP, None),
        FinishReason::ToolCalls => {
            (wire::STOP, Some("`STOP` without a call does not say that tools are called"))
        }
        FinishReason::ContentFilter => return (own(wire::SAFETY), None),
        FinishReason::MalformedCall => return (own(wire::MALFORMED_FUNCTION_CALL), None),
        FinishReason::Refusal if seen.refusal => {
            (wire::STOP, Some("`STOP` does not say that the model refused"))
        }
        FinishReason::Refusal => (wire::SAFETY, Some("`SAFETY` does not say that the model refused")),
        FinishReason::Pause => (wire::OTHER, Some("a turn cannot be paused here and continued")),
        FinishReason::Other(name) => match wire::RARE.iter().find(|rare| *rare == name) {
            Some(rare) => (*rare, None),
            None => (wire::OTHER, Some("the reason has no counterpart here")),
        },
    };
    (Cow::Borrowed(value), lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_gemini_comes_back() {
        let named = [wire::STOP, wire::MAX_TOKENS, wire::MALFORMED_FUNCTION_CALL, wire::UNEXPECTED_TOOL_CALL];
        for value in named.into_iter().chain(wire::FILTERS).chain(wire::RARE) {
            let reason = read(value, false);
            let (written, lost) = write(&reason, PartsSeen::default(), category(value));
            assert_eq!((written.as_ref(), lost), (value, None));
        }
    }

    #[test]
    fn a_category_of_another_reason_is_not_taken() {
        let seen = PartsSeen::default();
        for category in ["violence", "SAFETY", "UNEXPECTED_TOOL_CALL"] {
            assert_eq!(write(&FinishReason::ContentFilter, seen, Some(category)).0, wire::SAFETY);
        }
    }
}
