use weighbridge_units::Timestamp;

use crate::{JournalRow, LedgerError, LedgerStore};

/// Rows that are read at once.
const PAGE: u64 = 1_000;

/// The rows at the journal's end that were written at `since` or later, in order, and of those at most the
/// `most` last ones. It costs what it finds, however long the journal is.
///
/// Writers' clocks differ a little: it ends where a whole page of rows is older.
///
/// # Errors
/// As [`LedgerStore::journal`].
pub async fn journal_since(
    store: &dyn LedgerStore,
    since: Timestamp,
    most: usize,
) -> Result<Vec<JournalRow>, LedgerError> {
    let (mut pages, mut found) = (Vec::new(), 0);
    let mut end = last_row(store).await?;
    while end > 0 && found < most {
        let start = end.saturating_sub(PAGE);
        let mut page = store.journal(start, usize::try_from(end - start).unwrap_or(usize::MAX)).await?;
        page.retain(|row| row.seq <= end && row.entry.at >= since);
        if page.is_empty() {
            break;
        }
        found += page.len();
        pages.push(page);
        end = start;
    }
    let mut rows: Vec<_> = pages.into_iter().rev().flatten().collect();
    rows.drain(..rows.len().saturating_sub(most));
    Ok(rows)
}

/// The number of the last row, 0 where there is none. Rows are numbered without gaps, so that it is found by halving.
async fn last_row(store: &dyn LedgerStore) -> Result<u64, LedgerError> {
    let (mut there, mut beyond) = (0, 1_u64);
    while !store.journal(beyond - 1, 1).await?.is_empty() {
        (there, beyond) = (beyond, beyond.saturating_mul(2));
    }
    while beyond - there > 1 {
        let middle = there + (beyond - there) / 2;
        match store.journal(middle - 1, 1).await?.is_empty() {
            true => beyond = middle,
            false => there = middle,
        }
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::executor::block_on;
    use proptest::prelude::*;
    use weighbridge_units::{AttemptId, KeyId, NanoUsd};

    use super::*;
    use crate::{Billing, EndFacts, Ledger, MemoryLedger, Reserve};

    fn ledger_with(attempts: &[i64]) -> Ledger {
        let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 10);
        for (number, second) in attempts.iter().enumerate() {
            let at = Timestamp::from_secs(*second);
            let reserve = Reserve {
                attempt: AttemptId::from_u128(number as u128 + 1),
                at,
                expires: Timestamp::from_secs(second + 60),
                key: KeyId::from_bits(1),
                tenant: "acme".into(),
                provider: "openai".into(),
                model: "gpt-4o-mini".into(),
                price_version: "1".into(),
                billing: Billing::Platform,
                amount: NanoUsd::new(1),
                tokens: 1,
                credit_limit: None,
                claim: None,
                holds: Vec::new(),
                estimate: NanoUsd::new(1),
            };
            block_on(ledger.reserve(reserve)).unwrap().end(EndFacts::not_dispatched(at));
            ledger.flush();
        }
        ledger
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(8), ..ProptestConfig::default() })]
        #[test]
        fn the_end_of_the_journal_is_what_reading_all_of_it_finds(
            mut seconds in prop::collection::vec(0_i64..200, 0..60),
            since in 0_i64..220,
            most in 0_usize..200,
        ) {
            seconds.sort_unstable();
            let ledger = ledger_with(&seconds);
            let store = &**ledger.store();
            let since = Timestamp::from_secs(since);
            let mut expected = block_on(store.journal(0, usize::MAX)).unwrap();
            prop_assert_eq!(block_on(last_row(store)).unwrap(), expected.len() as u64);
            expected.retain(|row| row.entry.at >= since);
            expected.drain(..expected.len().saturating_sub(most));
            prop_assert_eq!(block_on(journal_since(store, since, most)).unwrap(), expected);
        }
    }
}
