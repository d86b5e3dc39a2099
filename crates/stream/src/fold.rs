mod owned;

use std::borrow::Cow;

use thiserror::Error;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::conversation::{
    Audio, CallKind, Image, MediaSource, Proof, ProofKind, Reasoning, Text, ToolCall,
};
use weighbridge_translate::{
    Answer, ApiError, Candidate, Content, Delta, Event, FinishReason, FrameError, Part, PartKind, Place,
    Placed,
};
use weighbridge_units::{Protocol, Usage};

use self::owned::{OwnedCitation, OwnedLogprob, OwnedStopDetails};
use crate::decoder::{Decoded, Decoder, Framing};
use crate::driver::Driver;

/// The answer is larger than may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the streamed answer is over {limit} bytes; raise the limit, or do not fold it")]
pub struct FoldTooLarge {
    /// The limit, in bytes of content.
    pub limit: usize,
}

/// Rebuilds the whole answer from the events of a stream.
///
/// What the events say about parts, tool calls, finish and usage is what translating the same answer
/// unstreamed would say. Fields that only the provider's protocol knows are not kept.
///
/// ```
/// use weighbridge_stream::{Framing, fold_stream};
/// use weighbridge_translate::Content;
/// use weighbridge_units::Protocol;
///
/// let stream = b"data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n\
///                data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\n\
///                data: [DONE]\n\n";
/// let (folder, end) = fold_stream(Protocol::OpenAiChat, Framing::Sse, stream, 1 << 20);
/// assert!(end.is_ok());
/// let answer = folder.answer();
/// assert_eq!(answer.candidates[0].parts[0].content, Content::Text("Hello".into()));
/// ```
#[derive(Debug, Clone)]
pub struct Folder {
    source: Protocol,
    limit: usize,
    bytes: usize,
    id: Option<String>,
    model: Option<String>,
    created: Option<i64>,
    parts: Vec<FoldedPart>,
    finishes: Vec<(u32, FinishReason)>,
    stop_details: Vec<(u32, OwnedStopDetails)>,
    logprobs: Vec<(u32, OwnedLogprob)>,
    usage: Option<Usage>,
    service_tier: Option<String>,
}

#[derive(Debug, Clone)]
struct FoldedPart {
    number: u32,
    candidate: u32,
    kind: FoldedKind,
    /// Text, or a tool call's arguments.
    text: String,
    summary: Vec<String>,
    proof: Option<(String, ProofKind, String)>,
    citations: Vec<OwnedCitation>,
    data: String,
}

#[derive(Debug, Clone)]
enum FoldedKind {
    Text,
    Reasoning { id: Option<String> },
    Refusal,
    Image { media_type: String },
    Audio { id: Option<String>, media_type: String },
    ToolCall { id: String, name: String, kind: CallKind },
    Unknown { name: String, raw: String },
}

impl Folder {
    /// A folder for a stream of `source` that keeps at most `limit` bytes of content.
    pub fn new(source: Protocol, limit: usize) -> Self {
        Self {
            source,
            limit,
            bytes: 0,
            id: None,
            model: None,
            created: None,
            parts: Vec::new(),
            finishes: Vec::new(),
            stop_details: Vec::new(),
            logprobs: Vec::new(),
            usage: None,
            service_tier: None,
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// When the answer grows over the limit; the event is not kept.
    pub fn push(&mut self, event: &Event<'_>) -> Result<(), FoldTooLarge> {
        match event {
            Event::Start { id, model, created } => {
                self.id = self.id.take().or_else(|| id.as_deref().map(str::to_owned));
                self.model = self.model.take().or_else(|| model.as_deref().map(str::to_owned));
                self.created = self.created.or(*created);
            }
            Event::Open { part, candidate, kind, .. } => self.open(*part, *candidate, kind)?,
            Event::Delta { part, delta } => self.delta(*part, delta)?,
            Event::Finish { candidate, reason } => {
                self.finishes.retain(|(finished, _)| finished != candidate);
                self.finishes.push((*candidate, reason.clone()));
            }
            Event::StopDetails { candidate, details } => {
                let details = OwnedStopDetails::of(details);
                self.grow(details.bytes())?;
                self.stop_details.retain(|(of, _)| of != candidate);
                self.stop_details.push((*candidate, details));
            }
            Event::Logprobs { candidate, tokens } => {
                for token in tokens {
                    let token = OwnedLogprob::of(token);
                    self.grow(token.size())?;
                    self.logprobs.push((*candidate, token));
                }
            }
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            Event::ServiceTier(tier) => self.service_tier = Some(tier.clone().into_owned()),
            Event::Close { .. }
            | Event::Raw { .. }
            | Event::Extra { .. }
            | Event::Ping
            | Event::Failed(_) => {}
        }
        Ok(())
    }

    fn open(&mut self, number: u32, candidate: u32, kind: &PartKind<'_>) -> Result<(), FoldTooLarge> {
        // A part costs memory even while it is empty.
        self.grow(std::mem::size_of::<FoldedPart>())?;
        let kind = match kind {
            PartKind::Text => FoldedKind::Text,
            PartKind::Reasoning { id } => FoldedKind::Reasoning { id: owned(id) },
            PartKind::Image { media_type } => FoldedKind::Image { media_type: media_type.to_string() },
            PartKind::Audio { id, media_type } => {
                FoldedKind::Audio { id: owned(id), media_type: media_type.to_string() }
            }
            PartKind::Refusal => FoldedKind::Refusal,
            PartKind::ToolCall { id, name, kind } => {
                self.grow(id.len() + name.len())?;
                FoldedKind::ToolCall { id: id.to_string(), name: name.to_string(), kind: *kind }
            }
            PartKind::Unknown { name, text } => {
                self.grow(text.len())?;
                FoldedKind::Unknown { name: name.clone().into_owned(), raw: (*text).to_owned() }
            }
        };
        self.parts.push(FoldedPart {
            number,
            candidate,
            kind,
            text: String::new(),
            summary: Vec::new(),
            proof: None,
            citations: Vec::new(),
            data: String::new(),
        });
        Ok(())
    }

    fn delta(&mut self, number: u32, delta: &Delta<'_>) -> Result<(), FoldTooLarge> {
        match delta {
            Delta::Text(text) | Delta::Arguments(text) => {
                self.grow(text.len())?;
                if let Some(part) = self.part(number) {
                    part.text.push_str(text);
                }
            }
            Delta::Summary { piece, text } => {
                self.grow(text.len() + std::mem::size_of::<String>())?;
                if let Some(part) = self.part(number) {
                    // Pieces come in order: a new one is the next one.
                    if part.summary.len() <= *piece as usize {
                        part.summary.push(String::new());
                    }
                    if let Some(piece) = part.summary.last_mut() {
                        piece.push_str(text);
                    }
                }
            }
            Delta::Id(id) => {
                self.grow(id.len())?;
                if let Some(FoldedPart { kind: FoldedKind::Reasoning { id: known }, .. }) = self.part(number)
                {
                    known.get_or_insert_with(|| id.to_string());
                }
            }
            Delta::Proof(proof) => {
                self.grow(proof.data.len())?;
                if let Some(part) = self.part(number) {
                    let empty = || (proof.format.to_string(), proof.kind, String::new());
                    part.proof.get_or_insert_with(empty).2.push_str(&proof.data);
                }
            }
            Delta::Data(data) => {
                self.grow(data.len())?;
                if let Some(part) = self.part(number) {
                    part.data.push_str(data);
                }
            }
            Delta::Citation(citation) => {
                let citation = OwnedCitation::of(citation);
                self.grow(citation.bytes())?;
                if let Some(part) = self.part(number) {
                    part.citations.push(citation);
                }
            }
            Delta::Raw { .. } => {}
        }
        Ok(())
    }

    /// The part of that number; the newest are looked at first.
    fn part(&mut self, number: u32) -> Option<&mut FoldedPart> {
        self.parts.iter_mut().rev().find(|part| part.number == number)
    }

    fn grow(&mut self, bytes: usize) -> Result<(), FoldTooLarge> {
        let bytes = self.bytes.saturating_add(bytes);
        if bytes > self.limit {
            return Err(FoldTooLarge { limit: self.limit });
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The whole answer, as far as it has come.
    pub fn answer(&self) -> Answer<'_> {
        let mut indexes: Vec<u32> = self.parts.iter().map(|part| part.candidate).collect();
        indexes.extend(self.finishes.iter().map(|(candidate, _)| *candidate));
        indexes.sort_unstable();
        indexes.dedup();
        let candidate = |index: u32| Candidate {
            parts: self.parts.iter().filter(|part| part.candidate == index).map(FoldedPart::part).collect(),
            finish: self.finishes.iter().find(|(of, _)| *of == index).map(|(_, reason)| reason.clone()),
            stop_details: self.stop_details.iter().find(|(of, _)| *of == index).map(|(_, d)| d.details()),
            logprobs: self.logprobs.iter().filter(|(of, _)| *of == index).map(|(_, t)| t.token()).collect(),
            ..Candidate::new(Place::NOWHERE)
        };
        Answer {
            id: self.id.as_deref().map(Cow::Borrowed),
            model: self.model.as_deref().map(Cow::Borrowed),
            created: self.created,
            candidates: indexes.into_iter().map(candidate).collect(),
            usage: self.usage,
            service_tier: self.service_tier.as_deref().map(|tier| Placed::nowhere(Cow::Borrowed(tier))),
            ..Answer::new(self.source)
        }
    }
}

impl FoldedPart {
    fn part(&self) -> Part<'_> {
        let text = Cow::Borrowed(self.text.as_str());
        let content = match &self.kind {
            FoldedKind::Text => Content::Text(Text {
                text,
                citations: self.citations.iter().filter_map(OwnedCitation::citation).collect(),
            }),
            FoldedKind::Reasoning { id } => Content::Reasoning(Reasoning {
                id: id.as_deref().map(Cow::Borrowed),
                text,
                summary: self.summary.iter().map(|piece| Cow::Borrowed(piece.as_str())).collect(),
                proof: self.proof.as_ref().map(|(format, kind, data)| Proof {
                    format: format.into(),
                    kind: *kind,
                    data: data.into(),
                }),
            }),
            FoldedKind::Image { media_type } => {
                Content::Image(Image { source: self.media(media_type), detail: None })
            }
            FoldedKind::Audio { id, media_type } => Content::Audio(Audio {
                id: id.as_deref().map(Cow::Borrowed),
                transcript: Some(text).filter(|text| !text.is_empty()),
                ..Audio::new(self.media(media_type))
            }),
            FoldedKind::Refusal => Content::Refusal(text),
            FoldedKind::ToolCall { id, name, kind } => {
                Content::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: text, kind: *kind })
            }
            FoldedKind::Unknown { name, raw } => match Raw::parse(raw, &ScanLimits::default()) {
                Ok(raw) => Content::Unknown { name: name.into(), raw },
                // It was valid when it was read.
                Err(_) => Content::Text(Text::default()),
            },
        };
        Part::new(Place::NOWHERE, content)
    }

    fn media<'p>(&'p self, media_type: &'p str) -> MediaSource<'p> {
        MediaSource::Base64 { media_type: media_type.into(), data: self.data.as_str().into() }
    }
}

fn owned(id: &Option<Cow<'_, str>>) -> Option<String> {
    id.as_deref().map(str::to_owned)
}

/// Folds a whole recorded stream, keeping at most `limit` bytes of content.
///
/// # Errors
/// The second value says why the stream did not end well; what came before is in the folder.
pub fn fold_stream(
    source: Protocol,
    framing: Framing,
    stream: &[u8],
    limit: usize,
) -> (Folder, Result<(), ApiError>) {
    let mut folder = Folder::new(source, limit);
    let mut driver = Driver::new(source);
    let mut decoder = Decoder::new(framing);
    let sink = &mut |event: &Event<'_>, _: &mut Vec<_>| {
        folder.push(event).map_err(|_| FrameError::TooMuch("the answer is larger than may be folded"))
    };
    let mut take = |decoded: Decoded<'_>| driver.take(decoded, sink);
    let decoded = decoder.push(stream, &mut take).and_then(|()| decoder.finish(&mut take));
    if let Err(error) = decoded {
        driver.fail_decoding(error);
    }
    let end = driver.end(None, sink);
    (folder, end)
}
