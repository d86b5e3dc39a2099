//! Connections that stop speaking HTTP: websockets, above all.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use crate::{BoxFuture, ByteStream};

/// Bytes in both directions, each at its own pace. Dropping it closes the connection.
///
/// The methods are those of a socket, and promise what those do: whoever gets [`Poll::Pending`] is woken.
pub trait Duplex: Send {
    /// Reads into `space`; how many bytes, 0 at the end.
    ///
    /// # Errors
    /// Whatever broke the connection.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes of `bytes`; how many.
    ///
    /// # Errors
    /// Whatever broke the connection.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Sends what was written so far on its way.
    ///
    /// # Errors
    /// Whatever broke the connection.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be written; reading goes on.
    ///
    /// # Errors
    /// Whatever broke the connection.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A connection that was taken out of HTTP.
pub type Tunnel = Pin<Box<dyn Duplex>>;

/// What passes bytes between a client and a provider once both have left HTTP. It travels among the extensions of an
/// answer with status 101 to whoever has the client's connection. Where nobody takes it up, the provider's is closed.
///
/// ```
/// use weighbridge_transport::Passage;
///
/// let mut response = http::Response::new(());
/// *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
/// let passage = Passage::new(|client| Box::pin(async move { drop(client) }));
/// response.extensions_mut().insert(passage);
/// ```
#[derive(Clone)]
pub struct Passage(Arc<Mutex<Option<Run>>>);

type Run = Box<dyn FnOnce(Tunnel) -> BoxFuture<'static, ()> + Send>;

impl Passage {
    /// A passage that `run` makes, given the client's connection. The future ends once both connections are done with.
    pub fn new(run: impl FnOnce(Tunnel) -> BoxFuture<'static, ()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(run)))))
    }

    /// Begins with the client's connection, as it is behind the head of the answer. Of several clones one can; `None`
    /// to the others.
    pub fn begin(&self, client: Tunnel) -> Option<BoxFuture<'static, ()>> {
        let run = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        run.map(|run| run(client))
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passage")
    }
}

/// What a provider answered to a request for an upgrade.
pub enum Upgraded {
    /// It agreed: the head of its answer (101), and the connection.
    Switched(http::Response<()>, Tunnel),
    /// It answered as to any other request, with an error as a rule.
    Declined(http::Response<ByteStream>),
}

impl fmt::Debug for Upgraded {
    /// The status only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switched(head, _) => write!(f, "Switched({})", head.status()),
            Self::Declined(response) => write!(f, "Declined({})", response.status()),
        }
    }
}
