//! How long usage takes to be told on SQLite, over ten million roll-ups: a month of 1,000 keys that use 14 models in
//! every hour, written in the order of time. Meanwhile one attempt after another is entered, with a pause of 2 ms.
//!
//! `cargo run --release -p weighbridge-store-sqlite --example usage_cost [KEYS [QUESTIONS]]`; it needs 3 GB in the present
//! folder, which it gives back. It also tells how long the migration takes that makes the totals of keys.

#![allow(clippy::print_stdout, reason = "a report is what this prints")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rusqlite::Connection;
use weighbridge_ledger::{Billing, EndFacts, Ledger, LedgerStore, Reserve, RollupQuery, UsageBy, UsageQuery};
use weighbridge_store_sqlite::SqliteLedger;
use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, NanoUsd, Timestamp};

/// The hours of a month of thirty days, from the first of November 2026 on.
const FIRST_HOUR: i64 = 498_264;
const HOURS: i64 = 720;
const MODELS: i64 = 14;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let keys: i64 = arguments.next().map_or(Ok(1_000), |keys| keys.parse())?;
    let questions: u64 = arguments.next().map_or(Ok(500), |questions| questions.parse())?;
    let folder = tempfile::tempdir_in(".")?;
    let path = folder.path().join("ledger.db");
    drop(SqliteLedger::open(&path)?);
    let began = Instant::now();
    let rows = fill(&Connection::open(&path)?, keys)?;
    println!("{rows} roll-ups in {:?}, {} MB", began.elapsed(), std::fs::metadata(&path)?.len() / 1_000_000);
    let began = Instant::now();
    make_totals(&Connection::open(&path)?)?;
    println!("totals made in {:?}, {} MB", began.elapsed(), std::fs::metadata(&path)?.len() / 1_000_000);

    let store = Arc::new(SqliteLedger::open(&path)?);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| traffic(&Ledger::new(Arc::clone(&store) as _, 1_000), keys, &stop));
        let asked = ask(&store, keys, questions);
        stop.store(true, Ordering::Relaxed);
        asked
    })
}

/// Asks for months of single keys, then for such of all keys at once.
fn ask(ledger: &SqliteLedger, keys: i64, questions: u64) -> Result<(), Box<dyn Error>> {
    for by in [UsageBy::Key, UsageBy::Model, UsageBy::Day] {
        let mut took = Vec::new();
        for question in 0..questions {
            // Some other key each time, so that little of it is remembered.
            let key = KeyId::from_bits(1 + question * 7_919 % keys.unsigned_abs());
            let began = Instant::now();
            let found = block_on(ledger.usage(query(Some(key), by, 0)))?;
            took.push(began.elapsed());
            let attempts: i64 = found.iter().map(|(_, rollup)| rollup.attempts).sum();
            assert_eq!(attempts, HOURS * MODELS, "every roll-up is in it");
        }
        println!("one key's month by {by:?}: {}", percentiles(took));
    }
    for by in [UsageBy::Key, UsageBy::Day] {
        let mut took = Vec::new();
        for question in 0..questions {
            // Some other hour to begin with each time, most of them within a day.
            let skipped = i64::try_from(question % 48).unwrap_or_default();
            let began = Instant::now();
            let found = block_on(ledger.usage(query(None, by, skipped)))?;
            took.push(began.elapsed());
            let attempts: i64 = found.iter().map(|(_, rollup)| rollup.attempts).sum();
            assert_eq!(attempts, (HOURS - skipped) * MODELS * keys, "every roll-up is in it");
        }
        println!("all {keys} keys' month by {by:?}: {}", percentiles(took));
    }
    Ok(())
}

/// Enters one attempt after another, in the hour behind the month.
fn traffic(ledger: &Ledger, keys: i64, stop: &AtomicBool) {
    let at = Timestamp::from_secs((FIRST_HOUR + HOURS) * 3_600);
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            println!("{number} attempts were entered meanwhile");
            return;
        }
        let reserve = Reserve {
            attempt: AttemptId::new(at, u128::from(number)),
            at,
            expires: at + Duration::from_secs(600),
            key: KeyId::from_bits(1 + number * 31 % keys.unsigned_abs()),
            tenant: "acme".into(),
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            price_version: "2026-11".into(),
            billing: Billing::Platform,
            amount: NanoUsd::new(5_000),
            tokens: 1_000,
            credit_limit: None,
            claim: None,
            holds: Vec::new(),
            estimate: NanoUsd::new(5_000),
        };
        match block_on(ledger.reserve(reserve)) {
            Ok(reservation) => {
                reservation.end(EndFacts { outcome: AttemptOutcome::Success, ..EndFacts::not_dispatched(at) })
            }
            Err(error) => println!("an attempt was not entered: {error}"),
        }
        ledger.flush();
        thread::sleep(Duration::from_millis(2));
    }
}

/// What the migration does to a file of an earlier release.
fn make_totals(db: &Connection) -> Result<(), rusqlite::Error> {
    let migration = include_str!("../migrations/V14__key_total.sql");
    db.execute_batch(&format!("BEGIN; {migration} COMMIT"))
}

fn fill(db: &Connection, keys: i64) -> Result<i64, rusqlite::Error> {
    db.execute_batch(
        "DROP TRIGGER rollup_came; DROP TRIGGER rollup_changed; DROP TABLE key_total; \
         PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000",
    )?;
    let select = "WITH RECURSIVE \
         h (hour) AS (VALUES (?1) UNION ALL SELECT hour + 1 FROM h WHERE hour + 1 < ?1 + ?2), \
         k (key) AS (VALUES (1) UNION ALL SELECT key + 1 FROM k WHERE key < ?3), \
         m (model) AS (VALUES (1) UNION ALL SELECT model + 1 FROM m WHERE model < ?4) \
         INSERT INTO rollup (key, hour, provider, model, attempts, succeeded, estimated, cost, charged, input, \
         cache_read, cache_write_5m, cache_write_1h, input_audio, output, reasoning, output_audio, web_search) \
         SELECT key, hour, model % 3 * 1000000007 + 4611686018427387904, model * 1000000009 + 4611686018427387904, \
         1, 1, 0, 1234567 + key, 1434567 + key, 1500 + model, 300, 0, 0, 0, 400, 100, 0, 0 \
         FROM h CROSS JOIN k CROSS JOIN m";
    db.execute("BEGIN", [])?;
    let rows = db.execute(select, [FIRST_HOUR, HOURS, keys, MODELS])?;
    db.execute_batch("COMMIT; PRAGMA journal_mode = WAL")?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// The month, less so many hours of its beginning.
fn query(key: Option<KeyId>, by: UsageBy, skipped: i64) -> UsageQuery {
    let of = RollupQuery { key, from_hour: FIRST_HOUR + skipped, until_hour: FIRST_HOUR + HOURS };
    UsageQuery { of, by }
}

fn percentiles(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}, most {:?}, of {}", at(50), at(99), took.last(), took.len())
}
