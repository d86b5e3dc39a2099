//! The few changes that a body may get on its way to a provider of the same protocol.

use bytes::Bytes;

use crate::Body;
use crate::json::{Fields, Raw, ReadError, Writer};

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
    /// The last value set per field, in the order in which fields were first set.
    changes: Vec<(String, Bytes)>,
}

impl Edits {
    pub(crate) const fn new(body: Body) -> Self {
        Self { body, changes: Vec::new() }
    }

    /// Gives a field a value, replacing the one it has. `json_text` must be one JSON value.
    pub fn set(&mut self, key: &str, json_text: impl Into<Bytes>) {
        let json_text = json_text.into();
        match self.changes.iter_mut().find(|(changed, _)| changed == key) {
            Some((_, value)) => *value = json_text,
            None => self.changes.push((key.to_owned(), json_text)),
        }
    }

    /// Gives a field inside the object `key` a value; the object is made where there is none.
    ///
    /// # Errors
    /// [`ReadError`] where `key` has a value that is no object.
    pub fn set_in(&mut self, key: &str, inner_key: &str, json_text: &str) -> Result<(), ReadError> {
        let changed = self.changes.iter().find(|(changed, _)| changed == key).map(|(_, value)| value);
        let current = match changed {
            Some(value) => std::str::from_utf8(value).ok().map(Raw::trusted),
            None => self.body.get(key),
        };
        let mut text = Vec::new();
        let mut object = Writer::new(&mut text).object();
        let mut is_set = false;
        if let Some(raw) = current.filter(|raw| !raw.is_null()) {
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

    /// Whether the body goes out as it came.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The body with its changes, as slices to be sent one after the other. Unchanged bytes are
    /// shared with the body, not copied.
    pub fn rope(&self) -> Vec<Bytes> {
        let bytes = self.body.bytes();
        let mut replaced = Vec::with_capacity(self.changes.len());
        let mut inserted = Vec::new();
        let (insert_at, mut comma) = self.body.insertion();
        for (key, value) in &self.changes {
            if let Some(field) = self.body.find(key) {
                replaced.push((field.value.clone(), value.clone()));
                continue;
            }
            if comma {
                inserted.push(b',');
            }
            comma = true;
            Writer::new(&mut inserted).string(key);
            inserted.push(b':');
            inserted.extend_from_slice(value);
        }
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
}
