use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Raw};

use crate::place::Place;

/// What a text, or a stretch of it, rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// The stretch of the answer's text that it supports; `None` means the whole part.
    pub span: Option<Span>,
    /// The title of the source.
    pub title: Option<Cow<'a, str>>,
    /// What the source says, word for word.
    pub quoted: Option<Cow<'a, str>>,
    /// The source.
    pub source: CitationSource<'a>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

/// A stretch of a text, in Unicode characters from the beginning of its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first character.
    pub start: u64,
    /// The character behind its last.
    pub end: u64,
}

/// What is cited.
#[derive(Debug, Clone, PartialEq)]
pub enum CitationSource<'a> {
    /// A page of the web.
    Url(Cow<'a, str>),
    /// A document of the request.
    Document {
        /// Which of the request's documents, counted from 0.
        index: Option<u64>,
        /// The provider's id of the file, where it has one.
        file: Option<Cow<'a, str>>,
        /// Where in the document.
        span: Option<DocumentSpan>,
    },
    /// Something that only the source protocol knows.
    Unknown {
        /// Its type, for reports.
        name: Cow<'a, str>,
        /// Its whole text.
        raw: Raw<'a>,
    },
}

/// A stretch of a document. The end is always the first thing behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentSpan {
    /// Characters, from 0.
    Characters(Span),
    /// Pages, from 1.
    Pages(Span),
    /// Blocks or chunks, from 0.
    Blocks(Span),
}
