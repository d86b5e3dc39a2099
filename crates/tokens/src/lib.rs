//! How many tokens a request can have at most, told without counting them.
//!
//! Before a request is sent, the most that it can cost is reserved (rule R4), so the number of
//! prompt tokens needs a bound that is *never below the truth*, and that costs microseconds.
//!
//! ```
//! use weighbridge_tokens::{media, prompt_bound, within_context};
//! use weighbridge_units::Protocol;
//!
//! let body = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Weigh this."}]}"#;
//! let bound = prompt_bound(Protocol::OpenAiChat, body.len() as u64, media(Protocol::OpenAiChat, body));
//! assert_eq!(bound, body.len() as u64);
//! assert_eq!(within_context(bound, Some(128_000)), bound);
//! ```
//!
//! # Why the bound holds
//!
//! - **Text.** A token of a byte-pair encoding stands for at least one byte, and JSON never writes a
//!   text with fewer bytes than its UTF-8. Tool definitions, tool arguments, schemas and data URLs
//!   are text in the body.
//! - **Framing.** A provider adds a few tokens to each message (role and separators: seven at most
//!   are known of). Its JSON frame, `{"role":"user","content":""}`, has more bytes than that.
//! - **Tools and structured output** make providers add a prompt of their own, which is not in the
//!   body: [`TOOLS_OVERHEAD`].
//! - **Images** are compressed, so their bytes say nothing: each counts as the provider's documented
//!   maximum ([`image_bound`]), inline or by URL.
//! - **Searches** of a provider that have a price of their own are counted apart ([`Searches`]): by the bound that
//!   the request names, and by sixteen of each kind where it names less or none.
//! - **What cannot be seen** (documents, audio, stored files, searches and other work that the
//!   provider does on its side) is bounded by nothing but the model's context window:
//!   [`UNBOUNDED`], to be cut by [`within_context`].
//!
//! Two things are outside of it, and are covered by the ledger's overage entries (rule R5): a
//! provider that bills one prompt several times for the rounds of its own tools, and a tokeniser
//! that normalises a text to a longer one first, as no current one is known to do.

mod media;

pub use media::{Media, Searches, media};

use weighbridge_units::Protocol;

/// A bound where there is none: more than any context window.
pub const UNBOUNDED: u64 = u64::MAX;

/// The most tokens that a provider adds for tools or structured output.
///
/// Anthropic documents up to 530 for using tools at all, 499 for computer use, and up to 735 for
/// each tool of its own that the client runs, of which there are three besides the 499's:
/// <https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview#pricing>. Recorded
/// requests with structured output stay below 400. OpenAI's prompt for functions is shorter.
pub const TOOLS_OVERHEAD: u64 = 4_096;

/// The most prompt tokens of one image at a provider that speaks `provider`.
///
/// - OpenAI (<https://platform.openai.com/docs/guides/images-vision>): the dearest is gpt-4o-mini
///   with 2,833 and 5,667 for each of at most 8 tiles (an image is fitted into 2,048 × 2,048 pixels,
///   then its short side to 768; a tile is 512 × 512). Models that count patches take at most
///   30,000 × 1.2.
/// - Anthropic (<https://docs.anthropic.com/en/docs/build-with-claude/vision>): at most 4,784 for
///   models that see in high resolution, less for the others.
pub const fn image_bound(provider: Protocol) -> u64 {
    match provider {
        Protocol::AnthropicMessages => 4_784,
        // Also what a protocol without a figure of its own gets: it is the larger one.
        _ => 2_833 + 8 * 5_667,
    }
}

/// A number of prompt tokens that the truth never exceeds; [`UNBOUNDED`] where that depends on the
/// model alone.
///
/// `provider` is what the *provider* speaks, whose images count; `body_bytes` is the length of the
/// request's JSON, in the client's protocol or translated; `media` is what [`media`] found in it.
pub const fn prompt_bound(provider: Protocol, body_bytes: u64, media: Media) -> u64 {
    if media.unseen {
        return UNBOUNDED;
    }
    let tools = if media.tools { TOOLS_OVERHEAD } else { 0 };
    body_bytes.saturating_add(media.images.saturating_mul(image_bound(provider))).saturating_add(tools)
}

/// The smaller of a bound and the model's context window: what is longer is refused by the provider.
pub const fn within_context(bound: u64, context_window: Option<u64>) -> u64 {
    match context_window {
        Some(window) if window < bound => window,
        _ => bound,
    }
}

/// The best guess for a text of that many bytes: about four bytes to a token, rounded up.
///
/// For rate limits and for entries marked as estimated; never for a reservation.
pub const fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// Tokens that a provider adds to each message for its role and its ends: three and the role at OpenAI
/// (<https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken>).
const MESSAGE_FRAME: u64 = 4;

/// Tokens of an image of usual size: 1,024 × 1,024 pixels are 765 at OpenAI in high detail
/// (<https://platform.openai.com/docs/guides/images-vision>) and 1,398 at Anthropic
/// (<https://docs.anthropic.com/en/docs/build-with-claude/vision>).
const USUAL_IMAGE: u64 = 1_000;

/// The best guess for a whole prompt: so many bytes of text, in so many messages, with so many images.
///
/// For a client that asks how many tokens a request has where its provider does not count; to be marked as
/// an estimate. What cannot be seen (sound, documents) is not in it.
///
/// ```
/// // "Answer succinctly" and "What's the current date?", which Anthropic counts as 20.
/// assert_eq!(weighbridge_tokens::prompt_estimate(41, 2, 0), 19);
/// ```
pub const fn prompt_estimate(text_bytes: u64, messages: u64, images: u64) -> u64 {
    estimate(text_bytes)
        .saturating_add(messages.saturating_mul(MESSAGE_FRAME))
        .saturating_add(images.saturating_mul(USUAL_IMAGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn r4_the_bound_grows_with_everything(
            protocol in prop::sample::select(&Protocol::ALL[..]),
            bytes in any::<u64>(), images in any::<u64>(), tools in any::<bool>(), window in any::<u64>(),
        ) {
            let seen = Media { images, tools, ..Media::default() };
            let bound = prompt_bound(protocol, bytes, seen);
            prop_assert!(bound >= bytes);
            prop_assert!(bound >= images.min(1 << 40));
            prop_assert!(prompt_bound(protocol, bytes.saturating_add(1), seen) >= bound);
            for more in [Media { tools: true, ..seen }, Media { unseen: true, ..seen }] {
                prop_assert!(prompt_bound(protocol, bytes, more) >= bound);
            }
            prop_assert_eq!(within_context(bound, Some(window)), bound.min(window));
            prop_assert_eq!(within_context(bound, None), bound);
            prop_assert!(estimate(bytes) <= bytes);
            prop_assert!(estimate(bytes) >= bytes / 4);
            prop_assert!(prompt_estimate(bytes, 0, images) >= estimate(bytes));
            prop_assert!(prompt_estimate(bytes, images, 0) <= prompt_estimate(bytes, images, 1));
        }
    }

    #[test]
    fn r4_an_image_counts_as_the_documented_maximum() {
        let one = Media { images: 1, ..Media::default() };
        assert_eq!(prompt_bound(Protocol::OpenAiChat, 100, one), 100 + 48_169);
        assert_eq!(prompt_bound(Protocol::AnthropicMessages, 100, one), 100 + 4_784);
    }
}
