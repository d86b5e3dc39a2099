//! Wire formats of LLM providers, read without losing what nobody asked for.
//!
//! - [`json`]: the one borrowed reader. A document is checked once; a value is a slice of it
//!   ([`json::Raw`]); an object is taken apart field by field ([`json::Fields`]); what nobody took
//!   is kept ([`json::Bag`]); [`json::Writer`] writes.
//! - [`Body`] and [`Edits`]: a request that goes to a provider of its own protocol is not parsed
//!   and printed again. One scan checks it, and its few changed fields are spliced into its bytes.
//! - [`Dialect`]: who serves a protocol, where that changes the request.
//! - [`Envelope`]: what a gateway must know of any request before it decides anything.
//! - [`openai_chat`] and [`anthropic_messages`]: what each format calls things, as its provider
//!   documents it: usage, finish reasons, errors, stream events, headers.
//!
//! No wire object is read by a derived deserialiser: those forget what they do not know. What the
//! formats *mean* to each other is the business of `weighbridge-translate`.
//!
//! ```
//! use bytes::Bytes;
//! use weighbridge_protocol::{Body, envelope, json::ScanLimits};
//! use weighbridge_units::Protocol;
//!
//! let sent = Bytes::from_static(br#"{"model":"fast","max_tokens":100,"messages":[]}"#);
//! let body = Body::scan(sent, &ScanLimits::default())?;
//! let asked = envelope(Protocol::OpenAiChat, &body)?;
//! assert_eq!((asked.model.as_str(), asked.max_output), ("fast", Some(100)));
//!
//! let mut edits = body.edit();
//! edits.set("model", r#""gpt-4o-mini""#);
//! assert_eq!(edits.rope().concat(), br#"{"model":"gpt-4o-mini","max_tokens":100,"messages":[]}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod anthropic_messages;
pub mod bedrock_converse;
pub mod bedrock_embeddings;
pub mod gemini;
pub mod json;
pub mod openai_chat;
pub mod openai_responses;

mod body;
mod dialect;
mod edits;
mod embeddings;
mod envelope;
mod path;

pub use body::Body;
pub use dialect::Dialect;
pub use edits::Edits;
pub use embeddings::EmbeddingsProtocol;
pub use envelope::{Addressed, Envelope, envelope, envelope_at};
pub use path::{escaped, unescaped};
