use weighbridge_units::{KeyId, Labels, NanoUsd, Timestamp};

use crate::{
    Budget, Cidr, InvalidDefinition, KeyHash, ModelScope, RateCell, ReferrerPattern, Tags, TenantName,
};

/// How much may be done at once and per minute. `None` is no limit; 0 blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute, prompt and answer together.
    pub tpm: Option<u64>,
    /// Money per minute.
    pub usd_per_minute: Option<NanoUsd>,
    /// Requests at once, from their admission to the end of their answers.
    pub concurrency: Option<u64>,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Self = Self { rpm: None, tpm: None, usd_per_minute: None, concurrency: None };

    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first [`InvalidDefinition`].
    pub fn check(&self) -> Result<(), InvalidDefinition> {
        for limit in [self.rpm, self.tpm, self.concurrency].into_iter().flatten() {
            if limit > RateCell::MAX_PER_MINUTE {
                return Err(InvalidDefinition::Limit(limit));
            }
        }
        match self.usd_per_minute {
            Some(limit) if limit.is_negative() => Err(InvalidDefinition::NegativeLimit),
            _ => Ok(()),
        }
    }
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
    /// What it may do at once and per minute.
    pub limits: Limits,
    /// How much it may use per period, at most [`Budget::MOST`].
    pub budgets: Vec<Budget>,
    /// Addresses that it may be used from; empty for all.
    pub ip_allow: Vec<Cidr>,
    /// Pages that it may be used from; empty for all.
    pub referrers: Vec<ReferrerPattern>,
    /// Tags that every request of the key bears, whatever its header says.
    pub tags: Tags,
    /// Labels that a provider must have to be sent anything of the key's.
    pub require: Labels,
    /// What to do about losses; `None` for the gateway's setting.
    pub loss_policy: Option<LossPolicy>,
    /// Whether answers may be kept beyond their request, here and at providers. Where they may not, a
    /// request that asks for it is served as if it had not.
    pub allow_store: bool,
    /// Whether it may make native calls: any call of a provider, with the installation's credentials there.
    pub native: bool,
    /// How long prompts are cached that the client has not marked itself; `None` leaves requests unmarked.
    pub prompt_cache: Option<PromptCache>,
    /// Whether it is refused until further notice.
    pub blocked: bool,
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
            budgets: Vec::new(),
            ip_allow: Vec::new(),
            referrers: Vec::new(),
            tags: Tags::default(),
            require: Labels::default(),
            loss_policy: None,
            allow_store: true,
            native: false,
            prompt_cache: None,
            blocked: false,
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
        self.limits.check()?;
        Budget::check_all(&self.budgets, Budget::MOST)
    }

    /// Whether the key works at `now`, its secret apart: neither revoked, nor blocked, nor expired.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && !self.blocked && self.expires.is_none_or(|end| now < end)
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
        wrong.budgets = vec![Budget::per_month(NanoUsd::new(-1))];
        assert!(matches!(wrong.check(), Err(InvalidDefinition::Budget(_))));
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
    }
}
