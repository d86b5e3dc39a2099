//! One value of a checked document.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use thiserror::Error;

use super::indexed::Extent;
use super::plain_run::plain_run;
use super::scan::scan_value;
use super::{FromRaw, ScanError, ScanLimits, pointer_of};

/// What kind of JSON value a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number of any form.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// The kind of a valid value that starts with this byte.
    pub(super) fn starting_with(byte: u8) -> Self {
        match byte {
            b'{' => Self::Object,
            b'[' => Self::Array,
            b'"' => Self::String,
            b't' | b'f' => Self::Bool,
            b'n' => Self::Null,
            _ => Self::Number,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// The text of one valid JSON value: a slice of the document that it was read from.
///
/// Its address is its place, so a JSON pointer can be computed when somebody wants one
/// ([`pointer_of`]). Two values are equal when their texts are.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    text: &'a str,
    /// Its extent and those of what is inside it; empty where its document has no index.
    extents: &'a [Extent],
}

impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Raw<'_> {}

impl Hash for Raw<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<'a> Raw<'a> {
    /// Checks a document and gives its one value.
    ///
    /// # Errors
    /// [`ScanError::Syntax`] or [`ScanError::TooDeep`].
    pub fn parse(text: &'a str, limits: &ScanLimits) -> Result<Self, ScanError> {
        let range = scan_value(text, limits, ())?;
        Ok(Self::trusted(text.get(range).unwrap_or("null")))
    }

    /// A slice of a document that was checked; the caller vouches that it is one whole value.
    pub(crate) const fn trusted(text: &'a str) -> Self {
        Self { text, extents: &[] }
    }

    /// The same of a document that was indexed.
    pub(super) const fn indexed(text: &'a str, extents: &'a [Extent]) -> Self {
        Self { text, extents }
    }

    /// The text, exactly as it stands in the document.
    pub const fn text(self) -> &'a str {
        self.text
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        Kind::starting_with(self.text.bytes().next().unwrap_or(b'n'))
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// A string's characters, borrowed where it has no escapes.
    ///
    /// # Errors
    /// [`ReadError`] where it is something else, or names half of a surrogate pair.
    pub fn str(self) -> Result<Cow<'a, str>, ReadError> {
        self.of(Kind::String, "a string")?;
        self.characters().ok_or_else(|| ReadError::new(self, "a string of whole Unicode characters"))
    }

    /// A string's characters; `None` where an escape names half of a surrogate pair.
    pub(super) fn characters(self) -> Option<Cow<'a, str>> {
        match self.extents.first() {
            Some(extent) if !extent.has_escapes() => Some(Cow::Borrowed(self.between_quotes())),
            _ => decode_string(self.between_quotes()),
        }
    }

    /// A string as it is written, without its quotes.
    pub(super) fn between_quotes(self) -> &'a str {
        self.text.get(1..self.text.len() - 1).unwrap_or_default()
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`ReadError`] where it is something else.
    pub fn bool(self) -> Result<bool, ReadError> {
        self.of(Kind::Bool, "a boolean")?;
        Ok(self.text == "true")
    }

    /// A whole number from 0.
    ///
    /// # Errors
    /// [`ReadError`] where it is something else, negative, too large, or written with a fraction
    /// or an exponent.
    pub fn u64(self) -> Result<u64, ReadError> {
        self.text.parse().map_err(|_| ReadError::new(self, "a whole number from 0"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn i64(self) -> Result<i64, ReadError> {
        self.text.parse().map_err(|_| ReadError::new(self, "a whole number"))
    }

    /// The values of an array, in order.
    ///
    /// # Errors
    /// [`ReadError`] where it is something else.
    pub fn items(self) -> Result<Items<'a>, ReadError> {
        self.of(Kind::Array, "an array")?;
        Ok(Items { cursor: Cursor::inside(self) })
    }

    /// An object's names and values, in order, for a caller that keeps nothing else; none where this is
    /// something else. Where a name is there twice, the last one counts. Half of a surrogate pair is nobody's
    /// name: such a one is left out.
    pub(crate) fn members(self) -> NamedMembers<'a> {
        NamedMembers { members: Members::of(self).ok() }
    }

    /// The value of an object's field, for a caller that wants no other; the last one where the
    /// field is there twice. `None` where there is none, or this is no object.
    pub fn get(self, name: &str) -> Option<Self> {
        let mut found = None;
        for (key, value) in Members::of(self).ok()? {
            if key.characters().as_deref() == Some(name) {
                found = Some(value);
            }
        }
        found
    }

    /// JSON pointer (RFC 6901) of this value inside the document `root`.
    pub fn pointer(self, root: &str) -> String {
        pointer_of(root, self.text)
    }

    /// Reads it as `T`.
    ///
    /// # Errors
    /// What `T` makes of it.
    pub fn read<T: FromRaw<'a>>(self) -> Result<T, ReadError> {
        T::from_raw(self)
    }

    pub(super) fn of(self, kind: Kind, expected: &'static str) -> Result<(), ReadError> {
        if self.kind() == kind { Ok(()) } else { Err(ReadError::new(self, expected)) }
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The values of an array, in order.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        self.cursor.next_item()
    }
}

/// The members of an object, in order: the name, a string, and the value.
pub(super) struct Members<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Members<'a> {
    pub(super) fn of(raw: Raw<'a>) -> Result<Self, ReadError> {
        raw.of(Kind::Object, "an object")?;
        Ok(Self { cursor: Cursor::inside(raw) })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Raw<'a>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.cursor.next_item()?, self.cursor.next_item()?))
    }
}

/// The members of an object by name, as [`Raw::members`] has them.
pub(crate) struct NamedMembers<'a> {
    /// `None` where it is no object.
    members: Option<Members<'a>>,
}

impl<'a> Iterator for NamedMembers<'a> {
    type Item = (Cow<'a, str>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let members = self.members.as_mut()?;
        loop {
            let (name, value) = members.next()?;
            if let Some(name) = name.characters() {
                return Some((name, value));
            }
        }
    }
}

/// Steps through the values inside a container of a checked document, which is why it need not
/// look at anything but quotes and brackets, nor at those where there is an index.
#[derive(Debug, Clone)]
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Of what is still to come.
    extents: &'a [Extent],
}

impl<'a> Cursor<'a> {
    fn inside(container: Raw<'a>) -> Self {
        Self { text: container.text, at: 1, extents: container.extents.get(1..).unwrap_or_default() }
    }

    fn next_item(&mut self) -> Option<Raw<'a>> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at)?, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') {
            self.at += 1;
        }
        let start = self.at;
        let first = *bytes.get(start)?;
        if matches!(first, b']' | b'}') {
            return None;
        }
        let own = self.extents.first().map_or(0, |extent| extent.values());
        let (extents, after) = self.extents.split_at_checked(own)?;
        self.extents = after;
        self.at = match (extents.first(), first) {
            (Some(extent), _) => start + extent.bytes(),
            (None, b'"') => end_of_string(bytes, start),
            (None, b'{' | b'[') => end_of_container(bytes, start),
            (None, _) => end_of_scalar(bytes, start),
        };
        self.text.get(start..self.at).map(|text| Raw::indexed(text, extents))
    }
}

/// The byte after the object or array that starts at `start` of a checked document.
fn end_of_container(text: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut open = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(text, at);
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The byte after the number or literal that starts at `start` of a checked document.
fn end_of_scalar(text: &[u8], start: usize) -> usize {
    let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(is_end).unwrap_or(rest.len())
}

/// The byte after the string whose opening quote is at `start`.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at += plain_run(text.get(at..).unwrap_or_default());
        match text.get(at) {
            Some(b'\\') => at += 2,
            Some(_) => return at + 1,
            None => return text.len(),
        }
    }
}

/// The characters that the text between the quotes of a JSON string stands for; `None` where an
/// escape names half of a surrogate pair.
pub(crate) fn decode_string(inner: &str) -> Option<Cow<'_, str>> {
    if !has_escape(inner.as_bytes()) {
        return Some(Cow::Borrowed(inner));
    }
    let mut decoded = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(plain) = memchr::memchr(b'\\', rest.as_bytes()) {
        decoded.push_str(rest.get(..plain)?);
        let escape = rest.get(plain + 1..)?;
        let mut length = 1;
        decoded.push(match escape.as_bytes().first()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = code_unit(escape)?;
                length = 5;
                if (0xd800..0xdc00).contains(&first) {
                    let second = code_unit(escape.get(5..)?.strip_prefix('\\')?)?;
                    length = 11;
                    char::decode_utf16([first, second]).next()?.ok()?
                } else {
                    char::from_u32(u32::from(first))?
                }
            }
            same => char::from(*same),
        });
        rest = escape.get(length..)?;
    }
    decoded.push_str(rest);
    Some(Cow::Owned(decoded))
}

/// Whether there is a backslash.
fn has_escape(text: &[u8]) -> bool {
    /// Vectors need a start-up, and most strings of a document are names and short values.
    const SHORT: usize = 32;
    if text.len() < SHORT { text.contains(&b'\\') } else { memchr::memchr(b'\\', text).is_some() }
}

/// The number in `uXXXX`.
fn code_unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

/// A value that is not what its reader needs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{expected} expected, found {}", .found.map_or_else(|| "nothing".into(), |kind| kind.to_string()))]
pub struct ReadError {
    /// Address of the value; compared with the document's when the pointer is wanted.
    address: usize,
    expected: Cow<'static, str>,
    /// `None` where a field is missing.
    found: Option<Kind>,
    missing: Option<&'static str>,
}

impl ReadError {
    /// `raw` is not `expected`.
    pub fn new(raw: Raw<'_>, expected: impl Into<Cow<'static, str>>) -> Self {
        let address = raw.text.as_ptr().addr();
        Self { address, expected: expected.into(), found: Some(raw.kind()), missing: None }
    }

    /// The object `raw` lacks the field `name`.
    pub fn missing(raw: Raw<'_>, name: &'static str) -> Self {
        let expected = Cow::Owned(format!("the field `{name}`"));
        Self { address: raw.text.as_ptr().addr(), expected, found: None, missing: Some(name) }
    }

    /// What would have been right, such as "a string".
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What is there; `None` where the field is missing.
    pub const fn found(&self) -> Option<Kind> {
        self.found
    }

    /// JSON pointer (RFC 6901) to the value, or to the field that is missing.
    ///
    /// `root` is the text of the document that the value was read from.
    pub fn pointer(&self, root: &str) -> String {
        let mut pointer = super::pointer::pointer_of_address(root, self.address);
        if let Some(name) = self.missing {
            super::pointer::push_segment(&mut pointer, name);
        }
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_found_in_short_texts_and_in_long_ones() {
        for length in 0..100 {
            assert!(!has_escape("x".repeat(length).as_bytes()), "{length}");
            for at in 0..length {
                let mut text = "x".repeat(length).into_bytes();
                text[at] = b'\\';
                assert!(has_escape(&text), "{at} of {length}");
            }
        }
    }
}
