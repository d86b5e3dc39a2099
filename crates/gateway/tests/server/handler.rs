//! A handler whose paths each show one behaviour.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use weighbridge_gateway::{BoxError, ConnectionLimits, Gateway, GatewayBuilder, Handler};
use weighbridge_transport::{BoxFuture, ByteStream, Passage, Rope, Transport, TransportError};

/// What the paths do:
/// `/echo` sends the body back, `/peer` the peer and thread, `/panic` panics, `/wait` waits to be
/// released, `/stream` sends a piece at each release (an empty permit count ends nothing: three
/// pieces end it), `/flood` sends for ever, `/switch` leaves HTTP and then sends back what comes, `/torrent` leaves
/// it and sends for ever.
#[derive(Clone, Default)]
pub(crate) struct Paths {
    pub(crate) state: Arc<State>,
}

pub(crate) struct State {
    pub(crate) release: Semaphore,
    pub(crate) waiting: AtomicUsize,
    pub(crate) left: AtomicUsize,
    /// What is worked on although its client has left.
    pub(crate) lingering: AtomicUsize,
    pub(crate) draining: AtomicBool,
    pub(crate) sick: AtomicBool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            release: Semaphore::new(0),
            waiting: AtomicUsize::default(),
            left: AtomicUsize::default(),
            lingering: AtomicUsize::default(),
            draining: AtomicBool::default(),
            sick: AtomicBool::default(),
        }
    }
}

impl State {
    /// Waits until `count` requests wait to be released.
    pub(crate) async fn waiting(&self, count: usize) {
        until(|| self.waiting.load(Ordering::SeqCst) >= count).await;
    }

    /// Waits until `count` clients were seen leaving.
    pub(crate) async fn left(&self, count: usize) {
        until(|| self.left.load(Ordering::SeqCst) >= count).await;
    }
}

pub(crate) async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
}

/// Counts as left unless it is defused.
pub(crate) struct Leaving(Option<Arc<State>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(state) = &self.0 {
            state.left.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Handler for Paths {
    type Body = Pieces;

    async fn handle<B>(&self, _: &Arc<dyn Transport>, request: Request<B>, peer: IpAddr) -> Response<Pieces>
    where
        B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send,
    {
        if self.state.draining.load(Ordering::SeqCst) {
            let mut refused = Response::new(Pieces::whole("draining"));
            *refused.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return refused;
        }
        match request.uri().path() {
            "/echo" => {
                let body = std::pin::pin!(request.into_body()).collect().await;
                let text = body.map_err(|error| error.into().to_string()).unwrap().to_bytes();
                Response::new(Pieces::whole(text))
            }
            "/peer" => {
                Response::new(Pieces::whole(format!("{peer} {}", std::thread::current().name().unwrap())))
            }
            "/panic" => panic!("a bug, on purpose"),
            "/wait" => {
                let mut leaving = Leaving(Some(self.state.clone()));
                self.state.waiting.fetch_add(1, Ordering::SeqCst);
                self.state.release.acquire().await.unwrap().forget();
                leaving.0 = None;
                Response::new(Pieces::whole("released"))
            }
            "/switch" => switched(self.state.clone(), true),
            "/torrent" => switched(self.state.clone(), false),
            "/stream" => Response::new(Pieces::released(self.state.clone())),
            "/flood" => Response::new(Pieces::Flood { _leaving: Leaving(Some(self.state.clone())) }),
            _ => {
                let mut missing = Response::new(Pieces::whole("no such path"));
                *missing.status_mut() = StatusCode::NOT_FOUND;
                missing
            }
        }
    }

    fn lingering(&self) -> usize {
        self.state.lingering.load(Ordering::SeqCst)
    }

    async fn ready(&self) -> Result<(), String> {
        if self.state.sick.load(Ordering::SeqCst) { Err("the store is down".to_owned()) } else { Ok(()) }
    }

    fn drain(&self) {
        self.state.draining.store(true, Ordering::SeqCst);
    }
}

/// An answer that leaves HTTP.
fn switched(state: Arc<State>, echoes: bool) -> Response<Pieces> {
    let passage = Passage::new(move |mut client| {
        Box::pin(async move {
            let mut leaving = Leaving(Some(state));
            let mut space = [b'x'; 1024];
            let mut length = space.len();
            loop {
                if echoes {
                    length = poll_fn(|cx| client.as_mut().poll_read(cx, &mut space)).await.unwrap_or(0);
                }
                if length == 0 {
                    leaving.0 = None;
                    let _ = poll_fn(|cx| client.as_mut().poll_shutdown(cx)).await;
                    return;
                }
                let mut at = 0;
                while at < length {
                    let writing = poll_fn(|cx| client.as_mut().poll_write(cx, &space[at..length]));
                    let Ok(written) = writing.await else { return };
                    at += written;
                }
            }
        })
    });
    let head = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "websocket");
    head.extension(passage).body(Pieces::Whole(None)).unwrap()
}

pub(crate) enum Pieces {
    Whole(Option<Bytes>),
    /// Three pieces, each after a release.
    Released {
        state: Arc<State>,
        sent: usize,
        waiting: Option<BoxFuture<'static, ()>>,
        leaving: Leaving,
    },
    Flood {
        _leaving: Leaving,
    },
}

impl Pieces {
    fn whole(text: impl Into<Bytes>) -> Self {
        Self::Whole(Some(text.into()))
    }

    fn released(state: Arc<State>) -> Self {
        Self::Released { leaving: Leaving(Some(state.clone())), state, sent: 0, waiting: None }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Whole(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Flood { .. } => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024]))))),
            Self::Released { leaving, sent: 3, .. } => {
                leaving.0 = None;
                Poll::Ready(None)
            }
            Self::Released { state, sent, waiting, .. } => {
                let wait = waiting.get_or_insert_with(|| {
                    let state = state.clone();
                    state.waiting.fetch_add(1, Ordering::SeqCst);
                    Box::pin(async move { state.release.acquire().await.unwrap().forget() })
                });
                std::task::ready!(wait.as_mut().poll(cx));
                (*waiting, *sent) = (None, *sent + 1);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(format!("piece {sent}"))))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            _ => SizeHint::default(),
        }
    }
}

/// A transport that no test here needs.
pub(crate) struct Nowhere;

impl Transport for Nowhere {
    fn send(
        &self,
        _: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(std::future::pending())
    }
}

pub(crate) fn builder(handler: Paths) -> GatewayBuilder<Paths> {
    Gateway::builder(handler)
        .listen("127.0.0.1:0".parse().unwrap())
        .workers(2)
        .transport(|_| Arc::new(Nowhere))
        .metrics("/metrics", || "weighbridge_up 1\n# EOF\n".to_owned())
}

pub(crate) fn start() -> (Gateway<Paths>, Arc<State>) {
    start_with(ConnectionLimits::default())
}

pub(crate) fn start_with(limits: ConnectionLimits) -> (Gateway<Paths>, Arc<State>) {
    let paths = Paths::default();
    let state = paths.state.clone();
    (builder(paths).limits(limits).start().unwrap(), state)
}
