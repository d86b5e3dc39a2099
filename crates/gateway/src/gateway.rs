//! A running gateway, how it is set up, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use weighbridge_transport::Transport;

use crate::acceptor::{Acceptor, listen};
use crate::core_thread::{Core, TransportFactory};
use crate::counted::Counter;
use crate::error::GatewayError;
use crate::handler::Handler;
use crate::limits::ConnectionLimits;
use crate::service::{GatewayService, MetricsPage, Surface};

/// How often a drain looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(5);

/// Sets up a gateway. What is not said has the default that its method names.
pub struct GatewayBuilder<H> {
    handler: H,
    addresses: Vec<SocketAddr>,
    workers: Option<usize>,
    limits: ConnectionLimits,
    transport: Option<TransportFactory>,
    metrics: Option<MetricsPage>,
}

impl<H: Handler> GatewayBuilder<H> {
    /// Listens on `address` (port 0: any free one), and on those of earlier calls.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// How many cores serve requests; as many as the machine has, if not said.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers.max(1));
        self
    }

    /// Bounds on connections.
    #[must_use]
    pub fn limits(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the transport of each core. It is called with the core's number, on the core's thread
    /// and inside its runtime, so it may also start tasks there.
    #[must_use]
    pub fn transport(mut self, make: impl Fn(usize) -> Arc<dyn Transport> + Send + Sync + 'static) -> Self {
        self.transport = Some(Arc::new(make));
        self
    }

    /// Serves what `write` writes, in the OpenMetrics text format, at `path`. Without
    /// authentication: leave it out where the listener is public.
    #[must_use]
    pub fn metrics(
        mut self,
        path: impl Into<String>,
        write: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.metrics = Some(MetricsPage { path: path.into(), write: Arc::new(write) });
        self
    }

    /// The gateway as a hyper service over one transport, for mounting into a server of one's own.
    /// Addresses, workers and connection limits have no effect on it.
    pub fn service(self, transport: Arc<dyn Transport>, peer: std::net::IpAddr) -> GatewayService<H> {
        GatewayService::new(self.surface(), transport, Counter::default(), peer)
    }

    /// Listens, and starts the threads. Requests are served when this returns.
    ///
    /// # Errors
    /// A [`GatewayError`] where something is missing, an address is taken, or no thread is to be had.
    pub fn start(mut self) -> Result<Gateway<H>, GatewayError> {
        let make_transport = self.transport.take().ok_or(GatewayError::NoTransport)?;
        if self.addresses.is_empty() {
            return Err(GatewayError::NoAddress);
        }
        let listeners =
            self.addresses.iter().map(|address| listen(*address)).collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners
            .iter()
            .zip(&self.addresses)
            .map(|(listener, asked)| listener.local_addr().unwrap_or(*asked))
            .collect();
        let workers =
            self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
        let limits = self.limits;
        let surface = self.surface();
        let mut cores = Vec::with_capacity(workers);
        let mut threads = Vec::with_capacity(workers + 1);
        for index in 0..workers {
            let (core, thread) = Core::start(index, surface.clone(), make_transport.clone(), limits)?;
            cores.push(core);
            threads.push(thread);
        }
        let cores: Arc<[Core]> = cores.into();
        let (stop_accepting, stop) = oneshot::channel();
        let acceptor = Acceptor {
            cores: cores.clone(),
            most_connections: limits.connections,
            surplus: Counter::default(),
        };
        let accepting = acceptor.start(listeners, stop)?;
        Ok(Gateway { surface, cores, addresses, accepting: Some((stop_accepting, accepting)), threads })
    }

    fn surface(self) -> Arc<Surface<H>> {
        let (handler, metrics) = (self.handler, self.metrics);
        Arc::new(Surface { handler, metrics, draining: AtomicBool::new(false) })
    }
}

/// A gateway that serves requests, until [`Gateway::shutdown`] or until it is dropped.
pub struct Gateway<H: Handler> {
    surface: Arc<Surface<H>>,
    cores: Arc<[Core]>,
    addresses: Vec<SocketAddr>,
    accepting: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    threads: Vec<JoinHandle<()>>,
}

impl<H: Handler> Gateway<H> {
    /// Begins to set up a gateway over `handler`, usually a pipeline.
    pub fn builder(handler: H) -> GatewayBuilder<H> {
        GatewayBuilder {
            handler,
            addresses: Vec::new(),
            workers: None,
            limits: ConnectionLimits::default(),
            transport: None,
            metrics: None,
        }
    }

    /// The addresses that it listens on, with the ports that were found.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What answers the requests.
    pub fn handler(&self) -> &H {
        &self.surface.handler
    }

    /// Open connections, over all cores.
    pub fn open_connections(&self) -> usize {
        self.cores.iter().map(|core| core.connections.get()).sum()
    }

    /// Requests that are being answered, streams included.
    pub fn open_requests(&self) -> usize {
        self.cores.iter().map(|core| core.requests.get()).sum()
    }

    /// Ends the gateway in order: no new connections, no new work on those that are open, then
    /// every answer to its end, as long as that takes no longer than `patience`.
    ///
    /// Needs a tokio runtime with time, which is not one of the gateway's.
    pub async fn shutdown(mut self, patience: Duration) -> DrainReport {
        let began = Instant::now();
        let left = |began: Instant| began.elapsed() < patience;
        self.surface.draining.store(true, Ordering::Release);
        self.surface.handler.drain();
        self.stop_accepting();
        // Those whose clients have left are worked on to the end as well.
        let open = || self.open_requests() + self.surface.handler.lingering();
        let requests_at_start = open();
        while open() > 0 && left(began) {
            tokio::time::sleep(DRAIN_STEP).await;
        }
        // What is written last may still be on its way to the client: connections close themselves.
        self.cores.iter().for_each(|core| core.closing.tell());
        while self.open_connections() > 0 && left(began) {
            tokio::time::sleep(DRAIN_STEP).await;
        }
        let report = DrainReport {
            requests_at_start,
            requests_cut: open(),
            connections_cut: self.open_connections(),
            took: began.elapsed(),
        };
        self.stop();
        report
    }

    fn stop_accepting(&mut self) {
        if let Some((stop, thread)) = self.accepting.take() {
            let _ = stop.send(());
            joined(thread);
        }
    }

    fn stop(&mut self) {
        self.stop_accepting();
        self.cores.iter().for_each(Core::stop);
        self.threads.drain(..).for_each(joined);
    }
}

impl<H: Handler> Drop for Gateway<H> {
    /// Ends at once, with whatever still runs.
    fn drop(&mut self) {
        self.stop();
    }
}

fn joined(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the gateway ended by a panic");
    }
}

/// How a gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Requests that were being answered when the end began.
    pub requests_at_start: usize,
    /// Requests that were still being answered when the patience ran out, and were cut off.
    pub requests_cut: usize,
    /// Connections that were still open then.
    pub connections_cut: usize,
    /// How long it took.
    pub took: Duration,
}
