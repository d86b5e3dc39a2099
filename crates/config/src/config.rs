use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use weighbridge_access::{Cidr, MasterKeys, TenantName, WebhookSecret};
use weighbridge_pipeline::settings::Settings;
use weighbridge_pricing::{Factor, LeftOut, PriceBook, PriceSources};
use weighbridge_upstream::OriginOptions;

use crate::redis::RedisConfig;

/// What a configuration means: checked, complete, without a reference to the file that it is from.
/// It holds secrets and has no `Debug`.
pub struct Config {
    /// What the pipeline is told: providers, models, bounds, policies.
    pub settings: Settings,
    /// Each provider's address, and how it is connected to.
    pub origins: Vec<(String, OriginOptions)>,
    /// Prices, built in, from files, from updates and overridden.
    pub prices: Arc<PriceBook>,
    /// What they were made of, and how they are kept up to date.
    pub price_updates: PriceUpdates,
    /// Listeners and their bounds.
    pub server: ServerConfig,
    /// Where ledger, keys and records are kept.
    pub storage: StorageConfig,
    /// What providers' keys of tenants are sealed under; `None` where there is no vault.
    pub vault: Option<MasterKeys>,
    /// The Redis that all instances count limits in; `None` where each counts for itself.
    pub redis: Option<RedisConfig>,
    /// Media that requests name by address.
    pub media: MediaConfig,
    /// How answers of OpenAI Responses are kept. Whether they are is told to the pipeline.
    pub responses: ResponsesConfig,
    /// Where alerts of budgets are delivered; `None` where they are in the log only.
    pub alerts: Option<AlertsConfig>,
    /// What is written to standard error.
    pub log: LogConfig,
}

/// How the price book is kept up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceUpdates {
    /// What the book is made of.
    pub sources: PriceSources,
    /// What of the maps among the files was not understood.
    pub left_out: Vec<LeftOut>,
    /// Where updates are kept.
    pub kept: KeptIn,
    /// From where, and how often, prices are fetched by themselves.
    pub refresh: Option<PriceRefresh>,
    /// A rate that rises or falls by more than this factor is held until it is approved (rule P2).
    pub max_jump: Factor,
    /// Networks of one's own that may be fetched from, beside public addresses.
    pub allowed_networks: Vec<Cidr>,
}

/// Where updates of prices are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptIn {
    /// In a file, which was read with the configuration.
    File(PathBuf),
    /// In the database that all instances share. Whoever opens it has yet to read them.
    Database,
    /// Nowhere: there are none.
    Nowhere,
}

/// From where, and how often, prices are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRefresh {
    /// The address: a price file, or a map of LiteLLM's shape.
    pub url: String,
    /// How often.
    pub every: Duration,
}

/// Media that requests name by address, where the provider opens none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaConfig {
    /// Whether they are fetched; else they are reported as lost.
    pub fetch: bool,
    /// Networks of one's own that may be fetched from, beside public addresses.
    pub allowed_networks: Vec<Cidr>,
}

/// Where alerts of budgets are delivered. It holds a secret and has no `Debug`.
pub struct AlertsConfig {
    /// The addresses.
    pub webhooks: Vec<String>,
    /// What each delivery is signed with.
    pub secret: WebhookSecret,
    /// Networks of one's own that may be called, beside public addresses.
    pub allowed_networks: Vec<Cidr>,
}

/// Listeners and their bounds. It holds secrets and has no `Debug`.
pub struct ServerConfig {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The admin API; `None` where no credential for it is configured.
    pub admin: Option<AdminConfig>,
    /// The pepper of key hashes; `None` where the binary is to keep one of its own.
    pub key_pepper: Option<SecretString>,
    /// How long requests in flight may go on after a signal to stop.
    pub drain_timeout: Duration,
    /// Where metrics are served, without authentication; `None` where they are not.
    pub metrics: Option<String>,
    /// Threads that serve requests; `None` for one per core.
    pub workers: Option<NonZeroUsize>,
}

/// The admin API. It holds a secret and has no `Debug`.
pub struct AdminConfig {
    /// Where it listens: a loopback address.
    pub listen: SocketAddr,
    /// Its credential: that of the administrator of the installation.
    pub token: SecretString,
    /// Administrators who act within a tenant of theirs.
    pub tenants: Vec<TenantAdmin>,
}

/// An administrator of one organisation or team. It holds a secret and has no `Debug`.
pub struct TenantAdmin {
    /// The name, for the audit log.
    pub name: String,
    /// The organisation or team.
    pub tenant: TenantName,
    /// The credential.
    pub token: SecretString,
}

/// Where ledger, keys and records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageConfig {
    /// In memory: gone at the end.
    Memory,
    /// In SQLite files.
    Sqlite {
        /// The file of ledger and keys; request log and kept answers are files beside it.
        path: PathBuf,
        /// What a commit survives.
        durability: Durability,
    },
    /// In a PostgreSQL database, which any number of instances share.
    Postgres {
        /// Which one.
        url: PostgresUrl,
    },
}

/// The address of a PostgreSQL database. It may hold a password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    pub(crate) fn new(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// All of it, for who connects.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Host and database.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, address) = self.0.split_once("://").unwrap_or_default();
        // A password may hold anything, a question mark unescaped included; a host may not hold an `@`.
        let place = address.rsplit_once('@').map_or(address, |(_, place)| place);
        write!(f, "postgres://{}", place.split('?').next().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The death of the process.
    #[default]
    Process,
    /// The loss of power as well, at the price of a few milliseconds per commit.
    Fsync,
}

impl Durability {
    /// The name in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Fsync => "fsync",
        }
    }
}

/// How answers of OpenAI Responses are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponsesConfig {
    /// For how long after they were made, or last gone on from.
    pub ttl: Duration,
    /// How much of them all together, sealed.
    pub max_bytes: u64,
}

impl Default for ResponsesConfig {
    /// Thirty days, as OpenAI keeps them; 1 GiB.
    fn default() -> Self {
        Self { ttl: Duration::from_secs(30 * 86_400), max_bytes: 1 << 30 }
    }
}

/// What is written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// What is worth a line.
    pub level: LogLevel,
    /// What a line looks like.
    pub format: LogFormat,
    /// One line per request.
    pub requests: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Json, requests: true }
    }
}

/// What is worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may fail soon.
    Warn,
    /// What happens rarely and should be known.
    #[default]
    Info,
    /// What helps to find a mistake.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Every level.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The name in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
    /// Text for people.
    Text,
}
