use thiserror::Error;
use weighbridge_access::{
    InvalidDefinition, KeyStoreError, ProviderKeyError, ProviderKeyId, TenantName, VaultError,
};
use weighbridge_ledger::{LedgerError, Refusal};
use weighbridge_records::{LogError, NotARecord};
use weighbridge_units::KeyId;

use crate::ExportError;

/// Why an administrative act was not done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// A field of what was asked for is not right.
    #[error("`{field}`: {why}")]
    Invalid {
        /// The field, by its name in JSON.
        field: &'static str,
        /// What is wrong with it, and what to write.
        why: String,
    },
    /// The actor may not do that.
    #[error("{0}")]
    Forbidden(String),
    /// A child would exceed what it belongs to.
    #[error("`{field}`: `{parent}` has no more to give than this: {most}")]
    ExceedsParent {
        /// The field, by its name in JSON.
        field: &'static str,
        /// The tenant that it would exceed.
        parent: TenantName,
        /// What the parent has.
        most: String,
    },
    /// There is no such tenant.
    #[error("there is no tenant `{0}`")]
    NoTenant(String),
    /// There is such a tenant already.
    #[error("there is a tenant `{0}` already: update it")]
    TenantExists(TenantName),
    /// Somebody else was faster.
    #[error("{0} was changed by somebody else meanwhile: look at it again")]
    Changed(String),
    /// There is no such key.
    #[error("there is no key {0}")]
    NotFound(KeyId),
    /// The request log has no such request.
    #[error("there is no request `{0}` in the log, or not any more")]
    NoRequest(String),
    /// There is no request log here.
    #[error("there is no request log here: ask the gateway that has one")]
    NoLog,
    /// There is no gateway here that routes anything.
    #[error("no gateway runs here: ask the admin API of one that does")]
    NoGateway,
    /// The request log failed.
    #[error("the request log cannot be read: try again")]
    Log(#[source] LogError),
    /// A record of the log is not one of this release.
    #[error("a record of the request log cannot be understood: is this release older than the gateway's?")]
    Record(#[source] NotARecord),
    /// The key is in no state for this.
    #[error("the key {0} is revoked: make another one")]
    Revoked(KeyId),
    /// Nothing to seal providers' keys under.
    #[error(
        "no master key is configured, so that no provider key can be sealed: set vault.master_key, such as \
         \"${{file:/run/secrets/vault_key}}\", made with `openssl rand -hex 32`"
    )]
    NoVault,
    /// There is no such provider's key.
    #[error("there is no provider key {0}")]
    NoProviderKey(ProviderKeyId),
    /// The provider's key is thrown away.
    #[error("the provider key {0} is revoked: add another one")]
    RevokedProviderKey(ProviderKeyId),
    /// A provider's key could not be sealed or opened.
    #[error("{0}")]
    Vault(#[source] VaultError),
    /// The store of providers' keys failed.
    #[error("the store of provider keys failed: nothing was changed; try again")]
    ProviderKeys(#[source] ProviderKeyError),
    /// The store of keys failed.
    #[error("the store of keys failed: nothing was changed; try again")]
    Keys(#[source] KeyStoreError),
    /// The act is done, but this instance has not taken notice yet.
    #[error("the change is stored, but this instance could not load it yet: it will try again by itself")]
    NotLoaded(#[source] KeyStoreError),
    /// A provider's export cannot be read.
    #[error("the export cannot be read: {0}")]
    Export(#[source] ExportError),
    /// The ledger refused: nothing was changed.
    #[error("{0}")]
    Refused(Refusal),
    /// The ledger failed. What was to be written may be: repeating it under the same id does no harm.
    #[error("the ledger cannot be read or written: try again, under the same id if you gave one")]
    Ledger(#[source] LedgerError),
    /// The act could not be written down, and so was not done.
    #[error("the audit log cannot be written, so that nothing was changed: try again")]
    Audit(#[source] LogError),
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: no key can be made")]
    Random,
}

impl AdminError {
    /// A refusal of a field.
    pub(crate) fn invalid(field: &'static str, why: impl ToString) -> Self {
        Self::Invalid { field, why: why.to_string() }
    }

    /// What went wrong with the ledger, as far as the caller can do something about it.
    pub(crate) fn from_ledger(error: LedgerError) -> Self {
        match error.refusal() {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Ledger(error),
        }
    }

    pub(crate) fn forbidden(why: impl Into<String>) -> Self {
        Self::Forbidden(why.into())
    }

    /// A definition that contradicts itself.
    pub(crate) fn definition(why: InvalidDefinition) -> Self {
        Self::invalid(field_of(&why), why)
    }

    /// What went wrong with a key, as far as the caller can do something about it.
    pub(crate) fn from_store(error: KeyStoreError) -> Self {
        match error {
            KeyStoreError::NotFound(id) => Self::NotFound(id),
            KeyStoreError::Revoked(id) => Self::Revoked(id),
            KeyStoreError::Changed(what) => Self::Changed(what),
            KeyStoreError::Invalid(why) => Self::definition(why),
            other => Self::Keys(other),
        }
    }

    /// What went wrong with a provider's key, as far as the caller can do something about it.
    pub(crate) fn from_provider_keys(error: ProviderKeyError) -> Self {
        match error {
            ProviderKeyError::NotFound(id) => Self::NoProviderKey(id),
            ProviderKeyError::Changed(id) => Self::Changed(format!("the provider key {id}")),
            ProviderKeyError::Invalid(why) => Self::definition(why),
            other => Self::ProviderKeys(other),
        }
    }
}

/// The field of [`crate::NewKey`] that a refusal is about.
const fn field_of(why: &InvalidDefinition) -> &'static str {
    match why {
        InvalidDefinition::Cidr(_) | InvalidDefinition::CidrHostBits { .. } => "ip_allow",
        InvalidDefinition::ModelPattern(_) => "models",
        InvalidDefinition::ReferrerPattern(_) => "referrers",
        InvalidDefinition::Tenant(_) | InvalidDefinition::TenantPath(_) => "tenant",
        InvalidDefinition::CreditLimit => "credit_limit_usd",
        InvalidDefinition::Subscription => "subscription_usd",
        InvalidDefinition::Name => "name",
        InvalidDefinition::Limit(_) => "rpm, tpm, concurrency",
        InvalidDefinition::NegativeLimit => "usd_per_minute",
        InvalidDefinition::Budget(_) | InvalidDefinition::Zone(_) => "budgets",
        InvalidDefinition::Tags(_) => "tags",
        InvalidDefinition::ProviderSecret => "secret",
        InvalidDefinition::ProviderName => "provider",
        InvalidDefinition::Label => "label",
        InvalidDefinition::Weight => "weight",
        _ => "key",
    }
}
