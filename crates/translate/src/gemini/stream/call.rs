use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Raw};

use super::partial_args::PartialArgs;
use crate::conversation::CallKind;
use crate::{Delta, Event, EventSink, FrameError, PartKind};

/// A `functionCall` as one chunk has it: whole, or a piece of what Vertex AI streams.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    id: Cow<'a, str>,
    arguments: Option<Raw<'a>>,
    partial: Vec<Raw<'a>>,
    goes_on: bool,
}

impl<'a> Piece<'a> {
    pub(super) fn read(call: Raw<'a>) -> Result<Self, FrameError> {
        let mut fields = Fields::read(call)?;
        Ok(Self {
            name: fields.take("name")?.value(),
            id: fields.take("id")?.value().unwrap_or_default(),
            arguments: fields.take("args")?.value(),
            partial: fields.take("partialArgs")?.value().unwrap_or_default(),
            goes_on: fields.take("willContinue")?.value().unwrap_or(false),
        })
    }
}

/// A call that more is to come of.
#[derive(Debug)]
pub(super) struct OpenCall {
    part: u32,
    arguments: PartialArgs,
}

impl OpenCall {
    /// A call begins; `None` where it is whole already.
    pub(super) fn begin(
        part: u32,
        candidate: u32,
        piece: Piece<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<Option<Self>, FrameError> {
        let kind = PartKind::ToolCall {
            id: piece.id.clone(),
            name: piece.name.clone().unwrap_or_default(),
            kind: CallKind::Function,
        };
        sink(Event::Open { part, group: candidate, candidate, kind });
        if piece.goes_on || !piece.partial.is_empty() {
            return Self { part, arguments: PartialArgs::default() }.go_on(&piece, sink);
        }
        let arguments = piece.arguments.map_or("{}", Raw::text);
        sink(Event::Delta { part, delta: Delta::Arguments(Cow::Borrowed(arguments)) });
        sink(Event::Close { part });
        Ok(None)
    }

    /// More of the call; `None` where it is whole now.
    pub(super) fn go_on(
        mut self,
        piece: &Piece<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<Option<Self>, FrameError> {
        for value in &piece.partial {
            let text = self.arguments.push(*value)?;
            sink(Event::Delta { part: self.part, delta: Delta::Arguments(Cow::Owned(text)) });
        }
        if piece.goes_on {
            return Ok(Some(self));
        }
        self.end(sink);
        Ok(None)
    }

    /// Nothing more comes of the call.
    pub(super) fn end(self, sink: &mut EventSink<'_>) {
        let rest = self.arguments.finish();
        sink(Event::Delta { part: self.part, delta: Delta::Arguments(Cow::Owned(rest)) });
        sink(Event::Close { part: self.part });
    }
}
