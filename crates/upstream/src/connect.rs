//! From an origin to a connection that takes requests.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use weighbridge_transport::{Phase, TransportError};

use crate::allowed::{HttpVersion, Manner, OriginOptions};
use crate::answer::with_causes;
use crate::dial::dial_any;
use crate::names::Names;
use crate::pool::{Connection, Pool, STREAMS, Shared, Taken};
use crate::tls::{HTTP1, HTTP2};
use crate::{AllowedOrigins, Origin, Proxy, Tls, TransportOptions};

/// How much of an answer may wait unread in a stream. With room for all streams on their connection, one
/// that nobody reads stops no other.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Makes connections, and hands over those that are made already.
pub(crate) struct Connector {
    tls: Tls,
    names: Names,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

/// Which protocols a new connection may speak.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
    /// What the origin's options say.
    AsConfigured,
    /// HTTP/1.1, whatever they say: nothing else can be upgraded.
    Http1,
}

impl Connector {
    pub(crate) fn new(options: &TransportOptions, names: Names) -> Self {
        let mut http1 = http1::Builder::new();
        http1.max_header_size(options.head_bytes);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW.saturating_mul(STREAMS as u32))
            .max_header_list_size(u32::try_from(options.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(options.ping_every)
            .keep_alive_timeout(options.ping_timeout)
            // Else a server that is gone would be found out by the next request, and that one lost.
            .keep_alive_while_idle(true);
        Self { tls: options.tls.clone(), names, http1, http2 }
    }

    /// Something that takes a request to `origin`, within the time that there is for it.
    pub(crate) async fn within(
        &self,
        time: Duration,
        origins: &AllowedOrigins,
        origin: &Origin,
        manner: Manner,
        pool: &Arc<Pool>,
    ) -> Result<Taken, TransportError> {
        limited(time, origin, self.join(origins, origin, manner, pool)).await
    }

    /// Waits for whoever is connecting already, where a connection may serve several.
    async fn join(
        &self,
        origins: &AllowedOrigins,
        origin: &Origin,
        manner: Manner,
        pool: &Arc<Pool>,
    ) -> Result<Taken, String> {
        if !manner.may_share {
            return self.connect(origins, origin, manner, pool, Wanted::AsConfigured).await;
        }
        let gate = pool.gate(manner.peer);
        let failures = gate.failures();
        let turn = match gate.is_http1.load(Ordering::Relaxed) {
            true => None,
            false => Some(gate.turn.lock().await),
        };
        if let Some(taken) = pool.take(manner.peer) {
            return Ok(taken);
        }
        if let Some(error) = gate.failed_since(failures) {
            return Err(error);
        }
        // The first one found out that nothing is shared here.
        let turn = turn.filter(|_| !gate.is_http1.load(Ordering::Relaxed));
        let connected = self.connect(origins, origin, manner, pool, Wanted::AsConfigured).await;
        match &connected {
            Err(error) if turn.is_some() => gate.note(error),
            Ok(taken) => gate.is_http1.store(matches!(taken, Taken::Own(_)), Ordering::Relaxed),
            Err(_) => {}
        }
        connected
    }

    /// Makes a connection.
    async fn connect(
        &self,
        origins: &AllowedOrigins,
        origin: &Origin,
        manner: Manner,
        pool: &Arc<Pool>,
        wanted: Wanted,
    ) -> Result<Taken, String> {
        let failed = |message: String| format!("cannot connect to {origin}: {message}");
        let options =
            origins.options(origin).ok_or_else(|| failed("it is no longer configured".to_owned()))?;
        let stream = self.dial(origin, options.proxy.as_ref()).await.map_err(failed)?;
        let taken = if origin.is_tls() {
            let protocols: &[&[u8]] = match (wanted, options.http) {
                (Wanted::Http1, _) | (_, HttpVersion::Http1) => &[HTTP1],
                (_, HttpVersion::Http2) => &[HTTP2],
                (_, HttpVersion::Auto) => &[HTTP2, HTTP1],
            };
            let stream =
                self.tls_of(&options).handshake(origin.host(), stream, protocols).await.map_err(failed)?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
            if !is_http2 && protocols == [HTTP2] {
                return Err(failed(
                    "the server does not speak HTTP/2, which `http = \"2\"` demands".to_owned(),
                ));
            }
            self.start(stream, is_http2, manner, pool).await
        } else {
            let is_http2 = options.http == HttpVersion::Http2 && wanted == Wanted::AsConfigured;
            self.start(stream, is_http2, manner, pool).await
        };
        taken.map_err(failed)
    }

    /// An HTTP/1.1 connection that nobody else uses.
    pub(crate) async fn alone(
        &self,
        time: Duration,
        origins: &AllowedOrigins,
        origin: &Origin,
        manner: Manner,
        pool: &Arc<Pool>,
    ) -> Result<Connection, TransportError> {
        match limited(time, origin, self.connect(origins, origin, manner, pool, Wanted::Http1)).await? {
            Taken::Own(connection) => Ok(connection),
            Taken::Shared(_) => Err(TransportError::new(Phase::Connect, "the server insists on HTTP/2")),
        }
    }

    fn tls_of<'a>(&'a self, options: &'a OriginOptions) -> &'a Tls {
        options.tls.as_ref().unwrap_or(&self.tls)
    }

    /// A TCP connection to the origin: straight, or through a proxy's tunnel. One to a proxy that requests
    /// are handed to leads there.
    async fn dial(&self, origin: &Origin, proxy: Option<&Proxy>) -> Result<TcpStream, String> {
        let (host, port) = proxy.map_or((origin.host(), origin.port()), |proxy| (proxy.host(), proxy.port()));
        let failed = |error: std::io::Error| match proxy {
            None => error.to_string(),
            Some(proxy) => format!("the proxy {proxy}: {error}"),
        };
        let addresses = self.names.addresses(host, port).await.map_err(failed)?;
        let mut stream = dial_any(addresses).await.map_err(|error| {
            self.names.doubt(host);
            failed(error)
        })?;
        if let Some(proxy) = proxy
            && origin.is_tls()
        {
            proxy.tunnel(&mut stream, origin).await?;
        }
        Ok(stream)
    }

    async fn start<S>(
        &self,
        stream: S,
        is_http2: bool,
        manner: Manner,
        pool: &Arc<Pool>,
    ) -> Result<Taken, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        let born = Instant::now();
        if !is_http2 {
            let (sender, connection) =
                self.http1.handshake(stream).await.map_err(|error| with_causes(&error))?;
            let task = tokio::spawn(async move { log(connection.with_upgrades().await) }).abort_handle();
            return Ok(Taken::Own(Connection { sender, task, born }));
        }
        let (sender, mut connection) =
            self.http2.handshake(stream).await.map_err(|error| with_causes(&error))?;
        let most = Arc::new(AtomicUsize::new(STREAMS));
        let told = Arc::clone(&most);
        // It ends by itself, once nobody can send a request any more and the last stream has ended.
        tokio::spawn(async move {
            let ended = std::future::poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                if polled.is_pending() {
                    told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                }
                polled
            });
            log(ended.await);
        });
        Ok(Taken::Shared(pool.share(manner.peer, Shared::new(sender, most))))
    }
}

/// Whoever waits for an answer gets the error; an idle connection has nobody to tell.
fn log(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(error = with_causes(&error), "a connection to a provider broke");
    }
}

async fn limited<T>(
    time: Duration,
    origin: &Origin,
    connecting: impl Future<Output = Result<T, String>>,
) -> Result<T, TransportError> {
    let connected = timeout(time, connecting)
        .await
        .unwrap_or_else(|_| Err(format!("no connection to {origin} within {} ms", time.as_millis())));
    connected.map_err(|message| TransportError::new(Phase::Connect, message))
}
