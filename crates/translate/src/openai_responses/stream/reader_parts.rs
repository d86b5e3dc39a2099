use std::borrow::Cow;

use weighbridge_protocol::json::Raw;

use super::reader::PROTOCOL;
use crate::conversation::{Citation, TokenLogprob};
use crate::event::{SplitText, says_nothing};
use crate::{Content, Delta, Event, EventSink, FrameError, Part, PartKind, adapter};

/// What kind of part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Refusal,
    Call,
    Reasoning,
}

impl Kind {
    /// The kind of a whole part; `None` where it never comes in pieces.
    pub(super) fn of(content: &Content<'_>) -> Option<Self> {
        match content {
            Content::Text(_) => Some(Self::Text),
            Content::Refusal(_) => Some(Self::Refusal),
            Content::ToolCall(_) => Some(Self::Call),
            Content::Reasoning(_) => Some(Self::Reasoning),
            _ => None,
        }
    }
}

/// A part of which pieces have come.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) place: u64,
    pub(super) part: u32,
    pub(super) kind: Kind,
    pub(super) is_open: bool,
    /// Whether any of its text has come.
    pub(super) any: bool,
    text: SplitText,
    citations: usize,
    pub(super) tokens: usize,
}

impl Written {
    pub(super) fn new(place: u64, part: u32, kind: Kind) -> Self {
        let text = SplitText::default();
        Self { place, part, kind, is_open: true, any: false, text, citations: 0, tokens: 0 }
    }

    /// More text of it, as `delta` says it.
    pub(super) fn more(
        &mut self,
        raw: Raw<'_>,
        delta: impl FnOnce(Cow<'_, str>) -> Delta<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        if !self.is_open {
            return Err(FrameError::OutOfOrder("more of a part that was whole"));
        }
        let text = self.text.read(raw)?;
        if !text.is_empty() {
            self.any = true;
            sink(Event::Delta { part: self.part, delta: delta(text) });
        }
        Ok(())
    }

    pub(super) fn close(&mut self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        if !self.text.is_whole() {
            return Err(FrameError::Malformed("a part ends with half of a character".into()));
        }
        if std::mem::take(&mut self.is_open) {
            sink(Event::Close { part: self.part });
        }
        Ok(())
    }
}

pub(super) fn open_part(
    next_part: &mut u32,
    called: &mut bool,
    index: u64,
    kind: PartKind<'_>,
    sink: &mut EventSink<'_>,
) -> u32 {
    let part = *next_part;
    *next_part = part.wrapping_add(1);
    *called |= matches!(kind, PartKind::ToolCall { .. });
    let group = u32::try_from(index).unwrap_or(u32::MAX);
    sink(Event::Open { part, group, candidate: 0, kind });
    part
}

/// Tells what the whole part says and its pieces did not.
pub(super) fn complete(
    written: &mut Written,
    whole: Option<&Part<'_>>,
    tokens: Vec<TokenLogprob<'_>>,
    sink: &mut EventSink<'_>,
) {
    // An item that ends as something else than it began says nothing that fits.
    let fits = |part: &&Part<'_>| written.is_open && Kind::of(&part.content) == Some(written.kind);
    let Some(whole) = whole.filter(fits) else { return };
    if written.tokens == 0 {
        tell_tokens(written, tokens, sink);
    }
    let delta = match &whole.content {
        Content::Text(text) => Delta::Text(Cow::Borrowed(text.text.as_ref())),
        Content::Refusal(text) => Delta::Text(Cow::Borrowed(text.as_ref())),
        Content::ToolCall(call) => Delta::Arguments(Cow::Borrowed(call.arguments.as_ref())),
        _ => return,
    };
    if !written.any && delta.content_bytes() > 0 {
        written.any = true;
        sink(Event::Delta { part: written.part, delta });
    }
    if let Content::Text(text) = &whole.content {
        for citation in text.citations.iter().skip(written.citations) {
            tell_citation(written, citation.clone(), sink);
        }
    }
}

pub(super) fn text(more: Cow<'_, str>) -> Delta<'_> {
    Delta::Text(more)
}

pub(super) fn arguments(more: Cow<'_, str>) -> Delta<'_> {
    Delta::Arguments(more)
}

pub(super) fn tell_tokens<'t>(
    written: &mut Written,
    tokens: Vec<TokenLogprob<'t>>,
    sink: &mut EventSink<'_>,
) {
    if !tokens.is_empty() {
        written.tokens += tokens.len();
        sink(Event::Logprobs { candidate: 0, tokens });
    }
}

pub(super) fn tell_citation(written: &mut Written, citation: Citation<'_>, sink: &mut EventSink<'_>) {
    written.citations += 1;
    sink(Event::Delta { part: written.part, delta: Delta::Citation(citation) });
}

pub(super) fn tell_summary(part: u32, summary: &[Cow<'_, str>], told: usize, sink: &mut EventSink<'_>) {
    for (piece, text) in (0_u32..).zip(summary).skip(told) {
        let delta = Delta::Summary { piece, text: Cow::Borrowed(text.as_ref()) };
        sink(Event::Delta { part, delta });
    }
}

/// Reports the fields of an item that no event expresses.
pub(super) fn tell_extras(parts: &[Part<'_>], sink: &mut EventSink<'_>) {
    for (name, value) in parts.iter().flat_map(|part| part.bag.iter()) {
        if !says_nothing(value) && !adapter(PROTOCOL).is_default(name, value) {
            sink(Event::Extra { under: "/item", name: Cow::Borrowed(name), text: value.text() });
        }
    }
}
