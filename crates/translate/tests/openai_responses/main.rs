//! OpenAI Responses against the other protocols: golden cases, recordings, losses, and each oddity of
//! the protocol by name.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "recordings are read, or skipped aloud")]

mod answers;
mod fixtures;
mod losses;
mod requests;
mod support;
mod traps;
