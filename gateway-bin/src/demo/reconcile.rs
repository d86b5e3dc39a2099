//! The ledger beside the simulated providers' invoices: attempt by attempt, then in sums.

use std::collections::BTreeMap;

use weighbridge_ledger::{AccountKind, AttemptEntry, Measure, Quantity};
use weighbridge_simulator::InvoiceLine;
use weighbridge_units::{NanoUsd, Provenance};

use super::Demo;
use crate::cli::say;

/// Prints both sides and counts the differences. Entries whose usage nobody told are estimates: they
/// are shown, and no difference.
pub(crate) async fn compare(demo: &Demo) -> anyhow::Result<usize> {
    let mut differences = 0;
    let mut estimated = NanoUsd::ZERO;
    let mut invoiced: BTreeMap<&str, NanoUsd> = BTreeMap::new();
    say("\nAttempt by attempt                        invoice USD    ledger USD");
    for (provider, lines) in [("openai", demo.openai.invoice()), ("anthropic", demo.anthropic.invoice())] {
        for line in lines {
            let sum = invoiced.entry(provider).or_default();
            *sum = sum.plus(NanoUsd::new(line.nano_usd))?;
            match judge(demo, &line).await? {
                Judged::Equal => {}
                Judged::Estimated(excess) => estimated = estimated.plus(excess)?,
                Judged::Different => differences += 1,
            }
        }
    }
    let mut owed = NanoUsd::ZERO;
    let mut books: BTreeMap<(&str, Measure, bool), i64> = BTreeMap::new();
    say("\nBalances                                                             posted");
    for (account, balance) in demo.running.ledger.store().balances().await? {
        let name = demo.running.ledger.store().name(account.entity()).await?.unwrap_or_default();
        let (book, kind) = (account.book().as_str(), account.kind());
        let measure = account.measure();
        let shown = measure.show(balance.posted).to_string();
        say(format_args!("  {book:10}  {:18}  {name:16}  {shown:>24}", kind.as_str()));
        if kind == AccountKind::Payable {
            owed = owed.minus(balance.posted.usd())?;
        }
        for (pending, amount) in [(false, balance.posted), (true, balance.pending)] {
            let sum = books.entry((book, measure, pending)).or_default();
            *sum = sum.saturating_add(amount.get());
        }
        if balance.pending != Quantity::ZERO {
            say(format_args!("  DIFFERENT: {} are still reserved", measure.show(balance.pending)));
            differences += 1;
        }
    }
    for ((book, ..), sum) in &books {
        if *sum != 0 {
            say(format_args!("  DIFFERENT: the {book} book does not add up to zero"));
            differences += 1;
        }
    }
    let mut total = NanoUsd::ZERO;
    for (provider, sum) in &invoiced {
        say(format_args!("  invoice     {provider:36}  {:>24}", sum.to_string()));
        total = total.plus(*sum)?;
    }
    say(format_args!("  owed to providers by the ledger {:>42}", owed.to_string()));
    say(format_args!("  of which estimates beyond the invoices {:>35}", estimated.to_string()));
    if owed.minus(estimated)? != total {
        say("  DIFFERENT: what is owed is not what is invoiced");
        differences += 1;
    }
    Ok(differences)
}

enum Judged {
    Equal,
    /// An estimate, and by how much it exceeds the invoice.
    Estimated(NanoUsd),
    Different,
}

async fn judge(demo: &Demo, line: &InvoiceLine) -> anyhow::Result<Judged> {
    let invoiced = NanoUsd::new(line.nano_usd);
    let entry = match line.attempt {
        Some(attempt) => demo.running.ledger.store().attempt(attempt).await?,
        None => None,
    };
    let Some(AttemptEntry::Ended(ended)) = entry else {
        say(format_args!("  {:36}  {:>15}  no entry: DIFFERENT", line.model, invoiced.to_string()));
        return Ok(Judged::Different);
    };
    let posted = ended.used.cost;
    let (judged, word) = match ended.used.provenance {
        Provenance::Reported if posted == invoiced => (Judged::Equal, "equal"),
        Provenance::Reported => (Judged::Different, "DIFFERENT"),
        _ => (Judged::Estimated(posted.minus(invoiced)?), "estimated: the stream broke before its usage"),
    };
    let attempt = format!("{} {}", line.model, ended.used.outcome);
    say(format_args!("  {attempt:36}  {:>15}  {:>12}  {word}", invoiced.to_string(), posted.to_string()));
    Ok(judged)
}
