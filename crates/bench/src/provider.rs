//! The upstream of every measurement: a provider that answers at once, or at a given pace.
//!
//! It speaks OpenAI Chat Completions and, under `/messages`, Anthropic Messages. How it answers is
//! told by the prompt: `chunks=100` and `pace-us=10000`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cores;
use crate::wire::{head_end, header};

/// Runs until it is killed.
pub(crate) fn run() -> Result<()> {
    cores::run(|| {
        async |socket| {
            // A client that leaves in the middle of a stream is not this side's problem.
            let _ = converse(socket).await;
        }
    })
}

async fn converse(mut socket: TcpStream) -> Result<()> {
    let mut received = Vec::with_capacity(64 * 1024);
    loop {
        let head = loop {
            if let Some(end) = head_end(&received) {
                break end;
            }
            if socket.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        };
        let text = std::str::from_utf8(&received[..head])?;
        let length: usize = header(text, "content-length").context("content-length")?.parse()?;
        let anthropic = text.lines().next().is_some_and(|line| line.contains("/messages"));
        while received.len() < head + length {
            if socket.read_buf(&mut received).await? == 0 {
                bail!("the request is cut");
            }
        }
        let script = Script::read(&received[head..head + length], anthropic);
        received.drain(..head + length);
        script.play(&mut socket).await?;
    }
}

/// How one request is answered.
struct Script {
    anthropic: bool,
    /// Content events of the stream; a whole answer if `None`.
    chunks: Option<u64>,
    /// Time between two events.
    pace: Duration,
    include_usage: bool,
}

impl Script {
    fn read(body: &[u8], anthropic: bool) -> Self {
        let streamed = memmem::find(body, b"\"stream\":true").is_some();
        Self {
            anthropic,
            chunks: streamed.then(|| number_after(body, b"chunks=").unwrap_or(1)),
            pace: Duration::from_micros(number_after(body, b"pace-us=").unwrap_or(0)),
            include_usage: memmem::find(body, b"\"include_usage\":true").is_some(),
        }
    }

    async fn play(&self, socket: &mut TcpStream) -> Result<()> {
        let Some(chunks) = self.chunks else {
            let body = if self.anthropic { ANTHROPIC_WHOLE } else { OPENAI_WHOLE };
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
            socket.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await?;
            return Ok(());
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let opening = if self.anthropic { ANTHROPIC_OPENING } else { OPENAI_OPENING };
        socket.write_all(format!("{head}{}", http_chunk(opening)).as_bytes()).await?;
        for chunk in 0..chunks {
            if chunk > 0 && !self.pace.is_zero() {
                tokio::time::sleep(self.pace).await;
            }
            socket.write_all(http_chunk(&self.content()).as_bytes()).await?;
        }
        let closing = match (self.anthropic, self.include_usage) {
            (true, _) => http_chunk(ANTHROPIC_CLOSING),
            (false, true) => http_chunk(OPENAI_FINISH) + &http_chunk(OPENAI_USAGE) + &http_chunk(OPENAI_DONE),
            (false, false) => http_chunk(OPENAI_FINISH) + &http_chunk(OPENAI_DONE),
        };
        socket.write_all(format!("{closing}0\r\n\r\n").as_bytes()).await?;
        Ok(())
    }

    /// One content event; its text tells when it was sent, in nanoseconds.
    fn content(&self) -> String {
        let sent = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let (before, after) = if self.anthropic { ANTHROPIC_CONTENT } else { OPENAI_CONTENT };
        format!("{before}sent={sent:020} {after}")
    }
}

fn http_chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// The number that follows a word.
pub(crate) fn number_after(bytes: &[u8], word: &[u8]) -> Option<u64> {
    let digits = &bytes[memmem::find(bytes, word)? + word.len()..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

const OPENAI_WHOLE: &str = include_str!("answers/openai_whole.json");
const OPENAI_OPENING: &str = include_str!("answers/openai_opening.sse");
const OPENAI_CONTENT: (&str, &str) = (
    "data: {\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\",\
     \"created\":1741569952,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\
     \"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
    "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
);
const OPENAI_FINISH: &str = include_str!("answers/openai_finish.sse");
const OPENAI_USAGE: &str = include_str!("answers/openai_usage.sse");
const OPENAI_DONE: &str = "data: [DONE]\n\n";

const ANTHROPIC_WHOLE: &str = include_str!("answers/anthropic_whole.json");
const ANTHROPIC_OPENING: &str = include_str!("answers/anthropic_opening.sse");
const ANTHROPIC_CONTENT: (&str, &str) = (
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
     \"delta\":{\"type\":\"text_delta\",\"text\":\"",
    "\"}}\n\n",
);
const ANTHROPIC_CLOSING: &str = include_str!("answers/anthropic_closing.sse");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_tells_how_to_answer() {
        let script = Script::read(br#"{"stream":true,"x":"chunks=100 pace-us=20000"}"#, false);
        assert_eq!((script.chunks, script.pace.as_micros()), (Some(100), 20_000));
        assert_eq!(Script::read(b"{\"stream\":false}", false).chunks, None);
        assert_eq!(number_after(b"sent=00000000000000000042 ", b"sent="), Some(42));
    }
}
