//! A double-entry, two-phase ledger of reservations and costs, its store trait and its proofs.
//!
//! Every attempt at a provider is opened with a reservation of its worst price, which is committed
//! before the first byte goes upstream, and ended exactly once with what it came to. Three books are
//! never mixed ([`Book`]): what tenants and providers owe, what bring-your-own-key tenants owe for the
//! service, and what was used upstream.
//!
//! # Who decides what
//!
//! - [`touches`] names the accounts that a [`Command`] looks at or moves, [`decide`] says what it comes
//!   to, [`apply`] lets it take effect. They are pure and shared by every store.
//! - A [`LedgerStore`] loads, decides, writes and commits. [`MemoryLedger`] is one; others live in crates
//!   of their own. [`testkit`] is a reference model that shares no code with them, and checks any store.
//! - The [`Ledger`] is the front that applications use. It hands out a [`Reservation`], which ends its
//!   attempt whatever happens, and bounds how many attempts are open.
//!
//! # What a request moves
//!
//! | | debit | credit | |
//! |---|---|---|---|
//! | reserve | receivable of the tenant | sales | pending |
//! | | each budget | budget control of its measure | pending |
//! | end | both of the above | | released |
//! | | receivable of the tenant | sales | the price, if the tenant pays |
//! | | each budget | budget control of its measure | the price, the tokens or one request, if the tenant pays |
//! | | cost of sales, or `absorbed:<reason>` | payable to the provider | its cost |
//! | | consumed by the key | upstream of the provider | its cost, in the usage book |
//!
//! What a tenant owes is its wallet with the sign turned round. [`Fund`] moves it: top-ups and their refunds
//! against cash, credits against promotions, corrections against adjustments. A reservation may bound it
//! ([`Reserve::credit_limit`]): at zero for prepaid, above for post-paid.
//!
//! A budget counts money, tokens or requests ([`Measure`]), each in accounts of its own.
//! Who pays is one pure table: [`charge`]. A price above the reservation is posted in full, the excess in
//! a row of its own. Each row of the journal holds one command's transfers in one book; its bytes are
//! versioned ([`encode`], [`decode`]), and hash chains make any change of them show ([`Auditor`]).
//!
//! ```
//! use std::sync::Arc;
//! use weighbridge_ledger::*;
//! use weighbridge_units::*;
//!
//! # futures::executor::block_on(async {
//! let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 1_000);
//! let now = Timestamp::from_date(2026, 11, 21).unwrap_or_default();
//! let (key, attempt) = (KeyId::from_bits(7), AttemptId::new(now, 42));
//! let budget = budget_account(Book::Platform, BudgetScope::Key(key), BudgetWindow::Month(now.month()));
//!
//! // The intent, with its reservation, is committed before anything is sent upstream.
//! let reservation = ledger
//!     .reserve(Reserve {
//!         attempt,
//!         at: now,
//!         expires: now + std::time::Duration::from_secs(600),
//!         key,
//!         tenant: "acme".into(),
//!         provider: "openai".into(),
//!         model: "gpt-4o-mini".into(),
//!         price_version: "2026-11".into(),
//!         billing: Billing::Platform,
//!         amount: NanoUsd::new(5_000),
//!         tokens: 1_200,
//!         credit_limit: None,
//!         claim: None,
//!         holds: vec![Hold { account: budget, limit: Some(Quantity::new(10_000_000_000)) }],
//!         estimate: NanoUsd::new(5_000),
//!     })
//!     .await?;
//!
//! // It ends with what it came to. Dropping it instead would enter a crash.
//! reservation.end(EndFacts {
//!     at: now,
//!     outcome: AttemptOutcome::Success,
//!     usage: Usage::new().with(Bucket::Input, 900).with(Bucket::Output, 100),
//!     provenance: Provenance::Reported,
//!     price: NanoUsd::new(2_000),
//!     cost: NanoUsd::new(2_000),
//!     exact: Usd::from(NanoUsd::new(2_000)),
//!     reason: "".into(),
//! });
//! ledger.flush();
//! ledger.drained().await;
//!
//! let balance = ledger.store().balance(budget).await?;
//! assert_eq!((balance.posted.usd(), balance.pending.usd()), (NanoUsd::new(2_000), NanoUsd::ZERO));
//! # Ok::<(), LedgerError>(()) }).unwrap();
//! ```

mod account;
mod chain;
mod charging;
mod claim;
mod codec;
mod command;
mod decide;
mod entry;
mod funding;
mod id_map;
mod ledger;
mod measure;
mod memory;
mod permit;
mod rollup;
mod state;
mod store;
mod tail;
pub mod testkit;
mod usage;

pub use account::{
    AccountId, AccountKind, Book, BudgetPart, BudgetScope, BudgetSpan, BudgetWindow, EntityId, Name,
    budget_account,
};
pub use chain::{Auditor, RowHash, StoredRow};
pub use charging::{charge, cost_account};
pub use claim::{Claim, ClaimId, Holder, Standing};
pub use codec::{DecodeError, decode, encode};
pub use command::{
    Act, Adjust, Billing, ChainHead, Command, CommandId, End, EndFacts, Hold, MAX_HOLDS, Reserve, Seal,
};
pub use decide::{Decision, MAX_COUNT, decide, decide_end, touches};
pub use entry::{Ended, Entry, Epoch, Fact, Intent, PayloadHash, Phase, Settlement, Transfer, Used};
pub use funding::{Fund, Funding, TopUp};
pub use ledger::{Ledger, Reservation};
pub use measure::{Measure, Quantity};
pub use memory::MemoryLedger;
pub use permit::{Drained, Permit};
pub use rollup::{Rollup, RollupKey};
pub use state::{Balance, State, View, apply};
pub use store::{
    AttemptEntry, Counters, Extent, Fault, JournalRow, LedgerError, LedgerStore, Recovery, Refusal,
    RollupQuery, Verification,
};
pub use tail::journal_since;
pub use usage::{KeyTotal, UsageBy, UsageKey, UsageQuery, add_up, differences, running_totals};
