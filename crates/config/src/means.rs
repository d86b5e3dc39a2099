//! What a file means: the second of two stages. Defaults, and everything that needs more than one
//! value to be judged.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use weighbridge_access::{Budget, Pepper, WebhookSecret};
use weighbridge_pipeline::settings::{
    AnswerKeeping, DrainLimits, IdempotencySettings, RequestLimits, Settings,
};
use weighbridge_routing::Labels;

use crate::config::{
    AdminConfig, AlertsConfig, Config, Durability, LogConfig, MediaConfig, PostgresUrl, ResponsesConfig,
    ServerConfig, StorageConfig, TenantAdmin,
};
use crate::connections::Ways;
use crate::problem::Problems;
use crate::reader::Given;
use crate::redis::RedisConfig;
use crate::{Surroundings, prices, providers, routes, rules, said, vault};

/// The variables that give the two secrets of the server where the file does not.
const ADMIN_TOKEN: &str = "WEIGHBRIDGE_ADMIN_TOKEN";
const KEY_PEPPER: &str = "WEIGHBRIDGE_KEY_PEPPER";

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// As the specification of server-sent events suggests, and below what proxies usually wait (60 s).
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const DATABASE: &str = "weighbridge.db";
/// The shortest admin token: shorter ones can be guessed.
const MIN_TOKEN: usize = 16;

/// The configuration, unless a mistake keeps a part of it from being made; every mistake is noted.
pub(crate) fn config(
    said: said::File,
    folder: &Path,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<Config> {
    // What is wrong in itself is known by its name all the same, to targets.
    let mut names = providers::names(&said.providers);
    let regions = prices::regions_said(&said.providers);
    let ways = Ways::read(&said.providers, folder, surroundings, problems);
    let mut providers = providers::settings(said.providers, &ways, surroundings, problems);
    let origins = ways.origins(&providers, problems);
    if names.is_empty() {
        names = providers.iter().map(|provider| provider.name.to_string()).collect();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let routes = routes::settings(&said.models, &names, problems);
    let residency = rules::residency(&said.residency, problems);
    let has: Vec<Labels> = providers.iter().map(|provider| provider.labels.clone()).collect();
    for (rule, meant) in said.residency.iter().zip(&residency) {
        rules::check_met(&rule.require, &meant.require, &has, problems);
    }
    for (model, meant) in said.models.iter().zip(&routes) {
        rules::check_met(&model.require, &meant.require, &has, problems);
    }
    let redis = RedisConfig::read(&said.storage, folder, problems);
    let storage = storage(&said.storage, folder, problems);
    let log = LogConfig::default();
    let log = LogConfig {
        level: said.log.level.value().unwrap_or(log.level),
        format: said.log.format.value().unwrap_or(log.format),
        requests: said.log.requests.value().unwrap_or(log.requests),
    };
    let allowed =
        said.media.allowed_networks.said().map(|ranges| ranges.value.iter().map(|r| r.value).collect());
    let media = MediaConfig {
        fetch: said.media.fetch.value().unwrap_or(true),
        allowed_networks: allowed.unwrap_or_default(),
    };
    let default = ResponsesConfig::default();
    let responses = ResponsesConfig {
        ttl: said.responses.ttl.value().unwrap_or(default.ttl),
        max_bytes: said.responses.max_bytes.value().unwrap_or(default.max_bytes),
    };
    let answer_keeping = match said.responses.store.value() {
        Some(false) => AnswerKeeping::Never,
        _ => AnswerKeeping::AsAsked,
    };
    let alerts = alerts(&said.alerts, problems);
    let limits = limits(&said.server);
    let trusted_proxies =
        said.server.trusted_proxies.said().map(|ranges| ranges.value.iter().map(|r| r.value).collect());
    let (unknown_model, prices) = (prices::unknown_model(&said.prices), {
        let kept = prices::updates_kept(&said.prices, storage.as_ref(), folder);
        prices::read(&said.prices, kept, folder, surroundings, problems)
    });
    if let Some((book, _)) = &prices {
        prices::check_regions(book, &mut providers, &regions, problems);
    }
    let settings = Settings {
        budgets: budgets(&said.budgets, Budget::MOST, problems),
        providers,
        routes,
        limits,
        loss_policy: said.server.loss_policy.said().map_or_else(Default::default, |said| said.value),
        unknown_model,
        markups: said.prices.markup.markups(problems),
        surcharges: said.prices.surcharge.markups(problems),
        count_alarm: said.count_alarm.alarm(),
        answer_keeping,
        idempotency: idempotency(&said.idempotency),
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        keep_alive: said.server.stream_keep_alive.said().map_or(Some(KEEP_ALIVE), |said| said.value),
        on_disconnect: said.server.on_disconnect.said().map_or_else(Default::default, |said| said.value),
        drain: drain_limits(&said.server),
        residency,
    };
    let vault = vault::master_keys(&said.vault, surroundings, problems);
    let server = server(said.server, &said.admins, surroundings, problems);
    if let (Some(StorageConfig::Postgres { .. }), None, Some(url)) =
        (&storage, &server.key_pepper, said.storage.url.said())
    {
        let message =
            "storage on PostgreSQL needs `server.key_pepper`: all instances must know keys by the same";
        let hint = "key_pepper = \"${file:/run/secrets/key_pepper}\", with at least 16 random characters";
        problems.at(url.span.clone(), message).hint(hint);
    }
    let (prices, price_updates) = prices?;
    let storage = storage?;
    Some(Config {
        settings,
        origins,
        prices,
        price_updates,
        server,
        storage,
        vault,
        redis,
        media,
        responses,
        alerts,
        log,
    })
}

fn idempotency(said: &said::Idempotency) -> IdempotencySettings {
    let default = IdempotencySettings::default();
    let bytes = said.max_body.said().and_then(|said| usize::try_from(said.value).ok());
    IdempotencySettings {
        enabled: said.enabled.said().map_or(default.enabled, |said| said.value),
        window: said.window.said().map_or(default.window, |said| said.value),
        max_body: bytes.unwrap_or(default.max_body),
    }
}

fn alerts(said: &said::Alerts, problems: &mut Problems) -> Option<AlertsConfig> {
    let webhooks = said.webhooks.said().filter(|webhooks| !webhooks.value.is_empty())?;
    let hint = "secret = \"${file:/run/secrets/webhooks}\", with at least 16 random characters";
    let Some(secret) = said.secret.said() else {
        let message = "`alerts.webhooks` needs `alerts.secret`: what is delivered is signed";
        problems.at(webhooks.span.clone(), message).hint(hint);
        return None;
    };
    let text = SecretString::from(secret.value.clone());
    let Some(signing) = WebhookSecret::new(text) else {
        problems.at(secret.span.clone(), "`alerts.secret` is too short to be one").hint(hint);
        return None;
    };
    let allowed = said.allowed_networks.said();
    let allowed = allowed.map(|ranges| ranges.value.iter().map(|range| range.value).collect());
    Some(AlertsConfig {
        webhooks: webhooks.value.iter().map(|webhook| webhook.value.clone()).collect(),
        secret: signing,
        allowed_networks: allowed.unwrap_or_default(),
    })
}

fn server(
    said: said::Server,
    admins: &[said::Admin],
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> ServerConfig {
    let listen = said.listen.said().map_or(LISTEN, |said| said.value);
    let admin = admin(&said, admins, listen, surroundings, problems);
    let key_pepper = secret(&said.key_pepper, KEY_PEPPER, surroundings);
    if let Some((pepper, span)) = &key_pepper
        && pepper.len() < Pepper::MIN_BYTES
    {
        let message = format!("the key pepper has fewer than {} characters", Pepper::MIN_BYTES);
        note(problems, span.clone(), message)
            .hint("make one with: openssl rand -hex 32; keep it: with another pepper no existing key works");
    }
    ServerConfig {
        listen,
        admin,
        key_pepper: key_pepper.map(|(pepper, _)| pepper.into()),
        drain_timeout: said.drain_timeout.value().unwrap_or(DRAIN_TIMEOUT),
        metrics: said.metrics.value(),
        workers: said.workers.value().and_then(|n| usize::try_from(n).ok()).and_then(NonZeroUsize::new),
    }
}

fn admin(
    said: &said::Server,
    admins: &[said::Admin],
    listen: SocketAddr,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<AdminConfig> {
    if let Some(at) = said.admin_listen.said() {
        if !at.value.ip().is_loopback() {
            problems
                .at(
                    at.span.clone(),
                    format!("the admin API must not be reachable from elsewhere, as on {}", at.value),
                )
                .hint("use 127.0.0.1 or [::1], and a tunnel to reach it from another machine");
        }
        if at.value.port() == listen.port() && at.value.port() != 0 {
            problems
                .at(
                    at.span.clone(),
                    format!("`server.listen` and `server.admin_listen` share port {}", at.value.port()),
                )
                .hint("give the admin API a port of its own");
        }
    }
    match secret(&said.admin_token, ADMIN_TOKEN, surroundings) {
        Some((token, span)) => {
            check_token(&token, span, problems);
            let listen = said.admin_listen.said().map_or(ADMIN_LISTEN, |at| at.value);
            let tenants = tenant_admins(admins, &token, problems);
            Some(AdminConfig { listen, token: SecretString::from(token), tenants })
        }
        None => {
            if let (Some(admin), true) = (admins.first(), said.admin_token.is_absent()) {
                problems
                    .at(admin.name.span.clone(), "administrators of tenants need `server.admin_token`")
                    .hint("without it there is no admin API");
            }
            if let (Some(at), true) = (said.admin_listen.said(), said.admin_token.is_absent()) {
                problems
                    .at(at.span.clone(), "`server.admin_listen` needs `server.admin_token`")
                    .hint(format!("set admin_token, or {ADMIN_TOKEN} in the environment; make one with: openssl rand -hex 32"));
            }
            None
        }
    }
}

fn check_token(token: &str, span: Option<std::ops::Range<usize>>, problems: &mut Problems) {
    let visible = token.bytes().all(|b| b.is_ascii_graphic());
    if token.len() < MIN_TOKEN || !visible {
        let message = format!(
            "the admin token must have at least {MIN_TOKEN} characters, all visible ASCII, without spaces"
        );
        note(problems, span, message).hint("make one with: openssl rand -hex 32");
    }
}

/// Administrators of tenants. A token is one administrator's: else it would be unclear who acts.
fn tenant_admins(said: &[said::Admin], installation: &str, problems: &mut Problems) -> Vec<TenantAdmin> {
    let mut seen = vec![installation];
    let mut admins = Vec::new();
    for admin in said {
        let name = &admin.name;
        if admin.token.is_absent() || admin.tenant.is_absent() {
            problems.at(
                name.span.clone(),
                format!("the administrator `{}` needs a token and a tenant", name.value),
            );
        }
        let (Some(token), Some(tenant)) = (admin.token.said(), admin.tenant.said()) else { continue };
        check_token(&token.value, Some(token.span.clone()), problems);
        if seen.contains(&token.value.as_str()) {
            problems
                .at(token.span.clone(), format!("the token of `{}` is somebody else's as well", name.value))
                .hint("make one with: openssl rand -hex 32");
        }
        seen.push(&token.value);
        admins.push(TenantAdmin {
            name: name.value.clone(),
            tenant: tenant.value.clone(),
            token: SecretString::from(token.value.clone()),
        });
    }
    admins
}

/// A secret and where it was said; from the environment, where the file says nothing about it.
pub(crate) fn secret(
    given: &Given<String>,
    variable: &str,
    surroundings: &dyn Surroundings,
) -> Option<(String, Option<std::ops::Range<usize>>)> {
    match given {
        Given::Said(said) => Some((said.value.clone(), Some(said.span.clone()))),
        Given::Wrong => None,
        Given::Absent => {
            surroundings.variable(variable).filter(|text| !text.is_empty()).map(|text| (text, None))
        }
    }
}

pub(crate) fn note(
    problems: &mut Problems,
    span: Option<std::ops::Range<usize>>,
    message: String,
) -> &mut crate::Problem {
    match span {
        Some(span) => problems.at(span, message),
        None => problems.elsewhere(message),
    }
}

fn limits(said: &said::Server) -> RequestLimits {
    let default = RequestLimits::default();
    let bytes = |given: &Given<u64>, default| said_usize(given).unwrap_or(default);
    RequestLimits {
        body_bytes: bytes(&said.max_body_bytes, default.body_bytes),
        native_bytes: said.max_native_bytes.said().map_or(default.native_bytes, |most| most.value),
        answer_bytes: bytes(&said.max_answer_bytes, default.answer_bytes),
        open_requests: bytes(&said.max_concurrent_requests, default.open_requests),
        attempts: said
            .max_attempts
            .said()
            .map_or(default.attempts, |n| u32::try_from(n.value).unwrap_or(u32::MAX)),
        retry_wait: said
            .max_retry_wait
            .said()
            .map_or(default.retry_wait, |time| time.value.unwrap_or_default()),
        body_time: said.body_timeout.said().map_or(default.body_time, |time| time.value),
        write_time: said.write_timeout.said().map_or(default.write_time, |time| time.value),
        ..default
    }
}

/// Budgets of one place: together they are right as well.
pub(crate) fn budgets(said: &said::Budgets, most: usize, problems: &mut Problems) -> Vec<Budget> {
    let Some(list) = said.said() else { return Vec::new() };
    let budgets: Vec<Budget> = list.value.iter().map(|budget| budget.value.clone()).collect();
    if let Err(why) = Budget::check_all(&budgets, most) {
        problems.at(list.span.clone(), why.to_string());
    }
    budgets
}

fn drain_limits(said: &said::Server) -> DrainLimits {
    let default = DrainLimits::default();
    DrainLimits {
        time: said.disconnected_timeout.said().map_or(default.time, |time| time.value),
        most: said_usize(&said.max_disconnected).unwrap_or(default.most),
    }
}

fn said_usize(given: &Given<u64>) -> Option<usize> {
    given.said().map(|said| usize::try_from(said.value).unwrap_or(usize::MAX))
}

fn storage(said: &said::Storage, folder: &Path, problems: &mut Problems) -> Option<StorageConfig> {
    let durability = said.durability.said();
    let sqlite = |path: &str| StorageConfig::Sqlite {
        path: folder.join(path),
        durability: durability.map_or(Durability::default(), |said| said.value),
    };
    let url = match &said.url {
        Given::Said(url) => url,
        Given::Absent => return Some(sqlite(DATABASE)),
        Given::Wrong => return None,
    };
    let mut without_durability = |place: &str, hint: &str| {
        if let Some(durability) = durability {
            let message = format!("`storage.durability` means nothing where storage is {place}");
            problems.at(durability.span.clone(), message).hint(hint);
        }
    };
    match url.value.split_once(':') {
        Some(("memory", "")) => {
            without_durability(
                "in memory",
                "leave it out, or store in a file: url = \"sqlite:weighbridge.db\"",
            );
            return Some(StorageConfig::Memory);
        }
        Some(("postgres" | "postgresql", rest)) if rest.len() > 2 && rest.starts_with("//") => {
            without_durability(
                "on PostgreSQL",
                "leave it out: the server's own setting `synchronous_commit` says it",
            );
            return Some(StorageConfig::Postgres { url: PostgresUrl::new(&url.value) });
        }
        Some(("sqlite", path)) if !path.is_empty() && !path.starts_with("//") => return Some(sqlite(path)),
        _ => {}
    }
    let hint = match url.value.split_once(':') {
        Some(("sqlite", _)) => {
            "write sqlite:PATH, such as sqlite:weighbridge.db or sqlite:/var/lib/weighbridge.db"
        }
        Some(("postgres" | "postgresql", _)) => "write postgres://USER:PASSWORD@HOST/DATABASE",
        _ => "write sqlite:PATH, postgres://USER:PASSWORD@HOST/DATABASE or memory:",
    };
    // An address may hold a password, so it is not repeated.
    problems.at(url.span.clone(), "`storage.url` is not a store that this version knows").hint(hint);
    None
}
