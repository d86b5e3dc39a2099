//! What every [`CacheStore`] must do, for stores to be run against: a random script of calls, each answer
//! compared with that of a plain list which shares no code with any store.

#[cfg(test)]
pub(crate) mod generators;

use std::fmt::Display;

use thiserror::Error;
use weighbridge_units::{KeyId, Timestamp};

use crate::{
    AnsweredBy, CacheStore, EntryKey, Holding, InvalidEntry, ItemTag, KeptAnswer, KeptId, MasterSecret,
    NONCE_BYTES, Purpose, StoreError, StoreLimits, Tenant, Vault,
};

/// A store under test.
pub trait Subject {
    /// The store.
    fn store(&self) -> &dyn CacheStore;

    /// Closes it and opens it again, where it outlives that.
    fn restart(&mut self);
}

/// How often the script met what, so that a test can demand that it met enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Entries that were kept.
    pub kept: u64,
    /// Entries that were too large.
    pub too_large: u64,
    /// Entries that made room for others.
    pub made_room: u64,
    /// Answers that were read back.
    pub found: u64,
    /// Items that were found in an answer.
    pub items_found: u64,
    /// Items that were in none.
    pub items_missed: u64,
    /// Entries that were not there.
    pub missed: u64,
    /// Entries that were deleted.
    pub deleted: u64,
    /// Entries whose end was moved.
    pub prolonged: u64,
    /// Entries that were swept.
    pub swept: u64,
}

/// What a store did wrong.
#[derive(Debug, Error)]
#[error("seed {seed}, step {step}: {what}")]
pub struct Violation {
    /// The script's seed.
    pub seed: u64,
    /// Which of its calls.
    pub step: usize,
    /// What happened, and what should have.
    pub what: String,
}

/// An answer of that many bytes, half of them input, with every field filled.
///
/// # Errors
/// [`InvalidEntry`] where tenant or id are none.
pub fn answer(tenant: &str, id: &str, bytes: usize) -> Result<KeptAnswer, InvalidEntry> {
    Ok(KeptAnswer {
        id: KeptId::new(id)?,
        tenant: Tenant::new(tenant)?,
        key: KeyId::from_bits(bytes as u64),
        created: Timestamp::from_secs(7),
        answered_by: AnsweredBy { provider: "openai".into(), model: "gpt-4o-mini".into() },
        provider_id: Some(format!("{id}-there")),
        previous: None,
        input: "i".repeat(bytes),
        answer: "a".repeat(bytes),
    })
}

/// Runs an empty store with those limits through `steps` calls.
///
/// # Errors
/// The first [`Violation`] of what [`CacheStore`] promises.
pub async fn check_store(
    subject: &mut dyn Subject,
    limits: StoreLimits,
    seed: u64,
    steps: usize,
) -> Result<Report, Violation> {
    let mut script = Script {
        limits,
        vault: Vault::new(&MasterSecret::new([9; 32])),
        random: Random(seed),
        rows: Vec::new(),
        now: 1_000,
        came: 0,
        report: Report::default(),
    };
    for step in 0..steps {
        let done = script.step(subject).await;
        done.map_err(|what| Violation { seed, step, what })?;
    }
    Ok(script.report)
}

/// An entry as the reference has it.
struct Row {
    key: EntryKey,
    expires: i64,
    came: u64,
    bytes: u64,
    answer: KeptAnswer,
    items: Vec<ItemTag>,
}

struct Script {
    limits: StoreLimits,
    vault: Vault,
    random: Random,
    rows: Vec<Row>,
    /// In seconds.
    now: i64,
    came: u64,
    report: Report,
}

impl Script {
    async fn step(&mut self, subject: &mut dyn Subject) -> Result<(), String> {
        if self.random.below(3) == 0 {
            self.now += self.random.below(20) as i64;
        }
        match self.random.below(100) {
            0..40 => self.put(subject.store()).await?,
            40..60 => self.get(subject.store()).await?,
            60..75 => self.find(subject.store()).await?,
            75..83 => self.prolong(subject.store()).await?,
            83..92 => self.delete(subject.store()).await?,
            92..98 => self.sweep(subject.store()).await?,
            _ => subject.restart(),
        }
        let expected =
            Holding { entries: self.rows.len() as u64, bytes: self.rows.iter().map(|row| row.bytes).sum() };
        same("what it holds", worked(subject.store().holding().await)?, expected)
    }

    async fn put(&mut self, store: &dyn CacheStore) -> Result<(), String> {
        let (key, bytes) = (self.key()?, self.random.below(300) as usize);
        let answer = worked(answer(key.tenant().as_str(), key.id().as_str(), bytes))?;
        self.came += 1;
        let expires = self.now + self.random.below(200) as i64;
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&self.came.to_be_bytes());
        let ends = Timestamp::from_secs(expires);
        let mut kept = worked(self.vault.seal(Purpose::Response, &answer, ends, &nonce))?;
        for _ in 0..self.random.below(4) {
            kept.items.push(self.item(key.tenant())?);
        }
        let items = kept.items.clone();
        let row = Row { key, expires, came: self.came, bytes: kept.bytes(), answer, items };
        let found = store.put(kept).await;
        if row.bytes > self.limits.entry_bytes.min(self.limits.total_bytes) {
            self.report.too_large += 1;
            return match found {
                Err(StoreError::TooLarge { bytes, .. }) => same("the refused size", bytes, row.bytes),
                other => Err(format!("an entry of {} bytes was not refused: {other:?}", row.bytes)),
            };
        }
        self.report.kept += 1;
        let made_room = self.keep(row);
        self.report.made_room += made_room;
        same("how many made room", worked(found)?, made_room)
    }

    /// Puts a row, and gives how many others it drives out.
    fn keep(&mut self, row: Row) -> u64 {
        self.rows.retain(|other| other.key != row.key);
        let mut made_room = 0;
        while self.rows.iter().map(|other| other.bytes).sum::<u64>() + row.bytes > self.limits.total_bytes {
            let share = |tenant: &Tenant| -> u64 {
                let own = self.rows.iter().filter(|other| other.key.tenant() == tenant);
                own.map(|other| other.bytes).sum()
            };
            let mut shares: Vec<(u64, &Tenant)> =
                self.rows.iter().map(|other| (share(other.key.tenant()), other.key.tenant())).collect();
            shares.sort_by(|(one, a), (other, b)| other.cmp(one).then(a.cmp(b)));
            let Some(most) = shares.first().map(|(_, tenant)| (*tenant).clone()) else { break };
            let own = self.rows.iter().enumerate().filter(|(_, other)| *other.key.tenant() == most);
            let Some((out, _)) = own.min_by_key(|(_, other)| (other.expires, other.came)) else { break };
            self.rows.remove(out);
            made_room += 1;
        }
        self.rows.push(row);
        made_room
    }

    async fn get(&mut self, store: &dyn CacheStore) -> Result<(), String> {
        let key = self.key()?;
        let found = worked(store.get(&key, Timestamp::from_secs(self.now)).await)?;
        match self.live(&key).map(|row| (row.answer.clone(), row.expires)) {
            Some((answer, expires)) => {
                self.report.found += 1;
                let kept = found.ok_or_else(|| format!("{key:?} is kept and was not found"))?;
                same("the key", &kept.key, &key)?;
                same("the end", kept.expires, Timestamp::from_secs(expires))?;
                same("the answer", worked(self.vault.open(&kept))?, answer)
            }
            None => {
                self.report.missed += 1;
                same("what is not there", found, None)
            }
        }
    }

    async fn find(&mut self, store: &dyn CacheStore) -> Result<(), String> {
        let tenant = self.key()?.tenant().clone();
        let mut items = Vec::new();
        for _ in 0..self.random.below(4) {
            // Also by the tag that another tenant has for it.
            let of = if self.random.below(8) == 0 { self.key()?.tenant().clone() } else { tenant.clone() };
            items.push(self.item(&of)?);
        }
        let found = worked(store.find(&tenant, &items, Timestamp::from_secs(self.now)).await)?;
        let holds = |row: &&Row, item| {
            *row.key.tenant() == tenant && self.now < row.expires && row.items.contains(item)
        };
        let last = |item| self.rows.iter().filter(|row| holds(row, item)).max_by_key(|row| row.came);
        let expected: Vec<_> = items.iter().map(|item| last(item).map(|row| row.key.clone())).collect();
        self.report.items_found += expected.iter().flatten().count() as u64;
        self.report.items_missed += expected.iter().filter(|key| key.is_none()).count() as u64;
        same("who holds the items", found, expected)
    }

    async fn prolong(&mut self, store: &dyn CacheStore) -> Result<(), String> {
        let (key, until) = (self.key()?, self.now + self.random.below(400) as i64);
        let now = Timestamp::from_secs(self.now);
        let found = worked(store.prolong(&key, now, Timestamp::from_secs(until)).await)?;
        same("whether it was prolonged", found, self.live(&key).is_some())?;
        self.report.prolonged += u64::from(found);
        let now = self.now;
        if let Some(row) = self.rows.iter_mut().find(|row| row.key == key && now < row.expires) {
            row.expires = row.expires.max(until);
        }
        Ok(())
    }

    async fn delete(&mut self, store: &dyn CacheStore) -> Result<(), String> {
        let (key, now) = (self.key()?, Timestamp::from_secs(self.now));
        let found = worked(store.delete(&key, now).await)?;
        same("whether it was deleted", found, self.live(&key).is_some())?;
        self.report.deleted += u64::from(found);
        self.rows.retain(|row| row.key != key);
        same("what was deleted", worked(store.get(&key, now).await)?, None)
    }

    async fn sweep(&mut self, store: &dyn CacheStore) -> Result<(), String> {
        let limit = self.random.below(6);
        let found = worked(store.sweep(Timestamp::from_secs(self.now), limit).await)?;
        let mut over: Vec<(i64, u64)> = self
            .rows
            .iter()
            .filter(|row| row.expires <= self.now)
            .map(|row| (row.expires, row.came))
            .collect();
        over.sort_unstable();
        over.truncate(limit as usize);
        self.rows.retain(|row| !over.contains(&(row.expires, row.came)));
        self.report.swept += found;
        same("how many were swept", found, over.len() as u64)
    }

    fn live(&self, key: &EntryKey) -> Option<&Row> {
        self.rows.iter().find(|row| row.key == *key && self.now < row.expires)
    }

    /// What one of few items of a tenant is found by.
    fn item(&mut self, tenant: &Tenant) -> Result<ItemTag, String> {
        let id = format!("msg_{}", self.random.below(6));
        worked(self.vault.item_tag(Purpose::Response, tenant, &id))
    }

    /// One of few: three tenants that have the same ids.
    fn key(&mut self) -> Result<EntryKey, String> {
        let tenant = worked(Tenant::new(["acme", "acme/search", "b"][self.random.below(3) as usize]))?;
        let id = worked(KeptId::new(&format!("resp_{}", self.random.below(5))))?;
        Ok(EntryKey::new(Purpose::Response, tenant, id))
    }
}

fn worked<T>(result: Result<T, impl Display>) -> Result<T, String> {
    result.map_err(|error| format!("a call failed: {error}"))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}")) }
}

/// Numbers that are the same for the same seed everywhere: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
