//! How many tokens a request has: asked of the provider in its own words, told to the client in its.
//!
//! | client | asks at | is told |
//! |---|---|---|
//! | [Anthropic](https://docs.anthropic.com/en/api/messages-count-tokens) | `/v1/messages/count_tokens` | `input_tokens` |
//! | [Gemini](https://ai.google.dev/api/tokens) | `:countTokens`, with `contents` or `generateContentRequest` | `totalTokens` |
//! | [OpenAI Responses](https://platform.openai.com/docs/api-reference/responses/input-tokens) | `/v1/responses/input_tokens` | `input_tokens` |
//!
//! A question is a request for an answer without its wishes for the answer: it is read as a
//! [`Conversation`], and written as the provider's question ([`Call`]). Most compatible servers have no such
//! call, and some models none at a provider that has one: then [`PromptSize`] says how much there is to count,
//! and whoever estimates it marks the figure ([`TokenCount::is_estimate`]).
//!
//! ```
//! use weighbridge_translate::token_count::{self, Call};
//! use weighbridge_translate::{Dialect, RequestTarget};
//! use weighbridge_units::Protocol::{AnthropicMessages, GeminiGenerateContent};
//!
//! let call = Call::of(GeminiGenerateContent, Dialect::Native, "gemini-2.5-flash").expect("it counts");
//! assert_eq!(call.path("gemini-2.5-flash"), "/models/gemini-2.5-flash:countTokens");
//!
//! let body = r#"{"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}"#;
//! let target = RequestTarget::new("gemini-2.5-flash");
//! let question = token_count::request(AnthropicMessages, call, body, &target)?;
//! assert_eq!(
//!     std::str::from_utf8(&question.value)?,
//!     r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"role":"user","parts":[{"text":"Hi"}]}]}}"#,
//! );
//!
//! let count = token_count::answer(call, r#"{"totalTokens": 2}"#)?;
//! assert_eq!(token_count::encode(AnthropicMessages, count), br#"{"input_tokens":2}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod call;
#[cfg(test)]
mod laws;
mod size;

use weighbridge_protocol::gemini::count_tokens;
use weighbridge_protocol::json::{Fields, Indexed, Raw, ReadError, ScanLimits, Writer};
use weighbridge_units::Protocol;

use crate::adapter::adapter;
use crate::conversation::{Conversation, Format, Sampling};
use crate::gemini::base64;
use crate::losses::Losses;
use crate::place::Placed;
use crate::{RequestTarget, TranslateError, Translated, successful};

pub use call::Call;
pub use size::PromptSize;

/// How many tokens a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenCount {
    /// All tokens of the prompt.
    pub tokens: u64,
    /// Those of them that are in a cache, where that is told.
    pub cached: u64,
    /// Whether nobody counted them. No client's format has a word for that: a header must say it.
    pub is_estimate: bool,
}

/// Whether clients of a protocol can ask.
pub const fn is_asked_by(client: Protocol) -> bool {
    matches!(
        client,
        Protocol::AnthropicMessages | Protocol::GeminiGenerateContent | Protocol::OpenAiResponses
    )
}

/// Reads a client's question as the conversation that it is about.
///
/// # Errors
/// [`ReadError`] where a field that is understood is missing or wrongly typed.
pub fn decode(client: Protocol, question: Raw<'_>) -> Result<Conversation<'_>, ReadError> {
    let about = match client {
        Protocol::GeminiGenerateContent => count_tokens::read_request(question)?,
        _ => question,
    };
    adapter(client).decode_request(about)
}

/// Translates a client's question into a provider's.
///
/// What is wished of the answer (an output cap, sampling, a service tier) has no tokens: it is left out and
/// not reported.
///
/// # Errors
/// [`TranslateError`] where the body is not JSON, or a field that is understood is wrongly typed.
pub fn request(
    client: Protocol,
    call: Call,
    body: &str,
    target: &RequestTarget<'_>,
) -> Result<Translated<Vec<u8>>, TranslateError> {
    let root = Raw::parse(body, &ScanLimits::default())?;
    let located = |error| TranslateError::read(body, error);
    let mut conversation = decode(client, root).map_err(located)?;
    let mut losses = Losses::new(client, call.protocol());
    without_wishes(&mut conversation, call, &mut losses);
    let target = RequestTarget { dialect: call.dialect(), include_usage: false, ..*target };
    let written = adapter(call.protocol()).encode_request(&conversation, &target, &mut losses);
    // What encoders write is UTF-8, and JSON.
    let written = String::from_utf8(written).unwrap_or_default();
    let request = Raw::parse(&written, &ScanLimits::default())?;
    let value =
        question(call, target.model, request).map_err(|error| TranslateError::read(&written, error))?;
    Ok(Translated { value, losses: losses.into_list(body) })
}

/// No cap is ever in the way of a budget for reasoning.
const CAP: u64 = 1 << 20;

/// Takes out what is wished of the answer and has no tokens in the prompt.
fn without_wishes<'a>(conversation: &mut Conversation<'a>, call: Call, losses: &mut Losses<'a>) {
    conversation.sampling = Sampling::NONE;
    conversation.stop.clear();
    conversation.max_output = call.demands_cap().then_some(Placed::nowhere(CAP));
    conversation.candidates = None;
    conversation.verbosity = None;
    conversation.audio = None;
    conversation.logprobs = None;
    conversation.service_tier = None;
    conversation.end_user = None;
    conversation.metadata = None;
    conversation.store = None;
    conversation.cache_key = None;
    conversation.stream = false;
    if !call.takes_format()
        && let Some(format) = conversation.format.take_if(|format| format.value != Format::Text)
    {
        losses.dropped(
            format.place,
            "the provider does not count the form of the answer",
            "a form of the answer in the question",
        );
    }
}

/// A provider's question about a request that is written for it.
fn question(call: Call, model: &str, request: Raw<'_>) -> Result<Vec<u8>, ReadError> {
    let mut out = Vec::with_capacity(request.text().len() + 64);
    let writer = Writer::new(&mut out);
    match call {
        Call::Anthropic | Call::AnthropicVertex | Call::Responses | Call::GeminiVertex => {
            let mut object = writer.object();
            if call == Call::AnthropicVertex {
                // The path names the call in its place.
                object.key("model").string(model);
            }
            for (name, value) in Fields::read(request)?.rest().iter().filter(|(name, _)| call.takes(name)) {
                object.key(name).raw(value.text());
            }
        }
        Call::Gemini => count_tokens::write_request(model, request, writer)?,
        Call::BedrockConverse => {
            let mut object = writer.object();
            let mut input = object.key("input").object();
            let mut inner = input.key("converse").object();
            for (name, value) in Fields::read(request)?.rest().iter().filter(|(name, _)| call.takes(name)) {
                inner.key(name).raw(value.text());
            }
        }
        Call::BedrockInvoke => {
            let mut object = writer.object();
            let mut input = object.key("input").object();
            let body = base64::encode(request.text().as_bytes());
            input.key("invokeModel").object().key("body").string(&body);
        }
    }
    Ok(out)
}

/// Reads a provider's answer.
///
/// # Errors
/// [`TranslateError::InBandError`] where the body is an error, whatever its status; the others where it
/// tells no count.
pub fn answer(call: Call, body: &str) -> Result<TokenCount, TranslateError> {
    let document = Indexed::parse(body, &ScanLimits::default())?;
    let fields = successful(call.protocol(), &document)?;
    read(call, fields).map_err(|error| TranslateError::read(body, error))
}

fn read(call: Call, mut fields: Fields<'_>) -> Result<TokenCount, ReadError> {
    let count = |tokens| TokenCount { tokens, ..TokenCount::default() };
    match call {
        Call::Anthropic | Call::AnthropicVertex | Call::Responses => {
            fields.require("input_tokens").map(count)
        }
        Call::BedrockConverse | Call::BedrockInvoke => fields.require("inputTokens").map(count),
        Call::Gemini | Call::GeminiVertex => {
            let counted = count_tokens::read_answer(fields.raw())?;
            Ok(TokenCount { tokens: counted.total, cached: counted.cached, is_estimate: false })
        }
    }
}

/// The answer to a client of that protocol; to one that cannot ask, in the words of OpenAI.
pub fn encode(client: Protocol, count: TokenCount) -> Vec<u8> {
    let mut out = Vec::new();
    match client {
        Protocol::AnthropicMessages => {
            Writer::new(&mut out).object().key("input_tokens").number(count.tokens);
        }
        Protocol::GeminiGenerateContent => {
            let counted = count_tokens::Counted { total: count.tokens, cached: count.cached };
            count_tokens::write_answer(counted, Writer::new(&mut out));
        }
        Protocol::BedrockConverse => {
            Writer::new(&mut out).object().key("inputTokens").number(count.tokens);
        }
        Protocol::OpenAiChat | Protocol::OpenAiResponses => {
            let mut object = Writer::new(&mut out).object();
            object.key("object").string("response.input_tokens");
            object.key("input_tokens").number(count.tokens);
        }
    }
    out
}
