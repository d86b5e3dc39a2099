use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Raw};

use super::reader::Address;
use super::reader_parts::{
    Kind, Written, arguments, complete, open_part, tell_citation, tell_extras, tell_summary, tell_tokens,
    text,
};
use crate::conversation::{CallKind, TokenLogprob};
use crate::event::says_nothing;
use crate::openai_responses::output_encode::is_made_up;
use crate::openai_responses::{citations, items_decode, logprobs};
use crate::{Content, Delta, Event, EventSink, FrameError, Part, PartKind};

/// More items than this in one answer is an attack on memory, not an answer.
const ITEMS_MAX: usize = 4096;

/// More parts than this in one message is the same.
const PARTS_MAX: usize = 4096;

/// The items of an answer, as they come.
#[derive(Debug, Default)]
pub(super) struct Items {
    open: Vec<Item>,
    /// Places of the items that are whole.
    done: Vec<u64>,
    next_part: u32,
    called: bool,
}

#[derive(Debug)]
struct Item {
    index: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its parts in the order in which they came. Their places need not be counted from 0.
    Message(Vec<Written>),
    Call(Written),
    Reasoning {
        id: Option<String>,
        /// It opens with the first of its text, or is whole at its end.
        written: Option<Written>,
        pieces: u64,
    },
    /// It is whole at its end.
    Other,
}

impl Items {
    /// Whether a tool of the client's was called.
    pub(super) fn called(&self) -> bool {
        self.called
    }

    pub(super) fn added(
        &mut self,
        index: u64,
        raw: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let mut fields = Fields::read(raw)?;
        let state = match fields.variant("type").as_deref() {
            Some("message") => State::Message(Vec::new()),
            Some("reasoning") => {
                let id = fields.offer::<String>("id").filter(|id| !is_made_up(id));
                State::Reasoning { id, written: None, pieces: 0 }
            }
            Some(kind @ ("function_call" | "custom_tool_call")) => {
                let kind = if kind == "function_call" { CallKind::Function } else { CallKind::Custom };
                let id = fields.offer("call_id").unwrap_or_default();
                match fields.offer::<Cow<'_, str>>("name") {
                    Some(name) => {
                        let name = items_decode::original(name);
                        let part = self.open_part(index, PartKind::ToolCall { id, name, kind }, sink);
                        State::Call(Written::new(0, part, Kind::Call))
                    }
                    None => State::Other,
                }
            }
            _ => State::Other,
        };
        self.insert(index, state)?;
        Ok(())
    }

    fn insert(&mut self, index: u64, state: State) -> Result<&mut State, FrameError> {
        if self.done.contains(&index) || self.open.iter().any(|item| item.index == index) {
            return Err(FrameError::OutOfOrder("an item begins in the place of another"));
        }
        if self.open.len() + self.done.len() >= ITEMS_MAX {
            return Err(FrameError::TooMuch("more than 4096 items in one answer"));
        }
        self.open.push(Item { index, state });
        match self.open.last_mut() {
            Some(item) => Ok(&mut item.state),
            None => Err(FrameError::OutOfOrder("an item is missing")),
        }
    }

    /// The item in a place; one that did not begin properly begins as `state` says.
    fn item(&mut self, index: u64, state: impl FnOnce() -> State) -> Result<&mut State, FrameError> {
        match self.open.iter().rposition(|item| item.index == index) {
            Some(place) => match self.open.get_mut(place) {
                Some(item) => Ok(&mut item.state),
                None => Err(FrameError::OutOfOrder("an item is missing")),
            },
            None => self.insert(index, state()),
        }
    }

    fn open_part(&mut self, index: u64, kind: PartKind<'_>, sink: &mut EventSink<'_>) -> u32 {
        open_part(&mut self.next_part, &mut self.called, index, kind, sink)
    }

    pub(super) fn part_added(
        &mut self,
        at: Address,
        raw: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let kind = match raw.get("type").and_then(|kind| kind.str().ok()).as_deref() {
            Some("output_text") => Kind::Text,
            Some("refusal") => Kind::Refusal,
            // Of reasoning, or of a kind that is not known: it comes with its item.
            _ => return Ok(()),
        };
        self.written(at, kind, sink)?;
        Ok(())
    }

    /// The part of a message in a place, which begins if it has not; `None` where the item is none.
    fn written(
        &mut self,
        at: Address,
        kind: Kind,
        sink: &mut EventSink<'_>,
    ) -> Result<Option<&mut Written>, FrameError> {
        let (mut next_part, mut called) = (self.next_part, self.called);
        let State::Message(parts) = self.item(at.item, || State::Message(Vec::new()))? else {
            return Ok(None);
        };
        let place = match parts.iter().rposition(|part| part.place == at.part) {
            Some(place) => place,
            None if parts.len() == PARTS_MAX => {
                return Err(FrameError::TooMuch("more than 4096 parts in one message"));
            }
            None => {
                let opened = if kind == Kind::Refusal { PartKind::Refusal } else { PartKind::Text };
                let part = open_part(&mut next_part, &mut called, at.item, opened, sink);
                parts.push(Written::new(at.part, part, kind));
                parts.len() - 1
            }
        };
        self.next_part = next_part;
        // Borrowed anew: the number of the next part had to be written back.
        match self.open.iter_mut().rev().find(|item| item.index == at.item).map(|item| &mut item.state) {
            Some(State::Message(parts)) => Ok(parts.get_mut(place)),
            _ => Ok(None),
        }
    }

    pub(super) fn said(
        &mut self,
        at: Address,
        kind: Kind,
        delta: Raw<'_>,
        tokens: Option<Raw<'_>>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let Some(written) = self.written(at, kind, sink)? else { return Ok(()) };
        if let Some(tokens) = tokens.and_then(|list| logprobs::read(list).ok()) {
            tell_tokens(written, tokens, sink);
        }
        written.more(delta, text, sink)
    }

    pub(super) fn cited(
        &mut self,
        at: Address,
        raw: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let Some(written) = self.written(at, Kind::Text, sink)? else { return Ok(()) };
        if let Ok(citation) = citations::annotation(raw) {
            tell_citation(written, citation, sink);
        }
        Ok(())
    }

    pub(super) fn part_done(
        &mut self,
        at: Address,
        raw: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let kind = match raw.get("type").and_then(|kind| kind.str().ok()).as_deref() {
            Some("output_text") => Kind::Text,
            Some("refusal") => Kind::Refusal,
            _ => return Ok(()),
        };
        let mut tokens = Vec::new();
        let whole = items_decode::output_part(raw, &mut tokens);
        let Some(written) = self.written(at, kind, sink)? else { return Ok(()) };
        complete(written, whole.as_ref(), tokens, sink);
        written.close(sink)
    }

    pub(super) fn called_with(
        &mut self,
        index: u64,
        delta: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        match self.item(index, || State::Other)? {
            State::Call(written) => written.more(delta, arguments, sink),
            // Without its name: the whole call comes at its end.
            _ => Ok(()),
        }
    }

    pub(super) fn reasoned(
        &mut self,
        index: u64,
        delta: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        match self.reasoning(index, delta, sink)? {
            Some((written, _)) => written.more(delta, text, sink),
            None => Ok(()),
        }
    }

    pub(super) fn summarised(
        &mut self,
        index: u64,
        piece: u64,
        delta: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let Some((written, pieces)) = self.reasoning(index, delta, sink)? else { return Ok(()) };
        if piece + 1 < *pieces {
            return Err(FrameError::OutOfOrder("more of a piece of a summary that was whole"));
        }
        // Pieces are numbered from 0 without gaps, whatever the server does.
        let number = if piece < *pieces { pieces.saturating_sub(1) } else { *pieces };
        *pieces = number + 1;
        let number = u32::try_from(number).map_err(|_| FrameError::TooMuch("pieces of a summary"))?;
        let any = written.any;
        let result = written.more(delta, |text| Delta::Summary { piece: number, text }, sink);
        // `any` is about the text itself.
        written.any = any;
        result
    }

    /// The reasoning in a place, opened; `None` where the item is none, or nothing is said of it yet.
    fn reasoning(
        &mut self,
        index: u64,
        delta: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<Option<(&mut Written, &mut u64)>, FrameError> {
        let mut next_part = self.next_part;
        let begin = || State::Reasoning { id: None, written: None, pieces: 0 };
        let State::Reasoning { id, written, .. } = self.item(index, begin)? else { return Ok(None) };
        if written.is_none() {
            if says_nothing(delta) {
                return Ok(None);
            }
            let kind = PartKind::Reasoning { id: id.as_deref().map(Cow::Borrowed) };
            let part = open_part(&mut next_part, &mut false, index, kind, sink);
            *written = Some(Written::new(0, part, Kind::Reasoning));
        }
        self.next_part = next_part;
        match self.open.iter_mut().rev().find(|item| item.index == index).map(|item| &mut item.state) {
            Some(State::Reasoning { written: Some(written), pieces, .. }) => Ok(Some((written, pieces))),
            _ => Ok(None),
        }
    }

    /// An item is whole: what of it did not come in pieces is told now.
    pub(super) fn done(
        &mut self,
        index: u64,
        raw: Raw<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        if self.done.contains(&index) {
            return Err(FrameError::OutOfOrder("an item ends twice"));
        }
        let state = match self.open.iter().position(|item| item.index == index) {
            Some(place) => self.open.remove(place).state,
            None => State::Other,
        };
        if self.open.len() + self.done.len() >= ITEMS_MAX {
            return Err(FrameError::TooMuch("more than 4096 items in one answer"));
        }
        self.done.push(index);
        let mut tokens = Vec::new();
        let mut parts = Vec::new();
        items_decode::output_item(raw, &mut tokens, &mut parts);
        self.reconcile(index, state, parts, tokens, sink)
    }

    fn reconcile(
        &mut self,
        index: u64,
        state: State,
        parts: Vec<Part<'_>>,
        mut tokens: Vec<TokenLogprob<'_>>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        tell_extras(&parts, sink);
        match state {
            State::Message(mut written) => {
                let told = written.iter().any(|part| part.tokens > 0);
                for (place, part) in parts.iter().enumerate() {
                    // Where none were told, all belong to the first text: their order is what counts.
                    let tokens = if told { Vec::new() } else { std::mem::take(&mut tokens) };
                    match written.get_mut(place) {
                        Some(written) if written.is_open => complete(written, Some(part), tokens, sink),
                        Some(_) => {}
                        None => self.whole(index, part, tokens, sink),
                    }
                }
                written.iter_mut().try_for_each(|written| written.close(sink))
            }
            State::Call(mut written) => {
                complete(&mut written, parts.first(), Vec::new(), sink);
                written.close(sink)
            }
            State::Reasoning { id, written: Some(mut written), pieces } => {
                if let Some(Part { content: Content::Reasoning(whole), .. }) = parts.first() {
                    if !written.any && !whole.text.is_empty() {
                        let delta = Delta::Text(Cow::Borrowed(whole.text.as_ref()));
                        sink(Event::Delta { part: written.part, delta });
                    }
                    let told = usize::try_from(pieces).unwrap_or(usize::MAX);
                    tell_summary(written.part, &whole.summary, told, sink);
                    // One that only the encrypted content tells is known no sooner.
                    if let Some(own) = whole.id.as_deref().filter(|own| id.as_deref() != Some(*own)) {
                        let delta = Delta::Id(Cow::Borrowed(own));
                        sink(Event::Delta { part: written.part, delta });
                    }
                    if let Some(proof) = &whole.proof {
                        sink(Event::Delta { part: written.part, delta: Delta::Proof(proof.clone()) });
                    }
                }
                written.close(sink)
            }
            State::Reasoning { written: None, .. } | State::Other => {
                for part in &parts {
                    self.whole(index, part, std::mem::take(&mut tokens), sink);
                }
                Ok(())
            }
        }
    }

    /// Tells a part of which nothing came in pieces.
    fn whole(
        &mut self,
        index: u64,
        part: &Part<'_>,
        tokens: Vec<TokenLogprob<'_>>,
        sink: &mut EventSink<'_>,
    ) {
        let kind = match &part.content {
            Content::Text(_) => PartKind::Text,
            Content::Refusal(_) => PartKind::Refusal,
            Content::ToolCall(call) => PartKind::ToolCall {
                id: Cow::Borrowed(&call.id),
                name: Cow::Borrowed(&call.name),
                kind: call.kind,
            },
            Content::Reasoning(reasoning) => {
                PartKind::Reasoning { id: reasoning.id.as_deref().map(Cow::Borrowed) }
            }
            Content::Image(image) => PartKind::Image {
                media_type: Cow::Borrowed(image.source.media_type().unwrap_or("image/png")),
            },
            Content::Unknown { name, raw } => {
                PartKind::Unknown { name: Cow::Borrowed(name), text: raw.text() }
            }
            // Nothing else comes from an answer's items.
            _ => return,
        };
        let number = self.open_part(index, kind, sink);
        match &part.content {
            Content::Reasoning(reasoning) => {
                if !reasoning.text.is_empty() {
                    let delta = Delta::Text(Cow::Borrowed(reasoning.text.as_ref()));
                    sink(Event::Delta { part: number, delta });
                }
                tell_summary(number, &reasoning.summary, 0, sink);
                if let Some(proof) = &reasoning.proof {
                    sink(Event::Delta { part: number, delta: Delta::Proof(proof.clone()) });
                }
            }
            Content::Image(image) => {
                if let crate::conversation::MediaSource::Base64 { data, .. } = &image.source {
                    sink(Event::Delta { part: number, delta: Delta::Data(Cow::Borrowed(data)) });
                }
            }
            content => {
                if let Some(kind) = Kind::of(content) {
                    complete(&mut Written::new(0, number, kind), Some(part), tokens, sink);
                }
            }
        }
        sink(Event::Close { part: number });
    }

    /// The answer ends: what is still open is closed. `output` repeats the items; it counts for those
    /// that have not ended, and where none came at all.
    pub(super) fn end(
        &mut self,
        output: Option<Raw<'_>>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let none_came = self.open.is_empty() && self.done.is_empty();
        for (index, raw) in output.and_then(|list| list.items().ok()).into_iter().flatten().enumerate() {
            let index = index as u64;
            if none_came || self.open.iter().any(|item| item.index == index && item.state.is_of(raw)) {
                self.done(index, raw, sink)?;
            }
        }
        for item in std::mem::take(&mut self.open) {
            self.reconcile(item.index, item.state, Vec::new(), Vec::new(), sink)?;
        }
        Ok(())
    }
}

impl State {
    /// Whether an item is of this kind.
    fn is_of(&self, raw: Raw<'_>) -> bool {
        let kind = raw.get("type").and_then(|kind| kind.str().ok());
        match self {
            Self::Message(_) => kind.as_deref() == Some("message"),
            Self::Call(_) => matches!(kind.as_deref(), Some("function_call" | "custom_tool_call")),
            Self::Reasoning { .. } => kind.as_deref() == Some("reasoning"),
            Self::Other => true,
        }
    }
}
