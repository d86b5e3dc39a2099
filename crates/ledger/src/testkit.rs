//! Proofs that any store can be run against.
//!
//! [`check_store`] drives a store through a random but repeatable sequence of reservations, ends,
//! repetitions, late ends, refunds, seals and restarts, and compares every answer and every balance with a
//! reference model. The model keeps a list of attempts and adds it up anew at every look; it shares no code
//! with [`crate::decide`] and [`crate::apply`].
//!
//! [`check_usage`] asks a store for the usage of random periods, and adds the rows of its journal up one by one;
//! [`check_totals`] compares it with the roll-ups of a store that somebody else has filled. [`Month`] is a long period
//! of a large installation, to see how long such questions take.
//!
//! [`plain_reserve`] and [`plain_facts`] are what tests of one's own begin with.
//!
//! ```
//! use weighbridge_ledger::testkit::{Subject, check_store};
//! use weighbridge_ledger::{LedgerStore, MemoryLedger};
//!
//! struct Memory(MemoryLedger);
//!
//! impl Subject for Memory {
//!     fn store(&self) -> &dyn LedgerStore {
//!         &self.0
//!     }
//!     fn restart(&mut self) {
//!         self.0 = self.0.restart();
//!     }
//! }
//!
//! let report = futures::executor::block_on(check_store(&mut Memory(MemoryLedger::new()), 42, 500));
//! assert!(report.expect("the store keeps the rules").granted > 0);
//! ```

mod check;
mod interleaved;
mod model;
mod month;
mod plain;
mod random;
mod script;
mod totals;
mod usage;

pub use check::{Report, Subject, Violation, check_store};
pub use interleaved::Interleaved;
pub use model::{Expected, Model};
pub use month::{Month, Took};
pub use plain::{plain_facts, plain_reserve};
pub use random::Random;
pub use script::{Script, Step};
pub use totals::check_totals;
pub use usage::{UsageReport, check_usage};
