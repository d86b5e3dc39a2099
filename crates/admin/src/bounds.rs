//! Children never exceed their parent: what a key, or a team, may be given by what it belongs to.
//!
//! What a child does not say is what its parent says, since each request is held to both. What it does say
//! must lie within.

use weighbridge_access::{Budget, Counted, Limits, ModelScope, Tenant, VirtualKey};
use weighbridge_units::Timestamp;

use crate::AdminError;

/// What a key or a tenant may do, as far as parents bound it.
pub(crate) struct Grant<'a> {
    models: &'a ModelScope,
    limits: &'a Limits,
    budgets: &'a [Budget],
    expires: Option<Timestamp>,
}

impl<'a> From<&'a VirtualKey> for Grant<'a> {
    fn from(key: &'a VirtualKey) -> Self {
        Self { models: &key.models, limits: &key.limits, budgets: &key.budgets, expires: key.expires }
    }
}

impl<'a> From<&'a Tenant> for Grant<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        let Tenant { models, limits, budgets, expires, .. } = tenant;
        Self { models, limits, budgets, expires: *expires }
    }
}

impl Grant<'_> {
    /// Checks the grant against each tenant that it lies in.
    ///
    /// # Errors
    /// [`AdminError::ExceedsParent`] names the field and the parent.
    pub(crate) fn within<'t>(&self, parents: impl IntoIterator<Item = &'t Tenant>) -> Result<(), AdminError> {
        parents.into_iter().try_for_each(|parent| self.within_one(parent))
    }

    fn within_one(&self, parent: &Tenant) -> Result<(), AdminError> {
        let exceeds =
            |field, most: String| Err(AdminError::ExceedsParent { field, parent: parent.name.clone(), most });
        if *self.models != ModelScope::All && !self.models.is_within(&parent.models) {
            return exceeds("models", "fewer models".to_owned());
        }
        let (mine, theirs) = (self.limits, &parent.limits);
        let counts = [
            ("rpm", mine.rpm, theirs.rpm),
            ("tpm", mine.tpm, theirs.tpm),
            ("concurrency", mine.concurrency, theirs.concurrency),
        ];
        for (field, mine, theirs) in counts {
            if let (Some(mine), Some(theirs)) = (mine, theirs)
                && mine > theirs
            {
                return exceeds(field, theirs.to_string());
            }
        }
        if let (Some(mine), Some(theirs)) = (mine.usd_per_minute, theirs.usd_per_minute)
            && mine > theirs
        {
            return exceeds("usd_per_minute", theirs.to_string());
        }
        for budget in self.budgets {
            let binds =
                |wide: &&Budget| bounds(wide, budget) && budget.limit.is_within(&wide.limit) == Some(false);
            if let Some(wide) = parent.budgets.iter().find(binds) {
                return exceeds("budgets", wide.to_string());
            }
        }
        if let (Some(mine), Some(theirs)) = (self.expires, parent.expires)
            && mine > theirs
        {
            return exceeds("expires", theirs.to_string());
        }
        Ok(())
    }
}

/// Whether whatever counts against `narrow` counts against `wide`, for at least as long.
fn bounds(wide: &Budget, narrow: &Budget) -> bool {
    wide.period >= narrow.period && (wide.counts == Counted::All || wide.counts == narrow.counts)
}
