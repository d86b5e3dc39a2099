//! The ledger alone: reserve, end, read the books, and let the testkit judge a store.
//!
//! ```console
//! $ cargo run -p weighbridge-examples --example ledger_alone
//! ```

use std::error::Error;
use std::sync::Arc;

use weighbridge_ledger::{
    Billing, Book, BudgetScope, BudgetWindow, EndFacts, Extent, Hold, Ledger, LedgerError, LedgerStore,
    MemoryLedger, Name, Quantity, Refusal, Reserve, budget_account,
};
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Arc::new(MemoryLedger::new());
    let ledger = Ledger::new(Arc::clone(&store) as Arc<dyn LedgerStore>, 100);
    let now = Timestamp::from_date(2026, 11, 21).ok_or("a date")?;

    // A budget of a tenth of a cent for this month, and an attempt that may cost most of it.
    let reservation = ledger.reserve(attempt(1, now, 800_000)).await?;
    // Nothing else that large fits beside it, whoever asks.
    match ledger.reserve(attempt(2, now, 800_000)).await {
        Err(LedgerError::Refused(Refusal::Budget { available, .. })) => {
            println!("refused: {} USD are left", available.usd());
        }
        other => return Err(format!("the budget must hold: {other:?}").into()),
    }
    // It came cheaper: the rest is free again in the commit that settles it.
    reservation.end(EndFacts {
        at: now,
        outcome: AttemptOutcome::Success,
        usage: Usage::new().with(Bucket::Input, 100).with(Bucket::Output, 20),
        provenance: Provenance::Reported,
        price: NanoUsd::new(27_000),
        cost: NanoUsd::new(27_000),
        exact: "0.000027".parse::<Usd>()?,
        reason: Name::new("none"),
    });
    ledger.flush();
    ledger.reserve(attempt(3, now, 800_000)).await?.void(now);
    ledger.flush();

    for (account, balance) in store.balances().await? {
        let shown = |quantity| account.measure().show(quantity).to_string();
        println!("{account:40} posted {:>18}  pending {:>18}", shown(balance.posted), shown(balance.pending));
    }
    let found = store.verify(Extent::All).await?;
    println!("verified {} rows: {}", found.rows, if found.is_sound() { "sound" } else { "damaged" });
    Ok(())
}

fn attempt(number: u64, at: Timestamp, worst: i64) -> Reserve {
    let key = KeyId::from_bits(7);
    let month = BudgetWindow::Month(at.month());
    let budget = Hold {
        account: budget_account(Book::Platform, BudgetScope::Key(key), month),
        limit: Some(Quantity::new(1_000_000)),
    };
    Reserve {
        attempt: AttemptId::new(at, u128::from(number)),
        at,
        expires: at + std::time::Duration::from_secs(600),
        key,
        tenant: Name::new("acme"),
        provider: Name::new("openai"),
        model: Name::new("gpt-4o-mini"),
        price_version: Name::new("example"),
        billing: Billing::Platform,
        amount: NanoUsd::new(worst),
        tokens: 1_000,
        credit_limit: None,
        claim: None,
        holds: vec![budget],
        estimate: NanoUsd::new(worst),
    }
}
