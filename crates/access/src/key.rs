use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use weighbridge_units::{KeyId, NanoUsd, Timestamp};

use crate::{Cidr, InvalidDefinition, KeyHash, ModelScope, RateCell, ReferrerPattern, Tags};

/// Who a key belongs to, and who pays: an organisation, or a team in it such as `acme/search`.
///
/// Scopes, budgets and caches are kept per tenant, never per key material (rule K3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName(Arc<str>);

impl TenantName {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// A name of letters, digits and `.`, `_`, `-`, `/`.
    ///
    /// # Errors
    /// [`InvalidDefinition::Tenant`] for any other text.
    pub fn new(text: &str) -> Result<Self, InvalidDefinition> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.into())).ok_or_else(|| InvalidDefinition::Tenant(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantName {
    type Err = InvalidDefinition;
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        Self::new(text)
    }
}

/// How much a key may do per minute. `None` is no limit; 0 blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute, prompt and answer together.
    pub tpm: Option<u64>,
}

/// When a budget starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum BudgetPeriod {
    /// With each calendar month in UTC.
    #[default]
    Month,
}

impl BudgetPeriod {
    /// The name in configuration, admin API and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
        }
    }

    /// The period of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        (name == Self::Month.as_str()).then_some(Self::Month)
    }
}

/// How much a key may cost per period. A limit of 0 blocks (rule M7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most that may be spent in a period.
    pub limit: NanoUsd,
    /// When the spending is counted from zero again.
    pub period: BudgetPeriod,
}

/// What to do where a translation cannot carry everything over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LossPolicy {
    /// Say nothing in the response; the record has it.
    Allow,
    /// Name it in a header and in the log.
    #[default]
    Warn,
    /// Refuse the request with 400 before any money is reserved.
    Reject,
}

impl LossPolicy {
    /// The name in configuration, headers, admin API and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Reject => "reject",
        }
    }

    /// The policy of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Allow, Self::Warn, Self::Reject].into_iter().find(|policy| policy.as_str() == name)
    }
}

/// How long the beginning of a prompt is kept by providers that keep it only where it is marked. Marks are
/// placed in requests that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PromptCache {
    /// Five minutes from when it was last read: written for a quarter more than it costs anyway.
    FiveMinutes,
    /// An hour: written for twice as much.
    OneHour,
}

impl PromptCache {
    /// The name in configuration, admin API and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::OneHour => "1h",
        }
    }

    /// The policy of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::FiveMinutes, Self::OneHour].into_iter().find(|policy| policy.as_str() == name)
    }
}

/// A secret that was replaced and still works for a while (rule K1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetiredSecret {
    /// Its keyed hash.
    pub hash: KeyHash,
    /// From when on it is refused.
    pub until: Timestamp,
}

/// The definition of a virtual key, as a store keeps it. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualKey {
    /// The public id; it may be logged.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// Who it belongs to and who pays.
    pub tenant: TenantName,
    /// The keyed hash of its secret.
    pub hash: KeyHash,
    /// The secret before the last rotation, while its grace lasts.
    pub retired: Option<RetiredSecret>,
    /// The models that it may use.
    pub models: ModelScope,
    /// Requests and tokens per minute.
    pub limits: Limits,
    /// Money per period.
    pub budget: Option<Budget>,
    /// Addresses that it may be used from; empty for all.
    pub ip_allow: Vec<Cidr>,
    /// Pages that it may be used from; empty for all.
    pub referrers: Vec<ReferrerPattern>,
    /// Tags that every request of the key bears, whatever its header says.
    pub tags: Tags,
    /// What to do about losses; `None` for the gateway's setting.
    pub loss_policy: Option<LossPolicy>,
    /// Whether answers may be kept beyond their request, here and at providers. Where they may not, a
    /// request that asks for it is served as if it had not.
    pub allow_store: bool,
    /// How long prompts are cached that the client has not marked itself; `None` leaves requests unmarked.
    pub prompt_cache: Option<PromptCache>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

impl VirtualKey {
    /// A key without any restriction; set the fields that it needs.
    pub fn new(id: KeyId, name: &str, tenant: TenantName, hash: KeyHash, created: Timestamp) -> Self {
        Self {
            id,
            name: name.to_owned(),
            tenant,
            hash,
            retired: None,
            models: ModelScope::All,
            limits: Limits::default(),
            budget: None,
            ip_allow: Vec::new(),
            referrers: Vec::new(),
            tags: Tags::default(),
            loss_policy: None,
            allow_store: true,
            prompt_cache: None,
            created,
            expires: None,
            revoked: None,
        }
    }

    /// Checks what the types do not: name, limits, budget.
    ///
    /// # Errors
    /// The first [`InvalidDefinition`].
    pub fn check(&self) -> Result<(), InvalidDefinition> {
        let named = (1..=128).contains(&self.name.len()) && !self.name.chars().any(char::is_control);
        if !named {
            return Err(InvalidDefinition::Name);
        }
        for limit in [self.limits.rpm, self.limits.tpm].into_iter().flatten() {
            if limit > RateCell::MAX_PER_MINUTE {
                return Err(InvalidDefinition::Limit(limit));
            }
        }
        if self.budget.is_some_and(|budget| budget.limit.is_negative()) {
            return Err(InvalidDefinition::Budget);
        }
        Ok(())
    }

    /// Whether the key works at `now`, its secret apart: neither revoked nor expired.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> VirtualKey {
        let tenant = TenantName::new("acme/search").unwrap();
        VirtualKey::new(KeyId::from_bits(1), "k", tenant, KeyHash::from_bytes([0; 32]), Timestamp::default())
    }

    #[test]
    fn definitions_are_checked() {
        assert_eq!(key().check(), Ok(()));
        for name in ["", "a\nb", &"x".repeat(129)] {
            let named = VirtualKey { name: name.to_owned(), ..key() };
            assert_eq!(named.check(), Err(InvalidDefinition::Name));
        }
        let mut wrong = key();
        wrong.limits.tpm = Some(u64::MAX);
        assert_eq!(wrong.check(), Err(InvalidDefinition::Limit(u64::MAX)));
        let mut wrong = key();
        wrong.budget = Some(Budget { limit: NanoUsd::new(-1), period: BudgetPeriod::Month });
        assert_eq!(wrong.check(), Err(InvalidDefinition::Budget));
    }

    #[test]
    fn tenant_names_are_plain() {
        for wrong in ["", "a b", "ä", "a\n", &"x".repeat(129)] {
            assert!(TenantName::new(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for policy in [LossPolicy::Allow, LossPolicy::Warn, LossPolicy::Reject] {
            assert_eq!(LossPolicy::from_name(policy.as_str()), Some(policy));
        }
        for policy in [PromptCache::FiveMinutes, PromptCache::OneHour] {
            assert_eq!(PromptCache::from_name(policy.as_str()), Some(policy));
        }
        assert_eq!(PromptCache::from_name("2h"), None);
        assert_eq!(BudgetPeriod::from_name("month"), Some(BudgetPeriod::Month));
        assert_eq!(BudgetPeriod::from_name("Month"), None);
    }
}
