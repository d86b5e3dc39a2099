//! Gemini generateContent: <https://ai.google.dev/api/generate-content>, also as Vertex AI serves it:
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>.
//!
//! The model and whether the answer is streamed stand in the path ([`Route`]), not in the body.
//! Google reads each field under two names, `camelCase` and `snake_case` ([`names`]); a zero, an empty
//! list and an empty text are the same as no field.

pub mod count_tokens;
pub mod envelope;
pub mod error;
pub mod finish;
pub mod models;
pub mod names;
pub mod usage;

mod route;

pub use route::{Call, Route, StreamForm};

/// What ends an event of a stream.
pub const EVENT_END: &str = "\r\n\r\n";

/// `role` of what the model says.
pub const MODEL: &str = "model";

/// Headers in lower case.
pub mod header {
    /// The credential of the Gemini API; Vertex AI takes `authorization: Bearer …`.
    pub const CREDENTIAL: &str = "x-goog-api-key";
}

/// The field of a query that may hold the credential instead of [`header::CREDENTIAL`].
pub const CREDENTIAL_QUERY: &str = "key";
