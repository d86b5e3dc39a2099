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

use anyhow::Result;
use clap::{Parser, Subcommand};
use rounds::Effort;
use subject::{Ledger, Subject, default_binary};
use table::{Measured, Results};

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
    /// The gateway to measure; the `weighbridge` beside this program, if not said.
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Measure the forwarder only.
    #[arg(long)]
    forwarder_only: bool,
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
    let binary = arguments.gateway.clone().map_or_else(default_binary, Ok)?;
    let ledgers: &[(&'static str, Ledger)] = match arguments.forwarder_only {
        true => &[],
        false => &[("M (memory)", Ledger::Memory), ("S (SQLite)", Ledger::Sqlite)],
    };

    let provider = Subject::provider()?;
    let upstream = provider.address;
    let forwarder = || Subject::forwarder(upstream);
    let gateway = |ledger: Ledger| Subject::gateway(&binary, ledger, upstream);

    let forwarder_once = once::measure("the forwarder", forwarder)?;
    let mut subjects = vec![("provider", provider), ("forwarder", forwarder()?)];
    let mut gateways_once = Vec::new();
    for (name, ledger) in ledgers {
        gateways_once.push(once::measure(name, || gateway(*ledger))?);
        subjects.push((name, gateway(*ledger)?));
    }
    let mut rounds = rounds::run(&subjects, effort)?.into_iter();
    let provider = rounds.next().unwrap_or_default();
    let forwarder = Measured { rounds: rounds.next().unwrap_or_default(), once: forwarder_once };
    let gateways = rounds.zip(gateways_once).map(|(rounds, once)| Measured { rounds, once });
    let gateways = ledgers.iter().map(|(name, _)| *name).zip(gateways).collect();
    let results = Results { provider, forwarder, gateways };
    println!("{results}");
    let misses = results.misses();
    println!("{} rounds of {:?}; {misses} figures miss what they must be.", effort.rounds, effort.phase);
    Ok(if arguments.strict && misses > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
