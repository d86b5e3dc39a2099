use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Raw};

use super::{CacheMark, JsonText};
use crate::place::{Place, Placed};

/// The model calls a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall<'a> {
    /// Ties the call to its result.
    pub id: Cow<'a, str>,
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// What the tool is called with, exactly as the model wrote it. For a function that is JSON text:
    /// perhaps empty, cut, or no JSON.
    pub arguments: Cow<'a, str>,
    /// What kind of tool it is.
    pub kind: CallKind,
}

/// What kind of tool is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallKind {
    /// A function: its arguments are JSON.
    #[default]
    Function,
    /// A custom tool: it takes free text.
    Custom,
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// What it is.
    pub kind: ToolKind<'a>,
    /// All tools up to here, this one included, are worth caching.
    pub cache: Option<Placed<'a, CacheMark>>,
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
        /// JSON schema of its arguments, as text, since reordering its keys would miss prompt caches.
        parameters: Option<JsonText<'a>>,
        /// Whether the arguments must match the schema exactly.
        strict: Option<bool>,
    },
    /// A tool that the client runs and that takes free text: OpenAI only.
    Custom {
        /// Its name.
        name: Cow<'a, str>,
        /// What it does, for the model.
        description: Option<Cow<'a, str>>,
        /// What texts it takes; `None` means any.
        format: Option<CustomFormat<'a>>,
    },
    /// Something that only the source protocol knows, such as a tool that the provider runs.
    Unknown {
        /// Its type, for reports.
        name: Cow<'a, str>,
        /// Its whole text.
        raw: Raw<'a>,
    },
}

/// What texts a custom tool takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomFormat<'a> {
    /// Any.
    Text,
    /// Those of a grammar.
    Grammar {
        /// The language of the grammar: `lark` or `regex`.
        syntax: Cow<'a, str>,
        /// The grammar.
        definition: Cow<'a, str>,
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
    /// Only these may be called.
    Allowed {
        /// Whether one of them must be.
        mode: AllowedMode,
        /// Their names.
        names: Vec<Cow<'a, str>>,
    },
    /// Something that only the source protocol knows.
    Unknown(Raw<'a>),
}

/// Whether one of the allowed tools must be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedMode {
    /// The model decides.
    Auto,
    /// One at least must be called.
    Required,
}

/// The schema of a function's arguments, where a protocol demands one: a function without takes none.
pub fn schema_or_empty<'s>(parameters: Option<&'s JsonText<'_>>) -> &'s str {
    parameters.map_or(r#"{"type":"object","properties":{}}"#, JsonText::text)
}
