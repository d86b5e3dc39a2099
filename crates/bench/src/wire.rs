//! Just enough HTTP/1.1 to send requests and to read answers, at next to no cost.
//!
//! The load generator must be cheaper than what it measures, and must see every byte; so it does
//! not use an HTTP library.

use anyhow::{Context, Result, bail};

/// A request that can be sent as it is.
pub(crate) fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The position after the empty line that ends a head.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a header, by its lower-case name.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Reads one answer after another from the bytes of a connection.
#[derive(Default)]
pub(crate) struct AnswerReader {
    state: State,
    /// Bytes of a head or of a line that is not complete yet.
    partial: Vec<u8>,
    /// Status of the answer that is being read, or was read last.
    pub(crate) status: u16,
}

#[derive(Default)]
enum State {
    #[default]
    Head,
    Sized(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailer,
}

impl AnswerReader {
    /// Takes bytes as they arrived; `on_data` gets those of the body. True once the answer is
    /// complete, and then the reader is ready for the next one.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut on_data: impl FnMut(&[u8])) -> Result<bool> {
        while !bytes.is_empty() {
            match self.state {
                State::Head => {
                    let before = self.partial.len();
                    self.partial.extend_from_slice(bytes);
                    let Some(end) = head_end(&self.partial) else { return Ok(false) };
                    bytes = &bytes[end - before..];
                    self.partial.truncate(end);
                    self.read_head()?;
                    self.partial.clear();
                    if matches!(self.state, State::Head) {
                        return self.complete(bytes);
                    }
                }
                State::Sized(left) => {
                    let taken = left.min(bytes.len());
                    on_data(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    self.state = State::Sized(left - taken);
                    if left == taken {
                        return self.complete(bytes);
                    }
                }
                State::Chunk(left) => {
                    let taken = left.min(bytes.len());
                    on_data(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    self.state = if left == taken { State::ChunkEnd } else { State::Chunk(left - taken) };
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.partial.extend_from_slice(bytes);
                        return Ok(false);
                    };
                    self.partial.extend_from_slice(&bytes[..end]);
                    bytes = &bytes[end + 1..];
                    let line = std::str::from_utf8(&self.partial)?.trim_end().to_owned();
                    self.partial.clear();
                    self.state = match self.state {
                        State::ChunkEnd => State::ChunkSize,
                        State::Trailer if line.is_empty() => return self.complete(bytes),
                        State::Trailer => State::Trailer,
                        _ => match usize::from_str_radix(&line, 16).context("size of a chunk")? {
                            0 => State::Trailer,
                            size => State::Chunk(size),
                        },
                    };
                }
            }
        }
        Ok(false)
    }

    fn read_head(&mut self) -> Result<()> {
        let head = std::str::from_utf8(&self.partial)?;
        let status = head.split(' ').nth(1).context("an answer without status")?;
        self.status = status.parse().context("status")?;
        self.state = match header(head, "content-length") {
            Some("0") => State::Head,
            Some(length) => State::Sized(length.parse().context("content-length")?),
            None if header(head, "transfer-encoding").is_some() => State::ChunkSize,
            None => bail!("an answer without length: {head}"),
        };
        Ok(())
    }

    fn complete(&mut self, rest: &[u8]) -> Result<bool> {
        if !rest.is_empty() {
            bail!("{} bytes after the end of an answer", rest.len());
        }
        self.state = State::Head;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_the_same_however_they_are_cut() {
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            "HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nx: y\r\n\r\n";
        for (answer, status) in [(sized, 200), (chunked, 503)] {
            for cut in 1..answer.len() {
                let (mut reader, mut body) = (AnswerReader::default(), Vec::new());
                for _ in 0..2 {
                    let (first, second) = answer.as_bytes().split_at(cut);
                    assert!(!reader.feed(first, |data| body.extend_from_slice(data)).unwrap());
                    assert!(reader.feed(second, |data| body.extend_from_slice(data)).unwrap());
                }
                assert_eq!((reader.status, body.as_slice()), (status, &b"hellohello"[..]), "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_follows_an_answer_is_a_mistake() {
        let two = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n";
        assert!(AnswerReader::default().feed(two.as_bytes(), |_| {}).is_err());
    }
}
