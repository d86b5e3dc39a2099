use thiserror::Error;
use weighbridge_access::{InvalidDefinition, KeyStoreError};
use weighbridge_ledger::{LedgerError, Refusal};
use weighbridge_records::LogError;
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
    /// There is no such key.
    #[error("there is no key {0}")]
    NotFound(KeyId),
    /// The key is in no state for this.
    #[error("the key {0} is revoked: make another one")]
    Revoked(KeyId),
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

    /// What went wrong with a key, as far as the caller can do something about it.
    pub(crate) fn from_store(error: KeyStoreError) -> Self {
        match error {
            KeyStoreError::NotFound(id) => Self::NotFound(id),
            KeyStoreError::Revoked(id) => Self::Revoked(id),
            KeyStoreError::Invalid(why) => Self::invalid(field_of(&why), why),
            other => Self::Keys(other),
        }
    }
}

/// The field of [`crate::NewKey`] that a refusal is about.
pub(crate) const fn field_of(why: &InvalidDefinition) -> &'static str {
    match why {
        InvalidDefinition::Cidr(_) | InvalidDefinition::CidrHostBits { .. } => "ip_allow",
        InvalidDefinition::ModelPattern(_) => "models",
        InvalidDefinition::ReferrerPattern(_) => "referrers",
        InvalidDefinition::Tenant(_) | InvalidDefinition::TenantPath(_) => "tenant",
        InvalidDefinition::Name => "name",
        InvalidDefinition::Limit(_) => "rpm, tpm, concurrency",
        InvalidDefinition::NegativeLimit => "usd_per_minute",
        InvalidDefinition::Budget(_) | InvalidDefinition::Zone(_) => "budgets",
        InvalidDefinition::Tags(_) => "tags",
        _ => "key",
    }
}
