use thiserror::Error;
use weighbridge_units::{AttemptId, Timestamp};

use super::{Expected, Model, Script, Step};
use crate::permit::Permits;
use crate::{
    AccountId, AccountKind, End, EndFacts, Extent, Fact, LedgerError, LedgerStore, Measure, MemoryLedger,
    Quantity, Reserve, RollupQuery, UsageBy, UsageQuery, add_up,
};

/// A store under test.
pub trait Subject {
    /// The store as it is now.
    fn store(&self) -> &dyn LedgerStore;

    /// Lets the process die, as far as the store can tell, and opens the store anew. Committed things stay.
    fn restart(&mut self);
}

impl Subject for MemoryLedger {
    fn store(&self) -> &dyn LedgerStore {
        self
    }

    fn restart(&mut self) {
        *self = Self::restart(self);
    }
}

/// What a run went through. A test asserts that it went through enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Steps.
    pub steps: usize,
    /// Reservations that were granted or repeated.
    pub granted: usize,
    /// Reservations that a budget refused.
    pub refused: usize,
    /// Those of them that a budget in tokens or requests refused.
    pub refused_by_count: usize,
    /// Reservations that a wallet refused.
    pub refused_by_wallet: usize,
    /// Reservations that were refused because another attempt had their claim, or another payload.
    pub refused_by_claim: usize,
    /// Reservations, refunds and fundings that were refused for other reasons.
    pub rejected: usize,
    /// Ends that were entered or repeated.
    pub ended: usize,
    /// Ends that exceeded their reservation.
    pub overages: usize,
    /// Ends that replaced a crash.
    pub late: usize,
    /// Ends that were not entered.
    pub not_ended: usize,
    /// Refunds.
    pub refunds: usize,
    /// Fundings that were carried out or repeated.
    pub funded: usize,
    /// Attempts that a restart found open.
    pub crashed: usize,
}

/// A rule that a store broke. Run the seed again to see it again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("seed {seed}, step {step}: {what}")]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// The step after which the store was not what it must be.
    pub step: usize,
    /// The difference.
    pub what: String,
}

/// Runs `steps` random steps against an empty store, then ends what is open, and compares throughout.
///
/// # Errors
/// The first [`Violation`].
pub async fn check_store(subject: &mut dyn Subject, seed: u64, steps: usize) -> Result<Report, Violation> {
    let mut run = Run {
        seed,
        step: 0,
        model: Model::new(),
        permits: Permits::new(usize::MAX),
        report: Report::default(),
    };
    let mut script = Script::new(seed);
    let mut now = Timestamp::default();
    let look = (steps / 4).max(100);
    for step in 1..=steps {
        run.step = step;
        match script.step() {
            Step::Reserve(reserve) => {
                now = reserve.at;
                run.reserve(subject.store(), reserve).await?;
            }
            Step::End(end) => run.end(subject.store(), end).await?,
            Step::Adjust(adjust) => {
                let expected = run.model.adjust(&adjust);
                let attempt = adjust.attempt;
                let answer = subject.store().adjust(adjust).await;
                run.answer("refund", expected, &answer)?;
                match expected {
                    Expected::Done => run.report.refunds += 1,
                    _ => run.report.rejected += 1,
                }
                run.look_at(subject.store(), attempt).await?;
            }
            Step::Fund(fund) => {
                let expected = run.model.fund(&fund);
                let receivable = AccountId::new(fund.book, AccountKind::Receivable, fund.tenant.id());
                let answer = subject.store().fund(fund).await;
                run.answer("funding", expected, &answer)?;
                match expected {
                    Expected::Done => run.report.funded += 1,
                    _ => run.report.rejected += 1,
                }
                run.settle(subject.store()).await;
                run.compare_balance(subject.store(), receivable).await?;
            }
            Step::Seal(at) => {
                let sealed = subject.store().seal(at).await;
                run.right(sealed.is_ok(), || format!("sealing failed: {sealed:?}"))?;
            }
            Step::Restart(at) => {
                subject.restart();
                run.recover(subject.store(), at).await?;
            }
        }
        if step.is_multiple_of(look) {
            run.compare(subject.store()).await?;
        }
    }
    run.finish(subject.store(), now).await?;
    run.report.steps = steps;
    Ok(run.report)
}

struct Run {
    seed: u64,
    step: usize,
    model: Model,
    permits: Permits,
    report: Report,
}

impl Run {
    fn right(&self, right: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
        match right {
            true => Ok(()),
            false => Err(Violation { seed: self.seed, step: self.step, what: what() }),
        }
    }

    fn answer(
        &self,
        what: &str,
        expected: Expected,
        answer: &Result<(), LedgerError>,
    ) -> Result<(), Violation> {
        self.right(expected.matches(answer), || {
            format!("{what}: {expected:?} is right, {answer:?} was answered")
        })
    }

    fn read<T>(&self, read: Result<T, LedgerError>) -> Result<T, Violation> {
        read.map_err(|error| Violation {
            seed: self.seed,
            step: self.step,
            what: format!("reading: {error}"),
        })
    }

    async fn reserve(&mut self, store: &dyn LedgerStore, reserve: Reserve) -> Result<(), Violation> {
        let expected = self.model.reserve(&reserve);
        let (attempt, holds) = (reserve.attempt, reserve.holds.clone());
        let answer = store.reserve(reserve).await;
        self.answer("reservation", expected, &answer)?;
        match expected {
            Expected::Done => self.report.granted += 1,
            Expected::Budget(account) => {
                self.report.refused += 1;
                self.report.refused_by_count += usize::from(account.measure() != Measure::Usd);
            }
            Expected::Wallet => self.report.refused_by_wallet += 1,
            Expected::ClaimConflict | Expected::ClaimOpen(_) | Expected::ClaimDone(_) => {
                self.report.refused_by_claim += 1;
            }
            _ => self.report.rejected += 1,
        }
        for hold in holds {
            self.compare_balance(store, hold.account).await?;
        }
        self.look_at(store, attempt).await
    }

    async fn end(&mut self, store: &dyn LedgerStore, end: End) -> Result<(), Violation> {
        let was_late = self.model.is_late(end.attempt);
        match self.model.end(&end) {
            Expected::Done => self.report.ended += 1,
            _ => self.report.not_ended += 1,
        }
        self.report.overages += usize::from(self.model.is_over(end.attempt));
        self.report.late += usize::from(!was_late && self.model.is_late(end.attempt));
        let attempt = end.attempt;
        let permit = self.permits.take();
        let permit = permit.ok_or_else(|| Violation {
            seed: self.seed,
            step: self.step,
            what: "permits leak".into(),
        })?;
        store.hand_over(end, permit);
        // Every other end waits for whatever comes next to carry it along.
        if self.step.is_multiple_of(2) {
            return Ok(());
        }
        self.look_at(store, attempt).await
    }

    /// Waits for the ends that were handed over: a store may commit them on a thread of its own.
    async fn settle(&self, store: &dyn LedgerStore) {
        store.flush();
        self.permits.drained().await;
    }

    async fn recover(&mut self, store: &dyn LedgerStore, now: Timestamp) -> Result<(), Violation> {
        let open = self.model.restart(now);
        let recovered = self.read(store.recover(now).await)?;
        self.right(recovered.crashed == open, || {
            format!("C2: {open} were open, {} recovered", recovered.crashed)
        })?;
        let again = self.read(store.recover(now).await)?;
        self.right(again.crashed == 0, || "C2: recovering twice ended something".into())?;
        self.report.crashed += open as usize;
        self.nothing_is_pending(store).await
    }

    /// R6: with no request in flight, nothing is pending.
    async fn nothing_is_pending(&self, store: &dyn LedgerStore) -> Result<(), Violation> {
        for (account, balance) in self.read(store.balances().await)? {
            self.right(balance.pending == Quantity::ZERO, || {
                format!("R6: {account} has {} pending", account.measure().show(balance.pending))
            })?;
        }
        Ok(())
    }

    async fn look_at(&self, store: &dyn LedgerStore, attempt: AttemptId) -> Result<(), Violation> {
        self.settle(store).await;
        let entry = self.read(store.attempt(attempt).await)?;
        self.right(self.model.agrees(attempt, entry.as_ref()), || {
            format!("attempt {attempt} is {entry:?} in the store, but not in the model")
        })
    }

    async fn compare_balance(&self, store: &dyn LedgerStore, account: AccountId) -> Result<(), Violation> {
        let balance = self.read(store.balance(account).await)?;
        let found = (i128::from(balance.posted.get()), i128::from(balance.pending.get()));
        let right = self.model.balance(account);
        self.right(found == right, || format!("{account} is {found:?}, and must be {right:?}"))
    }

    /// L1, L3, L5: balances and roll-ups are what the attempts add up to, and the journal says the same.
    async fn compare(&self, store: &dyn LedgerStore) -> Result<(), Violation> {
        self.settle(store).await;
        let right = self.model.balances();
        let mut found = self.read(store.balances().await)?;
        found.retain(|(_, balance)| *balance != crate::Balance::default());
        for (account, balance) in &found {
            self.right(right.get(account) == Some(balance), || {
                format!("L5: {account} is {balance:?}, and must be {:?}", right.get(account))
            })?;
        }
        self.right(found.len() == right.len(), || "L5: an account is missing".into())?;

        let right = self.model.rollups();
        let found = self.read(store.rollups(RollupQuery::ALL).await)?;
        for (key, rollup) in &found {
            self.right(right.get(key) == Some(rollup), || {
                format!("L5: {key:?} is {rollup:?}, and must be {:?}", right.get(key))
            })?;
        }
        self.right(found.len() == right.len(), || "L5: a roll-up is missing".into())?;
        for by in [UsageBy::Key, UsageBy::Model, UsageBy::Day] {
            let sums = self.read(store.usage(UsageQuery { of: RollupQuery::ALL, by }).await)?;
            let right = add_up(found.iter().copied(), by);
            self.right(sums == right, || format!("L5: usage by {by:?} is {sums:?}, and must be {right:?}"))?;
        }

        for extent in [Extent::All, Extent::SinceSeal] {
            let verification = self.read(store.verify(extent).await)?;
            self.right(verification.is_sound(), || format!("L3: {extent:?}: {:?}", verification.faults))?;
        }
        Ok(())
    }

    async fn finish(&mut self, store: &dyn LedgerStore, now: Timestamp) -> Result<(), Violation> {
        for attempt in self.model.open() {
            self.end(store, End { attempt, facts: EndFacts::not_dispatched(now) }).await?;
        }
        self.compare(store).await?;
        self.compare_rows(store).await?;
        self.nothing_is_pending(store).await
    }

    /// What is found of one attempt in the journal is what the journal says of it.
    async fn compare_rows(&self, store: &dyn LedgerStore) -> Result<(), Violation> {
        let journal = self.read(store.journal(0, 2_000).await)?;
        let opened = journal.iter().filter_map(|row| match row.entry.fact {
            Fact::Reserved { attempt, .. } => Some(attempt),
            _ => None,
        });
        for attempt in opened.take(20) {
            let of_attempt = journal.iter().filter(|row| row.entry.fact.attempt() == Some(attempt));
            let right: Vec<_> =
                of_attempt.filter(|row| !matches!(row.entry.fact, Fact::Refunded { .. })).cloned().collect();
            let found = self.read(store.attempt_rows(attempt).await)?;
            // The journal may go on behind what was read of it.
            self.right(found.starts_with(&right), || {
                format!("the rows of {attempt} are {found:?}, and must begin with {right:?}")
            })?;
        }
        Ok(())
    }
}
