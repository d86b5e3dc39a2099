//! Gemini in both directions: what goes in, what comes out, what is lost.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod answers;
mod names;
mod requests;
mod support;
mod traps;
