//! A pipeline over simulated providers and a memory ledger, in virtual time.

#![allow(dead_code, reason = "each test binary uses its own part of the world")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

pub(crate) mod clients;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use weighbridge_access::{
    Budget, Directory, KEY_RANDOM_BYTES, KeyOwner, KeySecret, OpenKey, Pepper, ProviderKey, ProviderKeyId,
    ProviderSecret, Tenant, TenantName, VirtualKey, mint_key,
};
use weighbridge_cache::{
    CacheStore, KeepingTerms, KeptAnswers, MasterSecret, MemoryCacheStore, NONCE_BYTES, StoreLimits, Vault,
};
use weighbridge_catalogue::{PathTemplate, Spoken};
use weighbridge_ledger::{Ledger, LedgerStore, MemoryLedger};
use weighbridge_pipeline::settings::{
    ProviderCredential, ProviderSettings, RouteSettings, Settings, TargetSettings,
};
use weighbridge_pipeline::{AnswerBody, Env, Keeping, Parts, Pipeline, SystemEnv};
use weighbridge_pricing::PriceBook;
use weighbridge_records::{MemoryRequestLog, RequestLog};
use weighbridge_simulator::{Fault, InvoiceLine, Network, Simulator, Vendor};
use weighbridge_transport::{BoxFuture, Fetch, FetchBounds, FetchError, Fetched, Transport};
use weighbridge_units::{NanoUsd, Protocol, Timestamp};

pub(crate) const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/v1/messages";

/// A picture at every address but those that have `missing` in them.
struct Pictures;

impl Fetch for Pictures {
    fn fetch<'a>(
        &'a self,
        url: &'a str,
        bounds: &'a FetchBounds,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        let found = bounds.settle(None, Bytes::from_static(b"GIF89a"));
        let answer =
            if url.contains("missing") { Err(FetchError::TooManyRedirects { most: 0 }) } else { found };
        Box::pin(async { answer })
    }
}
/// Azure's older calls.
const AZURE_DATED: &str = "/openai/deployments/{model}/chat/completions?api-version=2024-10-21";

/// Everything that a test needs to hold.
pub(crate) struct World {
    pub(crate) openai: Simulator,
    pub(crate) anthropic: Simulator,
    pub(crate) google: Simulator,
    pub(crate) aws: Simulator,
    pub(crate) azure: Simulator,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) pipeline: Pipeline,
    #[allow(dead_code, reason = "not every test reloads")]
    pub(crate) settings: Settings,
    pub(crate) store: Arc<MemoryLedger>,
    pub(crate) log: Arc<MemoryRequestLog>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) keys: Vec<VirtualKey>,
    pub(crate) tenants: Vec<Tenant>,
    /// The first key, without any limit.
    pub(crate) key: String,
    pepper: Pepper,
}

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::seeded(1)
    }

    /// A world whose random numbers follow from `seed`.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::with_settings(seed, |_| {})
    }

    pub(crate) fn with_settings(seed: u64, change: impl FnOnce(&mut Settings)) -> Self {
        let store = MemoryCacheStore::new(StoreLimits::default());
        Self::keeping(seed, change, Some(keeping(Arc::new(store), KeepingTerms::default())))
    }

    /// A world that keeps answers there, or none.
    pub(crate) fn keeping(seed: u64, change: impl FnOnce(&mut Settings), keeping: Option<Keeping>) -> Self {
        Self::timed(Arc::new(SystemEnv::repeatable(seed, start())), change, keeping)
    }

    /// A world over that ledger, which another instance may share.
    pub(crate) fn over(
        store: MemoryLedger,
        seed: u64,
        change: impl FnOnce(&mut Settings),
        keeping: Option<Keeping>,
    ) -> Self {
        Self::of(store, Arc::new(SystemEnv::repeatable(seed, start())), change, keeping)
    }

    /// A world with clocks and random numbers of the test's own.
    pub(crate) fn timed(
        env: Arc<dyn Env>,
        change: impl FnOnce(&mut Settings),
        keeping: Option<Keeping>,
    ) -> Self {
        Self::of(MemoryLedger::with_rows(10_000_000), env, change, keeping)
    }

    fn of(
        store: MemoryLedger,
        env: Arc<dyn Env>,
        change: impl FnOnce(&mut Settings),
        keeping: Option<Keeping>,
    ) -> Self {
        let (openai, anthropic) = (Simulator::new(Vendor::OpenAi), Simulator::new(Vendor::Anthropic));
        let [google, aws, azure] = [Vendor::Google, Vendor::Aws, Vendor::Azure].map(Simulator::new);
        let network = Network::new()
            .with("openai.test", &openai)
            .with("anthropic.test", &anthropic)
            .with("google.test", &google)
            .with("aws.test", &aws)
            .with("azure.test", &azure);
        let mut settings = settings();
        change(&mut settings);
        let store = Arc::new(store);
        let pepper = Pepper::new(&[7; 32]).unwrap();
        let directory = Arc::new(Directory::new(Pepper::new(&[7; 32]).unwrap()));
        let log = Arc::new(MemoryRequestLog::new(1_000));
        let pipeline = Pipeline::new(
            &settings,
            Parts {
                env,
                directory: Arc::clone(&directory),
                ledger: Ledger::new(Arc::clone(&store) as Arc<dyn LedgerStore>, 100_000),
                prices: Arc::new(PriceBook::builtin().unwrap()),
                log: Arc::clone(&log) as Arc<dyn RequestLog>,
                observers: Vec::new(),
                fetch: Some(Arc::new(Pictures)),
                keeping,
                fleet: None,
            },
        )
        .unwrap();
        let transport: Arc<dyn Transport> = Arc::new(network);
        let (key, keys) = (String::new(), Vec::new());
        let mut world = Self {
            openai,
            anthropic,
            google,
            aws,
            azure,
            transport,
            pipeline,
            settings,
            store,
            log,
            directory,
            keys,
            tenants: Vec::new(),
            key,
            pepper,
        };
        world.key = world.add_key(|_| {});
        world
    }

    /// Makes a key and gives its text.
    pub(crate) fn add_key(&mut self, change: impl FnOnce(&mut VirtualKey)) -> String {
        let mut random = [0; KEY_RANDOM_BYTES];
        random[..8].copy_from_slice(&(self.keys.len() as u64 + 1).to_be_bytes());
        random[20] = self.keys.len() as u8;
        let minted = mint_key(&random, &self.pepper);
        let tenant = TenantName::new("acme").unwrap();
        let mut key = VirtualKey::new(minted.id, "test", tenant, minted.hash, Timestamp::default());
        change(&mut key);
        self.keys.push(key);
        self.directory.refresh(self.keys.clone(), self.tenants.clone());
        minted.expose().to_owned()
    }

    /// Defines an organisation or a team; the keys of [`World::add_key`] are of `acme`, if nothing else is said.
    #[allow(dead_code, reason = "not every test has tenants")]
    pub(crate) fn add_tenant(&mut self, name: &str, change: impl FnOnce(&mut Tenant)) {
        let mut tenant = Tenant::new(TenantName::new(name).unwrap(), Timestamp::default());
        change(&mut tenant);
        self.tenants.retain(|other| other.name != tenant.name);
        self.tenants.push(tenant);
        self.directory.refresh(self.keys.clone(), self.tenants.clone());
    }

    /// Sends a request and gives the answer's head and body unread.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> http::Response<AnswerBody> {
        self.pipeline.handle(&self.transport, request, PEER).await
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        read(self.open(request).await).await
    }

    /// Posts a body with the first key.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(post(path, &self.key, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &self.key).await
    }

    /// Sends a request without a body.
    pub(crate) async fn ask(&self, method: Method, path: &str, key: &str) -> Answer {
        let request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        self.send(request.body(Full::default()).unwrap()).await
    }

    /// Nothing has been asked yet, and the next request to each provider fails so.
    pub(crate) fn afresh(&self, fault: Option<&Fault>) {
        for simulator in self.simulators() {
            simulator.forget();
            simulator.clear_faults();
            fault.into_iter().for_each(|fault| simulator.push_fault(fault.clone()));
        }
    }

    /// What all providers have invoiced.
    pub(crate) fn invoice(&self) -> Vec<InvoiceLine> {
        self.simulators().into_iter().flat_map(Simulator::invoice).collect()
    }

    /// All providers.
    pub(crate) fn simulators(&self) -> [&Simulator; 5] {
        [&self.openai, &self.anthropic, &self.google, &self.aws, &self.azure]
    }

    /// The record of a request, as the owner of `key` sees it.
    pub(crate) async fn record_by(&self, key: &str, answer: &Answer) -> Value {
        let path = format!("/v1/requests/{}", answer.header("x-request-id").unwrap());
        self.ask(Method::GET, &path, key).await.json()
    }

    /// The record of the request that `answer` belongs to.
    pub(crate) async fn record(&self, answer: &Answer) -> Value {
        self.get(&format!("/v1/requests/{}", answer.header("x-request-id").unwrap())).await.json()
    }
}

/// When every world begins: a midnight in UTC.
pub(crate) fn start() -> Timestamp {
    Timestamp::from_date(2026, 11, 21).unwrap()
}

/// Reads an answer to its end.
pub(crate) async fn read(response: http::Response<AnswerBody>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() }
}

pub(crate) fn post(path: &str, key: &str, body: &Value) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}

/// Routes `gpt` and `claude`, each with the other vendor as its fallback; `only-gpt` and
/// `only-claude` have none.
fn settings() -> Settings {
    let target = |provider: &str, model: &str| TargetSettings {
        provider: provider.into(),
        model: model.into(),
        weight: 1,
    };
    let (gpt, claude) = (target("openai", "gpt-4o-mini"), target("anthropic", "claude-haiku-4-5"));
    let route = |name: &str, targets: Vec<TargetSettings>, fallbacks: Vec<TargetSettings>| RouteSettings {
        fallbacks,
        ..RouteSettings::new(name, targets)
    };
    Settings {
        providers: vec![
            provider("openai", "http://openai.test/v1"),
            provider("anthropic", "http://anthropic.test"),
            provider("gemini", "http://google.test/v1beta"),
            provider("vertex", "http://google.test/v1/projects/p/locations/global"),
            provider("bedrock", "http://aws.test"),
            provider("azure", "http://azure.test"),
            ProviderSettings {
                name: "azure-dated".into(),
                spoken: vec![Spoken {
                    path: PathTemplate::of(AZURE_DATED),
                    stream_path: PathTemplate::of(AZURE_DATED),
                    ..of(&provider("azure", "").spoken, Protocol::OpenAiChat).remove(0)
                }],
                ..provider("azure", "http://azure.test")
            },
            ProviderSettings {
                name: "openai-responses".into(),
                spoken: of(&provider("openai", "").spoken, Protocol::OpenAiResponses),
                ..provider("openai", "http://openai.test/v1")
            },
        ],
        routes: vec![
            route("gpt", vec![gpt.clone()], vec![claude.clone()]),
            route("claude", vec![claude.clone()], vec![gpt.clone()]),
            route("only-gpt", vec![gpt.clone()], vec![]),
            route("only-claude", vec![claude.clone()], vec![]),
            route("either", vec![gpt, claude], vec![]),
        ],
        ..Settings::default()
    }
}

/// What is spoken of one protocol.
fn of(spoken: &[Spoken], protocol: Protocol) -> Vec<Spoken> {
    spoken.iter().filter(|spoken| spoken.protocol == protocol).cloned().collect()
}

fn provider(name: &str, base_url: &str) -> ProviderSettings {
    let known = ProviderSettings::of(weighbridge_catalogue::preset(name).unwrap(), base_url);
    ProviderSettings {
        credentials: ["one", "two"]
            .map(|which| ProviderCredential::key(format!("sk-{name}-{which}")))
            .to_vec(),
        // The simulated Azure bills what OpenAI does.
        price_as: if name.starts_with("azure") { "openai".into() } else { known.price_as.clone() },
        ..known
    }
}

/// Answers that are kept in a store, sealed with nonces that are counted: good for a test only.
pub(crate) fn keeping(store: Arc<dyn CacheStore>, terms: KeepingTerms) -> Keeping {
    let (vault, count) = (Vault::new(&MasterSecret::new([7; 32])), AtomicU64::new(0));
    Keeping::new(KeptAnswers::new(store, vault, terms), move || {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&count.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Some(nonce)
    })
}

/// A budget of so many nano-dollars a month.
pub(crate) fn monthly(nanos: i64) -> Vec<Budget> {
    vec![Budget::per_month(NanoUsd::new(nanos))]
}

fn owner(name: &str) -> KeyOwner {
    match name {
        "" => KeyOwner::Installation,
        name => KeyOwner::Tenant(TenantName::new(name).unwrap()),
    }
}

/// A key that is open already: of `owner`, or of the installation where that is empty.
pub(crate) fn open_key(id: u64, of: &str, provider: &str, secret: &str) -> OpenKey {
    let secret = ProviderSecret::new(secret).unwrap();
    let key = ProviderKey {
        id: ProviderKeyId::from_bits(id),
        owner: owner(of),
        provider: provider.to_owned(),
        label: format!("key {id}"),
        weight: 1,
        fingerprint: secret.fingerprint(),
        secret: KeySecret::Revoked(Timestamp::default()),
        created: Timestamp::default(),
        rotated: None,
    };
    OpenKey { secret, key }
}
