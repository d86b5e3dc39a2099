//! Ledger, keys, alerts, request log and kept answers on SQLite.
//!
//! One file holds the ledger ([`SqliteLedger`]) and the virtual keys ([`SqliteKeyStore`]); the request
//! log and the kept answers ([`SqliteCacheStore`]) have files of their own, so that their bulk never stands
//! in the way of money. Any number of processes may open a file at once, such as the command line beside a
//! server.
//!
//! Nothing here needs a runtime: the futures wake by themselves, and what would block a caller runs on a
//! thread of the store. The one exception is a commit of the ledger, which its caller makes where it
//! stands (see [`SqliteLedger`] for why).
//!
//! ```
//! use std::sync::Arc;
//! use weighbridge_ledger::{Extent, Ledger, LedgerStore};
//! use weighbridge_store_sqlite::SqliteLedger;
//! use weighbridge_units::Timestamp;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("weighbridge.db");
//! let store = SqliteLedger::open(&path)?;
//! # futures::executor::block_on(async {
//! // What a crash left open is ended before the first request.
//! let now = Timestamp::from_date(2026, 11, 21).unwrap_or_default();
//! assert_eq!(store.recover(now).await?.crashed, 0);
//! assert!(store.verify(Extent::SinceSeal).await?.is_sound());
//! let ledger = Ledger::new(Arc::new(store), 10_000);
//! # drop(ledger);
//! # Ok::<(), Box<dyn std::error::Error>>(()) })
//! # }
//! ```

mod alerts;
mod audit_log;
mod connection;
mod kept;
mod keys;
mod ledger;
mod provider_keys;
mod request_log;
mod tenants;
mod worker;

pub use alerts::SqliteAlertStore;
pub use audit_log::SqliteAuditLog;
pub use connection::{Durability, OpenError};
pub use kept::SqliteCacheStore;
pub use keys::SqliteKeyStore;
pub use ledger::{SqliteLedger, SqliteLedgerOptions};
pub use request_log::{Retention, SqliteRequestLog};
