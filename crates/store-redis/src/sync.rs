//! The job `quota-sync`: signs of life, joining and coming back, returns, and comparing what Redis counts with what
//! the instance knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use weighbridge_access::{FleetReturn, FleetWorld, LimitCells};
use weighbridge_units::Monotonic;

use crate::error::Fault;
use crate::keys::{self, RATES};
use crate::limits::{Known, RedisLimits};
use crate::link::{Answered, Link, call};

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// Who gives none for so long is dead.
const LEASE: Duration = Duration::from_secs(5);
/// A new count is asked only then: until then every instance has noticed, and entered what it knows.
const GRACE: Duration = Duration::from_secs(3);
/// How long the job waits for Redis.
const PATIENCE: Duration = Duration::from_secs(1);
/// An instance that takes part in a count, which it may ask after a while.
struct Joined {
    link: Arc<Link>,
    wait: Duration,
}

impl RedisLimits {
    /// Keeps the instance in the common count, for ever.
    pub(crate) async fn keep(&self, world: &dyn FleetWorld) {
        tokio::join!(self.turns(world), self.take_back(world));
    }

    /// Joins where that can be done at once.
    pub(crate) async fn join_at_once(&self, world: &dyn FleetWorld) {
        let mut compared = Instant::now();
        // A new count takes longer: then the job goes on.
        let _ = tokio::time::timeout(PATIENCE, self.turn(world, &mut compared)).await;
    }

    /// Gives up this instance's part in the count.
    pub(crate) async fn give_up(&self) {
        let Some(link) = self.link.load_full() else { return };
        while let batch @ [_, ..] = self.returns.batch().as_slice() {
            if self.settle(&link, batch, None).await.is_err() {
                break;
            }
        }
        self.link.store(None);
        // Whoever cannot be told finds out when the lease is over.
        let _ = self.end_epoch(&link, link.epoch).await;
    }

    async fn turns(&self, world: &dyn FleetWorld) {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut compared = Instant::now();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.cut.notified() => self.circuit().failed(world.now()),
            }
            self.turn(world, &mut compared).await;
        }
    }

    async fn turn(&self, world: &dyn FleetWorld, compared: &mut Instant) {
        let Some(link) = self.link.load_full() else {
            let is_due = self.circuit().is_due(world.now());
            if is_due && let Err(fault) = self.join(world).await {
                self.circuit().failed(world.now());
                // Said once, and again when it was there in between.
                if self.is_told.swap(true, Ordering::AcqRel) {
                    tracing::debug!(%fault, "Redis cannot be asked for limits yet");
                } else {
                    tracing::warn!(%fault, "Redis cannot be asked for limits: they are divided among the instances");
                }
            }
            return;
        };
        let mut work = self.beat(&link).await;
        if work.is_ok() && self.untold.swap(false, Ordering::AcqRel) {
            work = self.enter_places(&link).await.map(drop);
        }
        if work.is_ok() && compared.elapsed() >= self.sync_every {
            *compared = Instant::now();
            work = self.compare(&link, world).await;
        }
        if let Err(fault) = work {
            self.cut(&link, &fault);
        }
    }

    /// A sign of life, and how many others give one.
    async fn beat(&self, link: &Link) -> Result<(), Fault> {
        let living = self.sign_of_life(link).await?;
        self.instances.store(living, Ordering::Release);
        Ok(())
    }

    async fn sign_of_life(&self, link: &Link) -> Result<u32, Fault> {
        let mut script = self.scripts.beat.prepare_invoke();
        script.key(keys::STATE).key(keys::LIVING);
        script.arg(link.era).arg(link.epoch).arg(micros(LEASE));
        let before = link.before();
        // As patient as requests are: what is too slow for them is not to be asked.
        let answer = link.ask(&script, self.timeout).await?;
        link.check(Answered::of(&answer)?, before)?;
        let living = answer.get(3).and_then(|living| u32::try_from(*living).ok()).ok_or(Fault::Odd)?;
        Ok(living.max(1))
    }

    /// Connects, takes part in the count that there is or begins one, enters what is known, and asks from then on.
    async fn join(&self, world: &dyn FleetWorld) -> Result<(), Fault> {
        let connection = self.connect(PATIENCE).await?;
        let known = self.known(world);
        let Joined { link, wait } = self.make_known(connection, known, world.random()).await?;
        self.enter_rates(&link, world).await?;
        if !wait.is_zero() {
            let begun = Instant::now();
            while begun.elapsed() < wait {
                sleep(BEAT.min(wait.saturating_sub(begun.elapsed()))).await;
                let living = self.sign_of_life(&link).await?;
                self.instances.fetch_max(living, Ordering::AcqRel);
            }
            self.enter_rates(&link, world).await?;
        }
        let (entered, _) = self.enter_places(&link).await?;
        self.returns.clear();
        self.link.store(Some(Arc::clone(&link)));
        self.circuit().joined(world.now());
        // What was taken and given back while the rest was entered.
        let settled = async {
            self.enter_rates(&link, world).await?;
            self.enter_places(&link).await?;
            self.end_epoch(&link, known.former_epoch).await?;
            self.beat(&link).await
        };
        if let Err(fault) = settled.await {
            self.cut(&link, &fault);
            return Err(fault);
        }
        for (place, cells) in entered.into_iter().filter(|(place, _)| !self.places.is_taken(*place)) {
            self.returns.push(FleetReturn::Place { cells, place });
        }
        let instances = self.instances.load(Ordering::Acquire);
        self.is_told.store(false, Ordering::Release);
        tracing::info!(instances, "limits are counted by all instances together, in Redis");
        Ok(())
    }

    /// Makes this instance known in the count that there is, or in one that begins.
    async fn make_known(
        &self,
        connection: MultiplexedConnection,
        known: Known,
        random: u64,
    ) -> Result<Joined, Fault> {
        let era = |era: u64| if era == 0 { String::new() } else { era.to_string() };
        let mut script = self.scripts.join.prepare_invoke();
        script.key(keys::STATE).key(keys::LIVING);
        script.arg(known.epoch).arg(micros(LEASE)).arg(safe(random)).arg(micros(GRACE));
        script.arg(era(known.era)).arg(known.count).arg(era(known.distrusted)).arg(known.former_epoch);
        let asked = Instant::now();
        let answer: Vec<u64> = call(connection.clone(), &script, PATIENCE).await?;
        if asked.elapsed() > self.timeout {
            return Err(Fault::Slow);
        }
        let [now, era, ready, count, living] = answer[..] else { return Err(Fault::Odd) };
        // Fewer are known to live than do, until all have joined a new count.
        self.instances.fetch_max(u32::try_from(living).unwrap_or(u32::MAX), Ordering::AcqRel);
        let wait = Duration::from_micros(ready.saturating_sub(now)).min(GRACE);
        Ok(Joined { link: Arc::new(Link::new(connection, era, known.epoch, count)), wait })
    }

    /// An epoch of ours ends; its places are free.
    async fn end_epoch(&self, link: &Link, epoch: u64) -> Result<(), Fault> {
        if epoch == 0 {
            return Ok(());
        }
        let mut script = self.scripts.leave.prepare_invoke();
        link.call::<i64>(script.key(keys::LIVING).arg(epoch), PATIENCE).await.map(drop)
    }

    /// Takes back what was not used, as long as there is anything.
    async fn take_back(&self, world: &dyn FleetWorld) {
        loop {
            self.returns.arrived().await;
            let batch = self.returns.batch();
            if let Some(link) = self.link.load_full()
                && let Err(fault) = self.settle(&link, &batch, Some(world.now())).await
            {
                self.cut(&link, &fault);
            }
            self.returns.done(batch.len());
        }
    }

    async fn settle(&self, link: &Link, batch: &[FleetReturn], now: Option<Monotonic>) -> Result<(), Fault> {
        let mut script = self.scripts.settle.prepare_invoke();
        script.key(keys::STATE).arg(link.era);
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut owners: Vec<Option<&Arc<LimitCells>>> = Vec::new();
        for back in batch {
            let (cells, key) = match back {
                FleetReturn::Unused { cells, .. } | FleetReturn::Owed { cells, .. } => {
                    (Some(cells), keys::rates(cells))
                }
                FleetReturn::Place { cells, .. } => (None, keys::places(cells)),
            };
            let next = numbers.len() + 2;
            let number = *numbers.entry(key).or_insert_with_key(|key| {
                script.key(key);
                owners.push(cells);
                next
            });
            script.arg(number);
            match back {
                FleetReturn::Unused { kind, until, length, .. } => {
                    script.arg("u").arg(keys::kind(*kind)).arg(length).arg(until / 1_000).arg(until % 1_000)
                }
                FleetReturn::Owed { kind, length, .. } => {
                    script.arg("o").arg(keys::kind(*kind)).arg(length).arg(0).arg(0)
                }
                FleetReturn::Place { place, .. } => {
                    script.arg("p").arg("").arg(self.places.member(*place)).arg(0).arg(0)
                }
            };
        }
        let answer = link.ask(&script, PATIENCE).await?;
        let (Some(now), aheads) = (now, answer.get(2..).unwrap_or_default()) else { return Ok(()) };
        for (owner, aheads) in owners.into_iter().zip(aheads.chunks(RATES.len())) {
            for (kind, ahead) in RATES.into_iter().zip(aheads) {
                let cell = owner.and_then(|cells| cells.cell(kind));
                if let (Some(cell), Ok(ahead)) = (cell, u64::try_from(*ahead)) {
                    cell.note_fleet(ahead, now);
                }
            }
        }
        Ok(())
    }
}

/// Random bits as a number that is whole in floating point, and not zero.
pub(crate) const fn safe(random: u64) -> u64 {
    (random >> 16) | 1
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
