use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_protocol::json::Raw;
use weighbridge_translate::{ApiError, Frame, FrameRole, FrameScope, encode_stream_error};
use weighbridge_units::Protocol;

use crate::decoder::{Decoded, Decoder};
use crate::driver::Driver;
use crate::facts::{End, Facts, RelayState};
use crate::relay::RelayOptions;

/// Within one protocol, from another framing to server-sent events: what the frames say passes
/// untouched, and is weighed.
pub(crate) struct Reframe {
    decoder: Decoder,
    driver: Driver,
    /// What is written while one piece is read; its memory is used again for the next.
    written: Vec<u8>,
    protocol: Protocol,
    hide_usage: bool,
    request_id: String,
}

impl Reframe {
    pub(crate) fn new(options: &RelayOptions<'_>) -> Self {
        Self {
            decoder: Decoder::new(options.framing),
            driver: Driver::new(options.provider),
            written: Vec::new(),
            protocol: options.client,
            hide_usage: options.hide_usage,
            request_id: options.request_id.to_owned(),
        }
    }

    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut VecDeque<Bytes>) {
        if self.driver.state() != RelayState::Running {
            return;
        }
        let Self { decoder, driver, written, protocol, hide_usage, .. } = self;
        let decoded = decoder.push(chunk, &mut |decoded| match decoded {
            Decoded::Frame(frame) if driver.state() == RelayState::Running => {
                let role = driver.read(frame, FrameScope::Whole, &mut |_, _| Ok(()));
                let is_hidden = *hide_usage && role == FrameRole::UsageOnly;
                // A frame that cannot be read is replaced by our error; the provider's own error passes.
                if !is_hidden && (driver.state() != RelayState::Failed || driver.failed_in_band()) {
                    write(*protocol, frame, written);
                }
            }
            other => driver.take(other, &mut |_, _| Ok(())),
        });
        if let Err(error) = decoded {
            self.driver.fail_decoding(error);
        }
        self.hand_over(out);
    }

    pub(crate) fn finish(&mut self, cut: Option<ApiError>, out: &mut VecDeque<Bytes>) -> End {
        let was_running = self.driver.state() == RelayState::Running;
        if cut.is_none()
            && was_running
            && let Err(error) =
                self.decoder.finish(&mut |decoded| self.driver.take(decoded, &mut |_, _| Ok(())))
        {
            self.driver.fail_decoding(error);
        }
        let broken = self.driver.end(cut, &mut |_, _| Ok(())).err();
        match &broken {
            // Where the framing has an end of its own, providers leave the marker out.
            None if was_running && self.protocol == Protocol::OpenAiChat => {
                self.written.extend_from_slice(b"data: [DONE]\n\n");
            }
            None => {}
            Some(_) if self.driver.failed_in_band() => {}
            Some(error) => {
                self.written.extend(encode_stream_error(self.protocol, error, &self.request_id));
            }
        }
        self.hand_over(out);
        let facts = self.driver.facts().clone();
        match broken {
            None => End::Complete(facts),
            Some(error) => End::Broken(error, facts),
        }
    }

    fn hand_over(&mut self, out: &mut VecDeque<Bytes>) {
        if !self.written.is_empty() {
            out.push_back(Bytes::copy_from_slice(&self.written));
            self.written.clear();
            // One large piece must not pin its memory for the rest of a long stream.
            self.written.shrink_to(KEPT_CAPACITY);
        }
    }

    pub(crate) fn committed(&self) -> bool {
        self.driver.committed()
    }

    pub(crate) fn state(&self) -> RelayState {
        self.driver.state()
    }

    pub(crate) fn failure(&self) -> Option<&ApiError> {
        self.driver.failure()
    }

    pub(crate) fn facts(&self) -> &Facts {
        self.driver.facts()
    }
}

/// How much memory an idle relay keeps for the next piece, in bytes.
const KEPT_CAPACITY: usize = 4 * 1024;

/// Writes a frame as a server-sent event.
fn write(protocol: Protocol, frame: Frame<'_>, out: &mut Vec<u8>) {
    if let Some(name) = event_name(protocol, frame.data) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    // In JSON a line end is a blank, never content; clients read events of one line best.
    out.extend(frame.data.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(b"\n\n");
}

/// The name of an event, which protocols that name their events repeat in its `type`.
fn event_name(protocol: Protocol, data: &str) -> Option<String> {
    if protocol == Protocol::OpenAiChat {
        return None;
    }
    let name = Raw::parse(data, &Default::default()).ok()?.get("type")?.str().ok()?.into_owned();
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    is_name.then_some(name)
}
