//! Ledger, keys, audit log, alerts, updates of prices, request log and kept answers on PostgreSQL, for any number of instances.
//!
//! A [`Database`] is one database that holds everything. It runs a thread with a runtime of its own, so that its
//! users need none: the futures wake by themselves, on whatever executor.
//!
//! ```no_run
//! use std::sync::Arc;
//! use weighbridge_ledger::{Extent, Ledger, LedgerStore};
//! use weighbridge_store_postgres::{Database, PostgresLedger};
//! use weighbridge_units::Timestamp;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Database::open("postgres://weighbridge@localhost/weighbridge")?;
//! let store = PostgresLedger::open(&database);
//! # futures::executor::block_on(async {
//! // What a dead instance left open is ended before the first request.
//! let now = Timestamp::from_date(2026, 11, 26).unwrap_or_default();
//! store.recover(now).await?;
//! assert!(store.verify(Extent::SinceSeal).await?.is_sound());
//! let ledger = Ledger::new(Arc::new(store), 10_000);
//! # drop(ledger);
//! # Ok::<(), Box<dyn std::error::Error>>(()) })
//! # }
//! ```

mod alerts;
mod audit_log;
mod database;
mod error;
mod kept;
mod keys;
mod ledger;
mod price_updates;
mod provider_keys;
mod request_log;
mod session;
mod tenants;

pub use alerts::PostgresAlertStore;
pub use audit_log::PostgresAuditLog;
pub use database::{Database, OpenError};
pub use kept::PostgresCacheStore;
pub use keys::PostgresKeyStore;
pub use ledger::{PostgresLedger, PostgresLedgerOptions};
pub use price_updates::PostgresPriceUpdates;
pub use request_log::{PostgresRequestLog, Retention};

#[cfg(test)]
#[path = "../tests/server/mod.rs"]
#[allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may")]
mod server;
#[cfg(test)]
mod tests;
