//! What right files mean.

#![expect(clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod environment;
mod every_key;
#[path = "../fixed/mod.rs"]
mod fixed;
mod models;
mod prices;
mod providers;
mod server;
mod storage;
mod support;
