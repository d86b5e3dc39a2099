use weighbridge_protocol::gemini::{EVENT_END, MODEL, StreamForm, usage};
use weighbridge_protocol::json::{Array, Object, Writer};
use weighbridge_units::{Loss, LossKind, Protocol, Usage};

use super::waiting::{Candidate, Kind, Piece, Waiting};
use crate::conversation::TokenLogprob;
use crate::event::{pointer, report_once, report_untold};
use crate::gemini::{error, finish, logprobs, media_encode};
use crate::{
    ApiError, Delta, Event, FinishReason, FrameError, PartKind, StopDetails, StreamTarget, StreamWriter,
    keep_alive,
};

/// How much may wait for a call to be whole, or for the parts before it, in bytes.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// How much may wait for an image to be whole, in bytes.
const IMAGE_BYTES_MAX: usize = 16 << 20;

const WAITING_PARTS_MAX: usize = 256;

/// Writes the chunks of a stream, as server-sent events or as the elements of a JSON array.
///
/// Texts and thoughts leave at once. A call leaves when it is whole, because its arguments are an object
/// here, and parts that began behind it wait for it. Finish and usage come with the last chunk.
#[derive(Debug)]
pub struct GeminiWriter {
    form: StreamForm,
    id: String,
    model: Option<String>,
    has_started: bool,
    /// Whether a chunk was written: from then on, the array is open.
    has_chunks: bool,
    candidates: Vec<Candidate>,
    usage: Option<Usage>,
    tier: Option<String>,
    waiting_bytes: usize,
    held_events: u64,
}

impl GeminiWriter {
    /// A writer for one client.
    pub fn new(target: &StreamTarget<'_>) -> Self {
        Self {
            form: target.form,
            id: target.id_fallback.to_owned(),
            model: Some(target.model_fallback).filter(told).map(str::to_owned),
            has_started: false,
            has_chunks: false,
            candidates: Vec::new(),
            usage: None,
            tier: None,
            waiting_bytes: 0,
            held_events: 0,
        }
    }
}

impl StreamWriter for GeminiWriter {
    fn write(
        &mut self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        match event {
            Event::Start { id, model, .. } => self.start(id.as_deref(), model.as_deref()),
            Event::Open { part, candidate, kind, .. } => return self.open(*part, *candidate, kind, losses),
            Event::Delta { part, delta } => return self.delta(*part, delta, out, losses),
            Event::Close { part } => self.close(*part, out, losses),
            Event::Finish { candidate, reason } => self.candidate(*candidate).finish = Some(reason.clone()),
            Event::StopDetails { candidate, details } => self.details(*candidate, details),
            Event::Logprobs { candidate, tokens } => self.logprobs(*candidate, tokens, out),
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            Event::ServiceTier(tier) => self.tier = Some(tier.clone().into_owned()),
            Event::Ping => out.extend_from_slice(keep_alive(Protocol::GeminiGenerateContent)),
            Event::Raw { name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer("", name),
                "an event of the provider's own has no counterpart in Gemini",
                "an event of the same meaning",
            ),
            Event::Extra { under, name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer(under, name),
                "the field has no counterpart in Gemini",
                "a field of the same meaning",
            ),
            Event::Failed(_) => {}
        }
        Ok(())
    }

    fn complete(&mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        self.candidate(0);
        for place in 0..self.candidates.len() {
            self.flush(place, FlushUntil::End, out, losses);
        }
        let candidates = std::mem::take(&mut self.candidates);
        let told = self.usage;
        if let Some(told) = &told {
            report_untold(told, &usage::UNTOLD, losses);
        }
        let tier = self.tier.as_deref().filter(|tier| !usage::is_usual_tier(tier));
        let traffic = tier.and_then(usage::traffic);
        if tier.is_some() && (traffic.is_none() || told.is_none()) {
            report_once(
                losses,
                LossKind::Dropped,
                "/service_tier",
                "the service tier has no counterpart",
                "such a service tier",
            );
        }
        self.frame(out, |object| {
            let mut list = object.key("candidates").array();
            for candidate in &candidates {
                last(candidate, &mut list.item().object(), losses);
            }
            drop(list);
            if let Some(told) = &told {
                usage::write_with_traffic(told, traffic, object.key("usageMetadata"));
            }
        });
        if self.form == StreamForm::JsonArray {
            out.extend_from_slice(b"]\r\n");
        }
    }

    fn fail(&mut self, error: &ApiError, request_id: &str, out: &mut Vec<u8>) -> bool {
        match self.form {
            StreamForm::Events => out.extend(error::encode_event(error, request_id)),
            StreamForm::JsonArray => {
                out.extend_from_slice(if self.has_chunks { b"," } else { b"[" });
                out.extend(error::encode(error, request_id).1);
                out.extend_from_slice(b"]\r\n");
            }
        }
        true
    }

    fn held_events(&self) -> u64 {
        self.held_events
    }
}

/// The media type of a part, or the usual one.
fn told_or(media_type: &str, usual: &str, part: u32, losses: &mut Vec<Loss>) -> String {
    if !media_type.is_empty() {
        return media_type.to_owned();
    }
    report_once(
        losses,
        LossKind::Defaulted,
        format!("/content/{part}"),
        "nobody says what kind of file it is: the usual one is assumed",
        "files without a media type",
    );
    usual.to_owned()
}

/// How far the parts of a candidate are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FlushUntil {
    /// Up to the first that is not whole.
    Open,
    /// All: nothing more comes.
    End,
}

/// An empty text is what others say for no text.
fn told(text: &&str) -> bool {
    !text.is_empty()
}

impl GeminiWriter {
    fn start(&mut self, id: Option<&str>, model: Option<&str>) {
        if !std::mem::replace(&mut self.has_started, true) {
            if let Some(id) = id.filter(told) {
                id.clone_into(&mut self.id);
            }
            if let Some(model) = model.filter(told) {
                self.model = Some(model.to_owned());
            }
        }
    }

    /// Writes one chunk: what `fill` puts into it, the model and the id.
    fn frame(&mut self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        let is_first = !std::mem::replace(&mut self.has_chunks, true);
        out.extend_from_slice(match self.form {
            StreamForm::Events => b"data: ",
            StreamForm::JsonArray if is_first => b"[",
            StreamForm::JsonArray => b",",
        });
        let mut object = Writer::new(out).object();
        fill(&mut object);
        if let Some(model) = &self.model {
            object.key("modelVersion").string(model);
        }
        object.key("responseId").string(&self.id);
        drop(object);
        out.extend_from_slice(match self.form {
            StreamForm::Events => EVENT_END.as_bytes(),
            StreamForm::JsonArray => b"\r\n",
        });
    }

    /// Writes a chunk with one piece of one candidate.
    fn piece(&mut self, candidate: u32, piece: &Piece, out: &mut Vec<u8>) {
        self.frame(out, |object| {
            let mut list = object.key("candidates").array();
            let mut item = list.item().object();
            piece.write(&mut item);
            item.key("index").number(candidate);
        });
    }

    fn candidate(&mut self, index: u32) -> &mut Candidate {
        let place = self.candidates.iter().position(|candidate| candidate.index == index);
        let place = place.unwrap_or_else(|| {
            self.candidates.push(Candidate::new(index));
            self.candidates.len() - 1
        });
        &mut self.candidates[place]
    }

    fn open(
        &mut self,
        part: u32,
        index: u32,
        kind: &PartKind<'_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        let candidate = self.candidate(index);
        let kind = match kind {
            PartKind::Text => Kind::Text,
            PartKind::Reasoning { id } => Kind::Thought { id: id.as_deref().map(str::to_owned) },
            PartKind::Refusal => {
                candidate.seen.refusal = true;
                report_once(
                    losses,
                    LossKind::Approximated,
                    format!("/content/{part}"),
                    "a refusal stands as ordinary text",
                    "a part for refusals",
                );
                Kind::Text
            }
            PartKind::ToolCall { id, name, .. } => {
                candidate.seen.tool_calls = true;
                Kind::Call { id: id.to_string(), name: name.to_string() }
            }
            PartKind::Image { media_type } => {
                Kind::Image { media_type: told_or(media_type, media_encode::USUAL_IMAGE, part, losses) }
            }
            PartKind::Audio { media_type, .. } => {
                Kind::Audio { media_type: told_or(media_type, media_encode::USUAL_AUDIO, part, losses) }
            }
            PartKind::Unknown { .. } => {
                report_once(
                    losses,
                    LossKind::Dropped,
                    format!("/content/{part}"),
                    "a part of the provider's own kind has no counterpart in Gemini",
                    "a part of the same kind",
                );
                return Ok(());
            }
        };
        if candidate.queue.len() == WAITING_PARTS_MAX {
            return Err(FrameError::TooMuch("too many parts are open at once"));
        }
        candidate.queue.push_back(Waiting::new(part, kind));
        Ok(())
    }

    fn delta(
        &mut self,
        number: u32,
        delta: &Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError> {
        let found = self.candidates.iter().enumerate().find_map(|(place, candidate)| {
            Some((place, candidate.queue.iter().position(|waiting| waiting.part == number)?))
        });
        // What is not found was reported when it opened.
        let Some((place, position)) = found else { return Ok(()) };
        let Some(waiting) = self.waiting(place, position) else { return Ok(()) };
        match delta {
            Delta::Text(_) if waiting.kind.is_audio() => report_once(
                losses,
                LossKind::Dropped,
                format!("/content/{number}/transcript"),
                "the words of a sound cannot stand beside it",
                "transcripts of sounds",
            ),
            Delta::Text(text) | Delta::Arguments(text) | Delta::Data(text) => waiting.text.push_str(text),
            Delta::Id(id) => waiting.kind.identify(id),
            Delta::Summary { piece, text } => waiting.summary(*piece, text),
            Delta::Proof(proof) => waiting.prove(proof),
            Delta::Citation(citation) => waiting.cite(citation, losses),
            Delta::Raw { name, .. } => report_once(
                losses,
                LossKind::Dropped,
                pointer(&format!("/content/{number}"), name),
                "a part has something of the provider's own that Gemini cannot carry",
                "a field of the same meaning",
            ),
        }
        if position == 0 && waiting.kind.leaves_at_once() {
            self.flush(place, FlushUntil::Open, out, losses);
        } else {
            self.held_events += 1;
        }
        self.count(place, position)
    }

    fn waiting(&mut self, place: usize, position: usize) -> Option<&mut Waiting> {
        self.candidates.get_mut(place)?.queue.get_mut(position)
    }

    /// Counts what waits of a part, and refuses to keep more than the bounds.
    fn count(&mut self, place: usize, position: usize) -> Result<(), FrameError> {
        let Some(waiting) = self.waiting(place, position) else { return Ok(()) };
        let (before, now) = (waiting.counted, waiting.bytes());
        if waiting.kind.is_image() {
            return match now <= IMAGE_BYTES_MAX {
                true => Ok(()),
                false => Err(FrameError::TooMuch("an image is over 16 MiB")),
            };
        }
        waiting.counted = now;
        self.waiting_bytes = (self.waiting_bytes + now).saturating_sub(before);
        if self.waiting_bytes > WAITING_BYTES_MAX {
            return Err(FrameError::TooMuch("what waits for a part to be whole is over 1 MiB"));
        }
        Ok(())
    }

    fn close(&mut self, part: u32, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        let of_part = |candidate: &Candidate| candidate.queue.iter().any(|waiting| waiting.part == part);
        let Some(place) = self.candidates.iter().position(of_part) else { return };
        if let Some(candidate) = self.candidates.get_mut(place) {
            let closing = candidate.queue.iter_mut().filter(|waiting| waiting.part == part);
            closing.for_each(|waiting| waiting.is_closed = true);
        }
        self.flush(place, FlushUntil::Open, out, losses);
    }

    /// Writes what may leave by now.
    fn flush(&mut self, place: usize, until: FlushUntil, out: &mut Vec<u8>, losses: &mut Vec<Loss>) {
        while let Some(candidate) = self.candidates.get_mut(place)
            && let Some(front) = candidate.queue.front_mut()
        {
            let is_whole = front.is_closed || until == FlushUntil::End;
            if !is_whole && !front.kind.leaves_at_once() {
                return;
            }
            let index = candidate.index;
            let pieces = candidate.advance(is_whole, losses);
            if is_whole {
                let counted = candidate.queue.pop_front().map_or(0, |written| written.counted);
                self.waiting_bytes = self.waiting_bytes.saturating_sub(counted);
            }
            for piece in pieces {
                self.piece(index, &piece, out);
            }
            if !is_whole {
                return;
            }
        }
    }

    fn details(&mut self, candidate: u32, details: &StopDetails<'_>) {
        let candidate = self.candidate(candidate);
        candidate.category = details.category.as_deref().map(str::to_owned);
        candidate.explanation = details.explanation.as_deref().map(str::to_owned);
    }

    fn logprobs(&mut self, candidate: u32, tokens: &[TokenLogprob<'_>], out: &mut Vec<u8>) {
        self.candidate(candidate);
        self.frame(out, |object| {
            let mut list = object.key("candidates").array();
            let mut item = list.item().object();
            // SDKs drop the whole answer from their history for a content without parts.
            let mut content = item.key("content").object();
            content.key("parts").array().item().object().key("text").string("");
            content.key("role").string(MODEL);
            drop(content);
            item.key("index").number(candidate);
            let mut result = item.key("logprobsResult").object();
            let likeliest = |list: &mut Array<'_>, tokens: &[TokenLogprob<'_>]| {
                tokens.iter().for_each(|token| logprobs::candidate(token, list, |_, _| {}));
            };
            likeliest(&mut result.key("chosenCandidates").array(), tokens);
            if tokens.iter().any(|token| !token.top.is_empty()) {
                let mut top = result.key("topCandidates").array();
                for token in tokens {
                    likeliest(&mut top.item().object().key("candidates").array(), &token.top);
                }
            }
        });
    }
}

/// The last chunk's part for one candidate.
fn last(candidate: &Candidate, object: &mut Object<'_>, losses: &mut Vec<Loss>) {
    let mut content = object.key("content").object();
    let mut parts = content.key("parts").array();
    let mut part = parts.item().object();
    part.key("text").string("");
    if let Some(signature) = &candidate.signature {
        part.key("thoughtSignature").string(signature);
    }
    drop(part);
    drop(parts);
    content.key("role").string(MODEL);
    drop(content);
    let usual = FinishReason::Stop;
    let reason = candidate.finish.as_ref().unwrap_or_else(|| {
        report_once(
            losses,
            LossKind::Defaulted,
            "/choices/0/finish_reason",
            "the provider did not say why the answer ended",
            "an answer without a finish reason",
        );
        &usual
    });
    let (value, lost) = finish::write(reason, candidate.seen, candidate.category.as_deref());
    if let Some(why) = lost {
        let needed = "a finish reason that says so";
        report_once(losses, LossKind::Approximated, "/choices/0/finish_reason", why, needed);
    }
    if candidate.category.as_deref().is_some_and(|category| category != value) {
        report_once(
            losses,
            LossKind::Dropped,
            "/stop_details/category",
            "the category of a refusal has no place",
            "categories of refusals",
        );
    }
    object.key("finishReason").string(&value);
    if let Some(explanation) = &candidate.explanation {
        object.key("finishMessage").string(explanation);
    }
    object.key("index").number(candidate.index);
    if !candidate.grounding.is_empty() {
        candidate.grounding.write(&mut object.key("groundingMetadata").object());
    }
}
