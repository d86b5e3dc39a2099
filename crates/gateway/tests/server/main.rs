//! A running gateway over a handler made for the test, spoken to over loopback.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails by panicking")]

mod client;
mod drain;
mod handler;
mod hostile;
mod requests;
mod switches;
