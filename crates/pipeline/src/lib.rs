//! The way of a request, over traits: what an embedder calls in process, and what the gateway
//! serves over HTTP.
//!
//! ```text
//! Received → Authenticated → Admitted → Plan        a line; each step consumes the one before
//! Plan::next() → Candidate
//! Candidate ── reserve ──▶ Intent ── dispatch ──▶ InFlight ── end ──▶ record      a loop of attempts
//! ```
//!
//! The crate wires and waits; it decides little. What decides is pure and lives below: `routing`
//! says which target is next and what a failure means, `pricing` what it may cost, `ledger` whether
//! there is room, `translate` and `stream` what is said on either side. What this crate owns is the
//! order of things, and the promises that hang on it:
//!
//! - **Nothing is dispatched unreserved.** Only an intent can be sent, and only a confirmed commit
//!   makes one (`reserve.rs`, `in_flight.rs`).
//! - **Every attempt ends once**, with what is known of it: also when the client has left, when
//!   something panicked, when the stream broke.
//! - **The commit point.** Until the first content of an answer has come, a failure means the next
//!   candidate; afterwards it means an error event in the client's own protocol (`streamed.rs`,
//!   `answer.rs`).
//! - **Every request leaves a record**, wherever it ended (`draft.rs`).
//!
//! There are no sockets here. A [`Transport`](weighbridge_transport::Transport) reaches providers,
//! and each call names the one to use. Of tokio, the crate uses timers, a notifier and, for jobs,
//! tasks.
//!
//! [`Pipeline::handle`] is the one entry. [`settings`] is what it is told, [`Parts`] what it is wired
//! from, [`Jobs`] what runs beside it. The example `whole_gateway` of the workspace shows all of it.
//!
//! ```
//! use weighbridge_pipeline::{Env, SystemEnv};
//! use weighbridge_units::Timestamp;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! // Time and random numbers come in through one door, and can be made to repeat.
//! let env = SystemEnv::repeatable(42, Timestamp::from_secs(1_800_000_000));
//! assert_eq!(env.now().to_string(), "2027-01-15T08:00:00.000Z");
//! # });
//! ```

mod admit;
mod alerts;
mod answer;
mod aside;
mod attempt;
mod attempt_timer;
mod attributes;
mod budgets;
mod compiled;
mod conversation;
mod count_alarm;
mod counters;
mod demand;
mod departure;
mod draft;
mod endpoint;
mod env;
mod exchange;
mod exhausted;
mod explain_route;
mod fit;
mod hedge;
mod idempotency;
mod in_flight;
mod issued;
mod jobs;
mod keeping;
mod kept_routes;
mod listing;
mod markups;
mod media;
mod metering;
mod native;
mod needs;
mod outbound;
mod own_keys;
mod pace;
mod pipeline;
mod price_refresh;
mod probes;
mod read_body;
mod receive;
mod refusal;
mod reserve;
mod respond;
mod resume;
mod resumed_limits;
mod retiring;
mod rules;
mod scrub;
pub mod settings;
mod shadow;
mod steer;
mod streamed;
mod subscriptions;
mod tape;
mod token_count;
mod upstream;
mod vectors;
mod watch;
mod whole;

pub use alerts::AlertDelivery;
pub use answer::{AnswerBody, BrokenAnswer};
pub use env::{Env, SystemEnv};
pub use explain_route::{
    PlannedTarget, RouteChoice, RouteExplanation, RouteQuestion, RouteQuestionError, TargetScore, TargetSeen,
    TargetStanding, anybody, explain_route,
};
pub use jobs::Jobs;
pub use keeping::Keeping;
pub use own_keys::{KeyVault, LoadKeysError};
pub use pipeline::{Parts, Pipeline, PipelineError, check};
pub use price_refresh::{Fetched, NextPrices, PriceKeeper, PriceRefresh, fetch_prices};
pub use resume::never_resumed;
pub use retiring::{Retiring, WARNED_BEFORE, retiring};
