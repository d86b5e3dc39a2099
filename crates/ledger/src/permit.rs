use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// The places for ends that are yet to be committed: one per open attempt.
///
/// A place is taken before an attempt is reserved and given back when its end is committed. So the
/// memory of a store's queue is bounded by open attempts, and shutting down means waiting for the
/// last place.
#[derive(Clone)]
pub(crate) struct Permits(Arc<Places>);

struct Places {
    total: usize,
    taken: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Permits {
    pub(crate) fn new(total: usize) -> Self {
        Self(Arc::new(Places { total, taken: AtomicUsize::new(0), waiting: Mutex::default() }))
    }

    pub(crate) fn take(&self) -> Option<Permit> {
        let free = |taken: usize| (taken < self.0.total).then(|| taken + 1);
        let taken = self.0.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, free);
        taken.is_ok().then(|| Permit(Arc::clone(&self.0)))
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    pub(crate) fn drained(&self) -> Drained {
        Drained(Arc::clone(&self.0))
    }
}

/// One place for an end. A store keeps it with the end that was handed over, and drops it once that
/// end is committed.
pub struct Permit(Arc<Places>);

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0.taken.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiting = std::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// Ready when every place is back: no attempt is open and every end is committed.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Drained(Arc<Places>);

impl Future for Drained {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at under the lock: the last permit either sees this waker or is seen here.
        if self.0.taken.load(Ordering::Acquire) == 0 {
            return Poll::Ready(());
        }
        waiting.retain(|waker| !waker.will_wake(context.waker()));
        waiting.push(context.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Drained({} outstanding)", self.0.taken.load(Ordering::Acquire))
    }
}
