//! One request: the probes are answered here, everything else is the handler's.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::service::Service;
use weighbridge_transport::{BoxFuture, Transport};

use crate::body::GatewayBody;
use crate::counted::Counter;
use crate::handler::{BoxError, Handler};

const TEXT: &str = "text/plain; charset=utf-8";
/// <https://prometheus.io/docs/specs/om/open_metrics_spec/#overall-structure>
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where metrics are served, and what writes them.
#[derive(Clone)]
pub(crate) struct MetricsPage {
    pub(crate) path: String,
    pub(crate) write: Arc<dyn Fn() -> String + Send + Sync>,
}

/// What all connections of all cores share.
pub(crate) struct Surface<H> {
    pub(crate) handler: H,
    pub(crate) metrics: Option<MetricsPage>,
    pub(crate) draining: AtomicBool,
}

/// A gateway as a hyper [`Service`], for mounting into another server.
///
/// One instance serves the connections of one peer on one core: clone it with
/// [`GatewayService::for_peer`] at each accepted connection. An answer with status 101 has a
/// [`Passage`](weighbridge_transport::Passage) among its extensions, which is to be given the connection.
pub struct GatewayService<H> {
    surface: Arc<Surface<H>>,
    transport: Arc<dyn Transport>,
    open: Counter,
    peer: IpAddr,
}

impl<H: Handler> GatewayService<H> {
    pub(crate) fn new(
        surface: Arc<Surface<H>>,
        transport: Arc<dyn Transport>,
        open: Counter,
        peer: IpAddr,
    ) -> Self {
        Self { surface, transport, open, peer }
    }

    /// The same gateway for a connection from `peer`, whose address the access rules judge.
    pub fn for_peer(&self, peer: IpAddr) -> Self {
        Self { peer, ..self.clone() }
    }

    /// Requests that are being answered on this core, streams included.
    pub fn open_requests(&self) -> usize {
        self.open.get()
    }

    /// Answers one request.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<GatewayBody<H::Body>>
    where
        B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send,
    {
        let version = request.version();
        let mut response = match request.uri().path() {
            "/healthz" => probe(&request, || own(StatusCode::OK, "ok\n")),
            "/readyz" => match self.readiness().await {
                Ok(()) => probe(&request, || own(StatusCode::OK, "ready\n")),
                Err(reason) => probe(&request, || not_ready(&reason)),
            },
            path => match &self.surface.metrics {
                Some(page) if page.path == path => {
                    probe(&request, || typed(StatusCode::OK, OPEN_METRICS, (page.write)()))
                }
                _ => self.handle(request).await,
            },
        };
        let is_draining = self.surface.draining.load(Ordering::Acquire);
        if is_draining && version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response = closing(response);
        }
        response
    }

    async fn handle<B>(&self, request: Request<B>) -> Response<GatewayBody<H::Body>>
    where
        B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send,
    {
        let open = self.open.count();
        let handling = self.surface.handler.handle(&self.transport, request, self.peer);
        match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(response) => response.map(|body| GatewayBody::handler(body, open)),
            // The panic itself has been reported by the panic hook; the connection lives on.
            Err(_) => own(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed; this is a bug\n"),
        }
    }

    async fn readiness(&self) -> Result<(), String> {
        if self.surface.draining.load(Ordering::Acquire) {
            return Err("draining".to_owned());
        }
        self.surface.handler.ready().await
    }
}

impl<H> Clone for GatewayService<H> {
    fn clone(&self) -> Self {
        let Self { surface, transport, open, peer } = self;
        Self { surface: surface.clone(), transport: transport.clone(), open: open.clone(), peer: *peer }
    }
}

impl<H, B> Service<Request<B>> for GatewayService<H>
where
    H: Handler,
    B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
{
    type Response = Response<GatewayBody<H::Body>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}

fn probe<R, B>(
    request: &Request<R>,
    answer: impl FnOnce() -> Response<GatewayBody<B>>,
) -> Response<GatewayBody<B>> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer();
    }
    let mut refused = own(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    refused
}

fn not_ready<B>(reason: &str) -> Response<GatewayBody<B>> {
    let mut response = own(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn own<B>(status: StatusCode, text: impl Into<Bytes>) -> Response<GatewayBody<B>> {
    typed(status, TEXT, text)
}

fn typed<B>(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<GatewayBody<B>> {
    let mut response = Response::new(GatewayBody::own(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn closing<B>(mut response: Response<GatewayBody<B>>) -> Response<GatewayBody<B>> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
