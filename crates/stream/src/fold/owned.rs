//! What a folder keeps of things that borrow from their frame.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Raw, ScanLimits};
use weighbridge_translate::conversation::{Citation, CitationSource, DocumentSpan, Span, TokenLogprob};
use weighbridge_translate::{Place, StopDetails};

/// A bag: names, and the texts of their values.
#[derive(Debug, Clone, Default)]
struct OwnedBag(Vec<(String, String)>);

impl OwnedBag {
    fn of(bag: &Bag<'_>) -> Self {
        Self(bag.iter().map(|(name, value)| (name.to_owned(), value.text().to_owned())).collect())
    }

    fn bag(&self) -> Bag<'_> {
        let mut bag = Bag::EMPTY;
        for (name, text) in &self.0 {
            if let Some(value) = raw(text) {
                bag.push(name.as_str(), value);
            }
        }
        bag
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(name, text)| name.len() + text.len()).sum()
    }
}

/// It was valid JSON when it was read.
fn raw(text: &str) -> Option<Raw<'_>> {
    Raw::parse(text, &ScanLimits::default()).ok()
}

fn owned(text: &Option<Cow<'_, str>>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}

fn borrowed(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(Cow::Borrowed)
}

#[derive(Debug, Clone)]
pub(super) struct OwnedCitation {
    span: Option<Span>,
    title: Option<String>,
    quoted: Option<String>,
    source: OwnedSource,
    bag: OwnedBag,
}

#[derive(Debug, Clone)]
enum OwnedSource {
    Url(String),
    Document { index: Option<u64>, file: Option<String>, span: Option<DocumentSpan> },
    Unknown { name: String, raw: String },
}

impl OwnedCitation {
    pub(super) fn of(citation: &Citation<'_>) -> Self {
        let source = match &citation.source {
            CitationSource::Url(url) => OwnedSource::Url(url.to_string()),
            CitationSource::Document { index, file, span } => {
                OwnedSource::Document { index: *index, file: owned(file), span: *span }
            }
            CitationSource::Unknown { name, raw } => {
                OwnedSource::Unknown { name: name.to_string(), raw: raw.text().to_owned() }
            }
        };
        Self {
            span: citation.span,
            title: owned(&citation.title),
            quoted: owned(&citation.quoted),
            source,
            bag: OwnedBag::of(&citation.bag),
        }
    }

    pub(super) fn citation(&self) -> Option<Citation<'_>> {
        let source = match &self.source {
            OwnedSource::Url(url) => CitationSource::Url(Cow::Borrowed(url)),
            OwnedSource::Document { index, file, span } => {
                CitationSource::Document { index: *index, file: borrowed(file), span: *span }
            }
            OwnedSource::Unknown { name, raw: text } => {
                CitationSource::Unknown { name: Cow::Borrowed(name), raw: raw(text)? }
            }
        };
        Some(Citation {
            place: Place::NOWHERE,
            span: self.span,
            title: borrowed(&self.title),
            quoted: borrowed(&self.quoted),
            source,
            bag: self.bag.bag(),
        })
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let source = match &self.source {
            OwnedSource::Url(url) => url.len(),
            OwnedSource::Document { file, .. } => length(file),
            OwnedSource::Unknown { name, raw } => name.len() + raw.len(),
        };
        size_of::<Self>() + length(&self.title) + length(&self.quoted) + source + self.bag.bytes()
    }
}

#[derive(Debug, Clone)]
pub(super) struct OwnedLogprob {
    token: String,
    logprob: Option<String>,
    bytes: Option<String>,
    top: Vec<Self>,
    bag: OwnedBag,
}

impl OwnedLogprob {
    pub(super) fn of(token: &TokenLogprob<'_>) -> Self {
        let text = |raw: Option<Raw<'_>>| raw.map(|raw| raw.text().to_owned());
        Self {
            token: token.token.to_string(),
            logprob: text(token.logprob),
            bytes: text(token.bytes),
            top: token.top.iter().map(Self::of).collect(),
            bag: OwnedBag::of(&token.bag),
        }
    }

    pub(super) fn token(&self) -> TokenLogprob<'_> {
        TokenLogprob {
            place: Place::NOWHERE,
            token: Cow::Borrowed(&self.token),
            logprob: self.logprob.as_deref().and_then(raw),
            bytes: self.bytes.as_deref().and_then(raw),
            top: self.top.iter().map(Self::token).collect(),
            bag: self.bag.bag(),
        }
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let own = size_of::<Self>() + self.token.len() + length(&self.logprob) + length(&self.bytes);
        own + self.bag.bytes() + self.top.iter().map(Self::size).sum::<usize>()
    }
}

#[derive(Debug, Clone)]
pub(super) struct OwnedStopDetails {
    category: Option<String>,
    explanation: Option<String>,
    bag: OwnedBag,
}

impl OwnedStopDetails {
    pub(super) fn of(details: &StopDetails<'_>) -> Self {
        Self {
            category: owned(&details.category),
            explanation: owned(&details.explanation),
            bag: OwnedBag::of(&details.bag),
        }
    }

    pub(super) fn details(&self) -> StopDetails<'_> {
        StopDetails {
            place: Place::NOWHERE,
            category: borrowed(&self.category),
            explanation: borrowed(&self.explanation),
            bag: self.bag.bag(),
        }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + length(&self.category) + length(&self.explanation) + self.bag.bytes()
    }
}
