//! The one admin service: keys, wallets, and a look at the ledger.
//!
//! [`AdminService`] is what the command line calls in its own process and what [`router`] offers over
//! HTTP, so that both refuse and record the same things. Every act that changes something is written
//! to the audit log before it takes effect; an act that cannot be written down is not done.
//!
//! A key's secret leaves the service once, in [`CreatedKey`]; nothing here prints it.
//!
//! Whoever acts is an [`Actor`]: the administrator of the installation, or one of an organisation or a team,
//! who acts within it and never changes what they are bound by. Children never exceed their parent.
//!
//! The HTTP side has a credential of its own, which has nothing to do with virtual keys: those get 403.
//! Put it on a loopback listener ([`serve`]).
//!
//! ```
//! use std::sync::Arc;
//! use weighbridge_access::{MemoryKeyStore, Pepper};
//! use weighbridge_admin::{Actor, AdminService, NewKey};
//! use weighbridge_ledger::MemoryLedger;
//! use weighbridge_records::MemoryAuditLog;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = AdminService::new(
//!     Arc::new(MemoryKeyStore::new()),
//!     Arc::new(MemoryLedger::new()),
//!     Arc::new(MemoryAuditLog::new(1_000)),
//!     Pepper::new(b"at least sixteen bytes")?,
//! );
//! let wanted = NewKey { budget_usd: Some("25.00".into()), ..NewKey::named("search", "acme") };
//! let actor = Actor::installation("command line");
//! let created = service.create_key(&actor, wanted).await?;
//! assert!(created.expose().starts_with("wb-"));
//! assert_eq!(service.list_keys(&actor).await?[0].name, "search");
//! # Ok(())
//! # }
//! ```

mod actor;
mod api;
mod bounds;
mod change;
mod charges_text;
mod clock;
mod credential;
mod error;
mod explain;
mod export;
mod new_key;
mod provider_keys;
mod reconcile;
mod routes;
mod service;
mod statement;
mod tenants;
mod usage;
mod views;
mod wallet;

pub use actor::Actor;
pub use api::{router, serve};
pub use change::Change;
pub use charges_text::ChargesText;
pub use clock::{Clock, SystemClock};
pub use credential::{AdminCredential, Credentials};
pub use error::AdminError;
pub use explain::{
    BaselineView, CostLine, ExplainedAttempt, ExplanationView, PassedOverView, PriceLine, PriceView,
    RoutingView, ScoreView,
};
pub use export::{JournalView, TransferView};
pub use new_key::NewKey;
pub use provider_keys::{GivenSecret, NewProviderKey, ProviderKeyChange, ProviderKeyView, ResealedView};
pub use reconcile::{ExportError, ExportFormat, ReconciledLine, ReconciliationView, Verdict};
pub use routes::{PlannedView, RefusedView, RouteAsked, RouteChoiceView, RouteView, SeenView, StandingView};
pub use service::AdminService;
pub use statement::{StatementBook, StatementLine, StatementView};
pub use usage::{SavingsLine, SavingsView, UsageLine, UsageQuestion, UsageView};
pub use views::{
    AttemptView, BalanceView, BudgetView, CreatedKey, KeyState, KeyView, TenantView, VerificationView,
};
pub use wallet::{FundingKind, FundingView, NewFunding, WalletView};
