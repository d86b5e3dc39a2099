//! What a request asks for, whatever the vendor: the facts that an answer is made from.

use serde_json::Value;

use crate::api::Api;
use crate::price::Model;
use crate::{Copyist, bedrock, gemini, responses};

/// A checked request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) own: Own,
    pub(crate) house: House,
    pub(crate) model: &'static Model,
    pub(crate) form: Form,
    /// OpenAI's `stream_options.include_usage`.
    pub(crate) include_usage: bool,
    /// OpenAI's `n`.
    pub(crate) candidates: usize,
    /// Most answer tokens of one candidate.
    pub(crate) max_output: u64,
    pub(crate) stops: Vec<String>,
    /// The text of the last user message.
    pub(crate) last_text: String,
    /// Images in the last user message.
    pub(crate) images: usize,
    /// The text of tool results after the last assistant message.
    pub(crate) results: Vec<String>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    /// Whether several tools may be called at once.
    pub(crate) parallel: bool,
    /// A JSON answer of this schema is asked for.
    pub(crate) json: Option<Value>,
    pub(crate) logprobs: bool,
    pub(crate) reasoning: Reasoning,
    /// Whether the vendor's policy forbids the prompt, and the answer says so.
    pub(crate) blocked: bool,
    pub(crate) prompt: Prompt,
}

/// Which API is asked, and what only that one asks for.
#[derive(Debug, Clone)]
pub(crate) enum Own {
    Chat,
    Responses(responses::Own),
    Messages,
    Gemini(gemini::Own),
    Converse(bedrock::Own),
}

/// Who serves an API that others serve too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum House {
    /// Whoever made it.
    Maker,
    /// Microsoft Azure.
    Azure,
    /// Google Vertex AI.
    Vertex,
    /// Amazon Bedrock, its call `InvokeModel`.
    Bedrock,
    /// Somebody who copied OpenAI's API.
    Copyist(&'static Copyist),
}

/// How an answer is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON document.
    Whole,
    /// Server-sent events.
    Events,
    /// One JSON array, piece by piece.
    Array,
    /// AWS's binary frames.
    Frames,
}

/// A tool that the model may call.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// JSON Schema of its arguments.
    pub(crate) schema: Value,
    /// Whether it takes text instead of arguments.
    pub(crate) free_text: bool,
}

/// How much the model thinks before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reasoning {
    /// Not at all.
    Off,
    /// Unseen, but billed.
    Hidden,
    /// Told, with at most so many tokens.
    Visible(u64),
}

/// Whether a tool must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    None,
    Auto,
    Required,
    Named(String),
}

/// Prompt tokens, disjoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Prompt {
    pub(crate) input: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write_5m: u64,
    pub(crate) cache_write_1h: u64,
}

impl Ask {
    pub(crate) const fn api(&self) -> Api {
        match self.own {
            Own::Chat => Api::Chat,
            Own::Responses(_) => Api::Responses,
            Own::Messages => Api::Messages,
            Own::Gemini(_) => Api::Gemini,
            Own::Converse(_) => Api::Converse,
        }
    }

    /// Whether the answer is streamed.
    pub(crate) fn streams(&self) -> bool {
        self.form != Form::Whole
    }

    /// The number after `name:` in the last user text, which steers the answer.
    pub(crate) fn directive(&self, name: &str) -> Option<u64> {
        directive(&self.last_text, name)
    }
}

/// The number after `name:` in a text.
pub(crate) fn directive(text: &str, name: &str) -> Option<u64> {
    let at = text.find(&format!("{name}:"))?;
    let digits = text.get(at + name.len() + 1..)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::directive;

    #[test]
    fn directives_are_numbers_after_a_name() {
        assert_eq!(directive("please words:12, pace:5", "words"), Some(12));
        assert_eq!(directive("please words:12, pace:5", "pace"), Some(5));
        assert_eq!(directive("words: 12", "words"), None);
        assert_eq!(directive("none", "words"), None);
    }
}
