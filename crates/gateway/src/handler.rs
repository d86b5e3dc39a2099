//! What a gateway serves.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use weighbridge_transport::Transport;

/// Answers requests. The pipeline is the one that matters; tests and embedders may bring others.
///
/// A handler is shared by all cores. It gets the transport of the core on which the request came
/// in, so that a request never changes core.
pub trait Handler: Send + Sync + 'static {
    /// The body of an answer. Dropping it before its end means that the client has left.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static;

    /// Answers one request. Dropping the future means that the client has left.
    ///
    /// An answer with status 101 takes the connection out of HTTP (only HTTP/1.1 has that), and has a
    /// [`Passage`](weighbridge_transport::Passage) among its extensions, which is given what follows.
    fn handle<B>(
        &self,
        transport: &Arc<dyn Transport>,
        request: Request<B>,
        peer: IpAddr,
    ) -> impl Future<Output = Response<Self::Body>> + Send
    where
        B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send;

    /// Whether new requests can be served at the moment; if not, why, in words for an operator.
    fn ready(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Refuses new requests from now on; those in flight go on.
    fn drain(&self);

    /// Requests that are still worked on although their clients have left: a shutdown waits for them as well.
    fn lingering(&self) -> usize {
        0
    }
}

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
