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
use weighbridge_ledger::Ledger;
use weighbridge_ledger::testkit::Month;
use weighbridge_store_sqlite::SqliteLedger;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let month = Month::of(arguments.next().map_or(Ok(1_000), |keys| keys.parse())?);
    let questions: u64 = arguments.next().map_or(Ok(500), |questions| questions.parse())?;
    let folder = tempfile::tempdir_in(".")?;
    let path = folder.path().join("ledger.db");
    drop(SqliteLedger::open(&path)?);
    let began = Instant::now();
    let rows = fill(&Connection::open(&path)?, &month)?;
    println!("{rows} roll-ups in {:?}, {} MB", began.elapsed(), std::fs::metadata(&path)?.len() / 1_000_000);
    let began = Instant::now();
    make_totals(&Connection::open(&path)?)?;
    println!("totals made in {:?}, {} MB", began.elapsed(), std::fs::metadata(&path)?.len() / 1_000_000);

    let store = Arc::new(SqliteLedger::open(&path)?);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| traffic(&Ledger::new(Arc::clone(&store) as _, 1_000), &month, &stop));
        let asked = block_on(month.ask(&*store, questions, &|| began.elapsed()));
        stop.store(true, Ordering::Relaxed);
        asked?.iter().for_each(|took| println!("{took}"));
        Ok(())
    })
}

/// Enters one attempt after another.
fn traffic(ledger: &Ledger, month: &Month, stop: &AtomicBool) {
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            println!("{number} attempts were entered meanwhile");
            return;
        }
        if let Err(error) = block_on(month.enter(ledger, number)) {
            println!("an attempt was not entered: {error}");
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

fn fill(db: &Connection, month: &Month) -> Result<i64, rusqlite::Error> {
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
    let rows =
        db.execute(select, [Month::FIRST_HOUR, month.hours, month.keys.cast_signed(), month.models])?;
    db.execute_batch("COMMIT; PRAGMA journal_mode = WAL")?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}
