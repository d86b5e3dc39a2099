use thiserror::Error;
use weighbridge_units::Timestamp;

use crate::{CacheStore, EntryKey, KeptAnswer, KeptId, Purpose, StoreError, Tenant, UnsealError, Vault};

/// How much of a conversation is read back at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainLimits {
    /// Answers that went on from each other.
    pub answers: usize,
    /// Bytes of their inputs and answers together.
    pub bytes: usize,
}

impl Default for ChainLimits {
    /// 512 answers, 32 MiB.
    fn default() -> Self {
        Self { answers: 512, bytes: 32 << 20 }
    }
}

/// Why a conversation cannot be gone on from.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChainError {
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
    /// An answer does not open.
    #[error("the kept answer `{id}` cannot be read")]
    Unreadable {
        /// Which one.
        id: KeptId,
        /// Why.
        #[source]
        source: UnsealError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads a tenant's answer and all that it went on from, the oldest first.
///
/// # Errors
/// [`ChainError`]. Where any answer of the chain is missing the whole is refused: a model must not be
/// made to believe that a part of a conversation is all of it.
pub async fn read_chain(
    store: &dyn CacheStore,
    vault: &Vault,
    tenant: &Tenant,
    last: &KeptId,
    now: Timestamp,
    limits: &ChainLimits,
) -> Result<Vec<KeptAnswer>, ChainError> {
    let mut answers: Vec<KeptAnswer> = Vec::new();
    let mut next = Some(last.clone());
    let mut bytes = 0;
    while let Some(id) = next {
        // Also what ends a chain that bites its own tail.
        if answers.len() == limits.answers {
            return Err(ChainError::TooLong { limit: limits.answers });
        }
        let key = EntryKey::new(Purpose::Response, tenant.clone(), id);
        let Some(kept) = store.get(&key, now).await? else {
            return Err(ChainError::NotFound(key.id().clone()));
        };
        let answer =
            vault.open(&kept).map_err(|source| ChainError::Unreadable { id: key.id().clone(), source })?;
        bytes += answer.input.len() + answer.answer.len();
        if bytes > limits.bytes {
            return Err(ChainError::TooLarge { limit: limits.bytes });
        }
        next = answer.previous.clone();
        answers.push(answer);
    }
    answers.reverse();
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::testkit::generators::answer;
    use crate::{MasterSecret, MemoryCacheStore, StoreLimits};

    const NOW: Timestamp = Timestamp::from_secs(100);

    fn id(number: usize) -> KeptId {
        KeptId::new(&format!("resp_{number}")).unwrap()
    }

    /// A store with a chain of so many answers.
    fn kept(length: usize) -> (MemoryCacheStore, Vault) {
        let (store, vault) =
            (MemoryCacheStore::new(StoreLimits::default()), Vault::new(&MasterSecret::new([1; 32])));
        for number in 0..length {
            let previous = number.checked_sub(1).map(id);
            put(&store, &vault, &KeptAnswer { previous, ..answer("acme", id(number).as_str(), 50) });
        }
        (store, vault)
    }

    fn put(store: &MemoryCacheStore, vault: &Vault, answer: &KeptAnswer) {
        let sealed = vault.seal(Purpose::Response, answer, Timestamp::from_secs(200), &[3; 24]).unwrap();
        block_on(store.put(sealed)).unwrap();
    }

    fn read(
        (store, vault): &(MemoryCacheStore, Vault),
        tenant: &str,
        last: usize,
        limits: ChainLimits,
    ) -> Result<Vec<String>, ChainError> {
        let tenant = Tenant::new(tenant).unwrap();
        let answers = block_on(read_chain(store, vault, &tenant, &id(last), NOW, &limits))?;
        Ok(answers.into_iter().map(|answer| answer.id.as_str().to_owned()).collect())
    }

    #[test]
    fn the_oldest_comes_first() {
        let kept = kept(4);
        assert_eq!(read(&kept, "acme", 2, ChainLimits::default()).unwrap(), ["resp_0", "resp_1", "resp_2"]);
        assert_eq!(read(&kept, "acme", 0, ChainLimits::default()).unwrap(), ["resp_0"]);
    }

    #[test]
    fn anothers_conversation_is_not_found() {
        let error = read(&kept(2), "other", 1, ChainLimits::default()).unwrap_err();
        assert!(matches!(&error, ChainError::NotFound(missing) if *missing == id(1)), "{error}");
    }

    #[test]
    fn a_chain_with_a_gap_is_refused() {
        let kept = kept(3);
        let key = EntryKey::new(Purpose::Response, Tenant::new("acme").unwrap(), id(1));
        assert!(block_on(kept.0.delete(&key, NOW)).unwrap());
        let error = read(&kept, "acme", 2, ChainLimits::default()).unwrap_err();
        assert!(matches!(&error, ChainError::NotFound(missing) if *missing == id(1)), "{error}");
    }

    #[test]
    fn a_chain_is_bounded() {
        let kept = kept(4);
        let limits = ChainLimits { answers: 3, ..ChainLimits::default() };
        assert_eq!(read(&kept, "acme", 2, limits).unwrap().len(), 3);
        assert!(matches!(read(&kept, "acme", 3, limits), Err(ChainError::TooLong { limit: 3 })));
        let limits = ChainLimits { bytes: 350, ..ChainLimits::default() };
        assert_eq!(read(&kept, "acme", 2, limits).unwrap().len(), 3);
        assert!(matches!(read(&kept, "acme", 3, limits), Err(ChainError::TooLarge { limit: 350 })));
    }

    #[test]
    fn a_chain_that_bites_its_tail_ends() {
        let kept = kept(3);
        put(&kept.0, &kept.1, &KeptAnswer { previous: Some(id(2)), ..answer("acme", "resp_0", 50) });
        assert!(matches!(read(&kept, "acme", 1, ChainLimits::default()), Err(ChainError::TooLong { .. })));
    }

    #[test]
    fn what_another_secret_sealed_is_named() {
        let (store, _) = kept(1);
        let other = Vault::new(&MasterSecret::new([9; 32]));
        let error = read(&(store, other), "acme", 0, ChainLimits::default()).unwrap_err();
        assert!(matches!(&error, ChainError::Unreadable { source: UnsealError::OtherSecret, .. }), "{error}");
    }
}
