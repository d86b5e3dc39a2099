//! Keeping answers beside the requests that they came from.
//!
//! An answer is sealed and written by a task, once its attempt was handed to the ledger: no client waits for
//! the store. What waits to be written is known here, and whoever asks for it waits until it is there. So a
//! client that has its answer's last byte can read it, go on from it and delete it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;
use weighbridge_cache::{
    Cited, EntryKey, Holding, KeptAnswer, KeptAnswers, KeptError, KeptId, KeptReplay, NONCE_BYTES, Purpose,
    Replays, StoreError, Tenant,
};
use weighbridge_units::Timestamp;

/// Bytes of answers that may wait to be written.
const WAITING_BYTES: usize = 64 << 20;

type Nonces = dyn Fn() -> Option<[u8; NONCE_BYTES]> + Send + Sync;

/// Where answers of OpenAI Responses are kept, and what they are sealed with.
#[derive(Clone)]
pub struct Keeping {
    answers: KeptAnswers,
    nonces: Arc<Nonces>,
}

impl Keeping {
    /// Kept in `answers`. Each call of `nonces` gives other bytes, from a cryptographic source: the same twice
    /// would open what was sealed with them. `None` says that there are none at the moment, and the answer is
    /// not kept.
    pub fn new(
        answers: KeptAnswers,
        nonces: impl Fn() -> Option<[u8; NONCE_BYTES]> + Send + Sync + 'static,
    ) -> Self {
        Self { answers, nonces: Arc::new(nonces) }
    }
}

/// The kept answers, as requests see them.
pub(crate) struct Keeper {
    answers: KeptAnswers,
    replays: Replays,
    nonces: Arc<Nonces>,
    waiting: Mutex<Waiting>,
    /// Answers that were to be kept, and are not.
    lost: AtomicU64,
    /// What is kept, as of the last sweep.
    holding: Mutex<Holding>,
    /// The runtime that outlives those of requests, where there is one.
    runtime: OnceLock<Handle>,
}

/// What waits to be written.
#[derive(Default)]
struct Waiting {
    answers: HashMap<EntryKey, Waits>,
    bytes: usize,
    came: u64,
}

/// An answer that waits to be written.
struct Waits {
    number: u64,
    written: watch::Receiver<()>,
    /// The ids that its items are found by.
    items: Arc<[String]>,
}

impl Keeper {
    pub(crate) fn new(keeping: Keeping) -> Self {
        let Keeping { answers, nonces } = keeping;
        let (waiting, lost, holding) = (Mutex::default(), AtomicU64::new(0), Mutex::default());
        let replays = answers.replays();
        Self { answers, replays, nonces, waiting, lost, holding, runtime: OnceLock::new() }
    }

    /// Answers are written on the current runtime from now on, whichever one their requests are served by.
    pub(crate) fn write_here(&self) {
        if let Ok(runtime) = Handle::try_current() {
            // The first one stays: it is as good.
            let _ = self.runtime.set(runtime);
        }
    }

    /// Keeps an answer, and as long as itself those that it went on from. Its items are found by their ids
    /// (`items`). Returns at once; from now on whoever asks for it waits until it is written.
    pub(crate) fn keep(self: &Arc<Self>, answer: KeptAnswer, items: Vec<String>, earlier: Vec<KeptId>) {
        let runtime = self.runtime.get().cloned().or_else(|| Handle::try_current().ok());
        let items: Arc<[String]> = items.into();
        let key = EntryKey::new(Purpose::Response, answer.tenant.clone(), answer.id.clone());
        let bytes = answer.input.len() + answer.answer.len();
        let (Some(runtime), Some(turn)) = (runtime, Turn::take(self, key, bytes, &items)) else {
            return self.lose(&answer.id, &answer.tenant, &"too much waits to be written");
        };
        runtime.spawn(async move {
            let keeper = &turn.keeper;
            let Some(nonce) = (keeper.nonces)() else {
                return keeper.lose(
                    &answer.id,
                    &answer.tenant,
                    &"there are no random numbers to seal it with",
                );
            };
            match keeper.answers.keep(&answer, &items, &earlier, &nonce).await {
                Ok(0) => {}
                Ok(made_room) => {
                    tracing::info!(made_room, "the store of kept answers is full: the oldest made room");
                }
                Err(error) => keeper.lose(&answer.id, &answer.tenant, &error),
            }
        });
    }

    /// Keeps what an idempotency key was answered with, and lets `leading` go once it is written. Returns at once.
    pub(crate) fn keep_replay(
        self: &Arc<Self>,
        replay: KeptReplay,
        until: Timestamp,
        leading: impl Send + 'static,
    ) {
        let runtime = self.runtime.get().cloned().or_else(|| Handle::try_current().ok());
        let key = EntryKey::new(Purpose::Replay, replay.tenant.clone(), replay.id.clone());
        let turn = Turn::take(self, key, replay.body.len(), &Arc::default());
        let (Some(runtime), Some(turn)) = (runtime, turn) else {
            return self.lose(&replay.id, &replay.tenant, &"too much waits to be written");
        };
        runtime.spawn(async move {
            let keeper = &turn.keeper;
            match (keeper.nonces)() {
                None => {
                    keeper.lose(&replay.id, &replay.tenant, &"there are no random numbers to seal it with");
                }
                Some(nonce) => match keeper.replays.keep(&replay, until, &nonce).await {
                    Ok(0) => {}
                    Ok(made_room) => {
                        tracing::info!(made_room, "the store of kept answers is full: the oldest made room");
                    }
                    Err(error) => keeper.lose(&replay.id, &replay.tenant, &error),
                },
            }
            drop(leading);
        });
    }

    /// What an idempotency key was answered with.
    pub(crate) async fn replay(
        &self,
        tenant: &Tenant,
        id: &KeptId,
        now: Timestamp,
    ) -> Result<Option<KeptReplay>, KeptError> {
        self.replays.get(tenant, id, now).await
    }

    fn lose(&self, id: &KeptId, tenant: &Tenant, why: &dyn std::fmt::Display) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%id, %tenant, %why, "an answer is not kept");
    }

    pub(crate) async fn get(
        &self,
        tenant: &Tenant,
        id: &KeptId,
        now: Timestamp,
    ) -> Result<KeptAnswer, KeptError> {
        self.written(tenant, id).await;
        self.answers.get(tenant, id, now).await
    }

    pub(crate) async fn chain(
        &self,
        tenant: &Tenant,
        last: &KeptId,
        now: Timestamp,
    ) -> Result<Vec<KeptAnswer>, KeptError> {
        // Those before it were written before it was asked for.
        self.written(tenant, last).await;
        self.answers.chain(tenant, last, now).await
    }

    /// The answers that hold items of those ids.
    pub(crate) async fn citing(
        &self,
        tenant: &Tenant,
        items: &[String],
        now: Timestamp,
    ) -> Result<Cited, KeptError> {
        let named: HashSet<&String> = items.iter().collect();
        let holds = |key: &EntryKey, waits: &Waits| {
            key.tenant() == tenant && waits.items.iter().any(|item| named.contains(item))
        };
        let waiting: Vec<_> = (self.waiting().answers.iter())
            .filter(|(key, waits)| holds(key, waits))
            .map(|(_, waits)| waits.written.clone())
            .collect();
        for written in waiting {
            until(written).await;
        }
        self.answers.citing(tenant, items, now).await
    }

    pub(crate) async fn delete(&self, tenant: &Tenant, id: &KeptId, now: Timestamp) -> Result<(), KeptError> {
        self.written(tenant, id).await;
        self.answers.delete(tenant, id, now).await
    }

    /// Deletes what has expired, and counts what is left.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        while self.answers.sweep(now).await? == KeptAnswers::SWEPT_AT_ONCE {}
        *self.holding.lock().unwrap_or_else(PoisonError::into_inner) = self.answers.holding().await?;
        Ok(())
    }

    /// What is kept, as of the last sweep.
    pub(crate) fn holding(&self) -> Holding {
        *self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers that were to be kept, and are not.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until nothing waits to be written.
    pub(crate) async fn settled(&self) {
        loop {
            let waiting = self.waiting().answers.values().next().map(|waits| waits.written.clone());
            let Some(written) = waiting else { return };
            until(written).await;
        }
    }

    /// Waits until an answer that is being kept is written.
    async fn written(&self, tenant: &Tenant, id: &KeptId) {
        let key = EntryKey::new(Purpose::Response, tenant.clone(), id.clone());
        let waiting = self.waiting().answers.get(&key).map(|waits| waits.written.clone());
        if let Some(written) = waiting {
            until(written).await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the sender is dropped; it never sends.
async fn until(mut written: watch::Receiver<()>) {
    while written.changed().await.is_ok() {}
}

/// The place of an answer among those that wait to be written; given back when dropped, however that came.
struct Turn {
    keeper: Arc<Keeper>,
    key: EntryKey,
    number: u64,
    bytes: usize,
    /// Dropped after the place was given back.
    _written: watch::Sender<()>,
}

impl Turn {
    /// `None` where too much waits already. One answer alone always may.
    fn take(keeper: &Arc<Keeper>, key: EntryKey, bytes: usize, items: &Arc<[String]>) -> Option<Self> {
        let (sender, written) = watch::channel(());
        let mut waiting = keeper.waiting();
        if waiting.bytes > 0 && waiting.bytes + bytes > WAITING_BYTES {
            return None;
        }
        waiting.bytes += bytes;
        waiting.came += 1;
        let number = waiting.came;
        waiting.answers.insert(key.clone(), Waits { number, written, items: Arc::clone(items) });
        drop(waiting);
        Some(Self { keeper: Arc::clone(keeper), key, number, bytes, _written: sender })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut waiting = self.keeper.waiting();
        waiting.bytes -= self.bytes;
        // Another answer under the same id may have come meanwhile.
        if waiting.answers.get(&self.key).is_some_and(|waits| waits.number == self.number) {
            waiting.answers.remove(&self.key);
        }
    }
}
