use weighbridge_access::{KeyOwner, TenantName};

use crate::AdminError;

/// Who acts: the administrator of the installation, or one of an organisation or a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    tenant: Option<TenantName>,
}

impl Actor {
    /// Whoever administers the installation: may do everything.
    pub fn installation(name: &str) -> Self {
        Self { name: name.to_owned(), tenant: None }
    }

    /// An administrator of one tenant: may do what lies within it, and nothing to it.
    pub fn of_tenant(name: &str, tenant: TenantName) -> Self {
        Self { name: name.to_owned(), tenant: Some(tenant) }
    }

    /// The name in the audit log: `ada (acme/search)`.
    pub fn shown(&self) -> String {
        match &self.tenant {
            None => self.name.clone(),
            Some(tenant) => format!("{} ({tenant})", self.name),
        }
    }

    /// Whether it is for the administrator of the installation.
    pub const fn is_of_installation(&self) -> bool {
        self.tenant.is_none()
    }

    /// Whether a tenant, and what belongs to it, is there for this actor.
    pub(crate) fn may_see(&self, tenant: &TenantName) -> bool {
        self.tenant.as_ref().is_none_or(|own| tenant.is_within(own))
    }

    /// Whether a provider's key of that owner is there for this actor.
    pub(crate) fn may_see_owner(&self, owner: &KeyOwner) -> bool {
        owner.tenant().map_or(self.is_of_installation(), |tenant| self.may_see(tenant))
    }

    /// Whether the actor may make and change keys of a tenant.
    pub(crate) fn may_give_keys(&self, tenant: &TenantName) -> Result<(), AdminError> {
        match self.may_see(tenant) {
            true => Ok(()),
            false => Err(AdminError::forbidden(format!("`{tenant}` is not yours to administer"))),
        }
    }

    /// Whether the actor may define a tenant. Nobody changes what they are bound by themselves.
    pub(crate) fn may_define(&self, tenant: &TenantName) -> Result<(), AdminError> {
        match &self.tenant {
            Some(own) if own == tenant => Err(AdminError::forbidden(format!(
                "`{tenant}` is what you are bound by: ask whoever administers what it belongs to"
            ))),
            _ => self.may_give_keys(tenant),
        }
    }
}
