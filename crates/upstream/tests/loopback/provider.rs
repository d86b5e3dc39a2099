//! A provider on loopback that plays a script: one reply per request, over any connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What follows the bytes of a reply.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    ReadOn,
    Close,
    Reset,
    Silence,
}

pub(crate) struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

impl Reply {
    /// A whole answer; the connection stays open.
    pub(crate) fn ok(body: &str) -> Self {
        Self::raw(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    /// These bytes; the connection stays open.
    pub(crate) fn raw(bytes: impl Into<String>) -> Self {
        Self { bytes: bytes.into().into_bytes(), then: Then::ReadOn }
    }

    /// An answer with this header and this body of any bytes.
    pub(crate) fn with(header: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\n{header}\r\ncontent-length: {}\r\n\r\n", body.len());
        Self { bytes: [head.as_bytes(), body].concat(), then: Then::ReadOn }
    }

    /// Nothing but a reset.
    pub(crate) fn reset() -> Self {
        Self { bytes: Vec::new(), then: Then::Reset }
    }

    /// Nothing, for ever.
    pub(crate) fn silence() -> Self {
        Self::raw("").then_silence()
    }

    pub(crate) fn then_close(self) -> Self {
        Self { then: Then::Close, ..self }
    }

    pub(crate) fn then_silence(self) -> Self {
        Self { then: Then::Silence, ..self }
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    requests: Vec<String>,
    connections: usize,
}

pub(crate) struct Provider {
    port: u16,
    state: Arc<Mutex<State>>,
    closed: watch::Receiver<usize>,
    accepting: AbortHandle,
}

impl Provider {
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_with(script, None).await
    }

    /// One that speaks TLS.
    pub(crate) async fn start_tls(script: impl IntoIterator<Item = Reply>, tls: TlsAcceptor) -> Self {
        Self::start_with(script, Some(tls)).await
    }

    async fn start_with(script: impl IntoIterator<Item = Reply>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = script.into_iter().collect();
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let (on_close, closed) = watch::channel(0);
        let shared = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let (state, on_close) = (shared.clone(), on_close.clone());
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, &state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &state).await;
                            }
                        }
                    }
                    on_close.send_modify(|count| *count += 1);
                });
            }
        });
        Self { port, state, closed, accepting: accepting.abort_handle() }
    }

    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority())
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Waits until `count` connections are closed, and lets the client see it.
    pub(crate) async fn closed(&self, count: usize) {
        let mut closed = self.closed.clone();
        timeout(Duration::from_secs(5), closed.wait_for(|closed| *closed >= count)).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    /// Stops listening.
    pub(crate) async fn stop(&self) {
        self.accepting.abort();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A stream that can be closed by a reset instead of in order.
trait Reset {
    fn reset(self);
}

impl Reset for TcpStream {
    fn reset(self) {
        self.set_zero_linger().unwrap();
    }
}

impl Reset for TlsStream<TcpStream> {
    fn reset(self) {
        self.get_ref().0.set_zero_linger().unwrap();
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Reset + Unpin>(mut stream: S, state: &Mutex<State>) {
    let mut received = Vec::new();
    loop {
        let request = loop {
            if let Some(end) = request_end(&received) {
                break received.drain(..end).collect::<Vec<_>>();
            }
            match stream.read_buf(&mut received).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let reply = {
            let mut state = state.lock().unwrap();
            state.requests.push(String::from_utf8(request).unwrap());
            state.script.pop_front()
        };
        let Some(reply) = reply else { return };
        if stream.write_all(&reply.bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        match reply.then {
            Then::ReadOn => {}
            Then::Close => {
                let _ = stream.shutdown().await;
                return;
            }
            Then::Reset => return stream.reset(),
            Then::Silence => {
                let _ = stream.read_buf(&mut received).await;
                return;
            }
        }
    }
}

fn request_end(received: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(received).unwrap();
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head]
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    (received.len() >= head + length).then_some(head + length)
}
