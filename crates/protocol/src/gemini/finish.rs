//! Values of `finishReason`: <https://ai.google.dev/api/generate-content#FinishReason>.
//!
//! A call of a tool ends with `STOP` as well: only the parts tell.

/// The model came to an end, hit a stop sequence, or calls tools.
pub const STOP: &str = "STOP";
/// The output cap was reached.
pub const MAX_TOKENS: &str = "MAX_TOKENS";
/// A filter left content out.
pub const SAFETY: &str = "SAFETY";
/// None of the other reasons.
pub const OTHER: &str = "OTHER";
/// A call of a tool could not be read.
pub const MALFORMED_FUNCTION_CALL: &str = "MALFORMED_FUNCTION_CALL";
/// A call of a tool that there is not.
pub const UNEXPECTED_TOOL_CALL: &str = "UNEXPECTED_TOOL_CALL";
/// A long answer was interrupted and can be continued.
pub const CONTINUATION: &str = "CONTINUATION";

/// The reasons of filters, [`SAFETY`] first.
pub const FILTERS: [&str; 9] = [
    SAFETY,
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
];

/// The reasons that are none of the above.
pub const RARE: [&str; 8] = [
    OTHER,
    "LANGUAGE",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "FINISH_REASON_UNSPECIFIED",
];
