//! The jobs beside requests: named, started and stopped in one place.
//!
//! | job | when | what it does |
//! |---|---|---|
//! | `settle` | 1 ms after an end | commits the ends that no reservation has carried along |
//! | `seal` | each minute | links the ledger's hash chains |
//! | `expire` | every 10 s | ends intents whose owner is gone |
//! | `keys` | every 250 ms | takes over keys that were made or revoked elsewhere (rule K2) |
//!
//! A job that fails says so in the log and tries again at its next turn: none of them may end the
//! process, and none of them is needed for a request to be right.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use weighbridge_access::KeyStore;

use crate::pipeline::{Core, Pipeline};

/// How long ends are gathered before they are committed on their own. Under load the next
/// reservation commits them together with itself, and the job finds nothing to do.
const SETTLE_AFTER: Duration = Duration::from_millis(1);
const SEAL_EVERY: Duration = Duration::from_secs(60);
const EXPIRE_EVERY: Duration = Duration::from_secs(10);
const KEYS_EVERY: Duration = Duration::from_millis(250);

/// The running jobs of a pipeline. [`Jobs::stop`] ends them in order; dropping aborts them.
#[must_use = "the jobs end when this is dropped"]
pub struct Jobs {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Jobs {
    /// Starts all jobs on the current tokio runtime.
    pub fn start(pipeline: &Pipeline, keys: Arc<dyn KeyStore>) -> Self {
        let mut jobs = Self { stop: watch::channel(false).0, tasks: JoinSet::new() };
        let core = &pipeline.core;
        jobs.run(settle(Arc::clone(core)));
        jobs.run(seal(Arc::clone(core)));
        jobs.run(expire(Arc::clone(core)));
        jobs.run(refresh_keys(Arc::clone(core), keys));
        jobs
    }

    /// Ends all jobs and waits until the last has ended.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }

    fn run(&mut self, job: impl Future<Output = ()> + Send + 'static) {
        let mut stop = self.stop.subscribe();
        self.tasks.spawn(async move {
            tokio::select! {
                () = job => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}

async fn settle(core: Arc<Core>) {
    loop {
        core.settle.notified().await;
        sleep(SETTLE_AFTER).await;
        core.ledger.flush();
    }
}

async fn seal(core: Arc<Core>) {
    let mut ticks = ticks(SEAL_EVERY);
    loop {
        ticks.tick().await;
        report("seal", core.ledger.store().seal(core.env.now()).await);
    }
}

async fn expire(core: Arc<Core>) {
    let mut ticks = ticks(EXPIRE_EVERY);
    loop {
        ticks.tick().await;
        report("expire", core.ledger.store().recover(core.env.now()).await);
    }
}

async fn refresh_keys(core: Arc<Core>, keys: Arc<dyn KeyStore>) {
    let mut ticks = ticks(KEYS_EVERY);
    loop {
        ticks.tick().await;
        report("keys", core.directory.sync(&*keys).await);
    }
}

/// Turns that wait for each other: one that took long is not followed by a burst.
fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn report<T>(job: &'static str, result: Result<T, impl Display>) {
    if let Err(error) = result {
        tracing::warn!(job, %error, "a background job failed and will try again");
    }
}
