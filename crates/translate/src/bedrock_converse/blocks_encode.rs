//! Canonical parts, written as content blocks: of messages, instructions, results of tools, and answers.

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Kind, Object, Raw, ScanLimits, Writer};
use weighbridge_units::LossKind;

use super::blocks_decode::{GUARDED, SEARCH_RESULT};
use super::call_ids::{self, CallIds};
use super::citations;
use super::document_names::DocumentNames;
use super::documents_encode::document_format;
use super::family::Family;
use super::leftovers;
use super::media::{self, MediaKind};
use super::reasoning::{self, For};
use super::turns::Stand;
use crate::conversation::{
    Audio, CacheMark, CacheTtl, CallKind, Document, DocumentSource, Image, MediaSource, Text, ToolCall,
    ToolResult, Video,
};
use crate::{Content, Losses, Part, Place, Placed, tool_name};

/// Why a part is left out, and what it would need.
type Refusal = (&'static str, &'static str);

const SOURCE: Refusal = (
    "the bytes must be in the request, or in S3",
    "content at other addresses or in a provider's file store",
);

/// A text that says nothing, where the service demands one.
const FILLER: &str = ".";

/// What is written with: where losses go, and what must be remembered from block to block.
pub(super) struct Pen<'l, 'a> {
    pub(super) losses: &'l mut Losses<'a>,
    pub(super) family: Family,
    pub(super) eyes: For,
    pub(super) ids: CallIds,
    /// Whether a [`FILLER`] was written, so that no other is needed.
    pub(super) has_filled: bool,
    pub(super) names: DocumentNames,
}

impl<'l, 'a> Pen<'l, 'a> {
    pub(super) fn new(losses: &'l mut Losses<'a>, family: Family, eyes: For) -> Self {
        Self {
            losses,
            family,
            eyes,
            ids: CallIds::default(),
            has_filled: false,
            names: DocumentNames::default(),
        }
    }

    /// Those of the parts that will be blocks; the others are reported as lost.
    pub(super) fn kept<'p>(&mut self, parts: &'p [Part<'a>], stand: Stand) -> Vec<&'p Part<'a>> {
        let mut kept = Vec::with_capacity(parts.len());
        for part in parts {
            let refused = match self.losses.is_same_protocol() {
                true => Self::unwritable(part),
                false => self.refused(part, stand),
            };
            match refused {
                None => kept.push(part),
                Some((reason, needed)) => self.report(part, reason, needed),
            }
        }
        kept
    }

    /// Why a part has no form here at all. What was read from this protocol always has one.
    fn unwritable(part: &Part<'a>) -> Option<Refusal> {
        match &part.content {
            Content::Image(Image { source, .. })
            | Content::Video(Video { source })
            | Content::Audio(Audio { source, .. })
            | Content::Document(Document { source: DocumentSource::Media(source), .. })
                if !media::is_reachable(source) =>
            {
                Some(SOURCE)
            }
            _ => None,
        }
    }

    /// Why a part cannot be a block; `None` where it can.
    fn refused(&self, part: &Part<'a>, stand: Stand) -> Option<Refusal> {
        const INSTRUCTIONS: Refusal = ("instructions are text only", "such content in instructions");
        const FORMAT: Refusal = ("the format is not taken", "content of that format");
        const MODEL: Refusal = ("the model's turn cannot have it", "such content in the model's turn");
        let of_media = |kind: MediaKind, source: &MediaSource<'_>| {
            if !media::is_reachable(source) {
                return Some(SOURCE);
            }
            kind.format(source.media_type().unwrap_or_default()).is_none().then_some(FORMAT)
        };
        // Reported with what they have, where they are not said.
        const EMPTY: Refusal = ("", "");
        match &part.content {
            Content::Text(text) if text.text.is_empty() => Some(EMPTY),
            Content::Refusal(text) if text.is_empty() => Some(EMPTY),
            Content::Text(_) => None,
            _ if stand == Stand::Instructions => Some(INSTRUCTIONS),
            Content::Refusal(_) | Content::Json(_) => None,
            Content::Unknown { .. } => Some(EMPTY),
            Content::Reasoning(reasoning) => (stand != Stand::Model
                || (self.eyes == For::Provider && !reasoning::is_accepted(reasoning, self.family)))
            .then_some((
                "reasoning is taken only as the provider signed or sealed it",
                "reasoning of others",
            )),
            Content::ToolCall(_) => None,
            Content::ToolResult(_) => (stand != Stand::User).then_some(MODEL),
            Content::Image(_) | Content::Document(_) | Content::Video(_) | Content::Audio(_)
                if stand == Stand::Model && self.eyes == For::Provider =>
            {
                Some(MODEL)
            }
            Content::Image(image) => of_media(MediaKind::Image, &image.source),
            Content::Video(video) => of_media(MediaKind::Video, &video.source),
            Content::Audio(_) if stand == Stand::Result => {
                Some(("results of tools cannot have sound", "sound in results of tools"))
            }
            Content::Audio(audio) => of_media(MediaKind::Audio, &audio.source),
            Content::Document(document) => match &document.source {
                DocumentSource::Media(source) if !media::is_reachable(source) => Some(SOURCE),
                DocumentSource::Media(source) => {
                    document_format(source, document.title.as_deref()).is_none().then_some(FORMAT)
                }
                DocumentSource::Text(text) => text.is_empty().then_some(FORMAT),
                DocumentSource::Parts(_) => None,
            },
        }
    }

    fn report(&mut self, part: &Part<'a>, reason: &'static str, needed: &'static str) {
        match &part.content {
            Content::Unknown { name, raw } => self.losses.unknown(*raw, "content", name),
            Content::Text(text) => self.losses.uncited(&text.citations),
            _ => {}
        }
        if !reason.is_empty() {
            self.losses.dropped(part.place, reason, needed);
        }
        if let Some(mark) = &part.cache {
            self.losses.dropped(mark.place, "what it marks is left out", "the content that is marked");
        }
        self.losses.bag(&part.bag);
    }

    /// Writes a part that is [`kept`](Self::kept), and the cache point behind it.
    pub(super) fn block(&mut self, part: &Part<'a>, list: &mut Array<'_>) {
        self.bare_block(part, list);
        if let Some(mark) = &part.cache {
            self.cache_point(mark, part, list);
        }
    }

    fn bare_block(&mut self, part: &Part<'a>, list: &mut Array<'_>) {
        if let Content::Unknown { raw, .. } = &part.content {
            return list.item().raw(raw.text());
        }
        let mut object = list.item().object();
        self.fields(part, &mut object);
        leftovers::write(&part.bag, "", &mut object, self.losses);
        leftovers::report(&part.bag, self.losses);
    }

    fn fields(&mut self, part: &Part<'a>, object: &mut Object<'_>) {
        let is_own = self.losses.is_same_protocol();
        if is_own && part.bag.iter().any(|(name, _)| name == GUARDED) {
            return; // The leftovers have it, whole.
        }
        if let Some(found) = part.place.raw().filter(|_| is_own).and_then(|block| block.get(SEARCH_RESULT)) {
            return object.key(SEARCH_RESULT).raw(found.text());
        }
        match &part.content {
            Content::Text(text) => self.text(text, part, object),
            Content::Json(json) => object.key("text").string(json.text()),
            Content::Refusal(text) => {
                self.approximated(part.place, "a refusal stands as ordinary text", "a part for refusals");
                object.key("text").string(text);
            }
            Content::Image(image) => {
                self.media(MediaKind::Image, &image.source, part, object);
                if let Some(detail) = image.detail.as_ref().filter(|detail| detail.value != "auto") {
                    self.losses.dropped(
                        detail.place,
                        "how closely an image is looked at cannot be said",
                        "a level of detail",
                    );
                }
            }
            Content::Video(video) => self.media(MediaKind::Video, &video.source, part, object),
            Content::Audio(audio) => {
                self.media(MediaKind::Audio, &audio.source, part, object);
                if audio.transcript.is_some() || audio.id.is_some() {
                    self.losses.dropped(part.place, "sound stands alone", "an id or transcript of a sound");
                }
            }
            Content::Document(document) => self.document(document, part, object),
            Content::ToolCall(call) => {
                let id = self.ids.of_call(&call.id, &call.name).into_owned();
                self.tool_use(call, &id, part, object);
            }
            Content::ToolResult(result) => self.tool_result(result, part, object),
            Content::Reasoning(reasoning) => {
                let mut content = object.key("reasoningContent").object();
                reasoning::write(reasoning, part.place, &part.bag, self.eyes, &mut content, self.losses);
                leftovers::write(&part.bag, "reasoningContent", &mut content, self.losses);
            }
            Content::Unknown { .. } => {}
        }
    }

    pub(super) fn approximated(&mut self, place: Place<'a>, reason: &'static str, needed: &'static str) {
        self.losses.report(place, LossKind::Approximated, reason, needed);
    }

    fn text(&mut self, text: &Text<'a>, part: &Part<'a>, object: &mut Object<'_>) {
        if text.citations.is_empty() {
            return object.key("text").string(&text.text);
        }
        let mut cited = object.key("citationsContent").object();
        let mut content = cited.key("content").array();
        if !text.text.is_empty() {
            let mut piece = content.item().object();
            piece.key("text").string(&text.text);
            leftovers::write(&part.bag, "citationsContent/content/0", &mut piece, self.losses);
        }
        drop(content);
        let mut list = cited.key("citations").array();
        for citation in &text.citations {
            citations::write(citation, &mut list, self.losses);
        }
        drop(list);
        leftovers::write(&part.bag, "citationsContent", &mut cited, self.losses);
    }

    fn media(&mut self, kind: MediaKind, source: &MediaSource<'a>, part: &Part<'a>, object: &mut Object<'_>) {
        let media_type = source.media_type().unwrap_or_default();
        // A format that is not known yet came from this protocol, with the name that it has here.
        let format = kind.format(media_type).or_else(|| media_type.split('/').nth(1)).unwrap_or_default();
        let path = kind.field();
        let mut block = object.key(path).object();
        block.key("format").string(format);
        self.source(source, path, part, &mut block);
        leftovers::write(&part.bag, path, &mut block, self.losses);
    }

    pub(super) fn source(
        &mut self,
        source: &MediaSource<'a>,
        path: &str,
        part: &Part<'a>,
        block: &mut Object<'_>,
    ) {
        let inside = format!("{path}/source");
        let mut object = block.key("source").object();
        media::write_source(source, &inside, &part.bag, &mut object, self.losses);
        leftovers::write(&part.bag, &inside, &mut object, self.losses);
    }

    /// Writes a call of a tool under an id that the format accepts.
    pub(super) fn tool_use(
        &mut self,
        call: &ToolCall<'a>,
        id: &str,
        part: &Part<'a>,
        object: &mut Object<'_>,
    ) {
        let mut block = object.key("toolUse").object();
        if call_ids::is_cut(&call.id) || call_ids::is_cut_name(&call.name, call.kind) {
            self.cut(part.place);
        }
        block.key("toolUseId").string(id);
        block.key("name").string(&call_ids::legal_name(&call.name, call.kind));
        if call.kind == CallKind::Custom {
            tool_name::write_custom(&call.arguments, &mut block.key("input").object());
            return leftovers::write(&part.bag, "toolUse", &mut block, self.losses);
        }
        let input = input(&call.arguments);
        if matches!(input, Cow::Owned(_)) {
            self.approximated(
                part.place,
                "the arguments are no JSON object: their text stands in its field `arguments`",
                "arguments of any form",
            );
        }
        block.key("input").raw(&input);
        leftovers::write(&part.bag, "toolUse", &mut block, self.losses);
    }

    /// Reports that an id or a name is longer than the format allows.
    pub(super) fn cut(&mut self, place: Place<'a>) {
        self.approximated(
            place,
            "names of tools and ids of calls have at most 64 characters: it is cut",
            "names and ids of any length",
        );
    }

    fn tool_result(&mut self, result: &ToolResult<'a>, part: &Part<'a>, object: &mut Object<'_>) {
        let mut block = object.key("toolResult").object();
        if call_ids::is_cut(&result.call_id) {
            self.cut(part.place);
        }
        block.key("toolUseId").string(&self.ids.of_result(&result.call_id, result.name.as_deref()));
        let mut list = block.key("content").array();
        for inner in self.kept(&result.parts, Stand::Result) {
            self.result_block(inner, &mut list);
        }
        drop(list);
        // Not every model knows the field, so what is usual is not said.
        if result.is_error {
            block.key("status").string("error");
        }
        leftovers::write(&part.bag, "toolResult", &mut block, self.losses);
    }

    fn result_block(&mut self, part: &Part<'a>, list: &mut Array<'_>) {
        match &part.content {
            Content::Json(json) if json.kind() == Kind::Object || self.losses.is_same_protocol() => {
                let mut object = list.item().object();
                object.key("json").raw(json.text());
                leftovers::write(&part.bag, "", &mut object, self.losses);
                leftovers::report(&part.bag, self.losses);
            }
            Content::Json(_) => {
                self.approximated(
                    part.place,
                    "only objects are taken as JSON: it stands as text",
                    "JSON of any kind",
                );
                self.bare_block(part, list);
            }
            _ => self.bare_block(part, list),
        }
        if let Some(mark) = &part.cache {
            self.losses.dropped(
                mark.place,
                "a result of a tool is cached as a whole",
                "marks for the prompt cache in results of tools",
            );
        }
    }

    /// Writes a text that says nothing.
    pub(super) fn filler(&mut self, list: &mut Array<'_>) {
        self.has_filled = true;
        list.item().object().key("text").string(FILLER);
    }

    /// Writes the mark behind a part. Behind a document of text it is refused, unless a text is between.
    fn cache_point(&mut self, mark: &Placed<'a, CacheMark>, part: &Part<'a>, list: &mut Array<'_>) {
        let needs_text = match &part.content {
            Content::Document(document) => !matches!(&document.source,
                DocumentSource::Media(source) if source.media_type() == Some("application/pdf")),
            _ => false,
        };
        if needs_text && !self.losses.is_same_protocol() {
            self.approximated(
                mark.place,
                "a mark directly behind a document of text is refused: a full stop stands between",
                "marks for the prompt cache behind documents",
            );
            self.filler(list);
        }
        cache_point(mark, list.item().object(), self.losses);
    }
}

/// Writes a cache point. A lifetime that another provider offers becomes the shorter or the longer one.
pub(super) fn cache_point<'a>(mark: &Placed<'a, CacheMark>, mut object: Object<'_>, losses: &mut Losses<'a>) {
    let mut point = object.key("cachePoint").object();
    point.key("type").string("default");
    let Some(wanted) = mark.value.ttl else { return };
    let ttl = if wanted.is_long() { CacheTtl::OneHour } else { CacheTtl::FiveMinutes };
    if ttl != wanted {
        losses.report(
            mark.place,
            LossKind::Approximated,
            format!("a cached prompt lives {} instead of {}", ttl.as_str(), wanted.as_str()),
            "such a lifetime of cached prompts",
        );
    }
    point.key("ttl").string(ttl.as_str());
}

/// The arguments as the JSON object that the format demands: the very text, where it is one.
pub(super) fn input(arguments: &str) -> Cow<'_, str> {
    if arguments.trim_ascii().is_empty() {
        return Cow::Borrowed("{}");
    }
    match Raw::parse(arguments, &ScanLimits::default()) {
        Ok(raw) if raw.kind() == Kind::Object => Cow::Borrowed(raw.text()),
        _ => {
            let mut wrapped = Vec::new();
            Writer::new(&mut wrapped).object().key("arguments").string(arguments);
            Cow::Owned(String::from_utf8(wrapped).unwrap_or_default())
        }
    }
}
