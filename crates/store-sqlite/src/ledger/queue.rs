//! Orders on their way to the writer, and the answers on their way back.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use weighbridge_ledger::{Command, End, LedgerError, Permit};

use super::writer::{Answer, Order};

/// First in, first out: an end that was handed over after its reservation was asked for comes after it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
}

/// An order, and who is to hear of it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) order: Order,
    pub(super) hears: Hears,
}

/// Who is to hear of an answer.
#[derive(Debug)]
pub(super) enum Hears {
    /// A task that waits for it.
    Task(Arc<Slot>),
    /// Nobody; the end's place is free once it is committed.
    Nobody(Permit),
}

impl Queue {
    pub(super) fn push_command(&self, command: Command, slot: Arc<Slot>) {
        self.lock().push_back(Waiting { order: Order::Command(command), hears: Hears::Task(slot) });
    }

    pub(super) fn push_end(&self, end: End, permit: Permit) {
        self.lock().push_back(Waiting { order: Order::End(end), hears: Hears::Nobody(permit) });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes the first `limit` orders out.
    pub(super) fn take(&self, limit: usize) -> (Vec<Order>, Vec<Hears>) {
        let mut waiting = self.lock();
        let count = waiting.len().min(limit);
        waiting.drain(..count).map(|waiting| (waiting.order, waiting.hears)).unzip()
    }

    /// After a failed commit: whoever waits is told so, those further back in the queue too; the ends go
    /// back to the front, in order (rule C3).
    pub(super) fn give_back(&self, orders: Vec<Order>, hears: Vec<Hears>, error: &LedgerError) {
        let mut waiting = self.lock();
        let taken = orders.into_iter().zip(hears).map(|(order, hears)| Waiting { order, hears });
        let all: Vec<_> = taken.chain(waiting.drain(..)).collect();
        let mut told = Vec::new();
        for item in all {
            match item.hears {
                Hears::Task(slot) => told.push(slot),
                Hears::Nobody(_) => waiting.push_back(item),
            }
        }
        drop(waiting);
        told.into_iter().for_each(|slot| slot.answer(Err(error.clone())));
    }

    /// Wakes the first task that waits, so that it goes on with the queue. Says whether there is one.
    pub(super) fn wake_first(&self) -> bool {
        let first = self.lock().iter().find_map(|waiting| match &waiting.hears {
            // A slot that nobody else holds belongs to a task that has gone away.
            Hears::Task(slot) if Arc::strong_count(slot) > 1 => Some(Arc::clone(slot)),
            _ => None,
        });
        first.is_some_and(|slot| slot.wake())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a task finds its answer.
#[derive(Default)]
pub(super) struct Slot(Mutex<SlotState>);

#[derive(Default)]
struct SlotState {
    answer: Option<Answer>,
    waker: Option<Waker>,
}

impl Slot {
    pub(super) fn answer(&self, answer: Answer) {
        let mut state = self.lock();
        state.answer = Some(answer);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The answer, if it is there; else `waker` is woken once it is.
    pub(super) fn poll(&self, waker: &Waker) -> Option<Answer> {
        let mut state = self.lock();
        let answer = state.answer.take();
        if answer.is_none() {
            state.waker = Some(waker.clone());
        }
        answer
    }

    fn wake(&self) -> bool {
        let waker = self.lock().waker.clone();
        waker.map(Waker::wake).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}
