//! Bedrock Converse: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.
//!
//! One format for the models of many makers, spoken by Amazon Bedrock and by nobody else. A stream
//! comes in frames of `application/vnd.amazon.eventstream`; the type of a frame is a header of it, its
//! payload is JSON. What an error is stands in a header of the answer, and in a stream in one of the
//! frame.

pub mod envelope;
pub mod error;
pub mod finish;
pub mod usage;

use crate::escaped;

/// The path of a call, below a provider's base URL. The model stands in it and not in the body, and is
/// escaped: a model's id may be an ARN, with slashes.
///
/// ```
/// use weighbridge_protocol::bedrock_converse::path;
///
/// assert_eq!(path("amazon.nova-lite-v1:0", false), "/model/amazon.nova-lite-v1%3A0/converse");
/// assert!(path("arn:aws:bedrock:eu-west-1:1:inference-profile/x", true)
///     .ends_with("%3Ainference-profile%2Fx/converse-stream"));
/// ```
pub fn path(model: &str, stream: bool) -> String {
    model_path(model, if stream { "converse-stream" } else { "converse" })
}

/// The path of any call of a model, below a provider's base URL.
///
/// ```
/// use weighbridge_protocol::bedrock_converse::model_path;
///
/// let path = model_path("amazon.titan-embed-text-v2:0", "invoke");
/// assert_eq!(path, "/model/amazon.titan-embed-text-v2%3A0/invoke");
/// ```
pub fn model_path(model: &str, call: &str) -> String {
    format!("/model/{}/{call}", escaped(model, ""))
}

/// Headers in lower case.
pub mod header {
    /// What an error is, as `Name` or `Name:address`.
    pub const ERROR_TYPE: &str = "x-amzn-errortype";
    /// The provider's id of the request, in an answer.
    pub const REQUEST_ID: &str = "x-amzn-requestid";
}

/// Types of the frames of a stream.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>
pub mod event {
    /// The answer begins.
    pub const MESSAGE_START: &str = "messageStart";
    /// A content block begins. Blocks of text and reasoning usually begin without it.
    pub const BLOCK_START: &str = "contentBlockStart";
    /// A piece of a content block.
    pub const BLOCK_DELTA: &str = "contentBlockDelta";
    /// A content block is complete.
    pub const BLOCK_STOP: &str = "contentBlockStop";
    /// Why the answer ended. Usage is yet to come.
    pub const MESSAGE_STOP: &str = "messageStop";
    /// Usage, and what else is known of the whole answer: the last frame.
    pub const METADATA: &str = "metadata";
    /// The field of random length that every frame has, so that lengths betray nothing.
    pub const PADDING: &str = "p";
}
