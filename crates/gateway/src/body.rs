//! The body of an answer on its way to the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::counted::Counted;
use crate::handler::BoxError;

/// The body of an answer: a handler's, or a short text of the gateway's own.
pub struct GatewayBody<B> {
    content: Content<B>,
    /// Keeps the request counted as open until the body is dropped.
    open: Option<Counted>,
}

enum Content<B> {
    Own(Option<Bytes>),
    Handler(B),
}

impl<B> GatewayBody<B> {
    pub(crate) fn own(text: impl Into<Bytes>) -> Self {
        Self { content: Content::Own(Some(text.into()).filter(|text| !text.is_empty())), open: None }
    }

    pub(crate) fn handler(body: B, open: Counted) -> Self {
        Self { content: Content::Handler(body), open: Some(open) }
    }

    /// Keeps the request counted for longer than the body lives.
    pub(crate) const fn take_open(&mut self) -> Option<Counted> {
        self.open.take()
    }
}

impl<B> Body for GatewayBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.content {
            Content::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Content::Handler(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(text) => text.is_none(),
            Content::Handler(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Content::Handler(body) => body.size_hint(),
        }
    }
}
