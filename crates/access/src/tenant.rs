use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use weighbridge_units::{Charges, Labels, NanoUsd, Timestamp};

use crate::{Budget, InvalidDefinition, Limits, ModelScope};

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

    /// The organisation: what stands before the first `/`.
    pub fn organisation(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(organisation, _)| organisation)
    }

    /// Whether it names a team in an organisation.
    pub fn is_team(&self) -> bool {
        self.0.contains('/')
    }

    /// The organisation of a team.
    pub fn parent(&self) -> Option<Self> {
        self.is_team().then(|| Self(self.organisation().into()))
    }

    /// The team: the first two parts, where there are two.
    pub fn team(&self) -> Option<Self> {
        let organisation = self.organisation().len();
        let team = self.0.get(organisation + 1..)?;
        let team = team.split_once('/').map_or(team, |(team, _)| team).len();
        self.0.get(..organisation + 1 + team).map(|path| Self(path.into()))
    }

    /// Whether it is an organisation, or a team directly in one: what can be defined. Names of keys of the
    /// first release may be others; those belong to their organisation and team all the same.
    pub fn is_proper(&self) -> bool {
        let mut parts = self.0.split('/');
        let named = |part: Option<&str>| part.is_none_or(|name| !name.is_empty());
        named(parts.next()) && named(parts.next()) && parts.next().is_none()
    }

    /// Whether it is `other`, or lies in it.
    pub fn is_within(&self, other: &Self) -> bool {
        match self.0.strip_prefix(other.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
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

/// Whether a tenant's requests go out on provider keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OwnKeys {
    /// Where it has one at the provider; elsewhere on the installation's.
    #[default]
    Prefer,
    /// On its own only: a target where it has none is passed over.
    Require,
    /// Never: its keys rest.
    Off,
}

impl OwnKeys {
    /// The name in admin API, command line and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::Off => "off",
        }
    }

    /// The policy of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Prefer, Self::Require, Self::Off].into_iter().find(|policy| policy.as_str() == name)
    }

    /// What holds in a team: its own word, unless its organisation requires or forbids.
    pub fn of(organisation: Option<Self>, team: Option<Self>) -> Self {
        match organisation {
            Some(bound @ (Self::Require | Self::Off)) => bound,
            open => team.or(open).unwrap_or_default(),
        }
    }
}

/// The definition of an organisation or a team, as a store keeps it.
///
/// What it says holds for all keys in it beside what they say themselves: a key may do what it, its team
/// and its organisation allow. A tenant that nobody has defined restricts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The name; a team's says its organisation.
    pub name: TenantName,
    /// The models that its keys may use.
    pub models: ModelScope,
    /// What its keys together may do at once and per minute.
    pub limits: Limits,
    /// How much its keys together may use per period, at most [`Budget::MOST`].
    pub budgets: Vec<Budget>,
    /// What it may owe, what is reserved included: a wallet, out of which its keys and those of teams without a
    /// wallet of their own are paid. Zero is prepaid, more is post-paid; `None` is no wallet, and no bound.
    pub credit_limit: Option<NanoUsd>,
    /// Labels that a provider must have to be sent anything of its keys', beside those that its organisation demands.
    pub require: Labels,
    /// Whether its requests go out on provider keys of its own; `None` leaves it to its organisation.
    pub own_keys: Option<OwnKeys>,
    /// What its keys' requests cost beside the provider's cost; `None` is what the configuration says. A team's
    /// goes before its organisation's.
    pub markup: Option<Charges>,
    /// What it owes for requests on provider keys of its own; `None` is what the configuration says. A team's goes
    /// before its organisation's.
    pub surcharge: Option<Charges>,
    /// What it owes for the service each month, whatever it uses; `None` is nothing.
    pub subscription: Option<NanoUsd>,
    /// Whether its keys are refused until further notice.
    pub blocked: bool,
    /// When it was made.
    pub created: Timestamp,
    /// From when on its keys are refused.
    pub expires: Option<Timestamp>,
}

impl Tenant {
    /// A tenant without any restriction.
    pub fn new(name: TenantName, created: Timestamp) -> Self {
        Self {
            name,
            models: ModelScope::All,
            limits: Limits::NONE,
            budgets: Vec::new(),
            credit_limit: None,
            require: Labels::default(),
            own_keys: None,
            markup: None,
            surcharge: None,
            subscription: None,
            blocked: false,
            created,
            expires: None,
        }
    }

    /// Checks what the types do not: name, limits, budgets.
    ///
    /// # Errors
    /// The first [`InvalidDefinition`].
    pub fn check(&self) -> Result<(), InvalidDefinition> {
        if !self.name.is_proper() {
            return Err(InvalidDefinition::TenantPath(self.name.to_string()));
        }
        self.limits.check()?;
        if self.credit_limit.is_some_and(NanoUsd::is_negative) {
            return Err(InvalidDefinition::CreditLimit);
        }
        if self.subscription.is_some_and(NanoUsd::is_negative) {
            return Err(InvalidDefinition::Subscription);
        }
        Budget::check_all(&self.budgets, Budget::MOST)
    }

    /// Whether its keys work at `now`, as far as it is for the tenant to say.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        !self.blocked && self.expires.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TenantName {
        TenantName::new(text).unwrap()
    }

    #[test]
    fn tenant_names_are_plain() {
        for wrong in ["", "a b", "ä", "a\n", &"x".repeat(129)] {
            assert!(TenantName::new(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_organisation_that_requires_or_forbids_binds_its_teams() {
        use OwnKeys::{Off, Prefer, Require};
        assert_eq!(OwnKeys::of(None, None), Prefer);
        for team in [Prefer, Require, Off] {
            assert_eq!(OwnKeys::from_name(team.as_str()), Some(team));
            assert_eq!(OwnKeys::of(Some(Require), Some(team)), Require);
            assert_eq!(OwnKeys::of(Some(Off), Some(team)), Off);
            assert_eq!((OwnKeys::of(Some(Prefer), Some(team)), OwnKeys::of(None, Some(team))), (team, team));
            assert_eq!(OwnKeys::of(Some(team), None), team);
        }
        assert_eq!(OwnKeys::from_name("never"), None);
    }

    #[test]
    fn a_team_lies_in_its_organisation_and_nowhere_else() {
        let (acme, search) = (name("acme"), name("acme/search"));
        assert_eq!((search.organisation(), search.parent()), ("acme", Some(acme.clone())));
        assert_eq!((acme.organisation(), acme.parent()), ("acme", None));
        assert_eq!((acme.team(), search.team()), (None, Some(search.clone())));
        // A name of an earlier release does not escape its team.
        assert_eq!(name("acme/search/x").team(), Some(search.clone()));
        assert!(search.is_within(&acme) && acme.is_within(&acme));
        assert!(!acme.is_within(&search) && !name("acme2").is_within(&acme) && !name("acm").is_within(&acme));
        for proper in ["a", "a/b", "a.b/c-d"] {
            assert!(name(proper).is_proper(), "{proper}");
        }
        for other in ["/", "a/", "/a", "a//b", "a/b/c"] {
            assert!(!name(other).is_proper(), "{other}");
            assert!(Tenant::new(name(other), Timestamp::default()).check().is_err());
        }
    }
}
