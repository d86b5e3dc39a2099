//! The laws of routing, in virtual time.

#![expect(clippy::unwrap_used, reason = "where a helper of a test fails, the test does")]

mod bounds;
mod breaker;
mod budget;
mod failover;
mod own_keys;
mod plans;
mod rules;
mod shares;
mod snapshot;
mod storm;
mod strategies;
mod world;
