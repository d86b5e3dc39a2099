//! Sources of texts, read and written:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html>.

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Bag, Fields, Object, Raw, ReadError};
use weighbridge_units::LossKind;

use super::leftovers::{self, keep, keep_field};
use crate::Losses;
use crate::conversation::{Citation, CitationSource, DocumentSpan, Span};

/// What a kind of place in a document counts.
type Counted = fn(Span) -> DocumentSpan;

const PLACES: [(&str, Counted); 3] = [
    ("documentChar", DocumentSpan::Characters),
    ("documentPage", DocumentSpan::Pages),
    ("documentChunk", DocumentSpan::Blocks),
];

/// Reads one source; also as a stream gives it.
pub(super) fn read(raw: Raw<'_>) -> Result<Citation<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let mut bag = Bag::EMPTY;
    let quoted = quoted(&mut fields, &mut bag)?;
    let title = fields.take("title")?.value();
    let source = match fields.take::<Fields<'_>>("location")?.value() {
        Some(location) => place(location, &mut fields, &mut bag)?,
        None => named(&mut fields, raw)?,
    };
    keep(&mut bag, "", fields);
    Ok(Citation { place: raw.into(), span: None, title, quoted, source, bag })
}

/// The text of the source, which comes in pieces.
fn quoted<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Result<Option<Cow<'a, str>>, ReadError> {
    let mut quoted: Option<Cow<'a, str>> = None;
    let pieces = fields.take::<Vec<Fields<'a>>>("sourceContent")?.value().unwrap_or_default();
    for (index, mut piece) in pieces.into_iter().enumerate() {
        if let Some(text) = piece.take::<Cow<'a, str>>("text")?.value() {
            match &mut quoted {
                Some(quoted) => quoted.to_mut().push_str(&text),
                None => quoted = Some(text),
            }
        }
        keep(bag, &format!("sourceContent/{index}"), piece);
    }
    Ok(quoted)
}

/// `location` has one field, which says what kind of place it is.
fn place<'a>(
    mut location: Fields<'a>,
    citation: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<CitationSource<'a>, ReadError> {
    let raw = location.raw();
    if let Some(mut web) = location.take::<Fields<'a>>("web")?.value()
        && let Some(url) = web.take("url")?.value()
    {
        keep(bag, "location/web", web);
        keep(bag, "location", location);
        return Ok(CitationSource::Url(url));
    }
    for (name, span) in PLACES {
        let Some(mut place) = location.take::<Fields<'a>>(name)?.value() else { continue };
        let index = place.take("documentIndex")?.value();
        let (start, end) = (place.take("start")?.value(), place.take("end")?.value());
        let span = start.zip(end).map(|(start, end)| span(Span { start, end }));
        keep(bag, &format!("location/{name}"), place);
        keep(bag, "location", location);
        return Ok(CitationSource::Document { index, file: None, span });
    }
    // A place in a search result of the request, which is known by its own name, or something new.
    keep_field(bag, "", "location", raw);
    named(citation, raw)
}

/// A source without a place that is understood: an address, or anything.
fn named<'a>(citation: &mut Fields<'a>, raw: Raw<'a>) -> Result<CitationSource<'a>, ReadError> {
    Ok(match citation.take("source")?.value() {
        Some(url) => CitationSource::Url(url),
        None => CitationSource::Unknown { name: Cow::Borrowed("location"), raw },
    })
}

/// Writes one source, or reports it where the format cannot name it.
pub(super) fn write<'a>(citation: &Citation<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    let is_own = losses.is_same_protocol();
    if matches!(citation.source, CitationSource::Unknown { .. }) && !is_own {
        losses.dropped(citation.place, "a source of that kind cannot be named", "citations of any kind");
        return;
    }
    if citation.span.is_some() {
        losses.report(
            citation.place,
            LossKind::Approximated,
            "a source stands for the whole of its text, not for a stretch of it",
            "citations of stretches of a text",
        );
    }
    if matches!(citation.source, CitationSource::Document { file: Some(_), .. }) {
        losses.dropped(citation.place, "a file cannot be named", "ids of files in citations");
    }
    write_fields(citation, is_own, &mut list.item().object());
    leftovers::report(&citation.bag, losses);
}

/// Writes the fields of one source; `is_own` tells whether its leftovers are of this protocol.
pub(super) fn write_fields(citation: &Citation<'_>, is_own: bool, object: &mut Object<'_>) {
    let Citation { title, quoted, source, bag, .. } = citation;
    let leftovers = |path: &str, object: &mut Object<'_>| {
        if is_own {
            leftovers::write_own(bag, path, object);
        }
    };
    if let Some(title) = title {
        object.key("title").string(title);
    }
    if let Some(quoted) = quoted {
        let mut content = object.key("sourceContent").array();
        let mut piece = content.item().object();
        piece.key("text").string(quoted);
        leftovers("sourceContent/0", &mut piece);
    }
    // The address may be the name of something whose place is among the leftovers.
    let has_place = is_own && bag.iter().any(|(name, _)| name == "location");
    match source {
        CitationSource::Url(url) if has_place => object.key("source").string(url),
        CitationSource::Url(url) => {
            let mut location = object.key("location").object();
            let mut web = location.key("web").object();
            web.key("url").string(url);
            leftovers("location/web", &mut web);
            drop(web);
            leftovers("location", &mut location);
        }
        CitationSource::Document { index, span, .. } => {
            let (name, span) = match span {
                Some(DocumentSpan::Pages(span)) => ("documentPage", Some(span)),
                Some(DocumentSpan::Blocks(span)) => ("documentChunk", Some(span)),
                Some(DocumentSpan::Characters(span)) => ("documentChar", Some(span)),
                None => ("documentChar", None),
            };
            let mut location = object.key("location").object();
            let mut place = location.key(name).object();
            if let Some(index) = index {
                place.key("documentIndex").number(*index);
            }
            if let Some(span) = span {
                place.key("start").number(span.start);
                place.key("end").number(span.end);
            }
            leftovers(&format!("location/{name}"), &mut place);
            drop(place);
            leftovers("location", &mut location);
        }
        CitationSource::Unknown { .. } => {}
    }
    leftovers("", object);
}
