//! `annotations` of an answer: addresses that its text rests on.
//! <https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat>

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Fields, Object, Raw};

use crate::Losses;
use crate::conversation::{Citation, CitationSource, Span};

/// The citations in a list of annotations; `None` where it holds anything else.
pub(crate) fn read(list: Raw<'_>) -> Option<Vec<Citation<'_>>> {
    list.items().ok()?.map(citation).collect()
}

pub(super) fn citation(raw: Raw<'_>) -> Option<Citation<'_>> {
    let mut fields = Fields::read(raw).ok()?;
    fields.variant("type").filter(|kind| kind == "url_citation")?;
    let mut inner: Fields<'_> = fields.offer("url_citation")?;
    let url = inner.offer("url")?;
    let (start, end) = (inner.offer("start_index"), inner.offer("end_index"));
    let span = start.zip(end).map(|(start, end)| Span { start, end });
    let mut text = |name| inner.offer::<Cow<'_, str>>(name).filter(|text| !text.is_empty());
    let (title, quoted) = (text("title"), text("content"));
    let mut bag = inner.rest();
    crate::bags::append(&mut bag, fields.rest());
    Some(Citation { place: raw.into(), span, title, quoted, source: CitationSource::Url(url), bag })
}

/// Whether a citation has a place among the annotations.
pub(super) fn is_expressible(citation: &Citation<'_>) -> bool {
    matches!(citation.source, CitationSource::Url(_))
}

/// Writes the citations of a text that begins at the `offset`th character of the message's content
/// and is `length` characters long. Sources that are no address are reported.
pub(super) fn write<'a>(
    citations: &[Citation<'a>],
    offset: u64,
    length: u64,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    for citation in citations {
        let CitationSource::Url(url) = &citation.source else {
            losses.dropped(citation.place, "only addresses can be cited", "citations of documents");
            continue;
        };
        let mut object = list.item().object();
        annotation(citation, url, offset, length, &mut object, |object| {
            losses.write_bag(&citation.bag, object);
        });
    }
}

/// Writes one annotation.
pub(super) fn annotation(
    citation: &Citation<'_>,
    url: &str,
    offset: u64,
    length: u64,
    object: &mut Object<'_>,
    rest: impl FnOnce(&mut Object<'_>),
) {
    let span = citation.span.unwrap_or(Span { start: 0, end: length });
    object.key("type").string("url_citation");
    let mut inner = object.key("url_citation").object();
    inner.key("start_index").number(offset.saturating_add(span.start));
    inner.key("end_index").number(offset.saturating_add(span.end));
    inner.key("title").string(citation.title.as_deref().unwrap_or_default());
    inner.key("url").string(url);
    // OpenRouter's field for what the page says.
    if let Some(quoted) = &citation.quoted {
        inner.key("content").string(quoted);
    }
    rest(&mut inner);
}
