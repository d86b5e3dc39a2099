use serde::Deserialize;
use weighbridge_access::{
    Budget, BudgetLimit, BudgetPeriod, InvalidDefinition, KeyHash, Limits, LossPolicy, ModelScope,
    PromptCache, TenantName, VirtualKey,
};
use weighbridge_units::{KeyId, Labels, NanoUsd, Timestamp};

use crate::AdminError;

/// What a new key is to be, as people write it. Only name and tenant are required.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// Who it belongs to: `acme` or `acme/search`.
    pub tenant: String,
    /// Names of models, or beginnings followed by `*`; absent for all.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// Requests per minute.
    #[serde(default)]
    pub rpm: Option<u64>,
    /// Tokens per minute.
    #[serde(default)]
    pub tpm: Option<u64>,
    /// Money per minute, in dollars: `0.50`. Text, never a number.
    #[serde(default)]
    pub usd_per_minute: Option<String>,
    /// Requests at once.
    #[serde(default)]
    pub concurrency: Option<u64>,
    /// The most that may be spent in a period, in dollars: `25.00`. Text, never a number. Short for a budget.
    #[serde(default)]
    pub budget_usd: Option<String>,
    /// The period of that budget: `day`, `week`, `month`, which is what it is if absent, or `total`.
    #[serde(default)]
    pub budget_period: Option<String>,
    /// Budgets, each as [`weighbridge_access::Budget`] reads it: `tokens=1000000 period=day zone=Europe/Berlin`.
    #[serde(default)]
    pub budgets: Vec<String>,
    /// Address ranges that it may be used from; empty for all.
    #[serde(default)]
    pub ip_allow: Vec<String>,
    /// Pages that it may be used from; empty for all.
    #[serde(default)]
    pub referrers: Vec<String>,
    /// Tags that its requests bear: `env=prod,feature=search`.
    #[serde(default)]
    pub tags: String,
    /// Labels that a provider must have to be sent anything of its: `region=eu,law=gdpr`.
    #[serde(default)]
    pub require: String,
    /// `allow`, `warn` or `reject`; absent for the gateway's setting.
    #[serde(default)]
    pub loss_policy: Option<String>,
    /// Whether answers may be kept beyond their request, here and at providers; absent for yes.
    #[serde(default)]
    pub allow_store: Option<bool>,
    /// Whether it may make native calls: any call of a provider, with the installation's credentials there.
    #[serde(default)]
    pub native: bool,
    /// How long prompts are cached that the client has not marked itself: `5m` or `1h`; absent for not at all.
    #[serde(default)]
    pub prompt_cache: Option<String>,
    /// When it ends: a day such as `2027-01-31` (its first moment in UTC), or `2027-01-31T12:00:00Z`.
    #[serde(default)]
    pub expires: Option<String>,
}

impl NewKey {
    /// A key with a name and a tenant and no restriction.
    pub fn named(name: &str, tenant: &str) -> Self {
        Self { name: name.to_owned(), tenant: tenant.to_owned(), ..Self::default() }
    }

    /// The definition, under an id and with the hash of a secret.
    pub(crate) fn define(&self, id: KeyId, hash: KeyHash, now: Timestamp) -> Result<VirtualKey, AdminError> {
        let refuse = AdminError::definition;
        let tenant = TenantName::new(&self.tenant).map_err(refuse)?;
        if !tenant.is_proper() {
            return Err(refuse(InvalidDefinition::TenantPath(self.tenant.clone())));
        }
        let mut key = VirtualKey::new(id, &self.name, tenant, hash, now);
        if let Some(models) = &self.models {
            key.models = ModelScope::Only(read_all(models).map_err(refuse)?);
        }
        key.limits = Limits {
            rpm: self.rpm,
            tpm: self.tpm,
            usd_per_minute: self
                .usd_per_minute
                .as_deref()
                .map(|text| money("usd_per_minute", text))
                .transpose()?,
            concurrency: self.concurrency,
        };
        key.budgets = self.budget()?.into_iter().collect();
        key.budgets.extend(read_all(&self.budgets).map_err(refuse)?);
        key.ip_allow = read_all(&self.ip_allow).map_err(refuse)?;
        key.referrers = read_all(&self.referrers).map_err(refuse)?;
        key.tags = self.tags.parse().map_err(refuse)?;
        key.require = labels(&self.require)?;
        if let Some(name) = &self.loss_policy {
            let policy = LossPolicy::from_name(name);
            let wrong = || AdminError::invalid("loss_policy", "write allow, warn or reject");
            key.loss_policy = Some(policy.ok_or_else(wrong)?);
        }
        key.allow_store = self.allow_store.unwrap_or(key.allow_store);
        key.native = self.native;
        if let Some(name) = &self.prompt_cache {
            let policy = PromptCache::from_name(name);
            let wrong = || AdminError::invalid("prompt_cache", "write 5m or 1h, or leave it out");
            key.prompt_cache = Some(policy.ok_or_else(wrong)?);
        }
        if let Some(text) = &self.expires {
            key.expires = Some(instant_after(text, now)?);
        }
        key.check().map_err(refuse)?;
        Ok(key)
    }

    fn budget(&self) -> Result<Option<Budget>, AdminError> {
        let period = match self.budget_period.as_deref() {
            None => BudgetPeriod::Month,
            Some(name) => BudgetPeriod::from_name(name)
                .ok_or_else(|| AdminError::invalid("budget_period", "write day, week, month or total"))?,
        };
        let Some(text) = &self.budget_usd else {
            return match self.budget_period {
                None => Ok(None),
                Some(_) => Err(AdminError::invalid("budget_usd", "a period needs an amount such as 25.00")),
            };
        };
        Ok(Some(Budget::new(BudgetLimit::Usd(money("budget_usd", text)?), period)))
    }
}

/// Reads a time that is yet to come.
pub(crate) fn instant_after(text: &str, now: Timestamp) -> Result<Timestamp, AdminError> {
    let end = instant(text).ok_or_else(|| {
        AdminError::invalid("expires", "write a day such as 2027-01-31, or 2027-01-31T12:00:00Z")
    })?;
    if end <= now {
        return Err(AdminError::invalid("expires", format!("{end} has passed: choose a later time")));
    }
    Ok(end)
}

pub(crate) fn money(field: &'static str, text: &str) -> Result<NanoUsd, AdminError> {
    text.parse().map_err(|why| AdminError::invalid(field, why))
}

/// Reads labels that are demanded.
pub(crate) fn labels(text: &str) -> Result<Labels, AdminError> {
    text.parse().map_err(|why| AdminError::invalid("require", why))
}

pub(crate) fn read_all<T: std::str::FromStr<Err = InvalidDefinition>>(
    texts: &[String],
) -> Result<Vec<T>, InvalidDefinition> {
    texts.iter().map(|text| text.parse()).collect()
}

/// Reads `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SSZ`.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time.strip_suffix('Z')?)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let midnight = Timestamp::from_date(i32::try_from(year).ok()?, month, day)?;
    let [hour, minute, second] = match time {
        Some(time) => numbers(time, ':', [2, 2, 2])?,
        None => [0; 3],
    };
    let exists = hour < 24 && minute < 60 && second < 60;
    let seconds = i64::from(hour * 3_600 + minute * 60 + second);
    exists.then(|| Timestamp::from_secs(midnight.as_secs() + seconds))
}

/// Three numbers of exactly so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(separator);
    let mut read = [0; 3];
    for (number, digits) in read.iter_mut().zip(digits) {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        *number = plain.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_226_938); // 2026-11-21T02:08:58Z

    fn define(key: &NewKey) -> Result<VirtualKey, AdminError> {
        key.define(KeyId::from_bits(1), KeyHash::from_bytes([0; 32]), NOW)
    }

    #[test]
    fn every_field_reaches_the_definition() {
        let text = r#"{"name":"n","tenant":"t","models":["openai/*"],"rpm":1,"tpm":2,"usd_per_minute":"0.5","concurrency":3,
            "budget_usd":"25.50","budget_period":"month","budgets":["tokens=5 period=day"],
            "ip_allow":["10.0.0.0/8"],"referrers":["https://a.example"],"tags":"b=1,a=2","require":"region=eu, law=x","loss_policy":"reject","allow_store":false,"native":true,"prompt_cache":"1h","expires":"2026-11-21T02:08:59Z"}"#;
        let key = define(&serde_json::from_str(text).unwrap()).unwrap();
        assert!(key.models.allows("openai/x") && !key.models.allows("x"));
        let usd_per_minute = Some(NanoUsd::new(500_000_000));
        assert_eq!(key.limits, Limits { rpm: Some(1), tpm: Some(2), usd_per_minute, concurrency: Some(3) });
        let tokens = Budget::new(BudgetLimit::Tokens(5), BudgetPeriod::Day);
        assert_eq!(key.budgets, [Budget::per_month(NanoUsd::new(25_500_000_000)), tokens]);
        assert_eq!(key.ip_allow[0].to_string(), "10.0.0.0/8");
        assert_eq!(key.referrers[0].to_string(), "https://a.example");
        assert_eq!(key.tags.to_string(), "a=2,b=1");
        assert_eq!(key.require.to_string(), "law=x,region=eu");
        assert_eq!(key.loss_policy, Some(LossPolicy::Reject));
        assert!(!key.allow_store && define(&NewKey::named("n", "t")).unwrap().allow_store);
        assert!(key.native && !define(&NewKey::named("n", "t")).unwrap().native);
        assert_eq!(key.prompt_cache, Some(PromptCache::OneHour));
        assert_eq!(key.expires, Some(Timestamp::from_secs(1_795_226_939)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let base = NewKey::named("n", "t");
        let some = |text: &str| Some(text.to_owned());
        let cases: [(&str, NewKey); 19] = [
            ("name", NewKey { name: String::new(), ..base.clone() }),
            ("tenant", NewKey { tenant: "a b".to_owned(), ..base.clone() }),
            ("models", NewKey { models: Some(vec!["*x".to_owned()]), ..base.clone() }),
            ("rpm, tpm, concurrency", NewKey { rpm: Some(u64::MAX), ..base.clone() }),
            ("budgets", NewKey { budget_usd: some("-1"), ..base.clone() }),
            ("usd_per_minute", NewKey { usd_per_minute: some("x"), ..base.clone() }),
            ("budgets", NewKey { budgets: vec!["usd=1 usd=2".to_owned()], ..base.clone() }),
            ("budgets", NewKey { budgets: vec!["usd=1".to_owned(); 2], ..base.clone() }),
            ("budget_usd", NewKey { budget_usd: some("1e3"), ..base.clone() }),
            ("budget_usd", NewKey { budget_period: some("month"), ..base.clone() }),
            ("budget_period", NewKey { budget_usd: some("1"), budget_period: some("year"), ..base.clone() }),
            ("ip_allow", NewKey { ip_allow: vec!["10.1.1.1/8".to_owned()], ..base.clone() }),
            ("referrers", NewKey { referrers: vec!["*".to_owned()], ..base.clone() }),
            ("tags", NewKey { tags: "x".to_owned(), ..base.clone() }),
            ("require", NewKey { require: "region".to_owned(), ..base.clone() }),
            ("loss_policy", NewKey { loss_policy: some("maybe"), ..base.clone() }),
            ("prompt_cache", NewKey { prompt_cache: some("2h"), ..base.clone() }),
            ("expires", NewKey { expires: some("2026-11-21"), ..base.clone() }),
            ("expires", NewKey { expires: some("tomorrow"), ..base }),
        ];
        for (field, key) in cases {
            let error = define(&key).unwrap_err();
            assert!(
                matches!(&error, AdminError::Invalid { field: found, .. } if *found == field),
                "{field}: {error}"
            );
        }
    }

    #[test]
    fn money_is_text() {
        assert!(serde_json::from_str::<NewKey>(r#"{"name":"n","tenant":"t","budget_usd":25.5}"#).is_err());
        assert!(serde_json::from_str::<NewKey>(r#"{"name":"n","tenant":"t","budget":"25"}"#).is_err());
    }

    #[test]
    fn times_are_read_exactly_or_not_at_all() {
        assert_eq!(instant("1970-01-02"), Some(Timestamp::from_secs(86_400)));
        assert_eq!(instant("1970-01-01T00:01:01Z"), Some(Timestamp::from_secs(61)));
        for wrong in [
            "",
            "1970-1-1",
            "2026-02-30",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T0:0:0Z",
            "+970-01-01",
            "1970-01-01-01",
        ] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }
}
