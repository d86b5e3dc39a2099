//! `citations` of a text. <https://docs.anthropic.com/en/docs/build-with-claude/citations>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Object, Raw};

use crate::conversation::{Citation, CitationSource, DocumentSpan, Proof, Span};

const CHARACTERS: &str = "char_location";
const PAGES: &str = "page_location";
const BLOCKS: &str = "content_block_location";
const WEB: &str = "web_search_result_location";
const SEARCH: &str = "search_result_location";

/// Only citations of search results have this.
const SEARCH_INDEX: &str = "search_result_index";

/// Stands for the index, which is required, of what Anthropic's own search has not found.
pub(super) const FOREIGN_INDEX: &str = Proof::MARK;

/// The citations in a list; `None` where it is no list.
pub(super) fn read(list: Raw<'_>) -> Option<Vec<Citation<'_>>> {
    Some(list.items().ok()?.map(citation).collect())
}

/// One citation. One that is not understood is kept whole.
pub(super) fn citation(raw: Raw<'_>) -> Citation<'_> {
    let name = raw.get("type").and_then(|kind| kind.str().ok()).unwrap_or_default();
    let mut fields = Fields::read(raw).ok();
    match fields.as_mut().and_then(|fields| source(&name, fields)) {
        Some((source, title)) => {
            let quoted: Option<Cow<'_, str>> = fields.as_mut().and_then(|fields| fields.offer("cited_text"));
            let quoted = quoted.filter(|text| !text.is_empty());
            let bag = fields.map(Fields::rest).unwrap_or_default();
            Citation { place: raw.into(), span: None, title, quoted, source, bag }
        }
        None => Citation {
            place: raw.into(),
            span: None,
            title: None,
            quoted: None,
            source: CitationSource::Unknown { name, raw },
            bag: Bag::EMPTY,
        },
    }
}

type Source<'a> = (CitationSource<'a>, Option<Cow<'a, str>>);

fn source<'a>(name: &str, fields: &mut Fields<'a>) -> Option<Source<'a>> {
    let _known: Option<Raw<'a>> = fields.offer("type");
    let span = match name {
        WEB if fields.says("encrypted_index", FOREIGN_INDEX) => {
            let _ours: Option<Raw<'a>> = fields.offer("encrypted_index");
            return Some((CitationSource::Url(fields.offer("url")?), fields.offer("title")));
        }
        WEB => return Some((CitationSource::Url(fields.offer("url")?), fields.offer("title"))),
        SEARCH => return Some((CitationSource::Url(fields.offer("source")?), fields.offer("title"))),
        CHARACTERS => DocumentSpan::Characters(span(fields, ["start_char_index", "end_char_index"])?),
        PAGES => DocumentSpan::Pages(span(fields, ["start_page_number", "end_page_number"])?),
        BLOCKS => DocumentSpan::Blocks(span(fields, ["start_block_index", "end_block_index"])?),
        _ => return None,
    };
    let source = CitationSource::Document {
        index: fields.offer("document_index"),
        file: fields.offer("file_id"),
        span: Some(span),
    };
    Some((source, fields.offer("document_title")))
}

fn span(fields: &mut Fields<'_>, [start, end]: [&'static str; 2]) -> Option<Span> {
    Some(Span { start: fields.offer(start)?, end: fields.offer(end)? })
}

/// Why a citation cannot be written, where it cannot.
pub(super) fn lost(citation: &Citation<'_>, same: bool) -> Option<&'static str> {
    match &citation.source {
        CitationSource::Url(_) => None,
        CitationSource::Document { index: Some(_), span: Some(_), .. } => None,
        CitationSource::Document { .. } => Some("where a document says it must be told"),
        CitationSource::Unknown { .. } if same => None,
        CitationSource::Unknown { .. } => Some("a source of this kind has no counterpart"),
    }
}

/// Writes a citation that is not [`lost`].
pub(super) fn write(citation: &Citation<'_>, same: bool, object: &mut Object<'_>) {
    let title = citation.title.as_deref();
    match &citation.source {
        CitationSource::Url(url) => {
            let is_search = same && citation.bag.iter().any(|(name, _)| name == SEARCH_INDEX);
            object.key("type").string(if is_search { SEARCH } else { WEB });
            object.key("cited_text").string(citation.quoted.as_deref().unwrap_or_default());
            object.key(if is_search { "source" } else { "url" }).string(url);
            object.key("title").string_or_null(title);
            let has_index = same && citation.bag.iter().any(|(name, _)| name == "encrypted_index");
            if !is_search && !has_index {
                object.key("encrypted_index").string(FOREIGN_INDEX);
            }
        }
        CitationSource::Document { index, file, span } => {
            let (kind, names, span) = match span {
                Some(DocumentSpan::Pages(span)) => (PAGES, ["start_page_number", "end_page_number"], *span),
                Some(DocumentSpan::Blocks(span)) => (BLOCKS, ["start_block_index", "end_block_index"], *span),
                Some(DocumentSpan::Characters(span)) => {
                    (CHARACTERS, ["start_char_index", "end_char_index"], *span)
                }
                None => (CHARACTERS, ["start_char_index", "end_char_index"], Span { start: 0, end: 0 }),
            };
            object.key("type").string(kind);
            object.key("cited_text").string(citation.quoted.as_deref().unwrap_or_default());
            object.key("document_index").number(index.unwrap_or(0));
            object.key("document_title").string_or_null(title);
            for (name, number) in names.into_iter().zip([span.start, span.end]) {
                object.key(name).number(number);
            }
            if let Some(file) = file {
                object.key("file_id").string(file);
            }
        }
        CitationSource::Unknown { raw, .. } => {
            for (name, value) in Fields::read(*raw).map(Fields::rest).unwrap_or_default().iter() {
                object.key(name).raw(value.text());
            }
        }
    }
}
