//! A restart refills no limit (rule C7): what the ledger saw in the last minute counts in the limits per minute.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use weighbridge_access::{LimitCells, LimitKind, LimitOwner, TenantName};
use weighbridge_ledger::{EntityId, Fact, LedgerError, LedgerStore, RollupKey, Used, journal_since};
use weighbridge_units::{KeyId, Timestamp};

use crate::compiled::Deployment;
use crate::pipeline::{Core, Pipeline};

/// How far back limits per minute look.
const WINDOW: Duration = Duration::from_secs(60);

/// Rows of the journal that are read at most, an attempt writing about three: a start must not take long. Who used
/// more than that in a minute begins with the last of it.
const ROWS_MOST: usize = 60_000;

/// An attempt of the last minute.
struct Recent {
    ago: Duration,
    of: RollupKey,
    used: Used,
}

impl Pipeline {
    /// Takes limits per minute up where they stood when the gateway was stopped or died, as far as the ledger tells.
    /// Called after the ledger's recovery, before the first request. How many attempts were counted.
    ///
    /// Each attempt counts as a request, so that one with a failover counts twice. A model's limits count what its
    /// targets were used for. Where limits are counted for all instances together, that count has outlived the
    /// restart, and nothing is done here.
    ///
    /// # Errors
    /// [`LedgerError`] where the journal cannot be read.
    pub async fn resume_limits(&self) -> Result<usize, LedgerError> {
        let core = &*self.core;
        if core.fleet.is_some() {
            return Ok(0);
        }
        let store = &**core.ledger.store();
        let recent = recent(store, core.env.now()).await?;
        let mut limited = limited(core);
        limited.extend(unnamed(core, store, &recent).await?);
        let (seen, now) = (Seen::of(&recent), core.env.monotonic());
        for limited in &limited {
            let counted = seen.by(&limited.whose);
            for kind in [LimitKind::Rpm, LimitKind::Tpm, LimitKind::UsdPerMinute] {
                let Some(cell) = limited.cells.cell(kind) else { continue };
                cell.resume(counted.iter().map(|it| (it.ago, limited.units(kind, &it.used))), now);
            }
        }
        Ok(recent.len())
    }
}

/// The attempts of the last minute.
async fn recent(store: &dyn LedgerStore, now: Timestamp) -> Result<Vec<Recent>, LedgerError> {
    let window = i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX);
    let since = Timestamp::from_micros(now.as_micros().saturating_sub(window));
    let rows = journal_since(store, since, ROWS_MOST).await?;
    let recent = rows.into_iter().filter_map(|row| match row.entry.fact {
        // Late figures come with those that they replace, which are counted.
        Fact::Used { rollup, used, replaces: None, .. } => {
            Some(Recent { ago: row.entry.at.until(now), of: rollup, used })
        }
        _ => None,
    });
    Ok(recent.collect())
}

/// The attempts by whom they count for: with many keys, each must not look at all of them.
struct Seen<'a> {
    by_key: HashMap<KeyId, Vec<&'a Recent>>,
    by_deployment: HashMap<(EntityId, EntityId), Vec<&'a Recent>>,
}

impl<'a> Seen<'a> {
    fn of(recent: &'a [Recent]) -> Self {
        let mut seen = Self { by_key: HashMap::new(), by_deployment: HashMap::new() };
        for it in recent {
            seen.by_key.entry(it.of.key).or_default().push(it);
            seen.by_deployment.entry((it.of.provider, it.of.model)).or_default().push(it);
        }
        seen
    }

    /// Those that count, the oldest first.
    fn by(&self, whose: &Whose) -> Vec<&'a Recent> {
        let mut counted: Vec<&Recent> = match whose {
            Whose::Keys(keys) => {
                keys.iter().filter_map(|key| self.by_key.get(key)).flatten().copied().collect()
            }
            Whose::Deployments(all) => {
                all.iter().filter_map(|one| self.by_deployment.get(one)).flatten().copied().collect()
            }
        };
        counted.sort_by_key(|it| std::cmp::Reverse(it.ago));
        counted
    }
}

/// Limits, and whose attempts count in them.
struct Limited {
    cells: Arc<LimitCells>,
    whose: Whose,
}

enum Whose {
    Keys(Vec<KeyId>),
    /// Providers and their models.
    Deployments(Vec<(EntityId, EntityId)>),
}

/// Everything that has a limit.
fn limited(core: &Core) -> Vec<Limited> {
    let mut limited = Vec::new();
    let mut tenants: HashMap<TenantName, Limited> = HashMap::new();
    for principal in core.directory.principals() {
        let key = principal.key().id;
        limited.push(Limited { cells: Arc::clone(principal.limits()), whose: Whose::Keys(vec![key]) });
        for node in principal.tenants() {
            let new = || Limited { cells: Arc::clone(node.limits()), whose: Whose::Keys(Vec::new()) };
            let tenant = tenants.entry(node.tenant().name.clone()).or_insert_with(new);
            if let Whose::Keys(keys) = &mut tenant.whose {
                keys.push(key);
            }
        }
    }
    limited.extend(tenants.into_values());
    for route in core.compiled.load().named_routes() {
        let used = route.deployments.iter().map(|deployment| used_as(deployment)).collect();
        limited.push(Limited { cells: Arc::clone(&route.limits), whose: Whose::Deployments(used) });
        for deployment in &route.deployments {
            let whose = Whose::Deployments(vec![used_as(deployment)]);
            limited.push(Limited { cells: Arc::clone(&deployment.limits), whose });
        }
    }
    limited.retain(|it| !it.cells.is_unlimited());
    limited
}

/// Models that clients ask for as `provider/model`, of providers that limit each of theirs.
async fn unnamed(
    core: &Core,
    store: &dyn LedgerStore,
    recent: &[Recent],
) -> Result<Vec<Limited>, LedgerError> {
    let used: HashSet<(EntityId, EntityId)> = recent.iter().map(|it| (it.of.provider, it.of.model)).collect();
    let mut limited = Vec::new();
    for (provider, model) in used {
        let (Some(provider), Some(model)) = (store.name(provider).await?, store.name(model).await?) else {
            continue;
        };
        let route = core.compiled.load().route(&format!("{provider}/{model}"));
        for deployment in route.iter().flat_map(|route| &route.deployments) {
            if !deployment.limits.is_unlimited() {
                let whose = Whose::Deployments(vec![used_as(deployment)]);
                limited.push(Limited { cells: Arc::clone(&deployment.limits), whose });
            }
        }
    }
    Ok(limited)
}

fn used_as(deployment: &Deployment) -> (EntityId, EntityId) {
    (EntityId::of(&deployment.provider.name), EntityId::of(&deployment.model))
}

impl Limited {
    /// What an attempt takes of a limit: deployments count what the provider is owed, others what was charged.
    fn units(&self, kind: LimitKind, used: &Used) -> u64 {
        let money = match self.cells.whose() {
            LimitOwner::Deployment => used.cost,
            _ => used.charged,
        };
        match kind {
            LimitKind::Rpm => 1,
            LimitKind::Tpm => used.usage.total(),
            LimitKind::UsdPerMinute => u64::try_from(money.get()).unwrap_or(0),
            LimitKind::Concurrency => 0,
        }
    }
}
