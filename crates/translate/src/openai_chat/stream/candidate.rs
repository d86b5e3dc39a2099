use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Kind, Raw};
use weighbridge_units::Protocol;

use super::calls::{Calls, Piece};
use super::reader::PartNumbers;
use crate::conversation::{MediaSource, Proof, ProofKind, Span};
use crate::event::{SplitText, extras};
use crate::openai_chat::pieces::{Next, SoFar, UNPROVEN};
use crate::openai_chat::{citations, content_decode};
use crate::{Delta, Event, EventSink, FrameError, PartKind};

/// Where the pieces of an answer stand in a chunk, as far as pointers can say.
const UNDER: &str = "/choices/0/delta";

/// One of the answers of a stream.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) index: u32,
    pub(super) finished: bool,
    writing: Option<Writing>,
    /// Characters of visible text so far.
    characters: u64,
    /// The part of what the model speaks, which goes on beside all others.
    sound: Option<(u32, SplitText)>,
    calls: Calls,
}

/// The text-like part that is being written.
#[derive(Debug)]
struct Writing {
    part: u32,
    kind: Kinds,
    text: SplitText,
    /// Where it begins in the candidate's visible text, in characters.
    start: u64,
}

#[derive(Debug)]
enum Kinds {
    Text,
    Refusal,
    Reasoning(Reasoning),
}

/// How far a piece of reasoning has come.
#[derive(Debug, Default)]
struct Reasoning {
    so_far: SoFar,
    /// The index and number of the piece of the summary that is being written.
    summary: Option<(Option<u64>, u32)>,
}

/// One entry of `delta.reasoning_details`.
struct Detail<'f> {
    text: Option<Raw<'f>>,
    summary: Option<Raw<'f>>,
    signature: Option<Cow<'f, str>>,
    data: Option<Cow<'f, str>>,
    format: Option<Cow<'f, str>>,
    id: Option<Cow<'f, str>>,
    index: Option<u64>,
}

impl<'f> Detail<'f> {
    fn read(raw: Raw<'f>, sink: &mut EventSink<'_>) -> Option<Self> {
        let mut fields = Fields::read(raw).ok()?;
        fields.variant("type").filter(|kind| kind.starts_with("reasoning."))?;
        let is_said = |raw: &Raw<'f>| raw.kind() == Kind::String && raw.text() != "\"\"";
        let text = fields.offer::<Raw<'f>>("text").filter(is_said);
        let summary = fields.offer::<Raw<'f>>("summary").filter(is_said);
        let mut said = |name| fields.offer::<Cow<'f, str>>(name).filter(|text| !text.is_empty());
        let (signature, data) = (said("signature"), said("data"));
        let (format, id) = (said("format"), said("id"));
        let index = fields.offer("index");
        extras(Protocol::OpenAiChat, "/choices/0/delta/reasoning_details/0", fields, sink);
        Some(Self { text, summary, signature, data, format, id, index })
    }

    fn next(&self) -> Next<'_> {
        Next {
            id: self.id.as_deref(),
            format: self.format.as_deref(),
            index: self.index,
            has_text: self.text.is_some(),
            has_signature: self.signature.is_some(),
            has_data: self.data.is_some(),
        }
    }

    /// Whether it says anything of its own.
    fn says_nothing(&self) -> bool {
        let next = self.next();
        self.summary.is_none() && !next.has_text && !next.has_signature && !next.has_data
    }
}

impl Candidate {
    pub(super) fn new(index: u32) -> Self {
        Self { index, finished: false, writing: None, characters: 0, sound: None, calls: Calls::default() }
    }

    /// Takes one delta.
    pub(super) fn delta(
        &mut self,
        mut delta: Fields<'_>,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let _role: Option<Raw<'_>> = delta.offer("role");
        self.reasoning(&mut delta, parts, sink)?;
        match delta.take::<Raw<'_>>("content")?.value() {
            Some(content) if content.kind() == Kind::Array => self.content_items(content, parts, sink)?,
            Some(content) => self.text(Kinds::Text, content, parts, sink)?,
            None => {}
        }
        if let Some(refusal) = delta.take::<Raw<'_>>("refusal")?.value() {
            self.text(Kinds::Refusal, refusal, parts, sink)?;
        }
        self.citations(&mut delta, sink);
        if let Some(audio) = delta.take::<Fields<'_>>("audio")?.value() {
            self.audio(audio, parts, sink)?;
        }
        self.images(&mut delta, parts, sink)?;
        for call in delta.take::<Vec<Fields<'_>>>("tool_calls")?.value().unwrap_or_default() {
            self.call(Piece::read(call, sink)?, parts, sink)?;
        }
        if let Some(call) = delta.take::<Fields<'_>>("function_call")?.value() {
            self.call(Piece::read_legacy(call)?, parts, sink)?;
        }
        extras(Protocol::OpenAiChat, UNDER, delta, sink);
        Ok(())
    }

    /// The one field for reading has several names; where a provider sends two, they say the same. So
    /// does the text in the details, which tell more.
    fn reasoning(
        &mut self,
        delta: &mut Fields<'_>,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let text = delta.take::<Raw<'_>>("reasoning_content")?.value();
        let text = text.or(delta.take::<Raw<'_>>("reasoning")?.value());
        let details = delta.peek("reasoning_details").and_then(|list| {
            list.items().ok()?.map(|raw| Detail::read(raw, sink)).collect::<Option<Vec<_>>>()
        });
        let is_told = details.iter().flatten().any(|detail| detail.text.or(detail.summary).is_some());
        if let Some(text) = text.filter(|_| !is_told) {
            self.text(Kinds::Reasoning(Reasoning::default()), text, parts, sink)?;
        }
        let Some(details) = details else { return Ok(()) };
        let _taken: Option<Raw<'_>> = delta.offer("reasoning_details");
        let call = delta.peek("tool_calls").and_then(|list| list.items().ok()?.next()?.get("id")?.str().ok());
        for mut detail in details {
            // A signature of a call bears the call's id.
            let _of_call = detail.id.take_if(|id| call.as_ref() == Some(id));
            self.detail(detail, parts, sink)?;
        }
        Ok(())
    }

    fn detail(
        &mut self,
        detail: Detail<'_>,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let goes_on = match &self.writing {
            Some(Writing { kind: Kinds::Reasoning(reasoning), .. }) => {
                reasoning.so_far.goes_on(detail.next())
            }
            _ => false,
        };
        if !goes_on {
            if detail.says_nothing() {
                return Ok(());
            }
            let so_far = SoFar::of(detail.id.as_deref());
            self.open(Kinds::Reasoning(Reasoning { so_far, summary: None }), parts, sink)?;
        }
        let Some(Writing { part, kind: Kinds::Reasoning(reasoning), text, .. }) = &mut self.writing else {
            return Ok(());
        };
        let part = *part;
        if let (None, Some(id)) = (&reasoning.so_far.id, &detail.id) {
            sink(Event::Delta { part, delta: Delta::Id(Cow::Borrowed(id)) });
        }
        reasoning.so_far.note(detail.next());
        if let Some(raw) = detail.text {
            let text = text.read(raw)?;
            sink(Event::Delta { part, delta: Delta::Text(text) });
        }
        if let Some(raw) = detail.summary {
            let piece = match reasoning.summary {
                None => 0,
                Some((index, piece)) if index.is_some() && index == detail.index => piece,
                Some((_, piece)) => piece.saturating_add(1),
            };
            reasoning.summary = Some((detail.index, piece));
            let text = text.read(raw)?;
            sink(Event::Delta { part, delta: Delta::Summary { piece, text } });
        }
        let format = reasoning.so_far.format.as_deref().unwrap_or(UNPROVEN);
        let sealed = if format == Proof::GEMINI { ProofKind::Signature } else { ProofKind::Sealed };
        let signature = detail.signature.map(|data| (ProofKind::Signature, data));
        if let Some((kind, data)) = signature.or(detail.data.map(|data| (sealed, data))) {
            let proof = Proof { format: Cow::Borrowed(format), kind, data };
            sink(Event::Delta { part, delta: Delta::Proof(proof) });
        }
        Ok(())
    }

    /// Mistral's form of content: an array of typed items, thinking among them.
    fn content_items(
        &mut self,
        content: Raw<'_>,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        for item in content.items()? {
            let mut fields = Fields::read(item)?;
            match fields.variant("type").as_deref() {
                Some("text") => self.text(Kinds::Text, fields.require("text")?, parts, sink)?,
                Some("thinking") => {
                    for thought in fields.require::<Raw<'_>>("thinking")?.items()? {
                        let text = Fields::read(thought)?.require("text")?;
                        self.text(Kinds::Reasoning(Reasoning::default()), text, parts, sink)?;
                    }
                }
                _ => {
                    sink(Event::Extra { under: UNDER, name: Cow::Borrowed("content"), text: item.text() });
                }
            }
        }
        Ok(())
    }

    /// Sources of the text that is being written. Where none is, they stay.
    fn citations(&mut self, delta: &mut Fields<'_>, sink: &mut EventSink<'_>) {
        let Some(Writing { part, kind: Kinds::Text, start, .. }) = &self.writing else { return };
        let Some(found) = delta.peek("annotations").and_then(citations::read) else { return };
        let _taken: Option<Raw<'_>> = delta.offer("annotations");
        for mut citation in found {
            // They count from the beginning of all visible text.
            citation.span = citation.span.map(|span| Span {
                start: span.start.saturating_sub(*start),
                end: span.end.saturating_sub(*start),
            });
            sink(Event::Delta { part: *part, delta: Delta::Citation(citation) });
        }
    }

    fn audio(
        &mut self,
        mut audio: Fields<'_>,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let id: Option<Cow<'_, str>> = audio.take("id")?.value();
        let data: Option<Cow<'_, str>> = audio.take("data")?.value();
        let transcript: Option<Raw<'_>> = audio.take("transcript")?.value();
        if self.sound.is_none() && (id.is_some() || data.is_some() || transcript.is_some()) {
            let part = parts.next();
            let kind = PartKind::Audio { id, media_type: Cow::Borrowed("") };
            sink(Event::Open { part, group: self.index, candidate: self.index, kind });
            self.sound = Some((part, SplitText::default()));
        }
        if let Some((part, words)) = &mut self.sound {
            let part = *part;
            if let Some(raw) = transcript {
                let text = words.read(raw)?;
                if !text.is_empty() {
                    sink(Event::Delta { part, delta: Delta::Text(text) });
                }
            }
            if let Some(data) = data.filter(|data| !data.is_empty()) {
                sink(Event::Delta { part, delta: Delta::Data(data) });
            }
            if let Some(raw) = audio.offer::<Raw<'_>>("expires_at") {
                let name = Cow::Borrowed("expires_at");
                sink(Event::Delta { part, delta: Delta::Raw { name, text: raw.text() } });
            }
        }
        extras(Protocol::OpenAiChat, "/choices/0/delta/audio", audio, sink);
        Ok(())
    }

    /// OpenRouter's form of images: each whole, in a `data:` URL. Others stay.
    fn images(
        &mut self,
        delta: &mut Fields<'_>,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let url = |raw: Raw<'_>| raw.get("image_url")?.get("url")?.str().ok().map(Cow::into_owned);
        let Some(list) = delta.peek("images").and_then(|list| list.items().ok()) else { return Ok(()) };
        let Some(urls) = list.map(url).collect::<Option<Vec<String>>>() else { return Ok(()) };
        let sources: Vec<MediaSource<'_>> =
            urls.iter().map(|url| content_decode::source(Cow::Borrowed(url))).collect();
        if sources.iter().any(|source| !matches!(source, MediaSource::Base64 { .. })) {
            return Ok(());
        }
        let _taken: Option<Raw<'_>> = delta.offer("images");
        self.end_writing(sink)?;
        for source in sources {
            let MediaSource::Base64 { media_type, data } = source else { continue };
            let part = parts.next();
            let kind = PartKind::Image { media_type };
            sink(Event::Open { part, group: self.index, candidate: self.index, kind });
            sink(Event::Delta { part, delta: Delta::Data(data) });
            sink(Event::Close { part });
        }
        Ok(())
    }

    fn text(
        &mut self,
        kind: Kinds,
        raw: Raw<'_>,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        if raw.text() == "\"\"" {
            return Ok(());
        }
        if self.writing.as_ref().is_none_or(|writing| !writing.kind.takes(&kind)) {
            self.open(kind, parts, sink)?;
        }
        if let Some(writing) = &mut self.writing {
            let text = writing.text.read(raw)?;
            if let Kinds::Text = writing.kind {
                self.characters += text.chars().count() as u64;
            }
            if !text.is_empty() {
                sink(Event::Delta { part: writing.part, delta: Delta::Text(text) });
            }
        }
        Ok(())
    }

    fn open(
        &mut self,
        kind: Kinds,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        self.end_writing(sink)?;
        self.calls.close_complete(sink)?;
        let part = parts.next();
        let opened = match &kind {
            Kinds::Text => PartKind::Text,
            Kinds::Refusal => PartKind::Refusal,
            Kinds::Reasoning(reasoning) => {
                PartKind::Reasoning { id: reasoning.so_far.id.as_deref().map(Cow::Borrowed) }
            }
        };
        sink(Event::Open { part, group: self.index, candidate: self.index, kind: opened });
        self.writing = Some(Writing { part, kind, text: SplitText::default(), start: self.characters });
        Ok(())
    }

    fn call(
        &mut self,
        piece: Piece<'_>,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        self.end_writing(sink)?;
        self.calls.piece(piece, self.index, parts, sink)
    }

    fn end_writing(&mut self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        if let Some(writing) = self.writing.take() {
            ended(&writing.text)?;
            sink(Event::Close { part: writing.part });
        }
        Ok(())
    }

    /// Closes all that is open, because the stream has ended.
    pub(super) fn close(&mut self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        self.end_writing(sink)?;
        if let Some((part, words)) = self.sound.take() {
            ended(&words)?;
            sink(Event::Close { part });
        }
        self.calls.close_all(sink)
    }
}

fn ended(text: &SplitText) -> Result<(), FrameError> {
    match text.is_whole() {
        true => Ok(()),
        false => Err(FrameError::Malformed("a part ends with half of a character".into())),
    }
}

impl Kinds {
    /// Whether text of the other kind goes on with this one. A proof ends a piece of reasoning.
    fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text, Self::Text) | (Self::Refusal, Self::Refusal) => true,
            (Self::Reasoning(reasoning), Self::Reasoning(_)) => reasoning.so_far.takes_text(),
            _ => false,
        }
    }
}
