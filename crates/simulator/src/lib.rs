//! Simulated providers: independent judges of whoever calls them, and of whoever keeps the books.
//!
//! A [`Simulator`] speaks one vendor's API. It
//!
//! - **refuses** what the vendor's published request schema refuses, and what its documentation says
//!   it refuses beyond that, with the vendor's own error;
//! - **answers** what a request asks for, whole or streamed, as a function of the request alone, in
//!   shapes that the vendor's SDK accepts strictly, with streams cut in the most awkward places;
//! - **misbehaves** on demand: see [`Fault`];
//! - **invoices** what it generated, with its own price list and integer arithmetic: see
//!   [`InvoiceLine`].
//!
//! It shares no code with what it judges. It is a [`Transport`](weighbridge_transport::Transport),
//! for tests in process and in virtual time; it serves any TCP listener ([`Simulator::serve`], with
//! control routes), and the binary `weighbridge-simulator` serves all vendors.
//!
//! What the simulated model says is steered by the last user text: `echo:TEXT` is answered with TEXT,
//! `words:500` with so many words, `pace:20` pauses so many milliseconds before each piece, "tool"
//! calls the first tool offered, "parallel" two at once, `cached:100` takes so many prompt tokens from
//! OpenAI's or Google's cache. The table is in `script.rs`.
//!
//! | vendor | simulated |
//! |---|---|
//! | [`Vendor::OpenAi`] | Chat Completions; Responses, with kept ones and counts; files; batches, which stay where they are; models |
//! | [`Vendor::Anthropic`] | Messages; models |
//! | [`Vendor::Google`] | Gemini: generate, stream (events or one array), count, embed; the same on Vertex, and `predict` and Claude there; models |
//! | [`Vendor::Azure`] | Chat Completions and embeddings of a deployment, Responses, as OpenAI's but for filters and errors |
//! | [`Vendor::Aws`] | Bedrock: Converse, ConverseStream, CountTokens, Claude and embeddings of Titan and Cohere by InvokeModel; signatures are checked |
//!
//! Vendors that copied OpenAI's API, each in its own way, are [`COPYISTS`]; [`SimulatorBuilder::copyist`] makes one.
//!
//! What a model has thought (signatures, encrypted content) is known again when it comes back, and
//! refused where it was changed, or is missing although it is needed.
//!
//! ```
//! use bytes::Bytes;
//! use futures::executor::block_on;
//! use http_body_util::BodyExt;
//! use weighbridge_simulator::{Fault, Simulator, Vendor};
//!
//! let openai = Simulator::new(Vendor::OpenAi);
//! openai.push_fault(Fault::Status { code: 503, retry_after: None });
//!
//! let request = || {
//!     let body = r#"{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "echo:Hello"}]}"#;
//!     http::Request::post("https://api.openai.com/v1/chat/completions")
//!         .header("authorization", "Bearer sk-anything")
//!         .body(Bytes::from(body))
//! };
//! let refused = block_on(openai.answer(request()?))?;
//! assert_eq!(refused.status(), 503);
//! assert!(openai.invoice().is_empty());
//!
//! let answer = block_on(openai.answer(request()?))?;
//! let body = block_on(answer.into_body().collect())?.to_bytes();
//! assert!(body.windows(5).any(|window| window == b"Hello"));
//!
//! let line = &openai.invoice()[0];
//! assert_eq!((line.usage.input, line.usage.output), (9, 2));
//! assert_eq!(line.nano_usd, 9 * 150 + 2 * 600);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod answering;
mod anthropic;
mod api;
mod ask;
mod azure;
mod base64;
mod bedrock;
mod body;
mod copyist;
mod delivery;
mod embedding;
mod fault;
mod fault_queue;
mod frame;
mod gemini;
mod headers;
mod invoice;
mod marked_prompt;
mod network;
mod openai;
mod prefix_cache;
mod price;
mod refusal;
mod responses;
mod route;
mod scatter;
mod schema;
mod script;
mod server;
mod simulator;
mod tokens;
mod vendor;

pub use account::ReceivedRequest;
pub use body::AnswerBody;
pub use copyist::{COPYISTS, Copyist, Errors, UsageAt};
pub use delivery::Chunking;
pub use fault::{Fault, FaultMix};
pub use invoice::{AnswerEnd, BilledUsage, InvoiceLine};
pub use network::Network;
pub use simulator::{Simulator, SimulatorBuilder};
pub use vendor::Vendor;
