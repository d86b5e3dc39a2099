//! Requests that pass as they came, but for what clients bring back of other providers' turns.
//!
//! A client does not know who answered. What a translation made up for it, or carried for another
//! provider, stands in its history, and the provider of its own protocol refuses it. This is the last row
//! of the closed table of edits: what is marked as ours is taken out, or put back to what it was where
//! this very provider made it; nothing else is touched.

use weighbridge_protocol::json::{Fields, Raw, Writer};

/// A field at the root of a request that takes another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// Its name.
    pub field: &'static str,
    /// The new value.
    pub json: String,
}

/// What becomes of an item of a list.
#[derive(Debug)]
pub(crate) enum Item {
    Same,
    Other(String),
    Gone,
}

/// A list that was written anew.
#[derive(Debug)]
pub(crate) struct Amended {
    pub(crate) json: String,
    pub(crate) is_empty: bool,
}

/// Writes a list anew; `None` where nothing in it changes, or it is no list.
pub(crate) fn list<'a>(raw: Raw<'a>, mut item: impl FnMut(Raw<'a>) -> Item) -> Option<Amended> {
    let mut out = Vec::with_capacity(raw.text().len());
    let mut array = Writer::new(&mut out).array();
    let (mut changed, mut is_empty) = (false, true);
    for raw in raw.items().ok()? {
        match item(raw) {
            Item::Same => array.item().raw(raw.text()),
            Item::Other(json) => {
                array.item().raw(&json);
                changed = true;
            }
            Item::Gone => {
                changed = true;
                continue;
            }
        }
        is_empty = false;
    }
    drop(array);
    let json = String::from_utf8(out).ok().filter(|_| changed)?;
    Some(Amended { json, is_empty })
}

/// An object with other values of a few fields; a field without a value is left out, and one that is
/// not there comes last.
pub(crate) fn with_fields(raw: Raw<'_>, changes: &[(&str, Option<&str>)]) -> String {
    let mut out = Vec::with_capacity(raw.text().len());
    let mut object = Writer::new(&mut out).object();
    let fields = Fields::read(raw).map(Fields::rest).unwrap_or_default();
    for (name, value) in fields.iter() {
        match changes.iter().find(|(changed, _)| *changed == name) {
            Some((_, Some(json))) => object.key(name).raw(json),
            Some((_, None)) => {}
            None => object.key(name).raw(value.text()),
        }
    }
    for (name, json) in changes {
        if let Some(json) = json.filter(|_| fields.iter().all(|(there, _)| there != *name)) {
            object.key(name).raw(json);
        }
    }
    drop(object);
    // The writer writes nothing but UTF-8.
    String::from_utf8(out).unwrap_or_else(|_| raw.text().to_owned())
}

/// A string as JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    Writer::new(&mut out).string(text);
    String::from_utf8(out).unwrap_or_default()
}
