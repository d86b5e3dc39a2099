//! Who used how much, and what that cost: from the ledger's roll-ups, and from the request log where only that knows.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use weighbridge_access::{TenantName, VirtualKey};
use weighbridge_ledger::{EntityId, Rollup, RollupQuery, UsageBy, UsageKey, UsageQuery};
use weighbridge_records::LoggedRequest;
use weighbridge_units::{KeyId, NanoUsd, Timestamp, Usage};

use crate::new_key::instant;
use crate::service::Names;
use crate::{Actor, AdminError, AdminService};

/// Records of the log that are read at once.
const LOG_PAGE: usize = 1_000;
const HOUR_SECS: i64 = 3_600;
const DAY_SECS: i64 = 86_400;
/// Groups that one answer may have: names of end users and tags are for clients to make up.
const GROUPS_MOST: usize = 100_000;

/// What is asked about usage. Text, as a command line or a query string has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageQuestion {
    /// Told apart by `key`, which it is if absent, `team`, `organisation`, `model`, `provider`, `day`; or, as far as the
    /// request log goes back, by `alias`, `end-user` or `tag:NAME`.
    #[serde(default)]
    pub by: Option<String>,
    /// From this day or instant on (UTC); the first of the month, if absent.
    #[serde(default)]
    pub from: Option<String>,
    /// Before this day or instant (UTC); until now, if absent.
    #[serde(default)]
    pub to: Option<String>,
    /// Of one key only, by its public id.
    #[serde(default)]
    pub key: Option<String>,
}

/// Usage of a period, told apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsageView {
    /// Told apart by what.
    pub by: String,
    /// From when on.
    pub from: String,
    /// Before when.
    pub to: String,
    /// `ledger`, or `request-log`, which goes back less far and may have dropped records under load.
    pub source: &'static str,
    /// A line for each, dearest first.
    pub lines: Vec<UsageLine>,
    /// All lines together.
    pub total: UsageLine,
}

/// What was used by one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UsageLine {
    /// Which one: of a key, its public id.
    pub group: String,
    /// What people call it, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Attempts at providers, failed ones included.
    pub attempts: u64,
    /// Of these, successes.
    pub succeeded: u64,
    /// Of these, ones whose usage was estimated.
    pub estimated: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers, reasoning included.
    pub answer_tokens: u64,
    /// Used, by bucket.
    pub usage: BTreeMap<&'static str, u64>,
    /// What was charged, in dollars.
    pub charged_usd: String,
    /// What providers charge, in dollars: for the administrator of the installation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// Charged less cost, in dollars: for the administrator of the installation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin_usd: Option<String>,
}

/// What routes with a baseline saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavingsView {
    /// Told apart by what.
    pub by: String,
    /// From when on.
    pub from: String,
    /// Before when.
    pub to: String,
    /// A line for each, the largest saving first.
    pub lines: Vec<SavingsLine>,
    /// All lines together.
    pub total: SavingsLine,
}

/// What requests cost, and would have at their baseline. Costs are the providers', whoever pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavingsLine {
    /// Which one.
    pub group: String,
    /// Requests that were compared.
    pub requests: u64,
    /// What they cost, failed attempts included, in dollars.
    pub real_usd: String,
    /// What the same usage would have cost at the baseline.
    pub baseline_usd: String,
    /// The difference; below zero where the baseline is cheaper.
    pub saved_usd: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    Key,
    Team,
    Organisation,
    Model,
    Provider,
    Day,
    Alias,
    EndUser,
    Tag(String),
}

impl By {
    fn read(text: Option<&str>) -> Result<Self, AdminError> {
        Ok(match text.unwrap_or("key") {
            "key" => Self::Key,
            "team" => Self::Team,
            "organisation" => Self::Organisation,
            "model" => Self::Model,
            "provider" => Self::Provider,
            "day" => Self::Day,
            "alias" => Self::Alias,
            "end-user" => Self::EndUser,
            other => match other.strip_prefix("tag:").filter(|name| !name.is_empty()) {
                Some(name) => Self::Tag(name.to_owned()),
                None => {
                    let known = "key, team, organisation, model, provider, day, alias, end-user, or tag:NAME";
                    return Err(AdminError::invalid("by", known));
                }
            },
        })
    }

    fn shown(&self) -> String {
        match self {
            Self::Key => "key".to_owned(),
            Self::Team => "team".to_owned(),
            Self::Organisation => "organisation".to_owned(),
            Self::Model => "model".to_owned(),
            Self::Provider => "provider".to_owned(),
            Self::Day => "day".to_owned(),
            Self::Alias => "alias".to_owned(),
            Self::EndUser => "end-user".to_owned(),
            Self::Tag(name) => format!("tag:{name}"),
        }
    }

    /// What the ledger is to tell apart; `None` where only the log knows.
    const fn in_ledger(&self) -> Option<UsageBy> {
        match self {
            Self::Key | Self::Team | Self::Organisation => Some(UsageBy::Key),
            Self::Model | Self::Provider => Some(UsageBy::Model),
            Self::Day => Some(UsageBy::Day),
            Self::Alias | Self::EndUser | Self::Tag(_) => None,
        }
    }

    /// The group of a request, as the log has it. Whoever says nothing is one together.
    fn of_request(&self, request: &LoggedRequest) -> String {
        let none = || "-".to_owned();
        match self {
            Self::Key => request.key().map_or_else(none, str::to_owned),
            Self::Team | Self::Organisation => {
                let tenant = request.tenant().and_then(|name| TenantName::new(name).ok());
                tenant.map_or_else(none, |tenant| self.of_tenant(&tenant))
            }
            Self::Alias => request.model.clone(),
            Self::EndUser => request.end_user.clone().unwrap_or_else(none),
            Self::Tag(name) => request.tags.get(name).cloned().unwrap_or_else(none),
            Self::Day => date(request.at.as_secs().div_euclid(DAY_SECS)),
            Self::Model | Self::Provider => {
                let answered = request.attempts.last();
                answered.map_or_else(none, |attempt| match self {
                    Self::Provider => attempt.provider.clone(),
                    _ => format!("{}/{}", attempt.provider, attempt.model),
                })
            }
        }
    }

    fn of_tenant(&self, tenant: &TenantName) -> String {
        match self {
            Self::Organisation => tenant.organisation().to_owned(),
            // Keys of an organisation itself are no team's.
            _ => tenant.team().map_or_else(|| tenant.organisation().to_owned(), |team| team.to_string()),
        }
    }
}

/// A question, understood.
struct Asked {
    by: By,
    from: Timestamp,
    until: Timestamp,
    key: Option<KeyId>,
}

/// What one group used.
#[derive(Default, Clone)]
struct Sum {
    attempts: i64,
    succeeded: i64,
    estimated: i64,
    usage: Usage,
    cost: i128,
    charged: i128,
}

impl Sum {
    fn rollup(&mut self, rollup: &Rollup) {
        self.attempts = self.attempts.saturating_add(rollup.attempts);
        self.succeeded = self.succeeded.saturating_add(rollup.succeeded);
        self.estimated = self.estimated.saturating_add(rollup.estimated);
        self.used(&rollup.usage());
        self.cost += i128::from(rollup.cost.get());
        self.charged += i128::from(rollup.charged.get());
    }

    fn used(&mut self, usage: &Usage) {
        for (bucket, count) in usage.iter().filter(|(_, count)| *count > 0) {
            self.usage.set(bucket, self.usage.get(bucket).saturating_add(count));
        }
    }

    fn add(&mut self, other: &Self) {
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.succeeded = self.succeeded.saturating_add(other.succeeded);
        self.estimated = self.estimated.saturating_add(other.estimated);
        self.used(&other.usage);
        self.cost += other.cost;
        self.charged += other.charged;
    }

    fn line(&self, group: String, name: Option<String>, shows_cost: bool) -> UsageLine {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        UsageLine {
            group,
            name,
            attempts: count(self.attempts),
            succeeded: count(self.succeeded),
            estimated: count(self.estimated),
            prompt_tokens: self.usage.prompt(),
            answer_tokens: self.usage.answer(),
            usage: self.usage.iter().map(|(bucket, count)| (bucket.as_str(), count)).collect(),
            charged_usd: usd(self.charged),
            cost_usd: shows_cost.then(|| usd(self.cost)),
            margin_usd: shows_cost.then(|| usd(self.charged - self.cost)),
        }
    }
}

impl AdminService {
    /// Who used how much in a period. Administrators of tenants see what lies within theirs, and what it was
    /// charged, not what it cost.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] names what cannot be understood, [`AdminError::NotFound`] is a key that is not there for
    /// the actor; the others say what failed.
    pub async fn usage(&self, actor: &Actor, question: &UsageQuestion) -> Result<UsageView, AdminError> {
        let asked = self.understand(question)?;
        let (source, sums) = match asked.by.in_ledger() {
            Some(by) => ("ledger", self.usage_in_ledger(actor, &asked, by).await?),
            None => ("request-log", self.usage_in_log(actor, &asked).await?),
        };
        let shows_cost = actor.is_of_installation();
        let mut total = Sum::default();
        sums.values().for_each(|(_, sum)| total.add(sum));
        let mut sums: Vec<_> = sums.into_iter().collect();
        if asked.by != By::Day {
            sums.sort_by_key(|(_, (_, sum))| std::cmp::Reverse((sum.charged, sum.cost, sum.attempts)));
        }
        let lines = sums.into_iter().map(|(group, (name, sum))| sum.line(group, name, shows_cost));
        Ok(UsageView {
            by: asked.by.shown(),
            from: asked.from.to_string(),
            to: asked.until.to_string(),
            source,
            lines: lines.collect(),
            total: total.line("all".to_owned(), None, shows_cost),
        })
    }

    /// What requests of routes with a baseline saved, as far as the request log goes back.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for administrators of tenants, as it shows costs; else as [`Self::usage`].
    pub async fn savings(&self, actor: &Actor, question: &UsageQuestion) -> Result<SavingsView, AdminError> {
        if !actor.is_of_installation() {
            return Err(AdminError::forbidden("costs are for the administrator of the installation"));
        }
        let with_alias =
            UsageQuestion { by: question.by.clone().or(Some("alias".to_owned())), ..question.clone() };
        let asked = self.understand(&with_alias)?;
        let mut sums: BTreeMap<String, (u64, i128, i128)> = BTreeMap::new();
        self.each_request(actor, &asked, |request| {
            let compared = request.attempts.iter().filter_map(|attempt| attempt.baseline.as_ref());
            let baseline: Vec<i128> = compared.map(|baseline| i128::from(baseline.cost.get())).collect();
            if baseline.is_empty() {
                return Ok(());
            }
            let real: i128 = request.attempts.iter().map(|attempt| i128::from(attempt.cost.get())).sum();
            let (count, real_sum, baseline_sum) = group(&mut sums, asked.by.of_request(request))?;
            *count += 1;
            *real_sum += real;
            *baseline_sum += baseline.iter().sum::<i128>();
            Ok(())
        })
        .await?;
        let total = sums.values().fold((0, 0, 0), |(a, b, c), (x, y, z)| (a + x, b + y, c + z));
        let line = |group: String, (requests, real, baseline): (u64, i128, i128)| SavingsLine {
            group,
            requests,
            real_usd: usd(real),
            baseline_usd: usd(baseline),
            saved_usd: usd(baseline - real),
        };
        let mut lines: Vec<_> = sums.into_iter().collect();
        if asked.by != By::Day {
            lines.sort_by_key(|(_, (_, real, baseline))| real - baseline);
        }
        Ok(SavingsView {
            by: asked.by.shown(),
            from: asked.from.to_string(),
            to: asked.until.to_string(),
            lines: lines.into_iter().map(|(group, sum)| line(group, sum)).collect(),
            total: line("all".to_owned(), total),
        })
    }

    fn understand(&self, question: &UsageQuestion) -> Result<Asked, AdminError> {
        let now = self.now();
        let read = |field, text: &str| {
            instant(text).ok_or_else(|| {
                AdminError::invalid(field, "write a day such as 2026-11-01, or 2026-11-01T12:00:00Z")
            })
        };
        let from = question.from.as_deref().map(|text| read("from", text)).transpose()?;
        let until = question.to.as_deref().map(|text| read("to", text)).transpose()?;
        let (year, month, _) = now.date();
        let month = Timestamp::from_date(year, month, 1).unwrap_or_default();
        // What happens in this very moment is within.
        let until = until.unwrap_or(Timestamp::from_secs(now.as_secs() + 1));
        let from = from.unwrap_or(month);
        if until <= from {
            return Err(AdminError::invalid("to", "later than `from`"));
        }
        let key = question.key.as_deref().map(|text| {
            text.parse().map_err(|_| AdminError::invalid("key", "a key's public id has twelve characters"))
        });
        Ok(Asked { by: By::read(question.by.as_deref())?, from, until, key: key.transpose()? })
    }

    /// The keys that the actor may see.
    async fn seen_keys(&self, actor: &Actor) -> Result<HashMap<KeyId, VirtualKey>, AdminError> {
        let keys = self.keys.load_all().await.map_err(AdminError::from_store)?;
        let seen = keys.into_iter().filter(|key| actor.may_see(&key.tenant));
        Ok(seen.map(|key| (key.id, key)).collect())
    }

    async fn usage_in_ledger(
        &self,
        actor: &Actor,
        asked: &Asked,
        by: UsageBy,
    ) -> Result<BTreeMap<String, (Option<String>, Sum)>, AdminError> {
        let keys = self.seen_keys(actor).await?;
        let is_seen = |key: KeyId| actor.is_of_installation() || keys.contains_key(&key);
        if let Some(key) = asked.key.filter(|key| !is_seen(*key)) {
            return Err(AdminError::NotFound(key));
        }
        let until_hour = (asked.until.as_secs() + HOUR_SECS - 1).div_euclid(HOUR_SECS);
        let of = RollupQuery { key: asked.key, from_hour: asked.from.hour(), until_hour };
        let found = self.ledger().usage(UsageQuery { of, by }).await.map_err(AdminError::Ledger)?;
        let mut names = Names::default();
        let mut sums = BTreeMap::new();
        for (of, rollup) in found.iter().filter(|(of, _)| is_seen(of.key)) {
            let key = keys.get(&of.key);
            let (group, name) = match (&asked.by, of) {
                (By::Model | By::Provider, UsageKey { model: Some((provider, model)), .. }) => {
                    let mut name = async |id: EntityId| {
                        let name = names.of(self.ledger(), id).await?;
                        Ok::<_, AdminError>(name.unwrap_or_else(|| id.to_string()))
                    };
                    let provider = name(*provider).await?;
                    match asked.by {
                        By::Provider => (provider, None),
                        _ => (format!("{provider}/{}", name(*model).await?), None),
                    }
                }
                (By::Day, UsageKey { day: Some(day), .. }) => (date(*day), None),
                (by @ (By::Team | By::Organisation), _) => {
                    (key.map_or_else(|| "-".to_owned(), |key| by.of_tenant(&key.tenant)), None)
                }
                _ => (of.key.to_string(), key.map(|key| key.name.clone())),
            };
            let (_, sum) = sums.entry(group).or_insert_with(|| (name, Sum::default()));
            sum.rollup(rollup);
        }
        Ok(sums)
    }

    async fn usage_in_log(
        &self,
        actor: &Actor,
        asked: &Asked,
    ) -> Result<BTreeMap<String, (Option<String>, Sum)>, AdminError> {
        let mut sums: BTreeMap<String, (Option<String>, Sum)> = BTreeMap::new();
        self.each_request(actor, asked, |request| {
            if request.attempts.is_empty() {
                return Ok(());
            }
            let (_, sum) = group(&mut sums, asked.by.of_request(request))?;
            for attempt in &request.attempts {
                sum.attempts += 1;
                sum.succeeded += i64::from(attempt.outcome == "success");
                sum.estimated += i64::from(attempt.provenance == "estimated");
                sum.used(&attempt.usage);
                sum.cost += i128::from(attempt.cost.get());
                sum.charged += i128::from(attempt.charged.get());
            }
            Ok(())
        })
        .await?;
        Ok(sums)
    }

    /// Every logged request of the period that the actor may see.
    async fn each_request(
        &self,
        actor: &Actor,
        asked: &Asked,
        mut each: impl FnMut(&LoggedRequest) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let log = self.log()?;
        let key = asked.key.map(|key| key.to_string());
        let mut after = 0;
        loop {
            let page =
                log.between(asked.from, asked.until, after, LOG_PAGE).await.map_err(AdminError::Log)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, record) in &page {
                let request = LoggedRequest::read(record).map_err(AdminError::Record)?;
                let tenant = request.tenant().and_then(|name| TenantName::new(name).ok());
                let is_seen =
                    actor.is_of_installation() || tenant.is_some_and(|tenant| actor.may_see(&tenant));
                if is_seen && key.as_deref().is_none_or(|key| request.key() == Some(key)) {
                    each(&request)?;
                }
            }
        }
    }
}

/// The sum of a group.
fn group<T: Default>(sums: &mut BTreeMap<String, T>, name: String) -> Result<&mut T, AdminError> {
    if sums.len() >= GROUPS_MOST && !sums.contains_key(&name) {
        return Err(AdminError::invalid(
            "by",
            format!("there are more than {GROUPS_MOST}: ask for a shorter period"),
        ));
    }
    Ok(sums.entry(name).or_default())
}

fn date(day: i64) -> String {
    let (year, month, day) = Timestamp::from_secs(day.saturating_mul(DAY_SECS)).date();
    format!("{year:04}-{month:02}-{day:02}")
}

/// Sums of a ledger fit, as its balances do.
fn usd(nanos: i128) -> String {
    let fits = i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX });
    NanoUsd::new(fits).to_string()
}
