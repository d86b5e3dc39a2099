use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use weighbridge_access::{Budget, BudgetLimit, ModelScope, OwnKeys, Tenant, VirtualKey};
use weighbridge_ledger::{AccountId, Balance, Measure, Quantity, Used, Verification};
use weighbridge_units::{AttemptId, KeyId, Timestamp};

use crate::{Actor, ChargesText};

/// A key as it may be shown. It holds neither secret nor hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// The public id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Who it belongs to.
    pub tenant: String,
    /// Whether it works.
    pub state: KeyState,
    /// The models that it may use; `null` for all.
    pub models: Option<Vec<String>>,
    /// Requests per minute; `null` for no limit.
    pub rpm: Option<u64>,
    /// Tokens per minute; `null` for no limit.
    pub tpm: Option<u64>,
    /// Money per minute, in dollars; `null` for no limit.
    pub usd_per_minute: Option<String>,
    /// Requests at once; `null` for no limit.
    pub concurrency: Option<u64>,
    /// How much it may use per period, beside what its team and organisation may.
    pub budgets: Vec<BudgetView>,
    /// Address ranges that it may be used from; empty for all.
    pub ip_allow: Vec<String>,
    /// Pages that it may be used from; empty for all.
    pub referrers: Vec<String>,
    /// Tags that its requests bear.
    pub tags: String,
    /// Labels that a provider must have to be sent anything of its, beside what its team and organisation demand.
    pub require: String,
    /// What to do about losses; `null` for the gateway's setting.
    pub loss_policy: Option<&'static str>,
    /// Whether answers may be kept beyond their request.
    pub allow_store: bool,
    /// Whether it may make native calls.
    pub native: bool,
    /// How long prompts are cached that the client has not marked itself; `null` for not at all.
    pub prompt_cache: Option<&'static str>,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// From when on it is refused.
    pub expires: Option<String>,
    /// When it was taken back.
    pub revoked: Option<String>,
}

/// A budget as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetView {
    /// What is counted: `usd`, `tokens` or `requests`.
    pub unit: &'static str,
    /// The most that may be used in a period; dollars exactly: `25.000000000`.
    pub limit: String,
    /// The period: `day`, `week`, `month` or `total`.
    pub period: &'static str,
    /// Whose days, weeks and months these are.
    pub zone: String,
    /// Which requests are counted: `all`, `user`, `model:…` or `tag:…`.
    #[serde(rename = "for")]
    pub counts: String,
    /// What happens beyond: `block`, `alert` or `downgrade:…`.
    pub on_exceed: String,
    /// At how many percent an alert is raised.
    pub thresholds: Vec<u16>,
}

impl BudgetView {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self {
            unit: budget.limit.unit(),
            limit: match budget.limit {
                BudgetLimit::Usd(limit) => limit.to_string(),
                BudgetLimit::Tokens(limit) | BudgetLimit::Requests(limit) => limit.to_string(),
            },
            period: budget.period.as_str(),
            zone: budget.zone.to_string(),
            counts: budget.counts.to_string(),
            on_exceed: budget.on_exceed.to_string(),
            thresholds: budget.thresholds.clone(),
        }
    }
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It is refused until further notice.
    Blocked,
    /// It was taken back.
    Revoked,
}

impl KeyView {
    pub(crate) fn new(key: &VirtualKey, now: Timestamp) -> Self {
        let state = match (key.revoked, key.is_alive(now)) {
            (Some(_), _) => KeyState::Revoked,
            (None, _) if key.blocked => KeyState::Blocked,
            (None, true) => KeyState::Active,
            (None, false) => KeyState::Expired,
        };
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            tenant: key.tenant.to_string(),
            state,
            models: match &key.models {
                ModelScope::All => None,
                ModelScope::Only(patterns) => Some(texts(patterns)),
            },
            rpm: key.limits.rpm,
            tpm: key.limits.tpm,
            usd_per_minute: key.limits.usd_per_minute.map(|limit| limit.to_string()),
            concurrency: key.limits.concurrency,
            budgets: key.budgets.iter().map(BudgetView::new).collect(),
            ip_allow: texts(&key.ip_allow),
            referrers: texts(&key.referrers),
            tags: key.tags.to_string(),
            require: key.require.to_string(),
            loss_policy: key.loss_policy.map(|policy| policy.as_str()),
            allow_store: key.allow_store,
            native: key.native,
            prompt_cache: key.prompt_cache.map(|policy| policy.as_str()),
            created: key.created.to_string(),
            expires: key.expires.map(|at| at.to_string()),
            revoked: key.revoked.map(|at| at.to_string()),
        }
    }
}

/// An organisation or a team as it may be shown. What is `null` is no restriction of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantView {
    /// The name.
    pub name: String,
    /// The organisation of a team.
    pub organisation: Option<String>,
    /// Whether its keys work.
    pub state: KeyState,
    /// The models that its keys may use.
    pub models: Option<Vec<String>>,
    /// Requests per minute of all its keys.
    pub rpm: Option<u64>,
    /// Tokens per minute of all its keys.
    pub tpm: Option<u64>,
    /// Money per minute of all its keys, in dollars.
    pub usd_per_minute: Option<String>,
    /// Requests at once of all its keys.
    pub concurrency: Option<u64>,
    /// How much its keys may use per period.
    pub budgets: Vec<BudgetView>,
    /// What it may owe, in dollars, if it has a wallet.
    pub credit_limit_usd: Option<String>,
    /// Labels that a provider must have to be sent anything of its keys', beside what its organisation demands.
    pub require: String,
    /// Whether its requests go out on provider keys of its own: `prefer`, `require` or `off`; `null` leaves it to its
    /// organisation.
    pub own_keys: Option<&'static str>,
    /// What its requests cost beside the provider's cost, where that is not as configured. Shown to whoever
    /// administers the installation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markup: Option<ChargesText>,
    /// What it owes for requests on provider keys of its own, where that is not as configured.
    pub surcharge: Option<ChargesText>,
    /// What it owes for the service each month, in dollars.
    pub subscription_usd: Option<String>,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// From when on its keys are refused.
    pub expires: Option<String>,
}

impl TenantView {
    pub(crate) fn new(tenant: &Tenant, now: Timestamp) -> Self {
        Self {
            name: tenant.name.to_string(),
            organisation: tenant.name.parent().map(|parent| parent.to_string()),
            state: match (tenant.blocked, tenant.is_alive(now)) {
                (true, _) => KeyState::Blocked,
                (false, true) => KeyState::Active,
                (false, false) => KeyState::Expired,
            },
            models: match &tenant.models {
                ModelScope::All => None,
                ModelScope::Only(patterns) => Some(texts(patterns)),
            },
            rpm: tenant.limits.rpm,
            tpm: tenant.limits.tpm,
            usd_per_minute: tenant.limits.usd_per_minute.map(|limit| limit.to_string()),
            concurrency: tenant.limits.concurrency,
            budgets: tenant.budgets.iter().map(BudgetView::new).collect(),
            credit_limit_usd: tenant.credit_limit.map(|limit| limit.to_string()),
            require: tenant.require.to_string(),
            own_keys: tenant.own_keys.map(OwnKeys::as_str),
            markup: tenant.markup.map(ChargesText::of),
            surcharge: tenant.surcharge.map(ChargesText::of),
            subscription_usd: tenant.subscription.map(|amount| amount.to_string()),
            created: tenant.created.to_string(),
            expires: tenant.expires.map(|at| at.to_string()),
        }
    }
}

impl TenantView {
    /// What the actor may see of it.
    pub(crate) fn for_actor(self, actor: &Actor) -> Self {
        let markup = self.markup.filter(|_| actor.is_of_installation());
        Self { markup, ..self }
    }
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

/// A key that was just made, or that was given another secret: the one moment to read it.
#[derive(Debug)]
pub struct CreatedKey {
    /// The key as it may be shown later on too.
    pub view: KeyView,
    pub(crate) secret: SecretString,
}

impl CreatedKey {
    /// The whole key, `wb-<id>-<secret>`. Show it once, and keep it nowhere.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

/// What verifying the ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerificationView {
    /// Whether nothing is wrong.
    pub sound: bool,
    /// Rows that were read.
    pub rows: u64,
    /// The last row's number.
    pub last_row: u64,
    /// What is wrong, a sentence each.
    pub faults: Vec<String>,
}

impl VerificationView {
    pub(crate) fn new(found: &Verification) -> Self {
        Self {
            sound: found.is_sound(),
            rows: found.rows,
            last_row: found.last_seq,
            faults: found.faults.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What one ended attempt used and cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// The id, which the provider was sent as `x-client-request-id`.
    pub attempt: String,
    /// The public id of the key that asked.
    pub key: String,
    /// The provider, unless the name is unknown or was erased.
    pub provider: Option<String>,
    /// The provider's model, unless the name is unknown or was erased.
    pub model: Option<String>,
    /// How it ended.
    pub outcome: &'static str,
    /// Where the usage comes from.
    pub provenance: &'static str,
    /// By bucket.
    pub usage: BTreeMap<&'static str, u64>,
    /// The provider's cost, in dollars.
    pub cost_usd: String,
    /// What the tenant was charged, in dollars.
    pub charged_usd: String,
}

impl AttemptView {
    pub(crate) fn new(
        attempt: AttemptId,
        key: KeyId,
        provider: Option<String>,
        model: Option<String>,
        used: &Used,
    ) -> Self {
        Self {
            attempt: attempt.to_string(),
            key: key.to_string(),
            provider,
            model,
            outcome: used.outcome.as_str(),
            provenance: used.provenance.as_str(),
            usage: used.usage.iter().map(|(bucket, count)| (bucket.as_str(), count)).collect(),
            cost_usd: used.cost.to_string(),
            charged_usd: used.charged.to_string(),
        }
    }
}

/// An account of the ledger. Debits make a balance positive, credits negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BalanceView {
    /// The account: book, kind, entity.
    pub account: String,
    /// `platform`, `surcharge` or `usage`: never added to each other.
    pub book: &'static str,
    /// What the account is for.
    pub kind: &'static str,
    /// Whose it is, unless the name is unknown or was erased.
    pub name: Option<String>,
    /// What the account counts: `usd`, `tokens` or `requests`.
    pub measure: &'static str,
    /// What has happened: dollars as a decimal, else a whole number.
    pub posted: String,
    /// What open attempts have reserved, alike.
    pub pending: String,
}

impl BalanceView {
    pub(crate) fn new(account: AccountId, balance: Balance, name: Option<String>) -> Self {
        Self {
            account: account.to_string(),
            book: account.book().as_str(),
            kind: account.kind().as_str(),
            name,
            measure: account.measure().as_str(),
            posted: shown(account.measure(), balance.posted),
            pending: shown(account.measure(), balance.pending),
        }
    }
}

pub(crate) fn shown(measure: Measure, quantity: Quantity) -> String {
    match measure {
        Measure::Usd => quantity.usd().to_string(),
        Measure::Tokens | Measure::Requests => quantity.get().to_string(),
    }
}
