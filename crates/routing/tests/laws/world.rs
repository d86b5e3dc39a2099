//! What the laws are tried on: targets by name, routes of them, failures, and instants.

use std::sync::Arc;
use std::time::Duration;

use weighbridge_routing::{
    FailureCause, HealthPolicy, KeyPool, RetryBudget, RetryPolicy, Route, RouteParts, Target, TimeLimit,
};
use weighbridge_units::{ErrorClass, Monotonic};

/// Away from zero, where forgotten instants would hide.
pub(crate) const START: Monotonic = Monotonic::from_micros(3_600_000_000);

pub(crate) fn after(millis: u64) -> Monotonic {
    START + Duration::from_millis(millis)
}

pub(crate) fn target(name: &str) -> Arc<Target> {
    target_with_keys(name, 1)
}

pub(crate) fn target_with_keys(name: &str, keys: usize) -> Arc<Target> {
    Target::new(name, Arc::new(KeyPool::new(keys)), HealthPolicy::default())
}

/// `a`, `b`, … with these weights.
pub(crate) fn weighted(weights: &[u32]) -> Vec<(Arc<Target>, u32)> {
    weights.iter().enumerate().map(|(at, weight)| (target(&format!("primary {at}")), *weight)).collect()
}

/// A retry budget that never refuses, for what is not about it.
pub(crate) fn unbounded() -> Arc<RetryBudget> {
    Arc::new(RetryBudget::new(RetryPolicy { floor: u32::MAX, ..RetryPolicy::default() }))
}

pub(crate) fn route(primaries: Vec<(Arc<Target>, u32)>, fallbacks: Vec<Arc<Target>>) -> Arc<Route> {
    Route::new(RouteParts { primaries, fallbacks, retry_budget: unbounded(), ..RouteParts::default() })
        .unwrap()
}

pub(crate) fn status(class: ErrorClass) -> FailureCause {
    FailureCause::Status { class, retry_after: None }
}

pub(crate) fn status_after(class: ErrorClass, seconds: u64) -> FailureCause {
    FailureCause::Status { class, retry_after: Some(Duration::from_secs(seconds)) }
}

/// Failures that speak against the target.
pub(crate) fn targets_own() -> [FailureCause; 5] {
    [
        status(ErrorClass::Server),
        status(ErrorClass::Overloaded),
        FailureCause::Garbage,
        FailureCause::Broken,
        FailureCause::TimedOut(TimeLimit::FirstByte),
    ]
}

/// Failures that a caller can bring about alone.
pub(crate) fn callers_own() -> [FailureCause; 7] {
    [
        status(ErrorClass::BadRequest),
        status(ErrorClass::ContextTooLong),
        status(ErrorClass::ContentPolicy),
        status(ErrorClass::NotFound),
        status(ErrorClass::TooLarge),
        FailureCause::CallerDeadline,
        FailureCause::TimedOut(TimeLimit::Total),
    ]
}
