//! Marks for the prompt cache, placed in requests that have none.
//!
//! Anthropic's models and Amazon's cache what stands before a mark, and nothing without one; the other
//! providers cache on their own, and get none. What is read again costs a tenth, what is written a quarter
//! more (for five minutes) or twice as much (for an hour), so that a mark belongs where the next request will
//! begin the same. The stretches of a prompt change at different times: they have a mark each.
//!
//! | mark | so that |
//! |---|---|
//! | behind the tools | other instructions over the same tools find them |
//! | behind the instructions | other conversations find both |
//! | behind what the user said before the model's last turn | this request finds what the one before it wrote, however many blocks a turn has: providers look back over 20 of them |
//! | behind what the user said last | the next request of the conversation finds all of it |
//!
//! - That makes four, which is the most that is taken. A request in which **the client** has placed any mark
//!   is left as it is: who marks knows what will come again, and more marks than four, or a short life before
//!   a long one, are refused.
//! - All live equally long, so that none is in another's way.
//! - The last two are placed only in a conversation that goes on: the model has spoken in it, or has tools to
//!   call. A single question is nobody's beginning, and writing it would cost a quarter more each time.
//! - What is too short to be cached has none. Tokens are guessed from bytes, on the side of too many: a mark
//!   that comes too early is ignored by the provider and costs nothing, one that is missing costs the cache.
//! - Reasoning, blank texts and what is not understood are never marked; nor are results within results of
//!   tools. A content that is a string is written as the one block that it stands for.
//!
//! It works on what is sent, whether that passes as it came or was translated: a few bytes are put in
//! ([`Insertion`]), and without them the request is what it was.
//!
//! <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>

#[cfg(test)]
mod laws;
mod stops;

use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_units::Protocol;

use crate::adapter::adapter;
use crate::conversation::{CacheTtl, Message, Tool};

pub(crate) use stops::stops;

/// How marks are placed for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptCaching {
    /// How long what is written lives: the short or the long life that the provider offers.
    pub ttl: CacheTtl,
    /// The fewest tokens of a prompt that the model caches.
    pub minimum_tokens: u64,
    /// Whether the model takes marks behind tools.
    pub marks_tools: bool,
}

/// A text that is put into a field at the root of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// The field's name.
    pub field: &'static str,
    /// How many bytes of its value stand before it.
    pub at: usize,
    /// The text.
    pub text: &'static str,
}

/// A request's fields, by name.
pub type FieldOf<'f, 'a> = &'f dyn Fn(&'static str) -> Option<Raw<'a>>;

/// What is to be put into a request, so that its prompt is cached; in the order in which a model reads it.
/// Nothing where the protocol has no marks, the client has placed some, or the prompt cannot be read.
///
/// ```
/// use weighbridge_protocol::json::{Raw, ScanLimits};
/// use weighbridge_translate::conversation::CacheTtl;
/// use weighbridge_translate::prompt_cache::{PromptCaching, place};
/// use weighbridge_units::Protocol::AnthropicMessages;
///
/// let body = format!(r#"{{"system": "{}", "messages": [{{"role": "user", "content": "Hi"}}]}}"#, "Be brief. ".repeat(400));
/// let root = Raw::parse(&body, &ScanLimits::default())?;
/// let caching = PromptCaching { ttl: CacheTtl::FiveMinutes, minimum_tokens: 1_024, marks_tools: true };
/// let placed = place(AnthropicMessages, &|name| root.get(name), &caching);
/// assert_eq!(placed[0].text, r#"[{"type":"text","text":"#);
/// assert_eq!(placed[1].text, r#","cache_control":{"type":"ephemeral"}}]"#);
/// assert_eq!((placed[0].field, placed.len()), ("system", 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn place(protocol: Protocol, field: FieldOf<'_, '_>, caching: &PromptCaching) -> Vec<Insertion> {
    adapter(protocol).place_cache_marks(field, caching)
}

/// A request that was written, with its marks.
pub(crate) fn marked(protocol: Protocol, request: Vec<u8>, caching: &PromptCaching) -> Vec<u8> {
    let text = std::str::from_utf8(&request).unwrap_or_default();
    let Ok(root) = Raw::parse(text, &ScanLimits::default()) else { return request };
    let placed = place(protocol, &|name| root.get(name), caching);
    let mut out = Vec::with_capacity(request.len() + placed.iter().map(|one| one.text.len()).sum::<usize>());
    let mut from = 0;
    let offset = |one: &Insertion| Some(offset_in(text, root.get(one.field)?.text())? + one.at);
    let mut places: Vec<(usize, &str)> =
        placed.iter().filter_map(|one| Some((offset(one)?, one.text))).collect();
    // The fields need not stand in the order in which a model reads them.
    places.sort_by_key(|(at, _)| *at);
    for (at, inserted) in places {
        out.extend_from_slice(request.get(from..at).unwrap_or_default());
        out.extend_from_slice(inserted.as_bytes());
        from = at;
    }
    out.extend_from_slice(request.get(from..).unwrap_or_default());
    out
}

/// How many bytes of a text stand before one of its slices.
fn offset_in(whole: &str, part: &str) -> Option<usize> {
    let offset = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (offset + part.len() <= whole.len()).then_some(offset)
}

/// What a model reads of a request, in this order.
#[derive(Debug, Default)]
pub(crate) struct Prompt<'a> {
    pub(crate) tools: Vec<Tool<'a>>,
    pub(crate) messages: Vec<Message<'a>>,
}

/// Puts texts at places of a request.
pub(crate) struct Inserter<'f, 'a> {
    /// The fields that hold the prompt.
    fields: Vec<(&'static str, Raw<'a>)>,
    field: FieldOf<'f, 'a>,
    placed: Vec<Insertion>,
}

impl<'f, 'a> Inserter<'f, 'a> {
    pub(crate) fn new(field: FieldOf<'f, 'a>) -> Self {
        Self { fields: Vec::new(), field, placed: Vec::new() }
    }

    /// A field, if it says something. Texts can be put into it from now on.
    pub(crate) fn read(&mut self, name: &'static str) -> Option<Raw<'a>> {
        let raw = (self.field)(name).filter(|raw| !raw.is_null())?;
        self.fields.push((name, raw));
        Some(raw)
    }

    /// Puts a text so many bytes behind the beginning of a value.
    pub(crate) fn insert(&mut self, value: Raw<'a>, at: usize, text: &'static str) {
        let within =
            self.fields.iter().find_map(|(name, raw)| Some((*name, offset_in(raw.text(), value.text())?)));
        if let Some((field, offset)) = within {
            self.placed.push(Insertion { field, at: offset + at, text });
        }
    }

    pub(crate) fn placed(self) -> Vec<Insertion> {
        self.placed
    }
}
