//! What is kept, and for how long.

use std::time::Duration;

use weighbridge_access::Cidr;

use super::cidr;
use super::prices::fetched_url;
use crate::config::Durability;
use crate::duration;
use crate::reader::{Given, Mismatch, Reader, Said, Table};

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

#[derive(Default)]
pub(crate) struct Media {
    pub(crate) fetch: Given<bool>,
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

impl Storage {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
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
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            master_key: reader.text(table, "master_key"),
            old_master_keys: reader.list(table, "old_master_keys", |text| Ok(text.to_owned())),
        }
    }
}

impl Media {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            fetch: reader.flag(table, "fetch"),
            allowed_networks: reader.list(table, "allowed_networks", cidr),
        }
    }
}

/// The longest time for which answers are kept.
const TTL_MOST: Duration = Duration::from_secs(366 * 86_400);

impl Responses {
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
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
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
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
    pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            webhooks: reader.list(table, "webhooks", fetched_url),
            secret: reader.text(table, "secret"),
            allowed_networks: reader.list(table, "allowed_networks", cidr),
        }
    }
}
