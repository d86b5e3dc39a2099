//! JSON pointers (RFC 6901), computed from addresses only when somebody wants to read one.

use std::fmt::Write as _;

use super::raw::Members;
use super::{Kind, Raw};

/// The JSON pointer of `part`, a slice of the document `root` at which a value starts.
///
/// Empty, which points to the whole document, where `part` lies elsewhere.
pub fn pointer_of(root: &str, part: &str) -> String {
    pointer_of_address(root, part.as_ptr().addr())
}

/// The JSON pointers of several parts of one document, in the order given, in one walk.
///
/// One walk, so that a document with a thousand remarks costs no thousand walks.
pub fn pointers_of<'p>(root: &str, parts: impl IntoIterator<Item = &'p str>) -> Vec<String> {
    let mut wanted: Vec<(usize, usize)> =
        parts.into_iter().enumerate().map(|(index, part)| (part.as_ptr().addr(), index)).collect();
    let mut pointers = vec![String::new(); wanted.len()];
    wanted.sort_unstable();
    let mut walk = Walk { wanted: &wanted, pointer: String::new(), found: &mut pointers };
    let trimmed = root.trim_matches([' ', '\t', '\n', '\r']);
    walk.skip_before(trimmed.as_ptr().addr());
    walk.visit(Raw::trusted(trimmed));
    pointers
}

pub(super) fn pointer_of_address(root: &str, address: usize) -> String {
    let offset = address.wrapping_sub(root.as_ptr().addr());
    let part = root.get(offset..).unwrap_or(root);
    pointers_of(root, [part]).pop().unwrap_or_default()
}

/// Appends one segment with the escapes of RFC 6901.
pub fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for character in segment.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

struct Walk<'w> {
    /// Addresses still to be found, ascending, each with its place in `found`.
    wanted: &'w [(usize, usize)],
    pointer: String,
    found: &'w mut Vec<String>,
}

impl Walk<'_> {
    fn skip_before(&mut self, address: usize) {
        while self.wanted.first().is_some_and(|(wanted, _)| *wanted < address) {
            self.wanted = &self.wanted[1..];
        }
    }

    fn visit(&mut self, raw: Raw<'_>) {
        let start = raw.text().as_ptr().addr();
        let end = start + raw.text().len();
        while let Some((address, index)) = self.wanted.first().copied().filter(|(wanted, _)| *wanted < end) {
            if address <= start {
                // Equal: the value itself. Less: something between two values, which is nowhere.
                if address == start
                    && let Some(found) = self.found.get_mut(index)
                {
                    found.clone_from(&self.pointer);
                }
                self.wanted = &self.wanted[1..];
            } else if !self.descend(raw) {
                self.skip_before(end);
            }
        }
    }

    /// Visits the children; false where there are none, or nothing wanted was among them.
    fn descend(&mut self, raw: Raw<'_>) -> bool {
        let before = self.wanted.len();
        let length = self.pointer.len();
        match raw.kind() {
            Kind::Object => {
                for (key, value) in Members::of(raw).into_iter().flatten() {
                    if !self.is_wanted_in(value) {
                        continue;
                    }
                    let name = key.characters().unwrap_or_else(|| key.between_quotes().into());
                    push_segment(&mut self.pointer, &name);
                    self.visit(value);
                    self.pointer.truncate(length);
                }
            }
            Kind::Array => {
                for (index, value) in raw.items().into_iter().flatten().enumerate() {
                    if !self.is_wanted_in(value) {
                        continue;
                    }
                    let _ = write!(self.pointer, "/{index}");
                    self.visit(value);
                    self.pointer.truncate(length);
                }
            }
            _ => {}
        }
        self.wanted.len() < before
    }

    fn is_wanted_in(&self, value: Raw<'_>) -> bool {
        let end = value.text().as_ptr().addr() + value.text().len();
        self.wanted.first().is_some_and(|(wanted, _)| *wanted < end)
    }
}
