//! Connections that wait for the next request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use weighbridge_transport::Rope;

use crate::Origin;

/// One connection, up and without a request in flight.
///
/// Dropping it closes the connection politely: its task sees that no more requests can come.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Rope>,
    /// The task that moves the bytes.
    pub(crate) task: AbortHandle,
}

/// Kept-alive connections by origin, the most recently used at the end.
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    idle_timeout: Duration,
    idle_per_origin: usize,
}

#[derive(Default)]
struct Idle {
    /// One entry for each origin in use: a handful, searched one by one.
    by_origin: Vec<(Origin, Vec<(Connection, Instant)>)>,
    /// The task that closes what nobody uses any more; finished, or of a runtime that is gone,
    /// while there is nothing to close.
    sweeper: Option<AbortHandle>,
}

impl Idle {
    fn of_origin(&mut self, origin: Origin) -> &mut Vec<(Connection, Instant)> {
        let at = self.by_origin.iter().position(|(known, _)| *known == origin).unwrap_or_else(|| {
            self.by_origin.push((origin, Vec::new()));
            self.by_origin.len() - 1
        });
        &mut self.by_origin[at].1
    }
}

impl Pool {
    pub(crate) fn new(idle_timeout: Duration, idle_per_origin: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), idle_timeout, idle_per_origin })
    }

    /// The most recently used connection to `origin` that can take a request now.
    ///
    /// The most recent one has the best chance to be alive still, and the others get a chance to
    /// grow old and go.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.lock();
        let (_, connections) = idle.by_origin.iter_mut().find(|(known, _)| known == origin)?;
        // One that is not ready may still be busy with the rest of a request whose answer came
        // early: it stays until it is ready, or too old.
        let ready = connections.iter().rposition(|(connection, _)| connection.sender.is_ready())?;
        let (connection, since) = connections.remove(ready);
        (since.elapsed() < self.idle_timeout).then_some(connection)
    }

    /// Keeps a connection for the next request to `origin`.
    pub(crate) fn put(self: &Arc<Self>, origin: Origin, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.lock();
        let connections = idle.of_origin(origin);
        if connections.len() >= self.idle_per_origin {
            connections.remove(0);
        }
        connections.push((connection, Instant::now()));
        if idle.sweeper.as_ref().is_none_or(AbortHandle::is_finished) {
            let sweep = sweep_until_empty(Arc::downgrade(self), self.idle_timeout / 2);
            idle.sweeper = Some(tokio::spawn(sweep).abort_handle());
        }
    }

    /// Closes what is too old or was closed by the other side; whether anything is left.
    fn sweep(&self) -> bool {
        let mut idle = self.lock();
        idle.by_origin.retain_mut(|(_, connections)| {
            connections.retain(|(connection, since)| {
                !connection.sender.is_closed() && since.elapsed() < self.idle_timeout
            });
            !connections.is_empty()
        });
        if idle.by_origin.is_empty() {
            idle.sweeper = None;
        }
        !idle.by_origin.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep_until_empty(pool: Weak<Pool>, interval: Duration) {
    loop {
        tokio::time::sleep(interval.max(Duration::from_millis(1))).await;
        match pool.upgrade() {
            Some(pool) if pool.sweep() => {}
            _ => return,
        }
    }
}

/// A connection on loan to one request.
///
/// [`Lease::give_back`] keeps it; dropping the lease instead cuts the connection off, which is how
/// the provider learns that nobody waits for the answer any more.
pub(crate) struct Lease {
    connection: Option<Connection>,
    origin: Origin,
    pool: Arc<Pool>,
}

impl Lease {
    pub(crate) fn new(connection: Connection, origin: Origin, pool: Arc<Pool>) -> Self {
        Self { connection: Some(connection), origin, pool }
    }

    /// The answer was read to its end: the connection may serve another request.
    pub(crate) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put(self.origin.clone(), connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.task.abort();
        }
    }
}
