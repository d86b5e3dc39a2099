use std::borrow::Cow;

use weighbridge_protocol::json::Raw;

use super::{Conversation, JsonText};
use crate::place::Place;

/// How tokens are drawn. Numbers stay as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sampling<'a> {
    /// Temperature.
    pub temperature: Option<Raw<'a>>,
    /// Nucleus sampling.
    pub top_p: Option<Raw<'a>>,
    /// How many of the likeliest tokens are drawn from.
    pub top_k: Option<Raw<'a>>,
    /// Makes the same request give the same answer, as far as the provider can.
    pub seed: Option<Raw<'a>>,
    /// Penalty by how often a token came already.
    pub frequency_penalty: Option<Raw<'a>>,
    /// Penalty for tokens that came already.
    pub presence_penalty: Option<Raw<'a>>,
}

impl Sampling<'_> {
    /// All is left to the provider.
    pub const NONE: Self = Self {
        temperature: None,
        top_p: None,
        top_k: None,
        seed: None,
        frequency_penalty: None,
        presence_penalty: None,
    };
}

/// What form an answer must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format<'a> {
    /// Text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema {
        /// A name for the schema; some protocols demand one.
        name: Option<Cow<'a, str>>,
        /// What the schema is for, for the model.
        description: Option<Cow<'a, str>>,
        /// The JSON schema.
        schema: JsonText<'a>,
        /// Whether the answer must match exactly.
        strict: Option<bool>,
    },
    /// Something that only the source protocol knows.
    Unknown(Raw<'a>),
}

/// An answer in sound.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioWish<'a> {
    /// Whose voice.
    pub voice: Option<Cow<'a, str>>,
    /// The format, such as `wav`.
    pub format: Option<Cow<'a, str>>,
    /// Whether text is wanted as well.
    pub with_text: bool,
}

/// How urgent a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceTier<'a> {
    /// As the account is set up.
    Auto,
    /// The usual way.
    Standard,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster.
    Priority,
    /// A tier that only the source protocol knows.
    Other(Cow<'a, str>),
}

impl<'a> ServiceTier<'a> {
    /// The tier of that name, in the words of any of the protocols: none of them contradict.
    pub fn named(name: Cow<'a, str>) -> Self {
        match name.as_ref() {
            "auto" => Self::Auto,
            "default" | "standard" | "standard_only" | "on_demand" => Self::Standard,
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            _ => Self::Other(name),
        }
    }
}

/// A mark up to which a prompt is worth caching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheMark {
    /// How long; `None` leaves it to the provider.
    pub ttl: Option<CacheTtl>,
}

/// How long a cached prompt lives at least. Each provider offers two of them, a short and a long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheTtl {
    /// Five minutes: Anthropic's and Bedrock's short one.
    FiveMinutes,
    /// Half an hour: OpenAI's short one.
    HalfHour,
    /// One hour: Anthropic's and Bedrock's long one.
    OneHour,
    /// Twelve hours: OpenAI's long one.
    TwelveHours,
}

impl CacheTtl {
    /// Every lifetime, from the shortest.
    pub const ALL: [Self; 4] = [Self::FiveMinutes, Self::HalfHour, Self::OneHour, Self::TwelveHours];

    /// The name that its provider has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::HalfHour => "30m",
            Self::OneHour => "1h",
            Self::TwelveHours => "12h",
        }
    }

    /// The lifetime of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ttl| ttl.as_str() == name)
    }

    /// Whether it is the longer of the two that its provider offers.
    pub const fn is_long(self) -> bool {
        matches!(self, Self::OneHour | Self::TwelveHours)
    }
}

/// A wish of a request that a protocol may have no word for.
///
/// An encoder lists those that it heard ([`Losses::unheard`](crate::Losses::unheard)), and the others
/// are reported: one that was forgotten is reported too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of its name in `Conversation`, documented there")]
pub enum Wish {
    ToolChoice,
    ParallelToolCalls,
    Temperature,
    TopP,
    TopK,
    Seed,
    FrequencyPenalty,
    PresencePenalty,
    Stop,
    MaxOutput,
    Candidates,
    Format,
    Verbosity,
    Audio,
    Logprobs,
    Reasoning,
    ServiceTier,
    EndUser,
    Metadata,
    Store,
    CacheKey,
}

impl Wish {
    /// What a protocol lacks that has no word for it.
    pub(crate) const fn needed(self) -> &'static str {
        match self {
            Self::ToolChoice => "a choice of tools",
            Self::ParallelToolCalls => "a switch for parallel calls of tools",
            Self::Temperature => "a temperature",
            Self::TopP => "nucleus sampling",
            Self::TopK => "sampling from the likeliest tokens",
            Self::Seed => "a seed",
            Self::FrequencyPenalty => "a penalty by frequency",
            Self::PresencePenalty => "a penalty for presence",
            Self::Stop => "stop sequences",
            Self::MaxOutput => "an output cap",
            Self::Candidates => "several answers to one request",
            Self::Format => "a form of the answer",
            Self::Verbosity => "a level of wordiness",
            Self::Audio => "answers in sound",
            Self::Logprobs => "probabilities of tokens",
            Self::Reasoning => "a wish for reasoning",
            Self::ServiceTier => "service tiers",
            Self::EndUser => "a name of the end user",
            Self::Metadata => "labels on a request",
            Self::Store => "a switch for keeping the answer",
            Self::CacheKey => "a key for the prompt cache",
        }
    }
}

impl<'a> Conversation<'a> {
    /// Every wish that the request has, with its place. What is the case anyway is no wish: one
    /// candidate, text as the form, a penalty of zero, not to keep the answer.
    pub(crate) fn wishes(&self) -> Vec<(Wish, Place<'a>)> {
        let is_zero =
            |raw: &Raw<'_>| raw.text().parse::<f64>().is_ok_and(|number| number.abs() < f64::EPSILON);
        let number = |raw: Option<Raw<'a>>| raw.map(Place::from);
        let penalty = |raw: Option<Raw<'a>>| number(raw.filter(|raw| !is_zero(raw)));
        let has_tools = !self.tools.is_empty();
        let s = &self.sampling;
        let r = &self.reasoning;
        let reasoning = r.extent.map(|wish| wish.place).or(r.effort.map(|wish| wish.place));
        let found = [
            // Without tools there is nothing to choose.
            (Wish::ToolChoice, self.tool_choice.as_ref().filter(|_| has_tools).map(|wish| wish.place)),
            (Wish::ParallelToolCalls, self.parallel_tool_calls.filter(|_| has_tools).map(|wish| wish.place)),
            (Wish::Temperature, number(s.temperature)),
            (Wish::TopP, number(s.top_p)),
            (Wish::TopK, number(s.top_k)),
            (Wish::Seed, number(s.seed)),
            (Wish::FrequencyPenalty, penalty(s.frequency_penalty)),
            (Wish::PresencePenalty, penalty(s.presence_penalty)),
            (Wish::Stop, self.stop.first().map(|wish| wish.place)),
            (Wish::MaxOutput, self.max_output.map(|wish| wish.place)),
            (Wish::Candidates, self.candidates.filter(|wish| wish.value > 1).map(|wish| wish.place)),
            (
                Wish::Format,
                self.format.as_ref().filter(|wish| wish.value != Format::Text).map(|wish| wish.place),
            ),
            (
                Wish::Verbosity,
                self.verbosity.as_ref().filter(|wish| wish.value != "medium").map(|wish| wish.place),
            ),
            (Wish::Audio, self.audio.as_ref().map(|wish| wish.place)),
            (Wish::Logprobs, self.logprobs.map(|wish| wish.place)),
            (Wish::Reasoning, reasoning.or(r.shown.map(|wish| wish.place))),
            (
                Wish::ServiceTier,
                self.service_tier
                    .as_ref()
                    .filter(|wish| wish.value != ServiceTier::Auto)
                    .map(|wish| wish.place),
            ),
            (Wish::EndUser, self.end_user.as_ref().map(|wish| wish.place)),
            (Wish::Metadata, self.metadata.filter(|raw| raw.text() != "{}").map(Place::from)),
            (Wish::Store, self.store.filter(|wish| wish.value).map(|wish| wish.place)),
            (Wish::CacheKey, self.cache_key.as_ref().map(|wish| wish.place)),
        ];
        found.into_iter().filter_map(|(wish, place)| Some((wish, place?))).collect()
    }
}
