use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use weighbridge_protocol::gemini::{names, usage};
use weighbridge_protocol::json::{Fields, Kind, Raw, ScanLimits};
use weighbridge_units::{Bucket, Protocol, Usage};

use super::audio::Joined;
use super::call::{OpenCall, Piece};
use crate::conversation::{Citation, MediaSource, Proof, Reasoning};
use crate::event::{extras, usage_extras};
use crate::gemini::citations::{self, Said};
use crate::gemini::{content_decode, finish, logprobs, time};
use crate::{
    Content, Delta, Event, EventSink, FinishReason, Frame, FrameError, FrameRole, FrameScope, Part, PartKind,
    StopDetails, StreamReader, adapter,
};

const PROTOCOL: Protocol = Protocol::GeminiGenerateContent;

/// `candidateCount` is at most 8.
const CANDIDATES_MAX: usize = 64;

/// How many sources of one candidate are told.
const CITED_MAX: usize = 4_096;

/// Interprets the chunks of a stream.
///
/// The wire says neither when a part begins nor when it ends: neighbouring texts are one part, and so are
/// neighbouring thoughts and pieces of sound; a part ends where one of another kind begins. Calls and
/// images come whole, but for calls that Vertex AI streams value by value.
///
/// Usage is on every chunk and cumulative. A finish may come more than once; the last one counts.
#[derive(Debug, Default)]
pub struct GeminiReader {
    started: bool,
    usage: Usage,
    candidates: Vec<Candidate>,
    next_part: u32,
    /// The prompt was refused: there will be no candidate.
    blocked: bool,
}

#[derive(Debug, Default)]
struct Candidate {
    index: u32,
    open: Option<Open>,
    has_calls: bool,
    /// The value of `finishReason`, once there was one.
    reason: Option<String>,
    told: Option<FinishReason>,
    said: Said,
    /// The sources that were told: later chunks may repeat them.
    cited: HashSet<u64>,
    searches: u64,
}

/// The part that is being written.
#[derive(Debug)]
enum Open {
    Text { part: u32 },
    Thought { part: u32 },
    Call(OpenCall),
    Audio { part: u32, media_type: String, joined: Joined },
}

impl StreamReader for GeminiReader {
    fn read(
        &mut self,
        frame: Frame<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<FrameRole, FrameError> {
        let raw = Raw::parse(frame.data, &ScanLimits::default())
            .map_err(|error| FrameError::Malformed(error.to_string()))?;
        if raw.kind() == Kind::Array || raw.get("error").is_some_and(|error| !error.is_null()) {
            let error = adapter(PROTOCOL).decode_error(200, raw);
            let error = error.ok_or_else(|| FrameError::Malformed("an array stands for a chunk".into()))?;
            sink(Event::Failed(error));
            return Ok(FrameRole::Part);
        }
        let mut chunk = Fields::read(raw)?;
        let known = ["candidates", "promptFeedback", "usageMetadata", "responseId", "modelVersion"];
        if known.iter().all(|name| chunk.peek(name).is_none()) {
            sink(Event::Raw { name: Cow::Borrowed(""), text: frame.data });
            return Ok(FrameRole::Part);
        }
        self.start(&mut chunk, sink);
        for raw in chunk.take::<Vec<Raw<'_>>>("candidates")?.value().unwrap_or_default() {
            self.candidate(raw, scope, sink)?;
        }
        if let Some(feedback) = chunk.take::<Fields<'_>>("promptFeedback")?.value() {
            self.feedback(feedback, scope, sink)?;
        }
        if let Some(raw) = chunk.take::<Raw<'_>>("usageMetadata")?.value() {
            self.usage(raw, scope, sink);
        }
        if scope == FrameScope::Whole {
            extras(PROTOCOL, "", chunk, sink);
        }
        Ok(FrameRole::Part)
    }

    /// The body's end is the stream's, where every candidate has finished or the prompt was refused.
    fn end_of_body(&mut self, sink: &mut EventSink<'_>) -> bool {
        let finished = self.candidates.iter().all(|candidate| candidate.reason.is_some());
        let is_complete = if self.candidates.is_empty() { self.blocked } else { finished };
        if is_complete {
            for candidate in &mut self.candidates {
                candidate.close(sink);
            }
        }
        is_complete
    }
}

impl GeminiReader {
    /// Announces the answer, once.
    fn start(&mut self, chunk: &mut Fields<'_>, sink: &mut EventSink<'_>) {
        let id = chunk.offer::<Cow<'_, str>>("responseId").filter(|id| !id.is_empty());
        let model = chunk.offer::<Cow<'_, str>>("modelVersion").filter(|model| !model.is_empty());
        let created = chunk.offer::<Cow<'_, str>>("createTime").and_then(|text| time::seconds(&text));
        let is_answer = id.is_some() || model.is_some() || chunk.peek("candidates").is_some();
        if is_answer && !std::mem::replace(&mut self.started, true) {
            sink(Event::Start { id, model, created });
        }
    }

    fn usage(&mut self, raw: Raw<'_>, scope: FrameScope, sink: &mut EventSink<'_>) {
        let is_complete = self.blocked || self.candidates.iter().all(|candidate| candidate.reason.is_some());
        if is_complete && (self.blocked || !self.candidates.is_empty()) {
            usage::update_at_end(&mut self.usage, raw);
        } else {
            usage::update(&mut self.usage, raw);
        }
        let searches = self.candidates.iter().map(|candidate| candidate.searches).sum();
        if searches > 0 && !self.usage.is_untold() {
            self.usage.set(Bucket::WebSearch, searches);
        }
        if !self.usage.is_untold() {
            sink(Event::Usage(self.usage));
        }
        let tier = usage::service_tier(raw);
        if scope == FrameScope::Whole {
            let known: &[&str] = if tier.is_some() { &["trafficType"] } else { &[] };
            usage_extras(PROTOCOL, raw, &[&usage::FIELDS[..], known].concat(), sink);
        }
        if let Some(tier) = tier {
            sink(Event::ServiceTier(tier));
        }
    }

    fn feedback(
        &mut self,
        mut feedback: Fields<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let place = feedback.raw();
        let reason: Option<Cow<'_, str>> = feedback.take("blockReason")?.value();
        let explanation: Option<Cow<'_, str>> = feedback.take("blockReasonMessage")?.value();
        if reason.is_some() {
            self.blocked = true;
            sink(Event::Finish { candidate: 0, reason: FinishReason::ContentFilter });
            if scope == FrameScope::Whole {
                let details = StopDetails {
                    place: place.into(),
                    category: reason,
                    explanation,
                    ..StopDetails::default()
                };
                sink(Event::StopDetails { candidate: 0, details });
            }
        }
        if scope == FrameScope::Whole {
            extras(PROTOCOL, "/promptFeedback", feedback, sink);
        }
        Ok(())
    }

    fn candidate(
        &mut self,
        raw: Raw<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let mut fields = Fields::read(raw)?;
        let index = fields.take::<u64>("index")?.value().unwrap_or(0);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let place = match self.candidates.iter().position(|candidate| candidate.index == index) {
            Some(place) => place,
            None if self.candidates.len() == CANDIDATES_MAX => {
                return Err(FrameError::TooMuch("more candidates than a request can ask for"));
            }
            None => {
                self.candidates.push(Candidate { index, ..Candidate::default() });
                self.candidates.len() - 1
            }
        };
        let Some(candidate) = self.candidates.get_mut(place) else { return Ok(()) };
        candidate.chunk(fields, scope, &mut self.next_part, sink)
    }
}

impl Candidate {
    fn chunk(
        &mut self,
        mut fields: Fields<'_>,
        scope: FrameScope,
        next_part: &mut u32,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let grounding: Option<Raw<'_>> = fields.offer("groundingMetadata");
        let recitation: Option<Raw<'_>> = fields.offer("citationMetadata");
        if let Some(metadata) = grounding {
            self.searches = self.searches.max(usage::searches(metadata));
        }
        let mut content: Option<Fields<'_>> = fields.take("content")?.value();
        let parts: Option<Raw<'_>> = match &mut content {
            Some(content) => content.take("parts")?.value(),
            None => None,
        };
        let parts: Vec<Raw<'_>> = match parts {
            Some(parts) => parts.items()?.collect(),
            None => Vec::new(),
        };
        if scope == FrameScope::Facts {
            self.has_calls |= parts.iter().any(|part| call_of(*part).is_some());
        } else {
            let mut metadata = Metadata { grounding, recitation };
            for part in &parts {
                self.part(*part, next_part, &mut metadata, sink)?;
            }
            self.cite(&mut metadata, sink);
            if let Some(mut content) = content {
                let _role: Option<Raw<'_>> = content.offer("role");
                extras(PROTOCOL, "/candidates/0/content", content, sink);
            }
            if let Some(mut result) = fields.offer::<Fields<'_>>("logprobsResult") {
                let tokens = logprobs::tokens(&mut result);
                if !tokens.is_empty() {
                    sink(Event::Logprobs { candidate: self.index, tokens });
                }
                extras(PROTOCOL, "/candidates/0/logprobsResult", result, sink);
            }
        }
        self.finish(&mut fields, scope, sink)?;
        if scope == FrameScope::Whole {
            extras(PROTOCOL, "/candidates/0", fields, sink);
        }
        Ok(())
    }

    fn finish(
        &mut self,
        fields: &mut Fields<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let place = fields.peek("finishReason");
        let reason: Option<Cow<'_, str>> = fields.take("finishReason")?.value();
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            self.reason = Some(reason.into_owned());
        }
        let Some(reason) = &self.reason else { return Ok(()) };
        // A call may still come behind the finish.
        let meaning = finish::read(reason, self.has_calls);
        if self.told.as_ref() != Some(&meaning) {
            sink(Event::Finish { candidate: self.index, reason: meaning.clone() });
        }
        self.told = Some(meaning);
        let is_usual = fields.peek("finishMessage").is_some_and(finish::is_usual_message);
        if scope == FrameScope::Whole && !is_usual {
            let category = finish::category(reason).map(|name| Cow::Owned(name.to_owned()));
            let explanation: Option<Cow<'_, str>> = fields.offer("finishMessage");
            if category.is_some() || explanation.is_some() {
                let place = place.map(Into::into).unwrap_or_default();
                let details = StopDetails { place, category, explanation, ..StopDetails::default() };
                sink(Event::StopDetails { candidate: self.index, details });
            }
        }
        Ok(())
    }

    fn part<'a>(
        &mut self,
        raw: Raw<'a>,
        next_part: &mut u32,
        metadata: &mut Metadata<'a>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let call = call_of(raw);
        let mut parts = match call {
            Some(_) => content_decode::signature_of_call(raw),
            None => content_decode::in_stream(raw),
        };
        // What a text is signed with stands behind it where it goes on.
        let goes_on = matches!(self.open, Some(Open::Text { .. }));
        if let [Part { content: Content::Reasoning(_), .. }, Part { content: Content::Text(text), .. }] =
            parts.as_slice()
            && goes_on
            && !text.text.is_empty()
        {
            parts.reverse();
        }
        for part in parts {
            if !matches!(part.content, Content::Text(_)) {
                self.cite(metadata, sink);
            }
            self.report_rest(&part, sink);
            self.take(part, next_part, sink);
        }
        if let Some(call) = call {
            self.cite(metadata, sink);
            self.call(call, next_part, sink)?;
        }
        Ok(())
    }

    /// What a part has that no event expresses.
    fn report_rest(&self, part: &Part<'_>, sink: &mut EventSink<'_>) {
        for (name, value) in part.bag.iter() {
            if !crate::event::says_nothing(value) && !adapter(PROTOCOL).is_default(name, value) {
                let name = Cow::Owned(name.to_owned());
                sink(Event::Extra { under: "/candidates/0/content/parts", name, text: value.text() });
            }
        }
    }

    fn take(&mut self, part: Part<'_>, next_part: &mut u32, sink: &mut EventSink<'_>) {
        match part.content {
            Content::Text(text) => {
                if text.text.is_empty() {
                    return;
                }
                let number = self.text(next_part, sink);
                self.said.push(&text.text);
                sink(Event::Delta { part: number, delta: Delta::Text(text.text) });
            }
            Content::Reasoning(reasoning) => {
                // The signature of a thought may come behind it, in a thought without text.
                let is_thought =
                    !reasoning.text.is_empty() || part.bag.iter().any(|(name, _)| name == "thought");
                self.thought(reasoning, is_thought, next_part, sink);
            }
            Content::Image(image) => {
                if let MediaSource::Base64 { media_type, data } = image.source {
                    let number = self.begin(PartKind::Image { media_type }, next_part, sink);
                    sink(Event::Delta { part: number, delta: Delta::Data(data) });
                    sink(Event::Close { part: number });
                }
            }
            Content::Audio(audio) => {
                if let MediaSource::Base64 { media_type, data } = audio.source {
                    self.sound(media_type, &data, next_part, sink);
                }
            }
            Content::Unknown { name, raw } => {
                let number = self.begin(PartKind::Unknown { name, text: raw.text() }, next_part, sink);
                sink(Event::Close { part: number });
            }
            _ => {}
        }
    }

    /// The text that is being written, begun if there is none.
    fn text(&mut self, next_part: &mut u32, sink: &mut EventSink<'_>) -> u32 {
        if let Some(Open::Text { part }) = self.open {
            return part;
        }
        let part = self.begin(PartKind::Text, next_part, sink);
        self.said.begin(part);
        self.open = Some(Open::Text { part });
        part
    }

    /// A thought that can be read, or the signature of a part.
    fn thought(
        &mut self,
        reasoning: Reasoning<'_>,
        is_thought: bool,
        next_part: &mut u32,
        sink: &mut EventSink<'_>,
    ) {
        let Reasoning { id, text, proof, .. } = reasoning;
        let part = match self.open {
            Some(Open::Thought { part }) if is_thought => {
                // It comes with the proof, which ends a thought that has begun long before.
                if let Some(id) = id {
                    sink(Event::Delta { part, delta: Delta::Id(id) });
                }
                part
            }
            _ => self.begin(PartKind::Reasoning { id }, next_part, sink),
        };
        self.open = Some(Open::Thought { part });
        if !text.is_empty() {
            sink(Event::Delta { part, delta: Delta::Text(text) });
        }
        if let Some(proof) = proof {
            let Proof { format, kind, data } = proof;
            sink(Event::Delta { part, delta: Delta::Proof(Proof { format, kind, data }) });
            self.close(sink);
        }
    }

    fn sound(&mut self, media_type: Cow<'_, str>, data: &str, next_part: &mut u32, sink: &mut EventSink<'_>) {
        if !matches!(&self.open, Some(Open::Audio { media_type: open, .. }) if *open == media_type) {
            let kind = PartKind::Audio { id: None, media_type: media_type.clone() };
            let part = self.begin(kind, next_part, sink);
            let joined = Joined::default();
            self.open = Some(Open::Audio { part, media_type: media_type.into_owned(), joined });
        }
        if let Some(Open::Audio { part, joined, .. }) = &mut self.open {
            let piece = joined.push(data);
            if !piece.is_empty() {
                sink(Event::Delta { part: *part, delta: Delta::Data(Cow::Owned(piece)) });
            }
        }
    }

    fn call(
        &mut self,
        call: Raw<'_>,
        next_part: &mut u32,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let piece = Piece::read(call)?;
        if piece.name.is_some() {
            self.close(sink);
            self.has_calls = true;
            let part = take_number(next_part);
            self.open = OpenCall::begin(part, self.index, piece, sink)?.map(Open::Call);
            return Ok(());
        }
        match self.open.take() {
            Some(Open::Call(open)) => {
                self.open = open.go_on(&piece, sink)?.map(Open::Call);
                Ok(())
            }
            _ => Err(FrameError::OutOfOrder("a piece of a call that never began")),
        }
    }

    fn begin(&mut self, kind: PartKind<'_>, next_part: &mut u32, sink: &mut EventSink<'_>) -> u32 {
        self.close(sink);
        let part = take_number(next_part);
        sink(Event::Open { part, group: self.index, candidate: self.index, kind });
        part
    }

    fn close(&mut self, sink: &mut EventSink<'_>) {
        match self.open.take() {
            Some(Open::Text { part } | Open::Thought { part }) => sink(Event::Close { part }),
            Some(Open::Call(call)) => call.end(sink),
            Some(Open::Audio { part, joined, .. }) => {
                let rest = joined.finish();
                if !rest.is_empty() {
                    sink(Event::Delta { part, delta: Delta::Data(Cow::Owned(rest)) });
                }
                sink(Event::Close { part });
            }
            None => {}
        }
    }

    /// Gives the text that is being written its sources, once per chunk. Sources of texts that have ended,
    /// and what is no source, no event expresses.
    fn cite<'a>(&mut self, metadata: &mut Metadata<'a>, sink: &mut EventSink<'_>) {
        let open = match self.open {
            Some(Open::Text { part }) => Some(part),
            _ => None,
        };
        type Read<'a> = fn(Raw<'a>, &Said) -> citations::Cited<'a>;
        let read: [(_, _, Read<'a>); 2] = [
            ("groundingMetadata", metadata.grounding.take(), citations::grounding),
            ("citationMetadata", metadata.recitation.take(), citations::recitation),
        ];
        for (name, raw, read) in read {
            let Some(raw) = raw else { continue };
            let mut is_lost = self.said.is_empty();
            for (part, citation) in read(raw, &self.said) {
                let key = key(part, &citation);
                if self.cited.contains(&key) {
                    continue;
                }
                if Some(part) == open && self.cited.len() < CITED_MAX {
                    self.cited.insert(key);
                    sink(Event::Delta { part, delta: Delta::Citation(citation) });
                } else {
                    is_lost = true;
                }
            }
            if is_lost {
                sink(Event::Extra { under: "/candidates/0", name: Cow::Borrowed(name), text: raw.text() });
            }
            if let Ok(mut rest) = Fields::read(raw) {
                for known in ["groundingChunks", "groundingSupports", "citations", "citationSources"] {
                    let _told: Option<Raw<'_>> = rest.offer(known);
                }
                extras(PROTOCOL, "/candidates/0/groundingMetadata", rest, sink);
            }
        }
    }
}

/// What tells one citation from another. Names may be long, so a hash stands for them.
fn key(part: u32, citation: &Citation<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let span = citation.span.map(|span| (span.start, span.end));
    (part, span, citations::name(citation)).hash(&mut hasher);
    hasher.finish()
}

/// What a chunk says about sources.
struct Metadata<'a> {
    grounding: Option<Raw<'a>>,
    recitation: Option<Raw<'a>>,
}

fn take_number(next_part: &mut u32) -> u32 {
    let number = *next_part;
    *next_part = number.wrapping_add(1);
    number
}

/// The call that a part holds.
fn call_of(part: Raw<'_>) -> Option<Raw<'_>> {
    let fields = Fields::read(part).ok()?;
    names::peek(&fields, "functionCall", "function_call").filter(|call| call.kind() == Kind::Object)
}
