//! The seam between deciding and moving bytes.
//!
//! A [`Transport`] sends one request to a provider and gives back a head and a stream of bytes. It
//! knows no protocol and no policy: it neither retries nor judges a status. What it does know is
//! how far a failed request got ([`Phase`]) and whether the provider may have consumed it
//! ([`Consumed`]), because a failover depends on that.
//!
//! Time-outs after the connection is up belong to the caller, who drops the future or the stream:
//! dropping cancels the request upstream.
//!
//! A [`Fetch`] gets content by a URL that came from outside, within [`FetchBounds`]. What content is,
//! [`MediaType::settle`] tells from its bytes as well as from its sender's word.
//!
//! ```
//! use bytes::Bytes;
//! use weighbridge_transport::{Consumed, Phase, Rope, TransportError};
//!
//! // A body is a rope of slices: what a client sent, with a few bytes replaced.
//! let rope = Rope::from_iter([Bytes::from_static(b"{\"model\":"), Bytes::from_static(b"\"m\"}")]);
//! assert_eq!(rope.len(), 13);
//!
//! let refused = TransportError::new(Phase::Connect, "connection refused");
//! assert_eq!(refused.consumed, Consumed::No);
//! ```

mod content;
mod fetch;
mod issued;
mod media_type;
mod path_segment;
mod post;
mod query_key;
mod sign;
mod tunnel;

pub use content::{Unread, next_data, poll_data, read_whole};
pub use fetch::{Fetch, FetchBounds, FetchError, Fetched};
pub use issued::{Generation, Issue, Issued};
pub use media_type::{Accept, InvalidMediaType, MediaType, Miscalled};

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;

pub use path_segment::path_segment;
pub use post::Post;
pub use query_key::QueryKey;
pub use sign::{Sign, Signer};
pub use tunnel::{Duplex, Passage, Tunnel, Upgraded};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The body of a provider's answer, as it arrives.
pub type ByteStream = Pin<Box<dyn Body<Data = Bytes, Error = TransportError> + Send>>;

/// Sends requests to providers.
pub trait Transport: Send + Sync {
    /// Sends `request` and waits for the head of the answer.
    ///
    /// The URI is absolute (`https://host/path`); `host` and `content-length` are the transport's. A
    /// [`Signer`] among the extensions signs the request last, and an [`Issued`] credential is put on before.
    /// Establishing a connection, TLS included, may take `connect_timeout`.
    ///
    /// # Errors
    /// A [`TransportError`] with the phase that failed.
    fn send(
        &self,
        request: http::Request<Rope>,
        connect_timeout: Duration,
    ) -> BoxFuture<'_, Result<http::Response<ByteStream>, TransportError>>;

    /// Sends a request that asks to leave HTTP (`upgrade: websocket`), on an HTTP/1.1 connection of its own.
    /// `connection: upgrade` is the transport's; the other headers are the caller's.
    ///
    /// A transport that cannot do it refuses, which is what happens unless this is implemented.
    ///
    /// # Errors
    /// As [`Transport::send`].
    fn upgrade(
        &self,
        request: http::Request<Rope>,
        connect_timeout: Duration,
    ) -> BoxFuture<'_, Result<Upgraded, TransportError>> {
        let _ = (request, connect_timeout);
        let refusal = TransportError::new(Phase::Prepare, "this transport upgrades no connections");
        Box::pin(std::future::ready(Err(refusal)))
    }
}

/// How far a request got before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The request could not be formed, or its address is not allowed; nothing was sent.
    Prepare,
    /// The provider's issuer of credentials gave none that is valid; nothing was sent.
    Credential,
    /// Resolving, connecting, or the TLS handshake.
    Connect,
    /// Writing the request or waiting for the head of the answer.
    Head,
    /// Reading the body of the answer.
    Body,
}

/// Whether the provider may have taken, worked on, and billed the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consumed {
    /// It certainly did not.
    No,
    /// It may have.
    Maybe,
}

/// Why a request or its answer broke off.
#[derive(Debug, Error)]
#[error("{phase:?}: {message}")]
pub struct TransportError {
    /// How far it got.
    pub phase: Phase,
    /// Whether the provider may have consumed the request.
    pub consumed: Consumed,
    /// What happened, without secrets: it may be logged.
    pub message: String,
}

impl TransportError {
    /// An error in `phase`; what was consumed follows from it.
    pub fn new(phase: Phase, message: impl Into<String>) -> Self {
        let consumed = match phase {
            Phase::Prepare | Phase::Credential | Phase::Connect => Consumed::No,
            Phase::Head | Phase::Body => Consumed::Maybe,
        };
        Self { phase, consumed, message: message.into() }
    }
}

/// A body made of slices that are sent one after another, without being joined; or one that is not there yet
/// ([`Rope::streamed`]).
#[derive(Clone, Default)]
pub struct Rope {
    parts: VecDeque<Bytes>,
    length: usize,
    /// Boxed, since few bodies have one, and every request carries the room for it.
    tail: Option<Box<Tail>>,
}

/// What of a body is still to come. Clones share it: whoever sends it first has it.
#[derive(Clone)]
struct Tail {
    body: Arc<Mutex<Option<ByteStream>>>,
    /// How many bytes of it are left, where that was told.
    left: Option<u64>,
}

impl Tail {
    fn body(&self) -> MutexGuard<'_, Option<ByteStream>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rope {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// A body that is read while it is sent, of so many bytes if that is known. It can be sent once: a clone
    /// that is sent later breaks off.
    pub fn streamed(body: ByteStream, length: Option<u64>) -> Self {
        let tail = Tail { body: Arc::new(Mutex::new(Some(body))), left: length };
        Self { tail: Some(Box::new(tail)), ..Self::default() }
    }

    /// Whether there is more than [`Self::parts`]: it can be neither signed nor sent again.
    pub const fn is_streamed(&self) -> bool {
        self.tail.is_some()
    }

    /// Appends a slice; empty ones are left out.
    pub fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.length += part.len();
            self.parts.push_back(part);
        }
    }

    /// Bytes in all slices.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The slices in order.
    pub fn parts(&self) -> impl Iterator<Item = &Bytes> {
        self.parts.iter()
    }

    /// All bytes in one piece; free where there is one slice only.
    pub fn to_bytes(&self) -> Bytes {
        match self.parts.len() {
            0 => Bytes::new(),
            1 => self.parts[0].clone(),
            _ => {
                let mut joined = BytesMut::with_capacity(self.length);
                self.parts.iter().for_each(|part| joined.extend_from_slice(part));
                joined.freeze()
            }
        }
    }
}

impl From<Bytes> for Rope {
    fn from(bytes: Bytes) -> Self {
        Self::from_iter([bytes])
    }
}

impl Tail {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let frame = match &mut *self.body() {
            Some(body) => std::task::ready!(body.as_mut().poll_frame(cx)),
            None => Some(Err(TransportError::new(Phase::Body, "a streamed body was sent before"))),
        };
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
            }
            Some(Err(_)) | None => *self.body() = None,
        }
        Poll::Ready(frame)
    }
}

impl FromIterator<Bytes> for Rope {
    fn from_iter<I: IntoIterator<Item = Bytes>>(parts: I) -> Self {
        let mut rope = Self::new();
        parts.into_iter().for_each(|part| rope.push(part));
        rope
    }
}

impl fmt::Debug for Rope {
    /// The size only: bodies hold prompts, and prompts do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.is_streamed() { " and more" } else { "" };
        write!(f, "Rope({} parts, {} bytes{more})", self.parts.len(), self.length)
    }
}

impl Body for Rope {
    type Data = Bytes;
    /// Only what is [streamed](Rope::streamed) can break.
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let part = self.parts.pop_front();
        self.length -= part.as_ref().map_or(0, Bytes::len);
        if let (None, Some(tail)) = (&part, &mut self.tail) {
            return tail.poll_frame(cx);
        }
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.tail.as_ref().is_none_or(|tail| tail.left == Some(0))
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.length as u64;
        match self.tail.as_deref() {
            None => SizeHint::with_exact(length),
            Some(Tail { left: Some(left), .. }) => SizeHint::with_exact(length.saturating_add(*left)),
            Some(Tail { left: None, .. }) => {
                let mut hint = SizeHint::new();
                hint.set_lower(length);
                hint
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rope_joins_to_what_was_pushed() {
        let mut rope = Rope::new();
        assert!(rope.is_empty());
        for part in ["a", "", "bc"] {
            rope.push(Bytes::from_static(part.as_bytes()));
        }
        assert_eq!((rope.len(), rope.parts().count()), (3, 2));
        assert_eq!(rope.to_bytes(), "abc");
        assert_eq!(format!("{rope:?}"), "Rope(2 parts, 3 bytes)");
    }

    #[test]
    fn a_streamed_body_is_sent_once() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let data = |rope: &mut Rope, cx: &mut Context<'_>| match Pin::new(rope).poll_frame(cx) {
            Poll::Ready(Some(frame)) => frame.map(|frame| frame.into_data().unwrap_or_default()),
            _ => Ok(Bytes::new()),
        };
        let inner: ByteStream = Box::pin(Rope::from(Bytes::from_static(b"abc")));
        let mut rope = Rope::streamed(inner, Some(3));
        let mut again = rope.clone();
        assert!(rope.is_streamed() && !rope.is_end_stream());
        assert_eq!((rope.len(), rope.size_hint().exact()), (0, Some(3)));
        assert_eq!(data(&mut rope, &mut cx).unwrap(), "abc");
        assert_eq!(data(&mut rope, &mut cx).unwrap(), "");
        assert!(data(&mut again, &mut cx).is_err());
        assert_eq!(Rope::streamed(Box::pin(Rope::new()), None).size_hint().exact(), None);
        let mut request = http::Request::new(Rope::streamed(Box::pin(Rope::new()), None));
        struct Any;
        impl Sign for Any {
            fn sign(
                &self,
                _: &mut http::Request<Rope>,
                _: std::time::SystemTime,
            ) -> Result<(), TransportError> {
                Ok(())
            }
        }
        request.extensions_mut().insert(Signer(Arc::new(Any)));
        assert!(Signer::apply(&mut request, std::time::SystemTime::UNIX_EPOCH).is_err());
    }

    #[test]
    fn only_what_was_never_sent_is_certainly_not_consumed() {
        for (phase, consumed) in [
            (Phase::Prepare, Consumed::No),
            (Phase::Credential, Consumed::No),
            (Phase::Connect, Consumed::No),
            (Phase::Head, Consumed::Maybe),
            (Phase::Body, Consumed::Maybe),
        ] {
            assert_eq!(TransportError::new(phase, "").consumed, consumed);
        }
    }
}
