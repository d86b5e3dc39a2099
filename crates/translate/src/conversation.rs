//! The canonical conversation: what a request says, in one vocabulary.
//!
//! It is a superset of what the protocols can say, and borrows from the source's text. A concept has
//! a type once three protocols know it, or two of them do and it must pass between them. The rest
//! stays in the bag that each node has: encoding to another protocol reports each entry of each bag
//! as a [`Loss`](weighbridge_units::Loss).

pub(crate) mod base64;
mod citation;
mod content;
mod json_text;
mod logprobs;
mod media;
mod reasoning;
mod tools;
mod wishes;

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Raw};
use weighbridge_units::Protocol;

pub use citation::{Citation, CitationSource, DocumentSpan, Span};
pub use content::{Content, Part, Text, ToolResult};
pub use json_text::JsonText;
pub use logprobs::TokenLogprob;
pub use media::{Audio, Document, DocumentSource, Image, MediaSource, Video, format_of, media_type_of};
pub use reasoning::{Effort, Proof, ProofKind, Reasoning, ReasoningExtent, ReasoningWish, Shown};
pub use tools::{AllowedMode, CallKind, CustomFormat, Tool, ToolCall, ToolChoice, ToolKind, schema_or_empty};
pub use wishes::{AudioWish, CacheMark, CacheTtl, Format, Sampling, ServiceTier, Wish};

use crate::place::{Place, Placed};

/// A request: the messages so far, and how the next one is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation<'a> {
    /// The protocol that it was read from; bags are written back to this one only.
    pub source: Protocol,
    /// The model that the client asked for; empty where its route names it elsewhere.
    pub model: Cow<'a, str>,
    /// The messages, system prompts among them, in order.
    pub messages: Vec<Message<'a>>,
    /// The tools that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether and which tools must be called; `None` leaves it to the provider.
    pub tool_choice: Option<Placed<'a, ToolChoice<'a>>>,
    /// Whether several tools may be called in one turn; `None` leaves it to the provider.
    pub parallel_tool_calls: Option<Placed<'a, bool>>,
    /// How tokens are drawn.
    pub sampling: Sampling<'a>,
    /// Texts at which the model is to stop.
    pub stop: Vec<Placed<'a, Cow<'a, str>>>,
    /// The most tokens that the answer may have.
    pub max_output: Option<Placed<'a, u64>>,
    /// How many answers are wanted; `None` means one.
    pub candidates: Option<Placed<'a, u64>>,
    /// What form the answer must have; `None` means text.
    pub format: Option<Placed<'a, Format<'a>>>,
    /// How wordy the answer is to be: `low`, `medium` or `high`.
    pub verbosity: Option<Placed<'a, Cow<'a, str>>>,
    /// The answer is wanted as sound as well.
    pub audio: Option<Placed<'a, AudioWish<'a>>>,
    /// The probability of each token is wanted, and of so many others in its place.
    pub logprobs: Option<Placed<'a, u64>>,
    /// Whether, how much and how visibly the model is to reason.
    pub reasoning: ReasoningWish<'a>,
    /// How urgent the request is.
    pub service_tier: Option<Placed<'a, ServiceTier<'a>>>,
    /// The end user on whose behalf the client asks.
    pub end_user: Option<Placed<'a, Cow<'a, str>>>,
    /// Labels for the client's own book-keeping: an object of strings.
    pub metadata: Option<Raw<'a>>,
    /// Whether the provider may keep the answer for later retrieval.
    pub store: Option<Placed<'a, bool>>,
    /// What requests with the same beginning have in common, so that they meet the same cache.
    pub cache_key: Option<Placed<'a, Cow<'a, str>>>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

impl Conversation<'_> {
    /// A request of `source` that says nothing yet.
    pub const fn new(source: Protocol) -> Self {
        Self {
            source,
            model: Cow::Borrowed(""),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            sampling: Sampling::NONE,
            stop: Vec::new(),
            max_output: None,
            candidates: None,
            format: None,
            verbosity: None,
            audio: None,
            logprobs: None,
            reasoning: ReasoningWish::NONE,
            service_tier: None,
            end_user: None,
            metadata: None,
            store: None,
            cache_key: None,
            stream: false,
            bag: Bag::EMPTY,
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role<'a> {
    /// Instructions of whoever runs the application.
    System,
    /// The same under OpenAI's newer name.
    Developer,
    /// The user; also the results of tools.
    User,
    /// The model.
    Assistant,
    /// Somebody that only the source protocol knows.
    Other(Cow<'a, str>),
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// Who speaks.
    pub role: Role<'a>,
    /// What it consists of, in order. All results of one turn's tool calls are in one message.
    pub parts: Vec<Part<'a>>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

impl<'a> Message<'a> {
    /// A message with an empty bag.
    pub fn new(place: impl Into<Place<'a>>, role: Role<'a>, parts: Vec<Part<'a>>) -> Self {
        Self { place: place.into(), role, parts, bag: Bag::EMPTY }
    }
}
