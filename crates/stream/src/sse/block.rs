use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// The fields of one block: <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>.
#[derive(Debug, Default)]
pub(crate) struct Block<'a> {
    /// The last `event` field; empty counts as none.
    pub(crate) event: Option<&'a [u8]>,
    /// The `data` lines joined by LF; `None` where there was no such line.
    pub(crate) data: Option<Cow<'a, [u8]>>,
    /// The last `id` field without a NUL.
    pub(crate) id: Option<&'a [u8]>,
    /// Whether there was a comment.
    pub(crate) comment: bool,
    /// The first lines in a row that the specification has no name for.
    pub(crate) unnamed: Option<&'a [u8]>,
}

impl<'a> Block<'a> {
    /// Reads the lines of a block. Blank lines in front are skipped, unknown fields ignored.
    pub(crate) fn read(whole: &'a [u8]) -> Self {
        let mut block = Self::default();
        let mut unnamed = 0..0;
        let mut bytes = whole;
        while !bytes.is_empty() {
            let start = whole.len() - bytes.len();
            let end = memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
            let (line, rest) = bytes.split_at(end);
            bytes = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
            if !block.line(line) {
                let end = whole.len() - bytes.len();
                if unnamed.is_empty() {
                    unnamed = start..end;
                } else if unnamed.end == start {
                    unnamed.end = end;
                }
            }
        }
        if !unnamed.is_empty() {
            block.unnamed = whole.get(unnamed);
        }
        block
    }

    /// Takes one line; whether the specification has a name for what it is.
    fn line(&mut self, line: &'a [u8]) -> bool {
        let (name, value) = match memchr(b':', line) {
            Some(colon) => {
                let (name, value) = line.split_at(colon);
                let value = value.get(1..).unwrap_or_default();
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[] as &[u8]),
        };
        match name {
            b"data" => match &mut self.data {
                None => self.data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"event" => self.event = Some(value).filter(|value| !value.is_empty()),
            b"id" if memchr(0, value).is_none() => self.id = Some(value),
            b"" if !line.is_empty() => self.comment = true,
            b"" | b"id" | b"retry" => {}
            _ => return false,
        }
        true
    }
}
