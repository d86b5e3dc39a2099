//! What a reservation and its end cost on SQLite and in memory: how many a second, CPU per request, alone and in batches.
//!
//! `cargo run --release -p weighbridge-store-sqlite --example commit_cost [memory|sqlite|fsync [TASKS [REQUESTS [FILE]]]]`
//!
//! With a file, the ledger in it is opened or made, and stays: for two processes on one ledger at once, and for
//! a journal that grows.

#![allow(clippy::print_stdout, reason = "a report is what this prints")]

use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use weighbridge_ledger::{
    Billing, Book, BudgetScope, BudgetWindow, EndFacts, Extent, Hold, Ledger, LedgerError, LedgerStore,
    MemoryLedger, Name, Quantity, Reserve, budget_account,
};
use weighbridge_store_sqlite::{Durability, SqliteLedger, SqliteLedgerOptions};
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:<8}{:>6}{:>12}{:>10}{:>12}{:>12}{:>14}{:>12}{:>12}{:>7}",
        "store", "tasks", "journal", "open", "requests", "per second", "CPU/request", "p50", "p99", "batch"
    );
    let said: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| said.get(at).map(|text| text.parse::<usize>()).transpose();
    let tasks = number(1)?.map_or_else(|| vec![1, 8, 64, 256], |tasks| vec![tasks]);
    for name in ["memory", "sqlite", "fsync"] {
        if said.first().is_some_and(|only| only != name) {
            continue;
        }
        for &tasks in &tasks {
            let requests = number(2)?.unwrap_or(match name {
                "memory" => 400_000,
                "sqlite" => 200_000,
                _ => 300 * tasks,
            });
            let folder = tempfile::tempdir_in(".")?;
            let path = said.get(3).map_or_else(|| folder.path().join("ledger.db"), PathBuf::from);
            let began = Instant::now();
            let store: Arc<dyn LedgerStore> = match name {
                "memory" => Arc::new(MemoryLedger::new()),
                "sqlite" => Arc::new(SqliteLedger::with_options(&SqliteLedgerOptions {
                    path,
                    durability: Durability::Process,
                })?),
                _ => Arc::new(SqliteLedger::with_options(&SqliteLedgerOptions {
                    path,
                    durability: Durability::Fsync,
                })?),
            };
            measure(name, store, began.elapsed(), tasks, requests, said.get(3).is_none())?;
        }
    }
    Ok(())
}

fn measure(
    name: &str,
    store: Arc<dyn LedgerStore>,
    opened: Duration,
    tasks: usize,
    requests: usize,
    is_whole: bool,
) -> Result<(), Box<dyn Error>> {
    let ledger = Ledger::new(store, 100_000);
    let mut pool = LocalPool::new();
    let journal = pool.run_until(length(&**ledger.store()))?;
    // Attempts of other processes, and of earlier ones, have other ids.
    let run = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    let handles = (0..tasks).map(|task| {
        let ledger = ledger.clone();
        let client = client(ledger, run, task as u64, requests / tasks, tasks == 1);
        pool.spawner().spawn_local_with_handle(client)
    });
    let handles = handles.collect::<Result<Vec<_>, _>>()?;
    let (before, began) = (cpu_time()?, Instant::now());
    let mut latencies = pool.run_until(async {
        let mut all = Vec::with_capacity(requests);
        for handle in handles {
            all.extend(handle.await);
        }
        all
    });
    pool.run_until(ledger.drained());
    let (took, spent) = (began.elapsed(), cpu_time()?.saturating_sub(before));
    latencies.sort_unstable();
    let count = latencies.len();
    if count == 0 {
        return Err("nothing was reserved".into());
    }
    let at = |percent: usize| latencies.get(count * percent / 100).copied().unwrap_or_default();
    let each = spent / u32::try_from(count)?;
    let commits = ledger.store().counters().commits.max(1);
    let batch = 2 * count as u64 / commits;
    let rate = count as u128 * 1_000 / took.as_millis().max(1);
    let (p50, p99) = (at(50), at(99));
    println!(
        "{name:<8}{tasks:>6}{journal:>12}{opened:>10.1?}{count:>12}{rate:>12}{each:>14.1?}{p50:>12.1?}{p99:>12.1?}{batch:>7}"
    );
    let extent = if is_whole { Extent::All } else { Extent::SinceSeal };
    let found = pool.run_until(ledger.store().verify(extent))?;
    if !found.is_sound() {
        return Err(format!("{:?}", found.faults).into());
    }
    Ok(())
}

/// How many rows the journal has.
async fn length(store: &dyn LedgerStore) -> Result<u64, LedgerError> {
    let (mut length, mut step) = (0, 1_u64 << 40);
    while step > 0 {
        if !store.journal(length + step - 1, 1).await?.is_empty() {
            length += step;
        }
        step /= 2;
    }
    Ok(length)
}

/// Asks one request after another; gives how long each reservation took.
fn client(
    ledger: Ledger,
    run: u128,
    task: u64,
    requests: usize,
    alone: bool,
) -> impl Future<Output = Vec<Duration>> {
    let now = Timestamp::from_date(2026, 11, 21).unwrap_or_default();
    let [tenant, provider, model, version] = ["acme", "openai", "gpt-4o-mini", "2026-11"].map(Name::new);
    let reason = Name::new("");
    async move {
        let mut latencies = Vec::with_capacity(requests);
        for number in 0..requests as u64 {
            let key = KeyId::from_bits(1 + task % 16);
            let at = now + Duration::from_micros(number * 100 + task);
            let month = BudgetWindow::Month(at.month());
            let hold = |scope| Hold {
                account: budget_account(Book::Platform, scope, month),
                limit: Some(Quantity::new(i64::MAX / 2)),
            };
            let reserve = Reserve {
                attempt: AttemptId::new(
                    at,
                    (run % (1 << 40)) << 40 | u128::from(task) << 30 | u128::from(number),
                ),
                at,
                expires: at + Duration::from_secs(600),
                key,
                tenant: tenant.clone(),
                provider: provider.clone(),
                model: model.clone(),
                price_version: version.clone(),
                billing: Billing::Platform,
                amount: NanoUsd::new(5_000_000),
                tokens: 1_000,
                credit_limit: None,
                claim: None,
                holds: vec![hold(BudgetScope::Key(key)), hold(BudgetScope::Tenant("acme"))],
                estimate: NanoUsd::new(5_000_000),
            };
            let asked = Instant::now();
            let Ok(reservation) = ledger.reserve(reserve).await else { continue };
            latencies.push(asked.elapsed());
            reservation.end(EndFacts {
                at,
                outcome: AttemptOutcome::Success,
                usage: Usage::new().with(Bucket::Input, 900).with(Bucket::Output, 100),
                provenance: Provenance::Reported,
                price: NanoUsd::new(2_000_000),
                cost: NanoUsd::new(2_000_000),
                exact: Usd::from(NanoUsd::new(2_000_000)),
                reason: reason.clone(),
            });
            // A lone client's end is flushed with its answer; among many, the next batch carries it.
            if alone {
                ledger.flush();
            }
        }
        latencies
    }
}

/// CPU time of this process, its threads included.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |at: usize| -> Result<u64, Box<dyn Error>> { Ok(fields.get(at).ok_or("no such field")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}
