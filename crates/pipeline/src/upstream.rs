//! A provider's body as it arrives, under the attempt's time limits.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use weighbridge_routing::TimeLimit;
use weighbridge_translate::ApiError;
use weighbridge_transport::{ByteStream, poll_data};
use weighbridge_units::ErrorClass;

use crate::attempt_timer::{Alarm, AttemptTimer};

/// How long a stream that has told its end may take to close its body.
const RELEASE_TIME: Duration = Duration::from_secs(1);

/// Why a body stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamFailure {
    /// The connection broke.
    Broken,
    /// Something did not come within this limit.
    TimedOut(TimeLimit),
}

impl StreamFailure {
    pub(crate) fn to_api_error(self) -> ApiError {
        let (class, status, message) = match self {
            Self::Broken => (ErrorClass::Server, 502, "The provider's answer broke off."),
            Self::TimedOut(_) => (ErrorClass::Timeout, 504, "The provider did not answer in time."),
        };
        ApiError { class, status, message: message.into(), code: None, param: None }
    }
}

/// One step of a provider's body.
pub(crate) enum Piece {
    Data(Bytes),
    End,
    Failed(StreamFailure),
    /// Nothing, for so long that the client needs a sign of life. Only behind [`Upstream::committed`].
    Silence,
}

/// A provider's body. Dropping it before its end cancels the request upstream.
pub(crate) struct Upstream {
    body: Option<ByteStream>,
    timer: AttemptTimer,
}

impl Upstream {
    pub(crate) fn new(body: ByteStream, timer: AttemptTimer) -> Self {
        Self { body: Some(body), timer }
    }

    /// The next piece, the end, or what stopped it; after those two, the end again.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        let Some(body) = &mut self.body else { return Poll::Ready(Piece::End) };
        let last = match poll_data(body.as_mut(), cx) {
            Poll::Ready(Some(Ok(data))) => {
                self.timer.piece_came();
                return Poll::Ready(Piece::Data(data));
            }
            Poll::Ready(Some(Err(_))) => Piece::Failed(StreamFailure::Broken),
            Poll::Ready(None) => Piece::End,
            Poll::Pending => match std::task::ready!(self.timer.poll_alarm(cx)) {
                Alarm::Silence => return Poll::Ready(Piece::Silence),
                Alarm::Expired(limit) => Piece::Failed(StreamFailure::TimedOut(limit)),
            },
        };
        self.body = None;
        Poll::Ready(last)
    }

    /// The next piece, awaited.
    pub(crate) async fn piece(&mut self) -> Piece {
        std::future::poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// The first content has come: see [`AttemptTimer::committed`].
    pub(crate) fn committed(&mut self, keep_alive: Option<Duration>) {
        self.timer.committed(keep_alive);
    }

    /// Notes that the client was sent something of the latest piece.
    pub(crate) fn client_heard(&mut self) {
        self.timer.client_heard();
    }

    /// How long after the dispatch the latest piece came.
    pub(crate) fn last_piece(&self) -> Duration {
        self.timer.last_piece()
    }

    /// Lets a body that has told its end go, so that its connection can be used again.
    ///
    /// The end of the body usually comes with the last piece. Where it does not, a short task waits
    /// for it, since dropping the body would close the connection.
    pub(crate) fn release(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        let mut context = Context::from_waker(Waker::noop());
        match body.as_mut().poll_frame(&mut context) {
            Poll::Ready(None | Some(Err(_))) => return,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(RELEASE_TIME, async move {
            while let Some(Ok(_)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
        }));
    }
}
