//! Taking connections and handing each to the core with the fewest.
//!
//! One acceptor rather than a `SO_REUSEPORT` socket per core: the kernel spreads connections by
//! hash, and with the few dozen long-lived connections that clients of an LLM gateway keep, one
//! core regularly gets twice as many as another and sets the pace. The price is one hop between
//! threads per connection, none per request.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::core_thread::{Arrival, Core};
use crate::counted::Counter;
use crate::error::GatewayError;

/// Connections that may wait to be accepted. A short queue turns a burst into retransmissions of
/// seconds; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// How long to wait when the process has no descriptor left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Connections beyond the limit that are told so at once; more are just closed.
const SURPLUS_AT_ONCE: usize = 256;

/// Listens on `address`, without accepting yet.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, GatewayError> {
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|source| GatewayError::Listen { address, source })
}

/// Hands sockets to cores.
pub(crate) struct Acceptor {
    pub(crate) cores: Arc<[Core]>,
    pub(crate) most_connections: usize,
    pub(crate) surplus: Counter,
}

impl Acceptor {
    /// Starts a thread that accepts until `stop` resolves; then the listeners are closed.
    pub(crate) fn start(
        self,
        listeners: Vec<TcpListener>,
        stop: oneshot::Receiver<()>,
    ) -> Result<JoinHandle<()>, GatewayError> {
        let name = "weighbridge-accept".to_owned();
        let failed = |source| GatewayError::Thread { thread: name.clone(), source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            let accepting = async {
                let acceptor = Arc::new(self);
                let mut running = JoinSet::new();
                for listener in listeners {
                    running.spawn(acceptor.clone().accept(listener));
                }
                let _ = stop.await;
            };
            runtime.block_on(accepting);
        });
        thread.map_err(failed)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "a listener cannot be used");
                return;
            }
        };
        loop {
            let accepted = match listener.accept().await {
                Ok((socket, peer)) => socket.into_std().map(|socket| (socket, peer)),
                Err(error) => Err(error),
            };
            match accepted {
                Ok((socket, peer)) => self.hand_over(socket, peer),
                Err(error) => {
                    // Clients that left in the queue are of no interest; an exhausted process is,
                    // and accepting again at once would only burn the core.
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        tracing::warn!(%error, "no connection can be accepted");
                        tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    }
                }
            }
        }
    }

    fn hand_over(&self, socket: std::net::TcpStream, peer: SocketAddr) {
        let Some(core) = self.cores.iter().min_by_key(|core| core.connections.get()) else { return };
        let open: usize = self.cores.iter().map(|core| core.connections.get()).sum();
        if open < self.most_connections {
            core.receive(Arrival::Welcome(socket, peer.ip(), core.connections.count()));
        } else if self.surplus.get() < SURPLUS_AT_ONCE {
            core.receive(Arrival::Surplus(socket, self.surplus.count()));
        }
    }
}
