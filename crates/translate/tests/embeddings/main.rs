//! Embeddings: cases of every pair of formats, traps, recorded traffic.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, reason = "recordings are read, or skipped aloud")]

mod answers;
mod damaged;
mod page;
mod recorded;
mod refusals;
mod requests;
mod support;
