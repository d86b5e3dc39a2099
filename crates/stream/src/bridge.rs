use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_translate::openai_responses::kept::KeptAs;
use weighbridge_translate::{ApiError, Event, StreamTarget, StreamWriter, adapter, encode_stream_error};
use weighbridge_units::{Loss, Protocol};

use crate::decoder::{Decoded, Decoder};
use crate::driver::Driver;
use crate::facts::{End, Facts, RelayState};
use crate::relay::RelayOptions;

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
        }
    }

    pub(crate) fn keep_as(&mut self, kept: KeptAs) {
        self.writer.keep_as(kept);
    }

    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut VecDeque<Bytes>) {
        if self.driver.state() != RelayState::Running {
            return;
        }
        let Self { decoder, driver, writer, written, .. } = self;
        let write = &mut |event: &Event<'_>, losses: &mut Vec<Loss>| writer.write(event, written, losses);
        let decoded = decoder.push(chunk, &mut |decoded| driver.take(decoded, write));
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

    pub(crate) fn finish(&mut self, cut: Option<ApiError>, out: &mut VecDeque<Bytes>) -> End {
        let Self { decoder, driver, writer, written, .. } = self;
        let write = &mut |event: &Event<'_>, losses: &mut Vec<Loss>| writer.write(event, written, losses);
        if cut.is_none()
            && driver.state() == RelayState::Running
            && let Err(error) = decoder.finish(&mut |decoded| driver.take(decoded, write))
        {
            driver.fail_decoding(error);
        }
        let broken = driver.end(cut, write).err();
        match &broken {
            None => self.writer.complete(&mut self.written, &mut self.driver.facts_mut().losses),
            Some(error) => {
                if !self.writer.fail(error, &self.request_id, &mut self.written) {
                    self.written.extend(encode_stream_error(self.client, error, &self.request_id));
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
