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
use weighbridge_ledger::Ledger;
use weighbridge_ledger::testkit::Month;
use weighbridge_store_postgres::{Database, PostgresLedger};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("give the URL of an empty database")?;
    let month = Month::of(arguments.next().map_or(Ok(1_000), |keys| keys.parse())?);
    let questions: u64 = arguments.next().map_or(Ok(500), |questions| questions.parse())?;
    let database = Database::open(&url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fill(&url, &month))?;

    let store = Arc::new(PostgresLedger::open(&database));
    let (stop, began) = (AtomicBool::new(false), Instant::now());
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

/// Roll-ups as an earlier release has left them, then what the migration does to them.
async fn fill(url: &str, month: &Month) -> Result<(), Box<dyn Error>> {
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
    for hour in Month::FIRST_HOUR..Month::FIRST_HOUR + month.hours {
        rows += client.execute(&insert, &[&hour, &month.keys.cast_signed(), &month.models]).await?;
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
