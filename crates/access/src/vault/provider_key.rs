use std::fmt;
use std::str::FromStr;

use weighbridge_units::{KeyId, Timestamp};

use super::{Fingerprint, ProviderSecret, SealPlace, SealedSecret};
use crate::{InvalidDefinition, TenantName};

/// The id of a provider's key: `pk-` and twelve characters. It may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderKeyId(KeyId);

impl ProviderKeyId {
    const PREFIX: &str = "pk-";

    /// Of the lower 60 bits, random ones for a new key.
    pub const fn from_bits(bits: u64) -> Self {
        Self(KeyId::from_bits(bits))
    }

    /// The bits, for a store to keep.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for ProviderKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

impl FromStr for ProviderKeyId {
    type Err = InvalidDefinition;
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let id = text.strip_prefix(Self::PREFIX).and_then(|id| id.parse().ok());
        id.map(Self).ok_or(InvalidDefinition::ProviderKeyId)
    }
}

/// Whose a provider's key is, and so whose requests it may serve.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyOwner {
    /// The operator's: it serves whoever has none of their own, beside the keys of the configuration.
    Installation,
    /// An organisation's or a team's own: it serves nobody else.
    Tenant(TenantName),
}

impl KeyOwner {
    /// The tenant, if it is one.
    pub const fn tenant(&self) -> Option<&TenantName> {
        match self {
            Self::Installation => None,
            Self::Tenant(name) => Some(name),
        }
    }

    /// The owner as a seal names it: a tenant that is called like the installation is somebody else.
    pub(super) fn tagged(&self) -> Vec<u8> {
        match self {
            Self::Installation => vec![1],
            Self::Tenant(name) => [&[2], name.as_str().as_bytes()].concat(),
        }
    }
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installation => f.write_str("the installation"),
            Self::Tenant(name) => name.fmt(f),
        }
    }
}

/// What is left of a key's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySecret {
    /// It is sealed.
    Sealed(SealedSecret),
    /// It was thrown away then.
    Revoked(Timestamp),
}

/// A provider's key, as a store keeps it. It holds no secret in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKey {
    /// The id; it may be logged.
    pub id: ProviderKeyId,
    /// Whose it is.
    pub owner: KeyOwner,
    /// The provider that it is for, by its name in the configuration. It is sent to no other.
    pub provider: String,
    /// What people call it.
    pub label: String,
    /// Its share beside others of the same owner and provider; 0 leaves it unused.
    pub weight: u32,
    /// What may be shown of it.
    pub fingerprint: Fingerprint,
    /// The sealed secret, or that it is gone.
    pub secret: KeySecret,
    /// When it was added.
    pub created: Timestamp,
    /// When it last got another secret.
    pub rotated: Option<Timestamp>,
}

impl ProviderKey {
    /// The largest weight.
    pub const MAX_WEIGHT: u32 = 1_000;

    /// Checks what the types do not: owner, provider, label, weight.
    ///
    /// # Errors
    /// The first [`InvalidDefinition`].
    pub fn check(&self) -> Result<(), InvalidDefinition> {
        let named = |text: &str| (1..=128).contains(&text.len()) && !text.chars().any(char::is_control);
        if let Some(tenant) = self.owner.tenant().filter(|tenant| !tenant.is_proper()) {
            return Err(InvalidDefinition::TenantPath(tenant.to_string()));
        }
        if !named(&self.provider) {
            return Err(InvalidDefinition::ProviderName);
        }
        if !named(&self.label) {
            return Err(InvalidDefinition::Label);
        }
        if self.weight > Self::MAX_WEIGHT {
            return Err(InvalidDefinition::Weight);
        }
        Ok(())
    }

    /// Where its secret lies.
    pub fn place(&self) -> SealPlace<'_> {
        SealPlace { owner: &self.owner, provider: &self.provider, id: self.id }
    }

    /// When it was revoked, if it was.
    pub const fn revoked(&self) -> Option<Timestamp> {
        match self.secret {
            KeySecret::Sealed(_) => None,
            KeySecret::Revoked(at) => Some(at),
        }
    }

    /// Whether `next` may take its place in a store: it lies in the same place, which its seal names, and what was
    /// revoked stays so.
    pub fn may_become(&self, next: &Self) -> bool {
        let Self { id, owner, provider, created, .. } = self;
        (id, owner, provider, created) == (&next.id, &next.owner, &next.provider, &next.created)
            && (self.revoked().is_none() || self.revoked() == next.revoked())
    }
}

/// A provider's key that can be used. It has no `Debug`.
#[derive(Clone, PartialEq)]
pub struct OpenKey {
    /// The secret in clear.
    pub secret: ProviderSecret,
    /// All else about it.
    pub key: ProviderKey,
}
