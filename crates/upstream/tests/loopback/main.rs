//! The transport and the fetcher against servers on loopback that behave, and that do not.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod certificates;
mod credentials;
mod encrypted;
mod fetch;
mod framed;
mod http2;
mod plain;
mod provider;
mod proxied;
mod signed;
mod upgraded;
