//! Whole streams through a [`Relay`](weighbridge_stream::Relay): each pair, and the laws for all.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "recordings are read, or skipped aloud")]

mod anthropic_to_chat;
mod chat_to_anthropic;
mod converse;
mod fixtures;
mod frames;
mod framings;
mod gemini;
mod gemini_recordings;
mod keep_alive;
mod laws;
mod odds;
mod pass_through;
mod replayed;
mod responses;
mod sequences;
mod stream_equals_whole;
mod support;
mod told;
mod traps;
mod traps_of_others;
