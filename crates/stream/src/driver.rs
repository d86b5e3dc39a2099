use weighbridge_protocol::json::Raw;
use weighbridge_translate::{
    ApiError, Event, Frame, FrameError, FrameRole, FrameScope, StreamReader, adapter,
};
use weighbridge_units::{ErrorClass, Loss, Protocol};

use crate::decoder::{DecodeError, Decoded};
use crate::facts::{Facts, RelayState};

/// The one place that decides how a stream stands and how it ended.
///
/// A [`StreamReader`] interprets frames; the driver owns what is odd about them: frames that are
/// corrupt or unknown, errors in mid-stream, data after the end, an end that never comes. It keeps
/// the facts, and knows whether the commit point has passed.
pub(crate) struct Driver {
    provider: Protocol,
    reader: Box<dyn StreamReader>,
    state: RelayState,
    committed: bool,
    failure: Option<ApiError>,
    failed_in_band: bool,
    facts: Facts,
}

/// Where events go: the client's writer, or nowhere.
pub(crate) type EventSink<'s> = dyn FnMut(&Event<'_>, &mut Vec<Loss>) -> Result<(), FrameError> + 's;

impl Driver {
    pub(crate) fn new(provider: Protocol) -> Self {
        Self {
            provider,
            reader: adapter(provider).stream_reader(),
            state: RelayState::Running,
            committed: false,
            failure: None,
            failed_in_band: false,
            facts: Facts::default(),
        }
    }

    /// Takes what a decoder gives. Its events go to the facts and then to `sink`.
    pub(crate) fn take(&mut self, decoded: Decoded<'_>, sink: &mut EventSink<'_>) {
        match decoded {
            Decoded::Frame(frame) => {
                self.read(frame, FrameScope::Whole, sink);
            }
            Decoded::Alive => self.ping(sink),
            Decoded::Bare(json) => self.bare(json),
            Decoded::Failed(error) => self.fail(*error),
            Decoded::Unknown => self.facts.unknown_events += 1,
        }
    }

    /// Takes one frame as it is on the wire.
    pub(crate) fn frame(
        &mut self,
        name: Option<&[u8]>,
        data: &[u8],
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> FrameRole {
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        match std::str::from_utf8(data) {
            Ok(data) => self.read(Frame { name, data }, scope, sink),
            Err(_) => {
                self.fail_decoding(DecodeError::NotUtf8);
                FrameRole::Part
            }
        }
    }

    /// Takes one frame. Its events go to the facts and then to `sink`.
    pub(crate) fn read(
        &mut self,
        frame: Frame<'_>,
        scope: FrameScope,
        sink: &mut EventSink<'_>,
    ) -> FrameRole {
        if self.state != RelayState::Running {
            self.facts.unknown_events += 1;
            return FrameRole::Part;
        }
        let mut passing = Passing::new(&mut self.facts, &mut self.committed, sink);
        let role = self.reader.read(frame, scope, &mut |event| passing.pass(&event));
        let Passing { in_band, refused, .. } = passing;
        match (in_band, role, refused) {
            (Some(error), ..) => {
                self.failed_in_band = true;
                self.fail(error);
            }
            (None, Err(error), _) => self.fail_frame(&error.located(frame.data)),
            (None, _, Some(error)) => self.fail_frame(&error),
            (None, Ok(role), None) => {
                if role == FrameRole::Terminal {
                    self.state = RelayState::Ended;
                }
                return role;
            }
        }
        FrameRole::Part
    }

    /// Takes a JSON object from outside of the framing: the provider's error, or nothing that is known.
    pub(crate) fn bare(&mut self, json: &str) {
        if self.state != RelayState::Running {
            self.facts.unknown_events += 1;
            return;
        }
        let error = Raw::parse(json, &Default::default())
            .ok()
            .and_then(|raw| adapter(self.provider).decode_error(200, raw));
        match error {
            Some(error) => self.fail(error),
            None => self.facts.unknown_events += 1,
        }
    }

    /// A sign of life below the protocol.
    fn ping(&mut self, sink: &mut EventSink<'_>) {
        if self.state == RelayState::Running
            && let Err(error) = sink(&Event::Ping, &mut self.facts.losses)
        {
            self.fail_frame(&error);
        }
    }

    /// Nothing more comes. `Ok` where the answer is complete.
    pub(crate) fn end(&mut self, cut: Option<ApiError>, sink: &mut EventSink<'_>) -> Result<(), ApiError> {
        if self.state == RelayState::Running {
            match cut {
                Some(cut) => self.fail(cut),
                None => self.end_of_body(sink),
            }
        }
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn end_of_body(&mut self, sink: &mut EventSink<'_>) {
        let mut passing = Passing::new(&mut self.facts, &mut self.committed, sink);
        let is_end = self.reader.end_of_body(&mut |event| passing.pass(&event));
        match passing.refused {
            Some(error) => self.fail_frame(&error),
            None if is_end => self.state = RelayState::Ended,
            None => self.fail(broken("The provider's stream stopped before its end.".into())),
        }
    }

    /// The stream cannot be read further. Behind its end that changes nothing.
    pub(crate) fn fail(&mut self, error: ApiError) {
        if self.state == RelayState::Running {
            self.state = RelayState::Failed;
            self.failure = Some(error);
        }
    }

    /// The stream cannot be decoded further.
    pub(crate) fn fail_decoding(&mut self, error: impl Into<DecodeError>) {
        self.fail(broken(error.into().to_string()));
    }

    fn fail_frame(&mut self, error: &FrameError) {
        self.fail(broken(error.to_string()));
    }

    pub(crate) fn state(&self) -> RelayState {
        self.state
    }

    pub(crate) fn committed(&self) -> bool {
        self.committed
    }

    pub(crate) fn failure(&self) -> Option<&ApiError> {
        self.failure.as_ref()
    }

    /// Whether it was the provider that reported the failure, in a frame of its own.
    pub(crate) fn failed_in_band(&self) -> bool {
        self.failed_in_band
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn facts_mut(&mut self) -> &mut Facts {
        &mut self.facts
    }
}

/// The error of a stream that is broken through no fault of the request.
pub(crate) fn broken(message: String) -> ApiError {
    ApiError { class: ErrorClass::Server, status: 502, message, code: None, param: None }
}

/// Takes the events of one frame: to the facts first, then to the writer.
struct Passing<'d, 's> {
    facts: &'d mut Facts,
    committed: &'d mut bool,
    sink: &'d mut EventSink<'s>,
    /// The provider's own error: nothing after it counts.
    in_band: Option<ApiError>,
    /// The writer could not take an event.
    refused: Option<FrameError>,
}

impl<'d, 's> Passing<'d, 's> {
    fn new(facts: &'d mut Facts, committed: &'d mut bool, sink: &'d mut EventSink<'s>) -> Self {
        Self { facts, committed, sink, in_band: None, refused: None }
    }

    fn pass(&mut self, event: &Event<'_>) {
        if self.in_band.is_some() || self.refused.is_some() {
            return;
        }
        self.note(event);
        if self.in_band.is_none() {
            self.refused = (self.sink)(event, &mut self.facts.losses).err();
        }
    }

    fn note(&mut self, event: &Event<'_>) {
        let facts = &mut *self.facts;
        match event {
            Event::Start { id, model, .. } => {
                facts.id = facts.id.take().or_else(|| Some(id.as_ref()?.to_string()));
                facts.model = facts.model.take().or_else(|| Some(model.as_ref()?.to_string()));
            }
            Event::Open { .. } => *self.committed = true,
            Event::Delta { delta, .. } => facts.output_bytes += delta.content_bytes(),
            Event::Finish { candidate, reason } => {
                *self.committed = true;
                if *candidate == 0 {
                    facts.finish = Some(reason.clone());
                }
            }
            Event::Usage(usage) => facts.usage.get_or_insert_default().update(usage),
            Event::ServiceTier(tier) => facts.service_tier = Some(tier.to_string()),
            Event::Raw { .. } => facts.unknown_events += 1,
            Event::Failed(error) => self.in_band = Some(error.clone()),
            Event::Close { .. }
            | Event::Logprobs { .. }
            | Event::StopDetails { .. }
            | Event::Extra { .. }
            | Event::Ping => {}
        }
    }
}
