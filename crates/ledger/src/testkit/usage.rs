use std::collections::BTreeMap;
use std::time::Duration;

use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

use super::{Random, Subject, Violation, plain_reserve};
use crate::permit::Permits;
use crate::{
    Adjust, End, EndFacts, Extent, Fact, LedgerError, LedgerStore, Reserve, Rollup, RollupKey, RollupQuery,
    UsageBy, UsageKey, UsageQuery, Used,
};

/// What a run of [`check_usage`] went through. A test asserts that it went through enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageReport {
    /// Ends that were handed over for attempts that had none.
    pub ended: usize,
    /// Ends that replaced a crash.
    pub late: usize,
    /// Refunds that were carried out.
    pub refunds: usize,
    /// Questions about usage that were compared.
    pub questions: usize,
    /// Sums that they were answered with.
    pub sums: usize,
    /// Questions about periods that begin or end within a day.
    pub uneven: usize,
}

/// The days over which attempts are spread; a store may forget roll-ups after some two months.
const DAYS: u64 = 45;
const HOUR_SECS: i64 = 3_600;
const DAY_SECS: i64 = 86_400;
const KEYS: u64 = 4;
/// Minutes by which local clocks are ahead of UTC.
const ZONES: [i64; 9] = [0, 60, 120, 330, 345, 765, -210, -300, -480];
/// Rows of the journal that are read at once.
const PAGE: usize = 1_000;

/// Spreads attempts over some weeks in no order of time, with late ends, refunds and restarts, and compares usage of
/// random periods, many of which begin at a local midnight, with the sum of the journal's rows (rule L5).
///
/// # Errors
/// The first [`Violation`].
pub async fn check_usage(
    subject: &mut dyn Subject,
    seed: u64,
    steps: usize,
) -> Result<UsageReport, Violation> {
    let first_day = Timestamp::from_date(2026, 10, 20).unwrap_or_default().as_secs() / DAY_SECS;
    let mut run = Run {
        seed,
        step: 0,
        random: Random::new(seed),
        first_day,
        now: Timestamp::from_secs(first_day * DAY_SECS),
        permits: Permits::new(usize::MAX),
        open: Vec::new(),
        crashed: Vec::new(),
        ended: Vec::new(),
        last_seq: 0,
        rows: Vec::new(),
        report: UsageReport::default(),
    };
    for step in 1..=steps {
        run.step = step;
        match run.random.below(100) {
            0..55 => run.reserve(subject.store()).await?,
            55..85 => run.end(subject.store()).await,
            85..92 => run.refund(subject.store()).await?,
            92..97 => run.end_late(subject.store()).await,
            97 => run.restart(subject).await?,
            _ => run.compare(subject.store()).await?,
        }
    }
    run.compare(subject.store()).await?;
    let verified = subject.store().verify(Extent::All).await;
    let verified = run.read(verified)?;
    match verified.is_sound() {
        true => Ok(run.report),
        false => Err(run.violation(format!("L3: {:?}", verified.faults))),
    }
}

struct Run {
    seed: u64,
    step: usize,
    random: Random,
    first_day: i64,
    /// The hour in which most attempts are opened.
    now: Timestamp,
    permits: Permits,
    open: Vec<AttemptId>,
    crashed: Vec<AttemptId>,
    ended: Vec<AttemptId>,
    last_seq: u64,
    /// What each row of the journal adds to usage.
    rows: Vec<(RollupKey, Sum)>,
    report: UsageReport,
}

impl Run {
    fn violation(&self, what: String) -> Violation {
        Violation { seed: self.seed, step: self.step, what }
    }

    fn read<T>(&self, read: Result<T, LedgerError>) -> Result<T, Violation> {
        read.map_err(|error| self.violation(format!("the store answers: {error}")))
    }

    async fn reserve(&mut self, store: &dyn LedgerStore) -> Result<(), Violation> {
        if self.random.chance(20) {
            let hours = self.random.below(DAYS * 24);
            self.now = Timestamp::from_secs(self.first_day * DAY_SECS) + Duration::from_secs(hours * 3_600);
        }
        let at = self.now + Duration::from_secs(self.random.below(3_600));
        let attempt =
            AttemptId::new(at, u128::from(self.random.bits()) << 64 | u128::from(self.random.bits()));
        let pick = |random: &mut Random, names: [&'static str; 2]| names[random.below(2) as usize];
        let reserve = Reserve {
            key: KeyId::from_bits(1 + self.random.below(KEYS)),
            provider: pick(&mut self.random, ["openai", "anthropic"]).into(),
            model: pick(&mut self.random, ["small", "large"]).into(),
            estimate: NanoUsd::new(self.random.below(900) as i64),
            ..plain_reserve(attempt, at)
        };
        let reserved = store.reserve(reserve).await;
        self.read(reserved)?;
        self.open.push(attempt);
        Ok(())
    }

    async fn end(&mut self, store: &dyn LedgerStore) {
        let Some(attempt) = take(&mut self.random, &mut self.open) else { return };
        self.hand_over(store, attempt).await;
        self.report.ended += 1;
        self.ended.push(attempt);
    }

    async fn end_late(&mut self, store: &dyn LedgerStore) {
        let Some(attempt) = take(&mut self.random, &mut self.crashed) else { return };
        self.hand_over(store, attempt).await;
        self.report.late += 1;
        self.ended.push(attempt);
    }

    async fn hand_over(&mut self, store: &dyn LedgerStore, attempt: AttemptId) {
        let random = &mut self.random;
        let outcomes = [
            AttemptOutcome::Success,
            AttemptOutcome::Success,
            AttemptOutcome::ClientLeft,
            AttemptOutcome::TimedOut,
        ];
        let cost = NanoUsd::new(random.below(5_000) as i64);
        let facts = EndFacts {
            at: self.now + Duration::from_secs(3_700),
            outcome: *random.pick(&outcomes).unwrap_or(&AttemptOutcome::Success),
            usage: Usage::new()
                .with(Bucket::Input, random.below(1_000))
                .with(Bucket::CodeSessions, random.below(3))
                .with(Bucket::Output, random.below(300)),
            provenance: Provenance::Reported,
            price: NanoUsd::new(cost.get() + random.below(100) as i64),
            cost,
            exact: Usd::from(cost),
            reason: "cut".into(),
        };
        if let Some(permit) = self.permits.take() {
            store.hand_over(End { attempt, facts }, permit);
        }
    }

    async fn refund(&mut self, store: &dyn LedgerStore) -> Result<(), Violation> {
        let at = self.random.below(self.ended.len() as u64) as usize;
        let Some(attempt) = self.ended.get(at).copied() else { return Ok(()) };
        self.settle(store).await;
        let id = u128::from(self.random.bits());
        let refund = NanoUsd::new(1 + self.random.below(200) as i64);
        match store.adjust(Adjust { id, attempt, at: self.now, refund, reason: "complaint".into() }).await {
            Ok(()) => self.report.refunds += 1,
            // More than it was charged, or too long ago for a store that forgets.
            Err(error) if error.refusal().is_some() => {}
            Err(error) => return self.read(Err(error)),
        }
        Ok(())
    }

    async fn restart(&mut self, subject: &mut dyn Subject) -> Result<(), Violation> {
        self.settle(subject.store()).await;
        subject.restart();
        let recovered = subject.store().recover(self.now).await;
        self.read(recovered)?;
        self.crashed.append(&mut self.open);
        Ok(())
    }

    async fn settle(&self, store: &dyn LedgerStore) {
        store.flush();
        self.permits.drained().await;
    }

    async fn compare(&mut self, store: &dyn LedgerStore) -> Result<(), Violation> {
        self.settle(store).await;
        self.read_journal(store).await?;
        for _ in 0..6 {
            let of = self.period();
            for by in [UsageBy::Key, UsageBy::Day, UsageBy::Model] {
                let query = UsageQuery { of, by };
                let found = store.usage(query).await;
                let found = self.read(found)?;
                let figures: Vec<_> = found.iter().map(|(key, rollup)| (*key, Sum::of(rollup))).collect();
                let right = self.right(&query);
                if figures != right {
                    return Err(
                        self.violation(format!("L5: {query:?} is {figures:?}, and must be {right:?}"))
                    );
                }
                self.report.questions += 1;
                self.report.sums += figures.len();
                let is_uneven = [of.from_hour, of.until_hour].iter().any(|hour| hour.rem_euclid(24) != 0);
                self.report.uneven += usize::from(is_uneven);
            }
        }
        Ok(())
    }

    /// The whole of it, days of some time zone, some hours, or a time in which nothing was.
    fn period(&mut self) -> RollupQuery {
        let random = &mut self.random;
        let key = random.chance(40).then(|| KeyId::from_bits(1 + random.below(KEYS + 1)));
        let first = self.first_day + random.below(DAYS) as i64;
        let (from_hour, until_hour) = match random.below(10) {
            0 => (i64::MIN, i64::MAX),
            1 => (self.first_day * 24 - 100, self.first_day * 24),
            2..5 => {
                let from = first * 24 + random.below(24) as i64;
                (from, from + random.below(400) as i64)
            }
            _ => {
                let ahead = random.pick(&ZONES).copied().unwrap_or(0) * 60;
                let until = first + 1 + random.below(32) as i64;
                let (from, until) = (first * DAY_SECS - ahead, until * DAY_SECS - ahead);
                (from.div_euclid(HOUR_SECS), (until + HOUR_SECS - 1).div_euclid(HOUR_SECS))
            }
        };
        RollupQuery { key, from_hour, until_hour }
    }

    async fn read_journal(&mut self, store: &dyn LedgerStore) -> Result<(), Violation> {
        loop {
            let page = store.journal(self.last_seq, PAGE).await;
            let page = self.read(page)?;
            let Some(last) = page.last() else { return Ok(()) };
            if page.first().is_some_and(|row| row.seq != self.last_seq + 1) {
                return Err(self.violation("rows of the journal are gone: look more often".into()));
            }
            self.last_seq = last.seq;
            self.rows.extend(page.iter().filter_map(|row| added(&row.entry.fact)));
        }
    }

    /// What the rows of the journal add up to, one by one.
    fn right(&self, query: &UsageQuery) -> Vec<(UsageKey, Sum)> {
        let UsageQuery { of, by } = query;
        let mut sums: BTreeMap<UsageKey, Sum> = BTreeMap::new();
        for (at, sum) in &self.rows {
            let is_within = (of.from_hour..of.until_hour).contains(&at.hour);
            if is_within && of.key.is_none_or(|key| key == at.key) {
                let model = (*by == UsageBy::Model).then_some((at.provider, at.model));
                let day = (*by == UsageBy::Day).then(|| at.hour.div_euclid(24));
                sums.entry(UsageKey { key: at.key, model, day }).or_default().add(sum, 1);
            }
        }
        sums.into_iter().collect()
    }
}

fn take<T>(random: &mut Random, items: &mut Vec<T>) -> Option<T> {
    let at = random.below(items.len() as u64) as usize;
    (at < items.len()).then(|| items.swap_remove(at))
}

/// Attempts, successes, estimates, cost, charge, then what was used by bucket: in numbers that cannot overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum([i128; 5 + Bucket::ALL.len()]);

impl Default for Sum {
    fn default() -> Self {
        Self([0; 5 + Bucket::ALL.len()])
    }
}

impl Sum {
    fn new(head: [i64; 5], counts: impl IntoIterator<Item = i64>) -> Self {
        let mut sum = Self::default();
        for (figure, number) in sum.0.iter_mut().zip(head.into_iter().chain(counts)) {
            *figure = i128::from(number);
        }
        sum
    }

    fn of(rollup: &Rollup) -> Self {
        let Rollup { attempts, succeeded, estimated, counts, cost, charged } = *rollup;
        Self::new([attempts, succeeded, estimated, cost.get(), charged.get()], counts)
    }

    fn used(used: &Used) -> Self {
        let succeeded = i64::from(used.outcome == AttemptOutcome::Success);
        let estimated = i64::from(used.provenance == Provenance::Estimated);
        let counts = Bucket::ALL.map(|bucket| used.usage.get(bucket) as i64);
        Self::new([1, succeeded, estimated, used.cost.get(), used.charged.get()], counts)
    }

    fn add(&mut self, other: &Self, sign: i128) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, by)| *sum += sign * by);
    }
}

/// What a row adds to which roll-up.
fn added(fact: &Fact) -> Option<(RollupKey, Sum)> {
    match fact {
        Fact::Used { rollup, used, replaces, .. } => {
            let mut sum = Sum::used(used);
            if let Some(replaced) = replaces {
                sum.add(&Sum::used(replaced), -1);
            }
            Some((*rollup, sum))
        }
        Fact::Refunded { rollup, amount, .. } => Some((*rollup, Sum::new([0, 0, 0, 0, -amount.get()], []))),
        _ => None,
    }
}
