//! Where losses are collected while a document is encoded.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Kind, Object, Raw, pointers_of};
use weighbridge_units::{Loss, LossKind, Protocol};

use crate::adapter::adapter;
use crate::conversation::{CacheMark, Citation, Conversation, Wish};
use crate::place::{Place, Placed};

/// How many losses one translation lists. A document can be made of nothing but fields that cannot
/// be translated; the rest is counted.
pub const LISTED_MAX: usize = 256;

/// Collects what a translation cannot carry over. Pointers are computed once, at the end.
#[derive(Debug)]
pub struct Losses<'a> {
    /// What the document was read from, where it is a conversation.
    source: Option<Protocol>,
    /// The name of what it is written to.
    target: &'static str,
    is_same: bool,
    found: Vec<Found<'a>>,
    unlisted: usize,
}

#[derive(Debug)]
struct Found<'a> {
    place: Place<'a>,
    kind: LossKind,
    reason: Cow<'static, str>,
    needed: Cow<'static, str>,
}

impl<'a> Losses<'a> {
    /// Nothing lost yet, on the way from `source` to `target`.
    pub const fn new(source: Protocol, target: Protocol) -> Self {
        let is_same = source as u8 == target as u8;
        Self { source: Some(source), target: target.as_str(), is_same, found: Vec::new(), unlisted: 0 }
    }

    /// Nothing lost yet, on the way to a format that is none of conversations; `is_same` tells whether the
    /// document comes from the same one.
    pub(crate) const fn to_other(target: &'static str, is_same: bool) -> Self {
        Self { source: None, target, is_same, found: Vec::new(), unlisted: 0 }
    }

    /// The name of what the document is written to.
    pub(crate) const fn target(&self) -> &'static str {
        self.target
    }

    /// Whether nothing was lost so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Reports one loss: where, what happened, why, and what the target would have needed.
    pub fn report(
        &mut self,
        place: impl Into<Place<'a>>,
        kind: LossKind,
        reason: impl Into<Cow<'static, str>>,
        needed: impl Into<Cow<'static, str>>,
    ) {
        if self.found.len() == LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        self.found.push(Found { place: place.into(), kind, reason: reason.into(), needed: needed.into() });
    }

    /// Reports something left out.
    pub fn dropped(
        &mut self,
        place: impl Into<Place<'a>>,
        reason: impl Into<Cow<'static, str>>,
        needed: impl Into<Cow<'static, str>>,
    ) {
        self.report(place, LossKind::Dropped, reason, needed);
    }

    /// Whether the document goes back to the protocol that it came from.
    pub fn is_same_protocol(&self) -> bool {
        self.is_same
    }

    /// Whether the entries of a bag are written: there are some, and the target knows them.
    pub fn keeps(&self, bag: &Bag<'_>) -> bool {
        self.is_same_protocol() && bag.iter().next().is_some()
    }

    /// Writes a bag back to its own protocol, or reports its entries to another.
    pub fn write_bag(&mut self, bag: &Bag<'a>, object: &mut Object<'_>) {
        if !self.is_same_protocol() {
            return self.bag(bag);
        }
        for (name, value) in bag.iter() {
            object.key(name).raw(value.text());
        }
        self.superseded(bag);
    }

    /// Reports every entry of a bag that says something, since no other protocol knows it.
    pub fn bag(&mut self, bag: &Bag<'a>) {
        for (name, value) in bag.iter() {
            self.field(name, value);
        }
        self.superseded(bag);
    }

    /// Reports what of a bag is not even written back to its own protocol.
    pub fn superseded(&mut self, bag: &Bag<'a>) {
        for (_, value) in bag.superseded() {
            self.dropped(
                value,
                "the object says the same field again, and only one of them counts",
                "objects that say a field twice",
            );
        }
    }

    /// Reports a field that only the source knows, if it says something.
    pub fn field(&mut self, name: &str, value: Raw<'a>) {
        if says_nothing(self.source, name, value) {
            return;
        }
        match self.source.and_then(|source| adapter(source).outlived(name)) {
            Some(reason) => {
                self.report(value, LossKind::Approximated, reason, format!("a counterpart of `{name}`"));
            }
            None => self.unknown(value, "field", name),
        }
    }

    /// Reports an item of a kind that only the source knows.
    pub fn unknown(&mut self, raw: Raw<'a>, what: &'static str, name: &str) {
        if self.found.len() == LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        // A name comes from outside: it may be of any length.
        let name: String = name.chars().take(64).collect();
        self.dropped(
            raw,
            format!("the {what} `{name}` is not carried over to {}", self.target),
            format!("a counterpart of `{name}`"),
        );
    }

    /// Reports every wish of a request that is not among those that the target's encoder heard.
    ///
    /// An encoder that hears a wish in part reports the rest itself.
    pub fn unheard(&mut self, conversation: &Conversation<'a>, heard: &[Wish]) {
        for (wish, place) in conversation.wishes() {
            if !heard.contains(&wish) {
                let needed = wish.needed();
                self.dropped(place, format!("{} has no word for {needed}", self.target), needed);
            }
        }
    }

    /// Reports that a part or tool was marked as worth caching, where the target has no such marks.
    pub fn uncached(&mut self, mark: Option<&Placed<'a, CacheMark>>) {
        if let Some(mark) = mark {
            self.dropped(
                mark.place,
                format!("{} caches on its own", self.target),
                "marks for the prompt cache",
            );
        }
    }

    /// Reports the sources of a text, where the target cannot name them.
    pub fn uncited(&mut self, citations: &[Citation<'a>]) {
        for citation in citations {
            self.dropped(citation.place, "the source of a text cannot be named", "citations");
        }
    }

    /// The losses, with pointers into the document `root`, in the order of reporting.
    pub fn into_list(self, root: &str) -> Vec<Loss> {
        let pointers = pointers_of(root, self.found.iter().map(|found| found.place.text(root)));
        let mut list: Vec<Loss> = self
            .found
            .into_iter()
            .zip(pointers)
            .map(|(found, pointer)| Loss {
                pointer,
                kind: found.kind,
                reason: found.reason,
                needed: found.needed,
            })
            .collect();
        if self.unlisted > 0 {
            list.push(Loss {
                pointer: String::new(),
                kind: LossKind::Dropped,
                reason: format!("{} more losses are not listed", self.unlisted).into(),
                needed: "counterparts of all that is lost".into(),
            });
        }
        list
    }
}

/// Whether leaving a field out changes nothing: it is empty, or says what is the case anyway.
fn says_nothing(source: Option<Protocol>, name: &str, value: Raw<'_>) -> bool {
    let is_empty = match value.kind() {
        Kind::Null => true,
        Kind::Array => value.text().len() == 2,
        Kind::Object => {
            let is_switch = source.is_some_and(|source| adapter(source).is_switch(name));
            value.text().len() == 2 && !is_switch
        }
        _ => false,
    };
    is_empty || source.is_some_and(|source| adapter(source).is_default(name, value))
}
