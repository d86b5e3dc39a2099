use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use weighbridge_units::Timestamp;

use crate::{CacheStore, EntryKey, Holding, ItemTag, Kept, Sealed, StoreError, StoreLimits, Tenant};

/// Kept answers in memory, for tests and for embedding. They end with the process.
#[derive(Debug)]
pub struct MemoryCacheStore {
    limits: StoreLimits,
    state: Mutex<State>,
}

/// Entries in the order in which they expire; of the same moment, in the order in which they came.
type Order = (Timestamp, u64);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<EntryKey, Entry>,
    in_order: BTreeMap<Order, EntryKey>,
    tenants: HashMap<Tenant, Share>,
    bytes: u64,
    came: u64,
}

#[derive(Debug)]
struct Entry {
    order: Order,
    bytes: u64,
    sealed: Sealed,
    items: Vec<ItemTag>,
}

/// What one tenant holds.
#[derive(Debug, Default)]
struct Share {
    bytes: u64,
    in_order: BTreeMap<Order, EntryKey>,
    /// Which entries hold an item, in the order in which they came.
    items: HashMap<ItemTag, BTreeMap<u64, EntryKey>>,
}

impl MemoryCacheStore {
    /// An empty store.
    pub fn new(limits: StoreLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, key: EntryKey, entry: Entry) {
        self.bytes += entry.bytes;
        self.in_order.insert(entry.order, key.clone());
        let share = self.tenants.entry(key.tenant().clone()).or_default();
        share.bytes += entry.bytes;
        share.in_order.insert(entry.order, key.clone());
        for item in &entry.items {
            share.items.entry(*item).or_default().insert(entry.order.1, key.clone());
        }
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &EntryKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.bytes -= entry.bytes;
        self.in_order.remove(&entry.order);
        if let Some(share) = self.tenants.get_mut(key.tenant()) {
            share.bytes -= entry.bytes;
            share.in_order.remove(&entry.order);
            for item in &entry.items {
                if let Some(holders) = share.items.get_mut(item) {
                    holders.remove(&entry.order.1);
                    if holders.is_empty() {
                        share.items.remove(item);
                    }
                }
            }
            if share.in_order.is_empty() {
                self.tenants.remove(key.tenant());
            }
        }
        Some(entry)
    }

    /// The entry that makes room next: of the tenant that holds most, the one that expires first.
    fn next_out(&self) -> Option<EntryKey> {
        let most =
            self.tenants.iter().max_by(|(a, one), (b, other)| one.bytes.cmp(&other.bytes).then(b.cmp(a)));
        most.and_then(|(_, share)| share.in_order.values().next().cloned())
    }

    fn live(&self, key: &EntryKey, now: Timestamp) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| now < entry.order.0)
    }
}

#[async_trait]
impl CacheStore for MemoryCacheStore {
    async fn put(&self, kept: Kept) -> Result<u64, StoreError> {
        self.limits.check(&kept)?;
        let bytes = kept.bytes();
        let mut state = self.state();
        state.remove(&kept.key);
        let mut made_room = 0;
        while state.bytes + bytes > self.limits.total_bytes {
            let Some(key) = state.next_out() else { break };
            state.remove(&key);
            made_room += 1;
        }
        state.came += 1;
        let order = (kept.expires, state.came);
        state.insert(kept.key, Entry { order, bytes, sealed: kept.sealed, items: kept.items });
        Ok(made_room)
    }

    async fn get(&self, key: &EntryKey, now: Timestamp) -> Result<Option<Kept>, StoreError> {
        let state = self.state();
        let live = state.live(key, now);
        Ok(live.map(|entry| Kept {
            key: key.clone(),
            expires: entry.order.0,
            sealed: entry.sealed.clone(),
            items: Vec::new(),
        }))
    }

    async fn find(
        &self,
        tenant: &Tenant,
        items: &[ItemTag],
        now: Timestamp,
    ) -> Result<Vec<Option<EntryKey>>, StoreError> {
        let state = self.state();
        let holders = |item| state.tenants.get(tenant)?.items.get(item);
        let latest = |item| holders(item)?.values().rev().find(|key| state.live(key, now).is_some()).cloned();
        Ok(items.iter().map(latest).collect())
    }

    async fn prolong(&self, key: &EntryKey, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(entry) = state.live(key, now) else { return Ok(false) };
        if until > entry.order.0
            && let Some(mut entry) = state.remove(key)
        {
            entry.order.0 = until;
            state.insert(key.clone(), entry);
        }
        Ok(true)
    }

    async fn delete(&self, key: &EntryKey, now: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.state();
        let was_live = state.live(key, now).is_some();
        state.remove(key);
        Ok(was_live)
    }

    async fn sweep(&self, now: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut swept = 0;
        while swept < limit {
            let Some((order, key)) = state.in_order.first_key_value() else { break };
            if order.0 > now {
                break;
            }
            let key = key.clone();
            state.remove(&key);
            swept += 1;
        }
        Ok(swept)
    }

    async fn holding(&self) -> Result<Holding, StoreError> {
        let state = self.state();
        Ok(Holding { entries: state.entries.len() as u64, bytes: state.bytes })
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::testkit::generators::answer;
    use crate::testkit::{Subject, check_store};
    use crate::{KeptId, MasterSecret, Purpose, Vault};

    struct Memory(MemoryCacheStore);

    impl Subject for Memory {
        fn store(&self) -> &dyn CacheStore {
            &self.0
        }

        /// What is in memory does not outlive a restart, so there is none.
        fn restart(&mut self) {}
    }

    #[test]
    fn a_tenant_that_floods_the_store_drives_out_itself_only() {
        let store = MemoryCacheStore::new(StoreLimits { entry_bytes: 600, total_bytes: 4_000 });
        let vault = Vault::new(&MasterSecret::new([1; 32]));
        let put = |tenant: &str, number: i64, bytes| {
            let answer = answer(tenant, &format!("resp_{number}"), bytes);
            let ends = Timestamp::from_secs(1_000 - number);
            block_on(store.put(vault.seal(Purpose::Response, &answer, ends, &[0; 24]).unwrap())).unwrap()
        };
        (0..5).for_each(|number| assert_eq!(put("small", number, 50), 0));
        assert!((0..200).map(|number| put("large", number, 200)).sum::<u64>() > 100);
        for number in 0..5 {
            let id = KeptId::new(&format!("resp_{number}")).unwrap();
            let key = EntryKey::new(Purpose::Response, Tenant::new("small").unwrap(), id);
            assert!(block_on(store.get(&key, Timestamp::from_secs(0))).unwrap().is_some());
        }
    }

    #[test]
    fn it_keeps_the_promises_of_a_store() {
        for (seed, total_bytes) in [(1, u64::MAX), (2, 4_000), (3, 1_200), (4, 800)] {
            let limits = StoreLimits { entry_bytes: 600, total_bytes };
            let report =
                block_on(check_store(&mut Memory(MemoryCacheStore::new(limits)), limits, seed, 2_500));
            let report = report.unwrap();
            assert!(report.found > 50 && report.swept > 10, "{report:?}");
            assert!(report.items_found > 20 && report.items_missed > 20, "{report:?}");
            assert_eq!(report.made_room > 0, total_bytes < u64::MAX, "{report:?}");
        }
    }
}
