use std::collections::BTreeMap;
use std::fmt;

use crate::codec::decode;
use crate::{AccountId, Book, ChainHead, Entry, Epoch, Fact, Fault, Measure, State, Verification, apply};

/// BLAKE3 over the row before in the same chain, and the row itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowHash(pub [u8; 32]);

impl RowHash {
    /// Bytes of what is hashed before the body: the hash before, the number, the book.
    const HEAD: usize = 32 + 8 + 1;

    /// What a chain's first row follows.
    pub const GENESIS: Self = Self([0; 32]);

    /// The hash of a row.
    pub fn of(previous: Self, seq: u64, book: Book, body: &[u8]) -> Self {
        let mut head = [0; Self::HEAD];
        head[..32].copy_from_slice(&previous.0);
        head[32..40].copy_from_slice(&seq.to_le_bytes());
        head[40] = book as u8;
        let length = Self::HEAD + body.len();
        // Nearly every row is short, and hashing one piece costs half of hashing two.
        let mut short = [0; 512];
        let hash = match short.get_mut(..length) {
            Some(row) => {
                row[..Self::HEAD].copy_from_slice(&head);
                row[Self::HEAD..].copy_from_slice(body);
                blake3::hash(row)
            }
            None => blake3::Hasher::new().update(&head).update(body).finalize(),
        };
        Self(*hash.as_bytes())
    }
}

impl fmt::Debug for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}…")
    }
}

/// A row as a store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRow<'a> {
    /// Its number.
    pub seq: u64,
    /// The number of its book.
    pub book: u8,
    /// Its body, as [`crate::encode`] writes it.
    pub body: &'a [u8],
    /// Its hash.
    pub hash: &'a [u8],
}

/// Reads a journal row by row and notes everything that is wrong with it.
///
/// There is one chain per book and writer. On the way it folds the journal, so that a store can compare
/// its tables with [`Auditor::state`].
#[derive(Debug)]
pub struct Auditor {
    next_seq: u64,
    heads: BTreeMap<(Book, Epoch), (u64, RowHash)>,
    state: State,
    found: Verification,
}

impl Default for Auditor {
    fn default() -> Self {
        Self::whole()
    }
}

impl Auditor {
    /// Starts with the first row.
    pub fn whole() -> Self {
        Self::after(0, &[], State::new())
    }

    /// Starts after row `seq`, given the chains and the state as they were there. To start with a seal, give
    /// the row before the first row of that seal, the heads that it names, and an empty state.
    pub fn after(seq: u64, heads: &[ChainHead], state: State) -> Self {
        let heads = heads.iter().map(|head| ((head.book, head.writer), (head.seq, head.hash))).collect();
        Self {
            next_seq: seq + 1,
            heads,
            state,
            found: Verification { last_seq: seq, ..Verification::default() },
        }
    }

    /// The number of the row that is to come.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Whether so much is wrong that reading on tells nothing new.
    pub fn has_seen_enough(&self) -> bool {
        self.found.faults.len() >= Verification::MAX_FAULTS
    }

    /// The fold of the rows so far. It forgets ended attempts and command ids, which would fill the memory.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The last row of each chain so far.
    pub fn heads(&self) -> impl Iterator<Item = ChainHead> + '_ {
        self.heads.iter().map(|(&(book, writer), &(seq, hash))| ChainHead { book, writer, seq, hash })
    }

    /// Notes a fault that the caller found.
    pub fn note(&mut self, fault: Fault) {
        if !self.has_seen_enough() {
            self.found.faults.push(fault);
        }
    }

    /// Checks the next row and lets it take effect; gives it back if it can be read.
    pub fn row(&mut self, row: StoredRow<'_>) -> Option<Entry> {
        let seq = row.seq;
        self.found.rows += 1;
        self.found.last_seq = seq;
        if seq != self.next_seq {
            self.note(Fault::Gap { expected: self.next_seq, found: seq });
        }
        self.next_seq = seq.saturating_add(1);

        let Some(book) = Book::from_code(row.book) else {
            self.note(Fault::Unreadable { seq, what: format!("{} is no book", row.book) });
            return None;
        };
        let entry = match decode(book, row.body) {
            Ok(entry) => entry,
            Err(error) => {
                self.note(Fault::Unreadable { seq, what: error.to_string() });
                return None;
            }
        };
        let chain = (book, entry.writer);
        let previous = self.heads.get(&chain).map_or(RowHash::GENESIS, |(_, hash)| *hash);
        let right = RowHash::of(previous, seq, book, row.body);
        if row.hash != right.0 {
            self.note(Fault::Broken { seq, book });
        }
        self.check_seal(seq, &entry);
        // Going on from what is stored, so that one broken row is one fault.
        let stored = row.hash.try_into().map_or(right, RowHash);
        self.heads.insert(chain, (seq, stored));
        apply(&mut self.state, &entry);
        self.state.forget_history();
        Some(entry)
    }

    fn check_seal(&mut self, seq: u64, entry: &Entry) {
        let Fact::Sealed { heads } = &entry.fact else { return };
        let stands = |head: &ChainHead| {
            self.heads.get(&(head.book, head.writer)).is_none_or(|known| *known == (head.seq, head.hash))
        };
        if !heads.iter().all(stands) {
            self.note(Fault::Seal { seq, book: entry.book });
        }
    }

    /// What was found. Debits and credits of the fold are compared (rule L1).
    pub fn finish(mut self) -> Verification {
        for (book, measure) in Book::ALL.into_iter().flat_map(|book| Measure::ALL.map(|m| (book, m))) {
            let is_of = |account: AccountId| (account.book(), account.measure()) == (book, measure);
            let of_book = self.state.balances().filter(|(account, _)| is_of(*account));
            let (posted, pending) = of_book.fold((0_i128, 0_i128), |(posted, pending), (_, balance)| {
                (posted + i128::from(balance.posted.get()), pending + i128::from(balance.pending.get()))
            });
            if (posted, pending) != (0, 0) {
                self.note(Fault::Unbalanced { book, measure });
            }
        }
        self.found
    }
}
