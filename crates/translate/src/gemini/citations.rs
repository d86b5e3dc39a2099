//! `groundingMetadata` and `citationMetadata`, to and from citations of texts.
//! <https://ai.google.dev/api/generate-content#GroundingMetadata>
//!
//! Google keeps sources apart from the texts that rest on them: chunks are the sources, supports say which
//! stretch of the answer rests on which of them. Stretches are counted in bytes of all visible text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use weighbridge_protocol::json::{Bag, Fields, Object, Raw};

use super::nested::nest;
use crate::conversation::{Citation, CitationSource, Span};
use crate::{Content, Losses, Part, Place};

/// The visible text of an answer, and where its parts begin.
#[derive(Debug, Default)]
pub(super) struct Said {
    text: String,
    /// The first byte of each part, and the part.
    parts: Vec<(usize, u32)>,
}

/// How much text of a stream is kept to find stretches in it.
const KEPT_MAX: usize = 1 << 20;

impl Said {
    /// A part with text begins.
    pub(super) fn begin(&mut self, part: u32) {
        self.parts.push((self.text.len(), part));
    }

    /// More of the part that began last. Behind a megabyte nothing is found any more.
    pub(super) fn push(&mut self, text: &str) {
        if self.text.len() + text.len() <= KEPT_MAX {
            self.text.push_str(text);
        }
    }

    /// Whether nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The part that a stretch of bytes lies in, and the stretch in characters of it.
    fn locate(&self, start: usize, end: usize) -> Option<(u32, Span)> {
        let (begin, part) = *self.parts.iter().rev().find(|(begin, _)| *begin <= start)?;
        let next = self.parts.iter().map(|(begin, _)| *begin).find(|begin| *begin > start);
        let end = end.min(next.unwrap_or(self.text.len()));
        let characters = |from: usize, to: usize| Some(self.text.get(from..to)?.chars().count() as u64);
        let start_at = characters(begin, start)?;
        Some((part, Span { start: start_at, end: start_at + characters(start, end)? }))
    }

    /// Where a segment lies: at its bytes, or, where its text stands elsewhere, there.
    fn find(&self, segment: Raw<'_>) -> Option<(u32, Span)> {
        let index = |name| segment.get(name).and_then(|raw| usize::try_from(raw.u64().ok()?).ok());
        let (start, end) = (index("startIndex").unwrap_or(0), index("endIndex"));
        let said = segment.get("text").and_then(|raw| raw.str().ok()).filter(|text| !text.is_empty());
        match (said, end) {
            (Some(said), end) => {
                let fits = end.and_then(|end| self.text.get(start..end)).is_some_and(|text| text == said);
                let start = if fits { start } else { self.text.find(said.as_ref())? };
                self.locate(start, start + said.len())
            }
            (None, Some(end)) => self.locate(start, end),
            (None, None) => None,
        }
    }

    fn last_part(&self) -> Option<u32> {
        self.parts.last().map(|(_, part)| *part)
    }
}

/// The visible text of a whole answer; parts are counted by their place in the list.
pub(super) fn said(parts: &[Part<'_>]) -> Said {
    let mut said = Said::default();
    for (index, part) in (0_u32..).zip(parts) {
        if let Content::Text(text) = &part.content {
            said.begin(index);
            said.text.push_str(&text.text);
        }
    }
    said
}

/// Each citation, with the part that it belongs to.
pub(super) type Cited<'a> = Vec<(u32, Citation<'a>)>;

/// What rests on what, by `groundingMetadata`. A source that supports nothing in particular belongs to the
/// last text.
pub(super) fn grounding<'a>(metadata: Raw<'a>, said: &Said) -> Cited<'a> {
    let list = |name| {
        let items = metadata.get(name).and_then(|raw| raw.items().ok());
        items.map(Iterator::collect::<Vec<Raw<'a>>>).unwrap_or_default()
    };
    let chunks = list("groundingChunks");
    let mut is_used = vec![false; chunks.len()];
    let mut cited = Vec::new();
    for support in list("groundingSupports") {
        let place = support.get("segment").and_then(|segment| said.find(segment));
        let Some(part) = place.map(|(part, _)| part).or_else(|| said.last_part()) else { continue };
        let indices = support.get("groundingChunkIndices").and_then(|raw| raw.items().ok());
        for index in indices.into_iter().flatten() {
            let Some(index) = index.u64().ok().and_then(|index| usize::try_from(index).ok()) else {
                continue;
            };
            if let (Some(chunk), Some(used)) = (chunks.get(index), is_used.get_mut(index)) {
                *used = true;
                let span = place.map(|(_, span)| span);
                cited.push((part, Citation { span, ..source(*chunk, support) }));
            }
        }
    }
    if let Some(part) = said.last_part() {
        let unused = chunks.iter().zip(is_used).filter(|(_, used)| !used);
        cited.extend(unused.map(|(chunk, _)| (part, source(*chunk, *chunk))));
    }
    cited
}

/// A chunk as a source; `place` is what says that it is cited.
fn source<'a>(chunk: Raw<'a>, place: Raw<'a>) -> Citation<'a> {
    let mut citation = Citation {
        place: place.into(),
        span: None,
        title: None,
        quoted: None,
        source: CitationSource::Unknown { name: Cow::Borrowed("groundingChunk"), raw: chunk },
        bag: Bag::EMPTY,
    };
    let kinds = ["web", "retrievedContext", "maps", "image"];
    let Some(inner) = kinds.iter().find_map(|kind| chunk.get(kind)) else { return citation };
    let text = |name| inner.get(name).and_then(|raw| raw.str().ok()).filter(|text| !text.is_empty());
    citation.title = text("title");
    citation.quoted = text("text");
    match text("uri").or_else(|| text("sourceUri")) {
        Some(uri) => citation.source = CitationSource::Url(uri),
        None => {
            let file = text("documentName");
            citation.source = CitationSource::Document { index: None, file, span: None };
        }
    }
    citation
}

/// What of the answer is word for word from elsewhere, by `citationMetadata`.
pub(super) fn recitation<'a>(metadata: Raw<'a>, said: &Said) -> Cited<'a> {
    let list = metadata.get("citations").or_else(|| metadata.get("citationSources"));
    let items = list.and_then(|raw| raw.items().ok()).into_iter().flatten();
    let citation = |raw: Raw<'a>| {
        let place = said.find(raw);
        let part = place.map(|(part, _)| part).or_else(|| said.last_part())?;
        let mut fields = Fields::read(raw).ok()?;
        let _counted: [Option<Raw<'a>>; 2] = ["startIndex", "endIndex"].map(|name| fields.offer(name));
        let title = fields.offer("title");
        let source = match fields.offer("uri") {
            Some(uri) => CitationSource::Url(uri),
            None => CitationSource::Document { index: None, file: None, span: None },
        };
        let span = place.map(|(_, span)| span);
        Some((part, Citation { place: raw.into(), span, title, quoted: None, source, bag: fields.rest() }))
    };
    items.filter_map(citation).collect()
}

/// What of `groundingMetadata` is no citation: it goes to the bag with the whole, which is written back.
pub(super) fn keep<'a>(name: &'static str, metadata: Raw<'a>, said: &Said, bag: &mut Bag<'a>) {
    let mut rest = Bag::EMPTY;
    for (field, value) in Fields::read(metadata).map(Fields::rest).unwrap_or_default().iter() {
        let is_cited =
            matches!(field, "groundingChunks" | "groundingSupports" | "citations" | "citationSources")
                && !said.is_empty();
        if !is_cited {
            rest.push(field.to_owned(), value);
        }
    }
    if rest.is_empty() {
        bag.push(name, metadata);
    }
    nest(bag, name, metadata, rest);
}

/// Whether all that metadata says about the text is still true of it.
pub(super) fn is_true_of(metadata: Raw<'_>, parts: &[Part<'_>]) -> bool {
    let said = said(parts);
    let supports = metadata.get("groundingSupports").and_then(|raw| raw.items().ok());
    supports.into_iter().flatten().all(|support| {
        let text = support.get("segment").and_then(|segment| segment.get("text")?.str().ok());
        text.is_none_or(|text| said.text.contains(text.as_ref()))
    })
}

/// What a source is called, to tell it from others.
pub(super) fn name(citation: &Citation<'_>) -> String {
    match &citation.source {
        CitationSource::Url(url) => [url, citation.title.as_deref().unwrap_or_default()].join("\n"),
        CitationSource::Unknown { raw, .. } => raw.text().to_owned(),
        CitationSource::Document { file, .. } => {
            let known = [file, &citation.title, &citation.quoted];
            known.map(|text| text.as_deref().unwrap_or_default()).join("\n")
        }
    }
}

/// Whether a citation can be written.
pub(super) fn is_expressible(citation: &Citation<'_>) -> bool {
    !matches!(citation.source, CitationSource::Unknown { .. })
}

/// The sources and supports of an answer, to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Grounding {
    chunks: Vec<Chunk>,
    supports: Vec<Support>,
    known_chunks: HashMap<Chunk, usize>,
    known_supports: HashSet<(usize, usize, usize)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Chunk {
    kind: &'static str,
    uri: Option<String>,
    title: Option<String>,
    text: Option<String>,
}

#[derive(Debug, Clone)]
struct Support {
    chunk: usize,
    start: usize,
    end: usize,
    text: String,
}

impl Grounding {
    pub(super) fn is_empty(&self) -> bool {
        self.supports.is_empty()
    }

    /// How many bytes of text it holds, for those who bound that.
    pub(super) fn bytes(&self) -> usize {
        self.supports.iter().map(|support| support.text.len() + 64).sum()
    }

    /// Adds those of another.
    pub(super) fn extend(&mut self, other: &Self) {
        for support in &other.supports {
            let Some(chunk) = other.chunks.get(support.chunk) else { continue };
            let chunk = self.index_of(chunk.clone());
            self.support(Support { chunk, ..support.clone() });
        }
    }

    /// Adds a source of a text that begins at the `offset`th byte of all visible text.
    pub(super) fn add(&mut self, source: Source, text: &str, offset: usize) {
        let whole = Span { start: 0, end: text.chars().count() as u64 };
        let span = source.span.unwrap_or(whole);
        let byte = |character: u64| {
            let character = usize::try_from(character).unwrap_or(usize::MAX);
            text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte)
        };
        let (start, end) = (byte(span.start), byte(span.end));
        let said = text.get(start..end).unwrap_or_default().to_owned();
        let chunk = self.index_of(source.chunk);
        self.support(Support { chunk, start: offset + start, end: offset + end, text: said });
    }

    /// What rests on a source twice rests on it once.
    fn support(&mut self, support: Support) {
        if self.known_supports.insert((support.chunk, support.start, support.end)) {
            self.supports.push(support);
        }
    }

    fn index_of(&mut self, chunk: Chunk) -> usize {
        let next = self.chunks.len();
        let index = *self.known_chunks.entry(chunk.clone()).or_insert(next);
        if index == next {
            self.chunks.push(chunk);
        }
        index
    }

    /// Writes the fields of `groundingMetadata`.
    pub(super) fn write(&self, object: &mut Object<'_>) {
        let mut chunks = object.key("groundingChunks").array();
        for chunk in &self.chunks {
            let mut outer = chunks.item().object();
            let mut inner = outer.key(chunk.kind).object();
            let fields = [("uri", &chunk.uri), ("title", &chunk.title), ("text", &chunk.text)];
            for (name, value) in fields {
                if let Some(value) = value {
                    inner.key(name).string(value);
                }
            }
        }
        drop(chunks);
        let mut supports = object.key("groundingSupports").array();
        for support in &self.supports {
            let mut item = supports.item().object();
            let mut segment = item.key("segment").object();
            if support.start > 0 {
                segment.key("startIndex").number(support.start as u64);
            }
            segment.key("endIndex").number(support.end as u64);
            segment.key("text").string(&support.text);
            drop(segment);
            item.key("groundingChunkIndices").array().item().number(support.chunk as u64);
        }
    }
}

/// A citation that is to be written once its text is whole.
#[derive(Debug)]
pub(super) struct Source {
    chunk: Chunk,
    span: Option<Span>,
}

impl Source {
    pub(super) fn of(citation: &Citation<'_>) -> Self {
        Self { chunk: Chunk::of(citation), span: citation.span }
    }

    /// How many bytes it holds, for those who bound that.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.chunk.uri, &self.chunk.title, &self.chunk.text];
        texts.into_iter().flatten().map(String::len).sum::<usize>() + 64
    }
}

impl Chunk {
    fn of(citation: &Citation<'_>) -> Self {
        let title = citation.title.as_deref().map(str::to_owned);
        match &citation.source {
            CitationSource::Url(url) => Self { kind: "web", uri: Some(url.to_string()), title, text: None },
            _ => {
                let text = citation.quoted.as_deref().map(str::to_owned);
                Self { kind: "retrievedContext", uri: None, title, text }
            }
        }
    }
}

/// What of a citation cannot be written.
pub(super) fn report<'a>(citation: &Citation<'a>, losses: &mut Losses<'a>) {
    let mut lost = |place: Place<'a>, reason: &'static str, needed: &'static str| {
        losses.dropped(place, reason, needed);
    };
    match &citation.source {
        CitationSource::Url(_) => {
            if citation.quoted.is_some() {
                lost(citation.place, "what a page says has no place beside its address", "quotes of pages");
            }
        }
        CitationSource::Document { index, file, span } => {
            if index.is_some() || file.is_some() || span.is_some() {
                let reason = "which document is cited, and where in it, cannot be said";
                lost(citation.place, reason, "places in documents");
            }
        }
        CitationSource::Unknown { name, raw } => losses.unknown(*raw, "source", name),
    }
    losses.bag(&citation.bag);
}
