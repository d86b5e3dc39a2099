//! Acts on providers' keys: those of tenants, and the installation's beside its configuration.
//!
//! A secret comes in, is sealed, and never leaves again: what is shown of it is its fingerprint.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use weighbridge_access::{
    KeyOwner, KeySecret, MasterKeys, ProviderKey, ProviderKeyError, ProviderKeyId, ProviderKeyStore,
    ProviderSecret, TenantName,
};

use crate::service::random;
use crate::{Actor, AdminError, AdminService};

/// The most keys that an owner may have at one provider, revoked ones apart.
const MOST: usize = 16;
/// How often the store is gone through for keys that were changed while they were sealed anew.
const PASSES: usize = 3;

/// Where providers' keys are kept, and what they are sealed under.
pub(crate) struct ProviderKeys {
    pub(crate) store: Arc<dyn ProviderKeyStore>,
    pub(crate) masters: Option<MasterKeys>,
    /// The providers that the configuration names.
    pub(crate) providers: Vec<String>,
}

/// A secret as it was given. It has no `Debug`, and is erased when it is dropped.
#[derive(Clone)]
pub struct GivenSecret(SecretString);

impl GivenSecret {
    /// From a text, which should not be kept elsewhere.
    pub fn new(text: impl Into<SecretString>) -> Self {
        Self(text.into())
    }

    fn read(&self) -> Result<ProviderSecret, AdminError> {
        ProviderSecret::new(self.0.expose_secret()).map_err(|why| AdminError::invalid("secret", why))
    }
}

impl<'de> Deserialize<'de> for GivenSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}

/// A provider's key that is to be kept. It has no `Debug`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProviderKey {
    /// The organisation or team that it is of; the installation's, if absent.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The provider that it is for, by its name in the configuration.
    pub provider: String,
    /// What people call it.
    pub label: String,
    /// The key itself.
    pub secret: GivenSecret,
    /// Its share beside others of the same owner and provider: 1, if absent; 0 leaves it unused.
    #[serde(default)]
    pub weight: Option<u32>,
}

/// What is to be different about a provider's key; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderKeyChange {
    /// What people call it.
    #[serde(default)]
    pub label: Option<String>,
    /// Its share; 0 leaves it unused.
    #[serde(default)]
    pub weight: Option<u32>,
}

/// A provider's key as it may be shown: its secret by the last four characters only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderKeyView {
    /// The id.
    pub id: String,
    /// Whose it is; `null` for the installation's.
    pub tenant: Option<String>,
    /// The provider that it is for.
    pub provider: String,
    /// What people call it.
    pub label: String,
    /// Its last characters.
    pub fingerprint: String,
    /// Its share; 0 leaves it unused.
    pub weight: u32,
    /// The master key that it is sealed under; `null` once it is revoked.
    pub sealed_under: Option<String>,
    /// When it was added, in RFC 3339.
    pub created: String,
    /// When it last got another secret.
    pub rotated: Option<String>,
    /// When it was revoked.
    pub revoked: Option<String>,
}

impl ProviderKeyView {
    fn new(key: &ProviderKey) -> Self {
        let sealed_under = match &key.secret {
            KeySecret::Sealed(sealed) => sealed.master_key().map(|master| master.to_string()),
            KeySecret::Revoked(_) => None,
        };
        Self {
            id: key.id.to_string(),
            tenant: key.owner.tenant().map(ToString::to_string),
            provider: key.provider.clone(),
            label: key.label.clone(),
            fingerprint: key.fingerprint.to_string(),
            weight: key.weight,
            sealed_under,
            created: key.created.to_string(),
            rotated: key.rotated.map(|at| at.to_string()),
            revoked: key.revoked().map(|at| at.to_string()),
        }
    }
}

/// What sealing all keys anew came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResealedView {
    /// The master key that all are sealed under now.
    pub master_key: String,
    /// How many were sealed under another one.
    pub resealed: usize,
}

impl AdminService {
    /// Lets the service take providers' keys: it keeps them in `store`, sealed under `masters`, for the providers that
    /// the configuration names. Without `masters` it shows and revokes them only.
    #[must_use]
    pub fn with_provider_keys(
        mut self,
        store: Arc<dyn ProviderKeyStore>,
        masters: Option<MasterKeys>,
        providers: Vec<String>,
    ) -> Self {
        self.provider_keys = Some(ProviderKeys { store, masters, providers });
        self
    }

    /// Seals and keeps a provider's key. Running gateways use it within a second.
    ///
    /// # Errors
    /// [`AdminError::NoVault`] where no master key is configured; [`AdminError::Invalid`] names the field that is
    /// wrong; [`AdminError::Forbidden`], [`AdminError::NoTenant`]; the others say what failed.
    pub async fn add_provider_key(
        &self,
        actor: &Actor,
        new: &NewProviderKey,
    ) -> Result<ProviderKeyView, AdminError> {
        let (vault, masters) = self.vault()?;
        let owner = match &new.tenant {
            None if actor.is_of_installation() => KeyOwner::Installation,
            None => return Err(AdminError::invalid("tenant", "name the tenant that the key is of")),
            Some(name) => {
                let tenant = TenantName::new(name).map_err(AdminError::definition)?;
                if !actor.may_see(&tenant) {
                    return Err(AdminError::NoTenant(tenant.to_string()));
                }
                KeyOwner::Tenant(tenant)
            }
        };
        if !vault.providers.contains(&new.provider) {
            let known = vault.providers.join(", ");
            return Err(AdminError::invalid(
                "provider",
                format!("the configuration has no such one, but {known}"),
            ));
        }
        let secret = new.secret.read()?;
        let mut key = ProviderKey {
            id: ProviderKeyId::from_bits(u64::from_be_bytes(random()?)),
            owner,
            provider: new.provider.clone(),
            label: new.label.clone(),
            weight: new.weight.unwrap_or(1),
            fingerprint: secret.fingerprint(),
            secret: KeySecret::Revoked(self.now()),
            created: self.now(),
            rotated: None,
        };
        key.check().map_err(AdminError::definition)?;
        key.secret =
            KeySecret::Sealed(masters.seal(&key.place(), &secret, &random()?).map_err(AdminError::Vault)?);
        let beside = self.all_provider_keys(vault).await?;
        let same = |other: &&ProviderKey| {
            other.revoked().is_none() && other.owner == key.owner && other.provider == key.provider
        };
        if beside.iter().filter(same).count() >= MOST {
            let why = format!("there are {MOST} keys for it already: revoke one that is not needed");
            return Err(AdminError::invalid("provider", why));
        }
        self.write_down(actor, "provider-key.add", key.id, describe(&key)).await?;
        vault.store.add(key.clone()).await.map_err(AdminError::from_provider_keys)?;
        Ok(ProviderKeyView::new(&key))
    }

    /// Every provider's key that is the actor's to see, revoked ones included, in the order of creation.
    ///
    /// # Errors
    /// [`AdminError::ProviderKeys`].
    pub async fn list_provider_keys(&self, actor: &Actor) -> Result<Vec<ProviderKeyView>, AdminError> {
        let keys = self.all_provider_keys(self.provider_keys()?).await?;
        Ok(keys.iter().filter(|key| actor.may_see_owner(&key.owner)).map(ProviderKeyView::new).collect())
    }

    /// Gives a provider's key another secret under the same id. Requests that run keep the one that they were sent
    /// with (rule K1).
    ///
    /// # Errors
    /// [`AdminError::NoVault`], [`AdminError::NoProviderKey`], [`AdminError::RevokedProviderKey`],
    /// [`AdminError::Invalid`], [`AdminError::Changed`]; the others say what failed.
    pub async fn rotate_provider_key(
        &self,
        actor: &Actor,
        id: ProviderKeyId,
        secret: &GivenSecret,
    ) -> Result<ProviderKeyView, AdminError> {
        let (_, masters) = self.vault()?;
        let former = self.live_provider_key(actor, id).await?;
        let secret = secret.read()?;
        let sealed = masters.seal(&former.place(), &secret, &random()?).map_err(AdminError::Vault)?;
        let next = ProviderKey {
            fingerprint: secret.fingerprint(),
            secret: KeySecret::Sealed(sealed),
            rotated: Some(self.now()),
            ..former.clone()
        };
        self.put_provider_key(actor, "provider-key.rotate", &former, next).await
    }

    /// Changes what a provider's key is called, or its share.
    ///
    /// # Errors
    /// [`AdminError::NoProviderKey`], [`AdminError::RevokedProviderKey`], [`AdminError::Invalid`],
    /// [`AdminError::Changed`]; the others say what failed.
    pub async fn update_provider_key(
        &self,
        actor: &Actor,
        id: ProviderKeyId,
        change: &ProviderKeyChange,
    ) -> Result<ProviderKeyView, AdminError> {
        let former = self.live_provider_key(actor, id).await?;
        let next = ProviderKey {
            label: change.label.clone().unwrap_or_else(|| former.label.clone()),
            weight: change.weight.unwrap_or(former.weight),
            ..former.clone()
        };
        next.check().map_err(AdminError::definition)?;
        self.put_provider_key(actor, "provider-key.update", &former, next).await
    }

    /// Throws a provider's key away. Running gateways send nothing new with it within a second; doing it again
    /// changes nothing.
    ///
    /// # Errors
    /// [`AdminError::NoProviderKey`], [`AdminError::Changed`]; the others say what failed.
    pub async fn revoke_provider_key(
        &self,
        actor: &Actor,
        id: ProviderKeyId,
    ) -> Result<ProviderKeyView, AdminError> {
        let former = self.existing_provider_key(actor, id).await?;
        if former.revoked().is_some() {
            return Ok(ProviderKeyView::new(&former));
        }
        let next = ProviderKey { secret: KeySecret::Revoked(self.now()), ..former.clone() };
        self.put_provider_key(actor, "provider-key.revoke", &former, next).await
    }

    /// Seals all keys under the present master key that are sealed under a former one. Then the former can go.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for administrators of tenants; [`AdminError::NoVault`]; [`AdminError::Vault`] where a
    /// key does not open; the others say what failed. What was sealed anew before stays so.
    pub async fn reseal_provider_keys(&self, actor: &Actor) -> Result<ResealedView, AdminError> {
        if !actor.is_of_installation() {
            return Err(AdminError::forbidden("master keys are for the administrator of the installation"));
        }
        let (vault, masters) = self.vault()?;
        self.write_down(actor, "provider-key.reseal", masters.current(), Vec::new()).await?;
        let mut resealed = 0;
        for _ in 0..PASSES {
            let mut changed_meanwhile = false;
            for key in self.all_provider_keys(vault).await? {
                let KeySecret::Sealed(sealed) = &key.secret else { continue };
                let Some(anew) =
                    masters.reseal(&key.place(), sealed, &random()?).map_err(AdminError::Vault)?
                else {
                    continue;
                };
                let next = ProviderKey { secret: KeySecret::Sealed(anew), ..key.clone() };
                match vault.store.replace(&key, next).await {
                    Ok(()) => resealed += 1,
                    Err(ProviderKeyError::Changed(_)) => changed_meanwhile = true,
                    Err(error) => return Err(AdminError::from_provider_keys(error)),
                }
            }
            if !changed_meanwhile {
                return Ok(ResealedView { master_key: masters.current().to_string(), resealed });
            }
        }
        Err(AdminError::Changed("a provider key".to_owned()))
    }

    fn provider_keys(&self) -> Result<&ProviderKeys, AdminError> {
        self.provider_keys.as_ref().ok_or(AdminError::NoVault)
    }

    fn vault(&self) -> Result<(&ProviderKeys, &MasterKeys), AdminError> {
        let vault = self.provider_keys()?;
        Ok((vault, vault.masters.as_ref().ok_or(AdminError::NoVault)?))
    }

    async fn all_provider_keys(&self, vault: &ProviderKeys) -> Result<Vec<ProviderKey>, AdminError> {
        vault.store.load().await.map_err(AdminError::from_provider_keys)
    }

    async fn existing_provider_key(
        &self,
        actor: &Actor,
        id: ProviderKeyId,
    ) -> Result<ProviderKey, AdminError> {
        let keys = self.all_provider_keys(self.provider_keys()?).await?;
        let seen = |key: &ProviderKey| key.id == id && actor.may_see_owner(&key.owner);
        keys.into_iter().find(seen).ok_or(AdminError::NoProviderKey(id))
    }

    async fn live_provider_key(&self, actor: &Actor, id: ProviderKeyId) -> Result<ProviderKey, AdminError> {
        let key = self.existing_provider_key(actor, id).await?;
        match key.revoked() {
            None => Ok(key),
            Some(_) => Err(AdminError::RevokedProviderKey(id)),
        }
    }

    async fn put_provider_key(
        &self,
        actor: &Actor,
        action: &str,
        former: &ProviderKey,
        next: ProviderKey,
    ) -> Result<ProviderKeyView, AdminError> {
        let vault = self.provider_keys()?;
        self.write_down(actor, action, next.id, describe(&next)).await?;
        let view = ProviderKeyView::new(&next);
        vault.store.replace(former, next).await.map_err(AdminError::from_provider_keys)?;
        Ok(view)
    }
}

/// What a key is, for the audit log.
fn describe(key: &ProviderKey) -> Vec<(String, String)> {
    [
        ("owner", key.owner.to_string()),
        ("provider", key.provider.clone()),
        ("label", key.label.clone()),
        ("fingerprint", key.fingerprint.to_string()),
        ("weight", key.weight.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
