//! The yardstick: the thinnest honest proxy over hyper. It looks at nothing, and keeps connections.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, Result};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::cores;

/// Forwards to `upstream` until it is killed.
pub(crate) fn run(upstream: SocketAddr) -> Result<()> {
    cores::run(move || {
        let pool = Rc::new(Pool { upstream, idle: RefCell::default() });
        async move |socket| {
            let forward = service_fn(|request| pool.forward(request));
            // Whoever measures sees what breaks.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), forward).await;
        }
    })
}

/// Connections of one core, the most recently used at the end.
struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let mut sender = match self.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let answering = sender.send_request(request);
        // It counts as idle already; it is not ready before the answer was read.
        self.idle.borrow_mut().push(sender);
        answering.await.context("forwarding")
    }

    fn take(&self) -> Option<SendRequest<Incoming>> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|sender| !sender.is_closed());
        let ready = idle.iter().rposition(SendRequest::is_ready)?;
        Some(idle.remove(ready))
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>> {
        let socket = TcpStream::connect(self.upstream).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }
}
