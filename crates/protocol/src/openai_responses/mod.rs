//! OpenAI Responses: <https://platform.openai.com/docs/api-reference/responses>.

pub mod envelope;

/// The path below a provider's base URL, which ends in `/v1`.
pub const PATH: &str = "/responses";
