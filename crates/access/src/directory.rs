use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use weighbridge_units::{KeyId, Timestamp};

use crate::{
    AccessError, ClientOrigin, KeyHash, KeyStore, KeyStoreError, LimitCells, Pepper, PresentedKey, Principal,
    Tenant, TenantName, TenantNode, VirtualKey,
};

/// What requests read, swapped as a whole.
#[derive(Default)]
struct Compiled {
    principals: HashMap<KeyId, Arc<Principal>>,
    tenants: HashMap<TenantName, Arc<TenantNode>>,
}

/// Every key and tenant that exists, compiled for the request path and swapped as a whole.
pub struct Directory {
    pepper: Pepper,
    compiled: ArcSwap<Compiled>,
    /// Held while a new map is built, so that two refreshes cannot lose each other's cells.
    refreshing: Mutex<()>,
    /// The store's version that was loaded last, plus one; 0 before the first load.
    loaded: AtomicU64,
}

impl Directory {
    /// An empty directory.
    pub fn new(pepper: Pepper) -> Self {
        let compiled = ArcSwap::from_pointee(Compiled::default());
        Self { pepper, compiled, refreshing: Mutex::new(()), loaded: AtomicU64::new(0) }
    }

    /// Finds the key that a client presents, and checks its secret, its life and where it is used.
    ///
    /// A text that cannot be a key is refused before anything is hashed or looked up. For the others
    /// the hash is calculated whether or not the key exists, so that time tells nothing either.
    ///
    /// # Errors
    /// [`AccessError`]; without the right secret always [`AccessError::InvalidKey`].
    pub fn authenticate(
        &self,
        presented: &str,
        origin: &ClientOrigin<'_>,
        now: Timestamp,
    ) -> Result<Arc<Principal>, AccessError> {
        let presented = PresentedKey::parse(presented).ok_or(AccessError::InvalidKey)?;
        let hash = self.pepper.hash(&presented);
        let compiled = self.compiled.load();
        let principal = compiled.principals.get(&presented.id()).ok_or(AccessError::InvalidKey)?;
        let key = principal.key();
        if !secret_is_right(key, &hash, now) {
            return Err(AccessError::InvalidKey);
        }
        principal.alive(now)?;
        if !key.ip_allow.is_empty() && !key.ip_allow.iter().any(|range| range.contains(origin.ip)) {
            return Err(AccessError::AddressNotAllowed(origin.ip.to_canonical()));
        }
        let from_allowed_page =
            || origin.referrer.is_some_and(|page| key.referrers.iter().any(|pattern| pattern.matches(page)));
        if !key.referrers.is_empty() && !from_allowed_page() {
            return Err(AccessError::ReferrerNotAllowed);
        }
        Ok(Arc::clone(principal))
    }

    /// The principal of a key, without any check.
    pub fn get(&self, id: KeyId) -> Option<Arc<Principal>> {
        self.compiled.load().principals.get(&id).cloned()
    }

    /// How many keys there are, dead ones included.
    pub fn len(&self) -> usize {
        self.compiled.load().principals.len()
    }

    /// Every tenant that is defined, in no order.
    pub fn tenants(&self) -> Vec<Arc<TenantNode>> {
        self.compiled.load().tenants.values().cloned().collect()
    }

    /// All keys that are enabled and those that are not, in no order.
    pub fn principals(&self) -> Vec<Arc<Principal>> {
        self.compiled.load().principals.values().map(Arc::clone).collect()
    }

    /// The limits of all keys and tenants, as far as they have any.
    pub fn limits(&self) -> Vec<Arc<LimitCells>> {
        let compiled = self.compiled.load();
        let keys = compiled.principals.values().map(|principal| principal.limits());
        let tenants = compiled.tenants.values().map(|node| node.limits());
        keys.chain(tenants).filter(|cells| !cells.is_unlimited()).map(Arc::clone).collect()
    }

    /// A tenant that is defined.
    pub fn tenant(&self, name: &TenantName) -> Option<Arc<TenantNode>> {
        self.compiled.load().tenants.get(name).cloned()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces all keys and tenants at once. What an unchanged one has used of its limits stays used; requests
    /// that run keep the definition that they were admitted with.
    pub fn refresh(&self, keys: Vec<VirtualKey>, tenants: Vec<Tenant>) {
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let former = self.compiled.load();
        let node = |tenant: Tenant| {
            let name = tenant.name.clone();
            let node = match former.tenants.get(&name) {
                Some(same) if **same.tenant() == tenant => Arc::clone(same),
                changed => Arc::new(TenantNode::new(Arc::new(tenant), changed.map(|node| &**node))),
            };
            (name, node)
        };
        let tenants: HashMap<_, _> = tenants.into_iter().map(node).collect();
        let principal = |key: VirtualKey| {
            let id = key.id;
            let organisation = key.tenant.parent().unwrap_or_else(|| key.tenant.clone());
            let team = key.tenant.team().and_then(|team| tenants.get(&team));
            let above = [tenants.get(&organisation).cloned(), team.cloned()];
            let principal = match former.principals.get(&id) {
                Some(same) if same.is_of(&key, &above) => Arc::clone(same),
                changed => Arc::new(Principal::new(Arc::new(key), above, changed.map(|p| &**p))),
            };
            (id, principal)
        };
        let principals = keys.into_iter().map(principal).collect();
        self.compiled.store(Arc::new(Compiled { principals, tenants }));
    }

    /// Loads keys and tenants where the store says that any has changed; tells whether they had.
    ///
    /// Called several times a second, it makes a revocation bind within the second that rule K2
    /// grants, on every instance that shares the store.
    ///
    /// # Errors
    /// [`KeyStoreError`]; the directory then stays as it is.
    pub async fn sync(&self, store: &dyn KeyStore) -> Result<bool, KeyStoreError> {
        // Read before the keys: a change in between is loaded now and once more at the next call.
        let version = store.version().await?.wrapping_add(1);
        if self.loaded.load(Ordering::Acquire) == version {
            return Ok(false);
        }
        self.refresh(store.load_all().await?, store.load_tenants().await?);
        self.loaded.store(version, Ordering::Release);
        Ok(true)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("keys", &self.len()).finish_non_exhaustive()
    }
}

/// Both comparisons always run, each in constant time.
fn secret_is_right(key: &VirtualKey, hash: &KeyHash, now: Timestamp) -> bool {
    let current = key.hash == *hash;
    let retired = key.retired.is_some_and(|old| old.hash == *hash && now < old.until);
    current | retired
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryKeyStore, MintedKey, ModelScope, TenantName, mint_key, mint_secret};
    use futures::executor::block_on;
    use std::net::IpAddr;
    use weighbridge_units::Monotonic;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn pepper() -> Pepper {
        Pepper::new(&[9; 32]).unwrap()
    }

    fn minted(seed: u8) -> (MintedKey, VirtualKey) {
        let minted = mint_key(&[seed; 40], &pepper());
        let tenant = TenantName::new("acme").unwrap();
        let key = VirtualKey::new(minted.id, "k", tenant, minted.hash, Timestamp::default());
        (minted, key)
    }

    fn directory(keys: &[VirtualKey]) -> Directory {
        let directory = Directory::new(pepper());
        directory.refresh(keys.to_vec(), Vec::new());
        directory
    }

    fn origin(ip: &str) -> ClientOrigin<'static> {
        ClientOrigin { ip: ip.parse::<IpAddr>().unwrap(), referrer: None }
    }

    fn ask(directory: &Directory, secret: &str) -> Result<KeyId, AccessError> {
        directory.authenticate(secret, &origin("192.0.2.1"), NOW).map(|principal| principal.key().id)
    }

    #[test]
    fn only_the_right_secret_opens() {
        let (minted_key, key) = minted(1);
        let (stranger, _) = minted(2);
        let directory = directory(&[key]);
        assert_eq!(ask(&directory, minted_key.expose()), Ok(minted_key.id));
        assert_eq!(ask(&directory, stranger.expose()), Err(AccessError::InvalidKey));
        // Another key's secret under this key's id, and the other way round.
        let splice =
            |id: &MintedKey, secret: &MintedKey| format!("{}{}", &id.expose()[..16], &secret.expose()[16..]);
        assert_eq!(ask(&directory, &splice(&minted_key, &stranger)), Err(AccessError::InvalidKey));
        assert_eq!(ask(&directory, &splice(&stranger, &minted_key)), Err(AccessError::InvalidKey));
        let doubled = format!("{0} {0}", minted_key.expose());
        for malformed in ["", "wb-", "wb--", "sk-123", &doubled, &"x".repeat(100_000)] {
            assert_eq!(ask(&directory, malformed), Err(AccessError::InvalidKey));
        }
    }

    #[test]
    fn dead_keys_are_named_to_their_owners_only() {
        let (minted_key, mut key) = minted(1);
        key.expires = Some(NOW);
        assert_eq!(ask(&directory(&[key.clone()]), minted_key.expose()), Err(AccessError::Expired));
        key.revoked = Some(NOW);
        let directory = directory(&[key]);
        assert_eq!(ask(&directory, minted_key.expose()), Err(AccessError::Revoked));
        let wrong = mint_secret(minted_key.id, &[0; 32], &pepper());
        assert_eq!(ask(&directory, wrong.expose()), Err(AccessError::InvalidKey));
    }

    #[test]
    fn addresses_and_referrers_are_checked() {
        let (minted_key, mut key) = minted(1);
        key.ip_allow = vec!["10.0.0.0/8".parse().unwrap()];
        let only_ip = directory(&[key.clone()]);
        let from = |directory: &Directory, ip: &str, referrer| {
            let origin = ClientOrigin { referrer, ..origin(ip) };
            directory.authenticate(minted_key.expose(), &origin, NOW).map(|_| ())
        };
        assert_eq!(from(&only_ip, "::ffff:10.1.1.1", None), Ok(()));
        let refused = from(&only_ip, "::ffff:11.1.1.1", None).unwrap_err();
        assert_eq!(refused, AccessError::AddressNotAllowed("11.1.1.1".parse().unwrap()));
        assert_eq!(refused.class(), weighbridge_units::ErrorClass::Permission);
        key.referrers = vec!["https://app.example.com".parse().unwrap()];
        let both = directory(&[key]);
        assert_eq!(from(&both, "10.1.1.1", Some("https://app.example.com/x")), Ok(()));
        assert_eq!(
            from(&both, "10.1.1.1", Some("https://evil.example")),
            Err(AccessError::ReferrerNotAllowed)
        );
        assert_eq!(from(&both, "10.1.1.1", None), Err(AccessError::ReferrerNotAllowed));
    }

    #[test]
    fn k1_a_rotated_secret_works_to_the_end_of_its_grace() {
        let (old, key) = minted(1);
        let new = mint_secret(old.id, &[5; 32], &pepper());
        let store = MemoryKeyStore::new();
        let directory = Directory::new(pepper());
        block_on(store.create(key)).unwrap();
        block_on(store.rotate(old.id, new.hash, NOW + std::time::Duration::from_secs(60))).unwrap();
        block_on(directory.sync(&store)).unwrap();
        let at = |secret: &MintedKey, secs| {
            directory.authenticate(secret.expose(), &origin("::1"), Timestamp::from_secs(secs)).map(|_| ())
        };
        assert_eq!((at(&old, 1_059), at(&new, 1_059)), (Ok(()), Ok(())));
        assert_eq!((at(&old, 1_060), at(&new, 1_060)), (Err(AccessError::InvalidKey), Ok(())));
    }

    #[test]
    fn k2_a_revocation_binds_at_the_next_sync() {
        let (minted_key, key) = minted(1);
        let store = MemoryKeyStore::new();
        let directory = Directory::new(pepper());
        block_on(store.create(key)).unwrap();
        assert!(block_on(directory.sync(&store)).unwrap());
        assert!(!block_on(directory.sync(&store)).unwrap(), "nothing has changed");
        assert_eq!(ask(&directory, minted_key.expose()), Ok(minted_key.id));
        block_on(store.revoke(minted_key.id, NOW)).unwrap();
        assert!(block_on(directory.sync(&store)).unwrap());
        assert_eq!(ask(&directory, minted_key.expose()), Err(AccessError::Revoked));
    }

    #[test]
    fn k1_limits_and_running_requests_survive_a_refresh() {
        let (_, mut key) = minted(1);
        key.limits.rpm = Some(2);
        let directory = directory(&[key.clone()]);
        let now = Monotonic::from_micros(1);
        let running = directory.get(key.id).unwrap().admit(now, 0).unwrap();
        key.models = ModelScope::Only(Vec::new());
        directory.refresh(vec![key.clone()], Vec::new());
        let reloaded = directory.get(key.id).unwrap();
        assert!(running.principal().may_use("m") && !reloaded.may_use("m"));
        assert_eq!(reloaded.requests(now).map(|s| s.remaining), Some(1));
        running.refund(now);
        assert_eq!(reloaded.requests(now).map(|s| s.remaining), Some(2), "one cell, before and after");
        directory.refresh(vec![key.clone()], Vec::new());
        assert!(Arc::ptr_eq(&reloaded, &directory.get(key.id).unwrap()), "an unchanged key is not rebuilt");
    }

    fn tenant(name: &str) -> Tenant {
        Tenant::new(TenantName::new(name).unwrap(), Timestamp::default())
    }

    #[test]
    fn a_key_may_do_what_it_and_its_team_and_its_organisation_allow() {
        let (minted_key, mut key) = minted(1);
        key.tenant = TenantName::new("acme/search").unwrap();
        let scope =
            |patterns: &[&str]| ModelScope::Only(patterns.iter().map(|p| p.parse().unwrap()).collect());
        let (mut acme, mut search) = (tenant("acme"), tenant("acme/search"));
        (acme.models, search.models, key.models) =
            (scope(&["a*", "b*"]), scope(&["b*", "c*"]), scope(&["b1", "c1"]));
        let directory = Directory::new(pepper());
        let may = |model: &str| directory.get(key.id).unwrap().may_use(model);
        directory.refresh(vec![key.clone()], Vec::new());
        assert!(may("b1") && may("c1"), "tenants that nobody has defined restrict nothing");
        directory.refresh(vec![key.clone()], vec![search.clone(), tenant("acme2"), tenant("other/search")]);
        assert!(may("b1") && may("c1") && !may("b2"));
        directory.refresh(vec![key.clone()], vec![acme.clone(), search.clone()]);
        assert!(may("b1") && !may("c1") && !may("a1"));

        search.expires = Some(NOW);
        directory.refresh(vec![key.clone()], vec![acme.clone(), search.clone()]);
        assert_eq!(ask(&directory, minted_key.expose()), Err(AccessError::Expired));
        acme.blocked = true;
        directory.refresh(vec![key.clone()], vec![acme]);
        assert_eq!(ask(&directory, minted_key.expose()), Err(AccessError::Blocked));
        key.blocked = true;
        directory.refresh(vec![key], Vec::new());
        assert_eq!(ask(&directory, minted_key.expose()), Err(AccessError::Blocked));
    }

    #[test]
    fn k2_a_team_that_is_blocked_is_refused_at_the_next_sync_and_its_limits_go_on() {
        let (minted_key, mut key) = minted(1);
        key.tenant = TenantName::new("acme/search").unwrap();
        let mut team = tenant("acme/search");
        team.limits.rpm = Some(2);
        let store = MemoryKeyStore::new();
        let directory = Directory::new(pepper());
        block_on(store.create(key.clone())).unwrap();
        block_on(store.put_tenant(None, team.clone())).unwrap();
        block_on(directory.sync(&store)).unwrap();
        let now = Monotonic::from_micros(1);
        directory.get(key.id).unwrap().admit(now, 0).unwrap().true_up(0, now);
        let blocked = Tenant { blocked: true, ..team.clone() };
        block_on(store.put_tenant(Some(&team), blocked.clone())).unwrap();
        assert!(block_on(directory.sync(&store)).unwrap());
        assert_eq!(ask(&directory, minted_key.expose()), Err(AccessError::Blocked));
        let lower = Tenant { limits: crate::Limits { rpm: Some(1), ..team.limits }, ..team };
        block_on(store.put_tenant(Some(&blocked), lower)).unwrap();
        block_on(directory.sync(&store)).unwrap();
        assert_eq!(ask(&directory, minted_key.expose()), Ok(key.id));
        assert!(
            directory.get(key.id).unwrap().admit(now, 0).is_err(),
            "a lowered limit gives no fresh minute"
        );
    }

    #[test]
    fn nothing_secret_is_printed() {
        let (minted_key, key) = minted(1);
        let directory = directory(std::slice::from_ref(&key));
        let printed = format!("{directory:?} {key:?} {:?}", directory.get(minted_key.id));
        assert!(printed.contains("acme"));
        assert!(!printed.contains(&minted_key.expose()[16..]));
        assert!(!printed.contains(&format!("{:?}", key.hash.as_bytes())));
    }
}
