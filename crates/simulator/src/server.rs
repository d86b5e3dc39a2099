//! A simulated provider on a TCP listener, with control routes beside the vendor's API.
//!
//! | route | does |
//! |---|---|
//! | `POST /__sim/faults` | queues faults: `{"faults": [{"kind": "status", "code": 503, "when": "text", "times": 2}]}` |
//! | `DELETE /__sim/faults` | forgets faults |
//! | `POST /__sim/mix` | random faults: `{"seed": 1, "faults": [{"kind": "reset", "per_ten_thousand": 50}]}` |
//! | `GET /__sim/invoice` | the invoice |
//! | `GET /__sim/requests` | the last requests received |
//! | `GET /__sim/state` | `{"requests": 12, "open": 0}` |
//! | `POST /__sim/forget` | empties invoice and requests |
//!
//! Kinds of faults and their fields are those of [`Fault`] in kebab case: `reset`, `status` (`code`,
//! `retry_after`), `html` (`code`), `cut-mid-stream` (`after_frames`), `slow-head` (`ms`), …

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use weighbridge_transport::TransportError;

use crate::{Fault, FaultMix, InvoiceLine, ReceivedRequest, Simulator};

type ServedBody = UnsyncBoxBody<Bytes, TransportError>;

/// Why a control request is refused.
#[derive(Debug, Error)]
enum ControlError {
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("no list `faults`")]
    NoFaults,
    #[error("fault {0} has no kind that is known, or lacks a field; see crates/simulator/src/server.rs")]
    Fault(Value),
}

impl Simulator {
    /// Serves the vendor's API and the control routes until `shutdown` is ready; connections under
    /// way are then dropped.
    ///
    /// # Errors
    /// None at present: a connection that cannot be accepted is left, and the next one awaited.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        self.serve_by(listener, None, shutdown).await
    }

    /// The same over TLS: in HTTP/2 where the handshake chose it, else in HTTP/1.1.
    ///
    /// # Errors
    /// As [`Simulator::serve`].
    pub async fn serve_tls(
        &self,
        listener: TcpListener,
        tls: TlsAcceptor,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        self.serve_by(listener, Some(tls), shutdown).await
    }

    async fn serve_by(
        &self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let mut shutdown = pin!(shutdown);
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut shutdown => return Ok(()),
            };
            while connections.try_join_next().is_some() {}
            let Ok((socket, _)) = accepted else {
                // Out of sockets, perhaps: some will be closed soon.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            // Where this fails, the connection is already gone.
            let _ = socket.set_nodelay(true);
            let (simulator, tls) = (self.clone(), tls.clone());
            connections.spawn(async move {
                let Some(tls) = tls else { return simulator.converse(socket, false).await };
                // Who does not trust the certificate leaves.
                let Ok(stream) = tls.accept(socket).await else { return };
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                simulator.converse(stream, is_http2).await;
            });
        }
    }

    async fn converse<S>(self, stream: S, is_http2: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        let service = service_fn(move |request| {
            let simulator = self.clone();
            async move { simulator.serve_one(request).await }
        });
        // Callers come and go, and faults break connections: neither is an error here.
        if is_http2 {
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
        } else {
            let _ = http1::Builder::new().serve_connection(stream, service).await;
        }
    }

    /// An error makes hyper close the connection without an answer.
    async fn serve_one(&self, request: Request<Incoming>) -> Result<Response<ServedBody>, ServeError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        match head.uri.path().strip_prefix("/__sim/") {
            Some(route) => Ok(self.control(&head.method, route, &body)),
            None => {
                let response = self.answer(Request::from_parts(head, body)).await?;
                Ok(response.map(BodyExt::boxed_unsync))
            }
        }
    }

    fn control(&self, method: &Method, route: &str, body: &[u8]) -> Response<ServedBody> {
        let done = |result: Result<(), ControlError>| match result {
            Ok(()) => (StatusCode::OK, json!({})),
            Err(error) => (StatusCode::BAD_REQUEST, json!({"error": error.to_string()})),
        };
        let (status, answer) = match (method, route) {
            (&Method::POST, "faults") => done(self.queue_faults(body)),
            (&Method::DELETE, "faults") => {
                self.clear_faults();
                done(Ok(()))
            }
            (&Method::POST, "mix") => done(read_mix(body).map(|mix| self.set_fault_mix(mix))),
            (&Method::GET, "invoice") => {
                let lines: Vec<Value> = self.invoice().iter().map(line_json).collect();
                (StatusCode::OK, json!({"lines": lines}))
            }
            (&Method::GET, "requests") => {
                let requests: Vec<Value> = self.requests().iter().map(request_json).collect();
                (StatusCode::OK, json!({"requests": requests}))
            }
            (&Method::GET, "state") => {
                (StatusCode::OK, json!({"requests": self.request_count(), "open": self.open_answers()}))
            }
            (&Method::POST, "forget") => {
                self.forget();
                done(Ok(()))
            }
            _ => (StatusCode::NOT_FOUND, json!({"error": "no such control route"})),
        };
        let body = Full::new(Bytes::from(answer.to_string())).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let json = http::HeaderValue::from_static(crate::headers::JSON);
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        response
    }

    fn queue_faults(&self, body: &[u8]) -> Result<(), ControlError> {
        let document: Value = serde_json::from_slice(body)?;
        let faults = document["faults"].as_array().ok_or(ControlError::NoFaults)?;
        let read = |fault: &Value| read_fault(fault).ok_or_else(|| ControlError::Fault(fault.clone()));
        let parsed = faults.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for (described, fault) in faults.iter().zip(parsed) {
            for _ in 0..described["times"].as_u64().unwrap_or(1) {
                match described["when"].as_str() {
                    Some(text) => self.push_fault_when(text, fault.clone()),
                    None => self.push_fault(fault.clone()),
                }
            }
        }
        Ok(())
    }
}

/// Why a connection ends without an answer.
#[derive(Debug, Error)]
enum ServeError {
    #[error(transparent)]
    Hyper(#[from] hyper::Error),
    #[error(transparent)]
    Fault(#[from] TransportError),
}

fn read_mix(body: &[u8]) -> Result<FaultMix, ControlError> {
    let document: Value = serde_json::from_slice(body)?;
    let faults = document["faults"].as_array().ok_or(ControlError::NoFaults)?;
    let read = |described: &Value| {
        let share = described["per_ten_thousand"].as_u64().and_then(|share| u32::try_from(share).ok());
        share.zip(read_fault(described)).ok_or_else(|| ControlError::Fault(described.clone()))
    };
    let seed = document["seed"].as_u64().unwrap_or(0);
    Ok(FaultMix { seed, per_ten_thousand: faults.iter().map(read).collect::<Result<_, _>>()? })
}

fn read_fault(described: &Value) -> Option<Fault> {
    let number = |name: &str| described[name].as_u64();
    let small = |name: &str| number(name).and_then(|n| u16::try_from(n).ok());
    let after_frames = usize::try_from(number("after_frames").unwrap_or(0)).ok()?;
    let pause = Duration::from_millis(number("ms").unwrap_or(0));
    Some(match described["kind"].as_str()? {
        "refuse-connection" => Fault::RefuseConnection,
        "reset" => Fault::Reset,
        "status" => Fault::Status {
            code: small("code")?,
            retry_after: number("retry_after").and_then(|seconds| u32::try_from(seconds).ok()),
        },
        "no-credit" => Fault::NoCredit,
        "context-too-long" => Fault::ContextTooLong,
        "content-policy" => Fault::ContentPolicy,
        "error-under-200" => Fault::ErrorUnder200,
        "html" => Fault::Html { code: small("code")? },
        "empty" => Fault::Empty,
        "cut-body" => Fault::CutBody,
        "stall-before-head" => Fault::StallBeforeHead,
        "stall-mid-stream" => Fault::StallMidStream { after_frames },
        "cut-mid-stream" => Fault::CutMidStream { after_frames },
        "reset-mid-stream" => Fault::ResetMidStream { after_frames },
        "error-mid-stream" => Fault::ErrorMidStream { after_frames },
        "malformed-mid-stream" => Fault::MalformedMidStream { after_frames },
        "two-ends" => Fault::TwoEnds,
        "endless-event" => Fault::EndlessEvent { after_frames },
        "no-usage" => Fault::NoUsage,
        "running-usage" => Fault::RunningUsage,
        "slow-head" => Fault::SlowHead(pause),
        "slow-frames" => Fault::SlowFrames(pause),
        _ => return None,
    })
}

fn line_json(line: &InvoiceLine) -> Value {
    json!({
        "attempt": line.attempt.map(|id| id.to_string()),
        "vendor": line.vendor.as_str(),
        "model": line.model,
        "stream": line.stream,
        "usage": {
            "input": line.usage.input,
            "cache_read": line.usage.cache_read,
            "cache_write_5m": line.usage.cache_write_5m,
            "cache_write_1h": line.usage.cache_write_1h,
            "output": line.usage.output,
            "reasoning": line.usage.reasoning,
        },
        "nano_usd": line.nano_usd,
        "end": line.end.as_str(),
        "told": line.told,
    })
}

/// Bodies that are JSON are embedded, others become text.
fn request_json(request: &ReceivedRequest) -> Value {
    let headers = request.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))));
    let text = String::from_utf8_lossy(&request.body);
    json!({
        "method": request.method.as_str(),
        "target": request.target,
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "body": serde_json::from_str(&text).unwrap_or(Value::Null),
        "text": text,
    })
}
