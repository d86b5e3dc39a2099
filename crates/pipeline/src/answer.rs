//! The body of an answer. For a stream, the body *is* the bridge: hyper polls it, it polls the
//! provider, and what the provider says is transformed in place. There is no task and no channel.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use weighbridge_routing::FailureCause;
use weighbridge_stream::{AnswerTap, BrokenOff, End, Relay, RelayState};
use weighbridge_translate::{StreamForm, encode_stream_error};
use weighbridge_units::{AttemptOutcome, ErrorClass, Protocol, RequestId};

use crate::attempt::error;
use crate::conversation;
use crate::departure::{Rest, read_on, read_out};
use crate::exchange::{Exchange, Place};
use crate::idempotency::Leading;
use crate::in_flight::{Ending, InFlight};
use crate::native::NativeBody;
use crate::pipeline::Core;
use crate::refusal::Refusal;
use crate::respond::{COST, RESUMED};
use crate::resume::{Continuation, Resuming, go_on};
use crate::tape::{Ended, Follower, Next};
use crate::upstream::{Piece, StreamFailure, Upstream};

/// An answer broke off, and its client can only learn of it by its connection: that of a native call, whose format
/// nobody knows. Others end with an error in the client's own protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the provider's answer broke off")]
pub struct BrokenAnswer;

/// The body of an answer: whole, or a stream that is bridged as it is polled.
pub struct AnswerBody {
    kind: Kind,
    /// Who takes the answer down as it leaves, where it is that of an idempotency key.
    leading: Option<Box<Leading>>,
}

enum Kind {
    Whole(Option<Bytes>),
    Stream(Box<StreamBody>),
    Following(Box<Following>),
    Native(Box<NativeBody>),
}

impl AnswerBody {
    /// A body that is there already.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Whole(Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty())))
    }

    pub(crate) fn stream(stream: StreamBody) -> Self {
        Self::of(Kind::Stream(Box::new(stream)))
    }

    /// The answer of another request, read along with whoever asked first.
    pub(crate) fn following(follower: Follower, client: Protocol, id: RequestId, place: Place) -> Self {
        Self::of(Kind::Following(Box::new(Following {
            follower,
            client,
            id,
            has_ended: false,
            _place: place,
        })))
    }

    /// The answer of a native call.
    pub(crate) const fn native(body: Box<NativeBody>) -> Self {
        Self::of(Kind::Native(body))
    }

    const fn of(kind: Kind) -> Self {
        Self { kind, leading: None }
    }

    /// Has what leaves taken down from now on.
    pub(crate) fn record(&mut self, leading: Leading) {
        self.leading = Some(Box::new(leading));
    }

    /// The answer, where it is there already.
    pub(crate) const fn whole_bytes(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Whole(bytes) => bytes.as_ref(),
            _ => None,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Whole(None))
    }

    /// Takes down what leaves; with the last of it, the answer has ended.
    fn take_down(&mut self, frame: Option<&Frame<Bytes>>) {
        let Some(leading) = &self.leading else { return };
        if let Some(bytes) = frame.and_then(Frame::data_ref) {
            leading.push(bytes);
        }
        let has_ended = match &self.kind {
            Kind::Stream(stream) => stream.has_left(),
            _ => true,
        };
        if (frame.is_none() || has_ended)
            && let Some(leading) = self.leading.take()
        {
            leading.ended();
        }
    }
}

impl Drop for AnswerBody {
    /// Where a client leaves in mid-stream, a job may read on.
    fn drop(&mut self) {
        let Kind::Stream(stream) = &mut self.kind else { return };
        if let Some(leading) = self.leading.take_if(|_| stream.has_ended()) {
            stream.ready.iter().for_each(|bytes| leading.push(bytes));
            leading.ended();
        }
        let Some((core, rest)) = stream.left() else { return };
        let (kind, leading) = (std::mem::replace(&mut self.kind, Kind::Whole(None)), self.leading.take());
        read_on(&core, rest, read_out(Self { kind, leading }));
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenAnswer;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenAnswer>>> {
        let frame = std::task::ready!(match &mut self.kind {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(Frame::data)),
            Kind::Stream(stream) => match catch_unwind(AssertUnwindSafe(|| stream.poll(cx))) {
                Ok(polled) => polled,
                // The panic itself was reported by its hook.
                Err(_) => Poll::Ready(stream.panicked()),
            },
            Kind::Following(following) => following.poll(cx).map(|bytes| bytes.map(Frame::data)),
            Kind::Native(native) => return native.poll(cx).map_ok(Frame::data),
        });
        if self.leading.is_some() {
            self.take_down(frame.as_ref());
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.kind, Kind::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Stream(_) | Kind::Following(_) | Kind::Native(_) => SizeHint::default(),
        }
    }
}

/// The answer of another request, on its way to somebody who asked for the same.
struct Following {
    follower: Follower,
    client: Protocol,
    id: RequestId,
    has_ended: bool,
    _place: Place,
}

impl Following {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match std::task::ready!(self.follower.poll_next(cx)) {
            Next::Piece(piece) => Some(piece),
            Next::End(how) => {
                self.has_ended = true;
                // What was read along can only be a stream: an answer that is whole is on the tape before its head.
                (how != Ended::Whole).then(|| {
                    let error = Refusal::IdempotencyBusy.to_api_error();
                    encode_stream_error(self.client, &error, self.id.as_str()).into()
                })
            }
        })
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
    /// How long the client hears nothing before it is sent a sign of life.
    keep_alive: Option<Duration>,
    /// Whom an error in the middle of the stream is told to.
    client: Option<(Protocol, RequestId)>,
}

/// Who answers for the money while the body is polled.
enum Stage {
    /// The provider is still writing; dropping this means that the client has left.
    Running(InFlight),
    /// It broke off, and another is asked to go on. Dropping this ends that attempt as one whose client has left.
    Resuming(Resuming),
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
        keep_alive: Option<Duration>,
    ) -> Self {
        let said = attempt.exchange().and_then(|exchange| exchange.conversation.as_ref());
        let tap = said.filter(|said| said.keeps()).map(|_| Box::default());
        let events = attempt.exchange().filter(|exchange| exchange.form == StreamForm::Events);
        let client = events.map(|exchange| (exchange.client, exchange.id().clone()));
        let mut body =
            Self { upstream, relay, ready, stage: Stage::Running(attempt), tap, keep_alive, client };
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
            if let Stage::Resuming(awaited) = &mut self.stage {
                let second = std::task::ready!(awaited.as_mut().poll(cx));
                self.resumed(second);
                continue;
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

    /// Whether the attempt has ended, and all that is still to leave is there.
    const fn has_ended(&self) -> bool {
        !matches!(self.stage, Stage::Running(_) | Stage::Resuming(_))
    }

    /// Whether the last of the answer has left.
    fn has_left(&self) -> bool {
        self.has_ended() && self.ready.is_empty()
    }

    /// The client has left. Gives what a job needs that is to read on, if one may.
    fn left(&mut self) -> Option<(Arc<Core>, Rest)> {
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
        let Stage::Running(mut attempt) = std::mem::replace(&mut self.stage, Stage::Done) else { return };
        if let Some(resumption) = attempt.exchange().and_then(|exchange| exchange.resumption.take())
            && let Some(broken) = self.relay.broken_off(cut.map(StreamFailure::to_api_error), &mut self.ready)
        {
            let BrokenOff { error, facts, text } = broken;
            let (outcome, cause) = failure_of(cut);
            if let Some(exchange) = attempt.fail(&Ending::failed(outcome, error.class), &cause, &facts) {
                self.stage = Stage::Resuming(go_on(exchange, resumption, text));
            }
            return;
        }
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
                let (outcome, cause) = failure_of(cut);
                attempt.fail(&Ending::failed(outcome, error.class), &cause, facts)
            }
        };
        if let Some(exchange) = exchange {
            self.stage = Stage::Ending(exchange);
        }
    }

    /// Goes on with the second attempt, or ends where there is none.
    fn resumed(&mut self, second: Result<Box<Continuation>, Option<Box<Exchange>>>) {
        match second {
            Ok(second) => {
                let Continuation { in_flight, upstream, framing, provider, repeats } = *second;
                self.relay.resume(provider, framing, repeats, &mut self.ready);
                self.upstream = upstream;
                self.upstream.committed(self.keep_alive);
                self.stage = Stage::Running(in_flight);
            }
            Err(exchange) => {
                // It is as broken as it was when another was asked.
                self.relay.finish(None, &mut self.ready);
                self.stage = exchange.map_or(Stage::Done, Stage::Ending);
            }
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
        let resumed = exchange.draft.record.resumed.then_some((RESUMED, HeaderValue::from_static("true")));
        let trailers = || HeaderMap::from_iter([(COST, cost)].into_iter().chain(resumed));
        exchange.wants_trailers.then(|| Frame::trailers(trailers()))
    }
}

/// How an attempt is booked whose stream stopped so.
const fn failure_of(cut: Option<StreamFailure>) -> (AttemptOutcome, FailureCause) {
    match cut {
        Some(StreamFailure::TimedOut(limit)) => (AttemptOutcome::TimedOut, FailureCause::TimedOut(limit)),
        _ => (AttemptOutcome::FailedMidStream, FailureCause::Broken),
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
