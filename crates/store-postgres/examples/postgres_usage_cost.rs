//! How long usage takes to be told on PostgreSQL, over ten million roll-ups: a month of 1,000 keys that use 14 models in
//! every hour, written in the order of time. Meanwhile one attempt after another is entered, with a pause of 2 ms.
//!
//! `cargo run --release -p weighbridge-store-postgres --example postgres_usage_cost URL [KEYS [QUESTIONS]]`, where URL is that of an
//! empty database, which is left with 5 GB in it. It also tells how long the migration takes that makes the totals of keys.

#![allow(clippy::print_stdout, reason = "a report is what this prints")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use tokio_postgres::NoTls;
use weighbridge_ledger::{Billing, EndFacts, Ledger, LedgerStore, Reserve, RollupQuery, UsageBy, UsageQuery};
use weighbridge_store_postgres::{Database, PostgresLedger};
use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, NanoUsd, Timestamp};

/// The hours of a month of thirty days, from the first of November 2026 on.
const FIRST_HOUR: i64 = 498_264;
const HOURS: i64 = 720;
const MODELS: i64 = 14;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("give the URL of an empty database")?;
    let keys: i64 = arguments.next().map_or(Ok(1_000), |keys| keys.parse())?;
    let questions: u64 = arguments.next().map_or(Ok(500), |questions| questions.parse())?;
    let database = Database::open(&url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fill(&url, keys))?;

    let store = Arc::new(PostgresLedger::open(&database));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| traffic(&Ledger::new(Arc::clone(&store) as _, 1_000), keys, &stop));
        let asked = ask(&store, keys, questions);
        stop.store(true, Ordering::Relaxed);
        asked
    })
}

/// Asks for months of single keys, then for such of all keys at once.
fn ask(ledger: &PostgresLedger, keys: i64, questions: u64) -> Result<(), Box<dyn Error>> {
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

/// Roll-ups as an earlier release has left them, then what the migration does to them.
async fn fill(url: &str, keys: i64) -> Result<(), Box<dyn Error>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let former = "DROP TRIGGER rollup_came ON rollup; DROP TRIGGER rollup_changed ON rollup; \
         DROP FUNCTION rollup_came; DROP FUNCTION rollup_changed; DROP TABLE key_total";
    client.batch_execute(former).await?;
    let began = Instant::now();
    let counts =
        "ARRAY[1500 + model, 300, 0, 0, 0, 400, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]::bigint[]";
    let insert = format!(
        "INSERT INTO rollup (key, hour, provider, model, attempts, succeeded, estimated, cost, charged, counts) \
         SELECT key, $1, model % 3 * 1000000007::bigint + 4611686018427387904, \
         model * 1000000009::bigint + 4611686018427387904, 1, 1, 0, 1234567 + key, 1434567 + key, {counts} \
         FROM generate_series(1, $2::bigint) AS key CROSS JOIN generate_series(1, $3::bigint) AS model"
    );
    let insert = client.prepare(&insert).await?;
    let mut rows = 0;
    for hour in FIRST_HOUR..FIRST_HOUR + HOURS {
        rows += client.execute(&insert, &[&hour, &keys, &MODELS]).await?;
    }
    client.batch_execute("VACUUM (ANALYZE) rollup").await?;
    println!("{rows} roll-ups in {:?}", began.elapsed());
    let began = Instant::now();
    let migration = include_str!("../migrations/V10__key_total.sql");
    client.batch_execute(&format!("BEGIN; {migration} COMMIT")).await?;
    println!("totals made in {:?}", began.elapsed());
    // As the server does by itself some time later.
    client.batch_execute("VACUUM (ANALYZE) key_total").await?;
    drop(client);
    connection.await??;
    Ok(())
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
