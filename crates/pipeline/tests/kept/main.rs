//! Answers of OpenAI Responses that are kept: read, gone on from, deleted, whoever gave them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod conversations;
mod items;
mod lengths;
mod reading;
mod store;
mod support;
mod wishes;
#[path = "../world/mod.rs"]
mod world;
