//! A plain HTTP client: one connection, one request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Longest time for one call: no command may hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer that was read to its end.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Posts JSON.
pub(crate) async fn post(to: SocketAddr, path: &str, key: &str, body: &Value) -> anyhow::Result<Reply> {
    post_text(to, path, key, body.to_string()).await
}

/// Posts JSON that is written already.
pub(crate) async fn post_text(to: SocketAddr, path: &str, key: &str, body: String) -> anyhow::Result<Reply> {
    let request = Request::post(path).header("content-type", "application/json");
    send(to, request, key, body.into()).await
}

/// Gets JSON.
pub(crate) async fn get(to: SocketAddr, path: &str, key: &str) -> anyhow::Result<Reply> {
    send(to, Request::get(path), key, Bytes::new()).await
}

async fn send(
    to: SocketAddr,
    request: http::request::Builder,
    key: &str,
    body: Bytes,
) -> anyhow::Result<Reply> {
    let request = request
        .header("host", to.to_string())
        .header("authorization", format!("Bearer {key}"))
        .body(Full::new(body))?;
    tokio::time::timeout(PATIENCE, exchange(to, request))
        .await
        .context("the gateway did not answer in time")?
}

async fn exchange(to: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<Reply> {
    let began = Instant::now();
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    driving.abort();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, took: began.elapsed() })
}
