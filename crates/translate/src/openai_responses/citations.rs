//! Annotations of texts, to and from canonical citations.
//!
//! `url_citation` is understood. `file_citation` names a file of the provider's own store, so no other
//! protocol can repeat it; the rest (`container_file_citation`, `file_path`, …) is kept as it is.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError, Writer};

use crate::Losses;
use crate::conversation::{Citation, CitationSource, Span};

/// Why quotations are lost, whole and streamed.
pub(super) const QUOTED: &str = "what a source says word for word has no place beside its address";

/// Reads a list of annotations.
///
/// # Errors
/// [`ReadError`] where it is no list of objects.
pub(super) fn read(list: Raw<'_>) -> Result<Vec<Citation<'_>>, ReadError> {
    list.items()?.map(annotation).collect()
}

/// Reads one annotation. What does not fit its type is kept as unknown.
pub(super) fn annotation(raw: Raw<'_>) -> Result<Citation<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or_default();
    let understood = match name.as_ref() {
        "url_citation" => url(&mut fields),
        "file_citation" => file(&mut fields),
        _ => None,
    };
    let (source, title, span) = match understood {
        Some(understood) => understood,
        None => return Ok(citation(raw, CitationSource::Unknown { name, raw }, None, None, Bag::EMPTY)),
    };
    Ok(citation(raw, source, title, span, fields.rest()))
}

type Understood<'a> = (CitationSource<'a>, Option<Cow<'a, str>>, Option<Span>);

fn url<'a>(fields: &mut Fields<'a>) -> Option<Understood<'a>> {
    let url = fields.offer("url")?;
    let span = match (fields.offer("start_index"), fields.offer("end_index")) {
        (Some(start), Some(end)) => Some(Span { start, end }),
        _ => None,
    };
    let title = fields.offer::<Cow<'_, str>>("title").filter(|title| !title.is_empty());
    Some((CitationSource::Url(url), title, span))
}

/// `index` says where in the text the file is cited; it stays in the bag, as nobody else says that.
fn file<'a>(fields: &mut Fields<'a>) -> Option<Understood<'a>> {
    let file = Some(fields.offer("file_id")?);
    let title = fields.offer("filename");
    Some((CitationSource::Document { index: None, file, span: None }, title, None))
}

fn citation<'a>(
    place: Raw<'a>,
    source: CitationSource<'a>,
    title: Option<Cow<'a, str>>,
    span: Option<Span>,
    bag: Bag<'a>,
) -> Citation<'a> {
    Citation { place: place.into(), span, title, quoted: None, source, bag }
}

/// Whether a citation can be written.
pub(super) fn is_expressible(citation: &Citation<'_>, losses: &Losses<'_>) -> bool {
    match &citation.source {
        CitationSource::Url(_) => true,
        CitationSource::Document { file, index, span } => {
            losses.is_same_protocol() && file.is_some() && index.is_none() && span.is_none()
        }
        CitationSource::Unknown { .. } => losses.is_same_protocol(),
    }
}

/// Writes the annotations of a text; reports the citations that cannot be said.
pub(super) fn write<'a>(text: &str, citations: &[Citation<'a>], writer: Writer<'_>, losses: &mut Losses<'a>) {
    let mut list = writer.array();
    let is_same = losses.is_same_protocol();
    for citation in citations {
        let length = text.chars().count() as u64;
        let annotation = match is_expressible(citation, losses) {
            true => annotation_text(citation, length, is_same),
            false => None,
        };
        let Some(annotation) = annotation else {
            losses.uncited(std::slice::from_ref(citation));
            continue;
        };
        if citation.quoted.is_some() {
            losses.dropped(citation.place, QUOTED, "quotations in citations");
        }
        list.item().raw(&annotation);
        if !is_same {
            losses.bag(&citation.bag);
        }
    }
}

/// One annotation of a text of `length` characters, as JSON; `None` for what only another protocol has.
pub(super) fn annotation_text(
    citation: &Citation<'_>,
    length: u64,
    is_same_protocol: bool,
) -> Option<String> {
    let mut out = Vec::new();
    let writer = Writer::new(&mut out);
    match &citation.source {
        CitationSource::Url(url) => {
            let mut object = writer.object();
            object.key("type").string("url_citation");
            let span = citation.span.unwrap_or(Span { start: 0, end: length });
            object.key("start_index").number(span.start);
            object.key("end_index").number(span.end);
            object.key("url").string(url);
            object.key("title").string(citation.title.as_deref().unwrap_or_default());
            write_bag(citation, is_same_protocol, &mut object);
        }
        CitationSource::Document { file: Some(file), .. } => {
            let mut object = writer.object();
            object.key("type").string("file_citation");
            object.key("file_id").string(file);
            object.key("filename").string(citation.title.as_deref().unwrap_or_default());
            write_bag(citation, is_same_protocol, &mut object);
        }
        CitationSource::Unknown { raw, .. } if raw.kind() == Kind::Object => writer.raw(raw.text()),
        CitationSource::Document { .. } | CitationSource::Unknown { .. } => return None,
    }
    // The writer writes nothing but UTF-8.
    String::from_utf8(out).ok()
}

fn write_bag(
    citation: &Citation<'_>,
    is_same_protocol: bool,
    object: &mut weighbridge_protocol::json::Object<'_>,
) {
    for (name, value) in citation.bag.iter().filter(|_| is_same_protocol) {
        object.key(name).raw(value.text());
    }
}
