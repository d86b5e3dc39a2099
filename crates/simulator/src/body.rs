//! The body of an answer, and the meter that bills it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use weighbridge_transport::{Phase, TransportError};

use crate::account::Account;
use crate::delivery::{Delivery, ENDLESS_CHUNK, Step};
use crate::frame::Progress;
use crate::price::Model;
use crate::{AnswerEnd, InvoiceLine};

/// Bills one answer, exactly once: when it is dropped, by what was sent until then.
#[derive(Debug)]
pub(crate) struct Meter {
    account: Arc<Account>,
    model: &'static Model,
    line: InvoiceLine,
    /// How the answer has ended if everything that was planned has been sent.
    planned_end: AnswerEnd,
}

impl Meter {
    /// Starts to bill; `line` has the prompt's usage and nothing generated.
    pub(crate) fn start(account: Arc<Account>, model: &'static Model, line: InvoiceLine) -> Self {
        account.opened();
        Self { account, model, line, planned_end: AnswerEnd::Complete }
    }

    /// The answer is going to fail.
    pub(crate) fn will_fail(&mut self) {
        self.planned_end = AnswerEnd::Faulted;
    }

    /// Tokens were generated, and perhaps told.
    pub(crate) fn sent(&mut self, progress: Progress, told: bool) {
        self.line.usage.output = self.line.usage.output.max(progress.output);
        self.line.usage.reasoning = self.line.usage.reasoning.max(progress.reasoning);
        self.line.told |= told;
    }

    /// Everything that was planned has been sent, or a fault has begun that only the caller ends.
    pub(crate) fn finished(&mut self) {
        self.line.end = self.planned_end;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.line.nano_usd = self.model.price(&self.line.usage);
        self.account.closed(self.line.clone());
    }
}

/// The body of an answer.
pub struct AnswerBody {
    steps: VecDeque<Step>,
    /// The pause before the first step, once it has begun.
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether a break has been put off once, so that a server sends what was written before it.
    flushed: bool,
    /// Nothing is billed without one.
    meter: Option<Meter>,
    exact_length: Option<u64>,
}

impl AnswerBody {
    /// An answer that costs nothing.
    pub(crate) fn free(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let exact_length = Some(bytes.len() as u64);
        let chunk = Step::Chunk {
            bytes,
            pause: std::time::Duration::ZERO,
            progress: Progress::default(),
            told: false,
        };
        let steps = if exact_length == Some(0) { VecDeque::new() } else { VecDeque::from([chunk]) };
        Self { steps, pause: None, flushed: false, meter: None, exact_length }
    }

    /// An answer that is billed.
    pub(crate) fn metered(delivery: Delivery, mut meter: Meter) -> Self {
        if delivery.steps.is_empty() {
            meter.finished();
        }
        Self {
            steps: delivery.steps,
            pause: None,
            flushed: false,
            meter: Some(meter),
            exact_length: delivery.length,
        }
    }

    fn take(&mut self) -> Option<Result<Frame<Bytes>, TransportError>> {
        match self.steps.pop_front()? {
            Step::Chunk { bytes, progress, told, .. } => {
                if let Some(meter) = &mut self.meter {
                    meter.sent(progress, told);
                    if self.steps.is_empty() {
                        meter.finished();
                    }
                }
                Some(Ok(Frame::data(bytes)))
            }
            Step::Endless { left } => {
                let size = left.min(ENDLESS_CHUNK);
                match left - size {
                    0 => self.meter.iter_mut().for_each(Meter::finished),
                    left => self.steps.push_front(Step::Endless { left }),
                }
                Some(Ok(Frame::data(Bytes::from(vec![b'x'; size]))))
            }
            Step::Break | Step::Hang => {
                self.steps.clear();
                self.meter.iter_mut().for_each(Meter::finished);
                let message = "the simulated provider broke the connection";
                Some(Err(TransportError::new(Phase::Body, message)))
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match self.steps.front() {
            Some(Step::Hang) => {
                self.meter.iter_mut().for_each(Meter::finished);
                return Poll::Pending;
            }
            Some(Step::Break) if !self.flushed => {
                self.flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Chunk { pause, .. }) if !pause.is_zero() => {
                let pause = *pause;
                let sleep = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                ready!(sleep.as_mut().poll(context));
                self.pause = None;
            }
            _ => {}
        }
        Poll::Ready(self.take())
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact_length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
