use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ScriptInvocation};
use tokio::time::Instant;

use crate::error::Fault;

/// How far the server's clock may run away from ours between two looks, in microseconds.
const CLOCK_SLACK: i64 = 2_000_000;

/// A connection to Redis, and which count it is asked about. There is one while Redis is asked; once anything goes
/// wrong it is thrown away, and a new one begins with another epoch. The connection never comes back by itself:
/// behind it there might be another server.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    /// Which count.
    pub(crate) era: u64,
    /// Who we are in it.
    pub(crate) epoch: u64,
    /// The highest number of a question that is known.
    count: AtomicU64,
    /// Where our clock begins.
    began: Instant,
    /// The server's clock minus ours, in microseconds.
    clock: AtomicI64,
}

impl Link {
    pub(crate) fn new(connection: MultiplexedConnection, era: u64, epoch: u64, count: u64) -> Self {
        let (count, clock) = (AtomicU64::new(count), AtomicI64::new(i64::MIN));
        Self { connection, era, epoch, count, began: Instant::now(), clock }
    }

    /// The highest number of a question that is known.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// What is known before a question is sent.
    pub(crate) fn before(&self) -> Before {
        Before { count: self.count.load(Ordering::Acquire), sent: self.elapsed() }
    }

    /// Carries out a script.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        within: Duration,
    ) -> Result<T, Fault> {
        call(self.connection.clone(), script, within).await
    }

    /// As [`Self::call`], of a script that says at first whether the count is the one that is known.
    pub(crate) async fn ask(
        &self,
        script: &ScriptInvocation<'_>,
        within: Duration,
    ) -> Result<Vec<i64>, Fault> {
        let answer: Vec<i64> = self.call(script, within).await?;
        match answer.first() {
            Some(-1) => Err(Fault::Lost),
            Some(_) => Ok(answer),
            None => Err(Fault::Odd),
        }
    }

    /// Whether an answer is from the same count, going on, under a clock that goes on too.
    pub(crate) fn check(&self, answered: Answered, before: Before) -> Result<(), Fault> {
        // The question was carried out after `before` was known, so it has a higher number.
        if answered.count <= before.count {
            return Err(Fault::WentBack);
        }
        self.count.fetch_max(answered.count, Ordering::AcqRel);
        // The server looked at its clock between our two looks at ours.
        let (least, most) =
            (answered.at.saturating_sub(self.elapsed()), answered.at.saturating_sub(before.sent));
        let known = self.clock.load(Ordering::Acquire);
        if known != i64::MIN && (most < known - CLOCK_SLACK || least > known + CLOCK_SLACK) {
            return Err(Fault::ClockJumped);
        }
        // Clocks run apart slowly; a jump is what is left.
        self.clock.store(known.clamp(least.min(most), most), Ordering::Release);
        Ok(())
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

/// What is known before a question is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    /// The highest number of a question.
    count: u64,
    /// Our clock, in microseconds.
    sent: i64,
}

/// What an answer says of the count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// The server's clock, in microseconds.
    pub(crate) at: i64,
    /// The number of the question.
    pub(crate) count: u64,
}

impl Answered {
    pub(crate) fn of(answer: &[i64]) -> Result<Self, Fault> {
        match *answer {
            [_, at, count, ..] => Ok(Self { at, count: u64::try_from(count).map_err(|_| Fault::Odd)? }),
            _ => Err(Fault::Odd),
        }
    }
}

/// Carries out a script.
pub(crate) async fn call<T: FromRedisValue>(
    mut connection: MultiplexedConnection,
    script: &ScriptInvocation<'_>,
    within: Duration,
) -> Result<T, Fault> {
    let answer = tokio::time::timeout(within, script.invoke_async(&mut connection)).await;
    Ok(answer.map_err(|_| Fault::Slow)??)
}
