//! What a file says, key by key: the first of two stages. Types and forms are checked here; what the
//! values mean together is [`crate::means`]'s business.

mod credentials;
mod model;
mod prices;
mod provider;
mod rule;
mod server;
mod store;
mod strategy;

use toml::de::DeTable;
use weighbridge_access::{Budget, Cidr, InvalidDefinition, Limits, RateCell};
use weighbridge_pipeline::settings::OnDisconnect;
use weighbridge_units::NanoUsd;

use crate::keys;
use crate::reader::{Given, Mismatch, Reader, Said, Table};

pub(crate) use credentials::*;
pub(crate) use model::*;
pub(crate) use prices::*;
pub(crate) use provider::*;
pub(crate) use rule::*;
pub(crate) use server::*;
pub(crate) use store::*;
pub(crate) use strategy::*;

pub(crate) struct File {
    pub(crate) server: Server,
    pub(crate) admins: Vec<Admin>,
    pub(crate) storage: Storage,
    pub(crate) vault: Vault,
    pub(crate) providers: Vec<Provider>,
    pub(crate) models: Vec<Model>,
    pub(crate) residency: Vec<ResidencyRule>,
    pub(crate) budgets: Budgets,
    pub(crate) media: Media,
    pub(crate) prices: Prices,
    pub(crate) count_alarm: SaidCountAlarm,
    pub(crate) responses: Responses,
    pub(crate) idempotency: Idempotency,
    pub(crate) alerts: Alerts,
    pub(crate) log: Log,
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
            residency: Vec::new(),
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
        let residency = reader.table(root, "residency", &keys::RESIDENCY);
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
            residency: residency.map(|table| ResidencyRule::read_all(reader, &table)).unwrap_or_default(),
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

/// What may happen to an attempt whose client leaves.
const ON_DISCONNECT: [(&str, OnDisconnect); 2] =
    [("cancel", OnDisconnect::Cancel), ("drain", OnDisconnect::Drain)];

fn cidr(text: &str) -> Result<Cidr, Mismatch> {
    text.parse().map_err(|error| match error {
        InvalidDefinition::CidrHostBits { meant, .. } => {
            Mismatch::new("an address range: bits are set behind its prefix")
                .with_hint(format!("write {meant}"))
        }
        _ => Mismatch::new("an address range"),
    })
}
