//! What tenants owe, and what moves it beside their requests.

use weighbridge_admin::{FundingKind, NewFunding, WalletView};

use super::{changing, service};
use crate::cli::{BalanceArgs, FundArgs, RefundArgs, say};
use crate::keys::actor;

pub(super) async fn balance(args: &BalanceArgs) -> anyhow::Result<()> {
    let wallets = service(&args.config)?.wallet(&args.tenant).await?;
    if args.json {
        say(serde_json::to_string(&wallets)?);
        return Ok(());
    }
    say(format_args!("{:10}  {:>20}  {:>20}", "BOOK", "OWED USD", "RESERVED USD"));
    for WalletView { book, owed_usd, pending_usd, .. } in wallets {
        say(format_args!("{book:10}  {owed_usd:>20}  {pending_usd:>20}"));
    }
    Ok(())
}

pub(super) async fn refund(args: RefundArgs) -> anyhow::Result<()> {
    fund(FundingKind::Refund, args.fund, Some(args.of)).await
}

pub(super) async fn fund(kind: FundingKind, args: FundArgs, of: Option<String>) -> anyhow::Result<()> {
    let FundArgs { config, tenant, amount_usd, reason, id, book, json } = args;
    let wanted = NewFunding { tenant, kind, amount_usd, reason, of, id, book: Some(book) };
    let done = changing(&config)?.fund(&actor(), &wanted).await?;
    if json {
        say(serde_json::to_string(&done)?);
        return Ok(());
    }
    let WalletView { tenant, book, owed_usd, .. } = done.wallet;
    say(format_args!("{} {}: {tenant} owes {owed_usd} USD in the {book} book", done.kind, done.id));
    Ok(())
}
