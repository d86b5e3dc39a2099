//! The canonical vectors.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, FromRaw, Kind, Object, Raw, ReadError};
use weighbridge_units::{Bucket, LossKind, Usage};

use super::{AnswerTarget, EmbeddingsFacts};
use crate::losses::Losses;

/// Vectors, in the order of the inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EmbeddingsAnswer<'a> {
    /// The vectors.
    pub embeddings: Vec<Embedding<'a>>,
    /// The model that made them, where it is named.
    pub model: Option<Cow<'a, str>>,
    /// The tokens of the prompt; untold where the provider does not tell.
    pub usage: Usage,
    /// What is not understood of it.
    pub usage_bag: Bag<'a>,
    /// What is not understood.
    pub bag: Bag<'a>,
}

/// The vector of one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding<'a> {
    /// Its numbers.
    pub vector: Vector<'a>,
    /// The tokens of its input, where they are told apart (Vertex AI).
    pub tokens: Option<u64>,
    /// What else is told about it there.
    pub statistics: Bag<'a>,
    /// What is not understood.
    pub bag: Bag<'a>,
}

impl<'a> Embedding<'a> {
    /// A vector of which no more is told.
    pub const fn new(vector: Vector<'a>) -> Self {
        Self { vector, tokens: None, statistics: Bag::EMPTY, bag: Bag::EMPTY }
    }

    /// Writes what is not understood back to its own format, or reports it.
    pub(super) fn leftovers(&self, losses: &mut Losses<'a>, object: &mut Object<'_>) {
        losses.bag(&self.statistics);
        losses.write_bag(&self.bag, object);
    }
}

/// The numbers of a vector, as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vector<'a> {
    /// An array of numbers.
    Numbers(Raw<'a>),
    /// A string: base64 of their 32 bits each, least significant byte first.
    Base64(Raw<'a>),
}

impl<'a> FromRaw<'a> for Vector<'a> {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        match raw.kind() {
            Kind::Array => Ok(Self::Numbers(raw)),
            Kind::String => Ok(Self::Base64(raw)),
            _ => Err(ReadError::new(raw, "an array of numbers or their base64")),
        }
    }
}

impl<'a> EmbeddingsAnswer<'a> {
    /// Takes the tokens that a header told, where the body told none.
    pub(super) fn hear(&mut self, tokens_header: Option<u64>) {
        if let (true, Some(tokens)) = (self.usage.is_untold(), tokens_header) {
            self.usage.set(Bucket::Input, tokens);
        }
    }

    pub(super) fn facts(&self) -> EmbeddingsFacts {
        EmbeddingsFacts {
            usage: self.usage,
            model: self.model.as_deref().map(str::to_owned),
            vectors: self.embeddings.len(),
        }
    }

    /// The tokens of the prompt, for a format that demands them.
    pub(super) fn demanded_tokens(&self, target: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> u64 {
        if !self.usage.is_untold() {
            return self.usage.prompt();
        }
        let name = losses.target();
        losses.report(
            crate::Place::NOWHERE,
            LossKind::Defaulted,
            format!("{name} demands the tokens of the prompt, and the provider tells none"),
            "the tokens of the prompt",
        );
        target.tokens_estimate
    }
}
