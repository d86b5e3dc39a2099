//! Canonical parts, written as what goes into a request: in messages of anybody but the model, and in
//! results of tools.

use weighbridge_protocol::json::{Array, Bag, Object, Writer};
use weighbridge_units::LossKind;

use super::{bag_names, media};
use crate::conversation::{
    Audio, CacheMark, CacheTtl, Document, DocumentSource, Image, MediaSource, format_of,
};
use crate::{Content, Losses, Part, Placed};

/// Writes parts as a string where they are one text, as a list otherwise.
pub(super) fn content<'a>(parts: &[&Part<'a>], marks: bool, writer: Writer<'_>, losses: &mut Losses<'a>) {
    let marks = marks || losses.is_same_protocol();
    match parts {
        [] => return writer.string(""),
        [part] if !losses.keeps(&part.bag) && (part.cache.is_none() || !marks) => {
            let text = match &part.content {
                Content::Text(text) => Some(text.text.as_ref()),
                Content::Json(json) => Some(json.text()),
                _ => None,
            };
            if let Some(text) = text {
                report_beside(part, losses);
                losses.bag(&part.bag);
                return writer.string(text);
            }
        }
        _ => {}
    }
    let mut list = writer.array();
    for part in parts {
        input(part, marks, &mut list, losses);
    }
}

/// The parts that can be written; others are reported.
pub(super) fn expressible<'p, 'a: 'p>(
    parts: impl IntoIterator<Item = &'p Part<'a>>,
    losses: &mut Losses<'a>,
) -> Vec<&'p Part<'a>> {
    let mut kept = Vec::new();
    for part in parts {
        if is_expressible(part, losses) {
            kept.push(part);
        } else {
            report(part, losses);
        }
    }
    kept
}

fn is_expressible(part: &Part<'_>, losses: &Losses<'_>) -> bool {
    let reachable =
        |source: &MediaSource<'_>| losses.is_same_protocol() || !matches!(source, MediaSource::File { .. });
    match &part.content {
        Content::Text(_) | Content::Json(_) => true,
        Content::Image(image) => reachable(&image.source),
        Content::Document(document) => match &document.source {
            DocumentSource::Media(source) => reachable(source),
            DocumentSource::Text(_) | DocumentSource::Parts(_) => true,
        },
        Content::Audio(audio) => {
            audio.transcript.is_some() || losses.is_same_protocol() && is_sent(&audio.source)
        }
        Content::Unknown { .. } | Content::Refusal(_) => losses.is_same_protocol(),
        Content::Video(_) | Content::ToolCall(_) | Content::ToolResult(_) | Content::Reasoning(_) => false,
    }
}

/// Whether the bytes of a sound are here: it has no addresses.
fn is_sent(source: &MediaSource<'_>) -> bool {
    matches!(source, MediaSource::Base64 { .. })
}

/// Reports a part that cannot be written.
pub(super) fn report<'a>(part: &Part<'a>, losses: &mut Losses<'a>) {
    losses.uncached(part.cache.as_ref());
    let (reason, needed) = match &part.content {
        Content::Unknown { name, raw } => return losses.unknown(*raw, "content", name),
        Content::Image(_) | Content::Document(_) => {
            ("a file of another provider's store cannot be reached", "files of other providers")
        }
        Content::Audio(_) => ("openai-responses takes no sound", "sound in a request"),
        Content::Video(_) => ("openai-responses takes no films", "films in a request"),
        Content::Reasoning(_) => {
            ("reasoning is taken only with encrypted content of the provider's own", "such reasoning")
        }
        _ => ("it cannot stand here", "such content in any message"),
    };
    losses.dropped(part.place, reason, needed);
}

/// Reports what a text has beside its words and cannot be said here.
fn report_beside<'a>(part: &Part<'a>, losses: &mut Losses<'a>) {
    if let Content::Text(text) = &part.content {
        losses.uncited(&text.citations);
    }
    losses.uncached(part.cache.as_ref());
}

fn input<'a>(part: &Part<'a>, marks: bool, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    match &part.content {
        Content::Unknown { raw, .. } => return list.item().raw(raw.text()),
        Content::Document(document) => return self::document(document, part, marks, list, losses),
        _ => {}
    }
    let mut object = list.item().object();
    match &part.content {
        Content::Text(text) => {
            input_text(&text.text, &mut object);
            losses.uncited(&text.citations);
        }
        Content::Json(json) => input_text(json.text(), &mut object),
        Content::Refusal(text) => {
            object.key("type").string("refusal");
            object.key("refusal").string(text);
        }
        Content::Image(picture) => image(picture, &mut object),
        Content::Audio(sound) => audio(sound, part, &mut object, losses),
        _ => {}
    }
    end(part, marks, &mut object, losses);
}

/// What any part may have: a mark for the prompt cache, and fields that are not understood.
fn end<'a>(part: &Part<'a>, marks: bool, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    match &part.cache {
        Some(mark) if marks => cache_mark(mark, &part.bag, object, losses),
        mark => losses.uncached(mark.as_ref()),
    }
    bag_names::write_part_fields(&part.bag, object, losses);
}

fn cache_mark<'a>(
    mark: &Placed<'a, CacheMark>,
    bag: &Bag<'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut breakpoint = object.key("prompt_cache_breakpoint").object();
    breakpoint.key("mode").string("explicit");
    if let Some(wanted) = mark.value.ttl {
        let ttl = if wanted.is_long() { CacheTtl::TwelveHours } else { CacheTtl::HalfHour };
        if ttl != wanted {
            losses.report(
                mark.place,
                LossKind::Approximated,
                format!("a cached prompt lives {} instead of {}", ttl.as_str(), wanted.as_str()),
                "such a lifetime of cached prompts",
            );
        }
        breakpoint.key("ttl").string(ttl.as_str());
    }
    bag_names::write_kept(bag, bag_names::BREAKPOINT, &mut breakpoint, losses);
}

fn input_text(text: &str, object: &mut Object<'_>) {
    object.key("type").string("input_text");
    object.key("text").string(text);
}

fn image(image: &Image<'_>, object: &mut Object<'_>) {
    object.key("type").string("input_image");
    match &image.source {
        MediaSource::Url { url, .. } => object.key("image_url").string(url),
        MediaSource::Base64 { media_type, data } => {
            object.key("image_url").string(&media::data_url(media_type, data));
        }
        MediaSource::File { id } => object.key("file_id").string(id),
    }
    // Demanded.
    object.key("detail").string(image.detail.as_ref().map_or("auto", |detail| &detail.value));
}

fn audio<'a>(audio: &Audio<'a>, part: &Part<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    match (&audio.source, &audio.transcript) {
        (MediaSource::Base64 { media_type, data }, words) if losses.is_same_protocol() => {
            if words.is_some() {
                let reason = "the words of a sound cannot be said beside it";
                losses.dropped(part.place, reason, "words of a sound");
            }
            object.key("type").string("input_audio");
            let mut sound = object.key("input_audio").object();
            sound.key("data").string(data);
            sound.key("format").string(format_of(media_type).unwrap_or(media_type));
            bag_names::write_kept(&part.bag, bag_names::AUDIO, &mut sound, losses);
        }
        (_, words) => {
            losses.report(
                part.place,
                LossKind::Approximated,
                "the words of a sound stand in its place",
                "sound in a request",
            );
            input_text(words.as_deref().unwrap_or_default(), object);
        }
    }
}

fn document<'a>(
    document: &Document<'a>,
    part: &Part<'a>,
    marks: bool,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    if let Some(context) = &document.context {
        losses.dropped(
            context.place,
            "what the model is told about a document has no place",
            "remarks on documents",
        );
    }
    if let Some(citations) = document.citations.filter(|citations| citations.value) {
        losses.dropped(citations.place, "citing a document cannot be asked for", "citations of documents");
    }
    let source = match &document.source {
        DocumentSource::Media(source) => source,
        DocumentSource::Text(text) => {
            as_text(part, losses);
            let mut object = list.item().object();
            input_text(text, &mut object);
            return end(part, marks, &mut object, losses);
        }
        DocumentSource::Parts(parts) => {
            as_text(part, losses);
            for part in expressible(parts, losses) {
                input(part, marks, list, losses);
            }
            losses.uncached(part.cache.as_ref());
            return losses.bag(&part.bag);
        }
    };
    let mut object = list.item().object();
    object.key("type").string("input_file");
    match source {
        MediaSource::Url { url, .. } => {
            object.key("file_url").string(url);
            if let Some(title) = &document.title {
                object.key("filename").string(title);
            }
        }
        MediaSource::File { id } => {
            object.key("file_id").string(id);
            if let Some(title) = &document.title {
                object.key("filename").string(title);
            }
        }
        MediaSource::Base64 { media_type, data } => {
            let name = document.title.as_deref().map_or_else(|| file_name(media_type), str::to_owned);
            // The bytes of a file are refused without a name.
            object.key("filename").string(&name);
            match media_type.is_empty() {
                true => object.key("file_data").string(data),
                false => object.key("file_data").string(&media::data_url(media_type, data)),
            }
        }
    }
    end(part, marks, &mut object, losses);
}

/// A name for a file that has none.
pub(super) fn file_name(media_type: &str) -> String {
    format_of(media_type).map_or_else(|| "document".to_owned(), |format| format!("document.{format}"))
}

fn as_text<'a>(part: &Part<'a>, losses: &mut Losses<'a>) {
    losses.report(
        part.place,
        LossKind::Approximated,
        "a document of plain text stands as ordinary text, without its title",
        "documents of plain text",
    );
}
