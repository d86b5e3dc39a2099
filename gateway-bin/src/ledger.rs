//! `weighbridge ledger`, through the admin service.

mod reconcile;
pub(crate) mod reports;
mod wallet;

use std::process::ExitCode;
use std::sync::Arc;

use weighbridge_admin::{AdminService, BalanceView, FundingKind};
use weighbridge_config::StorageConfig;
use weighbridge_ledger::Extent;
use weighbridge_units::NanoUsd;

use crate::assembly::Stores;
use crate::cli::{ConfigArgs, LedgerCommand, ListArgs, VerifyArgs, say};
use crate::kept_prices::PresentPrices;
use crate::serve::runtime;
use crate::sources;

pub(crate) fn run(command: LedgerCommand) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    match command {
        LedgerCommand::Verify(args) => runtime.block_on(verify(&args)),
        LedgerCommand::Balances(args) => runtime.block_on(balances(&args)),
        LedgerCommand::Attempts(args) => runtime.block_on(attempts(&args)),
        LedgerCommand::Balance(args) => done(runtime.block_on(wallet::balance(&args))),
        LedgerCommand::Fund(args) => done(runtime.block_on(wallet::fund(FundingKind::TopUp, args, None))),
        LedgerCommand::Credit(args) => done(runtime.block_on(wallet::fund(FundingKind::Credit, args, None))),
        LedgerCommand::Adjust(args) => {
            done(runtime.block_on(wallet::fund(FundingKind::Adjustment, args, None)))
        }
        LedgerCommand::Refund(args) => done(runtime.block_on(wallet::refund(args))),
        LedgerCommand::Statement(args) => done(runtime.block_on(reports::statement(&args))),
        LedgerCommand::Export(args) => done(runtime.block_on(reports::export(&args))),
        LedgerCommand::Reconcile(args) => runtime.block_on(reconcile::reconcile(&args)),
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// The service, for what is to last.
fn changing(args: &ConfigArgs) -> anyhow::Result<AdminService> {
    anyhow::ensure!(
        sources::config(args)?.storage != StorageConfig::Memory,
        "storage.url is `memory:`, which another process cannot reach: use the admin API of the running gateway"
    );
    service(args)
}

pub(crate) fn service(args: &ConfigArgs) -> anyhow::Result<AdminService> {
    let config = sources::config(args)?;
    Ok(Stores::open(&config.storage)?.admin(sources::pepper(&config)?, &config))
}

/// The same, for what looks prices up.
pub(crate) async fn priced_service(args: &ConfigArgs) -> anyhow::Result<AdminService> {
    let config = sources::config(args)?;
    let stores = Stores::open(&config.storage)?;
    let prices = PresentPrices::read(&config, stores.database.as_ref()).await?.book;
    let service = stores.admin(sources::pepper(&config)?, &config);
    Ok(service.with_prices(move || Arc::clone(&prices)))
}

async fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let extent = if args.since_seal { Extent::SinceSeal } else { Extent::All };
    let found = service(&args.config)?.verify_ledger(extent).await?;
    found.faults.iter().for_each(say);
    if found.sound {
        say(format_args!("sound: {} rows verified, the last is {}", found.rows, found.last_row));
        Ok(ExitCode::SUCCESS)
    } else {
        say(format_args!("damaged: {} fault(s) in {} rows", found.faults.len(), found.rows));
        Ok(ExitCode::FAILURE)
    }
}

async fn balances(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let balances = service(&args.config)?.balances().await?;
    if args.json {
        say(serde_json::to_string(&balances)?);
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!(
        "{:10}  {:24}  {:28}  {:8}  {:>18}  {:>18}",
        "BOOK", "ACCOUNT", "WHOSE", "IN", "POSTED", "PENDING"
    ));
    let margin = margin(&balances)?;
    for balance in balances {
        let whose = balance.name.as_deref().unwrap_or(&balance.account);
        say(format_args!(
            "{:10}  {:24}  {whose:28}  {:8}  {:>18}  {:>18}",
            balance.book, balance.kind, balance.measure, balance.posted, balance.pending
        ));
    }
    let Margin { sales, cost, absorbed } = margin;
    let earned = sales.minus(cost)?;
    say(format_args!(
        "margin of the platform book: {earned} USD, of sales of {sales} that cost {cost}; absorbed beside it: {absorbed}"
    ));
    Ok(ExitCode::SUCCESS)
}

/// What was sold, what that cost, and what nobody pays for.
#[derive(Default)]
struct Margin {
    sales: NanoUsd,
    cost: NanoUsd,
    absorbed: NanoUsd,
}

fn margin(balances: &[BalanceView]) -> anyhow::Result<Margin> {
    let mut margin = Margin::default();
    for balance in balances.iter().filter(|balance| balance.book == "platform" && balance.measure == "usd") {
        let posted: NanoUsd = balance.posted.parse()?;
        match balance.kind {
            // Credits count down.
            "sales" => margin.sales = margin.sales.minus(posted)?,
            "cost_of_sales" => margin.cost = margin.cost.plus(posted)?,
            "absorbed" => margin.absorbed = margin.absorbed.plus(posted)?,
            _ => {}
        }
    }
    Ok(margin)
}

async fn attempts(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let attempts = service(&args.config)?.attempts().await?;
    if args.json {
        for attempt in attempts {
            say(serde_json::to_string(&attempt)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!(
        "{:36}  {:32}  {:20}  {:10}  {:>14}",
        "ATTEMPT", "MODEL", "OUTCOME", "USAGE", "COST USD"
    ));
    for attempt in attempts {
        let name = |name: Option<String>| name.unwrap_or_else(|| "?".to_owned());
        let model = format!("{}/{}", name(attempt.provider), name(attempt.model));
        say(format_args!(
            "{:36}  {model:32}  {:20}  {:10}  {:>14}",
            attempt.attempt, attempt.outcome, attempt.provenance, attempt.cost_usd
        ));
    }
    Ok(ExitCode::SUCCESS)
}
