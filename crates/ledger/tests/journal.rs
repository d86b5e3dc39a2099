//! The bytes of the journal and its hash chains.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use futures::executor::block_on;
use proptest::prelude::*;
use weighbridge_ledger::testkit::check_store;
use weighbridge_ledger::{
    Auditor, Billing, Book, Fact, JournalRow, LedgerStore, Measure, MemoryLedger, RowHash, State, StoredRow,
    apply, decode, encode,
};

/// A journal with every kind of fact, several writers and several seals.
fn journal(seed: u64, steps: usize) -> (MemoryLedger, Vec<JournalRow>) {
    let mut subject = MemoryLedger::with_rows(usize::MAX);
    block_on(check_store(&mut subject, seed, steps)).unwrap_or_else(|violation| panic!("{violation}"));
    let rows = block_on(subject.journal(0, usize::MAX)).unwrap();
    (subject, rows)
}

/// As a store keeps them.
#[derive(Clone)]
struct Stored {
    seq: u64,
    book: u8,
    body: Vec<u8>,
    hash: [u8; 32],
}

fn stored(rows: &[JournalRow]) -> Vec<Stored> {
    let store = |row: &JournalRow| {
        let mut body = Vec::new();
        encode(&row.entry, &mut body);
        Stored { seq: row.seq, book: row.entry.book as u8, body, hash: row.hash.0 }
    };
    rows.iter().map(store).collect()
}

fn is_sound(rows: &[Stored]) -> bool {
    let mut auditor = Auditor::whole();
    rows.iter().for_each(|row| feed(&mut auditor, row));
    auditor.finish().is_sound()
}

fn feed(auditor: &mut Auditor, row: &Stored) {
    auditor.row(StoredRow { seq: row.seq, book: row.book, body: &row.body, hash: &row.hash });
}

#[test]
fn l3_the_fold_of_the_journal_is_the_state() {
    let (subject, rows) = journal(1, 1_000);
    let kinds: std::collections::HashSet<_> =
        rows.iter().map(|row| std::mem::discriminant(&row.entry.fact)).collect();
    assert_eq!(kinds.len(), 8, "the journal must have every kind of fact");
    let mut state = State::new();
    rows.iter().for_each(|row| apply(&mut state, &row.entry));
    let mut folded: Vec<_> = state.balances().collect();
    folded.sort_unstable_by_key(|(account, _)| *account);
    assert_eq!(folded, block_on(subject.balances()).unwrap());
    for (attempt, ended) in rows.iter().filter_map(|row| match row.entry.fact {
        Fact::Ended { attempt, .. } => Some(attempt).map(|a| (a, block_on(subject.attempt(a)).unwrap())),
        _ => None,
    }) {
        let view = weighbridge_ledger::View::ended(&state, attempt).cloned();
        assert_eq!(view.map(weighbridge_ledger::AttemptEntry::Ended), ended);
    }
}

#[test]
fn a_seed_run_twice_gives_the_same_journal() {
    assert_eq!(journal(8, 400).1, journal(8, 400).1);
}

#[test]
fn what_is_written_is_read_back() {
    for row in journal(2, 600).1 {
        let mut body = Vec::new();
        encode(&row.entry, &mut body);
        assert_eq!(decode(row.entry.book, &body).as_ref(), Ok(&row.entry));
        // Nothing is optional at the end: every cut shows.
        for cut in 0..body.len() {
            assert!(decode(row.entry.book, &body[..cut]).is_err());
        }
        body.push(0);
        assert!(decode(row.entry.book, &body).is_err());
    }
}

#[test]
fn l3_every_flipped_bit_missing_or_moved_row_shows() {
    let rows = stored(&journal(3, 100).1);
    assert!(rows.len() > 50 && is_sound(&rows));
    let mut before = Auditor::whole();
    for at in 0..rows.len() {
        // One row is enough to see that it was changed: its own hash no longer fits.
        let heads: Vec<_> = before.heads().collect();
        let shows = |change: &dyn Fn(&mut Stored)| {
            let mut row = rows[at].clone();
            change(&mut row);
            let mut auditor = Auditor::after(rows[at].seq - 1, &heads, State::new());
            feed(&mut auditor, &row);
            !auditor.finish().is_sound()
        };
        assert!(!shows(&|_| {}));
        for byte in 0..rows[at].body.len() {
            for bit in 0..8 {
                assert!(shows(&|row| row.body[byte] ^= 1 << bit), "row {at}, byte {byte}, bit {bit}");
            }
        }
        for byte in 0..32 {
            assert!(shows(&|row| row.hash[byte] ^= 1), "hash of row {at}, byte {byte}");
        }
        assert!(shows(&|row| row.book = (row.book + 1) % 3), "book of row {at}");
        feed(&mut before, &rows[at]);
        if at + 1 < rows.len() {
            let mut changed = rows.clone();
            changed.remove(at);
            assert!(!is_sound(&changed), "row {at} removed");
            // Renumbered so that no gap shows.
            changed.iter_mut().skip(at).for_each(|row| row.seq -= 1);
            assert!(!is_sound(&changed), "row {at} removed without a gap");
            let mut changed = rows.clone();
            changed.swap(at, at + 1);
            (changed[at].seq, changed[at + 1].seq) = (rows[at].seq, rows[at + 1].seq);
            assert!(!is_sound(&changed), "rows {at} and {} swapped", at + 1);
        }
    }
}

#[test]
fn l2_a_seal_that_names_another_head_than_the_chain_has_shows() {
    let rows = journal(3, 100).1;
    let at = rows.iter().position(|row| matches!(row.entry.fact, Fact::Sealed { .. })).unwrap();
    for forge in [false, true] {
        let mut auditor = Auditor::whole();
        stored(&rows[..at]).iter().for_each(|row| feed(&mut auditor, row));
        let mut seal = rows[at].clone();
        if let (true, Fact::Sealed { heads }) = (forge, &mut seal.entry.fact) {
            heads[0].hash = RowHash::GENESIS;
        }
        // Whoever forges a row can also give it the right hash.
        let mut forged = stored(&[seal]).remove(0);
        let own = |head: &weighbridge_ledger::ChainHead| {
            (head.book, head.writer) == (rows[at].entry.book, rows[at].entry.writer)
        };
        let previous = auditor.heads().find(own).map_or(RowHash::GENESIS, |head| head.hash);
        forged.hash = RowHash::of(previous, forged.seq, rows[at].entry.book, &forged.body).0;
        feed(&mut auditor, &forged);
        assert_eq!(auditor.finish().is_sound(), !forge);
    }
}

#[test]
fn l2_chains_of_other_books_and_writers_do_not_depend_on_each_other() {
    let rows = journal(4, 400).1;
    let writers: std::collections::BTreeSet<_> = rows.iter().map(|row| row.entry.writer).collect();
    assert!(writers.len() > 2, "several writers are needed");
    let mut heads = std::collections::HashMap::new();
    for (row, stored) in rows.iter().zip(stored(&rows)) {
        let head = heads.entry((row.entry.book, row.entry.writer)).or_insert(RowHash::GENESIS);
        assert_eq!(row.hash, RowHash::of(*head, row.seq, row.entry.book, &stored.body));
        *head = row.hash;
    }
}

/// A hash of what a script of that seed has written.
fn hash_of(seed: u64) -> (usize, String) {
    let mut hasher = blake3::Hasher::new();
    let rows = journal(seed, 300).1;
    for row in &rows {
        let mut body = Vec::new();
        encode(&row.entry, &mut body);
        hasher.update(&body);
    }
    (rows.len(), hasher.finalize().to_hex().to_string())
}

/// The journal is read for as long as it is kept: what this release writes must stay readable for good.
#[test]
fn the_third_version_of_the_bytes_does_not_change() {
    let hash = "ce8f45cd66849869dc8f36e8b245deb9008168b33e88e54e641e1a1fc84e459e";
    assert_eq!(hash_of(6), (207, hash.to_owned()));
}

#[test]
fn the_fourth_version_of_the_bytes_does_not_change() {
    let is_house = |row: &JournalRow| matches!(&row.entry.fact, Fact::Reserved { intent, .. } if intent.billing == Billing::House);
    let rows = journal(7, 300).1;
    let mut versions = std::collections::BTreeSet::new();
    for (row, stored) in rows.iter().zip(stored(&rows)) {
        assert_eq!(is_house(row), stored.body[0] == 4, "no other row needs it");
        versions.insert(stored.body[0]);
    }
    assert_eq!(Vec::from_iter(versions), [2, 3, 4]);
    let hash = "55143cdef8e97a0c8031ee8d34d2081d1ec9b8b3788f1eb74861e714adc4c5ab";
    assert_eq!(hash_of(7), (286, hash.to_owned()));
}

fn fixture(text: &str) -> Vec<Stored> {
    let bytes = |hex: &str| -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    let rows = text.lines().zip(1..).map(|(line, seq)| {
        let columns: Vec<_> = line.split(' ').collect();
        let hash = bytes(columns[2]).try_into().unwrap();
        Stored { seq, book: columns[0].parse().unwrap(), body: bytes(columns[1]), hash }
    });
    rows.collect()
}

/// What the first release wrote: every kind of fact, of several writers.
#[test]
fn the_first_version_of_the_bytes_is_still_read() {
    let rows = fixture(include_str!("fixtures/journal-v1.txt"));
    assert!(rows.len() == 105 && rows.iter().all(|row| row.body[0] == 1));
    assert!(is_sound(&rows), "chains and sums");
    let mut kinds = std::collections::HashSet::new();
    let mut holds = 0;
    for row in &rows {
        let entry = decode(Book::from_code(row.book).unwrap(), &row.body).unwrap();
        kinds.insert(std::mem::discriminant(&entry.fact));
        if let Fact::Reserved { intent, .. } = &entry.fact {
            assert_eq!(intent.tokens, 0);
            holds += intent.holds.iter().filter(|hold| hold.measure() == Measure::Usd).count();
        }
        // Written anew it says the same.
        let mut again = Vec::new();
        encode(&entry, &mut again);
        assert_eq!(decode(entry.book, &again), Ok(entry));
    }
    assert!(kinds.len() == 7 && holds > 10);
}

/// Attempts without an idempotency claim are written as the releases before claims wrote them, byte by byte.
#[test]
fn the_second_version_of_the_bytes_is_still_read_and_written() {
    let rows = fixture(include_str!("fixtures/journal-v2.txt"));
    assert!(rows.len() == 120 && rows.iter().all(|row| row.body[0] == 2));
    assert!(is_sound(&rows), "chains and sums");
    for row in &rows {
        let entry = decode(Book::from_code(row.book).unwrap(), &row.body).unwrap();
        let mut again = Vec::new();
        encode(&entry, &mut again);
        assert_eq!(again, row.body);
    }
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300), fact in 0_u8..9, version in 1_u8..=4) {
        for book in Book::ALL {
            let _ = decode(book, &bytes);
            let mut body = vec![version, fact];
            body.extend_from_slice(&bytes);
            if let Ok(entry) = decode(book, &body) {
                // What can be read can be written, and means the same.
                let mut again = Vec::new();
                encode(&entry, &mut again);
                prop_assert_eq!(decode(book, &again), Ok(entry));
            }
        }
    }

    #[test]
    fn no_change_of_real_bytes_breaks_the_reader(at in any::<prop::sample::Index>(), byte in any::<u8>(), place in any::<prop::sample::Index>()) {
        thread_local!(static ROWS: Vec<Stored> = stored(&journal(5, 100).1));
        ROWS.with(|rows| {
            let mut row = rows[at.index(rows.len())].clone();
            let place = place.index(row.body.len());
            row.body[place] = byte;
            for book in Book::ALL {
                let _ = decode(book, &row.body);
            }
        });
    }
}
