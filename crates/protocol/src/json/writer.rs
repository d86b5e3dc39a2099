//! A small JSON emitter. Its types follow the grammar, so that what comes out is always whole.

use std::io::Write as _;

use super::plain_run::plain_run;

/// The place for exactly one JSON value at the end of a buffer.
///
/// Every method consumes it. If none is called the value is `null`.
///
/// ```
/// use weighbridge_protocol::json::Writer;
///
/// let mut out = Vec::new();
/// let mut object = Writer::new(&mut out).object();
/// object.key("model").string("gpt");
/// object.key("stop").array().item().string("\n");
/// object.key("seed");
/// drop(object); // an object ends where its variable does
/// assert_eq!(out, br#"{"model":"gpt","stop":["\n"],"seed":null}"#);
/// ```
#[derive(Debug)]
pub struct Writer<'w> {
    /// `None` once the value was written.
    out: Option<&'w mut Vec<u8>>,
}

impl<'w> Writer<'w> {
    /// Writes the next value to the end of `out`.
    pub const fn new(out: &'w mut Vec<u8>) -> Self {
        Self { out: Some(out) }
    }

    /// A string, escaped as JSON asks.
    pub fn string(self, text: &str) {
        self.write(|out| push_string(out, text));
    }

    /// The text of a JSON value, copied as it is. The caller vouches that it is one.
    pub fn raw(self, json: &str) {
        self.write(|out| out.extend_from_slice(json.as_bytes()));
    }

    /// A number.
    pub fn number(self, number: impl Into<i128>) {
        // Writing to a vector cannot fail.
        self.write(|out| drop(write!(out, "{}", number.into())));
    }

    /// `true` or `false`.
    pub fn bool(self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// `null`.
    pub fn null(self) {
        self.raw("null");
    }

    /// A string, or `null` for nothing.
    pub fn string_or_null(self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.null(),
        }
    }

    /// Opens an object, which ends when it is dropped.
    pub fn object(mut self) -> Object<'w> {
        Object { list: List::open(self.out.take(), b'{', b'}') }
    }

    /// Opens an array, which ends when it is dropped.
    pub fn array(mut self) -> Array<'w> {
        Array { list: List::open(self.out.take(), b'[', b']') }
    }

    fn write(mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(out) = self.out.take() {
            write(out);
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            out.extend_from_slice(b"null");
        }
    }
}

/// An object being written; it ends when it is dropped.
#[derive(Debug)]
pub struct Object<'w> {
    list: List<'w>,
}

impl Object<'_> {
    /// The place for the value of the next field.
    pub fn key(&mut self, name: &str) -> Writer<'_> {
        let out = self.list.next();
        if let Some(out) = out {
            push_string(out, name);
            out.push(b':');
            return Writer::new(out);
        }
        Writer { out: None }
    }
}

/// An array being written; it ends when it is dropped.
#[derive(Debug)]
pub struct Array<'w> {
    list: List<'w>,
}

impl Array<'_> {
    /// The place for the next item.
    pub fn item(&mut self) -> Writer<'_> {
        Writer { out: self.list.next() }
    }
}

/// What objects and arrays have in common: brackets and commas.
#[derive(Debug)]
struct List<'w> {
    out: Option<&'w mut Vec<u8>>,
    close: u8,
    is_empty: bool,
}

impl<'w> List<'w> {
    fn open(mut out: Option<&'w mut Vec<u8>>, open: u8, close: u8) -> Self {
        if let Some(out) = &mut out {
            out.push(open);
        }
        Self { out, close, is_empty: true }
    }

    fn next(&mut self) -> Option<&mut Vec<u8>> {
        let out = self.out.as_deref_mut()?;
        if !self.is_empty {
            out.push(b',');
        }
        self.is_empty = false;
        Some(out)
    }
}

impl Drop for List<'_> {
    fn drop(&mut self) {
        if let Some(out) = &mut self.out {
            out.push(self.close);
        }
    }
}

/// Writes a string, run by run: what needs no escape is copied.
fn push_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at(plain_run(rest));
        out.extend_from_slice(plain);
        let Some((&stop, after)) = after.split_first() else { break };
        push_escape(out, stop);
        rest = after;
    }
    out.push(b'"');
}

/// Writes a character that may not stand in a string as it is.
fn push_escape(out: &mut Vec<u8>, character: u8) {
    let short = match character {
        b'"' | b'\\' => character,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        // Writing to a vector cannot fail.
        _ => return drop(write!(out, "\\u{character:04x}")),
    };
    out.extend_from_slice(&[b'\\', short]);
}
