//! How long usage takes to be told on PostgreSQL, over ten million roll-ups: a month of 1,000 keys that use 14 models in
//! every hour, written in the order of time.
//!
//! `cargo run --release -p weighbridge-store-postgres --example postgres_usage_cost URL [KEYS [QUESTIONS]]`, where URL is that of an
//! empty database, which is left with 5 GB in it.

#![allow(clippy::print_stdout, reason = "a report is what this prints")]

use std::error::Error;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use tokio_postgres::NoTls;
use weighbridge_ledger::{LedgerStore, RollupQuery, UsageBy, UsageQuery};
use weighbridge_store_postgres::{Database, PostgresLedger};
use weighbridge_units::KeyId;

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
    let ledger = PostgresLedger::open(&database);
    block_on(ledger.usage(query(None, UsageBy::Key)))?; // The tables are made.
    let began = Instant::now();
    let rows = fill(&url, keys)?;
    println!("{rows} roll-ups in {:?}", began.elapsed());

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

fn fill(url: &str, keys: i64) -> Result<u64, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let counts = "ARRAY[1500 + model, 300, 0, 0, 0, 400, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]::bigint[]";
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
        drop(client);
        connection.await??;
        Ok(rows)
    })
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
