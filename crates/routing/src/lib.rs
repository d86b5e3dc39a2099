//! Which target next: strategies, health, failover.
//!
//! A [`Route`] is where the requests for one model name may go: equals, among which each [`Strategy`]
//! in turn leaves the best, and ordered fallbacks. For each request a [`Plan`] hands out its targets one
//! by one, each with one of its provider's credentials, and hears how it went:
//!
//! - [`verdict`] tells what may follow a failure: another target, another credential, or nothing,
//!   because every target would give the same answer.
//! - [`Health`] benches a target that fails, for a cool-down that grows, until one probe succeeds. It
//!   honours `retry-after`, and [`RateLimits`] of which nothing is left. What callers bring about themselves (bad requests, short deadlines of
//!   their own) never benches anyone, and a benched target is still used where no other is left.
//! - [`Observed`] tells strategies how a target fares: attempts in flight, recent latencies, rate
//!   limits as the provider's headers told them.
//! - [`KeyPool`] benches a credential that was refused, and not the target behind it.
//! - [`RetryBudget`] keeps second tries to a share of the traffic, so that an outage of everything
//!   does not multiply the load.
//! - [`first_match`] finds the rule that sends a request to another model, or refuses it; [`classify`] guesses how
//!   difficult it is, for rules that ask. [`Labels`] say what holds at a provider, and what a request demands.
//!
//! Nothing here waits, draws random numbers or looks at a clock: `now` and `random` are arguments,
//! and the same calls in the same order give the same choices.
//!
//! ```
//! use std::sync::Arc;
//! use weighbridge_routing::{
//!     FailureCause, HealthPolicy, KeyPool, Plan, Route, RouteParts, Target, Verdict,
//! };
//! use weighbridge_units::{ErrorClass, Monotonic};
//!
//! let target = |name: &str| Target::new(name, Arc::new(KeyPool::new(1)), HealthPolicy::default());
//! let route = Route::new(RouteParts {
//!     primaries: vec![(target("openai/gpt-4o-mini"), 1)],
//!     fallbacks: vec![target("claude/claude-haiku-4-5")],
//!     ..RouteParts::default()
//! })?;
//!
//! let now = Monotonic::from_micros(0);
//! let mut plan = Plan::new(route.clone());
//! let first = plan.next(now, 7).ok_or("no target")?;
//! assert_eq!(first.target().get(), 0);
//!
//! let overloaded = FailureCause::Status { class: ErrorClass::Overloaded, retry_after: None };
//! assert_eq!(plan.failed(first, &overloaded, now), Verdict::Next);
//!
//! let second = plan.next(now, 8).ok_or("no second target")?;
//! assert_eq!(&**route.target(second.target()).ok_or("unknown")?.name(), "claude/claude-haiku-4-5");
//! second.succeeded(now);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod affinity;
mod allowance;
mod choice;
mod classifier;
mod decision;
mod demand;
mod failure;
mod first_content;
mod health;
mod keys;
mod observed;
mod pick;
mod plan;
mod rate_limits;
mod recent;
mod retry_budget;
mod route;
mod rules;
mod strategies;
mod strategy;
mod target_set;

pub use affinity::stable_hash;
pub use choice::{Choice, Scored};
pub use classifier::{Classification, Difficulty, Prompt, Task, classify};
pub use decision::{Decision, Exclusion, Rejection};
pub use demand::{Demand, Needs};
pub use failure::{FailureCause, FallbackRules, Sent, TimeLimit, Verdict, verdict};
pub use first_content::FirstContent;
pub use health::{Availability, Health, HealthPolicy};
pub use keys::KeyPool;
pub use observed::Observed;
pub use pick::Pick;
pub use plan::{DeadEnd, Plan};
pub use rate_limits::{Limit, RateLimits};
pub use retry_budget::{RetryBudget, RetryPolicy};
pub use route::{Route, RouteError, RouteParts, Target};
pub use rules::{Asked, Rule, Then, When, first_match};
pub use strategies::{
    Headroom, LatencyOf, LeastBusy, LeastLatency, LowestCost, Random, Split, Sticky, WeightedRoundRobin,
};
pub use strategy::{Candidate, Candidates, Strategy};
pub use target_set::TargetIndex;
pub use weighbridge_units::{LabelError, Labels};
