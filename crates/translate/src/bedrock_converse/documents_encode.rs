//! Documents, written:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>.

use weighbridge_protocol::json::Object;
use weighbridge_units::LossKind;

use super::blocks_encode::Pen;
use super::media::MediaKind;
use super::{base64, leftovers};
use crate::conversation::{Document, DocumentSource, MediaSource};
use crate::{Content, Part};

impl<'a> Pen<'_, 'a> {
    /// Writes a document.
    pub(super) fn document(&mut self, document: &Document<'a>, part: &Part<'a>, object: &mut Object<'_>) {
        let mut block = object.key("document").object();
        let is_cited = document.citations.as_ref().is_some_and(|wish| wish.value);
        match &document.source {
            DocumentSource::Media(source) => {
                let format = document_format(source, document.title.as_deref());
                let (format, is_exact) = format.unwrap_or((
                    source
                        .media_type()
                        .and_then(|media_type| media_type.split('/').nth(1))
                        .unwrap_or_default(),
                    true,
                ));
                if !is_exact {
                    self.approximated(part.place, "it stands as plain text", "documents of that format");
                }
                if !format.is_empty() {
                    block.key("format").string(format);
                }
                self.source(source, "document", part, &mut block);
            }
            DocumentSource::Text(text) => {
                block.key("format").string("txt");
                let mut source = block.key("source").object();
                // A text that is not to be cited is only taken as bytes.
                if is_cited {
                    source.key("text").string(text);
                } else {
                    source.key("bytes").string(&base64::encode(text.as_bytes()));
                }
                leftovers::write(&part.bag, "document/source", &mut source, self.losses);
            }
            DocumentSource::Parts(parts) => {
                block.key("format").string("txt");
                let mut source = block.key("source").object();
                self.document_parts(parts, is_cited, part, &mut source);
            }
        }
        self.document_name(document, part, &mut block);
        if let Some(context) = &document.context {
            block.key("context").string(&context.value);
        }
        if let Some(wish) = &document.citations {
            let mut citations = block.key("citations").object();
            citations.key("enabled").bool(wish.value);
            leftovers::write(&part.bag, "document/citations", &mut citations, self.losses);
        }
        leftovers::write(&part.bag, "document", &mut block, self.losses);
    }

    fn document_parts(
        &mut self,
        parts: &[Part<'a>],
        is_cited: bool,
        part: &Part<'a>,
        source: &mut Object<'_>,
    ) {
        let mut texts: Vec<&str> = Vec::with_capacity(parts.len());
        for inner in parts {
            match &inner.content {
                Content::Text(text) => texts.push(&text.text),
                _ => self.losses.dropped(
                    inner.place,
                    "a document consists of texts",
                    "other content in documents",
                ),
            }
        }
        if is_cited || self.losses.is_same_protocol() {
            let mut list = source.key("content").array();
            for (index, text) in texts.into_iter().enumerate() {
                let mut item = list.item().object();
                item.key("text").string(text);
                leftovers::write(
                    &part.bag,
                    &format!("document/source/content/{index}"),
                    &mut item,
                    self.losses,
                );
            }
        } else {
            self.approximated(
                part.place,
                "parts of a document are told apart only where they are to be cited",
                "documents in parts",
            );
            source.key("bytes").string(&base64::encode(texts.join("\n\n").as_bytes()));
        }
        leftovers::write(&part.bag, "document/source", source, self.losses);
    }

    fn document_name(&mut self, document: &Document<'a>, part: &Part<'a>, block: &mut Object<'_>) {
        let title = document.title.as_deref();
        if let Some(title) = title.filter(|_| self.losses.is_same_protocol()) {
            return block.key("name").string(title);
        }
        let name = self.names.name(title);
        let (kind, reason) = match title {
            Some(title) if title == name => return block.key("name").string(&name),
            Some(_) => {
                (LossKind::Approximated, "names of documents have few characters, and none is there twice")
            }
            None => (LossKind::Defaulted, "a document must have a name, and this one has none"),
        };
        self.losses.report(part.place, kind, reason, "names of documents as they are");
        block.key("name").string(&name);
    }
}

/// The format of a document, by its media type or else the end of its name, and whether it is exactly
/// that: text of any kind can stand as plain text.
pub(super) fn document_format(source: &MediaSource<'_>, title: Option<&str>) -> Option<(&'static str, bool)> {
    let Some(media_type) = source.media_type() else {
        let extension = title?.rsplit_once('.')?.1.to_ascii_lowercase();
        let format = MediaKind::Document.format(&MediaKind::Document.media_type(&extension))?;
        return Some((format, true));
    };
    if let Some(format) = MediaKind::Document.format(media_type) {
        return Some((format, true));
    }
    const TEXTS: [&str; 4] =
        ["application/json", "application/xml", "application/yaml", "application/javascript"];
    (media_type.starts_with("text/") || TEXTS.contains(&media_type)).then_some(("txt", false))
}
