//! Instances of a gateway, as far as limits go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use weighbridge_access::{
    Admission, AttemptClaim, AttemptMoney, Directory, FleetLimits, FleetWorld, KeyHash, LimitCells,
    LimitOwner, LimitRefusal, Limits, Pepper, Tenant, TenantName, VirtualKey,
};
use weighbridge_store_redis::{RedisLimits, RedisLimitsOptions};
use weighbridge_units::{KeyId, Monotonic, NanoUsd, Timestamp};

use crate::server::Server;

/// How patient requests are where nothing is to go wrong, however busy the machine is.
pub(crate) const PATIENT: Duration = Duration::from_secs(5);
/// How patient they are where it is.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(200);

pub(crate) const NO_LIMITS: Limits = Limits::NONE;

pub(crate) fn limits(rpm: u64, tpm: u64, usd: i64, concurrency: u64) -> Limits {
    Limits {
        rpm: Some(rpm),
        tpm: Some(tpm),
        usd_per_minute: Some(NanoUsd::new(usd)),
        concurrency: Some(concurrency),
    }
}

pub(crate) fn rpm(rpm: u64) -> Limits {
    Limits { rpm: Some(rpm), ..NO_LIMITS }
}

pub(crate) fn places(most: u64) -> Limits {
    Limits { concurrency: Some(most), ..NO_LIMITS }
}

/// What a request holds.
pub(crate) type Held = (AttemptClaim, Admission);

/// One instance: a key in a team, and a target.
pub(crate) struct Instance {
    pub(crate) fleet: Arc<dyn FleetLimits>,
    directory: Arc<Directory>,
    pub(crate) target: Arc<LimitCells>,
    began: Instant,
    job: JoinHandle<()>,
}

struct World {
    directory: Arc<Directory>,
    target: Arc<LimitCells>,
    began: Instant,
}

impl FleetWorld for World {
    fn cells(&self) -> Vec<Arc<LimitCells>> {
        let mut cells = self.directory.limits();
        cells.push(Arc::clone(&self.target));
        cells
    }

    fn now(&self) -> Monotonic {
        now(self.began)
    }

    fn random(&self) -> u64 {
        random()
    }
}

fn random() -> u64 {
    // Different in each run, as a server may outlive one; seeds are of no use where threads race.
    static STATE: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(u64::from(std::process::id()) << 32));
    let mut z = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn now(began: Instant) -> Monotonic {
    Monotonic::from_micros(1_000_000 + u64::try_from(began.elapsed().as_micros()).unwrap())
}

/// Whose limits there are.
#[derive(Clone, Copy)]
pub(crate) struct Rooms {
    pub(crate) key: Limits,
    pub(crate) team: Limits,
    pub(crate) target: Limits,
}

impl Rooms {
    pub(crate) const fn of_key(key: Limits) -> Self {
        Self { key, team: NO_LIMITS, target: NO_LIMITS }
    }
}

impl Instance {
    /// An instance whose job runs, and which may not have joined yet.
    pub(crate) fn start(server: &Server, rooms: Rooms) -> Self {
        Self::with(server, rooms, PATIENT, Duration::from_secs(60))
    }

    pub(crate) fn with(server: &Server, rooms: Rooms, timeout: Duration, sync_every: Duration) -> Self {
        let options = RedisLimitsOptions {
            url: SecretString::from(server.url()),
            certificates: None,
            timeout,
            sync_every,
            instance: random(),
        };
        let fleet: Arc<dyn FleetLimits> = Arc::new(RedisLimits::new(options).unwrap());
        let name = TenantName::new("acme/search").unwrap();
        let mut key = VirtualKey::new(
            KeyId::from_bits(1),
            "k",
            name.clone(),
            KeyHash::from_bytes([0; 32]),
            Timestamp::default(),
        );
        key.limits = rooms.key;
        let mut team = Tenant::new(name, Timestamp::default());
        team.limits = rooms.team;
        let directory = Arc::new(Directory::new(Pepper::new(&[7; 32]).unwrap()));
        directory.refresh(vec![key], vec![team]);
        let target = Arc::new(LimitCells::new(LimitOwner::Deployment, "p/m", &rooms.target, None));
        let began = Instant::now();
        let world = World { directory: Arc::clone(&directory), target: Arc::clone(&target), began };
        let kept = Arc::clone(&fleet);
        let job = tokio::spawn(async move { kept.run(&world).await });
        Self { fleet, directory, target, began, job }
    }

    pub(crate) fn now(&self) -> Monotonic {
        now(self.began)
    }

    /// Asks for a request with so many tokens and so much money.
    pub(crate) async fn ask(&self, tokens: u64, money: i64) -> Result<Held, LimitRefusal> {
        let principal = self.directory.get(KeyId::from_bits(1)).unwrap();
        let mut admission = principal.admit_for(None, self.fleet.share(), self.now(), tokens)?;
        let (target, money) = (Some(&self.target), NanoUsd::new(money));
        let mut claim =
            admission.attempt_among(&self.fleet, target, AttemptMoney::at_cost(money), self.now()).await?;
        admission.adopt(&mut claim);
        Ok((claim, admission))
    }

    /// As many requests as are admitted one after the other, which then have been sent and never come back.
    pub(crate) async fn burst(&self, most: usize) -> usize {
        let mut admitted = 0;
        while admitted < most {
            let Ok(held) = self.ask(0, 0).await else { break };
            self.settle(held, 0, 0);
            admitted += 1;
        }
        admitted
    }

    /// Ends a request that used so much.
    pub(crate) fn settle(&self, (claim, admission): Held, tokens: u64, money: i64) {
        claim.settle(tokens, NanoUsd::new(money), NanoUsd::new(money), self.now());
        admission.true_up(tokens, self.now());
    }

    /// Waits until Redis is asked, or is not.
    pub(crate) async fn wait(&self, is_shared: bool) {
        let begun = Instant::now();
        while self.fleet.standing().is_shared != is_shared {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", self.fleet.standing());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until it knows of so many.
    pub(crate) async fn wait_for_instances(&self, instances: u32) {
        let begun = Instant::now();
        while self.fleet.standing().instances != instances {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", self.fleet.standing());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Dies without a word.
    pub(crate) fn die(&self) {
        self.job.abort();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.job.abort();
    }
}

/// So many instances that all ask Redis, and know of each other.
pub(crate) async fn fleet(server: &Server, rooms: Rooms, instances: u32) -> Vec<Instance> {
    together((0..instances).map(|_| Instance::start(server, rooms)).collect()).await
}

/// The same, of those who are not patient.
pub(crate) async fn hasty(server: &Server, rooms: Rooms, instances: u32) -> Vec<Instance> {
    let start = |_| Instance::with(server, rooms, TIMEOUT, Duration::from_secs(60));
    together((0..instances).map(start).collect()).await
}

async fn together(all: Vec<Instance>) -> Vec<Instance> {
    let instances = u32::try_from(all.len()).unwrap();
    for instance in &all {
        instance.wait(true).await;
        instance.wait_for_instances(instances).await;
    }
    all
}
