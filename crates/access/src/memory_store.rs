use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use weighbridge_units::{KeyId, Timestamp};

use crate::{
    KeyHash, KeyStore, KeyStoreError, ProviderKey, ProviderKeyError, ProviderKeyStore, RetiredSecret, Tenant,
    TenantName, VirtualKey,
};

/// Keys, tenants and providers' keys in memory, for tests and for embedding.
#[derive(Debug, Default)]
pub struct MemoryKeyStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<VirtualKey>,
    tenants: BTreeMap<TenantName, Tenant>,
    version: u64,
    provider_keys: Vec<ProviderKey>,
    provider_keys_version: u64,
}

impl MemoryKeyStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn change(
        &mut self,
        id: KeyId,
        change: impl FnOnce(&mut VirtualKey) -> Result<(), KeyStoreError>,
    ) -> Result<VirtualKey, KeyStoreError> {
        let key = self.keys.iter_mut().find(|key| key.id == id).ok_or(KeyStoreError::NotFound(id))?;
        change(key)?;
        self.version += 1;
        Ok(key.clone())
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn create(&self, key: VirtualKey) -> Result<(), KeyStoreError> {
        key.check()?;
        let mut state = self.state();
        if state.keys.iter().any(|other| other.id == key.id) {
            return Err(KeyStoreError::Duplicate(key.id));
        }
        state.keys.push(key);
        state.version += 1;
        Ok(())
    }

    async fn load_all(&self) -> Result<Vec<VirtualKey>, KeyStoreError> {
        Ok(self.state().keys.clone())
    }

    async fn revoke(&self, id: KeyId, at: Timestamp) -> Result<VirtualKey, KeyStoreError> {
        self.state().change(id, |key| {
            key.revoked.get_or_insert(at);
            Ok(())
        })
    }

    async fn rotate(
        &self,
        id: KeyId,
        hash: KeyHash,
        grace_until: Timestamp,
    ) -> Result<VirtualKey, KeyStoreError> {
        self.state().change(id, |key| {
            if key.revoked.is_some() {
                return Err(KeyStoreError::Revoked(id));
            }
            key.retired = Some(RetiredSecret { hash: key.hash, until: grace_until });
            key.hash = hash;
            Ok(())
        })
    }

    async fn update(&self, former: &VirtualKey, key: VirtualKey) -> Result<VirtualKey, KeyStoreError> {
        key.check()?;
        self.state().change(former.id, |present| {
            if present.revoked.is_some() {
                return Err(KeyStoreError::Revoked(present.id));
            }
            if present != former {
                return Err(KeyStoreError::Changed(format!("the key {}", present.id)));
            }
            *present = key.with_life_of(present);
            Ok(())
        })
    }

    async fn put_tenant(&self, former: Option<&Tenant>, tenant: Tenant) -> Result<(), KeyStoreError> {
        tenant.check()?;
        let mut state = self.state();
        if state.tenants.get(&tenant.name) != former {
            return Err(KeyStoreError::Changed(format!("the tenant {}", tenant.name)));
        }
        state.tenants.insert(tenant.name.clone(), tenant);
        state.version += 1;
        Ok(())
    }

    async fn load_tenants(&self) -> Result<Vec<Tenant>, KeyStoreError> {
        Ok(self.state().tenants.values().cloned().collect())
    }

    async fn version(&self) -> Result<u64, KeyStoreError> {
        Ok(self.state().version)
    }
}

#[async_trait]
impl ProviderKeyStore for MemoryKeyStore {
    async fn add(&self, key: ProviderKey) -> Result<(), ProviderKeyError> {
        key.check()?;
        let mut state = self.state();
        if state.provider_keys.iter().any(|other| other.id == key.id) {
            return Err(ProviderKeyError::Duplicate(key.id));
        }
        state.provider_keys.push(key);
        state.provider_keys_version += 1;
        Ok(())
    }

    async fn replace(&self, former: &ProviderKey, next: ProviderKey) -> Result<(), ProviderKeyError> {
        next.check()?;
        let mut state = self.state();
        let present = state.provider_keys.iter_mut().find(|key| key.id == former.id);
        let present = present.ok_or(ProviderKeyError::NotFound(former.id))?;
        if present != former {
            return Err(ProviderKeyError::Changed(former.id));
        }
        if !present.may_become(&next) {
            return Err(ProviderKeyError::Another(former.id));
        }
        *present = next;
        state.provider_keys_version += 1;
        Ok(())
    }

    async fn load(&self) -> Result<Vec<ProviderKey>, ProviderKeyError> {
        Ok(self.state().provider_keys.clone())
    }

    async fn version(&self) -> Result<u64, ProviderKeyError> {
        Ok(self.state().provider_keys_version)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_keeps_the_promises_of_a_store_of_provider_keys() {
        let store = super::MemoryKeyStore::new();
        futures::executor::block_on(crate::testkit::check_provider_key_store(&store)).unwrap();
    }

    #[test]
    fn it_keeps_the_promises_of_a_key_store() {
        let store = super::MemoryKeyStore::new();
        futures::executor::block_on(crate::testkit::check_key_store(&store)).unwrap();
    }
}
