use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Kind, Raw};
use weighbridge_units::Protocol;

use super::arguments::ArgumentsProgress;
use super::reader::PartNumbers;
use crate::conversation::CallKind;
use crate::event::{SplitText, extras};
use crate::{Delta, Event, EventSink, FrameError, PartKind};

/// More calls than this in one answer is an attack on memory, not an answer.
const CALLS_MAX: usize = 1024;

/// How many bytes of arguments may come before the name of their call.
const NAMELESS_BYTES_MAX: usize = 64 * 1024;

/// One entry of `delta.tool_calls`.
#[derive(Debug)]
pub(super) struct Piece<'f> {
    index: Option<u64>,
    id: Cow<'f, str>,
    name: Cow<'f, str>,
    arguments: Option<Raw<'f>>,
    kind: CallKind,
}

impl<'f> Piece<'f> {
    pub(super) fn read(mut call: Fields<'f>, sink: &mut EventSink<'_>) -> Result<Self, FrameError> {
        let index = call.take("index")?.value();
        let id = call.take("id")?.value().unwrap_or_default();
        let _type: Option<Raw<'f>> = call.offer("type");
        let kind = CallKind::Function;
        let mut piece = Self { index, id, name: Cow::default(), arguments: None, kind };
        if let Some(function) = call.take::<Fields<'f>>("function")?.value() {
            piece.function(function, "arguments")?;
        } else if let Some(custom) = call.take::<Fields<'f>>("custom")?.value() {
            piece.kind = CallKind::Custom;
            piece.function(custom, "input")?;
        }
        extras(Protocol::OpenAiChat, "/choices/0/delta/tool_calls/0", call, sink);
        Ok(piece)
    }

    /// The one call of the older `function_call`, which has no id.
    pub(super) fn read_legacy(function: Fields<'f>) -> Result<Self, FrameError> {
        let mut piece = Self {
            index: Some(0),
            id: Cow::default(),
            name: Cow::default(),
            arguments: None,
            kind: CallKind::Function,
        };
        piece.function(function, "arguments")?;
        Ok(piece)
    }

    fn function(&mut self, mut function: Fields<'f>, arguments: &'static str) -> Result<(), FrameError> {
        self.name = function.take("name")?.value().unwrap_or_default();
        self.arguments = function.take(arguments)?.value();
        Ok(())
    }
}

/// The tool calls of one candidate.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: String,
    kind: CallKind,
    state: State,
    text: SplitText,
    progress: ArgumentsProgress,
}

#[derive(Debug)]
enum State {
    /// The name has not come; arguments wait for it.
    Nameless {
        arguments: String,
    },
    Open {
        part: u32,
    },
    Closed,
}

impl Calls {
    /// Takes one piece: it begins a call, or goes on with one.
    pub(super) fn piece(
        &mut self,
        piece: Piece<'_>,
        candidate: u32,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        let place = match self.find(&piece) {
            Some(place) => place,
            None if piece.index.is_none() && piece.id.is_empty() && piece.name.is_empty() => {
                return Err(FrameError::OutOfOrder("arguments of a tool call that never began"));
            }
            None if self.0.len() == CALLS_MAX => {
                return Err(FrameError::TooMuch("more than 1024 tool calls in one answer"));
            }
            None => {
                self.close_complete(sink)?;
                self.0.push(Call::new(&piece));
                self.0.len() - 1
            }
        };
        self.0.get_mut(place).map_or(Ok(()), |call| call.piece(piece, candidate, parts, sink))
    }

    /// The call that a piece goes on with. Newer calls are looked at first.
    ///
    /// The index names the call. Some providers leave it out, others give all calls the same: there, a
    /// new id together with a name begins a new call.
    fn find(&self, piece: &Piece<'_>) -> Option<usize> {
        if piece.index.is_some() {
            let place = self.0.iter().rposition(|call| call.index == piece.index)?;
            let call = self.0.get(place)?;
            let is_other =
                !piece.name.is_empty() && !piece.id.is_empty() && !call.id.is_empty() && piece.id != call.id;
            return (!is_other).then_some(place);
        }
        if !piece.id.is_empty() {
            return self.0.iter().rposition(|call| call.id == piece.id);
        }
        piece.name.is_empty().then(|| self.0.len().checked_sub(1)).flatten()
    }

    /// Closes the calls whose arguments are complete, because another part begins.
    pub(super) fn close_complete(&mut self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        self.0
            .iter_mut()
            .filter(|call| matches!(call.state, State::Open { .. }) && call.progress.is_complete())
            .try_for_each(|call| call.close(sink))
    }

    /// Closes every call, because the stream has ended.
    pub(super) fn close_all(&mut self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        self.0.iter_mut().try_for_each(|call| call.close(sink))
    }
}

impl Call {
    fn new(piece: &Piece<'_>) -> Self {
        Self {
            index: piece.index,
            id: piece.id.clone().into_owned(),
            kind: piece.kind,
            state: State::Nameless { arguments: String::new() },
            text: SplitText::default(),
            progress: ArgumentsProgress::default(),
        }
    }

    fn piece(
        &mut self,
        piece: Piece<'_>,
        candidate: u32,
        parts: &mut PartNumbers,
        sink: &mut EventSink<'_>,
    ) -> Result<(), FrameError> {
        if self.id.is_empty() && !piece.id.is_empty() {
            self.id = piece.id.clone().into_owned();
        }
        if let State::Nameless { arguments } = &mut self.state
            && !piece.name.is_empty()
        {
            let part = parts.next();
            let held = std::mem::take(arguments);
            let kind =
                PartKind::ToolCall { id: Cow::Owned(self.id.clone()), name: piece.name, kind: self.kind };
            sink(Event::Open { part, group: candidate, candidate, kind });
            if !held.is_empty() {
                sink(Event::Delta { part, delta: Delta::Arguments(Cow::Owned(held)) });
            }
            self.state = State::Open { part };
        }
        let Some(raw) = piece.arguments else { return Ok(()) };
        // Some servers send the object itself instead of its text in a string.
        let text = match raw.kind() {
            Kind::Object => Cow::Borrowed(raw.text()),
            _ => self.text.read(raw)?,
        };
        if text.is_empty() {
            return Ok(());
        }
        // Free text is never known to be complete.
        if self.kind == CallKind::Function {
            self.progress.feed(&text);
        }
        match &mut self.state {
            State::Open { part } => {
                sink(Event::Delta { part: *part, delta: Delta::Arguments(text) });
                Ok(())
            }
            State::Nameless { arguments } if arguments.len() + text.len() <= NAMELESS_BYTES_MAX => {
                arguments.push_str(&text);
                Ok(())
            }
            State::Nameless { .. } => Err(FrameError::TooMuch("arguments of a tool call without a name")),
            // White space after a complete value changes nothing.
            State::Closed if text.trim_ascii().is_empty() => Ok(()),
            State::Closed => Err(FrameError::OutOfOrder("arguments of a tool call that was complete")),
        }
    }

    fn close(&mut self, sink: &mut EventSink<'_>) -> Result<(), FrameError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open { .. } if !self.text.is_whole() => {
                Err(FrameError::Malformed("a tool call ends with half of a character".into()))
            }
            State::Open { part } => {
                sink(Event::Close { part });
                Ok(())
            }
            State::Nameless { arguments } if arguments.is_empty() && self.id.is_empty() => Ok(()),
            State::Nameless { .. } => Err(FrameError::OutOfOrder("a tool call without a name")),
            State::Closed => Ok(()),
        }
    }
}
