//! The body of an answer, which holds its connection until it has ended.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use weighbridge_transport::{Phase, TransportError};

use crate::pool::Lease;

/// A body that gives its connection back at the end, and cuts it off when dropped earlier.
pub(crate) struct Answer {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl Answer {
    pub(crate) fn new(incoming: Incoming, lease: Lease) -> Self {
        let mut answer = Self { incoming, lease: Some(lease) };
        answer.give_back_at_end();
        answer
    }

    /// Whether an end is none: hyper takes a stream that was reset with NO_ERROR for one that has ended. It
    /// has, if everything came that was announced
    /// (<https://www.rfc-editor.org/rfc/rfc9113#section-8.1-9>).
    fn is_cut(&self) -> bool {
        matches!(self.lease, Some(Lease::Shared { .. }))
            && !self.incoming.is_end_stream()
            && self.incoming.size_hint().exact() != Some(0)
    }

    fn give_back_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.give_back_at_end();
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.lease = None;
                Some(Err(TransportError::new(Phase::Body, with_causes(&error))))
            }
            None if self.is_cut() => {
                self.lease = None;
                Some(Err(TransportError::new(Phase::Body, "the server ended the stream before its end")))
            }
            None => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// An error and what caused it, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
