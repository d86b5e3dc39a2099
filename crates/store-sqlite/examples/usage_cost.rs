//! How long usage takes to be told on SQLite, over ten million roll-ups: a month of 1,000 keys that use 14 models in
//! every hour, written in the order of time.
//!
//! `cargo run --release -p weighbridge-store-sqlite --example usage_cost [KEYS [QUESTIONS]]`; it needs 3 GB in the present
//! folder, which it gives back.

#![allow(clippy::print_stdout, reason = "a report is what this prints")]

use std::error::Error;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rusqlite::Connection;
use weighbridge_ledger::{LedgerStore, RollupQuery, UsageBy, UsageQuery};
use weighbridge_store_sqlite::SqliteLedger;
use weighbridge_units::KeyId;

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

    let ledger = SqliteLedger::open(&path)?;
    for by in [UsageBy::Key, UsageBy::Model, UsageBy::Day] {
        let mut took = Vec::new();
        for question in 0..questions {
            // Some other key each time, so that little of it is remembered.
            let key = KeyId::from_bits(1 + question * 7_919 % keys.unsigned_abs());
            let began = Instant::now();
            let found = block_on(ledger.usage(query(Some(key), by)))?;
            took.push(began.elapsed());
            let attempts: i64 = found.iter().map(|(_, rollup)| rollup.attempts).sum();
            assert_eq!(attempts, HOURS * MODELS, "every roll-up is in it");
        }
        println!("one key's month by {by:?}: {}", percentiles(took));
    }
    let began = Instant::now();
    let found = block_on(ledger.usage(query(None, UsageBy::Key)))?;
    println!("all {} keys: {:?}", found.len(), began.elapsed());
    Ok(())
}

fn fill(db: &Connection, keys: i64) -> Result<i64, rusqlite::Error> {
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")?;
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

fn query(key: Option<KeyId>, by: UsageBy) -> UsageQuery {
    let of = RollupQuery { key, from_hour: FIRST_HOUR, until_hour: FIRST_HOUR + HOURS };
    UsageQuery { of, by }
}

fn percentiles(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}, most {:?}, of {}", at(50), at(99), took.last(), took.len())
}
