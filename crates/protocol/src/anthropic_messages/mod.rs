//! Anthropic Messages: <https://docs.anthropic.com/en/api/messages>.

pub mod envelope;
pub mod error;
pub mod finish;
pub mod house;
pub mod models;
pub mod usage;

/// The path below a provider's base URL, which ends in `/v1`.
pub const PATH: &str = "/messages";

/// The version of the format that is described here; the value of [`header::VERSION`].
pub const VERSION: &str = "2023-06-01";

/// `type` of a whole answer.
pub const MESSAGE: &str = "message";

/// Headers in lower case.
pub mod header {
    /// The credential.
    pub const CREDENTIAL: &str = "x-api-key";
    /// The version of the format; required.
    pub const VERSION: &str = "anthropic-version";
    /// Names of features that change the format.
    pub const BETA: &str = "anthropic-beta";
    /// The provider's id of the request, in an answer.
    pub const REQUEST_ID: &str = "request-id";
}

/// Names of stream events; each event's `type` is the same.
/// <https://docs.anthropic.com/en/docs/build-with-claude/streaming>
pub mod event {
    /// The answer begins: an empty message with first usage figures.
    pub const MESSAGE_START: &str = "message_start";
    /// A content block begins.
    pub const CONTENT_BLOCK_START: &str = "content_block_start";
    /// A piece of a content block.
    pub const CONTENT_BLOCK_DELTA: &str = "content_block_delta";
    /// A content block is complete.
    pub const CONTENT_BLOCK_STOP: &str = "content_block_stop";
    /// Stop reason and final usage.
    pub const MESSAGE_DELTA: &str = "message_delta";
    /// The answer is complete.
    pub const MESSAGE_STOP: &str = "message_stop";
    /// Nothing; keeps the connection alive.
    pub const PING: &str = "ping";
    /// The answer broke off.
    pub const ERROR: &str = "error";
}
