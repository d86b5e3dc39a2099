//! The answer of a native call, piece by piece as it comes.

use std::task::{Context, Poll};

use bytes::Bytes;
use weighbridge_routing::FailureCause;
use weighbridge_units::{AttemptOutcome, ErrorClass};

use super::bedrock::Finish;
use super::call::Flight;
use crate::answer::BrokenAnswer;
use crate::draft::Draft;
use crate::upstream::{Piece, StreamFailure, Upstream};

/// The body of a native call's answer. Its end is the end of the call, and of the request's record.
pub(crate) struct NativeBody {
    upstream: Upstream,
    flight: Option<Flight>,
    draft: Option<Draft>,
    /// How many bytes are yet to come, where the head has said so.
    left: Option<u64>,
}

impl NativeBody {
    /// `length` is what the head says of the body.
    pub(super) fn new(upstream: Upstream, flight: Flight, length: Option<u64>) -> Self {
        Self { upstream, flight: Some(flight), draft: None, left: length }
    }

    /// Takes the record over.
    pub(super) fn adopt(&mut self, draft: Draft) {
        self.draft = Some(draft);
        if self.left == Some(0) {
            // Nobody asks for a body that there is not.
            let _ = self.finish();
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenAnswer>>> {
        loop {
            match std::task::ready!(self.upstream.poll_piece(cx)) {
                Piece::Data(piece) => {
                    if let Some(flight) = &mut self.flight {
                        flight.passes(&piece);
                    }
                    self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                    // Whoever sends an answer of a known length on does not ask what comes behind it.
                    let finished = if self.left == Some(0) { self.finish() } else { Ok(()) };
                    return Poll::Ready(Some(finished.map(|()| piece)));
                }
                Piece::Silence => {}
                Piece::End => return Poll::Ready(self.finish().err().map(Err)),
                Piece::Failed(failure) => {
                    let (outcome, class, cause) = match failure {
                        StreamFailure::TimedOut(limit) => {
                            (AttemptOutcome::TimedOut, ErrorClass::Timeout, FailureCause::TimedOut(limit))
                        }
                        StreamFailure::Broken => {
                            (AttemptOutcome::FailedMidStream, ErrorClass::Server, FailureCause::Broken)
                        }
                    };
                    self.end(outcome, Some(class), Some(&cause));
                    return Poll::Ready(Some(Err(BrokenAnswer)));
                }
            }
        }
    }

    /// The answer has ended, as far as HTTP goes. What lacks an end of its own must not look as if it had one.
    fn finish(&mut self) -> Result<(), BrokenAnswer> {
        let finish = self.flight.as_mut().map_or(Finish::Whole, Flight::finish);
        self.upstream.release();
        if finish == Finish::Whole {
            self.end(AttemptOutcome::Success, None, None);
            return Ok(());
        }
        let cause = FailureCause::Broken;
        self.end(AttemptOutcome::FailedMidStream, Some(ErrorClass::Server), Some(&cause));
        if finish == Finish::Cut { Err(BrokenAnswer) } else { Ok(()) }
    }

    fn end(&mut self, outcome: AttemptOutcome, class: Option<ErrorClass>, cause: Option<&FailureCause>) {
        if let Some(flight) = self.flight.take() {
            flight.end(outcome, class, cause, self.draft.as_mut());
        }
        self.draft = None;
    }
}

impl Drop for NativeBody {
    /// The client has left.
    fn drop(&mut self) {
        let panics = std::thread::panicking();
        let outcome = if panics { AttemptOutcome::Crashed } else { AttemptOutcome::ClientLeft };
        self.end(outcome, None, None);
    }
}
