//! Translation between LLM protocols through one canonical conversation, every loss reported.
//!
//! Each protocol has a folder that reads its requests and answers into the canonical model
//! ([`Conversation`], [`Answer`], [`Event`]) and writes them from it: one hub, not a pair of
//! translators per pair of protocols ([`adapter`]).
//!
//! The law of this crate: what the target can express is kept, and what it cannot is named as a
//! [`Loss`], with a JSON pointer into the source. Forgetting cannot be
//! silent, because every field that no reader takes stays in a bag, and bags that reach another
//! protocol turn into losses by themselves. Same protocol in and out is not translation: such
//! bodies pass as bytes, and never come here.
//!
//! ```
//! use weighbridge_translate::{RequestTarget, request};
//! use weighbridge_units::Protocol::{AnthropicMessages, OpenAiChat};
//!
//! let body = r#"{"model": "fast", "seed": 7, "messages": [{"role": "user", "content": "Hi"}]}"#;
//! let target = RequestTarget { max_output_default: 1024, ..RequestTarget::new("claude-haiku-4-5") };
//! let sent = request(OpenAiChat, AnthropicMessages, body, &target)?;
//! assert_eq!(
//!     std::str::from_utf8(&sent.value)?,
//!     r#"{"model":"claude-haiku-4-5","max_tokens":1024,"messages":[{"role":"user","content":"Hi"}]}"#,
//! );
//! let lost: Vec<String> = sent.losses.iter().map(ToString::to_string).collect();
//! assert_eq!(lost, [
//!     "defaulted (document): anthropic-messages demands an output cap, and the request has none",
//!     "dropped /seed: anthropic-messages has no word for a seed",
//! ]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod anthropic_messages;
pub mod bedrock_converse;
pub mod conversation;
pub mod embeddings;
pub mod gemini;
pub mod openai_chat;
mod openai_effort;
pub mod openai_responses;

mod adapter;
mod amendment;
mod answer;
mod bags;
mod error;
mod event;
mod fetched;
mod finish;
#[cfg(test)]
mod generators;
mod keep_alive;
#[cfg(test)]
mod laws;
mod losses;
pub mod model_list;
mod place;
pub mod prompt_cache;
pub mod standalone;
pub mod token_count;
pub mod tool_id;
mod tool_name;

use weighbridge_protocol::json::{Fields, Indexed, Raw, ScanLimits};
use weighbridge_units::{Loss, LossKind, Protocol};

pub use weighbridge_protocol::gemini::StreamForm;
pub use weighbridge_protocol::{Dialect, EmbeddingsProtocol};

pub use adapter::{Adapter, adapter, stream_reader, stream_writer};
pub use amendment::Amendment;
pub use answer::{Answer, AnswerFacts, Candidate};
pub use conversation::{Content, Conversation, Message, Part, Role};
pub use error::{
    ApiError, TranslateError, decode_error, encode_error, encode_stream_error, encode_stream_error_after,
    error_protocol, retry_delay, usual_status,
};
pub use event::*;
pub use fetched::{FetchedMedia, MediumKind, media_to_fetch};
pub use finish::{FinishReason, PartsSeen, StopDetails};
pub use keep_alive::keep_alive;
pub use losses::{LISTED_MAX, Losses};
pub use place::{Place, Placed};
pub use prompt_cache::PromptCaching;

/// A translation's result, and what it could not carry over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated<T> {
    /// The result.
    pub value: T,
    /// What was lost, in the order in which it was met.
    pub losses: Vec<Loss>,
}

/// What a request gets from its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// The model, as the provider names it.
    pub model: &'a str,
    /// Who serves the protocol: some put fields elsewhere, or refuse them.
    pub dialect: Dialect,
    /// The output cap where the request has none and the protocol demands one. Using it is reported.
    pub max_output_default: u64,
    /// Whether the answer is streamed, where the request's address says so and not its body: Gemini's.
    pub stream: Option<bool>,
    /// An output cap that is written where the request has none, whatever the protocol. It is not
    /// reported: whoever sets it says why.
    pub max_output_cap: Option<u64>,
    /// What was fetched of the media that the request names by address.
    pub media: &'a [FetchedMedia],
    /// The most tokens that the model answers with, where that is known. A larger wish, which fits the
    /// model that the client's tool was written for, is lowered to it and reported.
    pub max_output_of_model: Option<u64>,
    /// Whether a stream is asked to tell its usage, where the protocol leaves that open.
    pub include_usage: bool,
    /// How the prompt is marked for the cache, where nobody has marked it; `None` leaves it unmarked.
    pub prompt_caching: Option<PromptCaching>,
}

impl<'a> RequestTarget<'a> {
    /// A model at the provider that the protocol is named after, with a cap of 4,096 tokens where one is
    /// demanded; a stream tells its usage.
    pub const fn new(model: &'a str) -> Self {
        Self {
            model,
            dialect: Dialect::Native,
            max_output_default: 4_096,
            media: &[],
            stream: None,
            max_output_cap: None,
            max_output_of_model: None,
            include_usage: true,
            prompt_caching: None,
        }
    }
}

/// What an answer gets where its provider does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerTarget<'a> {
    /// The answer's id.
    pub id_fallback: &'a str,
    /// The model that was asked for: what an answer names whose protocol tells none (Bedrock Converse).
    /// Empty where nobody knows.
    pub model_fallback: &'a str,
    /// When it was made, in seconds since the epoch.
    pub created: i64,
    /// Whether a client of Chat Completions asked with `functions`, the form before tools
    /// ([`openai_chat::asks_with_functions`]): a call is then told as `function_call`.
    pub legacy_functions: bool,
    /// What an answer of OpenAI Responses tells of keeping, and the id that it is kept under in place of its
    /// provider's own.
    pub kept: Option<&'a openai_responses::kept::KeptAs>,
}

impl<'a> AnswerTarget<'a> {
    /// An answer of that id and time for a client that knows today's forms.
    pub const fn new(id_fallback: &'a str, created: i64) -> Self {
        Self { id_fallback, model_fallback: "", created, legacy_functions: false, kept: None }
    }

    /// The same for an answer of a model that was asked for by this name.
    #[must_use]
    pub const fn model(self, model_fallback: &'a str) -> Self {
        Self { model_fallback, ..self }
    }

    pub(crate) fn model_of<'t>(&'t self, told: Option<&'t str>) -> &'t str {
        model_or(told, self.model_fallback)
    }
}

/// The model that an answer names: the one that its provider told, if any. An empty name is none.
pub(crate) fn model_or<'t>(told: Option<&'t str>, fallback: &'t str) -> &'t str {
    told.filter(|model| !model.is_empty()).unwrap_or(fallback)
}

/// Translates a request.
///
/// # Errors
/// [`TranslateError`] where the body is not JSON, or a field that is understood is wrongly typed.
pub fn request(
    from: Protocol,
    to: Protocol,
    body: &str,
    target: &RequestTarget<'_>,
) -> Result<Translated<Vec<u8>>, TranslateError> {
    let document = Indexed::parse(body, &ScanLimits::default())?;
    let mut conversation =
        adapter(from).decode_request(document.root()).map_err(|error| TranslateError::read(body, error))?;
    if let (None, Some(cap)) = (&conversation.max_output, target.max_output_cap) {
        conversation.max_output = Some(Placed::nowhere(cap));
    }
    fetched::inline(&mut conversation, target.media);
    if let Some(stream) = target.stream {
        conversation.stream = stream;
    }
    if from == Protocol::GeminiGenerateContent && from != to {
        gemini::pieces::join(&mut conversation.messages);
    }
    let mut losses = Losses::new(from, to);
    if let (Some(cap), Some(most)) = (&mut conversation.max_output, target.max_output_of_model)
        && cap.value > most
    {
        let reason = format!("the model answers with at most {most} tokens, not {}", cap.value);
        losses.report(cap.place, LossKind::Approximated, reason, "a model with longer answers");
        cap.value = most;
    }
    let mut value = adapter(to).encode_request(&conversation, target, &mut losses);
    if let Some(caching) = &target.prompt_caching {
        value = prompt_cache::marked(to, value, caching);
    }
    Ok(Translated { value, losses: losses.into_list(body) })
}

/// The fields of a request that passes untranslated, which are written anew because the protocol's
/// provider would refuse them: a client brings back what other providers made in earlier turns. `model`
/// is the one that the provider is asked for.
///
/// ```
/// use weighbridge_protocol::json::Raw;
/// use weighbridge_translate::amend;
/// use weighbridge_units::Protocol::OpenAiResponses;
///
/// // Made for a client whose question Anthropic answered.
/// let body = r#"{"model": "gpt-5", "input": [{"type": "reasoning", "id": "rs_wb_1_0", "summary": [],
///     "encrypted_content": "wb.proof:s:anthropic-claude-v1::c2ln"}, {"role": "user", "content": "Go on"}]}"#;
/// let amended = amend(OpenAiResponses, Raw::parse(body, &Default::default())?, "gpt-5");
/// assert_eq!(amended.value[0].json, r#"[{"role": "user", "content": "Go on"}]"#);
/// assert_eq!(amended.losses[0].pointer, "/input/0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn amend(protocol: Protocol, body: Raw<'_>, model: &str) -> Translated<Vec<Amendment>> {
    let mut losses = Losses::new(protocol, protocol);
    let value = adapter(protocol).amend(body, model, &mut losses);
    Translated { value, losses: losses.into_list(body.text()) }
}

/// Translates a whole answer, and gives its facts.
///
/// # Errors
/// [`TranslateError::InBandError`] where the body is an error, whatever its status; the others where
/// it is no answer of its protocol.
pub fn response(
    provider: Protocol,
    client: Protocol,
    body: &str,
    target: &AnswerTarget<'_>,
) -> Result<Translated<(Vec<u8>, AnswerFacts)>, TranslateError> {
    let document = Indexed::parse(body, &ScanLimits::default())?;
    successful(provider, &document)?;
    let answer = adapter(provider)
        .decode_answer(document.root())
        .map_err(|error| TranslateError::read(body, error))?;
    let mut losses = Losses::new(provider, client);
    let value = adapter(client).encode_answer(&answer, target, &mut losses);
    Ok(Translated { value: (value, AnswerFacts::from(&answer)), losses: losses.into_list(body) })
}

/// The facts of an answer that passes untranslated.
///
/// # Errors
/// As [`response`].
pub fn answer_facts(provider: Protocol, body: &str) -> Result<AnswerFacts, TranslateError> {
    let document = Indexed::parse(body, &ScanLimits::default())?;
    let fields = successful(provider, &document)?;
    adapter(provider).answer_facts(fields).map_err(|error| TranslateError::read(body, error))
}

/// Opens an answer, and makes sure that it is no error.
fn successful<'a>(provider: Protocol, answer: &'a Indexed<'_>) -> Result<Fields<'a>, TranslateError> {
    let adapter = adapter(provider);
    let fields = Fields::open(answer)?;
    let error = adapter.may_be_error(&fields).then(|| adapter.decode_error(200, fields.raw())).flatten();
    error.map_or(Ok(fields), |error| Err(TranslateError::InBandError(error)))
}

/// The code on the page for whoever adds a protocol.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/adding-a-protocol.md")]
struct AddingAProtocol;
