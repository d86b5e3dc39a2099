//! Canonical events: what every protocol's stream says, in one vocabulary.
//!
//! ```text
//! stream := Start (Open | Delta | Close | Logprobs | Finish | StopDetails | Usage | ServiceTier | Raw | Extra | Ping)* End
//! ```
//!
//! Parts may interleave. `Finish` and `Usage` are facts: they come in any order and may repeat, and
//! the last value wins, field by field. There is no event for the end: a [`StreamReader`] tells when
//! it sees its protocol's terminal marker ([`FrameRole::Terminal`]), and whoever drives it decides
//! whether the stream is complete or broken.

mod split_text;

use std::borrow::Cow;

use thiserror::Error;
use weighbridge_protocol::gemini::StreamForm;
use weighbridge_protocol::json::{Fields, Raw, ReadError, push_segment};
use weighbridge_units::{Bucket, Loss, LossKind, Protocol, Usage};

use crate::conversation::{CallKind, Citation, Proof, TokenLogprob};
use crate::openai_responses::kept::KeptAs;
use crate::{ApiError, FinishReason, StopDetails, adapter};

pub(crate) use split_text::SplitText;

/// One thing that a stream says. It borrows from the frame that said it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The answer begins. What a frame does not tell may come in a later `Start`; the first value of
    /// each field wins, because some providers change ids within one stream.
    Start {
        /// The provider's id of the answer.
        id: Option<Cow<'a, str>>,
        /// The model as the provider names it.
        model: Option<Cow<'a, str>>,
        /// When the answer was made, in seconds since the epoch.
        created: Option<i64>,
    },
    /// A part begins.
    Open {
        /// Names the part from here on; never used twice in one stream.
        part: u32,
        /// Parts of one item or message have the same group.
        group: u32,
        /// The candidate answer that the part belongs to, from 0.
        candidate: u32,
        /// What the part is.
        kind: PartKind<'a>,
    },
    /// More of an open part.
    Delta {
        /// The part.
        part: u32,
        /// What is added.
        delta: Delta<'a>,
    },
    /// A part is whole.
    Close {
        /// The part.
        part: u32,
    },
    /// Why a candidate ended.
    Finish {
        /// The candidate, from 0.
        candidate: u32,
        /// The reason.
        reason: FinishReason,
    },
    /// What the provider adds to the reason why a candidate ended.
    StopDetails {
        /// The candidate, from 0.
        candidate: u32,
        /// The details.
        details: StopDetails<'a>,
    },
    /// The probabilities of the next tokens of a candidate's text.
    Logprobs {
        /// The candidate, from 0.
        candidate: u32,
        /// The tokens, in order.
        tokens: Vec<TokenLogprob<'a>>,
    },
    /// Usage so far: cumulative, never to be added up.
    Usage(Usage),
    /// The service tier that the answer was made in, as the provider names it.
    ServiceTier(Cow<'a, str>),
    /// A frame that the protocol's documentation does not know.
    Raw {
        /// Its type, where it has one.
        name: Cow<'a, str>,
        /// Its whole text.
        text: &'a str,
    },
    /// A field, in a known frame, that no event expresses.
    Extra {
        /// JSON pointer of the object that holds it, within the frame.
        under: &'static str,
        /// The field's name.
        name: Cow<'a, str>,
        /// The raw text of its value.
        text: &'a str,
    },
    /// A sign of life without content.
    Ping,
    /// The provider reported an error in mid-stream. Nothing after it counts.
    Failed(ApiError),
}

/// What a part is.
#[derive(Debug, Clone, PartialEq)]
pub enum PartKind<'a> {
    /// Visible text.
    Text,
    /// A call of one of the client's tools.
    ToolCall {
        /// The provider's id of the call; empty where it gave none.
        id: Cow<'a, str>,
        /// The tool's name.
        name: Cow<'a, str>,
        /// What kind of tool it is.
        kind: CallKind,
    },
    /// The model's reasoning.
    Reasoning {
        /// The provider's id of it, where it has one.
        id: Option<Cow<'a, str>>,
    },
    /// The model's words for refusing.
    Refusal,
    /// An image that the model made; its bytes come as [`Delta::Data`].
    Image {
        /// Such as `image/png`.
        media_type: Cow<'a, str>,
    },
    /// What the model speaks; its bytes come as [`Delta::Data`], its words as [`Delta::Text`].
    Audio {
        /// The provider's id of it, where it has one.
        id: Option<Cow<'a, str>>,
        /// Such as `audio/wav`; empty where the protocol does not say.
        media_type: Cow<'a, str>,
    },
    /// A part of a type that only its own protocol knows.
    Unknown {
        /// Its type.
        name: Cow<'a, str>,
        /// Its raw text, as far as the opening frame tells it.
        text: &'a str,
    },
}

/// What is added to a part.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta<'a> {
    /// More text, of a text, reasoning or refusal part; of sound, what is said in it.
    Text(Cow<'a, str>),
    /// More of a reasoning part's summary.
    Summary {
        /// Which piece of the summary, from 0; pieces come in order.
        piece: u32,
        /// What is added to it.
        text: Cow<'a, str>,
    },
    /// More of a tool call's arguments: a fragment of JSON text, cut anywhere.
    Arguments(Cow<'a, str>),
    /// The provider's id of a reasoning part, where it came after the part had begun.
    Id(Cow<'a, str>),
    /// The proof of a reasoning part. Several are one proof, cut into pieces of its data.
    Proof(Proof<'a>),
    /// A source of a text part, as far as the part has come or for a stretch of it.
    Citation(Citation<'a>),
    /// More of an image's or sound's bytes, in base64. A piece stands for whole bytes, but for padding
    /// may only end the last.
    Data(Cow<'a, str>),
    /// Something that only its own protocol knows.
    Raw {
        /// Its type or field name.
        name: Cow<'a, str>,
        /// Its raw text.
        text: &'a str,
    },
}

impl Delta<'_> {
    /// How many bytes of content it adds.
    pub fn content_bytes(&self) -> u64 {
        match self {
            Self::Text(text) | Self::Summary { text, .. } | Self::Arguments(text) => text.len() as u64,
            Self::Id(_) | Self::Proof(_) | Self::Citation(_) | Self::Data(_) | Self::Raw { .. } => 0,
        }
    }
}

/// One frame of a stream, freed of its transport: an event of SSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The name that the framing gives it (SSE's `event`), if any.
    pub name: Option<&'a str>,
    /// Its data, as valid UTF-8 but not yet known to be valid JSON.
    pub data: &'a str,
}

/// How much of a frame is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameScope {
    /// Every event.
    Whole,
    /// `Start`, `Finish`, `Usage`, `ServiceTier` and `Failed` only: frames that carry only content may
    /// be left out between the calls.
    Facts,
}

/// What a frame is to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameRole {
    /// A frame like others.
    Part,
    /// It carries usage and nothing else; a client that did not ask for usage must not see it.
    UsageOnly,
    /// The protocol's marker of the end.
    Terminal,
}

/// Why a frame cannot be understood. The stream is broken from there on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It is not the JSON that the protocol documents.
    #[error("the provider sent a malformed stream event: {0}")]
    Malformed(String),
    /// A value in it is not what the protocol documents.
    #[error("the provider sent a malformed stream event: {0}")]
    Unfit(ReadError),
    /// It is well formed, but makes no sense after what came before.
    #[error("the provider sent a stream event out of order: {0}")]
    OutOfOrder(&'static str),
    /// More is open or withheld at once than this side keeps.
    #[error("the provider's stream holds more at once than is kept: {0}")]
    TooMuch(&'static str),
}

impl FrameError {
    /// The same error, saying where in the frame's `data` the value stands that it is about.
    #[must_use]
    pub fn located(self, data: &str) -> Self {
        let Self::Unfit(error) = self else { return self };
        match error.pointer(data) {
            root if root.is_empty() => Self::Unfit(error),
            pointer => Self::Malformed(format!("{pointer}: {error}")),
        }
    }
}

impl From<ReadError> for FrameError {
    fn from(error: ReadError) -> Self {
        Self::Unfit(error)
    }
}

/// Takes events as they are read.
pub type EventSink<'s> = dyn FnMut(Event<'_>) + 's;

/// The provider's side of one protocol: interprets frames, one at a time.
pub trait StreamReader: Send {
    /// Interprets one frame and hands its events to `sink`, in order.
    ///
    /// With [`FrameRole::Terminal`], parts that were open have been closed.
    ///
    /// # Errors
    /// When the frame is malformed or out of order. Events handed over before stay valid.
    fn read(
        &mut self,
        frame: Frame<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> Result<FrameRole, FrameError>;

    /// Whether a clean end of the provider's body, without the terminal marker, ends the answer as
    /// well; asked once, after the last frame. Hands over the events that closing causes.
    fn end_of_body(&mut self, sink: &mut EventSink<'_>) -> bool;
}

/// The client's side of one protocol: writes events as frames that obey the protocol's grammar.
pub trait StreamWriter: Send {
    /// Writes one event, or keeps it until the grammar allows it. Terminal events are not written.
    ///
    /// # Errors
    /// When more would have to be kept than the writer's bound.
    fn write(
        &mut self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), FrameError>;

    /// Writes what ends a complete answer. A broken one is ended by [`Self::fail`] instead.
    fn complete(&mut self, out: &mut Vec<u8>, losses: &mut Vec<Loss>);

    /// Writes what ends an answer that broke off, and says so; `false` leaves that to
    /// [`encode_stream_error`](crate::encode_stream_error), which needs to know nothing of the stream.
    fn fail(&mut self, _error: &ApiError, _request_id: &str, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// How many events the grammar has forced to wait so far.
    fn held_events(&self) -> u64;

    /// Makes the answer tell of keeping. Called before the first event, where the client's protocol has words
    /// for it: OpenAI Responses alone has.
    fn keep_as(&mut self, _kept: KeptAs) {}
}

/// What a stream's client gets that the provider does not tell.
#[derive(Debug, Clone, Copy)]
pub struct StreamTarget<'a> {
    /// The answer's id where the provider gives none; also what ids of tool calls are made from.
    pub id_fallback: &'a str,
    /// As in [`AnswerTarget`](crate::AnswerTarget).
    pub model_fallback: &'a str,
    /// When the answer was made, in seconds since the epoch, where the provider does not say.
    pub created: i64,
    /// Whether the client asked for usage in the stream.
    pub show_usage: bool,
    /// As in [`AnswerTarget`](crate::AnswerTarget).
    pub legacy_functions: bool,
    /// How the stream is framed, where the protocol has two forms (Gemini).
    pub form: StreamForm,
}

/// At most this many losses are kept per stream, so that a hostile one cannot fill the memory.
const LOSSES_MAX: usize = 64;

/// The pointer to the field `name` of what stands at `under`; to that itself where the name is empty, as
/// that of an event that has none.
pub(crate) fn pointer(under: &str, name: &str) -> String {
    let mut pointer = under.to_owned();
    if !name.is_empty() {
        push_segment(&mut pointer, name);
    }
    pointer
}

/// Adds a loss unless one with the same pointer is there already: a stream says most things often.
pub(crate) fn report_once(
    losses: &mut Vec<Loss>,
    kind: LossKind,
    pointer: impl Into<String> + AsRef<str>,
    reason: impl Into<Cow<'static, str>>,
    needed: impl Into<Cow<'static, str>>,
) {
    if losses.len() < LOSSES_MAX && losses.iter().all(|loss| loss.pointer != pointer.as_ref()) {
        losses.push(Loss { pointer: pointer.into(), kind, reason: reason.into(), needed: needed.into() });
    }
}

/// Reports the buckets of `untold` that a usage object cannot tell, in the words of a whole answer's.
pub(crate) fn report_untold(told: &Usage, untold: &[Bucket], losses: &mut Vec<Loss>) {
    for bucket in untold.iter().filter(|bucket| told.get(**bucket) > 0) {
        report_once(
            losses,
            LossKind::Approximated,
            format!("/usage/{bucket}"),
            format!("the usage object does not tell `{bucket}` apart"),
            format!("a field for `{bucket}`"),
        );
    }
}

/// Reports the fields of a frame that nobody took, but for those that say nothing.
pub(crate) fn extras(source: Protocol, under: &'static str, fields: Fields<'_>, sink: &mut EventSink<'_>) {
    let rest = fields.rest();
    for (name, value) in rest.iter().chain(rest.superseded()) {
        if !says_nothing(value) && !adapter(source).is_default(name, value) {
            sink(Event::Extra { under, name: Cow::Owned(name.to_owned()), text: value.text() });
        }
    }
}

/// Whether nothing is lost with a value: `null`, or something empty.
pub(crate) fn says_nothing(value: Raw<'_>) -> bool {
    matches!(value.text(), "null" | "{}" | "[]" | "\"\"")
}

/// Reports the fields of a usage object that are not understood.
pub(crate) fn usage_extras(
    source: Protocol,
    usage: Raw<'_>,
    known: &[&'static str],
    sink: &mut EventSink<'_>,
) {
    if let Ok(mut fields) = Fields::read(usage) {
        for name in known {
            let _understood: Option<Raw<'_>> = fields.offer(name);
        }
        extras(source, "/usage", fields, sink);
    }
}
