//! An object, taken apart field by field; what is left over is kept.

use std::borrow::Cow;
use std::ops::Range;

use super::raw::Members;
use super::{FieldSpan, Indexed, Kind, Raw, ReadError, ScanError, ScanLimits, decode_string, scan_object};

/// What can be read from a JSON value.
pub trait FromRaw<'a>: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// [`ReadError`] where the value is something else.
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError>;
}

impl<'a> FromRaw<'a> for Raw<'a> {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        Ok(raw)
    }
}

impl<'a> FromRaw<'a> for Cow<'a, str> {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        raw.str()
    }
}

impl<'a> FromRaw<'a> for String {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        raw.str().map(Cow::into_owned)
    }
}

impl<'a> FromRaw<'a> for bool {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        raw.bool()
    }
}

impl<'a> FromRaw<'a> for u64 {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        raw.u64()
    }
}

impl<'a> FromRaw<'a> for i64 {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        raw.i64()
    }
}

impl<'a> FromRaw<'a> for Fields<'a> {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        Self::read(raw)
    }
}

impl<'a, T: FromRaw<'a>> FromRaw<'a> for Vec<T> {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        raw.items()?.map(T::from_raw).collect()
    }
}

/// What an object says under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<T> {
    /// There is no such field.
    Absent,
    /// The field is `null`.
    Null,
    /// The field has a value.
    Value(T),
}

impl<T> Field<T> {
    /// The value, where absent and `null` mean the same.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Another name for [`Self::value`].
    pub fn into_option(self) -> Option<T> {
        self.value()
    }
}

#[derive(Debug, Clone)]
struct Entry<'a> {
    key: Cow<'a, str>,
    value: Raw<'a>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be taken.
    Left,
    Taken,
    /// Another field counts in its place.
    Superseded,
}

/// The fields of one object, to be taken one by one; [`Self::rest`] is what nobody took.
///
/// Where a name is there twice the last one counts, as most readers have it. The others cannot be
/// taken, and are in the rest as [superseded](Bag::superseded).
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    raw: Raw<'a>,
    entries: Vec<Entry<'a>>,
}

impl<'a> Fields<'a> {
    /// Opens an object.
    ///
    /// # Errors
    /// [`ReadError`] where it is something else, or where a name is half of a surrogate pair.
    pub fn read(raw: Raw<'a>) -> Result<Self, ReadError> {
        let members = Members::of(raw)?;
        let mut entries = Vec::with_capacity(8);
        for (key, value) in members {
            let key = key
                .characters()
                .ok_or_else(|| ReadError::new(raw, "field names of whole Unicode characters"))?;
            entries.push(Entry { key, value, state: State::Left });
        }
        Ok(Self { raw, entries })
    }

    /// Checks a document that must be an object, and opens it: one pass where [`Raw::parse`] and
    /// [`Fields::read`] take two.
    ///
    /// # Errors
    /// [`ScanError`] says what is wrong, and where.
    pub fn parse(text: &'a str, limits: &ScanLimits) -> Result<Self, ScanError> {
        let slice = |range: Range<usize>| text.get(range).unwrap_or_default();
        let mut entries = Vec::with_capacity(16);
        let object = scan_object(text, limits, |FieldSpan { key, has_escapes, value }| {
            let name = slice(key);
            // Half of a surrogate pair is nobody's name; as it stands, nobody will ask for it.
            let decoded = has_escapes.then(|| decode_string(name)).flatten();
            let key = decoded.unwrap_or(Cow::Borrowed(name));
            entries.push(Entry { key, value: Raw::trusted(slice(value)), state: State::Left });
        })?;
        let raw = Raw::trusted(slice(object));
        Ok(Self { raw, entries })
    }

    /// Opens a document that must be an object.
    ///
    /// # Errors
    /// [`ScanError::NotAnObject`].
    pub fn open(document: &'a Indexed<'_>) -> Result<Self, ScanError> {
        let raw = document.root();
        let members = Members::of(raw).map_err(|_| ScanError::NotAnObject { found: raw.kind() })?;
        let entry = |(name, value): (Raw<'a>, Raw<'a>)| {
            let key = name.characters().unwrap_or(Cow::Borrowed(name.between_quotes()));
            Entry { key, value, state: State::Left }
        };
        let mut entries = Vec::with_capacity(16);
        entries.extend(members.map(entry));
        Ok(Self { raw, entries })
    }

    /// The object itself.
    pub const fn raw(&self) -> Raw<'a> {
        self.raw
    }

    /// The value of a field, which stays to be taken.
    pub fn peek(&self, name: &str) -> Option<Raw<'a>> {
        let last = self.entries.iter().rev().find(|entry| entry.key == name);
        last.filter(|entry| entry.state == State::Left).map(|entry| entry.value)
    }

    /// Whether a field is this text.
    pub fn says(&self, name: &str, text: &str) -> bool {
        self.peek(name).is_some_and(|value| value.str().is_ok_and(|said| said == text))
    }

    /// Takes a field.
    ///
    /// # Errors
    /// What `T` makes of a value that is not its own.
    pub fn take<T: FromRaw<'a>>(&mut self, name: &'static str) -> Result<Field<T>, ReadError> {
        let Some(entry) = self.find(name) else { return Ok(Field::Absent) };
        entry.state = State::Taken;
        let value = entry.value;
        if value.is_null() { Ok(Field::Null) } else { T::from_raw(value).map(Field::Value) }
    }

    /// Takes a field that must be there.
    ///
    /// # Errors
    /// [`ReadError`] where it is absent or `null`, or not a `T`.
    pub fn require<T: FromRaw<'a>>(&mut self, name: &'static str) -> Result<T, ReadError> {
        let raw = self.raw;
        self.take(name)?.value().ok_or_else(|| ReadError::missing(raw, name))
    }

    /// Takes a number, whatever its form, to be passed on as it was written.
    ///
    /// # Errors
    /// [`ReadError`] where the field is something else.
    pub fn number(&mut self, name: &'static str) -> Result<Option<Raw<'a>>, ReadError> {
        match self.take::<Raw<'a>>(name)?.value() {
            Some(raw) if raw.kind() == Kind::Number => Ok(Some(raw)),
            Some(raw) => Err(ReadError::new(raw, "a number")),
            None => Ok(None),
        }
    }

    /// Takes a field only if it is a `T`; anything else stays for the rest, but for a `null`, which
    /// says nothing.
    ///
    /// For what a provider answers: an odd field must not spoil an answer that was paid for.
    pub fn offer<T: FromRaw<'a>>(&mut self, name: &'static str) -> Option<T> {
        let entry = self.find(name)?;
        let value = T::from_raw(entry.value).ok();
        if value.is_some() || entry.value.is_null() {
            entry.state = State::Taken;
        }
        value
    }

    /// Takes the field that says which variant an object is. `None` where there is none, or it is
    /// no string: like an unknown name, that makes the object unknown, not wrong.
    pub fn variant(&mut self, name: &'static str) -> Option<Cow<'a, str>> {
        self.offer(name)
    }

    /// Says that a field does not count, because another one stands for the same.
    pub(crate) fn supersede(&mut self, name: &str) {
        if let Some(entry) = self.find(name) {
            entry.supersede();
        }
    }

    /// What nobody took, in order.
    pub fn rest(mut self) -> Bag<'a> {
        // Nearly always nothing is, and then the bag need not hold the fields' memory.
        if self.entries.iter().all(|entry| entry.state == State::Taken) {
            return Bag::EMPTY;
        }
        self.supersede_all_but_the_last();
        let is_left = |entry: &Entry<'_>| entry.state != State::Taken;
        let mut entries = Vec::with_capacity(self.entries.iter().filter(|entry| is_left(entry)).count());
        entries.extend(self.entries.into_iter().filter(is_left).map(|entry| Leftover {
            name: entry.key,
            value: entry.value,
            is_superseded: entry.state == State::Superseded,
        }));
        Bag { entries }
    }

    /// Marks those fields that are there again further on.
    fn supersede_all_but_the_last(&mut self) {
        /// Beyond so many comparisons it is quicker to sort.
        const PAIRS_MAX: usize = 1_024;
        let left = self.entries.iter().filter(|entry| entry.state == State::Left).count();
        if left.saturating_mul(self.entries.len()) > PAIRS_MAX {
            let mut by_name: Vec<&mut Entry<'a>> = self.entries.iter_mut().collect();
            // Stable: of equal names the last one stays the last.
            by_name.sort_by(|a, b| a.key.cmp(&b.key));
            for at in 1..by_name.len() {
                if let [before, after] = &mut by_name[at - 1..=at]
                    && before.key == after.key
                {
                    before.supersede();
                }
            }
            return;
        }
        let mut rest = self.entries.as_mut_slice();
        while let [first, others @ ..] = rest {
            if first.state == State::Left && others.iter().any(|other| other.key == first.key) {
                first.supersede();
            }
            rest = others;
        }
    }

    fn find(&mut self, name: &str) -> Option<&mut Entry<'a>> {
        let last = self.entries.iter_mut().rev().find(|entry| entry.key == name);
        last.filter(|entry| entry.state == State::Left)
    }
}

impl Entry<'_> {
    fn supersede(&mut self) {
        if self.state == State::Left {
            // What is `null` says nothing anyway.
            self.state = if self.value.is_null() { State::Taken } else { State::Superseded };
        }
    }
}

/// What nobody took from an object: names and raw values, in order.
///
/// Written back to the same protocol as it is; for another protocol each entry becomes a loss. So does,
/// for either, what is superseded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bag<'a> {
    entries: Vec<Leftover<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Leftover<'a> {
    name: Cow<'a, str>,
    value: Raw<'a>,
    is_superseded: bool,
}

impl<'a> Bag<'a> {
    /// Nothing left over.
    pub const EMPTY: Self = Self { entries: Vec::new() };

    /// The names with their values, in order, but for what is superseded.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Raw<'a>)> + '_ {
        self.of(false)
    }

    /// Fields in whose place another one counts, which may have been taken: of the same name further on,
    /// or of another name for the same. Nobody reads them, and writing them beside the other one would
    /// leave to the next reader which of them counts.
    pub fn superseded(&self) -> impl Iterator<Item = (&str, Raw<'a>)> + '_ {
        self.of(true)
    }

    fn of(&self, is_superseded: bool) -> impl Iterator<Item = (&str, Raw<'a>)> + '_ {
        let entries = self.entries.iter().filter(move |entry| entry.is_superseded == is_superseded);
        entries.map(|entry| (entry.name.as_ref(), entry.value))
    }

    /// Whether nothing was left over, superseded or not.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry; for tests and for values that moved.
    pub fn push(&mut self, key: impl Into<Cow<'a, str>>, value: Raw<'a>) {
        self.entries.push(Leftover { name: key.into(), value, is_superseded: false });
    }

    /// Adds an entry that is [superseded](Self::superseded).
    pub fn push_superseded(&mut self, key: impl Into<Cow<'a, str>>, value: Raw<'a>) {
        self.entries.push(Leftover { name: key.into(), value, is_superseded: true });
    }
}
