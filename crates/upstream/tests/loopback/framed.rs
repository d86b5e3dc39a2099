//! A provider that speaks HTTP/2 frame by frame, so that it can do what no library would let it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` of the static table (<https://www.rfc-editor.org/rfc/rfc7541#appendix-A>).
const OK: u8 = 0x88;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A head of 200 with these headers, as literals.
pub(crate) fn head(stream: u32, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![OK];
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    frame(HEADERS, END_HEADERS, stream, &block)
}

pub(crate) fn data(stream: u32, text: &str) -> Vec<u8> {
    frame(DATA, 0, stream, text.as_bytes())
}

pub(crate) fn end(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, b"")
}

pub(crate) fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &reason.to_be_bytes())
}

pub(crate) fn go_away(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

/// The whole answer 200 with this body.
pub(crate) fn whole(stream: u32, text: &str) -> Vec<u8> {
    [head(stream, &[]), data(stream, text), end(stream)].concat()
}

/// What is sent once a request has come in whole; `None` closes the connection. It is told the stream.
pub(crate) type Reply = Box<dyn FnOnce(u32) -> Option<Vec<u8>> + Send>;

pub(crate) fn reply(make: impl FnOnce(u32) -> Vec<u8> + Send + 'static) -> Reply {
    Box::new(|stream| Some(make(stream)))
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    /// Number of its connection, and its body.
    requests: Vec<(usize, String)>,
    connections: usize,
    /// What else came: kind, stream and payload.
    frames: Vec<(u8, u32, Vec<u8>)>,
    /// Connections up to this number are answered nothing any more, not even that somebody is there.
    dead: usize,
    /// Connections that the client has closed.
    closed: usize,
}

pub(crate) struct Framed {
    port: u16,
    state: Arc<Mutex<State>>,
    accepting: AbortHandle,
}

impl Framed {
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_with(script, None, Vec::new()).await
    }

    /// One that speaks TLS, or has settings of its own.
    pub(crate) async fn start_with(
        script: impl IntoIterator<Item = Reply>,
        tls: Option<TlsAcceptor>,
        settings: Vec<u8>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = script.into_iter().collect();
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls, settings) = (Arc::clone(&shared), tls.clone(), settings.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, &state, &settings).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => converse(stream, &state, &settings).await,
                            Err(_) => None,
                        },
                    };
                    state.lock().unwrap().closed += 1;
                });
            }
        });
        Self { port, state, accepting: accepting.abort_handle() }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<(usize, String)> {
        self.state.lock().unwrap().requests.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Says nothing more on the connections that there are, without closing them.
    pub(crate) fn vanish(&self) {
        let mut state = self.state.lock().unwrap();
        state.dead = state.connections;
    }

    /// Waits until so many requests have come.
    pub(crate) async fn was_asked(&self, requests: usize) {
        let asking = async {
            while self.requests().len() < requests {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(5), asking).await.unwrap();
    }

    /// Waits until the client has closed so many connections.
    pub(crate) async fn was_closed(&self, connections: usize) {
        let closing = async {
            while self.state.lock().unwrap().closed < connections {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(5), closing).await.unwrap();
    }

    /// Frames of a kind that came, without those that speak of the whole connection if a stream is wanted.
    pub(crate) fn frames(&self, kind: u8, stream: u32) -> Vec<Vec<u8>> {
        let state = self.state.lock().unwrap();
        let fits = state.frames.iter().filter(|(of, on, _)| *of == kind && *on == stream);
        fits.map(|(_, _, payload)| payload.clone()).collect()
    }

    /// Waits until a stream is reset, and gives the reason.
    pub(crate) async fn was_reset(&self, stream: u32) -> u32 {
        let payload = self.came(RST_STREAM, stream).await;
        u32::from_be_bytes(payload.try_into().unwrap())
    }

    /// Waits for a frame.
    pub(crate) async fn came(&self, kind: u8, stream: u32) -> Vec<u8> {
        let coming = async {
            loop {
                if let Some(payload) = self.frames(kind, stream).pop() {
                    return payload;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(5), coming).await.unwrap()
    }
}

impl Drop for Framed {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn converse<S>(mut stream: S, state: &Mutex<State>, settings: &[u8]) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = {
        let mut state = state.lock().unwrap();
        state.connections += 1;
        state.connections
    };
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.ok()?;
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.ok()?;
    let mut bodies = std::collections::HashMap::<u32, String>::new();
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await.ok()?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let (kind, flags) = (header[3], header[4]);
        let on = u32::from_be_bytes(header[5..].try_into().unwrap());
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        let is_acknowledged = flags & 1 == 1;
        match kind {
            HEADERS => drop(bodies.insert(on, String::new())),
            DATA => bodies.get_mut(&on)?.push_str(std::str::from_utf8(&payload).unwrap()),
            SETTINGS if !is_acknowledged => {
                stream.write_all(&frame(SETTINGS, 1, 0, b"")).await.ok()?;
                state.lock().unwrap().frames.push((kind, on, payload));
            }
            PING if !is_acknowledged => {
                let is_dead = {
                    let mut state = state.lock().unwrap();
                    state.frames.push((kind, on, payload.clone()));
                    connection <= state.dead
                };
                if !is_dead {
                    stream.write_all(&frame(PING, 1, 0, &payload)).await.ok()?;
                }
            }
            _ => state.lock().unwrap().frames.push((kind, on, payload)),
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM == END_STREAM {
            let reply = {
                let mut state = state.lock().unwrap();
                state.requests.push((connection, bodies.remove(&on)?));
                state.script.pop_front()
            };
            // Without a reply, silence.
            if let Some(reply) = reply {
                stream.write_all(&reply(on)?).await.ok()?;
                stream.flush().await.ok()?;
            }
        }
    }
}
