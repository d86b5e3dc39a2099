//! OpenAI Chat Completions: <https://platform.openai.com/docs/api-reference/chat>.
//!
//! Also spoken, with dialects, by Azure, Groq, Mistral, DeepSeek, xAI, OpenRouter, vLLM, Ollama and
//! most others.

pub mod envelope;
pub mod error;
pub mod finish;
pub mod models;
pub mod usage;

mod quirks;

pub use quirks::Quirks;

/// The path below a provider's base URL, which ends in `/v1`.
pub const PATH: &str = "/chat/completions";

/// What ends a stream, as the data of its last event.
pub const STREAM_END: &str = "[DONE]";

/// `object` of a whole answer.
pub const OBJECT: &str = "chat.completion";

/// `object` of a piece of a streamed answer.
pub const OBJECT_CHUNK: &str = "chat.completion.chunk";

/// The field that asks a stream to tell its usage, and the one inside it.
pub const STREAM_USAGE: (&str, &str) = ("stream_options", "include_usage");

/// Headers in lower case.
pub mod header {
    /// The credential, as `Bearer …`.
    pub const CREDENTIAL: &str = "authorization";
    /// The provider's id of the request, in an answer.
    pub const REQUEST_ID: &str = "x-request-id";
}
