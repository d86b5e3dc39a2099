//! The one timer of an attempt: armed at dispatch, re-armed only when it fires.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

use crate::settings::Timeouts;

/// Watches the first byte, the gaps between pieces, and the whole of one attempt.
pub(crate) struct AttemptTimer {
    limits: Timeouts,
    started: Instant,
    last_piece: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl AttemptTimer {
    /// Starts with the dispatch of the request.
    pub(crate) fn start(limits: Timeouts) -> Self {
        let started = Instant::now();
        let sleep = Box::pin(tokio::time::sleep_until(started + limits.first_byte.min(limits.total)));
        Self { limits, started, last_piece: None, sleep }
    }

    /// Notes that a piece of the answer has come.
    pub(crate) fn piece_came(&mut self) {
        self.last_piece = Some(Instant::now());
    }

    /// Ready once the provider has been silent for too long, or the attempt takes too long.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.sleep.as_mut().poll(cx));
            let deadline = self.deadline();
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(deadline);
        }
    }

    fn deadline(&self) -> Instant {
        let silence = match self.last_piece {
            Some(last) => last + self.limits.idle,
            None => self.started + self.limits.first_byte,
        };
        silence.min(self.started + self.limits.total)
    }
}
