//! OpenAI Responses against the other protocols: golden cases, losses, and each oddity of
//! the protocol by name.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod answers;
mod losses;
mod requests;
mod support;
mod traps;
