use std::sync::Arc;

use weighbridge_units::{Labels, Monotonic, NanoUsd, Timestamp};

use crate::{
    AccessError, Admission, BudgetMeter, LimitCells, LimitOwner, LimitRefusal, OwnKeys, Share, Standing,
    Tenant, TenantName, VirtualKey,
};

/// A tenant as the request path uses it: its definition, and what its limits and budgets count in.
#[derive(Debug)]
pub struct TenantNode {
    tenant: Arc<Tenant>,
    cells: Arc<LimitCells>,
    budgets: Arc<[BudgetMeter]>,
}

impl TenantNode {
    /// Compiles a tenant. What its former self has counted goes on.
    pub(crate) fn new(tenant: Arc<Tenant>, former: Option<&Self>) -> Self {
        let whose = if tenant.name.is_team() { LimitOwner::Team } else { LimitOwner::Organisation };
        let cells =
            LimitCells::new(whose, tenant.name.as_str(), &tenant.limits, former.map(|former| &*former.cells));
        let budgets = match former.filter(|former| former.tenant.budgets == tenant.budgets) {
            Some(former) => Arc::clone(&former.budgets),
            None => BudgetMeter::all(&tenant.budgets),
        };
        Self { tenant, cells: Arc::new(cells), budgets }
    }

    /// The tenant's definition.
    pub const fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The tenant's limits.
    pub const fn limits(&self) -> &Arc<LimitCells> {
        &self.cells
    }

    /// The tenant's budgets.
    pub fn budgets(&self) -> &[BudgetMeter] {
        &self.budgets
    }
}

/// A virtual key as the request path uses it: its definition, whom it belongs to, and what its limits and
/// budgets count in.
#[derive(Debug)]
pub struct Principal {
    key: Arc<VirtualKey>,
    /// The organisation and the team, as far as they are defined.
    tenants: [Option<Arc<TenantNode>>; 2],
    cells: Arc<LimitCells>,
    budgets: Arc<[BudgetMeter]>,
    /// Those of key, team and organisation that limit anything.
    limiting: Box<[Arc<LimitCells>]>,
}

impl Principal {
    /// Compiles a key. The cells of its former self, if any, are kept where a limit is unchanged and
    /// carried over where it changed.
    pub(crate) fn new(
        key: Arc<VirtualKey>,
        tenants: [Option<Arc<TenantNode>>; 2],
        former: Option<&Self>,
    ) -> Self {
        let cells = LimitCells::new(
            LimitOwner::Key,
            &key.id.to_string(),
            &key.limits,
            former.map(|former| &*former.cells),
        );
        let budgets = match former.filter(|former| former.key.budgets == key.budgets) {
            Some(former) => Arc::clone(&former.budgets),
            None => BudgetMeter::all(&key.budgets),
        };
        let cells = Arc::new(cells);
        let limits = tenants.iter().flatten().rev().map(|node| &node.cells);
        let limiting = std::iter::once(&cells).chain(limits).filter(|cells| !cells.is_unlimited());
        let limiting = limiting.map(Arc::clone).collect();
        Self { key, tenants, cells, budgets, limiting }
    }

    /// Whether it was compiled from this key in these very tenants.
    pub(crate) fn is_of(&self, key: &VirtualKey, tenants: &[Option<Arc<TenantNode>>; 2]) -> bool {
        let same = |(mine, theirs): (&Option<Arc<TenantNode>>, &Option<Arc<TenantNode>>)| match (mine, theirs)
        {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        };
        *self.key == *key && self.tenants.iter().zip(tenants).all(same)
    }

    /// Who pays: the innermost of the key's tenants that has a wallet, and what that may owe; else the tenant
    /// that the key names, without a bound.
    pub fn payer(&self) -> (&TenantName, Option<NanoUsd>) {
        let wallet = |node: &Arc<TenantNode>| node.tenant().credit_limit.is_some();
        match self.tenants.iter().flatten().rev().find(|node| wallet(node)) {
            Some(node) => (&node.tenant().name, node.tenant().credit_limit),
            None => (&self.key.tenant, None),
        }
    }

    /// Whether the key's requests go out on provider keys of its tenants' own.
    pub fn own_keys(&self) -> OwnKeys {
        let [organisation, team] = self.tenants.each_ref().map(|node| node.as_ref()?.tenant.own_keys);
        OwnKeys::of(organisation, team)
    }

    /// What key, team and organisation demand of whoever is sent anything of the key's: all of it together.
    pub fn demands(&self) -> impl Iterator<Item = &Labels> {
        let tenants = self.tenants().map(|node| &node.tenant.require);
        tenants.chain([&self.key.require]).filter(|labels| !labels.is_empty())
    }

    /// The key's definition.
    pub const fn key(&self) -> &Arc<VirtualKey> {
        &self.key
    }

    /// The key's own budgets.
    pub fn budgets(&self) -> &[BudgetMeter] {
        &self.budgets
    }

    /// The key's organisation and team, as far as they are defined.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<TenantNode>> {
        self.tenants.iter().flatten()
    }

    /// Every budget of key, team and organisation.
    pub fn all_budgets(&self) -> impl Iterator<Item = &BudgetMeter> {
        self.tenants().flat_map(|node| node.budgets()).chain(self.budgets())
    }

    /// Whether the key works at `now`, its secret apart.
    ///
    /// # Errors
    /// [`AccessError::Revoked`], [`AccessError::Blocked`], [`AccessError::Expired`].
    pub(crate) fn alive(&self, now: Timestamp) -> Result<(), AccessError> {
        let over = |end: Option<Timestamp>| end.is_some_and(|end| now >= end);
        if self.key.revoked.is_some() {
            return Err(AccessError::Revoked);
        }
        if self.key.blocked || self.tenants().any(|node| node.tenant.blocked) {
            return Err(AccessError::Blocked);
        }
        if over(self.key.expires) || self.tenants().any(|node| over(node.tenant.expires)) {
            return Err(AccessError::Expired);
        }
        Ok(())
    }

    /// Whether the key may use a model, by the name that the client sent: it, its team and its organisation
    /// allow it.
    pub fn may_use(&self, model: &str) -> bool {
        self.key.models.allows(model) && self.tenants().all(|node| node.tenant.models.allows(model))
    }

    /// Takes one request and an estimate of its tokens; all or nothing.
    ///
    /// # Errors
    /// [`LimitRefusal`] by the first limit without room; nothing is taken then.
    pub fn admit(self: &Arc<Self>, now: Monotonic, tokens: u64) -> Result<Admission, LimitRefusal> {
        self.admit_for(None, Share::WHOLE, now, tokens)
    }

    /// As [`Self::admit`], out of the limits of a model as well, and of a part of all limits where other
    /// instances give out the rest. Requests per minute come first, of whomever, then tokens, then places.
    ///
    /// Where instances count together, this refuses early what would be refused anyway;
    /// [`Admission::attempt_among`] or [`Admission::confirm`] then asks all of them.
    ///
    /// # Errors
    /// [`LimitRefusal`] by the first limit without room; nothing is taken then.
    pub fn admit_for(
        self: &Arc<Self>,
        model: Option<&Arc<LimitCells>>,
        share: Share,
        now: Monotonic,
        tokens: u64,
    ) -> Result<Admission, LimitRefusal> {
        let limiting = self.limiting.iter().chain(model.filter(|cells| !cells.is_unlimited()));
        Admission::take(self, limiting, share, now, tokens)
    }

    /// How the limit of requests per minute stands that has the least room: the key's, its team's or its
    /// organisation's. `None` without such a limit.
    pub fn requests(&self, now: Monotonic) -> Option<Standing> {
        tightest(self.limiting.iter().filter_map(|cells| cells.requests(now)))
    }

    /// How the limit of tokens per minute stands that has the least room; `None` without such a limit.
    pub fn tokens(&self, now: Monotonic) -> Option<Standing> {
        tightest(self.limiting.iter().filter_map(|cells| cells.tokens(now)))
    }

    /// The key's own limits.
    pub const fn limits(&self) -> &Arc<LimitCells> {
        &self.cells
    }
}

fn tightest(standings: impl Iterator<Item = Standing>) -> Option<Standing> {
    standings.min_by_key(|standing| standing.remaining)
}
