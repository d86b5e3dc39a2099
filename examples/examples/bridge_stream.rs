//! A bridge with hyper alone: clients of OpenAI's Chat Completions, a provider of Anthropic's Messages, and
//! between them a service that translates requests whole and answers as they stream.
//!
//! The provider below is a few lines that stream one answer, badly cut; a real one takes its place with
//! an address and a key. The example asks one question and ends.
//!
//! ```console
//! $ cargo run -p weighbridge-examples --example bridge_stream
//! ```

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use weighbridge_stream::{End, Framing, Relay, RelayOptions, RelayState, StreamForm};
use weighbridge_translate::{ApiError, RequestTarget, request};
use weighbridge_units::{ErrorClass, Protocol};

type BoxError = Box<dyn Error + Send + Sync>;

const CLIENT: Protocol = Protocol::OpenAiChat;
const PROVIDER: Protocol = Protocol::AnthropicMessages;
const MODEL: &str = "claude-haiku-4-5";

const QUESTION: &str = r#"{"model":"any","stream":true,"stream_options":{"include_usage":true},
    "messages":[{"role":"user","content":"What is 6 times 7?"}]}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let provider = listen(answer).await?;
    let bridge = listen(move |request| forward(provider, request)).await?;

    let question = Request::post("/v1/chat/completions").body(Full::new(Bytes::from(QUESTION)))?;
    let mut answer = send(bridge, question).await?.into_body();
    while let Some(frame) = answer.frame().await {
        if let Ok(piece) = frame?.into_data() {
            print!("{}", String::from_utf8_lossy(&piece));
        }
    }
    Ok(())
}

/// Translates one request, sends it to the provider, and bridges what streams back.
async fn forward(provider: SocketAddr, asked: Request<Incoming>) -> Result<Response<Bridged>, BoxError> {
    let asked = asked.into_body().collect().await?.to_bytes();
    let target = RequestTarget { max_output_default: 1024, ..RequestTarget::new(MODEL) };
    let translated = request(CLIENT, PROVIDER, std::str::from_utf8(&asked)?, &target)?;
    for loss in &translated.losses {
        eprintln!("the request lost {loss}");
    }
    let outbound = Request::post("/v1/messages").body(Full::new(Bytes::from(translated.value)))?;
    let upstream = send(provider, outbound).await?;
    let content_type = upstream.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let framing = Framing::of(content_type, PROVIDER).ok_or("the provider's answer is no stream")?;
    let relay = Relay::new(&RelayOptions {
        provider: PROVIDER,
        framing,
        client: CLIENT,
        hide_usage: false,
        show_usage: true,
        form: StreamForm::Events,
        id_fallback: "chatcmpl-1",
        model_fallback: MODEL,
        created: 1_700_000_000,
        request_id: "req_1",
        legacy_functions: false,
    });
    let body = Bridged { upstream: upstream.into_body(), relay: Some(relay), ready: VecDeque::new() };
    Ok(Response::builder().header(CONTENT_TYPE, "text/event-stream").body(body)?)
}

/// The body of the answer *is* the bridge: polled by the client's connection, it polls the provider's. A slow
/// client slows the provider, and one that leaves drops the connection to it.
struct Bridged {
    upstream: Incoming,
    /// `None` behind the end.
    relay: Option<Relay>,
    ready: VecDeque<Bytes>,
}

impl Body for Bridged {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            if let Some(piece) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let Some(relay) = &mut this.relay else { return Poll::Ready(None) };
            let cut = match ready!(Pin::new(&mut this.upstream).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        relay.push(piece, &mut this.ready);
                    }
                    if relay.state() == RelayState::Running {
                        continue;
                    }
                    None
                }
                Some(Err(error)) => Some(ApiError::new(ErrorClass::Server, error.to_string())),
                None => None,
            };
            // Terminal events, or the error event of the client's protocol.
            match relay.finish(cut, &mut this.ready) {
                End::Complete(facts) => eprintln!("ended well: {:?}", facts.usage),
                End::Broken(error, facts) => eprintln!("broke off: {error}: {:?}", facts.usage),
            }
            this.relay = None;
        }
    }
}

/// The provider: one answer, a few bytes at a time.
async fn answer(_: Request<Incoming>) -> Result<Response<Trickle>, BoxError> {
    let trickle = Trickle { rest: Bytes::from_static(ANSWER.as_bytes()), pause: None };
    Ok(Response::builder().header(CONTENT_TYPE, "text/event-stream").body(trickle)?)
}

const ANSWER: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":14,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"6 times 7 "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"is 42."}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":11}}

event: message_stop
data: {"type":"message_stop"}

"#;

struct Trickle {
    rest: Bytes,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Trickle {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
        }
        this.pause = Some(Box::pin(tokio::time::sleep(Duration::from_millis(1))));
        let piece = this.rest.split_to(this.rest.len().min(37));
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }
}

/// Serves on a port of its own.
async fn listen<F, R, B>(handle: F) -> Result<SocketAddr, BoxError>
where
    F: Fn(Request<Incoming>) -> R + Copy + Send + 'static,
    R: Future<Output = Result<Response<B>, BoxError>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(handle);
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// Sends one request over a connection of its own.
async fn send(to: SocketAddr, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, BoxError> {
    request.headers_mut().insert("host", to.to_string().parse()?);
    let (mut sender, connection) = handshake(TokioIo::new(TcpStream::connect(to).await?)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
