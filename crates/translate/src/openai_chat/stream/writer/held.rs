//! What waits for the end of its part.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Object};

use crate::Place;
use crate::conversation::{Citation, CitationSource, Image, MediaSource, Span};
use crate::openai_chat::{citations, content_encode};

/// An address that is cited.
#[derive(Debug)]
pub(super) struct HeldCitation {
    span: Option<Span>,
    title: Option<String>,
    quoted: Option<String>,
    url: String,
}

impl HeldCitation {
    pub(super) fn of(citation: &Citation<'_>) -> Self {
        let url = match &citation.source {
            CitationSource::Url(url) => url.to_string(),
            _ => String::new(),
        };
        let owned = |text: &Option<Cow<'_, str>>| text.as_deref().map(str::to_owned);
        Self { span: citation.span, title: owned(&citation.title), quoted: owned(&citation.quoted), url }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.url.len() + length(&self.title) + length(&self.quoted)
    }

    /// Writes it as an annotation of a text from the `offset`th character on.
    pub(super) fn write(&self, offset: u64, length: u64, object: &mut Object<'_>) {
        let citation = Citation {
            place: Place::NOWHERE,
            span: self.span,
            title: self.title.as_deref().map(Cow::Borrowed),
            quoted: self.quoted.as_deref().map(Cow::Borrowed),
            source: CitationSource::Url(Cow::Borrowed(&self.url)),
            bag: Bag::EMPTY,
        };
        citations::annotation(&citation, &self.url, offset, length, object, |_| {});
    }
}

/// Writes an image of a delta.
pub(super) fn image(media_type: &str, data: &str, index: u64, delta: &mut Object<'_>) {
    let source = MediaSource::Base64 { media_type: media_type.into(), data: data.into() };
    let mut list = delta.key("images").array();
    let mut object = list.item().object();
    object.key("type").string("image_url");
    content_encode::image(&Image { source, detail: None }, object.key("image_url"));
    object.key("index").number(index);
}
