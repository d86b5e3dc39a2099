//! Limits that all instances of a gateway count together, in Redis.
//!
//! [`RedisLimits`] is the [`FleetLimits`](weighbridge_access::FleetLimits) of the crate `weighbridge-access` over one
//! Redis server: one script decides about everything that a request wants, so that no two instances give out the
//! same room, and a refusal takes nothing (rule R8). Redis is never a record of money (rule C5): what is kept there
//! are rates of the current minute and places among the requests that run.
//!
//! | what happens | what follows |
//! |---|---|
//! | Redis is away, slow, or answers with an error | each instance gives out limit ÷ living instances, from where the limits stood; no request waits for Redis any more |
//! | it comes back | what was used meanwhile is entered, then it is asked again |
//! | it has lost its data, or went back to older data, or its clock jumped | as if it were away; a new count begins, is filled with what the instances know, and is asked three seconds later |
//! | an instance is killed | its places are free when it has given no sign of life for five seconds |
//!
//! All keys share one hash tag, `{weighbridge}`, so that one script may touch any of them. Redis must not evict keys
//! (`maxmemory-policy noeviction`); nothing has to survive its restart.

#[cfg(test)]
#[path = "../../store-postgres/tests/authority/mod.rs"]
#[allow(clippy::unwrap_used, reason = "helpers of tests may")]
mod authority;
mod circuit;
mod compare;
#[cfg(test)]
mod encrypted;
mod error;
mod keys;
#[cfg(test)]
mod law;
mod limits;
mod link;
mod places;
mod returns;
mod scripts;
#[cfg(test)]
#[path = "../tests/server/mod.rs"]
#[allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may")]
mod server;
mod sync;

pub use error::RedisLimitsError;
pub use limits::{RedisLimits, RedisLimitsOptions};
