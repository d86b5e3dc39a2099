//! Bounds on what connections may take.

use std::time::Duration;

/// Bounds on connections and on the heads of requests. The bounds on bodies are the pipeline's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once, over all cores; more are told 503 and closed.
    pub connections: usize,
    /// Largest head of a request, in bytes; a larger one is answered with 431. At least 8192. It
    /// may have 100 header lines.
    pub head_bytes: usize,
    /// Longest time for the head of a request, counted from the end of the previous answer: an
    /// unfinished head is answered with 408, an idle connection is closed.
    pub head_time: Duration,
    /// Longest time in which a client may take nothing of what is ready for it.
    pub write_time: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            head_bytes: 64 * 1024,
            head_time: Duration::from_secs(60),
            write_time: Duration::from_secs(60),
            streams: 128,
        }
    }
}
