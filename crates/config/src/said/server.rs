//! The server itself, its administrators and its log.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use weighbridge_access::{Cidr, LossPolicy, TenantName};
use weighbridge_pipeline::settings::OnDisconnect;

use super::{ON_DISCONNECT, cidr};
use crate::config::{LogFormat, LogLevel};
use crate::duration;
use crate::reader::{Given, Mismatch, Reader, Said, Table};

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
    pub(crate) max_native_bytes: Given<u64>,
    pub(crate) max_answer_bytes: Given<u64>,
    pub(crate) max_concurrent_requests: Given<u64>,
    pub(crate) max_attempts: Given<u64>,
    pub(crate) max_retry_wait: Given<Option<Duration>>,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) level: Given<LogLevel>,
    pub(crate) format: Given<LogFormat>,
    pub(crate) requests: Given<bool>,
}

impl Server {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
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
            max_native_bytes: reader.integer(table, "max_native_bytes", 1_024..=1 << 40),
            max_answer_bytes: reader.integer(table, "max_answer_bytes", 1_024..=1 << 30),
            max_concurrent_requests: reader.integer(table, "max_concurrent_requests", 1..=10_000_000),
            max_attempts: reader.integer(table, "max_attempts", 1..=32),
            max_retry_wait: reader.parsed(table, "max_retry_wait", interval_or_off),
        }
    }
}

impl Admin {
    pub(super) fn read(reader: &mut Reader<'_>, name: Said<String>, table: &Table<'_>) -> Self {
        let tenant = |text: &str| {
            let name = TenantName::new(text).ok().filter(TenantName::is_proper);
            name.ok_or_else(|| {
                Mismatch::new("an organisation or a team, such as \"acme\" or \"acme/search\"")
            })
        };
        Self { name, token: reader.text(table, "token"), tenant: reader.parsed(table, "tenant", tenant) }
    }
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            level: reader.choice(table, "level", &LogLevel::ALL.map(|level| (level.as_str(), level))),
            format: reader.choice(table, "format", &[("json", LogFormat::Json), ("text", LogFormat::Text)]),
            requests: reader.flag(table, "requests"),
        }
    }
}

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
