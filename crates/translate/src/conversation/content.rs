use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Raw};

use super::{Audio, CacheMark, Citation, Document, Image, JsonText, Reasoning, ToolCall, Video};
use crate::place::{Place, Placed};

/// A piece of a message or answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// What it is.
    pub content: Content<'a>,
    /// Everything up to here, this part included, is worth caching.
    pub cache: Option<Placed<'a, CacheMark>>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

impl<'a> Part<'a> {
    /// A part with an empty bag.
    pub fn new(place: impl Into<Place<'a>>, content: Content<'a>) -> Self {
        Self { place: place.into(), content, cache: None, bag: Bag::EMPTY }
    }

    /// A text that was not read from a document.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Place::NOWHERE, Content::Text(Text::from(text.into())))
    }
}

/// What a part is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<'a> {
    /// Text.
    Text(Text<'a>),
    /// An image.
    Image(Image<'a>),
    /// Sound.
    Audio(Audio<'a>),
    /// A film.
    Video(Video<'a>),
    /// A document, such as a PDF.
    Document(Document<'a>),
    /// A JSON value that a tool gave back; protocols without such a thing say its text.
    Json(JsonText<'a>),
    /// The model calls a tool of the client's.
    ToolCall(ToolCall<'a>),
    /// What a tool of the client's gave back.
    ToolResult(ToolResult<'a>),
    /// The model's reasoning.
    Reasoning(Reasoning<'a>),
    /// The model's words for refusing.
    Refusal(Cow<'a, str>),
    /// Something that only the source protocol knows, such as a call of a tool that the provider runs.
    Unknown {
        /// Its type, for reports.
        name: Cow<'a, str>,
        /// Its whole text.
        raw: Raw<'a>,
    },
}

/// A text, and what it rests on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Text<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// The sources of the whole text or of stretches of it.
    pub citations: Vec<Citation<'a>>,
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self { text, citations: Vec::new() }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Cow::Borrowed(text).into()
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Cow::<str>::Owned(text).into()
    }
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult<'a> {
    /// The id of the call; empty where the protocol has none.
    pub call_id: Cow<'a, str>,
    /// The tool's name, where the protocol repeats it. Others find it in the call of the same id.
    pub name: Option<Cow<'a, str>>,
    /// The result: texts, JSON, images, documents.
    pub parts: Vec<Part<'a>>,
    /// Whether the tool failed.
    pub is_error: bool,
}
