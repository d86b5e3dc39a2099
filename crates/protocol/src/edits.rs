//! The few changes that a body may get on its way to a provider of the same protocol.

use std::ops::Range;

use bytes::Bytes;

use crate::Body;
use crate::json::{FieldSpan, Fields, Raw, ReadError, Writer};

/// Changes to single fields of a [`Body`], which leave every other byte alone.
///
/// A failover applies other edits to the same body.
///
/// ```
/// use bytes::Bytes;
/// use weighbridge_protocol::{Body, json::ScanLimits};
///
/// let body = Body::scan(Bytes::from_static(br#"{"model":"fast", "n":1}"#), &ScanLimits::default())?;
/// let mut edits = body.edit();
/// edits.set("model", "\"gpt-4o-mini\"");
/// edits.set_in("stream_options", "include_usage", "true")?;
/// let sent: Vec<u8> = edits.rope().concat();
/// assert_eq!(sent, br#"{"model":"gpt-4o-mini", "n":1,"stream_options":{"include_usage":true}}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Edits {
    body: Body,
    /// What each field becomes, in the order in which fields were first named: its last value, or
    /// nothing where it is taken out.
    changes: Vec<(String, Option<Bytes>)>,
    insertions: Vec<Insertion>,
}

/// A text that is put into the value of a field.
#[derive(Debug, Clone)]
struct Insertion {
    key: String,
    /// Bytes of the value before it.
    at: usize,
    text: Bytes,
}

impl Edits {
    pub(crate) const fn new(body: Body) -> Self {
        Self { body, changes: Vec::new(), insertions: Vec::new() }
    }

    /// Gives a field a value, replacing the one it has. `json_text` must be one JSON value.
    pub fn set(&mut self, key: &str, json_text: impl Into<Bytes>) {
        self.change(key, Some(json_text.into()));
    }

    /// Takes a field out; nothing happens where there is none.
    pub fn remove(&mut self, key: &str) {
        self.change(key, None);
    }

    /// Puts a text into the value of a field, `at` bytes behind the beginning of what [`Self::get`] gives.
    /// Several go into that value too, those for one place in the order in which they came; another value
    /// of the field goes out without them. Nothing happens where there is no such field or place.
    ///
    /// What goes out must be JSON again: that is for the caller to see to.
    pub fn insert(&mut self, key: &str, at: usize, text: impl Into<Bytes>) {
        if self.get(key).is_some_and(|value| value.text().is_char_boundary(at)) {
            self.insertions.push(Insertion { key: key.to_owned(), at, text: text.into() });
        }
    }

    fn change(&mut self, key: &str, value: Option<Bytes>) {
        self.insertions.retain(|insertion| insertion.key != key);
        if value.is_none() && self.body.find(key).is_none() {
            return self.changes.retain(|(changed, _)| changed != key);
        }
        match self.changes.iter_mut().find(|(changed, _)| changed == key) {
            Some((_, last)) => *last = value,
            None => self.changes.push((key.to_owned(), value)),
        }
    }

    /// The value that a field goes out with, but for what is [put into it](Self::insert).
    pub fn get(&self, key: &str) -> Option<Raw<'_>> {
        match self.changes.iter().find(|(changed, _)| changed == key) {
            Some((_, value)) => {
                value.as_ref().and_then(|value| std::str::from_utf8(value).ok()).map(Raw::trusted)
            }
            None => self.body.get(key),
        }
    }

    /// Gives a field inside the object `key` a value; the object is made where there is none.
    ///
    /// # Errors
    /// [`ReadError`] where `key` has a value that is no object.
    pub fn set_in(&mut self, key: &str, inner_key: &str, json_text: &str) -> Result<(), ReadError> {
        let mut text = Vec::new();
        let mut object = Writer::new(&mut text).object();
        let mut is_set = false;
        if let Some(raw) = self.get(key).filter(|raw| !raw.is_null()) {
            for (name, value) in Fields::read(raw)?.rest().iter() {
                is_set |= name == inner_key;
                object.key(name).raw(if name == inner_key { json_text } else { value.text() });
            }
        }
        if !is_set {
            object.key(inner_key).raw(json_text);
        }
        drop(object);
        self.set(key, text);
        Ok(())
    }

    /// The body that is changed.
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// Whether the body goes out as it came.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.insertions.is_empty()
    }

    /// The body with its changes, as slices to be sent one after the other. Unchanged bytes are
    /// shared with the body, not copied.
    pub fn rope(&self) -> Vec<Bytes> {
        let bytes = self.body.bytes();
        let mut replaced = self.cuts();
        let mut inserted = Vec::new();
        let mut comma = self.body.fields().len() > replaced.len();
        replaced.extend(self.insertions.iter().filter_map(|insertion| self.placed(insertion)));
        for (key, value) in &self.changes {
            let Some(value) = value else { continue };
            let value = self.with_insertions(key, value);
            if let Some(field) = self.body.find(key) {
                replaced.push((field.value.clone(), value));
                continue;
            }
            if comma {
                inserted.push(b',');
            }
            comma = true;
            Writer::new(&mut inserted).string(key);
            inserted.push(b':');
            inserted.extend_from_slice(&value);
        }
        let insert_at = self.body.insertion();
        if !inserted.is_empty() {
            replaced.push((insert_at..insert_at, inserted.into()));
        }
        // Stable, and an insertion starts where the last field ends: it stays behind that field.
        replaced.sort_by_key(|(range, _)| (range.start, range.end));
        let mut rope = Vec::with_capacity(2 * replaced.len() + 1);
        let mut at = 0;
        for (range, value) in replaced {
            rope.push(bytes.slice(at..range.start));
            rope.push(value);
            at = range.end;
        }
        rope.push(bytes.slice(at..));
        rope.retain(|slice| !slice.is_empty());
        rope
    }

    /// Where an insertion goes whose field has the value that it came with.
    fn placed(&self, insertion: &Insertion) -> Option<(Range<usize>, Bytes)> {
        let is_changed = self.changes.iter().any(|(key, _)| *key == insertion.key);
        let field = self.body.find(&insertion.key).filter(|_| !is_changed)?;
        let at = field.value.start + insertion.at;
        Some((at..at, insertion.text.clone()))
    }

    /// A new value of a field, with what is put into it.
    fn with_insertions(&self, key: &str, value: &Bytes) -> Bytes {
        let mut mine: Vec<&Insertion> = self.insertions.iter().filter(|one| one.key == key).collect();
        if mine.is_empty() {
            return value.clone();
        }
        mine.sort_by_key(|insertion| insertion.at);
        let mut whole =
            Vec::with_capacity(value.len() + mine.iter().map(|one| one.text.len()).sum::<usize>());
        let mut from = 0;
        for insertion in mine {
            whole.extend_from_slice(value.get(from..insertion.at).unwrap_or_default());
            whole.extend_from_slice(&insertion.text);
            from = insertion.at;
        }
        whole.extend_from_slice(value.get(from..).unwrap_or_default());
        whole.into()
    }

    /// What goes with the fields that are taken out: each with the comma before it, or with the one
    /// behind it where no field is left before it.
    fn cuts(&self) -> Vec<(Range<usize>, Bytes)> {
        let removed: Vec<&FieldSpan> = (self.changes.iter().filter(|(_, value)| value.is_none()))
            .filter_map(|(key, _)| self.body.find(key))
            .collect();
        if removed.is_empty() {
            return Vec::new();
        }
        let fields = self.body.fields();
        let (mut cuts, mut end, mut is_first) = (Vec::with_capacity(removed.len()), 0, true);
        for (place, field) in fields.iter().enumerate() {
            // A name stands between quotes, which are not part of its span.
            let opens = |field: &FieldSpan| field.key.start - 1;
            if removed.contains(&field) {
                let cut = match fields.get(place + 1) {
                    _ if !is_first => end..field.value.end,
                    Some(next) => opens(field)..opens(next),
                    None => opens(field)..field.value.end,
                };
                cuts.push((cut, Bytes::new()));
            } else {
                is_first = false;
            }
            end = field.value.end;
        }
        cuts
    }
}
