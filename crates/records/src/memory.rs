use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use weighbridge_units::{RequestId, Timestamp};

use crate::log::{LogError, RequestLog, Scope};
use crate::request::RequestRecord;

/// Keeps the latest records in memory, up to a number.
///
/// A search looks at every record: it is meant for tests, demonstrations and small embedders.
pub struct MemoryRequestLog {
    capacity: usize,
    records: Mutex<VecDeque<Arc<RequestRecord>>>,
    /// How many were ever appended; changed under the lock.
    appended: AtomicU64,
}

impl MemoryRequestLog {
    /// A log of at most `capacity` records; the oldest make room.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, records: Mutex::default(), appended: AtomicU64::new(0) }
    }

    /// The latest record of that id within the scope.
    pub fn find(&self, scope: &Scope, id: &RequestId) -> Option<Arc<RequestRecord>> {
        self.lock().iter().rev().find(|record| record.id == *id && scope.covers(record)).cloned()
    }

    /// The latest records within the scope, newest first.
    pub fn latest(&self, scope: &Scope, limit: usize) -> Vec<Arc<RequestRecord>> {
        self.lock().iter().rev().filter(|record| scope.covers(record)).take(limit).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<RequestRecord>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RequestLog for MemoryRequestLog {
    fn append(&self, record: Arc<RequestRecord>) {
        let mut records = self.lock();
        records.push_back(record);
        self.appended.fetch_add(1, Ordering::AcqRel);
        if records.len() > self.capacity {
            records.pop_front();
        }
    }

    async fn get(&self, scope: &Scope, id: &RequestId) -> Result<Option<String>, LogError> {
        Ok(self.find(scope, id).map(|record| record.to_json()))
    }

    async fn recent(&self, scope: &Scope, limit: usize) -> Result<Vec<String>, LogError> {
        Ok(self.latest(scope, limit).iter().map(|record| record.to_json()).collect())
    }

    async fn between(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, LogError> {
        let records = self.lock();
        // A record's place counts from the first that was ever appended, also where that has made room.
        let first = self.appended.load(Ordering::Acquire) - records.len() as u64;
        let placed = records.iter().zip(first + 1..);
        let wanted =
            placed.filter(|(record, place)| *place > after && record.at >= from && record.at < until);
        Ok(wanted.take(limit).map(|(record, place)| (place, record.to_json())).collect())
    }

    fn dropped(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use proptest::prelude::*;
    use weighbridge_units::{KeyId, Protocol};

    use super::*;
    use crate::request::Caller;

    fn id(number: u8) -> RequestId {
        RequestId::new(&format!("req_{number}")).unwrap()
    }

    fn record(number: u8, key: u8, serial: i64) -> Arc<RequestRecord> {
        let at = Timestamp::from_micros(serial);
        let mut record = RequestRecord::new(id(number), at, Protocol::OpenAiChat);
        // Two keys per tenant; key 0 stands for a request without a valid key.
        let caller = Caller { key: KeyId::from_bits(key.into()), tenant: format!("t{}", key / 2).into() };
        record.caller = (key != 0).then_some(caller);
        Arc::new(record)
    }

    proptest! {
        /// Against a plain list that is never cut, as reference.
        #[test]
        fn another_tenants_record_does_not_exist(
            appended in prop::collection::vec((0_u8..6, 0_u8..6), 0..60),
            asked in 0_u8..6,
            tenant in 0_u8..3,
            key in 1_u8..6,
            capacity in 1_usize..40,
        ) {
            let log = MemoryRequestLog::new(capacity);
            let mut all = Vec::new();
            for (serial, (number, key)) in appended.into_iter().enumerate() {
                let record = record(number, key, serial as i64);
                all.push(record.clone());
                log.append(record);
            }
            let kept = all.split_off(all.len().saturating_sub(capacity));
            let tenant: Arc<str> = format!("t{tenant}").into();
            let key = KeyId::from_bits(key.into());
            for (scope, sees) in [
                (Scope::All, Box::new(|_: &RequestRecord| true) as Box<dyn Fn(&RequestRecord) -> bool>),
                (Scope::Tenant(tenant.clone()), Box::new(|r| r.caller.as_ref().is_some_and(|c| c.tenant == tenant))),
                (Scope::Key(key), Box::new(|r| r.caller.as_ref().is_some_and(|c| c.key == key))),
            ] {
                let visible: Vec<_> = kept.iter().rev().filter(|r| sees(r)).cloned().collect();
                let expected = visible.iter().find(|r| r.id == id(asked)).cloned();
                prop_assert_eq!(log.find(&scope, &id(asked)), expected.clone());
                prop_assert_eq!(log.latest(&scope, 5), &visible[..visible.len().min(5)]);
                let json = expected.map(|record| record.to_json());
                prop_assert_eq!(block_on(log.get(&scope, &id(asked))).unwrap(), json);
            }
        }
    }
}
