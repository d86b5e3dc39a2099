//! The pipeline: what is wired, and the way from a request to its answer.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body::Body;
use thiserror::Error;
use weighbridge_access::{Directory, FleetLimits, FleetStanding, KeyOwner, OpenKey};
use weighbridge_cache::Holding;
use weighbridge_ledger::Ledger;
use weighbridge_pricing::PriceBook;
use weighbridge_records::{AlertStore, Observer, RequestLog};
use weighbridge_transport::{Fetch, Transport};

use crate::admit::Admitted;
use crate::alerts::AlertKeeping;
use crate::answer::AnswerBody;
use crate::compiled::Compiled;
use crate::departure::Attended;
use crate::draft::Draft;
use crate::endpoint::{Endpoint, protocol_of};
use crate::env::Env;
use crate::exhausted::Exhausted;
use crate::idempotency::{Leading, Running};
use crate::keeping::{Keeper, Keeping};
use crate::metering::Prices;
use crate::own_keys::Shelf;
use crate::receive::Received;
use crate::refusal::Refusal;
use crate::resume::Resumption;
use crate::retiring::{Retiring, retiring};
use crate::settings::{OnDisconnect, Settings};
use crate::watch::Watch;
use crate::{attempt, kept_routes, listing, native, respond, shadow, token_count};

/// What the [`Pipeline`] could not be built from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A target names a provider that is not configured.
    #[error("`{route}` names the provider `{provider}`, which is not configured: add [providers.{provider}]")]
    UnknownProvider {
        /// The route.
        route: String,
        /// The provider that is missing.
        provider: String,
    },
    /// Two things of the same kind have one name.
    #[error("`{name}` is defined twice: names are unique")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A base URL that is no absolute http or https address.
    #[error("the base URL of `{provider}` is not usable: {reason}")]
    BaseUrl {
        /// The provider.
        provider: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A credential with characters that no header can carry.
    #[error("a credential of `{provider}` has characters that a header cannot carry: check for line ends")]
    Credential {
        /// The provider.
        provider: String,
    },
    /// Budgets or limits that cannot be counted, that contradict each other, or that are too many.
    #[error("the limits of `{owner}` cannot be kept: {reason}")]
    Budget {
        /// Whose they are.
        owner: String,
        /// What is wrong with them.
        reason: String,
    },
    /// A route that could never answer.
    #[error("the model `{route}` cannot be served: {reason}")]
    Route {
        /// The route.
        route: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a pipeline is wired from. All of it is shared and outlives any one request.
pub struct Parts {
    /// Clocks and random numbers.
    pub env: Arc<dyn Env>,
    /// Who may use the gateway.
    pub directory: Arc<Directory>,
    /// What money is reserved and posted in.
    pub ledger: Ledger,
    /// What things cost.
    pub prices: Arc<PriceBook>,
    /// Where records of requests are kept.
    pub log: Arc<dyn RequestLog>,
    /// Who else sees each record: metrics, access log.
    pub observers: Vec<Arc<dyn Observer>>,
    /// What fetches media that a request names by address, where the provider opens none; `None` reports
    /// them as lost. The addresses are the clients' own: it has to be guarded.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// Where answers of OpenAI Responses are kept. Without it none is, nor can one be gone on from.
    pub keeping: Option<Keeping>,
    /// What counts limits for all instances together. Without it each instance counts for itself.
    pub fleet: Option<Arc<dyn FleetLimits>>,
}

/// The way of a request, from its bytes to its answer, with everything that is kept of it.
///
/// Cheap to clone. It owns no socket: bytes come in as an `http::Request`, providers are reached
/// through the [`Transport`] that each call names, so that a runtime per core can have its own.
#[derive(Clone)]
pub struct Pipeline {
    pub(crate) core: Arc<Core>,
}

pub(crate) struct Core {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) ledger: Ledger,
    pub(crate) prices: ArcSwap<Prices>,
    pub(crate) log: Arc<dyn RequestLog>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) fetch: Option<Arc<dyn Fetch>>,
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) fleet: Option<Arc<dyn FleetLimits>>,
    pub(crate) compiled: ArcSwap<Compiled>,
    /// What it was compiled from. Held while something else is compiled.
    told: Mutex<Told>,
    /// Provider keys of tenants' own.
    pub(crate) shelf: ArcSwap<Shelf>,
    pub(crate) places: Arc<AtomicUsize>,
    /// Requests under idempotency keys that are being carried out.
    pub(crate) running: Running,
    /// Attempts that are read on although their clients have left.
    pub(crate) drains: Arc<AtomicUsize>,
    pub(crate) draining: AtomicBool,
    /// Budgets that somebody wants to know of.
    pub(crate) watch: Watch,
    /// Budgets that have lately had no room.
    pub(crate) exhausted: Exhausted,
    /// Attempts whose provider counted tokens far from our estimates.
    pub(crate) count_alarms: AtomicU64,
    /// Copies of requests that a budget or a limit had no room for.
    pub(crate) copies_without_room: AtomicU64,
    /// Whether a commit of ends that were handed to the ledger is about to be made.
    pub(crate) settling: AtomicBool,
}

/// What requests read is compiled from this.
struct Told {
    settings: Settings,
    /// The installation's keys from the vault.
    vault: Vec<OpenKey>,
}

impl Pipeline {
    /// Compiles `settings` over the wired parts.
    ///
    /// # Errors
    /// A [`PipelineError`] that names what does not fit together.
    pub fn new(settings: &Settings, parts: Parts) -> Result<Self, PipelineError> {
        let Parts { env, directory, ledger, prices, log, observers, fetch, keeping, fleet } = parts;
        let compiled = ArcSwap::from_pointee(Compiled::new(settings, &[], None)?);
        for Retiring { target, at } in retiring(settings, env.now()) {
            tracing::warn!(%target, %at, "the provider shuts this model down: name another one");
        }
        let told = Mutex::new(Told { settings: settings.clone(), vault: Vec::new() });
        let (draining, settling) = (AtomicBool::new(false), AtomicBool::new(false));
        let prices = ArcSwap::from_pointee(Prices::new(prices));
        let keeper = keeping.map(|keeping| Arc::new(Keeper::new(keeping)));
        let core = Core {
            env,
            directory,
            ledger,
            prices,
            log,
            observers,
            fetch,
            keeper,
            fleet,
            compiled,
            told,
            shelf: ArcSwap::default(),
            places: Arc::default(),
            running: Running::default(),
            drains: Arc::default(),
            watch: Watch::default(),
            exhausted: Exhausted::default(),
            count_alarms: AtomicU64::new(0),
            copies_without_room: AtomicU64::new(0),
            draining,
            settling,
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// Joins the instances that count limits together, where that can be done at once; else the job does
    /// (`quota-sync`). Called before the first request.
    pub async fn join_fleet(&self) {
        if let Some(fleet) = &self.core.fleet {
            fleet.begin(&*self.core).await;
        }
    }

    /// Keeps alerts of budgets there, for these webhooks, so that each is told once by all who share the store, and what
    /// waits survives this process. Called before the jobs start; without it alerts are kept in memory.
    pub fn keep_alerts(&self, store: Arc<dyn AlertStore>, webhooks: &[String]) {
        self.core.watch.keep_in(AlertKeeping::new(store, webhooks));
    }

    /// How many attempts there were whose provider's count of tokens was far from our estimate.
    pub fn count_alarms(&self) -> u64 {
        self.core.count_alarms.load(Ordering::Relaxed)
    }

    /// How many copies of requests were left out because a budget of the installation's, or a limit of the target's, had
    /// no room.
    pub fn copies_without_room(&self) -> u64 {
        self.core.copies_without_room.load(Ordering::Relaxed)
    }

    /// Swaps in other settings; requests in flight keep those that they started with, and targets
    /// that stay keep their health.
    ///
    /// # Errors
    /// A [`PipelineError`]; the old settings then stay in force.
    pub fn reload(&self, settings: &Settings) -> Result<(), PipelineError> {
        let mut told = self.told();
        self.core.compile(settings, &told.vault)?;
        told.settings = settings.clone();
        Ok(())
    }

    /// Swaps other provider keys in, from the vault: tenants' own, and the installation's, which join those of the
    /// settings. Requests in flight keep those that they started with (rule K1).
    ///
    /// # Errors
    /// A [`PipelineError`]; the old keys then stay in use.
    pub fn put_provider_keys(&self, keys: Vec<OpenKey>) -> Result<(), PipelineError> {
        let (vault, own): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|open| open.key.owner == KeyOwner::Installation);
        let mut told = self.told();
        if vault != told.vault {
            self.core.compile(&told.settings, &vault)?;
            told.vault = vault;
        }
        let shelf = Shelf::new(own, &self.core.shelf.load());
        self.core.shelf.store(Arc::new(shelf));
        Ok(())
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.core.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Swaps another price book in, at once and whole: what is in flight keeps the card that it was pinned to
    /// (rules P1, P2).
    pub fn swap_prices(&self, book: Arc<PriceBook>) {
        self.core.prices.store(Arc::new(Prices::new(book)));
    }

    /// The price book in force.
    pub fn prices(&self) -> Arc<PriceBook> {
        Arc::clone(&self.core.prices.load().book)
    }

    /// Refuses new requests from now on with 503; those in flight go on.
    pub fn drain(&self) {
        self.core.draining.store(true, Ordering::Release);
    }

    /// Requests that are being served at the moment, streams included.
    pub fn open_requests(&self) -> usize {
        self.core.places.load(Ordering::Acquire)
    }

    /// Attempts that are read on for their usage although their clients have left. They are open requests too.
    pub fn drains(&self) -> usize {
        self.core.drains.load(Ordering::Acquire)
    }

    /// What is kept of answers, as a job has counted it within the last minute.
    pub fn kept_answers(&self) -> Holding {
        self.core.keeper.as_ref().map_or_else(Holding::default, |keeper| keeper.holding())
    }

    /// Answers that were to be kept, and could not be.
    pub fn lost_answers(&self) -> u64 {
        self.core.keeper.as_ref().map_or(0, |keeper| keeper.lost())
    }

    /// Thresholds that budgets have reached, each once in its window.
    pub fn budget_alerts(&self) -> u64 {
        self.core.watch.alerts()
    }

    /// How the limits stand that all instances count together; `None` where each counts for itself.
    pub fn fleet(&self) -> Option<FleetStanding> {
        self.core.fleet.as_ref().map(|fleet| fleet.standing())
    }

    /// Deliveries of alerts to webhooks: those that were taken, and those that were given up.
    pub fn alert_deliveries(&self) -> (u64, u64) {
        self.core.watch.deliveries()
    }

    /// The ledger behind the pipeline.
    pub fn ledger(&self) -> &Ledger {
        &self.core.ledger
    }

    /// Serves one request. Never fails: what goes wrong is an answer in the client's protocol.
    ///
    /// Dropping the future, or the body of the answer, means that the client has left: the attempt is then
    /// cancelled, or read on by a job on the current runtime
    /// ([`OnDisconnect`](crate::settings::OnDisconnect)).
    pub async fn handle<B>(
        &self,
        transport: &Arc<dyn Transport>,
        request: http::Request<B>,
        peer: IpAddr,
    ) -> http::Response<AnswerBody>
    where
        B: Body<Data = Bytes>,
    {
        let (head, body) = request.into_parts();
        let client = protocol_of(&head.uri, &head.headers);
        let mut draft = Draft::new(&self.core, client, &head.headers);
        match serve(Received { head, peer }, body, &mut draft, &**transport).await {
            Ok(Served::Admitted(mut admitted)) => {
                let leading = admitted.leading.take();
                let mut request = admitted.into_exchange(draft, leading.as_ref().map(Leading::carried_out));
                let copy = shadow::copy(&request);
                request.exchange.resumption = Resumption::of(&request, transport);
                let response = match (request.route.on_disconnect, leading) {
                    (OnDisconnect::Cancel, None) => attempt::run(request, &**transport).await,
                    (_, leading) => {
                        let presence = request.exchange.draft.presence.clone();
                        let transport = Arc::clone(transport);
                        let work = Box::pin(async move {
                            let response = attempt::run(request, &*transport).await;
                            match leading {
                                Some(leading) => leading.tape(response),
                                None => response,
                            }
                        });
                        Attended::new(work, presence, Arc::clone(&self.core)).await
                    }
                };
                shadow::send(copy, transport, response.status());
                response
            }
            Ok(Served::Native(mut response)) => {
                respond::write_id(response.headers_mut(), &draft.record.id);
                native::with_record(response, draft)
            }
            Ok(Served::Switched(mut response)) => {
                respond::write_id(response.headers_mut(), &draft.record.id);
                native::switched(response, draft)
            }
            Ok(Served::Answer(mut response)) => {
                draft.answered(response.status().as_u16());
                respond::write_id(response.headers_mut(), &draft.record.id);
                response
            }
            Err(refusal) => {
                let response = respond::refusal(client, &draft.record.id, &refusal);
                draft.record.refused = Some(refusal.kind());
                draft.answered(response.status().as_u16());
                response
            }
        }
    }
}

impl Core {
    fn compile(&self, settings: &Settings, vault: &[OpenKey]) -> Result<(), PipelineError> {
        let old = self.compiled.load();
        self.compiled.store(Arc::new(Compiled::new(settings, vault, Some(&old))?));
        Ok(())
    }
}

/// What becomes of a request before any provider is asked.
pub(crate) enum Served {
    /// It may be sent.
    Admitted(Box<Admitted>),
    /// The gateway answers by itself.
    Answer(http::Response<AnswerBody>),
    /// A provider answers, with a body that is still to come.
    Native(http::Response<Box<native::NativeBody>>),
    /// A provider has left HTTP, and the client is to follow.
    Switched(http::Response<Box<native::Session>>),
}

async fn serve<B>(
    received: Received,
    body: B,
    draft: &mut Draft,
    transport: &dyn Transport,
) -> Result<Served, Refusal>
where
    B: Body<Data = Bytes>,
{
    if draft.core.draining.load(Ordering::Acquire) {
        return Err(Refusal::Draining);
    }
    let endpoint = Endpoint::of(&received.head.method, &received.head.uri)?;
    let authenticated = received.authenticate(draft)?;
    Ok(match endpoint {
        Endpoint::Inference(inference) => authenticated.admit(inference, body, draft).await?,
        Endpoint::TokenCount(asked) => {
            Served::Answer(token_count::answer(authenticated, asked, body, draft, transport).await?)
        }
        Endpoint::Models => Served::Answer(listing::models(&authenticated, draft)),
        Endpoint::Model(name) => Served::Answer(listing::model(&authenticated, &name, draft)?),
        Endpoint::KeptAnswer(id, act) => {
            Served::Answer(kept_routes::answer(&authenticated, &id, act, draft).await?)
        }
        Endpoint::Request(id) => Served::Answer(listing::request(&authenticated, &id, draft).await?),
        // On the heap, so that nothing else carries it around.
        Endpoint::Native(asked) => {
            Box::pin(native::serve(authenticated, asked, body, draft, transport)).await?
        }
    })
}

/// Whether settings fit together, without wiring anything.
///
/// # Errors
/// As [`Pipeline::new`].
pub fn check(settings: &Settings) -> Result<(), PipelineError> {
    Compiled::new(settings, &[], None).map(drop)
}
