use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use weighbridge_units::{AttemptId, Timestamp};

use crate::Sealed;

/// Why a text cannot name an entry or its owner.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidEntry {
    /// Not an id.
    #[error(
        "not an id of a kept answer: 1 to {max} visible ASCII characters without quotes, `\\`, `/`, `?`, `#`, `%`",
        max = KeptId::MAX_LENGTH
    )]
    Id,
    /// Not a tenant.
    #[error("not a tenant: 1 to {max} bytes without control characters", max = Tenant::MAX_LENGTH)]
    Tenant,
    /// Not a purpose that this release knows.
    #[error("not a purpose of a kept answer: was it written by a newer release?")]
    Purpose,
}

/// The id of a kept answer, as clients know it: the provider's own, or one that the gateway made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeptId(Arc<str>);

impl KeptId {
    /// The longest id, in bytes. Ids of providers behind other gateways run to some hundred.
    pub const MAX_LENGTH: usize = 512;

    /// An id from outside.
    ///
    /// # Errors
    /// [`InvalidEntry::Id`] where it is empty, too long, or has characters that a path or a JSON text
    /// would have to escape.
    pub fn new(text: &str) -> Result<Self, InvalidEntry> {
        let plain =
            |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'/' | b'?' | b'#' | b'%');
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        (fits && text.bytes().all(plain)).then(|| Self(text.into())).ok_or(InvalidEntry::Id)
    }

    /// The id of an answer of the attempt where the provider's own is none of Responses: `resp_` and 32
    /// hexadecimal digits. OpenAI's begin so, and some clients check it.
    pub fn of_attempt(attempt: AttemptId) -> Self {
        Self(format!("resp_{:032x}", attempt.get()).into())
    }

    /// The id of what an idempotency key was answered with: `idem_` and the claim's number in the ledger.
    pub fn of_claim(claim: u128) -> Self {
        Self(format!("idem_{claim:032x}").into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose an entry is. Every question to a store names one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// A tenant by its name.
    ///
    /// # Errors
    /// [`InvalidEntry::Tenant`] where it is empty, too long, or has control characters.
    pub fn new(name: &str) -> Result<Self, InvalidEntry> {
        let fits = (1..=Self::MAX_LENGTH).contains(&name.len()) && !name.chars().any(char::is_control);
        fits.then(|| Self(name.into())).ok_or(InvalidEntry::Tenant)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry is kept for. Entries of different purposes have keys of their own and never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Purpose {
    /// An answer that a client of Responses asked to be stored.
    Response,
    /// What an idempotency key was answered with, for whoever asks once more.
    Replay,
}

impl Purpose {
    /// The name in stores. It is part of what keys are derived from: it never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Replay => "replay",
        }
    }

    /// The purpose of that name.
    ///
    /// # Errors
    /// [`InvalidEntry::Purpose`] where there is none.
    pub fn from_name(name: &str) -> Result<Self, InvalidEntry> {
        let known = [Self::Response, Self::Replay].into_iter().find(|purpose| purpose.as_str() == name);
        known.ok_or(InvalidEntry::Purpose)
    }
}

/// Where an entry is found. The tenant is part of it, so that nobody can ask without one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryKey {
    tenant: Tenant,
    purpose: Purpose,
    id: KeptId,
}

impl EntryKey {
    /// The place of an entry.
    pub const fn new(purpose: Purpose, tenant: Tenant, id: KeptId) -> Self {
        Self { tenant, purpose, id }
    }

    /// Whose it is.
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// What it is kept for.
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Its id.
    pub const fn id(&self) -> &KeptId {
        &self.id
    }
}

/// What an item of an answer is found by in a store: made of purpose, tenant and the item's id, and nobody can
/// tell from it without the gateway's secret ([`Vault::item_tag`](crate::Vault::item_tag)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemTag([u8; Self::BYTES]);

impl ItemTag {
    /// Its length: enough that no two ever meet.
    pub const BYTES: usize = 16;

    /// From bytes that a secret was used for.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// For a store to keep.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

/// A kept answer as stores have it: nobody can read it without the gateway's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it is found.
    pub key: EntryKey,
    /// From when on it is not given out any more. Not sealed: [`CacheStore::prolong`] moves it.
    ///
    /// [`CacheStore::prolong`]: crate::CacheStore::prolong
    pub expires: Timestamp,
    /// The answer.
    pub sealed: Sealed,
    /// What its items are found by, for [`CacheStore::put`]. One that is given back has none.
    ///
    /// [`CacheStore::put`]: crate::CacheStore::put
    pub items: Vec<ItemTag>,
}

impl Kept {
    /// What it counts against a store's limits, in bytes: the sealed answer, its key, and its items' tags.
    pub fn bytes(&self) -> u64 {
        let tags = self.items.len() * ItemTag::BYTES;
        (self.sealed.as_bytes().len() + self.key.tenant.0.len() + self.key.id.0.len() + tags) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_fit_into_a_path() {
        for right in ["resp_0", "chatcmpl-9", "msg_01", "resp_bGl0ZQ==", &"x".repeat(KeptId::MAX_LENGTH)] {
            assert_eq!(KeptId::new(right).unwrap().as_str(), right);
        }
        for wrong in ["", "a b", "a/b", "a?b", "a\"", "a'", "a\\", "%41", "ä", "a\n", &"x".repeat(513)] {
            assert_eq!(KeptId::new(wrong), Err(InvalidEntry::Id), "{wrong:?}");
        }
    }

    #[test]
    fn made_ids_are_ids() {
        let made = KeptId::of_attempt(AttemptId::from_u128(0x19ab));
        assert_eq!(made.as_str(), "resp_000000000000000000000000000019ab");
        assert_eq!(KeptId::new(made.as_str()), Ok(made));
    }

    #[test]
    fn tenants_are_named() {
        assert_eq!(Tenant::new("acme/search").unwrap().as_str(), "acme/search");
        for wrong in ["", "a\n", "\u{0}", &"x".repeat(129)] {
            assert_eq!(Tenant::new(wrong), Err(InvalidEntry::Tenant), "{wrong:?}");
        }
    }

    #[test]
    fn purposes_are_read_back() {
        for purpose in [Purpose::Response, Purpose::Replay] {
            assert_eq!(Purpose::from_name(purpose.as_str()), Ok(purpose));
        }
        assert_eq!(Purpose::from_name("Response"), Err(InvalidEntry::Purpose));
    }
}
