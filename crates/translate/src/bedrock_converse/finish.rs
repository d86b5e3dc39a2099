//! `stopReason`, read and written.

use weighbridge_protocol::bedrock_converse::finish as wire;
use weighbridge_protocol::json::{Fields, Raw};

use crate::{FinishReason, PartsSeen};

/// What a value of `stopReason` means, together with `additionalModelResponseFields`, which may tell
/// which stop sequence was hit.
pub fn read(reason: &str, additional: Option<Raw<'_>>) -> FinishReason {
    match reason {
        wire::END_TURN => FinishReason::Stop,
        wire::STOP_SEQUENCE => FinishReason::StopSequence(additional.and_then(sequence)),
        wire::MAX_TOKENS => FinishReason::Length,
        wire::CONTEXT_FULL => FinishReason::ContextFull,
        wire::TOOL_USE => FinishReason::ToolCalls,
        wire::GUARDRAIL_INTERVENED | wire::CONTENT_FILTERED => FinishReason::ContentFilter,
        wire::MALFORMED_TOOL_USE | wire::MALFORMED_MODEL_OUTPUT => FinishReason::MalformedCall,
        // Names that Claude models have for it in their own format.
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Pause,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// The stop sequence: of a whole answer, or of a stream.
fn sequence(additional: Raw<'_>) -> Option<String> {
    let told = additional.get("stop_sequence").or_else(|| additional.get("delta")?.get("stop_sequence"));
    told?.read().ok()
}

/// Whether `additionalModelResponseFields` tells at most the stop sequence, which [`read`] takes over.
pub(super) fn is_sequence_alone(additional: Raw<'_>) -> bool {
    let only = |raw: Raw<'_>, name: &str| {
        let rest = Fields::read(raw).map(Fields::rest);
        rest.is_ok_and(|rest| rest.iter().all(|(field, _)| field == name))
    };
    only(additional, "stop_sequence")
        || (only(additional, "delta")
            && additional.get("delta").is_some_and(|raw| only(raw, "stop_sequence")))
}

/// Whether `additionalModelResponseFieldPaths` asks for no more than the stop sequence.
pub(super) fn are_sequence_paths(paths: Raw<'_>) -> bool {
    let is_known =
        |path: Raw<'_>| path.str().is_ok_and(|path| wire::STOP_SEQUENCE_PATHS.contains(&path.as_ref()));
    paths.items().is_ok_and(|mut paths| paths.all(is_known))
}

/// The value of `stopReason` for a reason, and why it says less than the reason, where it does.
pub fn write(reason: &FinishReason, seen: PartsSeen) -> (&'static str, Option<&'static str>) {
    match reason {
        FinishReason::Stop => (ended(seen), None),
        FinishReason::StopSequence(_) => (wire::STOP_SEQUENCE, None),
        FinishReason::Length => (wire::MAX_TOKENS, None),
        FinishReason::ContextFull => (wire::CONTEXT_FULL, None),
        FinishReason::ToolCalls => (wire::TOOL_USE, None),
        FinishReason::ContentFilter => (wire::CONTENT_FILTERED, None),
        FinishReason::Refusal => {
            (wire::CONTENT_FILTERED, Some("`content_filtered` does not say that the model itself refused"))
        }
        FinishReason::Pause => (ended(seen), Some("no reason here says that the turn can be continued")),
        FinishReason::MalformedCall => (wire::MALFORMED_TOOL_USE, None),
        FinishReason::Other(_) => (ended(seen), Some("the reason has no counterpart here")),
    }
}

/// How a turn that came to its end is called, by what it consists of: a client that is not told of the
/// calls would not make them.
pub fn ended(seen: PartsSeen) -> &'static str {
    if seen.tool_calls { wire::TOOL_USE } else { wire::END_TURN }
}
