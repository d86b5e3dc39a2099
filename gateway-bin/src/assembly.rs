//! Wiring: from a configuration to stores, pipeline, jobs and gateway. `serve` and `demo` share it,
//! and an embedder does the same with the same public pieces.

use std::io::stdout;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;
use weighbridge_access::{
    Cidr, Directory, FleetLimits, FleetStanding, KeyStore, MemoryKeyStore, Pepper, ProviderKeyStore,
};
use weighbridge_admin::{Actor, AdminCredential, AdminService, Credentials};
use weighbridge_cache::{
    CacheStore, KeepingTerms, KeptAnswers, MasterSecret, MemoryCacheStore, NONCE_BYTES, StoreLimits, Vault,
};
use weighbridge_config::{
    AdminConfig, AlertsConfig, Config, Durability, PriceUpdates, RedisConfig, StorageConfig,
};
use weighbridge_gateway::{ConnectionLimits, DrainReport, Gateway};
use weighbridge_ledger::{Extent, Ledger, LedgerStore, MemoryLedger, Name};
use weighbridge_pipeline::{
    AlertDelivery, Env, Fetched, Jobs, Keeping, KeyVault, Parts, Pipeline, PriceRefresh, SystemEnv,
};
use weighbridge_pricing::PriceSources;
use weighbridge_records::{
    AlertStore, AuditLog, MemoryAlertStore, MemoryAuditLog, MemoryRequestLog, Observer, RequestLog,
};
use weighbridge_store_postgres::{
    Database, PostgresAlertStore, PostgresAuditLog, PostgresCacheStore, PostgresKeyStore, PostgresLedger,
    PostgresRequestLog, Retention as PostgresRetention,
};
use weighbridge_store_redis::{RedisLimits, RedisLimitsOptions};
use weighbridge_store_sqlite::{
    Durability as SqliteDurability, Retention, SqliteCacheStore, SqliteKeyStore, SqliteLedger,
    SqliteLedgerOptions, SqliteRequestLog,
};
use weighbridge_telemetry::{AccessLog, Metrics};
use weighbridge_transport::Fetch;
use weighbridge_upstream::{
    AddressPolicy, AllowedOrigins, FetchOptions, GuardedFetch, HttpTransport, TransportOptions,
};

use crate::kept_prices::{KeptPrices, PresentPrices};
use crate::sources;

/// Records that a memory log keeps, of 1 to 2 KB each: so few that they stay in a processor's cache. Where every
/// request takes its memory from ten thousand records back, it waits for it.
const MEMORY_RECORDS: usize = 1_000;
/// Lines of the access log that may wait for standard output.
const ACCESS_LOG_LINES: usize = 65_536;

/// What is kept, and where.
pub(crate) struct Stores {
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) provider_keys: Arc<dyn ProviderKeyStore>,
    pub(crate) ledger: Arc<dyn LedgerStore>,
    pub(crate) audit: Arc<dyn AuditLog>,
    pub(crate) log: Arc<dyn RequestLog>,
    pub(crate) alerts: Arc<dyn AlertStore>,
    /// What all of them share, where that is a server.
    pub(crate) database: Option<Database>,
}

impl Stores {
    /// Opens what the configuration names.
    pub(crate) fn open(storage: &StorageConfig) -> anyhow::Result<Self> {
        match storage {
            StorageConfig::Sqlite { path, durability } => {
                let options = SqliteLedgerOptions {
                    path: path.clone(),
                    durability: match durability {
                        Durability::Fsync => SqliteDurability::Fsync,
                        Durability::Process => SqliteDurability::Process,
                    },
                };
                let ledger = Arc::new(SqliteLedger::with_options(&options)?);
                let keys = Arc::new(SqliteKeyStore::open(path)?);
                Ok(Self {
                    ledger,
                    provider_keys: Arc::clone(&keys) as Arc<dyn ProviderKeyStore>,
                    audit: Arc::new(keys.audit_log()),
                    alerts: Arc::new(keys.alert_store()),
                    keys,
                    log: Arc::new(SqliteRequestLog::open(
                        &sources::beside(path, "log.db"),
                        Retention::default(),
                    )?),
                    database: None,
                })
            }
            StorageConfig::Postgres { url } => {
                let database = Database::open(url.expose())?;
                let keys = Arc::new(PostgresKeyStore::open(&database));
                Ok(Self {
                    ledger: Arc::new(PostgresLedger::open(&database)),
                    provider_keys: Arc::clone(&keys) as Arc<dyn ProviderKeyStore>,
                    keys,
                    audit: Arc::new(PostgresAuditLog::open(&database)),
                    log: Arc::new(PostgresRequestLog::open(&database, PostgresRetention::default())),
                    alerts: Arc::new(PostgresAlertStore::open(&database)),
                    database: Some(database),
                })
            }
            _ => {
                let keys = Arc::new(MemoryKeyStore::new());
                Ok(Self {
                    ledger: Arc::new(MemoryLedger::new()),
                    provider_keys: Arc::clone(&keys) as Arc<dyn ProviderKeyStore>,
                    keys,
                    audit: Arc::new(MemoryAuditLog::new(MEMORY_RECORDS)),
                    log: Arc::new(MemoryRequestLog::new(MEMORY_RECORDS)),
                    alerts: Arc::new(MemoryAlertStore::new()),
                    database: None,
                })
            }
        }
    }

    /// The admin service over these stores, which makes keys with `pepper` and seals those of providers as the
    /// configuration says.
    pub(crate) fn admin(&self, pepper: Pepper, config: &Config) -> AdminService {
        let (keys, ledger, audit) =
            (Arc::clone(&self.keys), Arc::clone(&self.ledger), Arc::clone(&self.audit));
        let providers = config.settings.providers.iter().map(|provider| provider.name.to_string()).collect();
        AdminService::new(keys, ledger, audit, pepper).with_log(Arc::clone(&self.log)).with_provider_keys(
            Arc::clone(&self.provider_keys),
            config.vault.clone(),
            providers,
        )
    }
}

/// A gateway that serves, with all that runs beside it.
pub(crate) struct Running {
    pub(crate) gateway: Gateway<Pipeline>,
    pub(crate) admin: Arc<AdminService>,
    pub(crate) admin_address: Option<SocketAddr>,
    pub(crate) ledger: Ledger,
    /// For the metrics, for as long as it runs.
    _counted: Arc<Pipeline>,
    jobs: Jobs,
    stop_admin: Option<tokio::sync::oneshot::Sender<()>>,
    drain_timeout: Duration,
}

/// Wires and starts everything on the current runtime.
pub(crate) async fn start(config: Config) -> anyhow::Result<Running> {
    let stores = Stores::open(&config.storage)?;
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new(sources::seed()?));
    recover(&*stores.ledger, &*env).await?;
    register_names(&*stores.ledger, &config).await?;

    // One pepper for both: what the admin service makes, the directory must recognise.
    let pepper = sources::pepper(&config)?;
    let keeping = keeping(&config, &stores, &pepper)?;
    let directory = Arc::new(Directory::new(pepper.clone()));
    directory.sync(&*stores.keys).await?;
    let admin = stores.admin(pepper, &config).with_directory(Arc::clone(&directory));

    let ledger = Ledger::new(Arc::clone(&stores.ledger), config.settings.limits.open_requests);
    let metrics = metrics(&ledger, &stores);
    let mut observers: Vec<Arc<dyn Observer>> = vec![Arc::clone(&metrics) as Arc<dyn Observer>];
    if config.log.requests {
        let access_log =
            AccessLog::start(stdout(), ACCESS_LOG_LINES).context("the access log cannot start")?;
        observers.push(Arc::new(access_log));
    }
    let prices = PresentPrices::read(&config, stores.database.as_ref()).await?;
    let parts = Parts {
        env,
        directory: Arc::clone(&directory),
        ledger: ledger.clone(),
        prices: prices.book,
        log: Arc::clone(&stores.log),
        observers,
        fetch: config.media.fetch.then(|| fetcher(config.media.allowed_networks)),
        keeping: Some(keeping),
        fleet: config.redis.as_ref().map(fleet).transpose()?,
    };
    let pipeline = Pipeline::new(&config.settings, parts)?;
    let vault = KeyVault::new(Arc::clone(&stores.provider_keys), config.vault);
    vault.sync(&pipeline).await?;
    let counted = Arc::new(pipeline.clone());
    let (priced, routing) = (pipeline.clone(), pipeline.clone());
    let admin = admin.with_prices(move || priced.prices());
    let admin = Arc::new(admin.with_routes(move |question| routing.explain_route(question)));
    count_pipeline(&metrics, &counted);
    count_fleet(&metrics, &counted);
    pipeline.join_fleet().await;
    pipeline.resume_limits().await?;
    let webhooks = config.alerts.as_ref().map_or(&[][..], |alerts| &alerts.webhooks[..]);
    pipeline.keep_alerts(Arc::clone(&stores.alerts), webhooks);
    let mut jobs = Jobs::start(&pipeline, Arc::clone(&stores.keys));
    if vault.is_open() {
        jobs.refresh_provider_keys(&pipeline, vault);
    }
    if let Some(kept) = prices.kept {
        jobs.refresh_prices(&pipeline, price_refresh(config.price_updates, prices.sources, kept));
    }

    if let Some(alerts) = config.alerts {
        jobs.deliver_alerts(&pipeline, alert_delivery(alerts));
    }

    let origins = AllowedOrigins::with(config.origins)?;
    let options = TransportOptions::default();
    if config.settings.providers.iter().any(|provider| provider.health.probe.is_some()) {
        let transport = HttpTransport::new(origins.clone(), options.clone());
        jobs.probe_providers(&counted, Arc::new(transport));
    }
    let limits =
        ConnectionLimits { write_time: config.settings.limits.write_time, ..ConnectionLimits::default() };
    let mut builder = Gateway::builder(pipeline)
        .listen(config.server.listen)
        .limits(limits)
        .transport(move |_core| Arc::new(HttpTransport::new(origins.clone(), options.clone())));
    if let Some(workers) = config.server.workers {
        builder = builder.workers(workers.get());
    }
    if let Some(path) = config.server.metrics {
        builder = builder.metrics(path, move || metrics.render());
    }
    let gateway = builder.start()?;

    let mut running = Running {
        gateway,
        admin,
        admin_address: None,
        ledger,
        _counted: counted,
        jobs,
        stop_admin: None,
        drain_timeout: config.server.drain_timeout,
    };
    if let Some(admin) = &config.server.admin {
        running.serve_admin(admin.listen, credentials(admin)).await?;
    }
    Ok(running)
}

/// Opens the store of kept answers, which are sealed under the gateway's one secret.
fn keeping(config: &Config, stores: &Stores, pepper: &Pepper) -> anyhow::Result<Keeping> {
    let limits = StoreLimits { total_bytes: config.responses.max_bytes, ..StoreLimits::default() };
    let store: Arc<dyn CacheStore> = match (&config.storage, &stores.database) {
        (_, Some(database)) => Arc::new(PostgresCacheStore::open(database, limits)),
        (StorageConfig::Sqlite { path, .. }, None) => {
            Arc::new(SqliteCacheStore::open(&sources::beside(path, "kept.db"), limits)?)
        }
        _ => Arc::new(MemoryCacheStore::new(limits)),
    };
    let vault = Vault::new(&MasterSecret::new(*pepper.derive("kept answers")));
    let terms = KeepingTerms { ttl: config.responses.ttl, ..KeepingTerms::default() };
    Ok(Keeping::new(KeptAnswers::new(store, vault, terms), || {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok().map(|()| nonce)
    }))
}

/// Ends what a crash left open, and checks the chain, before the first request.
async fn recover(store: &dyn LedgerStore, env: &dyn Env) -> anyhow::Result<()> {
    let recovery = store.recover(env.now()).await?;
    if recovery.crashed > 0 {
        tracing::warn!(attempts = recovery.crashed, "attempts that a crash left open were ended");
    }
    let found = store.verify(Extent::SinceSeal).await?;
    for fault in &found.faults {
        tracing::error!(%fault, "the ledger is damaged");
    }
    anyhow::ensure!(found.is_sound(), "the ledger is damaged: see `weighbridge ledger verify`");
    Ok(())
}

async fn register_names(store: &dyn LedgerStore, config: &Config) -> anyhow::Result<()> {
    for provider in &config.settings.providers {
        store.register_name(Name::new(Arc::clone(&provider.name))).await?;
    }
    for route in &config.settings.routes {
        for target in route.targets.iter().chain(&route.fallbacks) {
            store.register_name(Name::new(Arc::clone(&target.model))).await?;
        }
    }
    Ok(())
}

fn metrics(ledger: &Ledger, stores: &Stores) -> Arc<Metrics> {
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let open = ledger.clone();
    metrics.add_gauge(
        "weighbridge_ledger_open_attempts",
        "Attempts that are reserved and not ended",
        move || i64::try_from(open.outstanding()).unwrap_or(i64::MAX),
    );
    let counted = Arc::clone(&stores.ledger);
    metrics.add_counter("weighbridge_ledger_overages", "Ends that cost more than was reserved", move || {
        counted.counters().overages
    });
    let counted = Arc::clone(&stores.ledger);
    metrics.add_counter("weighbridge_ledger_failed_commits", "Commits that failed", move || {
        counted.counters().failed_commits
    });
    let counted = Arc::clone(&stores.ledger);
    metrics.add_counter(
        "weighbridge_ledger_failed_checkpoints",
        "Times that the write-ahead log could not be carried over",
        move || counted.counters().failed_checkpoints,
    );
    let log = Arc::clone(&stores.log);
    metrics.add_counter(
        "weighbridge_request_log_dropped",
        "Records that the log had no room for",
        move || log.dropped(),
    );
    metrics
}

/// The metrics observe the pipeline's requests, so that they must not hold it: both would outlive the last signal,
/// and with them the stores, which write what waits when they are dropped (rule C8).
fn count_pipeline(metrics: &Metrics, pipeline: &Arc<Pipeline>) {
    let count = |count: fn(&Pipeline) -> u64| {
        let pipeline = Arc::downgrade(pipeline);
        move || pipeline.upgrade().map_or(0, |pipeline| count(&pipeline))
    };
    let gauge = |name, help, of: fn(&Pipeline) -> u64| {
        let counted = count(of);
        metrics.add_gauge(name, help, move || i64::try_from(counted()).unwrap_or(i64::MAX));
    };
    gauge(
        "weighbridge_disconnected_attempts",
        "Attempts that are read on although their clients have left",
        |pipeline| pipeline.drains() as u64,
    );
    metrics.add_counter(
        "weighbridge_budget_alerts",
        "Thresholds that budgets have reached, each once in its window",
        count(Pipeline::budget_alerts),
    );
    metrics.add_counter(
        "weighbridge_count_alarms",
        "Attempts whose provider counted tokens far from our estimates",
        count(Pipeline::count_alarms),
    );
    metrics.add_counter(
        "weighbridge_shadow_copies_without_room",
        "Copies of requests that a budget or a limit had no room for",
        count(Pipeline::copies_without_room),
    );
    metrics.add_counter(
        "weighbridge_alert_deliveries",
        "Alerts that a webhook has taken",
        count(|pipeline| pipeline.alert_deliveries().0),
    );
    metrics.add_counter(
        "weighbridge_alert_delivery_failures",
        "Alerts that were given up for a webhook",
        count(|pipeline| pipeline.alert_deliveries().1),
    );
    gauge("weighbridge_kept_answers", "Answers of OpenAI Responses that are kept", |pipeline| {
        pipeline.kept_answers().entries
    });
    gauge("weighbridge_kept_answer_bytes", "Bytes of the answers that are kept", |pipeline| {
        pipeline.kept_answers().bytes
    });
    metrics.add_counter(
        "weighbridge_lost_answers",
        "Answers that were to be kept and could not be",
        count(Pipeline::lost_answers),
    );
}

/// What counts limits for all instances.
fn fleet(redis: &RedisConfig) -> anyhow::Result<Arc<dyn FleetLimits>> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).with_context(|| format!("cannot read `storage.redis_ca`, {}", path.display()))
    };
    let options = RedisLimitsOptions {
        url: redis.url.clone(),
        certificates: redis.certificates.as_ref().map(read).transpose()?,
        timeout: redis.timeout,
        sync_every: redis.sync_every,
        instance: sources::seed()?,
    };
    Ok(Arc::new(RedisLimits::new(options).context("`storage.redis` cannot be used")?))
}

/// As [`count_pipeline`].
fn count_fleet(metrics: &Metrics, pipeline: &Arc<Pipeline>) {
    if pipeline.fleet().is_none() {
        return;
    }
    let standing = |pipeline: &Weak<Pipeline>| {
        pipeline.upgrade().and_then(|pipeline| pipeline.fleet()).unwrap_or_default()
    };
    let fleet = Arc::downgrade(pipeline);
    metrics.add_gauges(
        "weighbridge_limits_fleet",
        "Whether limits are counted by all instances together, or each gives out its share",
        "state",
        move || {
            let is_shared = i64::from(standing(&fleet).is_shared);
            vec![("shared", is_shared), ("local", 1 - is_shared)]
        },
    );
    let fleet = Arc::downgrade(pipeline);
    metrics.add_gauges(
        "weighbridge_limits_fleet_drift",
        "What the latest comparison found wrong in Redis and repaired: milliseconds of use, places",
        "of",
        move || {
            let FleetStanding { drift_nanos, drift_places, .. } = standing(&fleet);
            vec![("milliseconds", signed(drift_nanos / 1_000_000)), ("places", signed(drift_places))]
        },
    );
    let fleet = Arc::downgrade(pipeline);
    metrics.add_gauge(
        "weighbridge_limits_fleet_instances",
        "Instances that count limits together",
        move || i64::from(standing(&fleet).instances),
    );
    let fleet = Arc::downgrade(pipeline);
    metrics.add_counter(
        "weighbridge_limits_fleet_losses",
        "How often Redis could not be asked any more, or its count was lost",
        move || standing(&fleet).losses,
    );
    let fleet = Arc::downgrade(pipeline);
    metrics.add_counter(
        "weighbridge_limits_fleet_dropped",
        "What was not used and could not be given back to Redis",
        move || standing(&fleet).dropped,
    );
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Running {
    /// Where clients connect.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.gateway.addresses().first().copied().context("the gateway listens nowhere")
    }

    async fn serve_admin(&mut self, listen: SocketAddr, credentials: Credentials) -> anyhow::Result<()> {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        self.admin_address = Some(listener.local_addr()?);
        let router = weighbridge_admin::router(Arc::clone(&self.admin), credentials);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        self.stop_admin = Some(stop);
        tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            if let Err(error) = weighbridge_admin::serve(listener, router, stopped).await {
                tracing::error!(%error, "the admin API has ended");
            }
        });
        Ok(())
    }

    /// Drains, settles and stops: no new work, streams to their end or to the deadline, every end
    /// committed, jobs ended (rule C8).
    pub(crate) async fn stop(self) -> anyhow::Result<DrainReport> {
        let report = self.gateway.shutdown(self.drain_timeout).await;
        if let Some(stop) = self.stop_admin {
            // An admin API that has ended already needs no telling.
            let _ = stop.send(());
        }
        self.ledger.flush();
        tokio::time::timeout(Duration::from_secs(10), self.ledger.drained())
            .await
            .context("some ends could not be committed; the next start enters them as crashed")?;
        self.jobs.stop().await;
        let now = SystemEnv::new(0).now();
        self.ledger.store().seal(now).await?;
        Ok(report)
    }
}

/// Who may administer: the installation, and tenants.
fn credentials(admin: &AdminConfig) -> Credentials {
    let installation = Credentials::new(AdminCredential::new(admin.token.expose_secret()));
    admin.tenants.iter().fold(installation, |all, admin| {
        let credential = AdminCredential::new(admin.token.expose_secret());
        all.with(credential, Actor::of_tenant(&admin.name, admin.tenant.clone()))
    })
}

/// What keeps prices up to date.
fn price_refresh(updates: PriceUpdates, sources: PriceSources, kept: KeptPrices) -> PriceRefresh {
    let PriceUpdates { refresh, max_jump, allowed_networks, .. } = updates;
    let fetched = refresh.map(|refresh| Fetched {
        url: refresh.url,
        every: refresh.every,
        by: fetcher(allowed_networks),
    });
    PriceRefresh { sources, keeper: Arc::new(kept), fetched, max_jump }
}

/// Delivers alerts to the webhooks of the configuration, at whichever ports it names.
fn alert_delivery(alerts: AlertsConfig) -> AlertDelivery {
    let AlertsConfig { webhooks, secret, allowed_networks } = alerts;
    let addresses = AddressPolicy::allowing(allowed_networks);
    let mut options = FetchOptions { addresses, ..FetchOptions::default() };
    let ports = webhooks.iter().filter_map(|webhook| webhook.parse::<http::Uri>().ok()?.port_u16());
    options.ports.extend(ports);
    AlertDelivery { webhooks, secret, by: Arc::new(GuardedFetch::new(options)) }
}

/// Fetches what is named by address: from public addresses, and from the operator's word.
pub(crate) fn fetcher(allowed_networks: Vec<Cidr>) -> Arc<dyn Fetch> {
    let addresses = AddressPolicy::allowing(allowed_networks);
    Arc::new(GuardedFetch::new(FetchOptions { addresses, ..FetchOptions::default() }))
}
