//! What is remembered of each request, and who may ask.
//!
//! A [`RequestRecord`] says what became of one request: who asked for what, each attempt with
//! usage, provenance, price version and cost, what a translation lost, and how long the gateway
//! itself took. An [`Observer`] is told of it when the request has ended (metrics, access log); a
//! [`RequestLog`] keeps it for `GET /v1/requests/{id}`, and gives it out within a [`Scope`] only:
//! outside of it a record does not exist. An [`AuditRecord`] says who changed what, and an [`AlertStore`] keeps
//! alerts of budgets until everybody is told who is to be.
//!
//! No prompt, answer or credential is part of a record. Texts that a client chose are
//! [redacted](redact) when a record is rendered, in case a credential was put into one of them.
//!
//! ```
//! use std::sync::Arc;
//! use weighbridge_records::{Caller, MemoryRequestLog, RequestLog, RequestRecord, Scope};
//! use weighbridge_units::{KeyId, Protocol, RequestId, Timestamp};
//!
//! let id = RequestId::new("req_1")?;
//! let mut record = RequestRecord::new(id.clone(), Timestamp::from_secs(0), Protocol::OpenAiChat);
//! record.caller = Some(Caller { key: KeyId::from_bits(1), tenant: "acme".into() });
//! record.status = 200;
//!
//! let log = MemoryRequestLog::new(1_000);
//! log.append(Arc::new(record));
//! let ask = |tenant: &str| log.find(&Scope::Tenant(tenant.into()), &id);
//! assert!(ask("acme").is_some_and(|record| record.to_json().contains(r#""status":200"#)));
//! assert!(ask("rival").is_none());
//! # Ok::<(), weighbridge_units::IdError>(())
//! ```

mod alert;
mod audit;
mod backlog;
mod choice;
mod client_view;
mod log;
mod logged;
mod memory;
mod redaction;
mod request;
pub mod testkit;
mod text;

pub use alert::{AlertStore, KeptAlert, MemoryAlertStore, WebhookId};
pub use audit::{AuditLog, AuditRecord, MemoryAuditLog};
pub use backlog::Backlog;
pub use choice::{CandidateScore, CandidateScores, ChoiceRecord};
pub use client_view::for_client;
pub use log::{LogError, Observer, RequestLog, Scope};
pub use logged::{
    LoggedAttempt, LoggedBaseline, LoggedChoice, LoggedExclusion, LoggedPrice, LoggedRequest, LoggedRule,
    LoggedScore, NotARecord,
};
pub use memory::MemoryRequestLog;
pub use redaction::{Redactor, redact};
pub use request::{
    AttemptRecord, BaselineCost, Caller, CountedSide, CountsDiffer, ExcludedTarget, PricedBy, RequestRecord,
    RuleMatch, SessionBytes, TokenGaps,
};
