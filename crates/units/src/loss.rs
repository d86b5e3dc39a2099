use std::borrow::Cow;
use std::fmt;

/// What happened to something that the target protocol cannot express as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LossKind {
    /// It was left out.
    Dropped,
    /// Something close was sent in its place.
    Approximated,
    /// It stands in another place, where it may read differently.
    Moved,
    /// The target demands a value that the source did not give.
    Defaulted,
}

impl LossKind {
    /// The name in headers, metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Approximated => "approximated",
            Self::Moved => "moved",
            Self::Defaulted => "defaulted",
        }
    }
}

/// One thing that a translation could not carry over unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Loss {
    /// JSON pointer (RFC 6901) into the source document; empty for the document itself.
    pub pointer: String,
    /// What happened to it.
    pub kind: LossKind,
    /// Why, in one sentence.
    pub reason: Cow<'static, str>,
    /// What the target would have needed to carry it.
    pub needed: Cow<'static, str>,
}

impl Loss {
    /// Where it is, for people: the pointer, or `(document)` where that is empty.
    pub fn place(&self) -> &str {
        if self.pointer.is_empty() { "(document)" } else { &self.pointer }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind.as_str(), self.place(), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_of_the_document_itself_has_a_place_to_be_read() {
        let loss = |pointer: &str| Loss {
            pointer: pointer.into(),
            kind: LossKind::Defaulted,
            reason: "because".into(),
            needed: "something".into(),
        };
        assert_eq!(loss("").to_string(), "defaulted (document): because");
        // A field whose name is empty.
        assert_eq!(loss("/").to_string(), "defaulted /: because");
    }
}
