//! The check that every document passes once: syntax and depth.

use std::ops::Range;

use thiserror::Error;

use super::Kind;
use super::plain_run::plain_run;

/// What a document may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// How many objects and arrays may stand inside each other, the outermost included; at most
    /// [`Self::DEPTH_CEILING`] counts.
    pub depth: usize,
}

impl ScanLimits {
    /// The deepest limit that can be set: reading recurses, and a stack is finite.
    pub const DEPTH_CEILING: usize = 512;
}

impl Default for ScanLimits {
    /// 128 levels, as `serde_json` and most providers have it.
    fn default() -> Self {
        Self { depth: 128 }
    }
}

/// Why a text is not an acceptable JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The bytes are not UTF-8.
    #[error("the body is not UTF-8 at byte {offset}: send JSON encoded as UTF-8")]
    NotUtf8 {
        /// Bytes before the first one that is wrong.
        offset: usize,
    },
    /// The text is not JSON.
    #[error("the body is not JSON: {expected} expected at line {line}, column {column}")]
    Syntax {
        /// What would have been right here.
        expected: &'static str,
        /// Line of the mistake, from 1.
        line: usize,
        /// Column of the mistake in bytes, from 1.
        column: usize,
        /// Bytes before the mistake.
        offset: usize,
    },
    /// Objects and arrays stand inside each other too deeply.
    #[error("the body is nested deeper than {limit} levels at byte {offset}: flatten it")]
    TooDeep {
        /// The limit that was passed.
        limit: usize,
        /// Where the level too many opens.
        offset: usize,
    },
    /// A field of the outermost object is there twice, so that two readers could disagree.
    #[error("the field `{key}` is given twice: give it once")]
    DuplicateKey {
        /// The field's name.
        key: String,
    },
    /// The document is valid JSON, but not an object.
    #[error("the body is {found}: an object is expected")]
    NotAnObject {
        /// What it is.
        found: Kind,
    },
}

/// Where a field of an object stands in the document, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    /// The name, between its quotes, escapes and all.
    pub(crate) key: Range<usize>,
    /// Whether the name has escapes, and so has to be decoded.
    pub(crate) has_escapes: bool,
    /// The value.
    pub(crate) value: Range<usize>,
}

/// Takes note of a document's values and names while it is checked.
pub(super) trait Notes {
    /// One begins. What this gives is handed to [`Notes::end`].
    fn begin(&mut self) -> usize;

    /// It had so many bytes, and, if it is a string, escapes or none.
    fn end(&mut self, begun: usize, bytes: usize, has_escapes: bool);
}

/// Nobody wants to know.
impl Notes for () {
    fn begin(&mut self) -> usize {
        0
    }

    fn end(&mut self, _: usize, _: usize, _: bool) {}
}

/// Checks a document of any kind; gives the range of its value, without the white space around it.
pub(super) fn scan_value(
    text: &str,
    limits: &ScanLimits,
    notes: impl Notes,
) -> Result<Range<usize>, ScanError> {
    let mut scanner = Scanner::new(text, limits, notes);
    scanner.space();
    let start = scanner.at;
    let end = scanner.value(1).and_then(|()| {
        let end = scanner.at;
        scanner.end().map(|()| end)
    });
    end.map(|end| start..end).map_err(|mistake| scanner.error(mistake))
}

/// Checks a document that must be an object; gives its range, and its fields to `field` in order.
pub(crate) fn scan_object(
    text: &str,
    limits: &ScanLimits,
    field: impl FnMut(FieldSpan),
) -> Result<Range<usize>, ScanError> {
    let mut scanner = Scanner::new(text, limits, ());
    scanner.space();
    let start = scanner.at;
    if scanner.peek() != Some(b'{') {
        let found = Kind::starting_with(scanner.peek().unwrap_or_default());
        // A mistake in the syntax is the better complaint, so the document is checked first.
        scan_value(text, limits, ())?;
        return Err(ScanError::NotAnObject { found });
    }
    let end = scanner.object(1, field).and_then(|()| {
        let end = scanner.at;
        scanner.end().map(|()| end)
    });
    end.map(|end| start..end).map_err(|mistake| scanner.error(mistake))
}

/// The length of the inside of a string, of which `text` is what follows the opening quote; `None` where
/// no quote ends it, or something in it is not JSON. Whether it is UTF-8 is not looked at.
///
/// ```
/// use weighbridge_protocol::json::string_inside;
///
/// assert_eq!(string_inside(br#"say \"hi\"", 1"#), Some(10));
/// assert_eq!(string_inside(br#"no end"#), None);
/// assert_eq!(string_inside(b"two\nlines\""), None);
/// ```
pub fn string_inside(text: &[u8]) -> Option<usize> {
    let mut scanner = Scanner { text, at: 0, depth_max: 0, notes: () };
    scanner.inside().ok().map(|_| scanner.at)
}

/// What a scanner stumbles over; where is where it stands. Small, since every step of a scan returns
/// one or nothing.
#[derive(Debug, Clone, Copy)]
enum Mistake {
    /// What would have been right.
    Expected(&'static str),
    TooDeep,
}

struct Scanner<'a, N> {
    text: &'a [u8],
    at: usize,
    depth_max: usize,
    notes: N,
}

impl<'a, N: Notes> Scanner<'a, N> {
    fn new(text: &'a str, limits: &ScanLimits, notes: N) -> Self {
        let depth_max = limits.depth.min(ScanLimits::DEPTH_CEILING);
        Self { text: text.as_bytes(), at: 0, depth_max, notes }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over one byte that must be there.
    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Mistake> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(Mistake::Expected(expected))
    }

    fn end(&mut self) -> Result<(), Mistake> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(Mistake::Expected("the end of the document")) }
    }

    #[cold]
    fn error(&self, mistake: Mistake) -> ScanError {
        let expected = match mistake {
            Mistake::Expected(expected) => expected,
            Mistake::TooDeep => return ScanError::TooDeep { limit: self.depth_max, offset: self.at },
        };
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        ScanError::Syntax {
            expected,
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before.len() - line_start + 1,
            offset: before.len(),
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Mistake> {
        if self.peek() == Some(b'"') {
            return self.string().map(drop);
        }
        let (begun, start) = (self.notes.begin(), self.at);
        match self.peek() {
            Some(b'{') => self.object(depth, |_| ()),
            Some(b'[') => self.array(depth),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(Mistake::Expected("a value")),
        }?;
        self.notes.end(begun, self.at - start, false);
        Ok(())
    }

    fn deeper(&self, depth: usize) -> Result<(), Mistake> {
        if depth > self.depth_max { Err(Mistake::TooDeep) } else { Ok(()) }
    }

    fn object(&mut self, depth: usize, mut field: impl FnMut(FieldSpan)) -> Result<(), Mistake> {
        self.deeper(depth)?;
        self.expect(b'{', "an object")?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let start = self.at;
            let has_escapes = self.string()?;
            let key = start + 1..self.at - 1;
            self.space();
            self.expect(b':', "a colon")?;
            self.space();
            let start = self.at;
            self.value(depth + 1)?;
            field(FieldSpan { key, has_escapes, value: start..self.at });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Mistake::Expected("a comma or the end of the object")),
            }
            self.space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Mistake> {
        self.deeper(depth)?;
        self.expect(b'[', "an array")?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Mistake::Expected("a comma or the end of the array")),
            }
            self.space();
        }
    }

    /// Steps over a string, a value or a name; whether there was an escape.
    fn string(&mut self) -> Result<bool, Mistake> {
        let (begun, start) = (self.notes.begin(), self.at);
        self.expect(b'"', "a string")?;
        let has_escapes = self.inside()?;
        self.at += 1;
        self.notes.end(begun, self.at - start, has_escapes);
        Ok(has_escapes)
    }

    /// Steps up to the quote that ends a string; whether there was an escape.
    fn inside(&mut self) -> Result<bool, Mistake> {
        let mut has_escapes = false;
        loop {
            self.at += plain_run(self.rest());
            match self.peek() {
                Some(b'"') => return Ok(has_escapes),
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                Some(_) => return Err(Mistake::Expected("an escape in place of the control character")),
                None => return Err(Mistake::Expected("the end of the string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Mistake> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.text.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(Mistake::Expected("four hexadecimal digits"));
                }
                self.at += 5;
            }
            _ => return Err(Mistake::Expected("an escape")),
        }
        Ok(())
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Mistake> {
        if !self.rest().starts_with(word) {
            return Err(Mistake::Expected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Mistake> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Mistake> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(Mistake::Expected("a digit")) } else { Ok(()) }
    }
}
