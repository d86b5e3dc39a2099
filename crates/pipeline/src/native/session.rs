//! A native call that has left HTTP: bytes in both directions, until one side closes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{HeaderValue, Method, Response, Version, header};
use tokio::time::{Instant, sleep};
use weighbridge_records::SessionBytes;
use weighbridge_transport::{Passage, Tunnel};
use weighbridge_units::{AttemptOutcome, ErrorClass};

use super::call::Flight;
use super::headers;
use crate::answer::AnswerBody;
use crate::draft::Draft;
use crate::settings::Timeouts;

/// What may be on its way in one direction. Realtime's events are a few kilobytes; more only waits in another place.
const SPACE_BYTES: usize = 16 * 1024;

const WEBSOCKET: &str = "websocket";

/// Whether a request asks to leave HTTP, and not for a websocket, or in a way that cannot be.
pub(super) fn is_other_upgrade(head: &Parts, has_no_body: bool) -> bool {
    let mut asked = head.headers.get_all(header::UPGRADE).iter();
    let Some(first) = asked.next() else { return false };
    let connection = head.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let is_websocket = first.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())
        && asked.next().is_none()
        && connection.flat_map(|list| list.split(',')).any(|it| it.trim().eq_ignore_ascii_case("upgrade"))
        && (&head.method, head.version) == (&Method::GET, Version::HTTP_11)
        && has_no_body;
    !is_websocket
}

/// The answer that takes a client's connection out of HTTP as well.
pub(super) fn answer(provider: &Response<()>, session: Session) -> Response<Box<Session>> {
    let mut response = Response::new(Box::new(session));
    *response.status_mut() = provider.status();
    *response.headers_mut() = headers::down(provider.headers());
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
    response
}

/// Hands the record over to the session, with which it ends.
pub(crate) fn switched(response: Response<Box<Session>>, mut draft: Draft) -> Response<AnswerBody> {
    draft.answered(response.status().as_u16());
    let (mut head, mut session) = response.into_parts();
    session.draft = Some(draft);
    head.extensions.insert(Passage::new(|client| Box::pin(session.run(client))));
    Response::from_parts(head, AnswerBody::whole(""))
}

/// A call whose provider has left HTTP. Its end is the end of the call, and of the request's record; dropping it, also
/// before it ran, means that the client has left.
pub(crate) struct Session {
    provider: Tunnel,
    flight: Option<Flight>,
    draft: Option<Draft>,
    timeouts: Timeouts,
    both: Both,
}

impl Session {
    pub(super) fn new(provider: Tunnel, mut flight: Flight, timeouts: Timeouts) -> Self {
        flight.switched();
        Self { provider, flight: Some(flight), draft: None, timeouts, both: Both::default() }
    }

    /// Passes bytes until both sides have closed, one of them breaks, or time is up.
    async fn run(mut self: Box<Self>, mut client: Tunnel) {
        let Timeouts { idle, total, .. } = self.timeouts;
        let (mut over, mut quiet) = (pin!(sleep(total)), pin!(sleep(idle)));
        let Self { both, provider, .. } = &mut *self;
        let outcome = poll_fn(|cx| {
            let before = both.passed();
            let polled = both.poll(cx, &mut client, provider);
            if polled.is_ready() {
                return polled;
            }
            if both.passed() != before {
                quiet.as_mut().reset(Instant::now() + idle);
            }
            if over.as_mut().poll(cx).is_ready() || quiet.as_mut().poll(cx).is_ready() {
                return Poll::Ready(both.outcome(AttemptOutcome::TimedOut));
            }
            Poll::Pending
        });
        let outcome = outcome.await;
        self.end(outcome);
    }

    fn end(&mut self, outcome: AttemptOutcome) {
        let class = match outcome {
            AttemptOutcome::TimedOut => Some(ErrorClass::Timeout),
            AttemptOutcome::FailedMidStream => Some(ErrorClass::Server),
            _ => None,
        };
        if let Some(mut flight) = self.flight.take() {
            let (up_bytes, down_bytes) = (self.both.up.passed, self.both.down.passed);
            tracing::debug!(%outcome, up_bytes, down_bytes, "a session has ended");
            flight.passed(SessionBytes { up_bytes, down_bytes });
            flight.end(outcome, class, None, self.draft.as_mut());
        }
        self.draft = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let panics = std::thread::panicking();
        self.end(if panics { AttemptOutcome::Crashed } else { AttemptOutcome::ClientLeft });
    }
}

/// Both directions, and who closed first: <https://www.rfc-editor.org/rfc/rfc6455#section-7.1.1> has the server close,
/// so that a client that does has left.
#[derive(Default)]
struct Both {
    up: Half,
    down: Half,
    closed: Option<AttemptOutcome>,
}

impl Both {
    const fn passed(&self) -> u64 {
        self.up.passed.saturating_add(self.down.passed)
    }

    /// How it ended: as whoever closed first says, or else so.
    fn outcome(&self, otherwise: AttemptOutcome) -> AttemptOutcome {
        self.closed.unwrap_or(otherwise)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Tunnel,
        provider: &mut Tunnel,
    ) -> Poll<AttemptOutcome> {
        if !self.down.is_done {
            let polled = self.down.poll(cx, provider, client);
            if self.down.has_ended {
                self.closed.get_or_insert(AttemptOutcome::Success);
            }
            match polled {
                Poll::Ready(Err(Broken::Reading)) => {
                    return Poll::Ready(self.outcome(AttemptOutcome::FailedMidStream));
                }
                Poll::Ready(Err(Broken::Writing)) => {
                    return Poll::Ready(self.outcome(AttemptOutcome::ClientLeft));
                }
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        if !self.up.is_done {
            let polled = self.up.poll(cx, client, provider);
            if self.up.has_ended {
                self.closed.get_or_insert(AttemptOutcome::ClientLeft);
            }
            match polled {
                Poll::Ready(Err(Broken::Reading)) => {
                    return Poll::Ready(self.outcome(AttemptOutcome::ClientLeft));
                }
                // A provider that takes no more may still have something to say: its end tells.
                Poll::Ready(Err(Broken::Writing)) => self.up.is_done = true,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        match self.up.is_done && self.down.is_done {
            true => Poll::Ready(self.outcome(AttemptOutcome::Success)),
            false => Poll::Pending,
        }
    }
}

/// Which end of a direction broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Reading,
    Writing,
}

/// One direction. Nothing is read before what was read has been written: who takes nothing is sent nothing.
struct Half {
    space: Box<[u8]>,
    /// What of the space is still to be written.
    from: usize,
    to: usize,
    unflushed: bool,
    /// The reader's end was reached.
    has_ended: bool,
    /// The writer was told so, or takes no more.
    is_done: bool,
    /// Bytes that were written.
    passed: u64,
}

impl Default for Half {
    fn default() -> Self {
        let space = vec![0; SPACE_BYTES].into_boxed_slice();
        Self { space, from: 0, to: 0, unflushed: false, has_ended: false, is_done: false, passed: 0 }
    }
}

impl Half {
    /// Moves what can be moved; sockets see to it that this comes to a rest. Ready once there is no more to come.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut Tunnel,
        writer: &mut Tunnel,
    ) -> Poll<Result<(), Broken>> {
        loop {
            while let Some(rest) = self.space.get(self.from..self.to).filter(|rest| !rest.is_empty()) {
                match ready!(writer.as_mut().poll_write(cx, rest)) {
                    Ok(0) | Err(_) => return Poll::Ready(Err(Broken::Writing)),
                    Ok(length) => {
                        self.from += length;
                        self.passed = self.passed.saturating_add(length as u64);
                        self.unflushed = true;
                    }
                }
            }
            if self.has_ended {
                // Where the writer is gone already, it need not be told.
                let _ = ready!(writer.as_mut().poll_shutdown(cx));
                self.is_done = true;
                return Poll::Ready(Ok(()));
            }
            match reader.as_mut().poll_read(cx, &mut self.space) {
                Poll::Ready(Ok(0)) => self.has_ended = true,
                Poll::Ready(Ok(length)) => (self.from, self.to) = (0, length),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::Reading)),
                Poll::Pending => {
                    if self.unflushed {
                        ready!(writer.as_mut().poll_flush(cx)).map_err(|_| Broken::Writing)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}
