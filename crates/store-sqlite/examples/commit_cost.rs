//! What a reservation and its end cost on SQLite and in memory: CPU per request, alone and in batches.
//!
//! `cargo run --release -p weighbridge-store-sqlite --example commit_cost [memory|sqlite|fsync [TASKS]]`

#![allow(clippy::print_stdout, reason = "a report is what this prints")]

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use weighbridge_ledger::{
    Billing, Book, BudgetScope, BudgetWindow, EndFacts, Extent, Hold, Ledger, LedgerStore, MemoryLedger,
    Name, Quantity, Reserve, budget_account,
};
use weighbridge_store_sqlite::{Durability, SqliteLedger, SqliteLedgerOptions};
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:<10}{:>8}{:>12}{:>14}{:>12}{:>12}{:>8}",
        "store", "tasks", "requests", "CPU/request", "p50", "p99", "batch"
    );
    let only = std::env::args().nth(1);
    let asked = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let tasks: Option<usize> = std::env::args().nth(2).and_then(|tasks| tasks.parse().ok());
    let tasks: &[usize] = tasks.as_slice();
    let tasks = if tasks.is_empty() { &[1, 8, 64, 256] } else { tasks };
    for &tasks in tasks.iter().filter(|_| asked("memory")) {
        measure("memory", Arc::new(MemoryLedger::new()), tasks, 400_000)?;
    }
    for (name, durability) in [("sqlite", Durability::Process), ("fsync", Durability::Fsync)] {
        if !asked(name) {
            continue;
        }
        for &tasks in tasks {
            let folder = tempfile::tempdir_in(".")?;
            let options = SqliteLedgerOptions { path: folder.path().join("ledger.db"), durability };
            let requests = match durability {
                Durability::Process => 200_000,
                Durability::Fsync => 300 * tasks,
            };
            measure(name, Arc::new(SqliteLedger::with_options(&options)?), tasks, requests)?;
        }
    }
    Ok(())
}

fn measure(
    name: &str,
    store: Arc<dyn LedgerStore>,
    tasks: usize,
    requests: usize,
) -> Result<(), Box<dyn Error>> {
    let ledger = Ledger::new(store, 100_000);
    let mut pool = LocalPool::new();
    let handles = (0..tasks).map(|task| {
        let ledger = ledger.clone();
        let client = client(ledger, task as u64, requests / tasks, tasks == 1);
        pool.spawner().spawn_local_with_handle(client)
    });
    let handles = handles.collect::<Result<Vec<_>, _>>()?;
    let before = cpu_time()?;
    let mut latencies = pool.run_until(async {
        let mut all = Vec::with_capacity(requests);
        for handle in handles {
            all.extend(handle.await);
        }
        all
    });
    pool.run_until(ledger.drained());
    let spent = cpu_time()?.saturating_sub(before);
    latencies.sort_unstable();
    let count = latencies.len();
    let at = |percent: usize| latencies.get(count * percent / 100).copied().unwrap_or_default();
    let each = spent / u32::try_from(count)?;
    let commits = ledger.store().counters().commits.max(1);
    let batch = 2 * count as u64 / commits;
    println!("{name:<10}{tasks:>8}{count:>12}{each:>14.1?}{:>12.1?}{:>12.1?}{batch:>8}", at(50), at(99));
    let found = pool.run_until(ledger.store().verify(Extent::All))?;
    if !found.is_sound() {
        return Err(format!("{:?}", found.faults).into());
    }
    Ok(())
}

/// Asks one request after another; gives how long each reservation took.
fn client(ledger: Ledger, task: u64, requests: usize, alone: bool) -> impl Future<Output = Vec<Duration>> {
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
                attempt: AttemptId::new(at, u128::from(task) << 64 | u128::from(number) << 8 | 1),
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
