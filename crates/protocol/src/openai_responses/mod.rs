//! OpenAI Responses: <https://platform.openai.com/docs/api-reference/responses>.
//!
//! Also spoken, with oddities, by Azure, xAI, OpenRouter, GitHub Copilot, DeepSeek, Bedrock and others.
//! The conversation and the answer are lists of typed items, not of messages: what the model says,
//! thinks and calls stands side by side.

pub mod envelope;
pub mod event;
pub mod finish;
pub mod usage;

/// The path below a provider's base URL, which ends in `/v1`.
pub const PATH: &str = "/responses";

/// `object` of a whole answer.
pub const OBJECT: &str = "response";

/// The least that `max_output_tokens` may be.
pub const MAX_OUTPUT_LEAST: u64 = 16;

/// `include` asks for the probabilities of the answer's tokens.
pub const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// `include` asks for reasoning in a form that a later request can bring back.
pub const INCLUDE_REASONING: &str = "reasoning.encrypted_content";

/// Headers in lower case.
pub mod header {
    /// The credential, as `Bearer …`.
    pub const CREDENTIAL: &str = "authorization";
    /// The provider's id of the request, in an answer.
    pub const REQUEST_ID: &str = "x-request-id";
}
