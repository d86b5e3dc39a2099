//! The body of an answer. For a stream, the body *is* the bridge: hyper polls it, it polls the
//! provider, and what the provider says is transformed in place. There is no task and no channel.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use weighbridge_routing::FailureCause;
use weighbridge_stream::{AnswerTap, End, Relay, RelayState};
use weighbridge_translate::{StreamForm, encode_stream_error};
use weighbridge_units::{AttemptOutcome, ErrorClass, Protocol, RequestId};

use crate::attempt::error;
use crate::conversation;
use crate::departure::{read_on, read_out};
use crate::exchange::Exchange;
use crate::in_flight::{Ending, InFlight};
use crate::pipeline::Core;
use crate::respond::COST;
use crate::settings::DrainLimits;
use crate::upstream::{Piece, StreamFailure, Upstream};

/// The body of an answer: whole, or a stream that is bridged as it is polled.
pub struct AnswerBody(Kind);

enum Kind {
    Whole(Option<Bytes>),
    Stream(Box<StreamBody>),
}

impl AnswerBody {
    /// A body that is there already.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Whole(Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty())))
    }

    pub(crate) fn stream(stream: StreamBody) -> Self {
        Self(Kind::Stream(Box::new(stream)))
    }
}

impl Drop for AnswerBody {
    /// Where a client leaves in mid-stream, a job may read on.
    fn drop(&mut self) {
        let Kind::Stream(stream) = &mut self.0 else { return };
        let Some((core, limits)) = stream.left() else { return };
        let rest = Self(std::mem::replace(&mut self.0, Kind::Whole(None)));
        read_on(&core, limits, read_out(rest));
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(stream) => match catch_unwind(AssertUnwindSafe(|| stream.poll(cx))) {
                Ok(polled) => polled.map(|frame| frame.map(Ok)),
                // The panic itself was reported by its hook.
                Err(_) => Poll::Ready(stream.panicked().map(Ok)),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

/// A provider's stream on its way to the client, past the commit point.
pub(crate) struct StreamBody {
    upstream: Upstream,
    relay: Relay,
    ready: VecDeque<Bytes>,
    stage: Stage,
    /// Reads the answer off what leaves, where it is kept.
    tap: Option<Box<AnswerTap>>,
    /// Whom an error in the middle of the stream is told to.
    client: Option<(Protocol, RequestId)>,
}

/// Who answers for the money while the body is polled.
enum Stage {
    /// The provider is still writing; dropping this means that the client has left.
    Running(InFlight),
    /// The attempt has ended and the last bytes are on their way.
    Ending(Box<Exchange>),
    Done,
}

impl StreamBody {
    /// Takes over a stream whose first content has arrived: `ready` holds what was held back.
    pub(crate) fn new(
        upstream: Upstream,
        relay: Relay,
        ready: VecDeque<Bytes>,
        mut attempt: InFlight,
    ) -> Self {
        let said = attempt.exchange().and_then(|exchange| exchange.conversation.as_ref());
        let tap = said.filter(|said| said.keeps()).map(|_| Box::default());
        let events = attempt.exchange().filter(|exchange| exchange.form == StreamForm::Events);
        let client = events.map(|exchange| (exchange.client, exchange.id().clone()));
        let mut body = Self { upstream, relay, ready, stage: Stage::Running(attempt), tap, client };
        body.end_if_told();
        body
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                if let Some(tap) = &mut self.tap {
                    tap.push(&bytes);
                }
                return Poll::Ready(Some(Frame::data(bytes)));
            }
            if !matches!(self.stage, Stage::Running(_)) {
                return Poll::Ready(self.last_frame());
            }
            match std::task::ready!(self.upstream.poll_piece(cx)) {
                Piece::Data(chunk) => {
                    self.relay.push(chunk, &mut self.ready);
                    self.note_pace();
                    self.end_if_told();
                }
                Piece::Silence => self.relay.keep_alive(&mut self.ready),
                Piece::End => self.end(None),
                Piece::Failed(failure) => self.end(Some(failure)),
            }
        }
    }

    /// The client has left. Gives what a job needs that is to read on, if one may.
    fn left(&mut self) -> Option<(Arc<Core>, DrainLimits)> {
        let Stage::Running(attempt) = &mut self.stage else { return None };
        let draft = &attempt.exchange()?.draft;
        Some((Arc::clone(&draft.core), draft.presence.leave()?))
    }

    /// Notes when content came, and whether the client hears of it.
    fn note_pace(&mut self) {
        if let Stage::Running(attempt) = &mut self.stage {
            attempt.piece_came(self.upstream.last_piece(), self.relay.facts().output_bytes);
        }
        if !self.ready.is_empty() {
            self.upstream.client_heard();
        }
    }

    /// Ends the attempt as soon as the protocol's own end was seen, before its last byte leaves.
    fn end_if_told(&mut self) {
        if self.relay.state() != RelayState::Running {
            self.end(None);
        }
    }

    fn end(&mut self, cut: Option<StreamFailure>) {
        let Stage::Running(attempt) = std::mem::replace(&mut self.stage, Stage::Done) else { return };
        let end = self.relay.finish(cut.map(StreamFailure::to_api_error), &mut self.ready);
        // From here on it has seen what still waits to leave.
        let answer = self.tap.take().and_then(|tap| answer_of(*tap, &self.ready));
        let exchange = match &end {
            End::Complete(facts) => {
                self.upstream.release();
                let mut exchange = attempt.succeed(facts);
                if let (Some(exchange), Some(answer)) = (&mut exchange, answer) {
                    conversation::keep(exchange, answer.as_bytes());
                }
                exchange
            }
            End::Broken(error, facts) => {
                let (outcome, cause) = match cut {
                    Some(StreamFailure::TimedOut(limit)) => {
                        (AttemptOutcome::TimedOut, FailureCause::TimedOut(limit))
                    }
                    _ => (AttemptOutcome::FailedMidStream, FailureCause::Broken),
                };
                attempt.fail(&Ending::failed(outcome, error.class), &cause, facts)
            }
        };
        if let Some(exchange) = exchange {
            self.stage = Stage::Ending(exchange);
        }
    }

    /// Something panicked: the attempt has ended, or ends here, as a crash. What waited to leave may hold the
    /// end of a good answer, and is not sent; the client is told of the failure, and nothing follows.
    fn panicked(&mut self) -> Option<Frame<Bytes>> {
        self.ready.clear();
        self.tap = None;
        if let Stage::Running(attempt) = std::mem::replace(&mut self.stage, Stage::Done) {
            attempt.crash(self.relay.facts());
        }
        let (client, id) = self.client.take()?;
        let failed = error(ErrorClass::Server, 500, "The gateway failed.");
        // Whatever frame the client has the beginning of ends here.
        let event = [&b"\n\n"[..], &encode_stream_error(client, &failed, id.as_str())].concat();
        Some(Frame::data(event.into()))
    }

    /// The trailer with the cost, where it is wanted; then nothing.
    fn last_frame(&mut self) -> Option<Frame<Bytes>> {
        let Stage::Ending(exchange) = std::mem::replace(&mut self.stage, Stage::Done) else { return None };
        let cost = HeaderValue::try_from(exchange.charged().to_string()).ok()?;
        exchange.wants_trailers.then(|| Frame::trailers(HeaderMap::from_iter([(COST, cost)])))
    }
}

/// The answer that a stream tells, of which `rest` was not seen yet.
fn answer_of(mut tap: AnswerTap, rest: &VecDeque<Bytes>) -> Option<String> {
    rest.iter().for_each(|bytes| tap.push(bytes));
    tap.into_answer()
}

impl Drop for StreamBody {
    /// The client has left in mid-stream: the usage known so far is what counts.
    fn drop(&mut self) {
        if let Stage::Running(attempt) = std::mem::replace(&mut self.stage, Stage::Done) {
            attempt.abandon(self.relay.facts());
        }
    }
}
