//! After deciding: rows go to the journal, and take effect.

use rusqlite::{CachedStatement, Connection};
use weighbridge_ledger::{Book, ChainHead, Counters, Entry, Fact, RowHash, State, apply, encode};

use super::rows::{INSERT_ENTRY, StoreError, id_column};
use super::tail::Tail;

/// Where the journal ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    pub(super) last_seq: u64,
    /// The last row that the tables beside the journal show.
    pub(super) folded: u64,
    /// The last row of each of this writer's chains, by book.
    pub(super) heads: [Option<ChainHead>; Book::ALL.len()],
    /// The last row when the chains were linked last; `None`: others wrote since, or it is not known.
    pub(super) sealed_seq: Option<u64>,
    pub(super) counters: Counters,
}

/// A batch in the middle of its transaction.
pub(super) struct Batch<'a> {
    insert: CachedStatement<'a>,
    pub(super) at: Position,
}

impl<'a> Batch<'a> {
    pub(super) fn new(db: &'a Connection, at: Position) -> Result<Self, StoreError> {
        Ok(Self { insert: db.prepare_cached(INSERT_ENTRY)?, at })
    }

    /// Writes the rows of one command and lets them take effect.
    pub(super) fn write(
        &mut self,
        state: &mut State,
        tail: &mut Tail,
        body: &mut Vec<u8>,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        for entry in entries {
            let (seq, book) = (self.at.last_seq + 1, entry.book);
            self.at.last_seq = seq;
            body.clear();
            encode(entry, body);
            let head = self.at.heads.get_mut(book as usize);
            let previous =
                head.as_ref().and_then(|head| head.as_ref()).map_or(RowHash::GENESIS, |head| head.hash);
            let hash = RowHash::of(previous, seq, book, body);
            if let Some(head) = head {
                *head = Some(ChainHead { book, writer: entry.writer, seq, hash });
            }
            self.insert.execute((id_column(seq), book as i64, &body[..], &hash.0))?;
            self.count(&entry.fact);
            apply(state, entry);
            tail.add(seq, entry, body);
        }
        Ok(())
    }

    const fn count(&mut self, fact: &Fact) {
        let counters = &mut self.at.counters;
        match fact {
            Fact::Reserved { .. } => counters.reserved += 1,
            Fact::Ended { .. } => counters.ended += 1,
            Fact::Late { .. } => counters.late += 1,
            Fact::Overage { .. } => counters.overages += 1,
            Fact::Refunded { .. } | Fact::Funded { .. } | Fact::Used { .. } | Fact::Sealed { .. } => {}
        }
    }
}
