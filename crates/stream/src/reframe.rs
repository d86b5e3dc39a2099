use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_protocol::json::Raw;
use weighbridge_translate::{
    ApiError, Frame, FrameRole, FrameScope, StreamForm, encode_error, encode_stream_error, keep_alive,
};
use weighbridge_units::Protocol;

use crate::decoder::{Decoded, Decoder};
use crate::driver::Driver;
use crate::facts::{End, Facts, RelayState};
use crate::relay::RelayOptions;

/// Within one protocol, from another framing to that of the client: what the frames say passes
/// untouched, and is weighed.
pub(crate) struct Reframe {
    decoder: Decoder,
    driver: Driver,
    /// What is written while one piece is read; its memory is used again for the next.
    written: Vec<u8>,
    protocol: Protocol,
    form: StreamForm,
    /// Whether a frame was written: from then on, an array is open.
    has_frames: bool,
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
            form: options.form,
            has_frames: false,
            hide_usage: options.hide_usage,
            request_id: options.request_id.to_owned(),
        }
    }

    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut VecDeque<Bytes>) {
        if self.driver.state() != RelayState::Running {
            return;
        }
        let Self { decoder, driver, written, protocol, form, has_frames, hide_usage, .. } = self;
        let decoded = decoder.push(chunk, &mut |decoded| match decoded {
            Decoded::Frame(frame) if driver.state() == RelayState::Running => {
                let role = driver.read(frame, FrameScope::Whole, &mut |_, _| Ok(()));
                let is_hidden = *hide_usage && role == FrameRole::UsageOnly;
                // A frame that cannot be read is replaced by our error; the provider's own error passes.
                if !is_hidden && (driver.state() != RelayState::Failed || driver.failed_in_band()) {
                    match form {
                        StreamForm::Events => write(*protocol, frame, written),
                        StreamForm::JsonArray => element(frame.data.as_bytes(), has_frames, written),
                    }
                }
            }
            other => driver.take(other, &mut |_, _| Ok(())),
        });
        if let Err(error) = decoded {
            self.driver.fail_decoding(error);
        }
        self.hand_over(out);
    }

    pub(crate) fn keep_alive(&mut self, out: &mut VecDeque<Bytes>) {
        // Frames are written whole: this is always between two of them.
        if self.driver.state() == RelayState::Running {
            self.written.extend_from_slice(keep_alive(self.protocol));
            self.hand_over(out);
        }
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
            Some(error) if self.form == StreamForm::JsonArray => {
                let (_, body) = encode_error(self.protocol, error, &self.request_id);
                element(&body, &mut self.has_frames, &mut self.written);
            }
            Some(error) => {
                self.written.extend(encode_stream_error(self.protocol, error, &self.request_id));
            }
        }
        if self.form == StreamForm::JsonArray {
            self.written.extend_from_slice(if self.has_frames { b"]\r\n" } else { b"[]\r\n" });
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
pub(crate) fn write(protocol: Protocol, frame: Frame<'_>, out: &mut Vec<u8>) {
    if let Some(name) = event_name(protocol, frame) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    // In JSON a line end is a blank, never content; clients read events of one line best.
    out.extend(frame.data.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(b"\n\n");
}

/// Writes a frame as the next element of an array.
fn element(data: &[u8], has_frames: &mut bool, out: &mut Vec<u8>) {
    out.push(if std::mem::replace(has_frames, true) { b',' } else { b'[' });
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The name of an event, which protocols that name their events repeat in its `type`; but for Converse,
/// where the framing alone has it.
fn event_name(protocol: Protocol, frame: Frame<'_>) -> Option<String> {
    let name = match protocol {
        Protocol::OpenAiChat => return None,
        Protocol::BedrockConverse => frame.name?.to_owned(),
        _ => Raw::parse(frame.data, &Default::default()).ok()?.get("type")?.str().ok()?.into_owned(),
    };
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    is_name.then_some(name)
}
