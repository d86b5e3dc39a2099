//! What a reservation and its end cost on PostgreSQL: how many a second, how long, and the CPU of this side.
//!
//! `cargo run --release -p weighbridge-store-postgres --example postgres_commit_cost URL [TASKS [INSTANCES]]`, where URL is
//! that of an empty database; TASKS, of each instance, ask one request after another.

#![allow(clippy::print_stdout, reason = "a report is what this prints")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use weighbridge_ledger::{
    Billing, Book, BudgetScope, BudgetWindow, EndFacts, Extent, Hold, Ledger, Name, Quantity, Reserve,
    budget_account,
};
use weighbridge_store_postgres::{Database, PostgresLedger};
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

/// How long each row of the report is measured.
const MEASURED: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("give the URL of an empty database")?;
    let tasks: Vec<usize> = match arguments.next() {
        Some(tasks) => vec![tasks.parse()?],
        None => vec![1, 8, 64, 256],
    };
    let instances: Vec<usize> = match arguments.next() {
        Some(instances) => vec![instances.parse()?],
        None => vec![1, 2],
    };
    println!(
        "{:>9}{:>8}{:>12}{:>14}{:>12}{:>12}{:>8}",
        "instances", "tasks", "requests/s", "CPU/request", "p50", "p99", "batch"
    );
    for instances in instances {
        for tasks in &tasks {
            measure(&url, instances, *tasks)?;
        }
    }
    Ok(())
}

fn measure(url: &str, instances: usize, tasks: usize) -> Result<(), Box<dyn Error>> {
    let open = |_| -> Result<Ledger, Box<dyn Error>> {
        Ok(Ledger::new(Arc::new(PostgresLedger::open(&Database::open(url)?)), 100_000))
    };
    let ledgers = (0..instances).map(open).collect::<Result<Vec<_>, _>>()?;
    let (began, before) = (Instant::now(), cpu_time()?);
    let threads: Vec<_> = ledgers
        .iter()
        .map(|ledger| {
            let ledger = ledger.clone();
            std::thread::spawn(move || {
                block_on(join_all((0..tasks).map(|task| client(&ledger, task as u64)))).concat()
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for thread in threads {
        latencies.extend(thread.join().map_err(|_| "a thread has died")?);
    }
    ledgers.iter().for_each(|ledger| block_on(ledger.drained()));
    let (took, spent) = (began.elapsed(), cpu_time()?.saturating_sub(before));
    latencies.sort_unstable();
    let count = latencies.len();
    let at = |percent: usize| latencies.get(count * percent / 100).copied().unwrap_or_default();
    let each = spent / u32::try_from(count)?;
    let commits: u64 = ledgers.iter().map(|ledger| ledger.store().counters().commits).sum();
    let (batch, rate) = (2 * count as u64 / commits.max(1), count as u128 * 1_000 / took.as_millis().max(1));
    println!("{instances:>9}{tasks:>8}{rate:>12}{each:>14.1?}{:>12.1?}{:>12.1?}{batch:>8}", at(50), at(99));
    for ledger in &ledgers {
        let found = block_on(ledger.store().verify(Extent::SinceSeal))?;
        if !found.is_sound() {
            return Err(format!("{:?}", found.faults).into());
        }
        block_on(ledger.store().seal(Timestamp::default()))?;
    }
    Ok(())
}

/// Asks one request after another; gives how long each reservation took.
async fn client(ledger: &Ledger, task: u64) -> Vec<Duration> {
    let now = Timestamp::from_date(2026, 11, 26).unwrap_or_default();
    let [tenant, provider, model, version] = ["acme", "openai", "gpt-4o-mini", "2026-11"].map(Name::new);
    // Unlike those of other instances, and of runs before.
    let unlike = std::ptr::from_ref(ledger).addr() as u128
        ^ std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut latencies = Vec::new();
    let began = Instant::now();
    for number in 0_u64.. {
        if began.elapsed() > MEASURED {
            break;
        }
        let key = KeyId::from_bits(1 + task % 16);
        let at = now + Duration::from_micros(number * 100 + task);
        let month = BudgetWindow::Month(at.month());
        let hold = |scope| Hold {
            account: budget_account(Book::Platform, scope, month),
            limit: Some(Quantity::new(i64::MAX / 2)),
        };
        let reserve = Reserve {
            attempt: AttemptId::new(at, unlike << 40 | u128::from(task) << 28 | u128::from(number)),
            at,
            expires: at + Duration::from_secs(600),
            key,
            tenant: tenant.clone(),
            provider: provider.clone(),
            model: model.clone(),
            price_version: version.clone(),
            billing: Billing::Platform,
            amount: NanoUsd::new(5_000_000),
            tokens: 0,
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
            reason: Name::new(""),
        });
    }
    latencies
}

/// CPU time of this process, its threads included, and not the server's.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |at: usize| -> Result<u64, Box<dyn Error>> { Ok(fields.get(at).ok_or("no such field")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}
