//! The one timer of an attempt: armed at dispatch, at the head of the answer and at the commit point, and when it fires.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use weighbridge_routing::TimeLimit;

use crate::settings::Timeouts;

/// Watches the first byte, the first content, the gaps between pieces, and the whole of one attempt; and
/// how long its client has heard nothing.
pub(crate) struct AttemptTimer {
    limits: Timeouts,
    started: Instant,
    last_piece: Option<Instant>,
    /// The limit for the first content, while that is awaited.
    first_token: Option<Duration>,
    keep_alive: Option<KeepAlive>,
    sleep: Pin<Box<Sleep>>,
}

/// A client that is not to be left without a sign of life.
struct KeepAlive {
    every: Duration,
    /// When it heard something last.
    heard: Instant,
}

/// What the timer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// A limit has passed.
    Expired(TimeLimit),
    /// The client has heard nothing for as long as it may.
    Silence,
}

impl AttemptTimer {
    /// Starts with the dispatch of the request. Only a stream has content that comes first.
    pub(crate) fn start(limits: Timeouts, streamed: bool) -> Self {
        let started = Instant::now();
        let first_token = limits.first_token.filter(|_| streamed);
        let sleep = Box::pin(tokio::time::sleep_until(started));
        let mut timer = Self { limits, started, last_piece: None, first_token, keep_alive: None, sleep };
        timer.arm();
        timer
    }

    /// Notes that a piece of the answer has come.
    pub(crate) fn piece_came(&mut self) {
        let is_first = self.last_piece.is_none();
        self.last_piece = Some(Instant::now());
        if is_first {
            // The limit for the gaps may be due before that for the first byte would have been.
            self.arm();
        }
    }

    /// How long after the dispatch the latest piece came.
    pub(crate) fn last_piece(&self) -> Duration {
        self.last_piece.map_or(Duration::ZERO, |last| last - self.started)
    }

    /// The first content has come, and the client hears of it: from here on, not more than `keep_alive` is
    /// to pass without a sign of life.
    pub(crate) fn committed(&mut self, keep_alive: Option<Duration>) {
        self.first_token = None;
        self.keep_alive = keep_alive.map(|every| KeepAlive { every, heard: Instant::now() });
        if keep_alive.is_some() {
            self.arm();
        }
    }

    /// Notes that the client was sent something of the latest piece.
    pub(crate) fn client_heard(&mut self) {
        if let (Some(keep_alive), Some(last)) = (&mut self.keep_alive, self.last_piece) {
            keep_alive.heard = keep_alive.heard.max(last);
        }
    }

    /// Ready once a limit has passed, or the client has waited for a sign of life, which is then due again
    /// after the same time.
    pub(crate) fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Alarm> {
        loop {
            std::task::ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            let (at, alarm) = self.next();
            if at > now {
                self.sleep.as_mut().reset(at);
                continue;
            }
            if let (Alarm::Silence, Some(keep_alive)) = (alarm, &mut self.keep_alive) {
                keep_alive.heard = now;
                self.arm();
            }
            return Poll::Ready(alarm);
        }
    }

    /// Ready once a limit has passed.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<TimeLimit> {
        loop {
            if let Alarm::Expired(limit) = std::task::ready!(self.poll_alarm(cx)) {
                return Poll::Ready(limit);
            }
        }
    }

    fn arm(&mut self) {
        let (at, _) = self.next();
        self.sleep.as_mut().reset(at);
    }

    /// What is due next, and when.
    fn next(&self) -> (Instant, Alarm) {
        let expired = |at, limit| (at, Alarm::Expired(limit));
        let silence = match self.last_piece {
            Some(last) => expired(last + self.limits.idle, TimeLimit::Idle),
            None => expired(self.started + self.limits.first_byte, TimeLimit::FirstByte),
        };
        let total = expired(self.started + self.limits.total, TimeLimit::Total);
        let first_token = self.first_token.map(|limit| expired(self.started + limit, TimeLimit::FirstToken));
        let keep_alive = self.keep_alive.as_ref().map(|it| (it.heard + it.every, Alarm::Silence));
        let others = [first_token, keep_alive, Some(total)].into_iter().flatten();
        others.fold(silence, |first, other| if other.0 < first.0 { other } else { first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(1),
            first_byte: Duration::from_secs(10),
            first_token: Some(Duration::from_secs(20)),
            idle: Duration::from_secs(15),
            total: Duration::from_secs(100),
        }
    }

    async fn alarm(timer: &mut AttemptTimer) -> (Alarm, u64) {
        let alarm = std::future::poll_fn(|cx| timer.poll_alarm(cx)).await;
        (alarm, timer.started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn each_limit_has_its_time() {
        let mut silent = AttemptTimer::start(limits(), true);
        assert_eq!(alarm(&mut silent).await, (Alarm::Expired(TimeLimit::FirstByte), 10));

        let mut without_content = AttemptTimer::start(limits(), true);
        tokio::time::advance(Duration::from_secs(9)).await;
        without_content.piece_came();
        assert_eq!(alarm(&mut without_content).await, (Alarm::Expired(TimeLimit::FirstToken), 20));

        let mut whole = AttemptTimer::start(limits(), false);
        tokio::time::advance(Duration::from_secs(9)).await;
        whole.piece_came();
        assert_eq!(alarm(&mut whole).await, (Alarm::Expired(TimeLimit::Idle), 24));

        let patient = Timeouts { first_byte: Duration::from_secs(90), ..limits() };
        let mut stalled = AttemptTimer::start(patient, false);
        tokio::time::advance(Duration::from_secs(1)).await;
        stalled.piece_came();
        assert_eq!(alarm(&mut stalled).await, (Alarm::Expired(TimeLimit::Idle), 16));

        let mut long = AttemptTimer::start(limits(), true);
        long.committed(None);
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(9)).await;
            long.piece_came();
        }
        assert_eq!(alarm(&mut long).await, (Alarm::Expired(TimeLimit::Total), 100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_not_left_without_a_sign_of_life() {
        let mut timer = AttemptTimer::start(limits(), true);
        tokio::time::advance(Duration::from_secs(1)).await;
        timer.piece_came();
        timer.committed(Some(Duration::from_secs(4)));
        assert_eq!(alarm(&mut timer).await, (Alarm::Silence, 5));
        assert_eq!(alarm(&mut timer).await, (Alarm::Silence, 9));
        // A piece that the client heard something of puts it off, one that it did not hear of does not.
        tokio::time::advance(Duration::from_secs(2)).await;
        timer.piece_came();
        timer.client_heard();
        tokio::time::advance(Duration::from_secs(1)).await;
        timer.piece_came();
        assert_eq!(alarm(&mut timer).await, (Alarm::Silence, 15));
        // Signs of life of our own keep no provider alive.
        assert_eq!(alarm(&mut timer).await, (Alarm::Silence, 19));
        assert_eq!(alarm(&mut timer).await, (Alarm::Silence, 23));
        assert_eq!(alarm(&mut timer).await, (Alarm::Expired(TimeLimit::Idle), 27));
    }
}
