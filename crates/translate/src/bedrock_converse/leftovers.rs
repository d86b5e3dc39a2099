//! What nobody took of the objects inside a node.
//!
//! The format nests deeply: a sampling parameter of a request stands in `inferenceConfig`, the bytes of an
//! image in `image.source`. None of these objects has a node of its own. Their leftovers go to the bag of
//! the node around them, each under its JSON pointer from there, without the first slash: so each goes
//! back to its own place, and a report names it.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Object, Raw};

use crate::Losses;

/// Keeps what nobody took of the object at `path` of the node that `bag` belongs to.
pub(super) fn keep<'a>(bag: &mut Bag<'a>, path: &str, fields: Fields<'a>) {
    let rest = fields.rest();
    for (name, value) in rest.iter() {
        keep_field(bag, path, name, value);
    }
    for (name, value) in rest.superseded() {
        bag.push_superseded(pointer(path, name), value);
    }
}

/// Keeps one field of the object at `path`.
pub(super) fn keep_field<'a>(bag: &mut Bag<'a>, path: &str, name: &str, value: Raw<'a>) {
    bag.push(pointer(path, name), value);
}

fn pointer(path: &str, name: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    if path.is_empty() { name } else { format!("{path}/{name}") }
}

/// Writes back what was kept of the object at `path`; another protocol's leftovers are none of its.
pub(super) fn write<'a>(bag: &Bag<'a>, path: &str, object: &mut Object<'_>, losses: &Losses<'a>) {
    if losses.is_same_protocol() {
        write_own(bag, path, object);
    }
}

/// As [`write`], of a bag that is known to be of this protocol.
pub(super) fn write_own(bag: &Bag<'_>, path: &str, object: &mut Object<'_>) {
    for (pointer, value) in bag.iter() {
        if let Some(name) = below(pointer, path).filter(|name| !name.contains('/')) {
            object.key(&unescaped(name)).raw(value.text());
        }
    }
}

/// Whether something was kept at `path` or further inside, so that the object must be written.
pub(super) fn any_at<'a>(bag: &Bag<'a>, path: &str, losses: &Losses<'a>) -> bool {
    losses.is_same_protocol() && bag.iter().any(|(pointer, _)| below(pointer, path).is_some())
}

/// Reports the bag of a node that came from another protocol, and what of this protocol's own is not
/// written back.
pub(super) fn report<'a>(bag: &Bag<'a>, losses: &mut Losses<'a>) {
    if losses.is_same_protocol() {
        losses.superseded(bag);
    } else {
        losses.bag(bag);
    }
}

/// What follows `path` in a pointer.
fn below<'p>(pointer: &'p str, path: &str) -> Option<&'p str> {
    if path.is_empty() { Some(pointer) } else { pointer.strip_prefix(path)?.strip_prefix('/') }
}

fn unescaped(name: &str) -> Cow<'_, str> {
    if name.contains('~') { Cow::Owned(name.replace("~1", "/").replace("~0", "~")) } else { name.into() }
}
