use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What waits to be written by another thread: bounded, and nobody waits for room.
///
/// Requests push, a flusher [takes](Self::take) everything at once every so often. What does not
/// fit is dropped and counted. Nobody is woken: a wake-up per line costs more than the line.
pub struct Backlog<T> {
    capacity: usize,
    waiting: Mutex<Vec<T>>,
    dropped: AtomicU64,
}

impl<T> Backlog<T> {
    /// A backlog of at most `capacity` items.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, waiting: Mutex::default(), dropped: AtomicU64::new(0) }
    }

    /// Adds an item; whether there was room.
    pub fn push(&self, item: T) -> bool {
        let mut waiting = self.lock();
        let fits = waiting.len() < self.capacity;
        if fits {
            waiting.push(item);
        } else {
            self.count_dropped(1);
        }
        fits
    }

    /// Takes everything that waits, oldest first.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.lock())
    }

    /// Copies of the oldest items, at most so many, which go on waiting: whoever has written them
    /// [removes](Self::remove_oldest) them, so that nothing leaves before it is safe (rule C3).
    pub fn oldest(&self, most: usize) -> Vec<T>
    where
        T: Clone,
    {
        self.lock().iter().take(most).cloned().collect()
    }

    /// Removes the oldest items, so many. Only one thread may work a backlog off.
    pub fn remove_oldest(&self, count: usize) {
        let mut waiting = self.lock();
        let count = count.min(waiting.len());
        waiting.drain(..count);
    }

    /// The newest item that waits and fits the description.
    pub fn find_newest(&self, fits: impl Fn(&T) -> bool) -> Option<T>
    where
        T: Clone,
    {
        self.lock().iter().rev().find(|item| fits(item)).cloned()
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts items that were taken and could not be written.
    pub fn count_dropped(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let backlog = Backlog::new(2);
        assert!(backlog.push(1) && backlog.push(2) && !backlog.push(3));
        assert_eq!((backlog.dropped(), backlog.take(), backlog.is_empty()), (1, vec![1, 2], true));
    }

    #[test]
    fn nothing_leaves_before_it_is_removed() {
        let backlog = Backlog::new(4);
        (1..=3).for_each(|item| assert!(backlog.push(item)));
        let written = backlog.oldest(2);
        assert!(backlog.push(4) && !backlog.push(5));
        backlog.remove_oldest(written.len());
        assert_eq!((written, backlog.take()), (vec![1, 2], vec![3, 4]));
        backlog.remove_oldest(1);
    }

    #[test]
    fn the_newest_is_found() {
        let backlog = Backlog::new(4);
        (1..=3).for_each(|item| assert!(backlog.push(item)));
        assert_eq!(backlog.find_newest(|item| *item < 3), Some(2));
    }
}
