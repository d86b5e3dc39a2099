//! Streams of LLM answers: weighed as they pass, or bridged from one protocol to another.
//!
//! A [`Relay`] stands between one provider's stream and one client. It has no I/O and no clock: pieces
//! of bytes go in, pieces of bytes come out, and at any moment it can say what is known
//! ([`Relay::facts`]), whether the answer has begun ([`Relay::committed`], the commit point before which
//! another provider may still be tried) and how the stream stands ([`Relay::state`]).
//!
//! ```text
//!          same protocol:  bytes ──────────── tee ──────────▶ the same bytes
//!                                              └─ facts
//!      in another framing:  bytes ─▶ decoder ─▶ reframe ─────▶ the same frames
//!                                              └─ facts
//!    a different protocol:  bytes ─▶ decoder ─▶ reader ─▶ driver ─▶ writer ─▶ bytes
//!                                                            └─ facts
//! ```
//!
//! - [`Decoder`] frees a stream of its framing, in whatever pieces it comes: server-sent events
//!   ([`sse`]), AWS event streams ([`aws`]), a JSON array ([`json_array`]).
//! - Readers and writers are the protocols' own, in `weighbridge-translate`: they meet in its canonical
//!   [`Event`](weighbridge_translate::Event)s.
//! - The driver owns what is odd about a stream (frames that are corrupt, unknown, or behind the end;
//!   errors in mid-stream; an end that never comes) and alone decides how it [`End`]s.
//! - A relay that is [resumable](Relay::resumable) goes on with the stream of another provider where the first's
//!   breaks off.
//! - [`Folder`] rebuilds the whole answer from events.
//! - [`testkit`] has the grammars of the protocols, to judge what comes out.
//!
//! # Laws
//!
//! How a stream is cut into pieces changes no byte of the output. Folding a bridged stream gives what
//! translating the whole answer gives. What comes out obeys the client's grammar, whatever went in. A
//! stream that did not end well never looks as if it had: it ends with an error event in the client's own
//! protocol.
//!
//! Nothing lags: what a frame says leaves with the frame that completes it, but for what the client's grammar
//! forbids to say yet, which is bounded and counted. A pass-through holds nothing back at all: a frame that
//! is corrupt, or was cut, has been sent on before anybody can know, and the error event follows it.
//!
//! # Memory
//!
//! A relay keeps at most one unfinished frame (an event or element of 16 MiB, [`sse::SseLimits`]; 24 MiB
//! of an AWS event stream, [`aws::AwsLimits`]) and what the client's grammar forbids to send yet (1 MiB,
//! counted in [`Facts::held_events`]). Both are small in practice: a frame usually comes whole, and calls
//! of tools usually one after the other.
//!
//! ```
//! use std::collections::VecDeque;
//! use bytes::Bytes;
//! use weighbridge_stream::{Framing, Relay, RelayOptions, StreamForm};
//! use weighbridge_units::Protocol::{AnthropicMessages, OpenAiChat};
//!
//! let mut relay = Relay::new(&RelayOptions {
//!     provider: OpenAiChat,
//!     framing: Framing::Sse,
//!     client: AnthropicMessages,
//!     hide_usage: false,
//!     show_usage: true,
//!     form: StreamForm::Events,
//!     id_fallback: "msg_1",
//!     model_fallback: "gpt-4o",
//!     created: 1_700_000_000,
//!     request_id: "req_1",
//!     legacy_functions: false,
//! });
//! let mut out = VecDeque::new();
//! relay.push(
//!     Bytes::from_static(b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n"),
//!     &mut out,
//! );
//! let events: Vec<u8> = out.drain(..).flatten().collect();
//! assert!(String::from_utf8_lossy(&events).contains(r#""delta":{"type":"text_delta","text":"Hi"}"#));
//!
//! // The connection ends here, without a finish reason and without `[DONE]`.
//! let end = relay.finish(None, &mut out);
//! assert!(!end.is_complete());
//! assert!(String::from_utf8_lossy(&out[0]).starts_with("event: error"));
//! ```

mod answer_tap;
pub mod aws;
mod bridge;
mod decoder;
mod driver;
mod facts;
mod fold;
pub mod json_array;
mod reframe;
mod relay;
mod replay;
mod seam;
pub mod sse;
mod standalone;
mod tee;
pub mod testkit;

pub use answer_tap::AnswerTap;
pub use decoder::{DecodeError, Decoded, DecodedSink, Decoder, Framing};
pub use facts::{End, Facts, RelayState};
pub use fold::{FoldTooLarge, Folder, fold_stream};
pub use relay::{BrokenOff, Relay, RelayOptions};
pub use replay::replay;
pub use standalone::{Standalone, StandaloneOptions};
pub use weighbridge_translate::StreamForm;
