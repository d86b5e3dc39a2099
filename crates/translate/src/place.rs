//! Where a node of the canonical model stands in the document it was read from.

use weighbridge_protocol::json::{FromRaw, Raw, ReadError};

/// Where a node stands in its document. For pointers in losses and errors only: it is no part of
/// what the node says, so all places are equal to each other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a>(Option<Raw<'a>>);

impl Place<'_> {
    /// Nowhere: a node that was not read from a document.
    pub const NOWHERE: Self = Self(None);
}

impl<'a> Place<'a> {
    /// What stands there, for an encoder that writes it back to its own protocol.
    pub(crate) const fn raw(self) -> Option<Raw<'a>> {
        self.0
    }

    /// The text at this place, for [`pointers_of`](weighbridge_protocol::json::pointers_of); `root`
    /// itself for nowhere.
    pub(crate) fn text<'t>(self, root: &'t str) -> &'t str
    where
        'a: 't,
    {
        self.0.map_or(root, Raw::text)
    }
}

impl PartialEq for Place<'_> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place<'_> {}

impl<'a> From<Raw<'a>> for Place<'a> {
    fn from(raw: Raw<'a>) -> Self {
        Self(Some(raw))
    }
}

/// A value with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'a, T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place<'a>,
}

impl<T> Placed<'_, T> {
    /// A value that was not read from a document.
    pub const fn nowhere(value: T) -> Self {
        Self { value, place: Place::NOWHERE }
    }
}

impl<'a, T: FromRaw<'a>> FromRaw<'a> for Placed<'a, T> {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        Ok(Self { value: T::from_raw(raw)?, place: raw.into() })
    }
}
