//! The simulated providers as their callers see them.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]

mod answers;
mod azure;
mod bedrock;
mod counts_and_embeddings;
mod faults;
mod folding;
mod gemini;
mod houses;
mod refusals;
mod replayed;
mod responses;
mod server;
mod support;
mod vectors;
