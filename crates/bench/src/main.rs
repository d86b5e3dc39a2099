//! Measures the gateway against a bare forwarder, and prints the table of `docs/performance.md`.
//!
//! `cargo run --release -p weighbridge-bench` builds this program; the gateway that it measures is
//! the binary `weighbridge` beside it, built before with `cargo build --release`. All processes
//! talk over loopback. A forwarder that parses nothing is the yardstick: every load falls on the
//! provider alone, on the forwarder and on the gateways in turn, in several rounds, and each ratio
//! is the median over the rounds.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool prints")]

mod bars;
mod child;
mod client;
mod cores;
mod crowd;
mod figures;
mod forwarder;
mod load;
mod once;
mod open_files;
mod provider;
mod requests;
mod rounds;
mod subject;
mod table;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use crowd::CrowdTable;
use once::Once;
use rounds::{Effort, Part, Starter};
use subject::{Ledger, Subject, default_binary};
use table::{Gateway, Measured, Results};

/// The same allocator as the gateway's, so that the comparison is about the code.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the gateway against a bare forwarder and prints a Markdown table.
#[derive(Parser)]
struct Arguments {
    /// Fewer and shorter rounds: a look, not a result.
    #[arg(long)]
    quick: bool,
    /// Rounds; their median is what counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// How many seconds one load lasts.
    #[arg(long, value_name = "SECONDS")]
    phase: Option<u64>,
    /// What to measure; everything, if not said. May be given several times.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// With which ledger the gateway is measured; with both, if not said.
    #[arg(long)]
    ledger: Option<Ledger>,
    /// The gateway to measure; the `weighbridge` beside this program, if not said. Several are compared
    /// in the same rounds.
    #[arg(long, value_name = "FILE")]
    gateway: Vec<PathBuf>,
    /// Measure the forwarder only.
    #[arg(long)]
    forwarder_only: bool,
    /// Measures nothing but so many slow streams that are open at once: memory, and transit of their pieces.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["quick", "rounds", "strict"])]
    streams: Vec<usize>,
    /// Exit with 1 if a figure misses what it must be.
    #[arg(long)]
    strict: bool,
    #[command(subcommand)]
    role: Option<RoleCommand>,
}

#[derive(Subcommand)]
enum RoleCommand {
    /// What the processes that this program starts are told to be.
    #[command(subcommand, hide = true)]
    Role(Role),
}

#[derive(Subcommand)]
enum Role {
    Provider,
    Forwarder { upstream: SocketAddr },
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(RoleCommand::Role(Role::Provider)) => provider::run().map(|()| ExitCode::SUCCESS),
        Some(RoleCommand::Role(Role::Forwarder { upstream })) => {
            forwarder::run(upstream).map(|()| ExitCode::SUCCESS)
        }
        None => open_files::with_enough(|| measure(&arguments)),
    }
}

fn measure(arguments: &Arguments) -> Result<ExitCode> {
    let mut effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    effort.rounds = arguments.rounds.unwrap_or(effort.rounds).max(1);
    effort.phase = arguments.phase.map_or(effort.phase, |seconds| Duration::from_secs(seconds.max(1)));
    let parts = if arguments.only.is_empty() { Part::ALL } else { &arguments.only };
    let once = |name: &str, make: &dyn Fn() -> Result<Subject>| match parts.contains(&Part::Once) {
        true => once::measure(name, make),
        false => Ok(Once::UNKNOWN),
    };

    let provider = Subject::provider()?;
    let upstream = provider.address;
    let forwarder = || Subject::forwarder(upstream);
    let gateways_to_measure = gateways_of(arguments)?;
    if !arguments.streams.is_empty() {
        let mut rows = Vec::new();
        for streams in &arguments.streams {
            rows.push(crowd::measure("provider alone", &provider, *streams)?);
            rows.push(crowd::measure("forwarder", &forwarder()?, *streams)?);
            for (name, ledger, binary) in &gateways_to_measure {
                rows.push(crowd::measure(name, &Subject::gateway(binary, *ledger, upstream)?, *streams)?);
            }
        }
        println!("{}", CrowdTable(rows));
        return Ok(ExitCode::SUCCESS);
    }

    let forwarder_once = once("the forwarder", &forwarder)?;
    let mut others = vec![Starter { name: "forwarder".to_owned(), start: Box::new(forwarder) }];
    let mut gateways = Vec::new();
    for (name, ledger, binary) in gateways_to_measure {
        let gateway = move || Subject::gateway(&binary, ledger, upstream);
        gateways.push((name.clone(), ledger, once(&name, &gateway)?));
        others.push(Starter { name, start: Box::new(gateway) });
    }
    let mut rounds = rounds::run(&provider, &others, parts, effort)?.into_iter();
    let provider = rounds.next().unwrap_or_default();
    let forwarder = Measured { rounds: rounds.next().unwrap_or_default(), once: forwarder_once };
    let gateways = rounds.zip(gateways).map(|(rounds, (name, ledger, once))| {
        let measured = Measured { rounds, once };
        Gateway { name, ledger, measured }
    });
    let results = Results { provider, forwarder, gateways: gateways.collect() };
    println!("{results}");
    let misses = results.misses();
    println!("{} rounds of {:?}; {misses} figures miss what they must be.", effort.rounds, effort.phase);
    Ok(if arguments.strict && misses > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The gateways to measure: each binary with each ledger, and a name that tells them apart.
fn gateways_of(arguments: &Arguments) -> Result<Vec<(String, Ledger, PathBuf)>> {
    if arguments.forwarder_only {
        return Ok(Vec::new());
    }
    let binaries = match arguments.gateway.as_slice() {
        [] => vec![default_binary()?],
        binaries => binaries.to_vec(),
    };
    let ledgers = arguments.ledger.map_or_else(|| vec![Ledger::Memory, Ledger::Sqlite], |it| vec![it]);
    let several = binaries.len() > 1;
    let mut gateways = Vec::new();
    for ledger in ledgers {
        for (nth, binary) in (1..).zip(&binaries) {
            let number = if several { format!(" {nth}") } else { String::new() };
            gateways.push((format!("{}{number}", ledger.name()), ledger, binary.clone()));
        }
    }
    Ok(gateways)
}
