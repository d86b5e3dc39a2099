//! Where one piece of reasoning ends and the next begins, among the entries of `reasoning_details`.

use crate::conversation::Proof;

/// `format` of the last entry of reasoning that nothing proves: it keeps it apart from what follows.
pub(super) const UNPROVEN: &str = "unknown";

/// What a piece of reasoning has said so far, as far as its end depends on it.
#[derive(Debug, Default)]
pub(super) struct SoFar {
    pub(super) id: Option<String>,
    pub(super) format: Option<String>,
    text_index: Option<Option<u64>>,
    last_index: Option<u64>,
    has_proof: bool,
}

/// An entry, as far as it decides whether it goes on with the piece before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next<'d> {
    pub(super) id: Option<&'d str>,
    pub(super) format: Option<&'d str>,
    pub(super) index: Option<u64>,
    pub(super) has_text: bool,
    pub(super) has_signature: bool,
    pub(super) has_data: bool,
}

impl SoFar {
    /// A piece of that id which has said nothing yet.
    pub(super) fn of(id: Option<&str>) -> Self {
        Self { id: id.map(str::to_owned), ..Self::default() }
    }

    /// A proof ends a piece; another id, format or text begins the next. So does Google's data, which
    /// signs what follows it.
    pub(super) fn goes_on(&self, next: Next<'_>) -> bool {
        let differ =
            |one: Option<&str>, other: Option<&str>| one.is_some() && other.is_some() && one != other;
        let begins_text = next.has_text && self.text_index.is_some_and(|index| index != next.index);
        let was_last = self.format.as_deref() == Some(UNPROVEN) && self.last_index != next.index;
        let signs_next = next.has_data && next.format == Some(Proof::GEMINI);
        let is_other = differ(self.id.as_deref(), next.id) || differ(self.format.as_deref(), next.format);
        !(self.has_proof || is_other || begins_text || was_last || signs_next)
    }

    /// Whether text that has no entry goes on with the piece.
    pub(super) const fn takes_text(&self) -> bool {
        !self.has_proof
    }

    /// Takes note of an entry of this piece.
    pub(super) fn note(&mut self, next: Next<'_>) {
        let keep = |known: &mut Option<String>, new: Option<&str>| {
            if known.is_none() {
                *known = new.map(str::to_owned);
            }
        };
        keep(&mut self.id, next.id);
        keep(&mut self.format, next.format);
        self.last_index = next.index;
        if next.has_text {
            self.text_index = Some(next.index);
        }
        self.has_proof |= next.has_signature || next.has_data;
    }
}
