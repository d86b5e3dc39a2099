//! Connections that wait for the next request, or carry several at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use weighbridge_transport::Rope;

/// Most streams on one connection: what servers allow at least, as a rule
/// (<https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2>). Where there are more requests, another
/// connection joins.
pub(crate) const STREAMS: usize = 100;

/// An HTTP/1.1 connection, up and without a request in flight.
///
/// Dropping it closes the connection politely: its task sees that no more requests can come.
pub(crate) struct Connection {
    pub(crate) sender: http1::SendRequest<Rope>,
    /// The task that moves the bytes.
    pub(crate) task: AbortHandle,
    pub(crate) born: Instant,
}

/// An HTTP/2 connection, which carries any number of requests up to the server's limit. It closes once
/// nobody holds its sender and its last stream has ended.
pub(crate) struct Shared {
    pub(crate) sender: http2::SendRequest<Rope>,
    /// How many streams the server allows, as of the latest request.
    pub(crate) most: Arc<AtomicUsize>,
    /// One more for each stream.
    streams: Arc<()>,
    born: Instant,
    used: Instant,
}

impl Shared {
    pub(crate) fn new(sender: http2::SendRequest<Rope>, most: Arc<AtomicUsize>) -> Self {
        let now = Instant::now();
        Self { sender, most, streams: Arc::default(), born: now, used: now }
    }

    fn open(&self) -> usize {
        Arc::strong_count(&self.streams) - 1
    }

    fn has_room(&self) -> bool {
        self.open() < self.most.load(Ordering::Relaxed).clamp(1, STREAMS)
    }

    fn lend(&mut self, now: Instant) -> Loan {
        self.used = now;
        Loan { sender: self.sender.clone(), stream: Stream(Arc::clone(&self.streams)) }
    }
}

/// A place on a shared connection.
pub(crate) struct Loan {
    pub(crate) sender: http2::SendRequest<Rope>,
    pub(crate) stream: Stream,
}

/// Counts as one stream until it is dropped.
pub(crate) struct Stream(#[expect(dead_code, reason = "it is counted by being there")] Arc<()>);

/// What takes a request.
pub(crate) enum Taken {
    Own(Connection),
    Shared(Loan),
}

/// One connection is made at a time where it may serve all who wait for it.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// The server has chosen HTTP/1.1, where everybody takes a connection of their own.
    pub(crate) is_http1: AtomicBool,
    failures: Mutex<(u64, String)>,
}

impl Gate {
    /// How many attempts have failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Why the latest attempt failed, if it did so after there were `failures`: who waited for it shares it.
    pub(crate) fn failed_since(&self, failures: u64) -> Option<String> {
        let latest = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        (latest.0 > failures).then(|| latest.1.clone())
    }

    pub(crate) fn note(&self, error: &str) {
        let mut latest = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = (latest.0 + 1, error.to_owned());
    }
}

/// How long connections are kept.
#[derive(Clone, Copy)]
pub(crate) struct Keeping {
    /// How long one may wait for its next request.
    pub(crate) idle: Duration,
    /// How old one may be and still take a request.
    pub(crate) age: Duration,
    /// Most that wait for each origin.
    pub(crate) per_origin: usize,
}

/// Kept connections by the number of their peer, the most recently used at the end.
pub(crate) struct Pool {
    lines: Mutex<Lines>,
    keeping: Keeping,
}

#[derive(Default)]
struct Lines {
    /// One for each origin in use: a handful, searched one by one.
    lines: Vec<Line>,
    /// The task that closes what nobody uses any more; finished, or of a runtime that is gone,
    /// while there is nothing to close.
    sweeper: Option<AbortHandle>,
}

struct Line {
    peer: u32,
    idle: Vec<(Connection, Instant)>,
    shared: Vec<Shared>,
    gate: Arc<Gate>,
}

impl Lines {
    fn of(&mut self, peer: u32) -> &mut Line {
        let at = self.lines.iter().position(|line| line.peer == peer).unwrap_or_else(|| {
            self.lines.push(Line { peer, idle: Vec::new(), shared: Vec::new(), gate: Arc::default() });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }
}

impl Pool {
    pub(crate) fn new(keeping: Keeping) -> Arc<Self> {
        Arc::new(Self { lines: Mutex::default(), keeping })
    }

    /// A connection to `peer` that can take a request now: one that is shared, or else the most recently
    /// used one.
    ///
    /// The most recent one has the best chance to be alive still, and the others get a chance to
    /// grow old and go.
    pub(crate) fn take(&self, peer: u32) -> Option<Taken> {
        let mut lines = self.lock();
        let line = lines.lines.iter_mut().find(|line| line.peer == peer)?;
        let now = Instant::now();
        if !line.shared.is_empty() {
            let age = self.keeping.age;
            line.shared.retain(|shared| !shared.sender.is_closed() && now - shared.born < age);
            if let Some(shared) = line.shared.iter_mut().find(|shared| shared.has_room()) {
                return Some(Taken::Shared(shared.lend(now)));
            }
        }
        // One that is not ready may still be busy with the rest of a request whose answer came
        // early: it stays until it is ready, or too old.
        let ready = line.idle.iter().rposition(|(connection, _)| connection.sender.is_ready())?;
        let (connection, since) = line.idle.remove(ready);
        (now - since < self.keeping.idle).then_some(Taken::Own(connection))
    }

    /// Keeps a connection for the next request to `peer`, unless it is too old: a new one asks for the
    /// peer's address again.
    pub(crate) fn put(self: &Arc<Self>, peer: u32, connection: Connection) {
        let now = Instant::now();
        if connection.sender.is_closed() || now - connection.born >= self.keeping.age {
            return;
        }
        let mut lines = self.lock();
        let idle = &mut lines.of(peer).idle;
        if idle.len() >= self.keeping.per_origin {
            idle.remove(0);
        }
        idle.push((connection, now));
        self.keep_sweeping(&mut lines);
    }

    /// Keeps a connection for all requests to `peer`, and lends it for the first one.
    pub(crate) fn share(self: &Arc<Self>, peer: u32, mut shared: Shared) -> Loan {
        let loan = shared.lend(Instant::now());
        let mut lines = self.lock();
        lines.of(peer).shared.push(shared);
        self.keep_sweeping(&mut lines);
        loan
    }

    pub(crate) fn gate(&self, peer: u32) -> Arc<Gate> {
        Arc::clone(&self.lock().of(peer).gate)
    }

    fn keep_sweeping(self: &Arc<Self>, lines: &mut Lines) {
        if lines.sweeper.as_ref().is_none_or(AbortHandle::is_finished) {
            let sweep = sweep_until_empty(Arc::downgrade(self), self.keeping.idle / 2);
            lines.sweeper = Some(tokio::spawn(sweep).abort_handle());
        }
    }

    /// Closes what is too old or was closed by the other side; whether anything is left.
    fn sweep(&self) -> bool {
        let mut lines = self.lock();
        let (now, keeping) = (Instant::now(), self.keeping);
        lines.lines.retain_mut(|line| {
            line.idle.retain(|(connection, since)| {
                !connection.sender.is_closed()
                    && now - *since < keeping.idle
                    && now - connection.born < keeping.age
            });
            line.shared.retain_mut(|shared| {
                if shared.open() > 0 {
                    shared.used = now;
                }
                !shared.sender.is_closed()
                    && now - shared.used < keeping.idle
                    && now - shared.born < keeping.age
            });
            !line.idle.is_empty() || !line.shared.is_empty()
        });
        if lines.lines.is_empty() {
            lines.sweeper = None;
        }
        !lines.lines.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What one request holds of a connection.
pub(crate) enum Lease {
    Own(OwnLease),
    Shared {
        #[expect(dead_code, reason = "it is counted by being there")]
        stream: Stream,
    },
}

impl Lease {
    /// The answer was read to its end: the connection may serve another request.
    pub(crate) fn give_back(self) {
        if let Self::Own(own) = self {
            own.give_back();
        }
    }
}

/// A connection on loan to one request.
///
/// Unless it is given back, dropping it cuts the connection off, which is how the provider learns that
/// nobody waits for the answer any more.
pub(crate) struct OwnLease {
    connection: Option<Connection>,
    peer: u32,
    pool: Arc<Pool>,
}

impl OwnLease {
    pub(crate) fn new(connection: Connection, peer: u32, pool: Arc<Pool>) -> Self {
        Self { connection: Some(connection), peer, pool }
    }

    fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put(self.peer, connection);
        }
    }
}

impl Drop for OwnLease {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.task.abort();
        }
    }
}
