use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use weighbridge_units::{KeyId, Timestamp};

use crate::{CacheStore, EntryKey, KeptError, KeptId, NONCE_BYTES, Purpose, Tenant, Vault};

/// What an idempotency key was answered with, as it was sent. Its `Debug` shows no body.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptReplay {
    /// Of the claim ([`KeptId::of_claim`]).
    pub id: KeptId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The key that asked.
    pub key: KeyId,
    /// When it was answered.
    pub created: Timestamp,
    /// The hash of what was asked for: something else under the same key is not answered with this.
    pub payload: [u8; 16],
    /// The id of the request that was carried out.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The headers that are kept, in order.
    pub headers: Vec<(String, Bytes)>,
    /// The body, byte by byte, also of a stream.
    pub body: Bytes,
}

impl fmt::Debug for KeptReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptReplay")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("request", &self.request)
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What idempotency keys were answered with, over a store and a vault.
#[derive(Clone)]
pub struct Replays {
    store: Arc<dyn CacheStore>,
    vault: Vault,
}

impl Replays {
    /// Kept in `store`, sealed by `vault`.
    pub const fn new(store: Arc<dyn CacheStore>, vault: Vault) -> Self {
        Self { store, vault }
    }

    /// Keeps an answer until its window is over. Gives how many others made room for it.
    ///
    /// The nonce is [`NONCE_BYTES`] random bytes of a cryptographic source.
    ///
    /// # Errors
    /// [`KeptError::Seal`] and [`KeptError::Store`].
    pub async fn keep(
        &self,
        replay: &KeptReplay,
        until: Timestamp,
        nonce: &[u8; NONCE_BYTES],
    ) -> Result<u64, KeptError> {
        let key = place(&replay.tenant, &replay.id);
        let kept = self.vault.seal_text(key, until, nonce, length(replay), |out| write(replay, out))?;
        Ok(self.store.put(kept).await?)
    }

    /// What a claim was answered with, unless nothing is kept.
    ///
    /// # Errors
    /// [`KeptError::Unreadable`] and [`KeptError::Store`].
    pub async fn get(
        &self,
        tenant: &Tenant,
        id: &KeptId,
        now: Timestamp,
    ) -> Result<Option<KeptReplay>, KeptError> {
        let key = place(tenant, id);
        let Some(kept) = self.store.get(&key, now).await? else { return Ok(None) };
        let unreadable = |source| KeptError::Unreadable { id: id.clone(), source };
        let text = self.vault.open_text(&kept).map_err(unreadable)?;
        let replay = read(&key, &text).ok_or_else(|| unreadable(crate::UnsealError::Damaged))?;
        Ok(Some(replay))
    }
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replays").finish_non_exhaustive()
    }
}

fn place(tenant: &Tenant, id: &KeptId) -> EntryKey {
    EntryKey::new(Purpose::Replay, tenant.clone(), id.clone())
}

/// The fields one after the other, each text behind its length. Id and tenant are the entry's key.
fn write(replay: &KeptReplay, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&replay.key.get().to_be_bytes());
    out.extend_from_slice(&replay.created.as_micros().to_be_bytes());
    out.extend_from_slice(&replay.payload);
    out.extend_from_slice(&replay.status.to_be_bytes());
    piece(replay.request.as_bytes(), out)?;
    out.extend_from_slice(&u32::try_from(replay.headers.len()).ok()?.to_be_bytes());
    for (name, value) in &replay.headers {
        piece(name.as_bytes(), out)?;
        piece(value, out)?;
    }
    piece(&replay.body, out)
}

/// How many bytes [`write`] appends.
fn length(replay: &KeptReplay) -> usize {
    let headers = replay.headers.iter().map(|(name, value)| name.len() + value.len() + 8);
    8 + 8 + 16 + 2 + 4 + replay.request.len() + 4 + headers.sum::<usize>() + 4 + replay.body.len()
}

/// Reads what [`write`] wrote; `None` where it is anything else.
fn read(key: &EntryKey, bytes: &[u8]) -> Option<KeptReplay> {
    let mut rest = bytes;
    let asked = KeyId::from_bits(u64::from_be_bytes(array(&mut rest)?));
    let created = Timestamp::from_micros(i64::from_be_bytes(array(&mut rest)?));
    let payload = array(&mut rest)?;
    let status = u16::from_be_bytes(array(&mut rest)?);
    let request = String::from_utf8(take(&mut rest)?.to_vec()).ok()?;
    let count = u32::from_be_bytes(array(&mut rest)?);
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = String::from_utf8(take(&mut rest)?.to_vec()).ok()?;
        headers.push((name, Bytes::copy_from_slice(take(&mut rest)?)));
    }
    let body = Bytes::copy_from_slice(take(&mut rest)?);
    let (id, tenant) = (key.id().clone(), key.tenant().clone());
    let replay = KeptReplay { id, tenant, key: asked, created, payload, request, status, headers, body };
    rest.is_empty().then_some(replay)
}

fn piece(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (read, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*read)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(array(rest)?)).ok()?;
    let (read, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(read)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use proptest::prelude::*;

    use super::*;
    use crate::{KeepingTerms, KeptAnswers, MasterSecret, MemoryCacheStore, StoreLimits};

    prop_compose! {
        fn replay()(
            key in any::<u64>(), created in any::<i64>(), payload in any::<[u8; 16]>(), request in ".{0,40}",
            status in any::<u16>(),
            headers in prop::collection::vec(("[a-z-]{1,20}", prop::collection::vec(any::<u8>(), 0..30)), 0..4),
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) -> KeptReplay {
            KeptReplay {
                id: KeptId::of_claim(7),
                tenant: Tenant::new("acme").unwrap(),
                key: KeyId::from_bits(key),
                created: Timestamp::from_micros(created),
                payload,
                request,
                status,
                headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
                body: body.into(),
            }
        }
    }

    fn key() -> EntryKey {
        place(&Tenant::new("acme").unwrap(), &KeptId::of_claim(7))
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back_and_nothing_else(
            replay in replay(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Vec::new();
            write(&replay, &mut bytes).unwrap();
            prop_assert_eq!(bytes.len(), length(&replay));
            prop_assert_eq!(read(&key(), &bytes), Some(replay));
            prop_assert_eq!(read(&key(), &bytes[..cut.index(bytes.len())]), None);
            bytes.push(0);
            prop_assert_eq!(read(&key(), &bytes), None);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&key(), &bytes);
        }
    }

    #[test]
    fn what_is_kept_is_given_to_its_tenant_until_its_window_is_over() {
        let vault = Vault::new(&MasterSecret::new([1; 32]));
        let store = Arc::new(MemoryCacheStore::new(StoreLimits::default()));
        let answers = KeptAnswers::new(store, vault, KeepingTerms::default());
        let (replays, acme) = (answers.replays(), Tenant::new("acme").unwrap());
        let replay = KeptReplay {
            id: KeptId::of_claim(7),
            tenant: acme.clone(),
            key: KeyId::from_bits(1),
            created: Timestamp::from_secs(1),
            payload: [2; 16],
            request: "req-1".into(),
            status: 200,
            headers: vec![("content-type".into(), Bytes::from_static(b"application/json"))],
            body: Bytes::from_static(b"{}"),
        };
        block_on(replays.keep(&replay, Timestamp::from_secs(10), &[3; NONCE_BYTES])).unwrap();
        let get =
            |tenant: &Tenant, id: &KeptId, now| block_on(replays.get(tenant, id, Timestamp::from_secs(now)));
        assert_eq!(get(&acme, &replay.id, 9).unwrap(), Some(replay.clone()));
        assert_eq!(get(&acme, &replay.id, 10).unwrap(), None);
        assert_eq!(get(&acme, &KeptId::of_claim(8), 9).unwrap(), None);
        assert_eq!(get(&Tenant::new("other").unwrap(), &replay.id, 9).unwrap(), None);
        // It is no answer of Responses, and cannot be read as one.
        assert!(block_on(answers.get(&acme, &replay.id, Timestamp::from_secs(9))).is_err());
        assert!(!format!("{replay:?}").contains("{}"));
    }
}
