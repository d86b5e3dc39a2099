//! The canonical conversation: what a request says, in one vocabulary.
//!
//! It is a superset of what the protocols can say, and borrows from the source's text. Each node has
//! a bag for what only its own protocol knows; encoding to another protocol reports each entry of
//! each bag as a [`Loss`](weighbridge_units::Loss).

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Raw};
use weighbridge_units::Protocol;

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
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether several tools may be called in one turn; `None` leaves it to the provider.
    pub parallel_tool_calls: Option<Placed<'a, bool>>,
    /// Texts at which the model is to stop.
    pub stop: Vec<Placed<'a, Cow<'a, str>>>,
    /// Sampling temperature, as the number was written.
    pub temperature: Option<Raw<'a>>,
    /// Nucleus sampling, as the number was written.
    pub top_p: Option<Raw<'a>>,
    /// The most tokens that the answer may have.
    pub max_output: Option<Placed<'a, u64>>,
    /// How many answers are wanted; `None` means one.
    pub candidates: Option<Placed<'a, u64>>,
    /// The end user on whose behalf the client asks.
    pub end_user: Option<Placed<'a, Cow<'a, str>>>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
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

/// A piece of a message or answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// What it is.
    pub content: Content<'a>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

impl<'a> Part<'a> {
    /// A part with an empty bag.
    pub fn new(place: impl Into<Place<'a>>, content: Content<'a>) -> Self {
        Self { place: place.into(), content, bag: Bag::EMPTY }
    }

    /// A text that was not read from a document.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Place::NOWHERE, Content::Text(text.into()))
    }
}

/// What a part is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// An image.
    Image(Image<'a>),
    /// The model calls a tool.
    ToolCall(ToolCall<'a>),
    /// What a tool gave back.
    ToolResult(ToolResult<'a>),
    /// The model's reasoning.
    Reasoning {
        /// The text; may be empty while the signature is not.
        text: Cow<'a, str>,
        /// Proof for the provider that the text is its own.
        signature: Option<Cow<'a, str>>,
    },
    /// The model's words for refusing.
    Refusal(Cow<'a, str>),
    /// Something that only the source protocol knows.
    Unknown {
        /// Its type, for reports.
        name: Cow<'a, str>,
        /// Its whole text.
        raw: Raw<'a>,
    },
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'a> {
    /// Where its bytes are.
    pub source: ImageSource<'a>,
    /// How closely the model is to look, in OpenAI's words.
    pub detail: Option<Placed<'a, Cow<'a, str>>>,
}

/// Where an image's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource<'a> {
    /// In the request.
    Base64 {
        /// Such as `image/png`.
        media_type: Cow<'a, str>,
        /// The bytes in base64.
        data: Cow<'a, str>,
    },
    /// At an address.
    Url(Cow<'a, str>),
}

/// The model calls a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall<'a> {
    /// Ties the call to its result.
    pub id: Cow<'a, str>,
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// The arguments as JSON text, exactly as the model wrote it: perhaps empty, cut, or no JSON.
    pub arguments: Cow<'a, str>,
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult<'a> {
    /// The id of the call.
    pub call_id: Cow<'a, str>,
    /// The result: texts and images.
    pub parts: Vec<Part<'a>>,
    /// Whether the tool failed.
    pub is_error: bool,
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// What it is.
    pub kind: ToolKind<'a>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

/// What a tool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolKind<'a> {
    /// A function that the client runs.
    Function {
        /// Its name.
        name: Cow<'a, str>,
        /// What it does, for the model.
        description: Option<Cow<'a, str>>,
        /// JSON schema of its arguments, raw, since reordering its keys would miss prompt caches.
        parameters: Option<Raw<'a>>,
        /// Whether the arguments must match the schema exactly.
        strict: Option<bool>,
    },
    /// Something that only the source protocol knows, such as a tool that the provider runs.
    Unknown {
        /// Its type, for reports.
        name: Cow<'a, str>,
        /// Its whole text.
        raw: Raw<'a>,
    },
}

/// Whether and which tools must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// The model decides.
    Auto,
    /// None may be called.
    None,
    /// One at least must be called.
    Required,
    /// This one must be called.
    Named(Cow<'a, str>),
    /// Something that only the source protocol knows.
    Unknown(Raw<'a>),
}
