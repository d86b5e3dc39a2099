//! Values of `stop_reason`: <https://docs.anthropic.com/en/api/handling-stop-reasons>.

/// The model came to an end.
pub const END_TURN: &str = "end_turn";
/// The output cap was reached.
pub const MAX_TOKENS: &str = "max_tokens";
/// A stop sequence was hit; `stop_sequence` says which.
pub const STOP_SEQUENCE: &str = "stop_sequence";
/// The model calls tools.
pub const TOOL_USE: &str = "tool_use";
/// A long turn of server tools was interrupted; the client sends it back to go on.
pub const PAUSE_TURN: &str = "pause_turn";
/// A classifier intervened.
pub const REFUSAL: &str = "refusal";
/// The context window is full.
pub const CONTEXT_FULL: &str = "model_context_window_exceeded";
