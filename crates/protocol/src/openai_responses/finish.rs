//! Values of `status` and of `incomplete_details.reason`.

/// The answer is whole, be it text or calls of tools.
pub const COMPLETED: &str = "completed";
/// It was cut; `incomplete_details` says why.
pub const INCOMPLETE: &str = "incomplete";
/// It failed; `error` says why.
pub const FAILED: &str = "failed";
/// It is still being made.
pub const IN_PROGRESS: &str = "in_progress";
/// The client has cancelled it.
pub const CANCELLED: &str = "cancelled";
/// It waits to be made.
pub const QUEUED: &str = "queued";

/// Reason: the output cap was reached.
pub const MAX_OUTPUT_TOKENS: &str = "max_output_tokens";
/// Reason: a filter left content out.
pub const CONTENT_FILTER: &str = "content_filter";
/// Reason: there are as many messages as were allowed.
pub const MAX_MESSAGES: &str = "max_messages";
/// Reason: the client has given the answer another direction.
pub const STEERED: &str = "steered";
