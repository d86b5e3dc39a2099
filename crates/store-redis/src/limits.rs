use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ScriptInvocation, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use weighbridge_access::{
    Decision, FleetLimits, FleetReturn, FleetStanding, FleetWorld, Held, LimitCells, LimitKind, Share, Want,
};
use weighbridge_units::Monotonic;

use crate::circuit::Circuit;
use crate::error::{Fault, RedisLimitsError};
use crate::keys;
use crate::link::{Answered, Link};
use crate::places::Places;
use crate::returns::Returns;
use crate::scripts::Scripts;
use crate::sync::safe;

/// Where Redis is, and how patient one is with it. It holds a secret and has no `Debug`.
pub struct RedisLimitsOptions {
    /// `redis://…`, or `rediss://…` for TLS. Certificates are always checked.
    pub url: SecretString,
    /// Certificates in PEM that the server's is checked against, instead of those of public authorities.
    pub certificates: Option<Vec<u8>>,
    /// How long a request waits for Redis at most, before limits are divided among instances.
    pub timeout: Duration,
    /// How often the count is compared with what the instance knows.
    pub sync_every: Duration,
    /// Random bits that no other instance has.
    pub instance: u64,
}

/// What is known of the count while it is not asked; 0 is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// Which one it was.
    pub(crate) era: u64,
    /// How far it was.
    pub(crate) count: u64,
    /// The one that must not be trusted any more.
    pub(crate) distrusted: u64,
    /// Who this instance is when it joins.
    pub(crate) epoch: u64,
    /// Who it was before.
    pub(crate) former_epoch: u64,
}

/// Limits that all instances count together in Redis. [`FleetLimits::run`] has to run beside it: until then, and
/// whenever Redis cannot be asked, each instance gives its share of the limits out by itself.
pub struct RedisLimits {
    pub(crate) client: Client,
    /// A thread of its own for connections: whoever asks may run on another runtime, and none of those may be kept
    /// from an answer by what else it does.
    runtime: Option<Runtime>,
    pub(crate) scripts: Scripts,
    pub(crate) timeout: Duration,
    pub(crate) sync_every: Duration,
    /// There is one while Redis is asked.
    pub(crate) link: ArcSwapOption<Link>,
    /// Instances that live, as last heard.
    pub(crate) instances: AtomicU32,
    pub(crate) places: Places,
    /// Places were taken that Redis was not told of.
    pub(crate) untold: AtomicBool,
    pub(crate) returns: Returns,
    pub(crate) circuit: Mutex<Circuit>,
    /// Somebody has found that Redis cannot be asked.
    pub(crate) cut: Notify,
    known: Mutex<Known>,
    /// It was said that Redis cannot be asked.
    pub(crate) is_told: AtomicBool,
    pub(crate) losses: AtomicU64,
    pub(crate) drift_nanos: AtomicU64,
    pub(crate) drift_places: AtomicU64,
}

impl RedisLimits {
    /// Limits in that Redis, which is not asked yet.
    ///
    /// # Errors
    /// [`RedisLimitsError`] for what cannot be an address, or certificates, or where no thread can be started.
    pub fn new(options: RedisLimitsOptions) -> Result<Self, RedisLimitsError> {
        let RedisLimitsOptions { url, certificates, timeout, sync_every, instance } = options;
        let url = url.expose_secret();
        // The client reads `#insecure` as a wish not to check certificates.
        if url.contains('#') {
            return Err(RedisLimitsError::Unchecked);
        }
        // The client takes the process's cryptography. Where nobody has chosen one, it is the one that all of
        // this program uses; where somebody has, that stays.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = match certificates {
            None => Client::open(url).map_err(|_| RedisLimitsError::Address)?,
            Some(pem) => {
                Client::open(url).map_err(|_| RedisLimitsError::Address)?;
                // The client would trust nobody then, and say so of the server.
                if !CertificateDer::pem_slice_iter(&pem).any(|certificate| certificate.is_ok()) {
                    return Err(RedisLimitsError::Certificates);
                }
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
                Client::build_with_tls(url, certificates).map_err(|_| RedisLimitsError::Certificates)?
            }
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("redis").enable_all().build();
        let runtime = runtime.map_err(RedisLimitsError::Thread)?;
        Ok(Self {
            client,
            runtime: Some(runtime),
            scripts: Scripts::new(),
            timeout,
            sync_every,
            link: ArcSwapOption::empty(),
            instances: AtomicU32::new(1),
            places: Places::new(instance),
            untold: AtomicBool::new(false),
            returns: Returns::default(),
            circuit: Mutex::new(Circuit::new()),
            cut: Notify::new(),
            known: Mutex::default(),
            is_told: AtomicBool::new(false),
            losses: AtomicU64::new(0),
            drift_nanos: AtomicU64::new(0),
            drift_places: AtomicU64::new(0),
        })
    }

    /// Connects, on the thread of connections.
    pub(crate) async fn connect(&self, within: Duration) -> Result<MultiplexedConnection, Fault> {
        let Some(runtime) = &self.runtime else { return Err(Fault::Odd) };
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(within)).set_response_timeout(None);
        let client = self.client.clone();
        let connecting = runtime.spawn(async move {
            let connecting = client.get_multiplexed_async_connection_with_config(&config);
            tokio::time::timeout(within, connecting).await
        });
        Ok(connecting.await.map_err(|_| Fault::Odd)?.map_err(|_| Fault::Slow)??)
    }

    pub(crate) fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does not ask over that link any more: from here on no request waits for it.
    pub(crate) fn cut(&self, link: &Arc<Link>, fault: &Fault) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let former = self.link.compare_and_swap(link, None);
        if !former.as_ref().is_some_and(|former| Arc::ptr_eq(former, link)) {
            return; // Somebody else has, or it was never asked over.
        }
        *known = Known {
            era: link.era,
            count: link.count(),
            distrusted: if fault.wants_new_count() { link.era } else { 0 },
            epoch: 0,
            former_epoch: link.epoch,
        };
        drop(known);
        self.returns.clear();
        self.losses.fetch_add(1, Ordering::Relaxed);
        let instances = self.instances.load(Ordering::Acquire);
        self.is_told.store(true, Ordering::Release);
        tracing::warn!(%fault, instances, "Redis is not asked for limits: they are divided among the instances");
        self.cut.notify_one();
    }

    /// What is known of the count, with an epoch for this instance.
    pub(crate) fn known(&self, world: &dyn FleetWorld) -> Known {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch == 0 {
            known.epoch = safe(world.random());
        }
        *known
    }

    fn part(&self) -> Share {
        Share::among(self.instances.load(Ordering::Acquire))
    }

    /// The question for all that is wanted, and the places that it asks for.
    fn question<'a>(&'a self, link: &Link, wants: &'a [Want]) -> (ScriptInvocation<'a>, Pending<'a>) {
        let mut pending = Pending { limits: self, wants, places: Vec::new() };
        let mut script = self.scripts.take.prepare_invoke();
        script.key(keys::STATE).key(keys::LIVING);
        script.arg(link.era).arg(link.epoch);
        // A cell is named once, so that what is wanted of its rates adds up in one place.
        let mut named: Vec<Option<&Arc<LimitCells>>> = Vec::with_capacity(wants.len());
        for want @ Want { cells, kind, .. } in wants {
            let is_place = *kind == LimitKind::Concurrency;
            let same =
                |named: &Option<&Arc<LimitCells>>| named.is_some_and(|named| Arc::ptr_eq(named, cells));
            let number = named.iter().position(same).filter(|_| !is_place).unwrap_or_else(|| {
                script.key(if is_place { keys::places(cells) } else { keys::rates(cells) });
                named.push((!is_place).then_some(cells));
                named.len() - 1
            });
            // Lua counts from one, and two keys come before.
            script.arg(number + 3).arg(keys::kind(*kind));
            if is_place {
                let place = self.places.number();
                script.arg(cells.limit(*kind).unwrap_or(0)).arg(self.places.member(place));
                pending.places.push((place, Arc::clone(cells)));
            } else {
                script.arg(want.length()).arg("");
            }
        }
        (script, pending)
    }

    async fn ask(&self, link: &Link, wants: &[Want], now: Monotonic) -> Result<Decision, Fault> {
        let (script, mut pending) = self.question(link, wants);
        let before = link.before();
        let answer = link.ask(&script, self.timeout).await?;
        let answered = Answered::of(&answer)?;
        link.check(answered, before)?;
        let rest = answer.get(3..).unwrap_or_default();
        if answer.first() == Some(&1) {
            pending.granted(answered.at, rest, now)
        } else {
            pending.places.clear(); // None was taken.
            let [number, taken] = *rest else { return Err(Fault::Odd) };
            let want = usize::try_from(number).ok().and_then(|number| wants.get(number)).ok_or(Fault::Odd)?;
            let taken = u64::try_from(taken).map_err(|_| Fault::Odd)?;
            if want.kind != LimitKind::Concurrency {
                want.note(taken, now);
            }
            Ok(Decision::Refused(want.refusal(taken)))
        }
    }
}

/// Places that were asked for. Where nobody waits for the answer any more they are given back, whatever it is; what
/// was taken of rates drains by itself.
struct Pending<'a> {
    limits: &'a RedisLimits,
    wants: &'a [Want],
    places: Vec<(u64, Arc<LimitCells>)>,
}

impl Pending<'_> {
    fn granted(&mut self, at: i64, aheads: &[i64], now: Monotonic) -> Result<Decision, Fault> {
        let at = u64::try_from(at).map_err(|_| Fault::Odd)?.saturating_mul(1_000);
        let mut aheads = aheads.iter();
        let mut places = self.places.iter();
        let mut held = Vec::with_capacity(self.wants.len());
        for want in self.wants {
            held.push(if want.kind == LimitKind::Concurrency {
                Held::Place(places.next().ok_or(Fault::Odd)?.0)
            } else {
                let ahead = aheads.next().and_then(|ahead| u64::try_from(*ahead).ok()).ok_or(Fault::Odd)?;
                want.note(ahead, now);
                Held::Rate { until: at.saturating_add(ahead), length: want.length() }
            });
        }
        for (place, cells) in self.places.drain(..) {
            self.limits.places.take(place, &cells);
        }
        Ok(Decision::Granted(held))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        for (place, cells) in self.places.drain(..) {
            self.limits.give(FleetReturn::Place { cells, place });
        }
    }
}

#[async_trait]
impl FleetLimits for RedisLimits {
    fn share(&self) -> Share {
        if self.link.load().is_some() { Share::WHOLE } else { self.part() }
    }

    async fn take(&self, wants: &[Want], now: Monotonic) -> Decision {
        let Some(link) = self.link.load_full() else { return Decision::Away(self.part()) };
        let were_returns_pending = self.returns.is_pending();
        let mut decision = self.ask(&link, wants, now).await;
        if were_returns_pending && matches!(decision, Ok(Decision::Refused(_))) {
            // Nobody is refused for what is on its way back: the next request of a client comes right after the
            // end of the one before.
            let _ = tokio::time::timeout(self.timeout, self.returns.settled()).await;
            decision = self.ask(&link, wants, now).await;
        }
        match decision {
            Ok(decision) => decision,
            Err(fault) => {
                self.cut(&link, &fault);
                Decision::Away(self.part())
            }
        }
    }

    fn occupy(&self, cells: &Arc<LimitCells>) -> u64 {
        let place = self.places.number();
        self.places.take(place, cells);
        self.untold.store(true, Ordering::Release);
        place
    }

    fn give(&self, back: FleetReturn) {
        if let FleetReturn::Place { place, .. } = &back {
            self.places.free(*place);
        }
        // Where nobody is asked, whoever joins enters what is taken then.
        if self.link.load().is_some() {
            self.returns.push(back);
        }
    }

    fn standing(&self) -> FleetStanding {
        FleetStanding {
            is_shared: self.link.load().is_some(),
            instances: self.instances.load(Ordering::Acquire),
            losses: self.losses.load(Ordering::Relaxed),
            drift_nanos: self.drift_nanos.load(Ordering::Relaxed),
            drift_places: self.drift_places.load(Ordering::Relaxed),
            dropped: self.returns.dropped(),
        }
    }

    async fn begin(&self, world: &dyn FleetWorld) {
        self.join_at_once(world).await;
    }

    async fn run(&self, world: &dyn FleetWorld) {
        self.keep(world).await;
    }

    async fn leave(&self) {
        self.give_up().await;
    }
}

impl Drop for RedisLimits {
    fn drop(&mut self) {
        // It may be dropped on a runtime, which nothing may block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimits").field("standing", &self.standing()).finish_non_exhaustive()
    }
}
