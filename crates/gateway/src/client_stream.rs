//! A client's socket: it can tell the protocol before anything is consumed, and it does not wait
//! for ever on a client that takes nothing.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use weighbridge_transport::Duplex;

/// How every HTTP/2 connection begins (<https://www.rfc-editor.org/rfc/rfc9113#section-3.4>).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is read at first: enough for most requests.
const FIRST_READ_BYTES: usize = 2048;

pub(crate) struct ClientStream {
    socket: TcpStream,
    /// Bytes that were read to tell the protocol, and are read again.
    seen: BytesMut,
    write_time: Duration,
    /// Running while the client takes nothing of what is ready for it.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// The protocol that a client begins to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
    /// It left without a word.
    Nothing,
}

impl ClientStream {
    pub(crate) fn new(socket: TcpStream, write_time: Duration) -> Self {
        Self { socket, seen: BytesMut::new(), write_time, stalled: None }
    }

    /// Reads as much as tells which protocol it is.
    pub(crate) async fn spoken(&mut self) -> io::Result<Spoken> {
        self.seen.reserve(FIRST_READ_BYTES);
        loop {
            if self.socket.read_buf(&mut self.seen).await? == 0 {
                // hyper judges an unfinished head.
                return Ok(if self.seen.is_empty() { Spoken::Nothing } else { Spoken::Http1 });
            }
            let known = self.seen.len().min(H2_PREFACE.len());
            if self.seen[..known] != H2_PREFACE[..known] {
                return Ok(Spoken::Http1);
            }
            if known == H2_PREFACE.len() {
                return Ok(Spoken::Http2);
            }
        }
    }

    /// Whether the client has begun a request.
    pub(crate) fn has_begun(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Has bytes read again that were read too far.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        let rest = std::mem::replace(&mut self.seen, bytes.into());
        self.seen.unsplit(rest);
    }

    /// Lets a write that makes no progress run into the time limit.
    fn bounded(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_time = self.write_time;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_time)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seen.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buffer);
        }
        let taken = self.seen.len().min(buffer.remaining());
        buffer.put_slice(&self.seen[..taken]);
        self.seen.advance(taken);
        if self.seen.is_empty() {
            self.seen = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The socket of a client that has left HTTP.
impl Duplex for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(space);
        ready!(AsyncRead::poll_read(self, cx, &mut space))?;
        Poll::Ready(Ok(space.filled().len()))
    }

    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(self, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(self, cx)
    }
}
