//! Bags of inner objects that have no node of their own.

use weighbridge_protocol::json::Bag;

/// Moves the leftovers of an inner object to the bag of the node that it belongs to.
pub(crate) fn append<'a>(bag: &mut Bag<'a>, more: Bag<'a>) {
    if bag.is_empty() {
        *bag = more;
        return;
    }
    for (name, value) in more.iter() {
        bag.push(name.to_owned(), value);
    }
    for (name, value) in more.superseded() {
        bag.push_superseded(name.to_owned(), value);
    }
}
