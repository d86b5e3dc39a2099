//! Connections of the load generator.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wire::AnswerReader;

/// Nothing that is measured takes longer; whatever does is reported, not waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the body of every right answer holds near its end.
const SIGNS_OF_COMPLETENESS: [&[u8]; 3] = [b"[DONE]", b"message_stop", b"\"usage\""];

/// Reads answers and judges them.
#[derive(Default)]
struct Judge {
    reader: AnswerReader,
    /// The end of the body so far.
    tail: Vec<u8>,
}

impl Judge {
    /// True once the answer is there; an error if it is not the right one.
    fn feed(&mut self, bytes: &[u8], mut on_data: impl FnMut(&[u8])) -> Result<bool> {
        let tail = &mut self.tail;
        let complete = self.reader.feed(bytes, |data| {
            on_data(data);
            if tail.len() > 4096 {
                tail.drain(..tail.len() - 1024);
            }
            tail.extend_from_slice(data);
        })?;
        if !complete {
            return Ok(false);
        }
        let whole = SIGNS_OF_COMPLETENESS.iter().any(|sign| memmem::find(&self.tail, sign).is_some());
        if self.reader.status != 200 || !whole {
            bail!("a wrong answer: {} {}", self.reader.status, String::from_utf8_lossy(&self.tail));
        }
        self.tail.clear();
        Ok(true)
    }
}

/// A connection on a thread of its own, which waits by blocking: the kernel wakes it more exactly
/// than any timer wheel.
pub(crate) struct BlockingClient {
    socket: std::net::TcpStream,
    judge: Judge,
    buffer: Vec<u8>,
}

impl BlockingClient {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let socket = std::net::TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, judge: Judge::default(), buffer: vec![0; 64 * 1024] })
    }

    /// Sends a request and reads its answer, which must be right.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<()> {
        self.socket.write_all(request)?;
        loop {
            let count = self.socket.read(&mut self.buffer).context("reading an answer")?;
            if count == 0 {
                bail!("closed in the middle of an answer");
            }
            if self.judge.feed(&self.buffer[..count], |_| {})? {
                return Ok(());
            }
        }
    }
}

/// A connection among many on one thread.
pub(crate) struct Client {
    socket: tokio::net::TcpStream,
    judge: Judge,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let connecting = tokio::net::TcpStream::connect(address);
        let socket = tokio::time::timeout(PATIENCE, connecting).await.context("connecting")??;
        socket.set_nodelay(true)?;
        Ok(Self { socket, judge: Judge::default(), buffer: Vec::new() })
    }

    /// Sends a request.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.socket.write_all(request).await?)
    }

    /// Reads what is there, or waits for it; true once the answer is complete.
    pub(crate) async fn read(&mut self, on_data: impl FnMut(&[u8])) -> Result<bool> {
        self.buffer.clear();
        self.buffer.reserve(16 * 1024);
        let reading = self.socket.read_buf(&mut self.buffer);
        let count = tokio::time::timeout(PATIENCE, reading).await.context("reading an answer")??;
        if count == 0 {
            bail!("closed in the middle of an answer");
        }
        self.judge.feed(&self.buffer, on_data)
    }

    /// Sends a request and reads its answer, which must be right.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<()> {
        self.send(request).await?;
        while !self.read(|_| {}).await? {}
        Ok(())
    }
}
