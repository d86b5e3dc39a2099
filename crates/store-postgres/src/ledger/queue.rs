//! Commands on their way to the writer, and the answers on their way back.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use weighbridge_ledger::{Command, End, LedgerError, Permit};

/// What came of a command. A refusal changed nothing and does not hinder the others of its batch.
pub(super) type Answer = Result<(), LedgerError>;

/// First in, first out: an end that was handed over after its reservation was asked for comes after it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
}

/// A command, and who is to hear of it. Without a command: somebody waits for those before.
#[derive(Debug)]
pub(super) struct Waiting {
    command: Option<Command>,
    hears: Hears,
}

/// Who is to hear of an answer.
#[derive(Debug)]
pub(super) enum Hears {
    /// Who waits for it, or has gone away.
    Caller(oneshot::Sender<Answer>),
    /// Nobody; the end's place is free once it is committed.
    Nobody(Permit),
}

impl Hears {
    pub(super) fn answer(self, answer: Answer) {
        match self {
            // A caller that has gone away needs no answer.
            Self::Caller(caller) => drop(caller.send(answer)),
            Self::Nobody(permit) => drop(permit),
        }
    }
}

/// What is carried out in one commit.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) commands: Vec<Option<Command>>,
    pub(super) hears: Vec<Hears>,
}

impl Queue {
    pub(super) fn push(&self, command: Option<Command>) -> oneshot::Receiver<Answer> {
        let (caller, answered) = oneshot::channel();
        self.lock().push_back(Waiting { command, hears: Hears::Caller(caller) });
        answered
    }

    pub(super) fn push_end(&self, end: End, permit: Permit) {
        self.lock().push_back(Waiting { command: Some(Command::End(end)), hears: Hears::Nobody(permit) });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes the first `limit` orders out.
    pub(super) fn take(&self, limit: usize) -> Orders {
        let mut waiting = self.lock();
        let count = waiting.len().min(limit);
        let (commands, hears) = waiting.drain(..count).map(|it| (it.command, it.hears)).unzip();
        Orders { commands, hears }
    }

    /// After a failed commit: whoever waits is told so, those further back in the queue too; the ends go back to
    /// the front, in order (rule C3).
    pub(super) fn give_back(&self, orders: Orders, error: &LedgerError) {
        let mut waiting = self.lock();
        let taken = orders.commands.into_iter().zip(orders.hears);
        let taken = taken.map(|(command, hears)| Waiting { command, hears });
        let all: Vec<_> = taken.chain(waiting.drain(..)).collect();
        for item in all {
            match item.hears {
                Hears::Caller(_) => item.hears.answer(Err(error.clone())),
                Hears::Nobody(_) => waiting.push_back(item),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
