//! Values of `stopReason`:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax>.

/// The model came to an end.
pub const END_TURN: &str = "end_turn";
/// The output cap was reached.
pub const MAX_TOKENS: &str = "max_tokens";
/// A stop sequence was hit. Which one is told only where the request asks for the field of the model's
/// own answer that says it: [`STOP_SEQUENCE_PATHS`].
pub const STOP_SEQUENCE: &str = "stop_sequence";
/// The model calls tools.
pub const TOOL_USE: &str = "tool_use";
/// A guardrail of the account intervened.
pub const GUARDRAIL_INTERVENED: &str = "guardrail_intervened";
/// The model's own filter left content out.
pub const CONTENT_FILTERED: &str = "content_filtered";
/// What the model said could not be read.
pub const MALFORMED_MODEL_OUTPUT: &str = "malformed_model_output";
/// The model's call of a tool could not be read.
pub const MALFORMED_TOOL_USE: &str = "malformed_tool_use";
/// The context window is full.
pub const CONTEXT_FULL: &str = "model_context_window_exceeded";

/// Where Claude models say which stop sequence was hit: in a whole answer, and in a stream. Fit for
/// `additionalModelResponseFieldPaths`; a path that leads nowhere is ignored.
pub const STOP_SEQUENCE_PATHS: [&str; 2] = ["/stop_sequence", "/delta/stop_sequence"];
