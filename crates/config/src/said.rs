//! What a file says, key by key: the first of two stages. Types and forms are checked here; what the
//! values mean together is [`crate::means`]'s business.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use toml::de::DeTable;
use weighbridge_access::{Budget, Cidr, InvalidDefinition, Limits, LossPolicy, RateCell, TenantName};
use weighbridge_catalogue::{AuthStyle, presets};
use weighbridge_pipeline::settings::{CountAlarm, OnDisconnect, StrategyKind, UnknownModel};
use weighbridge_pricing::{COUNT_LIMIT, Factor};
use weighbridge_units::{NanoUsd, Protocol, Timestamp};

use crate::config::{Durability, LogFormat, LogLevel};
use crate::duration;
use crate::keys;
use crate::markup::{Kind, SaidMarkup};
use crate::providers;
use crate::reader::{Given, Item, Mismatch, Reader, Said, Table};

pub(crate) struct File {
    pub(crate) server: Server,
    pub(crate) admins: Vec<Admin>,
    pub(crate) storage: Storage,
    pub(crate) vault: Vault,
    pub(crate) providers: Vec<Provider>,
    pub(crate) models: Vec<Model>,
    pub(crate) budgets: Budgets,
    pub(crate) media: Media,
    pub(crate) prices: Prices,
    pub(crate) count_alarm: SaidCountAlarm,
    pub(crate) responses: Responses,
    pub(crate) idempotency: Idempotency,
    pub(crate) alerts: Alerts,
    pub(crate) log: Log,
}

/// An administrator of one tenant.
pub(crate) struct Admin {
    pub(crate) name: Said<String>,
    pub(crate) token: Given<String>,
    pub(crate) tenant: Given<TenantName>,
}

#[derive(Default)]
pub(crate) struct Server {
    pub(crate) listen: Given<SocketAddr>,
    pub(crate) admin_listen: Given<SocketAddr>,
    pub(crate) admin_token: Given<String>,
    pub(crate) key_pepper: Given<String>,
    pub(crate) trusted_proxies: Given<Vec<Said<Cidr>>>,
    pub(crate) loss_policy: Given<LossPolicy>,
    pub(crate) metrics: Given<String>,
    pub(crate) workers: Given<u64>,
    pub(crate) drain_timeout: Given<Duration>,
    pub(crate) body_timeout: Given<Duration>,
    pub(crate) write_timeout: Given<Duration>,
    /// `None` is off.
    pub(crate) stream_keep_alive: Given<Option<Duration>>,
    pub(crate) on_disconnect: Given<OnDisconnect>,
    pub(crate) disconnected_timeout: Given<Duration>,
    pub(crate) max_disconnected: Given<u64>,
    pub(crate) max_body_bytes: Given<u64>,
    pub(crate) max_answer_bytes: Given<u64>,
    pub(crate) max_concurrent_requests: Given<u64>,
    pub(crate) max_attempts: Given<u64>,
}

/// Budgets of one place.
pub(crate) type Budgets = Given<Vec<Said<Budget>>>;

/// `limits` of a provider or a model.
#[derive(Default)]
pub(crate) struct Rates {
    pub(crate) rpm: Given<u64>,
    pub(crate) tpm: Given<u64>,
    pub(crate) usd_per_minute: Given<NanoUsd>,
    pub(crate) concurrency: Given<u64>,
}

impl Rates {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let most = RateCell::MAX_PER_MINUTE;
        Self {
            rpm: reader.integer(table, "rpm", 0..=most),
            tpm: reader.integer(table, "tpm", 0..=most),
            usd_per_minute: reader.parsed(table, "usd_per_minute", money),
            concurrency: reader.integer(table, "concurrency", 0..=most),
        }
    }

    /// What is meant: what is not said is no limit.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            rpm: self.rpm.said().map(|said| said.value),
            tpm: self.tpm.said().map(|said| said.value),
            usd_per_minute: self.usd_per_minute.said().map(|said| said.value),
            concurrency: self.concurrency.said().map(|said| said.value),
        }
    }
}

fn money(text: &str) -> Result<NanoUsd, Mismatch> {
    let amount = text.parse().ok().filter(|amount: &NanoUsd| !amount.is_negative());
    amount.ok_or_else(|| Mismatch::new("an amount of dollars such as \"0.50\""))
}

/// Budgets of one place: each for itself is right.
fn budgets(reader: &mut Reader<'_>, table: &Table<'_>) -> Budgets {
    reader.list(table, "budgets", |text| {
        text.parse().map_err(|error: InvalidDefinition| {
            Mismatch::new("a budget")
                .with_hint(format!("{error}; write it like \"usd=25.00 period=day zone=Europe/Berlin\""))
        })
    })
}

#[derive(Default)]
pub(crate) struct Storage {
    pub(crate) url: Given<String>,
    pub(crate) durability: Given<Durability>,
    pub(crate) redis: Given<String>,
    pub(crate) redis_ca: Given<String>,
    pub(crate) redis_timeout: Given<Duration>,
    pub(crate) redis_sync: Given<Duration>,
}

#[derive(Default)]
pub(crate) struct Vault {
    pub(crate) master_key: Given<String>,
    pub(crate) old_master_keys: Given<Vec<Said<String>>>,
}

pub(crate) struct Provider {
    pub(crate) name: Said<String>,
    pub(crate) preset: Given<String>,
    pub(crate) protocol: Given<Protocol>,
    pub(crate) base_url: Given<String>,
    pub(crate) path: Given<String>,
    pub(crate) stream_path: Given<String>,
    pub(crate) region: Given<String>,
    pub(crate) project: Given<String>,
    pub(crate) auth: Given<AuthStyle>,
    pub(crate) api_keys: Given<Vec<Said<String>>>,
    pub(crate) aws: Option<Aws>,
    pub(crate) headers: Given<Vec<(Said<String>, Said<String>)>>,
    pub(crate) price_as: Given<String>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Rates,
    pub(crate) budgets: Budgets,
}

pub(crate) struct Aws {
    pub(crate) access_key_id: Given<String>,
    pub(crate) secret_access_key: Given<String>,
    pub(crate) session_token: Given<String>,
}

#[derive(Default)]
pub(crate) struct Timeouts {
    pub(crate) connect: Given<Duration>,
    pub(crate) first_byte: Given<Duration>,
    pub(crate) first_token: Given<Duration>,
    pub(crate) idle: Given<Duration>,
    pub(crate) total: Given<Duration>,
}

pub(crate) struct Model {
    pub(crate) name: Said<String>,
    pub(crate) strategy: Given<StrategyKind>,
    pub(crate) targets: Given<Vec<Target>>,
    pub(crate) fallbacks: Given<Vec<Target>>,
    pub(crate) baseline: Given<String>,
    pub(crate) fallback_on_context: Given<bool>,
    pub(crate) fallback_on_content: Given<bool>,
    pub(crate) on_disconnect: Given<OnDisconnect>,
    pub(crate) limits: Rates,
    pub(crate) budgets: Budgets,
}

pub(crate) struct Target {
    pub(crate) model: Said<String>,
    pub(crate) weight: Given<u64>,
}

#[derive(Default)]
pub(crate) struct Media {
    pub(crate) fetch: Given<bool>,
    pub(crate) allowed_networks: Given<Vec<Said<Cidr>>>,
}

#[derive(Default)]
pub(crate) struct Prices {
    pub(crate) files: Given<Vec<Said<String>>>,
    pub(crate) builtin: Given<bool>,
    pub(crate) unknown_model: Given<Unknown>,
    pub(crate) overrides: Given<Vec<PriceOverride>>,
    pub(crate) updates: Given<String>,
    pub(crate) refresh: Option<PriceRefresh>,
    pub(crate) markup: SaidMarkup,
    pub(crate) surcharge: SaidMarkup,
}

/// What happens to a model without a price.
pub(crate) enum Unknown {
    As(UnknownModel),
    /// It costs what this says, by bucket.
    Rates(Vec<(String, String)>),
}

pub(crate) struct PriceOverride {
    /// Where the entry stands.
    pub(crate) span: Range<usize>,
    pub(crate) provider: Given<String>,
    pub(crate) model: Given<String>,
    pub(crate) tier: Given<String>,
    pub(crate) above: Given<u64>,
    pub(crate) variant: Given<String>,
    pub(crate) from: Given<Option<Timestamp>>,
    pub(crate) source: Given<String>,
    pub(crate) rates: Given<Vec<(Said<String>, Said<String>)>>,
}

pub(crate) struct PriceRefresh {
    pub(crate) span: Range<usize>,
    pub(crate) url: Given<String>,
    pub(crate) every: Given<Duration>,
    pub(crate) max_jump: Given<Factor>,
    pub(crate) allowed_networks: Given<Vec<Said<Cidr>>>,
}

#[derive(Default)]
pub(crate) struct Responses {
    pub(crate) store: Given<bool>,
    pub(crate) ttl: Given<Duration>,
    pub(crate) max_bytes: Given<u64>,
}

#[derive(Default)]
pub(crate) struct Idempotency {
    pub(crate) enabled: Given<bool>,
    pub(crate) window: Given<Duration>,
    pub(crate) max_body: Given<u64>,
}

#[derive(Default)]
pub(crate) struct Alerts {
    pub(crate) webhooks: Given<Vec<Said<String>>>,
    pub(crate) secret: Given<String>,
    pub(crate) allowed_networks: Given<Vec<Said<Cidr>>>,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) level: Given<LogLevel>,
    pub(crate) format: Given<LogFormat>,
    pub(crate) requests: Given<bool>,
}

impl File {
    /// What is said where there is no file.
    pub(crate) fn absent() -> Self {
        Self {
            server: Server::default(),
            admins: Vec::new(),
            storage: Storage::default(),
            vault: Vault::default(),
            providers: Vec::new(),
            models: Vec::new(),
            budgets: Given::Absent,
            media: Media::default(),
            prices: Prices::default(),
            count_alarm: SaidCountAlarm::default(),
            responses: Responses::default(),
            idempotency: Idempotency::default(),
            alerts: Alerts::default(),
            log: Log::default(),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>, entries: &DeTable<'_>) -> Self {
        let root = &reader.open(&keys::ROOT, String::new(), entries);
        let server = reader.table(root, "server", &keys::SERVER);
        let admins = reader.named_tables(root, "admins", &keys::ADMIN);
        let storage = reader.table(root, "storage", &keys::STORAGE);
        let vault = reader.table(root, "vault", &keys::VAULT);
        let limits = reader.table(root, "limits", &keys::LIMITS);
        let media = reader.table(root, "media", &keys::MEDIA);
        let prices = reader.table(root, "prices", &keys::PRICES);
        let alarm = reader.table(root, "count_alarm", &keys::COUNT_ALARM);
        let responses = reader.table(root, "responses", &keys::RESPONSES);
        let idempotency = reader.table(root, "idempotency", &keys::IDEMPOTENCY);
        let alerts = reader.table(root, "alerts", &keys::ALERTS);
        let log = reader.table(root, "log", &keys::LOG);
        let providers = reader.named_tables(root, "providers", &keys::PROVIDER);
        let models = reader.named_tables(root, "models", &keys::MODEL);
        Self {
            server: server.map(|table| Server::read(reader, &table)).unwrap_or_default(),
            admins: admins.into_iter().map(|(name, table)| Admin::read(reader, name, &table)).collect(),
            storage: storage.map(|table| Storage::read(reader, &table)).unwrap_or_default(),
            vault: vault.map(|table| Vault::read(reader, &table)).unwrap_or_default(),
            providers: providers
                .into_iter()
                .map(|(name, table)| Provider::read(reader, name, &table))
                .collect(),
            models: models.into_iter().map(|(name, table)| Model::read(reader, name, &table)).collect(),
            budgets: limits.map(|table| budgets(reader, &table)).unwrap_or_default(),
            media: media.map(|table| Media::read(reader, &table)).unwrap_or_default(),
            prices: prices.map(|table| Prices::read(reader, &table)).unwrap_or_default(),
            count_alarm: alarm.map(|table| SaidCountAlarm::read(reader, &table)).unwrap_or_default(),
            responses: responses.map(|table| Responses::read(reader, &table)).unwrap_or_default(),
            idempotency: idempotency.map(|table| Idempotency::read(reader, &table)).unwrap_or_default(),
            alerts: alerts.map(|table| Alerts::read(reader, &table)).unwrap_or_default(),
            log: log.map(|table| Log::read(reader, &table)).unwrap_or_default(),
        }
    }
}

impl Server {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            listen: reader.parsed(table, "listen", socket),
            admin_listen: reader.parsed(table, "admin_listen", socket),
            admin_token: reader.text(table, "admin_token"),
            key_pepper: reader.text(table, "key_pepper"),
            trusted_proxies: reader.list(table, "trusted_proxies", cidr),
            loss_policy: reader.choice(
                table,
                "loss_policy",
                &[LossPolicy::Allow, LossPolicy::Warn, LossPolicy::Reject].map(|p| (p.as_str(), p)),
            ),
            metrics: reader.parsed(table, "metrics", metrics_path),
            workers: reader.integer(table, "workers", 1..=1_024),
            drain_timeout: reader.duration(table, "drain_timeout"),
            body_timeout: reader.duration(table, "body_timeout"),
            write_timeout: reader.duration(table, "write_timeout"),
            stream_keep_alive: reader.parsed(table, "stream_keep_alive", interval_or_off),
            on_disconnect: reader.choice(table, "on_disconnect", &ON_DISCONNECT),
            disconnected_timeout: reader.duration(table, "disconnected_timeout"),
            max_disconnected: reader.integer(table, "max_disconnected", 1..=1_000_000),
            max_body_bytes: reader.integer(table, "max_body_bytes", 1_024..=1 << 30),
            max_answer_bytes: reader.integer(table, "max_answer_bytes", 1_024..=1 << 30),
            max_concurrent_requests: reader.integer(table, "max_concurrent_requests", 1..=10_000_000),
            max_attempts: reader.integer(table, "max_attempts", 1..=32),
        }
    }
}

impl Admin {
    fn read(reader: &mut Reader<'_>, name: Said<String>, table: &Table<'_>) -> Self {
        let tenant = |text: &str| {
            let name = TenantName::new(text).ok().filter(TenantName::is_proper);
            name.ok_or_else(|| {
                Mismatch::new("an organisation or a team, such as \"acme\" or \"acme/search\"")
            })
        };
        Self { name, token: reader.text(table, "token"), tenant: reader.parsed(table, "tenant", tenant) }
    }
}

impl Storage {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let durability = [("process", Durability::Process), ("fsync", Durability::Fsync)];
        let url = reader.text(table, "url");
        Self {
            url,
            durability: reader.choice(table, "durability", &durability),
            redis: reader.text(table, "redis"),
            redis_ca: reader.text(table, "redis_ca"),
            redis_timeout: reader.duration(table, "redis_timeout"),
            redis_sync: reader.duration(table, "redis_sync"),
        }
    }
}

impl Vault {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            master_key: reader.text(table, "master_key"),
            old_master_keys: reader.list(table, "old_master_keys", |text| Ok(text.to_owned())),
        }
    }
}

impl Provider {
    fn read(reader: &mut Reader<'_>, name: Said<String>, table: &Table<'_>) -> Self {
        let timeouts = reader.table(table, "timeouts", &keys::TIMEOUTS);
        let limits = reader.table(table, "limits", &keys::PROVIDER_LIMITS);
        let aws = reader.table(table, "aws", &keys::AWS);
        let auth = AuthStyle::ALL.map(|style| (style.as_str(), style));
        let base_url = reader.text(table, "base_url");
        Self {
            name,
            preset: reader.text(table, "preset"),
            protocol: reader.choice(table, "protocol", &spoken()),
            base_url,
            path: reader.text(table, "path"),
            stream_path: reader.text(table, "stream_path"),
            region: reader.parsed(table, "region", place),
            project: reader.parsed(table, "project", place),
            auth: reader.choice(table, "auth", &auth),
            api_keys: reader.list(table, "api_keys", api_key),
            aws: aws.map(|table| Aws::read(reader, &table)),
            headers: reader.pairs(table, "headers"),
            price_as: reader.text(table, "price_as"),
            timeouts: timeouts.map(|table| Timeouts::read(reader, &table)).unwrap_or_default(),
            limits: limits.map(|table| Rates::read(reader, &table)).unwrap_or_default(),
            budgets: budgets(reader, table),
        }
    }
}

/// The protocols that a provider can be called in: some preset says how. Others are translated only.
fn spoken() -> Vec<(&'static str, Protocol)> {
    let has_preset = |protocol: &Protocol| presets().iter().any(|preset| preset.speaks(*protocol));
    Protocol::ALL.into_iter().filter(has_preset).map(|protocol| (protocol.as_str(), protocol)).collect()
}

impl Aws {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            access_key_id: reader.text(table, "access_key_id"),
            secret_access_key: reader.text(table, "secret_access_key"),
            session_token: reader.text(table, "session_token"),
        }
    }
}

impl Timeouts {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            connect: reader.duration(table, "connect"),
            first_byte: reader.duration(table, "first_byte"),
            first_token: reader.duration(table, "first_token"),
            idle: reader.duration(table, "idle"),
            total: reader.duration(table, "total"),
        }
    }
}

impl Model {
    fn read(reader: &mut Reader<'_>, name: Said<String>, table: &Table<'_>) -> Self {
        let limits = reader.table(table, "limits", &keys::MODEL_LIMITS);
        let strategies = [("weighted-round-robin", StrategyKind::WeightedRoundRobin)];
        Self {
            name,
            strategy: reader.choice(table, "strategy", &strategies),
            targets: Target::read_all(reader, table, "targets"),
            fallbacks: Target::read_all(reader, table, "fallbacks"),
            baseline: reader.text(table, "baseline"),
            fallback_on_context: reader.flag(table, "fallback_on_context"),
            fallback_on_content: reader.flag(table, "fallback_on_content"),
            on_disconnect: reader.choice(table, "on_disconnect", &ON_DISCONNECT),
            limits: limits.map(|table| Rates::read(reader, &table)).unwrap_or_default(),
            budgets: budgets(reader, table),
        }
    }
}

impl Target {
    fn read_all(reader: &mut Reader<'_>, table: &Table<'_>, name: &str) -> Given<Vec<Self>> {
        let Given::Said(items) = reader.items(table, name, &keys::TARGET) else {
            return if table.has(name) { Given::Wrong } else { Given::Absent };
        };
        let mut targets = Vec::new();
        let is_empty = items.value.is_empty();
        for (span, item) in items.value {
            match item {
                Item::Text(model) => targets.push(Self { model, weight: Given::Absent }),
                Item::Table(table) => {
                    let weight = reader.integer(&table, "weight", 0..=1_000_000);
                    match reader.text(&table, "model") {
                        Given::Said(model) => targets.push(Self { model, weight }),
                        Given::Wrong => {}
                        Given::Absent => reader
                            .problems
                            .at(span, "this target names no model")
                            .hint(r#"write it like this: { model = "openai/gpt-4o-mini" }"#),
                    }
                }
            }
        }
        // Where nothing is left, that nothing is left has been explained.
        if targets.is_empty() && !is_empty {
            return Given::Wrong;
        }
        Given::Said(Said { value: targets, span: items.span })
    }
}

impl Media {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            fetch: reader.flag(table, "fetch"),
            allowed_networks: reader.list(table, "allowed_networks", cidr),
        }
    }
}

impl Prices {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let refresh = reader.table(table, "refresh", &keys::PRICE_REFRESH);
        let markup = reader.table(table, "markup", &keys::MARKUP);
        let surcharge = reader.table(table, "surcharge", &keys::SURCHARGE);
        Self {
            markup: markup.map(|markup| SaidMarkup::read(reader, &markup, Kind::Markup)).unwrap_or_default(),
            surcharge: surcharge
                .map(|surcharge| SaidMarkup::read(reader, &surcharge, Kind::Surcharge))
                .unwrap_or_default(),
            files: reader.list(table, "files", |text| Ok(text.to_owned())),
            builtin: reader.flag(table, "builtin"),
            unknown_model: Unknown::read(reader, table),
            overrides: PriceOverride::read_all(reader, table),
            updates: reader.text(table, "updates"),
            refresh: refresh.map(|refresh| {
                let span = table.span_of("refresh").unwrap_or_default();
                PriceRefresh::read(reader, span, &refresh)
            }),
        }
    }
}

impl Unknown {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Given<Self> {
        const NAME: &str = "unknown_model";
        if table.holds_table(NAME) {
            return reader.pairs(table, NAME).map(|rates| {
                Self::Rates(rates.into_iter().map(|(bucket, rate)| (bucket.value, rate.value)).collect())
            });
        }
        let unknown = [("refuse", UnknownModel::Refuse), ("zero-and-flag", UnknownModel::ZeroAndFlag)];
        reader.choice(table, NAME, &unknown).map(Self::As)
    }
}

impl PriceOverride {
    fn read_all(reader: &mut Reader<'_>, table: &Table<'_>) -> Given<Vec<Self>> {
        let items = reader.items(table, "overrides", &keys::PRICE_OVERRIDE);
        let wrong = |given: &Given<_>| matches!(given, Given::Wrong);
        if wrong(&items) {
            return Given::Wrong;
        }
        let mut overrides = Vec::new();
        let mut is_wrong = false;
        let Given::Said(items) = items else { return Given::Absent };
        for (span, item) in items.value {
            match item {
                Item::Table(entry) => overrides.push(Self::read(reader, span, &entry)),
                Item::Text(_) => {
                    is_wrong = true;
                    reader.problems.at(span, "an override of a price is a table").hint(
                        r#"write it like this: { provider = "openai", model = "gpt-4o-mini", rates = { input = "0.12", output = "0.48" } }"#,
                    );
                }
            }
        }
        if is_wrong { Given::Wrong } else { Given::Said(Said { value: overrides, span: items.span }) }
    }

    fn read(reader: &mut Reader<'_>, span: Range<usize>, table: &Table<'_>) -> Self {
        Self {
            span,
            provider: reader.text(table, "provider"),
            model: reader.text(table, "model"),
            tier: reader.text(table, "tier"),
            above: reader.integer(table, "above", 1..=COUNT_LIMIT - 1),
            variant: reader.text(table, "variant"),
            from: reader.parsed(table, "from", price_instant),
            source: reader.text(table, "source"),
            rates: reader.pairs(table, "rates"),
        }
    }
}

impl PriceRefresh {
    fn read(reader: &mut Reader<'_>, span: Range<usize>, table: &Table<'_>) -> Self {
        Self {
            span,
            url: reader.parsed(table, "url", fetched_url),
            every: reader.parsed(table, "every", |text| {
                duration::parse(text, REFRESH_MOST)
                    .filter(|every| *every >= REFRESH_LEAST)
                    .ok_or_else(|| Mismatch::new("a duration such as 6h or 1d, from 1m to 366d"))
            }),
            max_jump: reader.parsed(table, "max_jump", |text| {
                let why = "a factor above 1 and at most 1000, such as 2 or 1.5";
                text.parse()
                    .ok()
                    .filter(|factor: &Factor| factor.is_above_one())
                    .ok_or_else(|| Mismatch::new(why))
            }),
            allowed_networks: reader.list(table, "allowed_networks", cidr),
        }
    }
}

/// When a provider's counts of tokens raise an alarm.
#[derive(Default)]
pub(crate) struct SaidCountAlarm {
    enabled: Given<bool>,
    ratio: Given<u64>,
    minimum: Given<u64>,
}

impl SaidCountAlarm {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            enabled: reader.flag(table, "enabled"),
            ratio: reader.integer(table, "ratio", 2..=1_000_000),
            minimum: reader.integer(table, "minimum", 1..=COUNT_LIMIT),
        }
    }

    /// What is meant: the default, but for what is said.
    pub(crate) fn alarm(&self) -> Option<CountAlarm> {
        let default = CountAlarm::default();
        let is_on = self.enabled.said().is_none_or(|said| said.value);
        is_on.then(|| CountAlarm {
            ratio: self.ratio.said().map_or(default.ratio, |said| said.value),
            minimum: self.minimum.said().map_or(default.minimum, |said| said.value),
        })
    }
}

/// How often prices may be fetched.
const REFRESH_LEAST: Duration = Duration::from_secs(60);
const REFRESH_MOST: Duration = Duration::from_secs(366 * 86_400);

/// From when on a price holds: `start`, a day, or a second of it.
fn price_instant(text: &str) -> Result<Option<Timestamp>, Mismatch> {
    let why = "a day such as 2026-12-01, a second such as 2026-12-01T09:00:00Z, or `start`";
    match text {
        "start" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| Mismatch::new(why)),
    }
}

fn fetched_url(text: &str) -> Result<String, Mismatch> {
    let fits = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
    if fits { Ok(text.to_owned()) } else { Err(Mismatch::new("an http or https address")) }
}

/// The longest time for which answers are kept.
const TTL_MOST: Duration = Duration::from_secs(366 * 86_400);

impl Responses {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let ttl = |text: &str| {
            let why = "a duration such as 12h, 30d or 1d12h, above zero and at most 366d";
            duration::parse(text, TTL_MOST).ok_or_else(|| Mismatch::new(why))
        };
        Self {
            store: reader.flag(table, "store"),
            ttl: reader.parsed(table, "ttl", ttl),
            max_bytes: reader.integer(table, "max_bytes", 1 << 20..=1 << 44),
        }
    }
}

/// The longest time for which idempotency keys are remembered.
const WINDOW_MOST: Duration = Duration::from_secs(30 * 86_400);

impl Idempotency {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let window = |text: &str| {
            let why = "a duration such as 1h, 24h or 7d, above zero and at most 30d";
            duration::parse(text, WINDOW_MOST).ok_or_else(|| Mismatch::new(why))
        };
        Self {
            enabled: reader.flag(table, "enabled"),
            window: reader.parsed(table, "window", window),
            max_body: reader.integer(table, "max_body", 1_024..=32 << 20),
        }
    }
}

impl Alerts {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            webhooks: reader.list(table, "webhooks", fetched_url),
            secret: reader.text(table, "secret"),
            allowed_networks: reader.list(table, "allowed_networks", cidr),
        }
    }
}

impl Log {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            level: reader.choice(table, "level", &LogLevel::ALL.map(|level| (level.as_str(), level))),
            format: reader.choice(table, "format", &[("json", LogFormat::Json), ("text", LogFormat::Text)]),
            requests: reader.flag(table, "requests"),
        }
    }
}

/// What may happen to an attempt whose client leaves.
const ON_DISCONNECT: [(&str, OnDisconnect); 2] =
    [("cancel", OnDisconnect::Cancel), ("drain", OnDisconnect::Drain)];

fn interval_or_off(text: &str) -> Result<Option<Duration>, Mismatch> {
    let why = "a duration such as 15s, above zero and at most 24h, or \"off\"";
    match text {
        "off" => Ok(None),
        _ => duration::parse(text, duration::LONGEST).map(Some).ok_or_else(|| Mismatch::new(why)),
    }
}

fn metrics_path(text: &str) -> Result<String, Mismatch> {
    let fits = text.starts_with('/') && text.len() > 1 && !text.starts_with("/v1");
    let mismatch =
        || Mismatch::new("a path").with_hint("write \"/metrics\", or any other path outside of /v1");
    if fits { Ok(text.to_owned()) } else { Err(mismatch()) }
}

fn socket(text: &str) -> Result<SocketAddr, Mismatch> {
    text.parse().map_err(|_| {
        let mismatch = Mismatch::new("an address with a port");
        match text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')) {
            Some(port) => mismatch
                .with_hint(format!("write 127.0.0.1:{port} for this machine only, 0.0.0.0:{port} for all")),
            None if text.parse::<IpAddr>().is_ok() => mismatch.with_hint("the port is missing"),
            None => mismatch,
        }
    })
}

fn cidr(text: &str) -> Result<Cidr, Mismatch> {
    text.parse().map_err(|error| match error {
        InvalidDefinition::CidrHostBits { meant, .. } => {
            Mismatch::new("an address range: bits are set behind its prefix")
                .with_hint(format!("write {meant}"))
        }
        _ => Mismatch::new("an address range"),
    })
}

/// A region or a project: it becomes a part of an address.
fn place(text: &str) -> Result<String, Mismatch> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Mismatch::new("a name of lower-case letters, digits and `-`"))
    }
}

fn api_key(text: &str) -> Result<String, Mismatch> {
    let needless = "for a provider that needs no key write: api_keys = []";
    match providers::header_text(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(why) => Err(Mismatch::new(format!("an API key: it {why}")).with_hint(needless)),
    }
}
