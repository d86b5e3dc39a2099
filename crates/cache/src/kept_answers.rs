use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use weighbridge_units::Timestamp;

use crate::{
    CacheStore, EntryKey, Holding, ItemTag, KeptAnswer, KeptId, NONCE_BYTES, Purpose, Replays, SealError,
    StoreError, Tenant, UnsealError, Vault,
};

/// How long answers are kept, and how much of a conversation is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepingTerms {
    /// How long an answer is kept, from when it was made or last gone on from.
    pub ttl: Duration,
    /// The most answers that went on from each other, or whose items one request names.
    pub chain_answers: usize,
    /// The most bytes of their inputs and answers together.
    pub chain_bytes: usize,
    /// The most items that one answer is found by, which are its last ones, and that one request may name.
    pub items: usize,
}

impl Default for KeepingTerms {
    /// Thirty days, as OpenAI keeps them; 512 answers; 32 MiB; 4,096 items.
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30 * 86_400),
            chain_answers: 512,
            chain_bytes: 32 << 20,
            items: 4_096,
        }
    }
}

/// Why a kept answer is not given, or an answer not kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeptError {
    /// The tenant has no such answer: there never was one, it was deleted, or its time is over.
    #[error("no answer `{0}` is kept")]
    NotFound(KeptId),
    /// The conversation has more answers than are read.
    #[error("the conversation has more than {limit} answers: send its items as input")]
    TooLong {
        /// How many may be read.
        limit: usize,
    },
    /// The conversation has more bytes than are read.
    #[error("the conversation has more than {limit} bytes: send the items that matter as input")]
    TooLarge {
        /// How many may be read.
        limit: usize,
    },
    /// More items are named than are looked for.
    #[error("more than {limit} items are named: send them as input")]
    TooMany {
        /// How many may be named.
        limit: usize,
    },
    /// An answer does not open.
    #[error("the kept answer `{id}` cannot be read")]
    Unreadable {
        /// Which one.
        id: KeptId,
        /// Why.
        #[source]
        source: UnsealError,
    },
    /// The answer cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers that hold items which are named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cited {
    /// Each of them once, the oldest first.
    pub answers: Vec<KeptAnswer>,
    /// The ids of items that no answer of the tenant holds.
    pub missing: Vec<String>,
}

/// The answers that clients of Responses asked to be stored, over a store and a vault.
#[derive(Clone)]
pub struct KeptAnswers {
    store: Arc<dyn CacheStore>,
    vault: Vault,
    terms: KeepingTerms,
}

impl KeptAnswers {
    /// How many answers one [`Self::sweep`] deletes at most.
    pub const SWEPT_AT_ONCE: u64 = 256;

    /// Kept in `store`, sealed by `vault`.
    pub const fn new(store: Arc<dyn CacheStore>, vault: Vault, terms: KeepingTerms) -> Self {
        Self { store, vault, terms }
    }

    /// What idempotency keys were answered with, in the same store and under the same secret.
    pub fn replays(&self) -> Replays {
        Replays::new(Arc::clone(&self.store), self.vault.clone())
    }

    /// Keeps an answer from now on, which is when it was made, and as long as itself the ones that it went on
    /// from, or whose items it names (`earlier`): without them it could not be gone on from. `items` are the ids
    /// that [`Self::citing`] finds it by, as many of the last ones as the terms allow. Gives how many others made
    /// room for it.
    ///
    /// The nonce is [`NONCE_BYTES`] random bytes of a cryptographic source.
    ///
    /// # Errors
    /// [`KeptError::Seal`] and [`KeptError::Store`]. An answer can be kept although its call fails, where an
    /// earlier one's end could not be moved.
    pub async fn keep(
        &self,
        answer: &KeptAnswer,
        items: &[String],
        earlier: &[KeptId],
        nonce: &[u8; NONCE_BYTES],
    ) -> Result<u64, KeptError> {
        let (now, until) = (answer.created, answer.created + self.terms.ttl);
        let mut kept = self.vault.seal(Purpose::Response, answer, until, nonce)?;
        let items = items.get(items.len().saturating_sub(self.terms.items)..).unwrap_or_default();
        kept.items = self.tags(&answer.tenant, items)?;
        let made_room = self.store.put(kept).await?;
        for id in earlier {
            self.store.prolong(&place(&answer.tenant, id), now, until).await?;
        }
        Ok(made_room)
    }

    /// One answer.
    ///
    /// # Errors
    /// [`KeptError`].
    pub async fn get(&self, tenant: &Tenant, id: &KeptId, now: Timestamp) -> Result<KeptAnswer, KeptError> {
        let kept = self.store.get(&place(tenant, id), now).await?;
        let kept = kept.ok_or_else(|| KeptError::NotFound(id.clone()))?;
        self.vault.open(&kept).map_err(|source| KeptError::Unreadable { id: id.clone(), source })
    }

    /// An answer and all that it went on from, the oldest first.
    ///
    /// # Errors
    /// [`KeptError`]. Where any answer of the chain is missing the whole is refused: a model must not be made to
    /// believe that a part of a conversation is all of it.
    pub async fn chain(
        &self,
        tenant: &Tenant,
        last: &KeptId,
        now: Timestamp,
    ) -> Result<Vec<KeptAnswer>, KeptError> {
        let mut answers: Vec<KeptAnswer> = Vec::new();
        let mut next = Some(last.clone());
        let mut bytes = 0;
        while let Some(id) = next {
            // Also what ends a chain that bites its own tail.
            if answers.len() == self.terms.chain_answers {
                return Err(KeptError::TooLong { limit: self.terms.chain_answers });
            }
            let answer = self.get(tenant, &id, now).await?;
            bytes += answer.input.len() + answer.answer.len();
            if bytes > self.terms.chain_bytes {
                return Err(KeptError::TooLarge { limit: self.terms.chain_bytes });
            }
            next = answer.previous.clone();
            answers.push(answer);
        }
        answers.reverse();
        Ok(answers)
    }

    /// The answers that hold items of those ids. Where several hold the same, the one that was kept last.
    ///
    /// # Errors
    /// [`KeptError`], where they are too many or cannot be read.
    pub async fn citing(
        &self,
        tenant: &Tenant,
        items: &[String],
        now: Timestamp,
    ) -> Result<Cited, KeptError> {
        if items.len() > self.terms.items {
            return Err(KeptError::TooMany { limit: self.terms.items });
        }
        let found = self.store.find(tenant, &self.tags(tenant, items)?, now).await?;
        let mut cited = Cited::default();
        let mut holders = BTreeSet::new();
        for (item, holder) in items.iter().zip(found) {
            match holder {
                Some(holder) => drop(holders.insert(holder)),
                None => cited.missing.push(item.clone()),
            }
        }
        if holders.len() > self.terms.chain_answers {
            return Err(KeptError::TooLong { limit: self.terms.chain_answers });
        }
        let mut bytes = 0;
        for holder in holders {
            let answer = self.get(tenant, holder.id(), now).await?;
            bytes += answer.input.len() + answer.answer.len();
            if bytes > self.terms.chain_bytes {
                return Err(KeptError::TooLarge { limit: self.terms.chain_bytes });
            }
            cited.answers.push(answer);
        }
        cited.answers.sort_by_key(|answer| answer.created);
        Ok(cited)
    }

    fn tags(&self, tenant: &Tenant, items: &[String]) -> Result<Vec<ItemTag>, SealError> {
        items.iter().map(|item| self.vault.item_tag(Purpose::Response, tenant, item)).collect()
    }

    /// Deletes an answer for good. What went on from it can be read and not be gone on from any more.
    ///
    /// # Errors
    /// [`KeptError::NotFound`] and [`KeptError::Store`].
    pub async fn delete(&self, tenant: &Tenant, id: &KeptId, now: Timestamp) -> Result<(), KeptError> {
        match self.store.delete(&place(tenant, id), now).await? {
            true => Ok(()),
            false => Err(KeptError::NotFound(id.clone())),
        }
    }

    /// How much is kept of all tenants.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn holding(&self) -> Result<Holding, StoreError> {
        self.store.holding().await
    }

    /// Deletes some of the answers whose time is over, and gives how many. Where these are
    /// [`Self::SWEPT_AT_ONCE`] there may be more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.store.sweep(now, Self::SWEPT_AT_ONCE).await
    }
}

impl fmt::Debug for KeptAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswers").field("terms", &self.terms).finish_non_exhaustive()
    }
}

fn place(tenant: &Tenant, id: &KeptId) -> EntryKey {
    EntryKey::new(Purpose::Response, tenant.clone(), id.clone())
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::testkit::generators::answer;
    use crate::{MasterSecret, MemoryCacheStore, StoreLimits};

    /// In seconds; answers of the testkit are made at 7.
    const TTL: u64 = 100;
    const NOW: Timestamp = Timestamp::from_secs(50);

    fn id(number: usize) -> KeptId {
        KeptId::new(&format!("resp_{number}")).unwrap()
    }

    fn acme() -> Tenant {
        Tenant::new("acme").unwrap()
    }

    fn terms() -> KeepingTerms {
        KeepingTerms { ttl: Duration::from_secs(TTL), ..KeepingTerms::default() }
    }

    fn store(terms: KeepingTerms) -> KeptAnswers {
        let vault = Vault::new(&MasterSecret::new([1; 32]));
        KeptAnswers::new(Arc::new(MemoryCacheStore::new(StoreLimits::default())), vault, terms)
    }

    /// A chain of so many answers, each kept by itself.
    fn chain_of(length: usize, terms: KeepingTerms) -> KeptAnswers {
        let kept = store(terms);
        for number in 0..length {
            keep(&kept, number, number.checked_sub(1), &[]);
        }
        kept
    }

    fn keep(kept: &KeptAnswers, number: usize, previous: Option<usize>, earlier: &[KeptId]) {
        let answer = KeptAnswer { previous: previous.map(id), ..answer("acme", id(number).as_str(), 50) };
        block_on(kept.keep(&answer, &[format!("msg_{number}"), "msg_all".into()], earlier, &[3; 24]))
            .unwrap();
    }

    fn read(kept: &KeptAnswers, last: usize, now: Timestamp) -> Result<Vec<String>, KeptError> {
        let answers = block_on(kept.chain(&acme(), &id(last), now))?;
        Ok(answers.into_iter().map(|answer| answer.id.as_str().to_owned()).collect())
    }

    #[test]
    fn the_oldest_comes_first() {
        let kept = chain_of(4, terms());
        assert_eq!(read(&kept, 2, NOW).unwrap(), ["resp_0", "resp_1", "resp_2"]);
        assert_eq!(read(&kept, 0, NOW).unwrap(), ["resp_0"]);
    }

    #[test]
    fn anothers_answers_are_not_found() {
        let (kept, other) = (chain_of(2, terms()), Tenant::new("other").unwrap());
        let is_missing =
            |error: &KeptError| matches!(error, KeptError::NotFound(missing) if *missing == id(1));
        assert!(is_missing(&block_on(kept.chain(&other, &id(1), NOW)).unwrap_err()));
        assert!(is_missing(&block_on(kept.get(&other, &id(1), NOW)).unwrap_err()));
        assert!(is_missing(&block_on(kept.delete(&other, &id(1), NOW)).unwrap_err()));
        assert_eq!(block_on(kept.get(&acme(), &id(1), NOW)).unwrap().id, id(1));
    }

    /// The ids of the answers, then those of the items that are missing.
    fn citing(kept: &KeptAnswers, tenant: &str, items: &[&str]) -> Result<Vec<String>, KeptError> {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        let Cited { answers, missing } = block_on(kept.citing(&Tenant::new(tenant).unwrap(), &items, NOW))?;
        Ok(answers.into_iter().map(|answer| answer.id.as_str().to_owned()).chain(missing).collect())
    }

    #[test]
    fn answers_are_found_by_their_items() {
        let kept = chain_of(3, terms());
        assert_eq!(citing(&kept, "acme", &["msg_1"]).unwrap(), ["resp_1"]);
        assert_eq!(citing(&kept, "acme", &["msg_2", "msg_0", "msg_2"]).unwrap(), ["resp_0", "resp_2"]);
        assert_eq!(citing(&kept, "acme", &["msg_all"]).unwrap(), ["resp_2"], "the last one");
        block_on(kept.delete(&acme(), &id(2), NOW)).unwrap();
        assert_eq!(citing(&kept, "acme", &["msg_all"]).unwrap(), ["resp_1"], "of those that are there");
        assert_eq!(citing(&kept, "acme", &["msg_0", "msg_2", "x"]).unwrap(), ["resp_0", "msg_2", "x"]);
        assert_eq!(citing(&kept, "other", &["msg_0"]).unwrap(), ["msg_0"]);
        let other = KeptAnswers { vault: Vault::new(&MasterSecret::new([9; 32])), ..kept };
        assert_eq!(citing(&other, "acme", &["msg_0"]).unwrap(), ["msg_0"]);
    }

    #[test]
    fn what_items_are_found_in_is_bounded() {
        let kept = chain_of(3, KeepingTerms { chain_answers: 2, ..terms() });
        assert_eq!(citing(&kept, "acme", &["msg_0", "msg_1"]).unwrap().len(), 2);
        let error = citing(&kept, "acme", &["msg_0", "msg_1", "msg_2"]).unwrap_err();
        assert!(matches!(error, KeptError::TooLong { limit: 2 }), "{error}");
        let kept = chain_of(3, KeepingTerms { items: 1, ..terms() });
        // Each is found by the last of its two.
        assert_eq!(citing(&kept, "acme", &["msg_all"]).unwrap(), ["resp_2"]);
        assert_eq!(citing(&kept, "acme", &["msg_0"]).unwrap(), ["msg_0"]);
        let error = citing(&kept, "acme", &["msg_all", "msg_0"]).unwrap_err();
        assert!(matches!(error, KeptError::TooMany { limit: 1 }), "{error}");
        let kept = chain_of(3, KeepingTerms { chain_bytes: 250, ..terms() });
        let error = citing(&kept, "acme", &["msg_0", "msg_1", "msg_2"]).unwrap_err();
        assert!(matches!(error, KeptError::TooLarge { limit: 250 }), "{error}");
    }

    #[test]
    fn a_chain_with_a_gap_is_refused() {
        let kept = chain_of(3, terms());
        block_on(kept.delete(&acme(), &id(1), NOW)).unwrap();
        let error = read(&kept, 2, NOW).unwrap_err();
        assert!(matches!(&error, KeptError::NotFound(missing) if *missing == id(1)), "{error}");
        assert_eq!(block_on(kept.get(&acme(), &id(2), NOW)).unwrap().id, id(2));
        assert!(matches!(block_on(kept.delete(&acme(), &id(1), NOW)), Err(KeptError::NotFound(_))));
    }

    #[test]
    fn what_is_gone_on_from_lives_as_long_as_what_came_of_it() {
        let kept = store(terms());
        keep(&kept, 0, None, &[]);
        let later = KeptAnswer {
            created: Timestamp::from_secs(90),
            previous: Some(id(0)),
            ..answer("acme", "resp_1", 50)
        };
        block_on(kept.keep(&later, &[], &[id(0)], &[4; 24])).unwrap();
        // The first one's own time was over at 107.
        assert_eq!(read(&kept, 1, Timestamp::from_secs(189)).unwrap(), ["resp_0", "resp_1"]);
        assert!(matches!(read(&kept, 1, Timestamp::from_secs(190)), Err(KeptError::NotFound(_))));
        assert_eq!(block_on(kept.sweep(Timestamp::from_secs(190))).unwrap(), 2);
    }

    #[test]
    fn a_chain_is_bounded() {
        let kept = chain_of(4, KeepingTerms { chain_answers: 3, ..terms() });
        assert_eq!(read(&kept, 2, NOW).unwrap().len(), 3);
        assert!(matches!(read(&kept, 3, NOW), Err(KeptError::TooLong { limit: 3 })));
        let kept = chain_of(4, KeepingTerms { chain_bytes: 350, ..terms() });
        assert_eq!(read(&kept, 2, NOW).unwrap().len(), 3);
        assert!(matches!(read(&kept, 3, NOW), Err(KeptError::TooLarge { limit: 350 })));
    }

    #[test]
    fn a_chain_that_bites_its_tail_ends() {
        let kept = chain_of(3, terms());
        keep(&kept, 0, Some(2), &[]);
        assert!(matches!(read(&kept, 1, NOW), Err(KeptError::TooLong { .. })));
    }

    #[test]
    fn what_another_secret_sealed_is_named() {
        let kept = chain_of(1, terms());
        let other = KeptAnswers { vault: Vault::new(&MasterSecret::new([9; 32])), ..kept };
        let error = read(&other, 0, NOW).unwrap_err();
        assert!(matches!(&error, KeptError::Unreadable { source: UnsealError::OtherSecret, .. }), "{error}");
    }
}
