//! Bedrock Converse: cases of both directions, traps of its wire format, recorded traffic.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, reason = "recordings are read, or skipped aloud")]

mod answers;
mod recorded;
mod requests;
mod support;
mod traps;
mod wishes;
