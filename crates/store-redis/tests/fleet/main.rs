//! Several instances on one server of their own: what they admit together, and what becomes of it when Redis is
//! away, lost, stale or slow, and when one of them dies.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

mod faults;
#[path = "../server/mod.rs"]
mod server;
mod shared;
mod world;
