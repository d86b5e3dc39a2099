//! Acts on organisations and teams.

use weighbridge_access::{Tenant, TenantName};

use crate::bounds::Grant;
use crate::{Actor, AdminError, AdminService, Change, TenantView};

impl AdminService {
    /// Defines an organisation or a team that was implied so far, or is new.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], [`AdminError::Forbidden`], [`AdminError::ExceedsParent`],
    /// [`AdminError::TenantExists`]; the others say what failed.
    pub async fn create_tenant(
        &self,
        actor: &Actor,
        name: &str,
        change: &Change,
    ) -> Result<TenantView, AdminError> {
        let now = self.now();
        let name = TenantName::new(name).map_err(AdminError::definition)?;
        actor.may_define(&name)?;
        if self.all_tenants().await?.iter().any(|tenant| tenant.name == name) {
            return Err(AdminError::TenantExists(name));
        }
        let mut tenant = Tenant::new(name, now);
        change.apply(&mut tenant, now)?;
        self.put(actor, "tenant.create", None, tenant, change).await
    }

    /// Changes an organisation or a team. What lies in it is bound by it at once, whatever it was given before.
    ///
    /// # Errors
    /// [`AdminError::NoTenant`], [`AdminError::Forbidden`], [`AdminError::Invalid`],
    /// [`AdminError::ExceedsParent`], [`AdminError::Changed`]; the others say what failed.
    pub async fn update_tenant(
        &self,
        actor: &Actor,
        name: &str,
        change: &Change,
    ) -> Result<TenantView, AdminError> {
        let former = self.existing_tenant(actor, name).await?;
        actor.may_define(&former.name)?;
        let mut tenant = former.clone();
        change.apply(&mut tenant, self.now())?;
        self.put(actor, "tenant.update", Some(&former), tenant, change).await
    }

    /// Every defined tenant that is the actor's to see, by name.
    ///
    /// # Errors
    /// [`AdminError::Keys`].
    pub async fn list_tenants(&self, actor: &Actor) -> Result<Vec<TenantView>, AdminError> {
        let now = self.now();
        let tenants = self.all_tenants().await?;
        let seen = tenants.iter().filter(|tenant| actor.may_see(&tenant.name));
        Ok(seen.map(|tenant| TenantView::new(tenant, now).for_actor(actor)).collect())
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`AdminError::NoTenant`], also where there is one that is not the actor's to see.
    pub async fn tenant(&self, actor: &Actor, name: &str) -> Result<TenantView, AdminError> {
        Ok(TenantView::new(&self.existing_tenant(actor, name).await?, self.now()).for_actor(actor))
    }

    async fn put(
        &self,
        actor: &Actor,
        action: &str,
        former: Option<&Tenant>,
        tenant: Tenant,
        change: &Change,
    ) -> Result<TenantView, AdminError> {
        if change.credit_limit_usd.is_some() && !actor.is_of_installation() {
            return Err(AdminError::forbidden("wallets are for the administrator of the installation"));
        }
        if change.markup.is_some() && !actor.is_of_installation() {
            return Err(AdminError::forbidden("mark-ups are for the administrator of the installation"));
        }
        let charges = change.surcharge.is_some() || change.subscription_usd.is_some();
        if charges && !actor.is_of_installation() {
            let why = "surcharges and subscriptions are for the administrator of the installation";
            return Err(AdminError::forbidden(why));
        }
        tenant.check().map_err(AdminError::definition)?;
        let mut parents = self.around(&tenant.name).await?;
        parents.retain(|parent| parent.name != tenant.name);
        Grant::from(&tenant).within(&parents)?;
        self.write_down(actor, action, &tenant.name, change.describe()).await?;
        let view = TenantView::new(&tenant, self.now()).for_actor(actor);
        self.keys.put_tenant(former, tenant).await.map_err(AdminError::from_store)?;
        self.load().await?;
        Ok(view)
    }

    async fn existing_tenant(&self, actor: &Actor, name: &str) -> Result<Tenant, AdminError> {
        let found = self.all_tenants().await?.into_iter().find(|tenant| tenant.name.as_str() == name);
        found
            .filter(|tenant| actor.may_see(&tenant.name))
            .ok_or_else(|| AdminError::NoTenant(name.chars().take(TenantName::MAX_LENGTH).collect()))
    }

    /// The defined tenants that a name lies in, itself included.
    pub(crate) async fn around(&self, name: &TenantName) -> Result<Vec<Tenant>, AdminError> {
        let mut tenants = self.all_tenants().await?;
        tenants.retain(|tenant| name.is_within(&tenant.name));
        Ok(tenants)
    }

    async fn all_tenants(&self) -> Result<Vec<Tenant>, AdminError> {
        self.keys.load_tenants().await.map_err(AdminError::from_store)
    }
}
