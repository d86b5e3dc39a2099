//! One connection, from its first byte to its last.

use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use http::{Response, StatusCode};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use weighbridge_transport::Passage;

use crate::body::GatewayBody;
use crate::client_stream::{ClientStream, Spoken};
use crate::counted::Counted;
use crate::handler::Handler;
use crate::limits::ConnectionLimits;
use crate::service::GatewayService;

/// How often a silent HTTP/2 client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long an answer of the socket's own (408, 503) may take to be read by the client.
const FAREWELL_TIME: Duration = Duration::from_secs(1);
/// How much of what a client still sends is read, so that closing does not reset the connection
/// under the answer.
const FAREWELL_BYTES: u64 = 256 * 1024;

const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// Tells the connections of one core to finish what they do and close.
#[derive(Default)]
pub(crate) struct Closing {
    told: AtomicBool,
    notify: Notify,
}

impl Closing {
    pub(crate) fn tell(&self) {
        self.told.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    async fn wait(&self) {
        let notified = self.notify.notified();
        if !self.told.load(Ordering::Acquire) {
            notified.await;
        }
    }
}

/// How connections are served; one per core.
pub(crate) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    limits: ConnectionLimits,
}

impl Protocols {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_header_size(limits.head_bytes)
            .max_buf_size(limits.head_bytes.max(BODY_BUFFER_BYTES));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_INTERVAL);
        Self { http1, http2, limits }
    }

    /// Serves one connection until it closes.
    pub(crate) async fn serve<H: Handler>(
        &self,
        socket: TcpStream,
        service: GatewayService<H>,
        closing: &Closing,
    ) {
        let mut stream = ClientStream::new(socket, self.limits.write_time);
        let spoken = {
            let listening = pin!(timeout(self.limits.head_time, stream.spoken()));
            let Either::Left((spoken, _)) = select(listening, pin!(closing.wait())).await else { return };
            spoken
        };
        match spoken {
            Ok(Ok(Spoken::Http1)) => self.serve_http1(stream, service, closing).await,
            Ok(Ok(Spoken::Http2)) => self.serve_http2(stream, service, closing).await,
            Ok(Ok(Spoken::Nothing) | Err(_)) => {}
            Err(_) if stream.has_begun() => farewell(stream, TOO_SLOW).await,
            Err(_) => {}
        }
    }

    async fn serve_http1<H: Handler>(
        &self,
        stream: ClientStream,
        service: GatewayService<H>,
        closing: &Closing,
    ) {
        // Not `GatewayService` itself, which would have to be cloned for each request. In a box, as hyper keeps room
        // for this future as long as the connection lives: some kilobytes, which a stream has no use for any more.
        let (service, switch) = (&service, &Switch::default());
        let service = service_fn(move |request| {
            Box::pin(async move {
                let mut response = service.respond(request).await;
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    switch.note(&mut response);
                }
                Ok::<_, std::convert::Infallible>(response)
            })
        });
        let mut connection = self.http1.serve_connection(TokioIo::new(stream), service);
        let served = serve_until(&mut connection, closing, |it| it.graceful_shutdown()).await;
        let Err(error) = served else {
            // hyper does not close a connection whose last answer was a switch: its bytes are no longer HTTP's.
            if let Some((passage, _open)) = switch.taken() {
                let parts = connection.into_parts();
                let mut stream = parts.io.into_inner();
                stream.unread(parts.read_buf);
                if let Some(passing) = passage.begin(Box::pin(stream)) {
                    passing.await;
                }
            }
            return;
        };
        tracing::debug!(%error, "a client's connection broke");
        if error.is_timeout() {
            let parts = connection.into_parts();
            if !parts.read_buf.is_empty() {
                farewell(parts.io.into_inner(), TOO_SLOW).await;
            }
        }
    }

    async fn serve_http2<H: Handler>(
        &self,
        stream: ClientStream,
        service: GatewayService<H>,
        closing: &Closing,
    ) {
        let mut connection = self.http2.serve_connection(TokioIo::new(stream), service);
        let served = serve_until(&mut connection, closing, |it| it.graceful_shutdown()).await;
        if let Err(error) = served {
            tracing::debug!(%error, "a client's connection broke");
        }
    }
}

/// What follows on a connection once it has left HTTP, and the request that is open until that ends.
#[derive(Default)]
struct Switch(Mutex<Option<(Passage, Option<Counted>)>>);

impl Switch {
    fn note<B>(&self, response: &mut Response<GatewayBody<B>>) {
        let passage = response.extensions_mut().remove::<Passage>();
        let noted = passage.map(|passage| (passage, response.body_mut().take_open()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = noted;
    }

    fn taken(&self) -> Option<(Passage, Option<Counted>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Serves a connection until it ends, which it is asked to do once the core is `closing`.
async fn serve_until<C: Future + Unpin>(
    connection: &mut C,
    closing: &Closing,
    ask_to_end: impl FnOnce(Pin<&mut C>),
) -> C::Output {
    if let Either::Left((served, _)) = select(&mut *connection, pin!(closing.wait())).await {
        return served;
    }
    ask_to_end(Pin::new(connection));
    connection.await
}

/// Reads of large bodies take pieces of up to this size.
const BODY_BUFFER_BYTES: usize = 256 * 1024;

/// Tells a client that there is no place for it.
pub(crate) async fn turn_away(socket: TcpStream) {
    farewell(ClientStream::new(socket, FAREWELL_TIME), TOO_MANY).await;
}

/// Writes a last answer and closes, in a way that lets the client read it.
async fn farewell(mut stream: ClientStream, answer: &[u8]) {
    let parting = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(FAREWELL_BYTES), &mut tokio::io::sink()).await?;
        Ok::<_, io::Error>(())
    };
    // A client that does not even take this has only itself to blame.
    let _ = timeout(FAREWELL_TIME, parting).await;
}
