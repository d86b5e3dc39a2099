//! A client that writes and reads bytes as they are.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weighbridge_gateway::Gateway;

use crate::handler::Paths;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(gateway: &Gateway<Paths>) -> Self {
        let stream = TcpStream::connect(gateway.addresses()[0]).await.unwrap();
        Self { stream, received: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn close_half(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// One whole answer that tells its length.
    pub(crate) async fn answer(&mut self) -> String {
        loop {
            if let Some(end) = answer_end(&self.received) {
                return String::from_utf8(self.received.drain(..end).collect()).unwrap();
            }
            assert_ne!(self.read().await, 0, "closed in the middle: {}", self.text());
        }
    }

    /// What comes until `text` was seen.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.text().contains(text) {
            assert_ne!(self.read().await, 0, "closed before {text:?}: {}", self.text());
        }
    }

    /// Takes what comes up to and with `text`.
    pub(crate) async fn take_until(&mut self, text: &str) {
        self.until(text).await;
        self.received.clear();
    }

    /// Everything until the other side closes.
    pub(crate) async fn rest(&mut self) -> String {
        while self.read().await > 0 {}
        self.text()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    async fn read(&mut self) -> usize {
        timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await.unwrap().unwrap_or(0)
    }
}

fn answer_end(received: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(received);
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let end = head + length.parse::<usize>().unwrap();
    (received.len() >= end).then_some(end)
}
