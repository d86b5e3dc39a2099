//! Providers: where they are, how they are spoken to, whose credentials.

use std::time::Duration;

use weighbridge_catalogue::{AuthStyle, presets};
use weighbridge_pipeline::settings::NativeCalls;
use weighbridge_units::Protocol;
use weighbridge_upstream::HttpVersion;

use super::rule::Pairs;
use super::{ApiKey, Aws, Azure, Budgets, Gcp, Rates, budgets};
use crate::failover::SaidHealth;
use crate::keys;
use crate::reader::{Given, Mismatch, Reader, Said, Table};

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
    pub(crate) api_keys: Given<Vec<ApiKey>>,
    pub(crate) aws: Option<Aws>,
    pub(crate) gcp: Option<Gcp>,
    pub(crate) azure: Option<Azure>,
    pub(crate) headers: Given<Vec<(Said<String>, Said<String>)>>,
    pub(crate) line: Line,
    pub(crate) price_as: Given<String>,
    pub(crate) timeouts: Timeouts,
    pub(crate) health: SaidHealth,
    pub(crate) limits: Rates,
    pub(crate) budgets: Budgets,
    pub(crate) labels: Pairs,
    pub(crate) native: Given<NativeCalls>,
    pub(crate) native_paths: Given<Vec<Said<String>>>,
}

/// How a provider is connected to.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) http: Given<HttpVersion>,
    pub(crate) proxy: Given<String>,
    pub(crate) ca: Given<String>,
    pub(crate) client_certificate: Given<String>,
    pub(crate) client_key: Given<String>,
}

#[derive(Default)]
pub(crate) struct Timeouts {
    pub(crate) connect: Given<Duration>,
    pub(crate) first_byte: Given<Duration>,
    pub(crate) first_token: Given<Duration>,
    pub(crate) idle: Given<Duration>,
    pub(crate) total: Given<Duration>,
}

impl Provider {
    pub(super) fn read(reader: &mut Reader<'_>, name: Said<String>, table: &Table<'_>) -> Self {
        let timeouts = reader.table(table, "timeouts", &keys::TIMEOUTS);
        let health = reader.table(table, "health", &keys::HEALTH);
        let limits = reader.table(table, "limits", &keys::PROVIDER_LIMITS);
        let [aws, gcp, azure] = [("aws", &keys::AWS), ("gcp", &keys::GCP), ("azure", &keys::AZURE)]
            .map(|(name, section)| reader.table(table, name, section));
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
            api_keys: ApiKey::read_all(reader, table),
            aws: aws.map(|table| Aws::read(reader, &table)),
            gcp: gcp.map(|table| Gcp::read(reader, &table)),
            azure: azure.map(|table| Azure::read(reader, &table)),
            headers: reader.pairs(table, "headers"),
            line: Line::read(reader, table),
            price_as: reader.text(table, "price_as"),
            timeouts: timeouts.map(|table| Timeouts::read(reader, &table)).unwrap_or_default(),
            health: health.map(|table| SaidHealth::read(reader, &table)).unwrap_or_default(),
            limits: limits.map(|table| Rates::read(reader, &table)).unwrap_or_default(),
            budgets: budgets(reader, table),
            labels: reader.pairs(table, "labels"),
            native: reader.choice(table, "native", &NATIVE),
            native_paths: reader.list(table, "native_paths", native_path),
        }
    }
}

const NATIVE: [(&str, NativeCalls); 3] =
    [("metered", NativeCalls::Metered), ("unmetered", NativeCalls::Unmetered), ("off", NativeCalls::Off)];

/// A path below the base URL: escapes would be compared as they stand.
fn native_path(text: &str) -> Result<String, Mismatch> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:@".contains(&b);
    let fits =
        text.starts_with('/') && text.bytes().all(plain) && !text.contains("//") && !text.contains("..");
    if fits { Ok(text.to_owned()) } else { Err(Mismatch::new("a path below the base URL, such as /files")) }
}

/// The protocols that a provider can be called in: some preset says how. Others are translated only.
fn spoken() -> Vec<(&'static str, Protocol)> {
    let has_preset = |protocol: &Protocol| presets().iter().any(|preset| preset.speaks(*protocol));
    Protocol::ALL.into_iter().filter(has_preset).map(|protocol| (protocol.as_str(), protocol)).collect()
}

impl Line {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            http: reader.choice(table, "http", &HttpVersion::ALL.map(|version| (version.as_str(), version))),
            proxy: reader.text(table, "proxy"),
            ca: reader.text(table, "ca"),
            client_certificate: reader.text(table, "client_certificate"),
            client_key: reader.text(table, "client_key"),
        }
    }
}

impl Timeouts {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            connect: reader.duration(table, "connect"),
            first_byte: reader.duration(table, "first_byte"),
            first_token: reader.duration(table, "first_token"),
            idle: reader.duration(table, "idle"),
            total: reader.duration(table, "total"),
        }
    }
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
