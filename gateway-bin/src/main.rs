//! The `weighbridge` binary: arguments and wiring. What it does lives in the crates.

mod assembly;
mod check;
mod cli;
mod client;
mod demo;
mod explain;
#[cfg(feature = "failpoints")]
mod failpoints;
mod kept_prices;
mod keys;
mod ledger;
mod price_file;
mod prices;
mod provider_keys;
mod route;
mod serve;
mod sources;
mod tenants;
mod translate;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    if let Err(error) = failpoints::arm() {
        cli::complain(&error);
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Keys(command) => keys::run(command),
        Command::Tenants(command) => tenants::run(command),
        Command::ProviderKeys(command) => provider_keys::run(command),
        Command::Ledger(command) => ledger::run(command),
        Command::Route(command) => route::run(command),
        Command::Prices(command) => prices::run(command),
        Command::Usage(args) => usage::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Translate(args) => translate::run(&args),
        Command::Demo(args) => demo::run(&args),
    };
    result.unwrap_or_else(|error| {
        cli::complain(&error);
        ExitCode::FAILURE
    })
}
