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
}

impl NativeBody {
    pub(super) fn new(upstream: Upstream, flight: Flight) -> Self {
        Self { upstream, flight: Some(flight), draft: None }
    }

    /// Takes the record over.
    pub(super) fn adopt(&mut self, draft: Draft) {
        self.draft = Some(draft);
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenAnswer>>> {
        loop {
            match std::task::ready!(self.upstream.poll_piece(cx)) {
                Piece::Data(piece) => {
                    if let Some(flight) = &mut self.flight {
                        flight.passes(&piece);
                    }
                    return Poll::Ready(Some(Ok(piece)));
                }
                Piece::Silence => {}
                Piece::End => {
                    let finish = self.flight.as_mut().map_or(Finish::Whole, Flight::finish);
                    if finish == Finish::Whole {
                        self.end(AttemptOutcome::Success, None, None);
                        return Poll::Ready(None);
                    }
                    let cause = FailureCause::Broken;
                    self.end(AttemptOutcome::FailedMidStream, Some(ErrorClass::Server), Some(&cause));
                    // What has no end must not look as if it had one.
                    return Poll::Ready((finish == Finish::Cut).then_some(Err(BrokenAnswer)));
                }
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
