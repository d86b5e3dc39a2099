use serde::{Deserialize, Deserializer};
use weighbridge_access::{Budget, Limits, ModelScope, OwnKeys, Tenant, VirtualKey};
use weighbridge_units::{Charges, Labels, NanoUsd, Timestamp};

use crate::new_key::{instant_after, labels, money, read_all};
use crate::{AdminError, ChargesText};

/// What is to be different about a key or a tenant. What is absent stays; `null` takes it away, and empty
/// lists are lists of nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Names of models, or beginnings followed by `*`; `null` for all.
    #[serde(default, deserialize_with = "said")]
    pub models: Option<Option<Vec<String>>>,
    /// Requests per minute.
    #[serde(default, deserialize_with = "said")]
    pub rpm: Option<Option<u64>>,
    /// Tokens per minute.
    #[serde(default, deserialize_with = "said")]
    pub tpm: Option<Option<u64>>,
    /// Money per minute, in dollars: `0.50`. Text, never a number.
    #[serde(default, deserialize_with = "said")]
    pub usd_per_minute: Option<Option<String>>,
    /// Requests at once.
    #[serde(default, deserialize_with = "said")]
    pub concurrency: Option<Option<u64>>,
    /// All budgets, each as [`weighbridge_access::Budget`] reads it.
    #[serde(default)]
    pub budgets: Option<Vec<String>>,
    /// Labels that a provider must have to be sent anything: `region=eu,law=gdpr`; `null` for none. All of them.
    #[serde(default, deserialize_with = "said")]
    pub require: Option<Option<String>>,
    /// What a tenant's wallet may owe, in dollars: `0` for prepaid, `null` for no wallet. Keys have none.
    #[serde(default, deserialize_with = "said")]
    pub credit_limit_usd: Option<Option<String>>,
    /// Whether a tenant's requests go out on provider keys of its own: `prefer`, `require`, `off`; `null` leaves it to
    /// its organisation. Keys have none.
    #[serde(default, deserialize_with = "said")]
    pub own_keys: Option<Option<String>>,
    /// What a tenant's requests cost beside the provider's cost, `null` for what the configuration says. All of it:
    /// what is absent in it is zero. Keys have none.
    #[serde(default, deserialize_with = "said")]
    pub markup: Option<Option<ChargesText>>,
    /// What a tenant owes for requests on provider keys of its own, `null` for what the configuration says. All of it:
    /// what is absent in it is zero. Keys have none.
    #[serde(default, deserialize_with = "said")]
    pub surcharge: Option<Option<ChargesText>>,
    /// What a tenant owes for the service each month, in dollars, whatever it uses; `null` for nothing. Keys have none.
    #[serde(default, deserialize_with = "said")]
    pub subscription_usd: Option<Option<String>>,
    /// When it ends: `2027-01-31` or `2027-01-31T12:00:00Z`.
    #[serde(default, deserialize_with = "said")]
    pub expires: Option<Option<String>>,
    /// Whether it is refused until further notice.
    #[serde(default)]
    pub blocked: Option<bool>,
}

/// Tells `null` from nothing.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// The parts of a definition that can be changed.
pub(crate) struct Changed<'a> {
    models: &'a mut ModelScope,
    limits: &'a mut Limits,
    budgets: &'a mut Vec<Budget>,
    require: &'a mut Labels,
    /// Of tenants only.
    credit_limit: Option<&'a mut Option<NanoUsd>>,
    /// Of tenants only.
    own_keys: Option<&'a mut Option<OwnKeys>>,
    /// Of tenants only.
    markup: Option<&'a mut Option<Charges>>,
    /// Of tenants only.
    surcharge: Option<&'a mut Option<Charges>>,
    /// Of tenants only.
    subscription: Option<&'a mut Option<NanoUsd>>,
    expires: &'a mut Option<Timestamp>,
    blocked: &'a mut bool,
}

impl<'a> From<&'a mut VirtualKey> for Changed<'a> {
    fn from(key: &'a mut VirtualKey) -> Self {
        let VirtualKey { models, limits, budgets, require, expires, blocked, .. } = key;
        Self {
            models,
            limits,
            budgets,
            require,
            credit_limit: None,
            own_keys: None,
            markup: None,
            surcharge: None,
            subscription: None,
            expires,
            blocked,
        }
    }
}

impl<'a> From<&'a mut Tenant> for Changed<'a> {
    fn from(tenant: &'a mut Tenant) -> Self {
        Self {
            models: &mut tenant.models,
            limits: &mut tenant.limits,
            budgets: &mut tenant.budgets,
            require: &mut tenant.require,
            credit_limit: Some(&mut tenant.credit_limit),
            own_keys: Some(&mut tenant.own_keys),
            markup: Some(&mut tenant.markup),
            surcharge: Some(&mut tenant.surcharge),
            subscription: Some(&mut tenant.subscription),
            expires: &mut tenant.expires,
            blocked: &mut tenant.blocked,
        }
    }
}

impl Change {
    /// Whether it blocks, or ends a block.
    pub fn blocking(blocked: bool) -> Self {
        Self { blocked: Some(blocked), ..Self::default() }
    }

    /// Applies it to a definition, which is checked by whoever owns it.
    pub(crate) fn apply<'a>(&self, to: impl Into<Changed<'a>>, now: Timestamp) -> Result<(), AdminError> {
        let Changed {
            models,
            limits,
            budgets,
            require,
            credit_limit,
            own_keys,
            markup,
            surcharge,
            subscription,
            expires,
            blocked,
        } = to.into();
        match &self.models {
            Some(Some(patterns)) => {
                *models = ModelScope::Only(read_all(patterns).map_err(AdminError::definition)?)
            }
            Some(None) => *models = ModelScope::All,
            None => {}
        }
        for (limit, said) in [
            (&mut limits.rpm, self.rpm),
            (&mut limits.tpm, self.tpm),
            (&mut limits.concurrency, self.concurrency),
        ] {
            *limit = said.unwrap_or(*limit);
        }
        if let Some(said) = &self.usd_per_minute {
            limits.usd_per_minute = said.as_deref().map(|text| money("usd_per_minute", text)).transpose()?;
        }
        if let Some(texts) = &self.budgets {
            *budgets = read_all(texts).map_err(AdminError::definition)?;
        }
        if let Some(said) = &self.require {
            *require = labels(said.as_deref().unwrap_or_default())?;
        }
        if let Some(said) = &self.credit_limit_usd {
            let whose = credit_limit.ok_or_else(|| {
                AdminError::invalid("credit_limit_usd", "a key has no wallet: give one to its tenant")
            })?;
            *whose = said.as_deref().map(|text| money("credit_limit_usd", text)).transpose()?;
        }
        if let Some(said) = &self.own_keys {
            let whose = own_keys.ok_or_else(|| {
                AdminError::invalid("own_keys", "a key has no provider keys: say it of its tenant")
            })?;
            let policy = |name: &str| {
                let known = OwnKeys::from_name(name);
                known.ok_or_else(|| AdminError::invalid("own_keys", "write prefer, require or off"))
            };
            *whose = said.as_deref().map(policy).transpose()?;
        }
        if let Some(said) = &self.markup {
            let whose = markup.ok_or_else(|| {
                AdminError::invalid("markup", "a key has no mark-up: give one to its tenant")
            })?;
            *whose = said.as_ref().map(|text| text.read("markup")).transpose()?;
        }
        if let Some(said) = &self.surcharge {
            let whose = surcharge.ok_or_else(|| {
                AdminError::invalid("surcharge", "a key has no surcharge: give one to its tenant")
            })?;
            *whose = said.as_ref().map(|text| text.read("surcharge")).transpose()?;
        }
        if let Some(said) = &self.subscription_usd {
            let whose = subscription.ok_or_else(|| {
                AdminError::invalid("subscription_usd", "a key has no subscription: give one to its tenant")
            })?;
            *whose = said.as_deref().map(|text| money("subscription_usd", text)).transpose()?;
        }
        if let Some(said) = &self.expires {
            *expires = said.as_deref().map(|text| instant_after(text, now)).transpose()?;
        }
        *blocked = self.blocked.unwrap_or(*blocked);
        Ok(())
    }

    /// What was said, field by field, for the audit log.
    pub(crate) fn describe(&self) -> Vec<(String, String)> {
        fn shown<T: ToString>(said: Option<&Option<T>>) -> Option<String> {
            said.map(|value| value.as_ref().map_or_else(|| "none".to_owned(), T::to_string))
        }
        let models = self.models.as_ref().map(|said| said.as_ref().map(|models| models.join(" ")));
        // What was refused was never said.
        let text =
            |text: &ChargesText| text.read("markup").map_or_else(|why| why.to_string(), |c| c.to_string());
        let markup = self.markup.as_ref().map(|said| said.as_ref().map(text));
        let surcharge = self.surcharge.as_ref().map(|said| said.as_ref().map(text));
        let fields = [
            ("models", shown(models.as_ref())),
            ("rpm", shown(self.rpm.as_ref())),
            ("tpm", shown(self.tpm.as_ref())),
            ("usd_per_minute", shown(self.usd_per_minute.as_ref())),
            ("concurrency", shown(self.concurrency.as_ref())),
            ("budgets", self.budgets.as_ref().map(|budgets| budgets.join("; "))),
            ("require", shown(self.require.as_ref())),
            ("credit_limit_usd", shown(self.credit_limit_usd.as_ref())),
            ("own_keys", shown(self.own_keys.as_ref())),
            ("markup", shown(markup.as_ref())),
            ("surcharge", shown(surcharge.as_ref())),
            ("subscription_usd", shown(self.subscription_usd.as_ref())),
            ("expires", shown(self.expires.as_ref())),
            ("blocked", self.blocked.map(|blocked| blocked.to_string())),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
