//! The canonical answer: what a whole response says, in one vocabulary.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw};
use weighbridge_units::{Bucket, LossKind, Protocol, Usage};

use crate::conversation::{Part, TokenLogprob};
use crate::finish::{FinishReason, PartsSeen, StopDetails};
use crate::place::Place;
use crate::{Content, Losses, Placed};

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<'a> {
    /// The protocol that it was read from; bags are written back to this one only.
    pub source: Protocol,
    /// The provider's id of the answer.
    pub id: Option<Cow<'a, str>>,
    /// The model as the provider names it.
    pub model: Option<Cow<'a, str>>,
    /// When it was made, in seconds since the epoch.
    pub created: Option<i64>,
    /// The answers: one, unless more were asked for.
    pub candidates: Vec<Candidate<'a>>,
    /// What was used, if the provider told.
    pub usage: Option<Usage>,
    /// Where the usage object stands.
    pub usage_place: Place<'a>,
    /// Fields of the usage object that are not understood.
    pub usage_bag: Bag<'a>,
    /// The service tier that the answer was made in, as the provider names it.
    pub service_tier: Option<Placed<'a, Cow<'a, str>>>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

impl Answer<'_> {
    /// An answer of `source` that says nothing yet.
    pub const fn new(source: Protocol) -> Self {
        Self {
            source,
            id: None,
            model: None,
            created: None,
            candidates: Vec::new(),
            usage: None,
            usage_place: Place::NOWHERE,
            usage_bag: Bag::EMPTY,
            service_tier: None,
            bag: Bag::EMPTY,
        }
    }
}

/// One of the answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// What it consists of, in order.
    pub parts: Vec<Part<'a>>,
    /// Why it ended, if the provider said.
    pub finish: Option<FinishReason>,
    /// What the provider adds to the reason.
    pub stop_details: Option<StopDetails<'a>>,
    /// The probability of each token of its text; empty where nobody asked.
    pub logprobs: Vec<TokenLogprob<'a>>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

impl<'a> Candidate<'a> {
    /// A candidate that says nothing yet.
    pub fn new(place: impl Into<Place<'a>>) -> Self {
        Self {
            place: place.into(),
            parts: Vec::new(),
            finish: None,
            stop_details: None,
            logprobs: Vec::new(),
            bag: Bag::EMPTY,
        }
    }
}

impl Candidate<'_> {
    /// What parts it has, as far as its finish reason depends on them.
    pub fn seen(&self) -> PartsSeen {
        let has = |wanted: fn(&Content<'_>) -> bool| self.parts.iter().any(|part| wanted(&part.content));
        PartsSeen {
            refusal: has(|content| matches!(content, Content::Refusal(_))),
            tool_calls: has(|content| matches!(content, Content::ToolCall(_))),
        }
    }
}

/// What a gateway must know of an answer, whatever it does with the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerFacts {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model as the provider names it.
    pub model: Option<String>,
    /// What was used, if the provider told.
    pub usage: Option<Usage>,
    /// Why the first candidate ended, if the provider said.
    pub finish: Option<FinishReason>,
    /// The service tier that the answer was made in, as the provider names it.
    pub service_tier: Option<String>,
}

impl From<&Answer<'_>> for AnswerFacts {
    fn from(answer: &Answer<'_>) -> Self {
        Self {
            id: answer.id.as_deref().map(str::to_owned),
            model: answer.model.as_deref().map(str::to_owned),
            usage: answer.usage,
            finish: answer.candidates.first().and_then(|candidate| candidate.finish.clone()),
            service_tier: answer.service_tier.as_ref().map(|tier| tier.value.as_ref().to_owned()),
        }
    }
}

/// What of a usage object, and of the objects inside it, is not understood.
pub(crate) fn usage_rest<'a>(usage: Raw<'a>, known: &[&str], inner: &[(&str, &[&str])]) -> Bag<'a> {
    let fields = |raw| Fields::read(raw).map(Fields::rest).unwrap_or_default();
    // A count of zero says nothing.
    let says = |value: Raw<'_>| value.text() != "0";
    let mut rest = Bag::EMPTY;
    let supersede = |rest: &mut Bag<'a>, fields: &Bag<'a>| {
        for (name, value) in fields.superseded() {
            rest.push_superseded(name.to_owned(), value);
        }
    };
    let outer = fields(usage);
    supersede(&mut rest, &outer);
    for (name, value) in outer.iter() {
        if !known.contains(&name) && says(value) {
            rest.push(name.to_owned(), value);
        }
        let Some((_, known)) = inner.iter().find(|(object, _)| *object == name) else { continue };
        let inner = fields(value);
        supersede(&mut rest, &inner);
        for (name, value) in inner.iter().filter(|(name, value)| !known.contains(name) && says(*value)) {
            rest.push(name.to_owned(), value);
        }
    }
    rest
}

/// The usage object as it stood, where it goes back to its own protocol and still says what was used.
pub(crate) fn usage_as_told<'a>(
    answer: &Answer<'a>,
    read: impl Fn(Raw<'_>) -> Usage,
    losses: &Losses<'a>,
) -> Option<Raw<'a>> {
    let raw = answer.usage_place.raw().filter(|_| losses.is_same_protocol())?;
    (answer.usage == Some(read(raw))).then_some(raw)
}

/// Reports what a usage object cannot tell: buckets of `untold`, and fields that are not understood.
pub(crate) fn report_usage<'a>(answer: &Answer<'a>, untold: &[Bucket], losses: &mut Losses<'a>) {
    let usage = answer.usage.unwrap_or_default();
    for bucket in untold.iter().filter(|bucket| usage.get(**bucket) > 0) {
        losses.report(
            answer.usage_place,
            LossKind::Approximated,
            format!("the usage object does not tell `{bucket}` apart"),
            format!("a field for `{bucket}`"),
        );
    }
    losses.bag(&answer.usage_bag);
}
