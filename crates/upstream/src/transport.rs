//! Sending one request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use weighbridge_transport::{
    BoxFuture, ByteStream, Consumed, Issued, Phase, Rope, Signer, Transport, TransportError, Upgraded,
};

use crate::allowed::Manner;
use crate::answer::{Answer, with_causes};
use crate::connect::Connector;
use crate::decoded::{Bounds, decoded};
use crate::failure::failure;
use crate::names::Names;
use crate::pool::{Connection, Keeping, Lease, Loan, OwnLease, Pool, Taken};
use crate::tunnel::Raised;
use crate::{AllowedOrigins, Origin, Resolve, SystemResolver, Tls};

/// Most header lines of an answer: hyper's own bound for HTTP/1.1.
const HEADER_LINES: usize = 100;

/// What compression may make of an answer's beginning, whatever the ratio, in bytes.
const DECODED_FREE: u64 = 1024 * 1024;

/// How an [`HttpTransport`] keeps connections and what it accepts as the head of an answer.
#[derive(Debug, Clone)]
pub struct TransportOptions {
    /// How long a connection may wait for its next request. Below the 60 s after which common load
    /// balancers close, so that it is rarely they who close.
    pub idle_timeout: Duration,
    /// How old a connection may grow and still take requests. A new one asks for the address again, so that
    /// a provider that has moved is followed.
    pub max_age: Duration,
    /// Most connections that wait for each origin; more are closed.
    pub idle_per_origin: usize,
    /// Largest head of an answer, in bytes. It may have 100 header lines.
    pub head_bytes: usize,
    /// Largest answer after decompression, in bytes. What is not compressed has no bound here.
    pub decoded_bytes: u64,
    /// Most bytes after decompression for each that came, beyond the first MiB. Texts that repeat themselves
    /// reach a few dozen.
    pub decoded_ratio: u64,
    /// How long a server may be silent on an HTTP/2 connection until it is asked whether it is still there, whether
    /// answers are awaited or not.
    pub ping_every: Duration,
    /// How long it may take to say so. Then its connection is given up, with everything on it.
    pub ping_timeout: Duration,
    /// Whom encrypted connections trust, where an origin's options do not say.
    pub tls: Tls,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(50),
            max_age: Duration::from_secs(300),
            idle_per_origin: 1024,
            head_bytes: 64 * 1024,
            decoded_bytes: 256 * 1024 * 1024,
            decoded_ratio: 100,
            ping_every: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(10),
            tls: Tls::default(),
        }
    }
}

/// Sends requests over HTTP/1.1 and HTTP/2, on connections that it keeps.
///
/// It needs a tokio runtime with I/O and time; each connection is a task of the runtime that first
/// used it.
pub struct HttpTransport {
    origins: AllowedOrigins,
    connector: Connector,
    pool: Arc<Pool>,
    decoding: Bounds,
}

impl HttpTransport {
    /// A transport that calls `origins` only. Make one for each runtime.
    pub fn new(origins: AllowedOrigins, options: TransportOptions) -> Self {
        Self::resolving_by(origins, options, SystemResolver)
    }

    /// One that asks `resolver` for addresses.
    pub fn resolving_by(
        origins: AllowedOrigins,
        options: TransportOptions,
        resolver: impl Resolve + 'static,
    ) -> Self {
        let keeping =
            Keeping { idle: options.idle_timeout, age: options.max_age, per_origin: options.idle_per_origin };
        let connector = Connector::new(&options, Names::new(Arc::new(resolver)));
        let decoding =
            Bounds { bytes: options.decoded_bytes, ratio: options.decoded_ratio, free: DECODED_FREE };
        Self { origins, connector, pool: Pool::new(keeping), decoding }
    }

    async fn exchange(
        &self,
        mut request: Request<Rope>,
        connect_timeout: Duration,
    ) -> Result<Response<ByteStream>, TransportError> {
        if request.extensions().get::<Issued>().is_some() {
            // Boxed, since it is large and rare: otherwise every request would carry the room for it.
            Box::pin(Issued::apply(&mut request, SystemTime::now())).await?;
        }
        // Who names encodings can read them. Else there should be none, and if there is one all the same,
        // nobody behind us has to know it.
        let decodes = !request.headers().contains_key(ACCEPT_ENCODING);
        let (origin, manner) = self.prepare(&mut request)?;
        if decodes {
            // Behind the signature, since proxies change it.
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        loop {
            let kept = self.pool.take(manner.peer);
            let is_kept = kept.is_some();
            // What is large and rare is boxed: otherwise every request would carry the room for it.
            let taken = match kept {
                Some(taken) => taken,
                None => {
                    let (connector, pool) = (&self.connector, &self.pool);
                    Box::pin(connector.within(connect_timeout, &self.origins, &origin, manner, pool)).await?
                }
            };
            let sent = match taken {
                Taken::Own(connection) => self.send_alone(connection, manner, request).await,
                Taken::Shared(loan) => Box::pin(send_shared(loan, &origin, request)).await,
            };
            match sent {
                Ok(response) if decodes => return decoded(response, self.decoding),
                Ok(response) => return Ok(response),
                Err(Unsent { request: Some(unsent), .. }) if is_kept => request = *unsent,
                Err(unsent) => return Err(unsent.error),
            }
        }
    }

    /// Checks the address and brings the request into the form that goes over the wire.
    fn prepare(&self, request: &mut Request<Rope>) -> Result<(Origin, Manner), TransportError> {
        let refuse = |message: String| TransportError::new(Phase::Prepare, message);
        let origin = Origin::of(request.uri()).map_err(|error| refuse(error.to_string()))?;
        let manner = self
            .origins
            .manner(&origin)
            .ok_or_else(|| refuse(format!("{origin} is not the address of a configured provider")))?;
        let host = HeaderValue::from_str(origin.authority()).map_err(|error| refuse(error.to_string()))?;
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        let headers = request.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(HOST, host);
        Signer::apply(request, SystemTime::now())?;
        if manner.is_forwarded {
            self.address_to_proxy(request, &origin).map_err(refuse)?;
        }
        Ok((origin, manner))
    }

    /// What a proxy is handed names the whole address, and who asks
    /// (<https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2>).
    fn address_to_proxy(&self, request: &mut Request<Rope>, origin: &Origin) -> Result<(), String> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = origin.absolute(path).map_err(|error| error.to_string())?;
        let options = self.origins.options(origin);
        let proxy = options.as_ref().and_then(|options| options.proxy.as_ref());
        if let Some(value) = proxy.and_then(|proxy| proxy.authorization()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value.clone());
        }
        Ok(())
    }

    async fn send_alone(
        &self,
        mut connection: Connection,
        manner: Manner,
        request: Request<Rope>,
    ) -> Result<Response<ByteStream>, Unsent> {
        let answer = connection.sender.try_send_request(request);
        let lease = OwnLease::new(connection, manner.peer, self.pool.clone());
        match answer.await {
            Ok(response) => {
                Ok(response
                    .map(|incoming| -> ByteStream { Box::pin(Answer::new(incoming, Lease::Own(lease))) }))
            }
            Err(mut failed) => {
                // hyper hands the request back if, and only if, it wrote nothing of it.
                let request = failed.take_message().map(Box::new);
                let mut error = failure(failed.error()).error;
                if request.is_some() {
                    error.consumed = Consumed::No;
                }
                Err(Unsent { error, request })
            }
        }
    }

    async fn raise(
        &self,
        mut request: Request<Rope>,
        connect_timeout: Duration,
    ) -> Result<Upgraded, TransportError> {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        if request.extensions().get::<Issued>().is_some() {
            // Boxed, since it is large and rare: otherwise every request would carry the room for it.
            Box::pin(Issued::apply(&mut request, SystemTime::now())).await?;
        }
        let (origin, manner) = self.prepare(&mut request)?;
        let mut connection =
            self.connector.alone(connect_timeout, &self.origins, &origin, manner, &self.pool).await?;
        let answer = connection.sender.send_request(request);
        // Who stops waiting leaves no connection behind.
        let lease = Lease::Own(OwnLease::new(connection, manner.peer, self.pool.clone()));
        let mut response = answer.await.map_err(|error| failure(&error).error)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let response = response.map(|incoming| -> ByteStream { Box::pin(Answer::new(incoming, lease)) });
            return Ok(Upgraded::Declined(response));
        }
        let broken = |error: hyper::Error| TransportError::new(Phase::Head, with_causes(&error));
        let raw = hyper::upgrade::on(&mut response).await.map_err(broken)?;
        Ok(Upgraded::Switched(response.map(|_| ()), Box::pin(Raised(TokioIo::new(raw)))))
    }
}

/// Sends a request as one stream among others.
async fn send_shared(
    loan: Loan,
    origin: &Origin,
    request: Request<Rope>,
) -> Result<Response<ByteStream>, Unsent> {
    let Loan { mut sender, stream } = loan;
    // A copy goes, slices shared: the server may say that it has not looked at it.
    let mut sent = request.clone();
    sent.headers_mut().remove(HOST);
    let path = request.uri().path_and_query().cloned();
    match origin.absolute(path) {
        Ok(uri) => *sent.uri_mut() = uri,
        Err(error) => {
            let error = TransportError::new(Phase::Prepare, error.to_string());
            return Err(Unsent { error, request: None });
        }
    }
    match sender.try_send_request(sent).await {
        Ok(response) if response.headers().len() > HEADER_LINES => {
            let error = TransportError::new(Phase::Head, "the answer has too many headers");
            Err(Unsent { error, request: None })
        }
        Ok(response) => Ok(response
            .map(|incoming| -> ByteStream { Box::pin(Answer::new(incoming, Lease::Shared { stream })) })),
        Err(mut failed) => {
            let mut found = failure(failed.error());
            if failed.take_message().is_some() {
                found.error.consumed = Consumed::No;
                found.try_elsewhere = true;
            }
            // What was read while it was sent is gone.
            let is_whole = !request.body().is_streamed();
            let again = found.try_elsewhere && is_whole;
            Err(Unsent { error: found.error, request: again.then(|| Box::new(request)) })
        }
    }
}

/// A request that got no answer, and the request itself where another connection may take it: certainly
/// nothing of it was consumed.
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
