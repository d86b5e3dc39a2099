//! The server: sockets, cores, and the way in and out.
//!
//! [`Gateway::builder`] takes a [`Handler`], which is the pipeline, and serves it over HTTP/1.1 and
//! HTTP/2 in the clear:
//!
//! - **One runtime per core**, on a thread of its own, with a transport of its own. One acceptor
//!   hands each socket to the core with the fewest connections; a request never changes core.
//! - **Everything is bounded**: connections, heads, the time for them, and how long a client may
//!   leave its answer unread.
//! - `/healthz` (the process lives), `/readyz` (it can serve) and, where configured, the page of
//!   metrics are answered here, without authentication. Every other path is the handler's.
//! - **It ends in order**: [`Gateway::shutdown`] takes no new work and lets running answers finish.
//!
//! Who has a server already mounts a [`GatewayService`] in it, which [`GatewayBuilder::service`]
//! makes.
//!
//! ```
//! use std::net::IpAddr;
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body::Body;
//! use weighbridge_gateway::{BoxError, Gateway, Handler};
//! use weighbridge_transport::Transport;
//!
//! /// Says who asked.
//! struct Echo;
//!
//! impl Handler for Echo {
//!     type Body = http_body_util::Full<Bytes>;
//!
//!     async fn handle<B>(
//!         &self,
//!         _: &Arc<dyn Transport>,
//!         request: Request<B>,
//!         peer: IpAddr,
//!     ) -> Response<Self::Body>
//!     where
//!         B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send,
//!     {
//!         let path = request.uri().path();
//!         Response::new(Bytes::from(format!("{path} from {peer}")).into())
//!     }
//!
//!     async fn ready(&self) -> Result<(), String> {
//!         Ok(())
//!     }
//!
//!     fn drain(&self) {}
//! }
//!
//! # struct Nowhere;
//! # impl Transport for Nowhere {
//! #     fn send(&self, _: Request<weighbridge_transport::Rope>, _: std::time::Duration) ->
//! #         weighbridge_transport::BoxFuture<'_, Result<Response<weighbridge_transport::ByteStream>,
//! #         weighbridge_transport::TransportError>> { Box::pin(std::future::pending()) }
//! # }
//! let gateway = Gateway::builder(Echo)
//!     .listen("127.0.0.1:0".parse().expect("an address"))
//!     .workers(1)
//!     .transport(|_core| Arc::new(Nowhere))
//!     .start()?;
//! println!("listening on {:?}", gateway.addresses());
//! # Ok::<(), weighbridge_gateway::GatewayError>(())
//! ```

mod acceptor;
mod body;
mod client_stream;
mod connection;
mod core_thread;
mod counted;
mod error;
mod gateway;
mod handler;
mod limits;
mod over_pipeline;
mod service;

pub use body::GatewayBody;
pub use error::GatewayError;
pub use gateway::{DrainReport, Gateway, GatewayBuilder};
pub use handler::{BoxError, Handler};
pub use limits::ConnectionLimits;
pub use service::GatewayService;
