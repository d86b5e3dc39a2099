//! Sending one request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use weighbridge_transport::{
    BoxFuture, ByteStream, Consumed, Phase, Rope, Signer, Transport, TransportError, Upgraded,
};

use crate::answer::{Answer, with_causes};
use crate::dial::dial;
use crate::pool::{Connection, Lease, Pool};
use crate::tunnel::Raised;
use crate::{AllowedOrigins, Origin, Tls};

/// How an [`HttpTransport`] keeps connections and what it accepts as the head of an answer.
#[derive(Debug, Clone)]
pub struct TransportOptions {
    /// How long a connection may wait for its next request. Below the 60 s after which common load
    /// balancers close, so that it is rarely they who close.
    pub idle_timeout: Duration,
    /// Most connections that wait for each origin; more are closed.
    pub idle_per_origin: usize,
    /// Largest head of an answer, in bytes. It may have 100 header lines, which is hyper's bound.
    pub head_bytes: usize,
    /// Whom encrypted connections trust.
    pub tls: Tls,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(50),
            idle_per_origin: 1024,
            head_bytes: 64 * 1024,
            tls: Tls::default(),
        }
    }
}

/// Sends requests over HTTP/1.1, on connections that it keeps.
///
/// It needs a tokio runtime with I/O and time; each connection is a task of the runtime that first
/// used it.
pub struct HttpTransport {
    origins: AllowedOrigins,
    tls: Tls,
    protocol: http1::Builder,
    pool: Arc<Pool>,
}

impl HttpTransport {
    /// A transport that calls `origins` only. Make one for each runtime.
    pub fn new(origins: AllowedOrigins, options: TransportOptions) -> Self {
        let mut protocol = http1::Builder::new();
        protocol.max_header_size(options.head_bytes);
        Self {
            origins,
            tls: options.tls,
            protocol,
            pool: Pool::new(options.idle_timeout, options.idle_per_origin),
        }
    }

    async fn exchange(
        &self,
        mut request: Request<Rope>,
        connect_timeout: Duration,
    ) -> Result<Response<ByteStream>, TransportError> {
        let origin = self.prepare(&mut request)?;
        while let Some(connection) = self.pool.take(&origin) {
            match self.send_on(connection, &origin, request).await {
                Err(Unsent { request: Some(unwritten), .. }) => request = *unwritten,
                Err(Unsent { error, request: None }) => return Err(error),
                Ok(response) => return Ok(response),
            }
        }
        let connection = self.connect_within(&origin, connect_timeout).await?;
        self.send_on(connection, &origin, request).await.map_err(|unsent| unsent.error)
    }

    /// Checks the address and brings the request into the form that goes over the wire.
    fn prepare(&self, request: &mut Request<Rope>) -> Result<Origin, TransportError> {
        let refuse = |message: String| TransportError::new(Phase::Prepare, message);
        let origin = Origin::of(request.uri()).map_err(|error| refuse(error.to_string()))?;
        if !self.origins.allows(&origin) {
            return Err(refuse(format!("{origin} is not the address of a configured provider")));
        }
        let host = HeaderValue::from_str(origin.authority()).map_err(|error| refuse(error.to_string()))?;
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        let headers = request.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(HOST, host);
        Signer::apply(request, SystemTime::now())?;
        Ok(origin)
    }

    async fn connect(&self, origin: &Origin) -> Result<Connection, String> {
        let failed = |message: String| format!("cannot connect to {origin}: {message}");
        let stream = dial(origin.host(), origin.port()).await.map_err(|error| failed(error.to_string()))?;
        if origin.is_tls() {
            let stream = self.tls.handshake(origin.host(), stream).await.map_err(failed)?;
            self.start(TokioIo::new(stream)).await.map_err(failed)
        } else {
            self.start(TokioIo::new(stream)).await.map_err(failed)
        }
    }

    /// A connection within the time that there is for it.
    ///
    /// Boxed, since it is large and rare: otherwise every request would carry the room for it.
    fn connect_within<'a>(
        &'a self,
        origin: &'a Origin,
        time: Duration,
    ) -> BoxFuture<'a, Result<Connection, TransportError>> {
        Box::pin(async move {
            let connection = timeout(time, self.connect(origin))
                .await
                .unwrap_or_else(|_| Err(format!("no connection to {origin} within {} ms", time.as_millis())));
            connection.map_err(|message| TransportError::new(Phase::Connect, message))
        })
    }

    async fn raise(
        &self,
        mut request: Request<Rope>,
        connect_timeout: Duration,
    ) -> Result<Upgraded, TransportError> {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        let origin = self.prepare(&mut request)?;
        let mut connection = self.connect_within(&origin, connect_timeout).await?;
        let broken = |error: hyper::Error| TransportError::new(Phase::Head, with_causes(&error));
        let answer = connection.sender.send_request(request);
        // Who stops waiting leaves no connection behind.
        let lease = Lease::new(connection, origin, self.pool.clone());
        let mut response = answer.await.map_err(broken)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let response = response.map(|incoming| -> ByteStream { Box::pin(Answer::new(incoming, lease)) });
            return Ok(Upgraded::Declined(response));
        }
        let raw = hyper::upgrade::on(&mut response).await.map_err(broken)?;
        Ok(Upgraded::Switched(response.map(|_| ()), Box::pin(Raised(TokioIo::new(raw)))))
    }

    async fn start<S>(&self, stream: S) -> Result<Connection, String>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) =
            self.protocol.handshake(stream).await.map_err(|error| with_causes(&error))?;
        let task = tokio::spawn(async move {
            // Whoever waits for an answer gets the error; an idle connection has nobody to tell.
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(error = with_causes(&error), "a connection to a provider broke");
            }
        });
        Ok(Connection { sender, task: task.abort_handle() })
    }

    async fn send_on(
        &self,
        mut connection: Connection,
        origin: &Origin,
        request: Request<Rope>,
    ) -> Result<Response<ByteStream>, Unsent> {
        let answer = connection.sender.try_send_request(request);
        let lease = Lease::new(connection, origin.clone(), self.pool.clone());
        match answer.await {
            Ok(response) => {
                Ok(response.map(|incoming| -> ByteStream { Box::pin(Answer::new(incoming, lease)) }))
            }
            Err(mut failure) => {
                // hyper hands the request back if, and only if, it wrote nothing of it.
                let request = failure.take_message().map(Box::new);
                let mut error = TransportError::new(Phase::Head, with_causes(failure.error()));
                if request.is_some() {
                    error.consumed = Consumed::No;
                }
                Err(Unsent { error, request })
            }
        }
    }
}

/// A request that got no answer, and the request itself if nothing of it was written.
struct Unsent {
    error: TransportError,
    request: Option<Box<Request<Rope>>>,
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: Request<Rope>,
        connect_timeout: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(self.exchange(request, connect_timeout))
    }

    fn upgrade(
        &self,
        request: Request<Rope>,
        connect_timeout: Duration,
    ) -> BoxFuture<'_, Result<Upgraded, TransportError>> {
        Box::pin(self.raise(request, connect_timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_request_carries_is_small() {
        let transport = HttpTransport::new(AllowedOrigins::default(), TransportOptions::default());
        let exchange = transport.exchange(Request::new(Rope::new()), Duration::ZERO);
        assert!(size_of_val(&exchange) <= 1536, "{} bytes", size_of_val(&exchange));
    }
}
