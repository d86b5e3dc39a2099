//! Values of `finish_reason`.

/// The model came to an end, or hit a stop sequence.
pub const STOP: &str = "stop";
/// The output cap was reached.
pub const LENGTH: &str = "length";
/// The model calls tools.
pub const TOOL_CALLS: &str = "tool_calls";
/// A filter left content out.
pub const CONTENT_FILTER: &str = "content_filter";
/// The model calls a function, in the form before tools.
pub const FUNCTION_CALL: &str = "function_call";
