//! One core: a thread with a runtime, a transport, and the connections that were handed to it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use weighbridge_transport::Transport;

use crate::connection::{Closing, Protocols, turn_away};
use crate::counted::{Counted, Counter};
use crate::error::GatewayError;
use crate::handler::Handler;
use crate::limits::ConnectionLimits;
use crate::service::{GatewayService, Surface};

/// Makes the transport of a core, on its thread and inside its runtime.
pub(crate) type TransportFactory = Arc<dyn Fn(usize) -> Arc<dyn Transport> + Send + Sync>;

/// How long blocking work, such as resolving a name, may hold up the end of a core.
const BLOCKING_WORK_TIME: Duration = Duration::from_millis(100);

/// A socket that a core is to look after; counted until it is closed.
pub(crate) enum Arrival {
    /// A connection to serve.
    Welcome(TcpStream, IpAddr, Counted),
    /// A connection beyond the limit, to be told so.
    Surplus(TcpStream, Counted),
    /// The last of all: the runtime ends, and with it whatever still runs.
    Stop,
}

/// A core, as the other threads see it.
pub(crate) struct Core {
    arrivals: UnboundedSender<Arrival>,
    /// Open connections.
    pub(crate) connections: Counter,
    /// Open requests.
    pub(crate) requests: Counter,
    /// Tells the connections to close.
    pub(crate) closing: Arc<Closing>,
}

impl Core {
    /// Starts the thread, which runs until it is told to [`Core::stop`].
    pub(crate) fn start<H: Handler>(
        index: usize,
        surface: Arc<Surface<H>>,
        make_transport: TransportFactory,
        limits: ConnectionLimits,
    ) -> Result<(Self, JoinHandle<()>), GatewayError> {
        let name = format!("weighbridge-{index}");
        let failed = |source| GatewayError::Thread { thread: name.clone(), source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (sender, arrivals) = mpsc::unbounded_channel();
        let core = Self {
            arrivals: sender,
            connections: Counter::default(),
            requests: Counter::default(),
            closing: Arc::default(),
        };
        let (requests, closing) = (core.requests.clone(), core.closing.clone());
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            runtime.block_on(async {
                let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                let service = GatewayService::new(surface, make_transport(index), requests, nobody);
                serve(arrivals, service, limits, closing).await;
            });
            runtime.shutdown_timeout(BLOCKING_WORK_TIME);
        });
        Ok((core, thread.map_err(failed)?))
    }

    /// Hands a socket over.
    pub(crate) fn receive(&self, arrival: Arrival) {
        // Fails only when the core has stopped, and then the socket closes.
        let _ = self.arrivals.send(arrival);
    }

    /// Ends the core with whatever still runs on it.
    pub(crate) fn stop(&self) {
        self.receive(Arrival::Stop);
    }
}

async fn serve<H: Handler>(
    mut arrivals: UnboundedReceiver<Arrival>,
    service: GatewayService<H>,
    limits: ConnectionLimits,
    closing: Arc<Closing>,
) {
    let protocols = Arc::new(Protocols::new(limits));
    while let Some(arrival) = arrivals.recv().await {
        match arrival {
            Arrival::Welcome(socket, peer, counted) => {
                let Some(socket) = registered(socket) else { continue };
                let (service, protocols, closing) =
                    (service.for_peer(peer), protocols.clone(), closing.clone());
                tokio::spawn(async move {
                    protocols.serve(socket, service, &closing).await;
                    drop(counted);
                });
            }
            Arrival::Surplus(socket, counted) => {
                let Some(socket) = registered(socket) else { continue };
                tokio::spawn(async move {
                    turn_away(socket).await;
                    drop(counted);
                });
            }
            Arrival::Stop => return,
        }
    }
}

/// The socket under this thread's runtime.
fn registered(socket: TcpStream) -> Option<tokio::net::TcpStream> {
    let registered = || -> io::Result<_> {
        let socket = tokio::net::TcpStream::from_std(socket)?;
        // An answer in two writes would wait 40 ms for the client's delayed acknowledgement.
        socket.set_nodelay(true)?;
        Ok(socket)
    };
    registered().inspect_err(|error| tracing::warn!(%error, "a connection cannot be served")).ok()
}
