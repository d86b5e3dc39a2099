//! The jobs beside requests: named, started and stopped in one place.
//!
//! | job | when | what it does |
//! |---|---|---|
//! | `seal` | each minute | links the ledger's hash chains |
//! | `expire` | every 10 s | ends intents whose owner is gone |
//! | `keys` | every 250 ms | takes over keys that were made or revoked elsewhere (rule K2) |
//! | `provider keys` | every 250 ms | takes over provider keys that were added, rotated or revoked (rule K2) |
//! | `subscriptions` | every 10 min | posts what tenants owe for the month, once |
//! | `budgets` | every 500 ms | tells of budgets that have reached a threshold, and notes those that are exceeded |
//! | `alerts` | as they come | delivers each of them to one webhook, of which each has such a job |
//! | `kept alerts` | each hour | forgets alerts whose window is long over |
//! | `prices` | every 5 s, and as configured | takes over prices that were kept by a command, and fetches others |
//! | `probes` | each second, and as configured | asks providers of which a model is benched whether they are back |
//! | `quota-sync` | each second, and as configured | keeps the instance in the count of limits that all share, compares and repairs it |
//! | `kept` | each minute | deletes kept answers whose time is over, and counts the others |
//!
//! A job that fails says so in the log and tries again at its next turn: none of them may end the
//! process, and none of them is needed for a request to be right.
//!
//! Attempts whose clients have left are no jobs of this table: they go on where they began, as open requests
//! that whoever stops the pipeline waits for (`departure.rs`).
//!
//! Ends that no reservation carries along are committed right behind their answers, by [`settle_soon`].

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Interval, MissedTickBehavior, interval};
use weighbridge_access::{FleetLimits, FleetWorld, KeyStore, LimitCells};
use weighbridge_transport::Transport;
use weighbridge_units::failpoint::reach;
use weighbridge_units::{Failpoint, Monotonic};

use crate::alerts::{self, AlertDelivery};
use crate::keeping::Keeper;
use crate::own_keys::KeyVault;
use crate::pipeline::{Core, Pipeline};
use crate::price_refresh::{self, PriceRefresh};
use crate::probes;
use crate::subscriptions;

const SEAL_EVERY: Duration = Duration::from_secs(60);
const EXPIRE_EVERY: Duration = Duration::from_secs(10);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long the end waits for answers that are being kept.
const KEPT_WITHIN: Duration = Duration::from_secs(10);
const BUDGETS_EVERY: Duration = Duration::from_millis(500);
const ALERTS_EVERY: Duration = Duration::from_secs(3_600);
const SUBSCRIPTIONS_EVERY: Duration = Duration::from_secs(600);
const KEYS_EVERY: Duration = Duration::from_millis(250);

/// The running jobs of a pipeline. [`Jobs::stop`] ends them in order; dropping aborts them.
#[must_use = "the jobs end when this is dropped"]
pub struct Jobs {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    keeper: Option<Arc<Keeper>>,
    fleet: Option<Arc<dyn FleetLimits>>,
}

impl Jobs {
    /// Starts all jobs on the current tokio runtime.
    pub fn start(pipeline: &Pipeline, keys: Arc<dyn KeyStore>) -> Self {
        let core = &pipeline.core;
        let (keeper, fleet) = (core.keeper.clone(), core.fleet.clone());
        let mut jobs = Self { stop: watch::channel(false).0, tasks: JoinSet::new(), keeper, fleet };
        if let Some(keeper) = &core.keeper {
            keeper.write_here();
            jobs.run(sweep(Arc::clone(core), Arc::clone(keeper)));
        }
        if let Some(fleet) = &core.fleet {
            jobs.run(quota_sync(Arc::clone(core), Arc::clone(fleet)));
        }
        jobs.run(seal(Arc::clone(core)));
        jobs.run(expire(Arc::clone(core)));
        jobs.run(watch_budgets(Arc::clone(core)));
        jobs.run(sweep_alerts(Arc::clone(core)));
        jobs.run(refresh_keys(Arc::clone(core), keys));
        jobs.run(post_subscriptions(Arc::clone(core)));
        jobs
    }

    /// Keeps the pipeline's prices up to date from now on.
    pub fn refresh_prices(&mut self, pipeline: &Pipeline, refresh: PriceRefresh) {
        self.run(price_refresh::run(Arc::clone(&pipeline.core), refresh));
    }

    /// Keeps the pipeline's provider keys as the vault has them, from now on.
    pub fn refresh_provider_keys(&mut self, pipeline: &Pipeline, vault: KeyVault) {
        self.run(refresh_provider_keys(pipeline.clone(), vault));
    }

    /// Asks providers of which a model is benched whether they are back, from now on, where they are configured so.
    pub fn probe_providers(&mut self, pipeline: &Pipeline, transport: Arc<dyn Transport>) {
        self.run(probes::run(Arc::clone(&pipeline.core), transport));
    }

    /// Delivers alerts of budgets from now on.
    pub fn deliver_alerts(&mut self, pipeline: &Pipeline, delivery: AlertDelivery) {
        alerts::jobs(&pipeline.core, delivery).for_each(|job| self.run(job));
    }

    /// Ends all jobs and waits until the last has ended, and the answers are written that are to be kept.
    pub async fn stop(mut self) {
        if let Some(keeper) = &self.keeper
            && tokio::time::timeout(KEPT_WITHIN, keeper.settled()).await.is_err()
        {
            tracing::warn!("some answers could not be kept in time");
        }
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        if let Some(fleet) = &self.fleet {
            fleet.leave().await;
        }
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

/// Commits the ends that were handed over, once the tasks that are ready on this thread have had their turn:
/// the answer leaves first, and a reservation that comes meanwhile takes the ends along. Where it stands, on
/// memory that is still warm: waking another thread for it costs more than the commit.
pub(crate) fn settle_soon(core: &Arc<Core>) {
    // Without a runtime the next reservation takes them along, or the store's own thread.
    let Ok(runtime) = Handle::try_current() else { return };
    if core.settling.swap(true, Ordering::AcqRel) {
        return; // Whoever is about to commit takes this end along.
    }
    let turn = Turn(Arc::clone(core));
    runtime.spawn(async move {
        yield_now().await;
        turn.settle();
    });
}

/// The right to commit what was handed over; given back also where its runtime goes before it is used.
struct Turn(Arc<Core>);

impl Turn {
    fn settle(self) {
        let ledger = self.0.ledger.clone();
        drop(self); // What is handed over from now on gets a turn of its own.
        reach(Failpoint::Settling);
        ledger.flush();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.settling.store(false, Ordering::Release);
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

async fn sweep(core: Arc<Core>, keeper: Arc<Keeper>) {
    let mut ticks = ticks(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        report("kept", keeper.sweep(core.env.now()).await);
    }
}

async fn watch_budgets(core: Arc<Core>) {
    let mut ticks = ticks(BUDGETS_EVERY);
    let mut is_found_again = false;
    loop {
        ticks.tick().await;
        if !is_found_again {
            let found = core.watch.find_again(&core).await;
            is_found_again = found.is_ok();
            report("budgets", found);
        }
        match core.watch.look(&**core.ledger.store(), core.env.now()).await {
            Ok(alerts) => {
                for alert in &alerts {
                    report("budgets", core.watch.raise(alert, core.env.now()).await);
                }
            }
            Err(error) => report("budgets", Err::<(), _>(error)),
        }
    }
}

async fn sweep_alerts(core: Arc<Core>) {
    let mut ticks = ticks(ALERTS_EVERY);
    loop {
        ticks.tick().await;
        report("kept alerts", core.watch.keeping().sweep(core.env.now()).await);
    }
}

async fn quota_sync(core: Arc<Core>, fleet: Arc<dyn FleetLimits>) {
    fleet.run(&*core).await;
}

impl FleetWorld for Core {
    fn cells(&self) -> Vec<Arc<LimitCells>> {
        let mut cells = self.directory.limits();
        cells.extend(self.compiled.load().counters.limits());
        cells
    }

    fn now(&self) -> Monotonic {
        self.env.monotonic()
    }

    fn random(&self) -> u64 {
        self.env.random()
    }
}

async fn refresh_keys(core: Arc<Core>, keys: Arc<dyn KeyStore>) {
    let mut ticks = ticks(KEYS_EVERY);
    loop {
        ticks.tick().await;
        report("keys", core.directory.sync(&*keys).await);
    }
}

async fn post_subscriptions(core: Arc<Core>) {
    let mut ticks = ticks(SUBSCRIPTIONS_EVERY);
    loop {
        ticks.tick().await;
        let tenants = core.directory.tenants();
        let tenants = tenants.iter().map(|node| (**node.tenant()).clone());
        report("subscriptions", subscriptions::post(tenants, &**core.ledger.store(), core.env.now()).await);
    }
}

async fn refresh_provider_keys(pipeline: Pipeline, vault: KeyVault) {
    let mut ticks = ticks(KEYS_EVERY);
    loop {
        ticks.tick().await;
        report("provider keys", vault.sync(&pipeline).await);
    }
}

/// Turns that wait for each other: one that took long is not followed by a burst.
pub(crate) fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

pub(crate) fn report<T>(job: &'static str, result: Result<T, impl Display>) {
    if let Err(error) = result {
        tracing::warn!(job, %error, "a background job failed and will try again");
    }
}
