use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_translate::openai_responses::kept::KeptAs;
use weighbridge_translate::{
    ApiError, Event, Frame, FrameRole, FrameScope, StreamTarget, StreamWriter, adapter, encode_stream_error,
};
use weighbridge_units::{ErrorClass, Loss, Protocol};

use crate::decoder::{Decoded, Decoder, Framing};
use crate::driver::Driver;
use crate::facts::{End, Facts, RelayState};
use crate::reframe;
use crate::relay::{BrokenOff, RelayOptions};
use crate::seam::Seam;

/// Between two protocols: frames become events, events become frames of the other kind.
///
/// What a piece completes leaves with that piece; only what the client's grammar forbids to send yet
/// is held, by the writer.
pub(crate) struct Bridge {
    decoder: Decoder,
    driver: Driver,
    writer: Box<dyn StreamWriter>,
    /// What is written while one piece is read; its memory is used again for the next.
    written: Vec<u8>,
    client: Protocol,
    request_id: String,
    /// Where another stream may follow.
    seam: Option<Box<Seam>>,
    /// Where frames pass as they came.
    passing: Option<Passing>,
}

/// Frames of the client's own protocol, which pass. The writer takes what they say all the same, so that it can go on.
struct Passing {
    hide_usage: bool,
    /// The frame in which the provider reported its failure.
    failed: Vec<u8>,
}

impl Bridge {
    pub(crate) fn new(options: &RelayOptions<'_>) -> Self {
        let target = StreamTarget {
            id_fallback: options.id_fallback,
            model_fallback: options.model_fallback,
            created: options.created,
            show_usage: options.show_usage,
            legacy_functions: options.legacy_functions,
            form: options.form,
        };
        Self {
            decoder: Decoder::new(options.framing),
            driver: Driver::new(options.provider),
            writer: adapter(options.client).stream_writer(&target),
            written: Vec::new(),
            client: options.client,
            request_id: options.request_id.to_owned(),
            seam: None,
            passing: None,
        }
    }

    pub(crate) fn resumable(options: &RelayOptions<'_>) -> Self {
        let passes = options.provider == options.client;
        Self {
            seam: Some(Box::default()),
            passing: passes.then(|| Passing { hide_usage: options.hide_usage, failed: Vec::new() }),
            ..Self::new(options)
        }
    }

    pub(crate) fn is_resumable(&self) -> bool {
        self.seam.is_some()
    }

    pub(crate) fn keep_as(&mut self, kept: KeptAs) {
        self.writer.keep_as(kept);
    }

    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut VecDeque<Bytes>) {
        if self.driver.state() != RelayState::Running {
            return;
        }
        let Self { decoder, driver, writer, written, seam, passing, client, .. } = self;
        let decoded = match (seam, passing) {
            (Some(seam), Some(passing)) => decoder.push(chunk, &mut |decoded| match decoded {
                Decoded::Frame(frame) => passing.pass(frame, *client, driver, &mut **writer, seam, written),
                other => driver.take(other, &mut |_, _| Ok(())),
            }),
            (Some(seam), None) => {
                let write = &mut |event: &Event<'_>, losses: &mut Vec<Loss>| {
                    seam.pass(event, &mut |event| writer.write(event, written, losses))
                };
                decoder.push(chunk, &mut |decoded| driver.take(decoded, write))
            }
            (None, _) => {
                let write =
                    &mut |event: &Event<'_>, losses: &mut Vec<Loss>| writer.write(event, written, losses);
                decoder.push(chunk, &mut |decoded| driver.take(decoded, write))
            }
        };
        if let Err(error) = decoded {
            self.driver.fail_decoding(error);
        }
        self.hand_over(out);
    }

    pub(crate) fn keep_alive(&mut self, out: &mut VecDeque<Bytes>) {
        let Self { driver, writer, written, .. } = self;
        driver.take(Decoded::Alive, &mut |event, losses| writer.write(event, written, losses));
        self.hand_over(out);
    }

    /// Nothing more comes. Gives why the stream is broken, if it is.
    fn settle(&mut self, cut: Option<ApiError>) -> Option<ApiError> {
        let Self { decoder, driver, writer, written, seam, passing, client, .. } = self;
        if let (Some(passing), Some(seam)) = (passing, &mut *seam) {
            if cut.is_none()
                && driver.state() == RelayState::Running
                && let Err(error) = decoder.finish(&mut |decoded| match decoded {
                    Decoded::Frame(frame) => {
                        passing.pass(frame, *client, driver, &mut **writer, seam, written);
                    }
                    other => driver.take(other, &mut |_, _| Ok(())),
                })
            {
                driver.fail_decoding(error);
            }
            return driver.end(cut, &mut |_, _| Ok(())).err();
        }
        let write = &mut |event: &Event<'_>, losses: &mut Vec<Loss>| match seam {
            Some(seam) => seam.pass(event, &mut |event| writer.write(event, written, losses)),
            None => writer.write(event, written, losses),
        };
        if cut.is_none()
            && driver.state() == RelayState::Running
            && let Err(error) = decoder.finish(&mut |decoded| driver.take(decoded, write))
        {
            driver.fail_decoding(error);
        }
        driver.end(cut, write).err()
    }

    pub(crate) fn finish(&mut self, cut: Option<ApiError>, out: &mut VecDeque<Bytes>) -> End {
        let broken = self.settle(cut);
        match &broken {
            // All of it has passed.
            None if self.passing.is_some() => {}
            None => self.writer.complete(&mut self.written, &mut self.driver.facts_mut().losses),
            Some(error) => {
                let said = self.passing.as_mut().map(|passing| std::mem::take(&mut passing.failed));
                match said.filter(|said| !said.is_empty()) {
                    Some(said) => self.written.extend(said),
                    None if self.writer.fail(error, &self.request_id, &mut self.written) => {}
                    None => {
                        self.written.extend(encode_stream_error(self.client, error, &self.request_id));
                    }
                }
            }
        }
        self.hand_over(out);
        let facts = self.driver.facts().clone();
        match broken {
            None => End::Complete(facts),
            Some(error) => End::Broken(error, facts),
        }
    }

    pub(crate) fn broken_off(
        &mut self,
        cut: Option<ApiError>,
        out: &mut VecDeque<Bytes>,
    ) -> Option<BrokenOff> {
        self.seam.as_ref().filter(|seam| seam.is_plain())?;
        let error = self.settle(cut)?;
        self.hand_over(out);
        let blameless =
            [ErrorClass::Server, ErrorClass::Overloaded, ErrorClass::Timeout, ErrorClass::RateLimit];
        let text = self.seam.as_ref()?.text().filter(|_| blameless.contains(&error.class))?.to_owned();
        Some(BrokenOff { error, facts: self.driver.facts().clone(), text })
    }

    pub(crate) fn resume(
        &mut self,
        provider: Protocol,
        framing: Framing,
        repeats: bool,
        out: &mut VecDeque<Bytes>,
    ) {
        let Some(seam) = self.seam.as_mut().filter(|seam| seam.is_plain()) else { return };
        seam.resume(repeats);
        self.passing = None;
        (self.decoder, self.driver) = (Decoder::new(framing), Driver::new(provider));
        // Google's SDKs take a comment for a chunk.
        if matches!(self.client, Protocol::OpenAiChat | Protocol::AnthropicMessages) {
            out.push_back(Bytes::from_static(b": resumed\n\n"));
        }
    }

    fn hand_over(&mut self, out: &mut VecDeque<Bytes>) {
        self.driver.facts_mut().held_events = self.writer.held_events();
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

/// How much memory an idle bridge keeps for the next piece, in bytes.
const KEPT_CAPACITY: usize = 4 * 1024;

impl Passing {
    fn pass(
        &mut self,
        frame: Frame<'_>,
        protocol: Protocol,
        driver: &mut Driver,
        writer: &mut dyn StreamWriter,
        seam: &mut Seam,
        out: &mut Vec<u8>,
    ) {
        if driver.state() != RelayState::Running {
            return;
        }
        let mut written = Vec::new();
        // What the writer cannot say has passed, so that nothing is lost; what it cannot take, nobody goes on from.
        let role = driver.read(frame, FrameScope::Whole, &mut |event, _| {
            seam.note(event);
            if seam.is_plain() && writer.write(event, &mut written, &mut Vec::new()).is_err() {
                seam.spoil();
            }
            Ok(())
        });
        let is_hidden = self.hide_usage && role == FrameRole::UsageOnly;
        match driver.state() {
            RelayState::Failed if driver.failed_in_band() => {
                reframe::write(protocol, frame, &mut self.failed)
            }
            RelayState::Failed => {}
            _ if is_hidden => {}
            _ => reframe::write(protocol, frame, out),
        }
    }
}
