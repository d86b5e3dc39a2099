mod skim;

use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_translate::{ApiError, FrameRole, FrameScope, encode_stream_error, keep_alive};
use weighbridge_units::Protocol;

use crate::driver::Driver;
use crate::facts::{End, Facts, RelayState};
use crate::relay::RelayOptions;
use crate::sse::{Bare, Block, Framer, SseLimits, without_bom};

/// Pass-through with metering: the provider's bytes leave as they came, as slices of the pieces they
/// came in, while usage, finish and errors are read beside them.
///
/// Until the commit point every frame is parsed. After it only those are in which a few byte strings
/// say that there is something to learn.
///
/// Bytes leave at once. Only while usage is hidden is the beginning of a frame withheld until the
/// frame is whole, because it could be the one to hide.
pub(crate) struct Tee {
    framer: Framer,
    driver: Driver,
    protocol: Protocol,
    hide_usage: bool,
    /// Whether the last frame was hidden: so is what still belongs to its line end.
    last_hidden: bool,
    /// Nothing was read yet: a byte order mark may come.
    start: bool,
    bare: Bare,
    request_id: String,
}

impl Tee {
    pub(crate) fn new(options: &RelayOptions<'_>) -> Self {
        Self {
            framer: Framer::new(SseLimits::default()),
            driver: Driver::new(options.provider),
            protocol: options.provider,
            hide_usage: options.hide_usage,
            last_hidden: false,
            start: true,
            bare: Bare::new(&SseLimits::default()),
            request_id: options.request_id.to_owned(),
        }
    }

    pub(crate) fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        // How much of the chunk was read, and how much was sent or hidden.
        let (mut read, mut sent) = (0, 0);
        while self.driver.state() == RelayState::Running {
            let late_lf = self.framer.take_late_lf(chunk.get(read..).unwrap_or_default());
            read += late_lf;
            if self.last_hidden {
                sent += late_lf;
            }
            let rest = chunk.get(read..).unwrap_or_default();
            match self.framer.find_end(rest) {
                Ok(Some(length)) => {
                    let withheld = self.hide_usage && !self.framer.kept().is_empty();
                    self.frame(rest.get(..length).unwrap_or_default());
                    let end = read + length;
                    if self.last_hidden {
                        pass_on(&chunk, sent, read, out);
                        self.framer.forget();
                        sent = end;
                    } else if withheld {
                        out.push_back(Bytes::from(self.framer.take()));
                        sent = end;
                    } else {
                        self.framer.forget();
                    }
                    read = end;
                }
                Ok(None) => {
                    self.framer.keep(rest);
                    break;
                }
                Err(overrun) => {
                    self.driver.fail_decoding(overrun.error);
                    self.framer.keep(rest.get(..overrun.within).unwrap_or_default());
                    if !self.hide_usage {
                        read += overrun.within;
                    }
                }
            }
        }
        if self.driver.state() == RelayState::Failed {
            // The frame at which it failed has its whole line end.
            let late_lf = self.framer.take_late_lf(chunk.get(read..).unwrap_or_default());
            read += late_lf;
            if self.last_hidden {
                sent += late_lf;
            }
        }
        let until = match self.driver.state() {
            RelayState::Running if self.hide_usage => read,
            RelayState::Running | RelayState::Ended => chunk.len(),
            RelayState::Failed => read,
        };
        pass_on(&chunk, sent, until, out);
    }

    pub(crate) fn keep_alive(&mut self, out: &mut VecDeque<Bytes>) {
        // While usage is hidden, the client has nothing of a frame before the whole.
        let is_between = self.framer.is_at_start() || self.hide_usage;
        let is_running = self.driver.state() == RelayState::Running;
        // The rest of a line end that was cut in two is not to become a line of its own.
        if is_running && is_between && !self.framer.waits_for_lf() {
            out.push_back(Bytes::from_static(keep_alive(self.protocol)));
        }
    }

    /// Reads one whole frame, of which `piece` is the end, and says in `last_hidden` whether to hide it.
    fn frame(&mut self, piece: &[u8]) {
        let frame = self.framer.assemble(piece);
        let committed = self.driver.committed();
        if committed {
            self.driver.facts_mut().output_bytes += skim::content_bytes(self.protocol, frame);
            if !skim::is_telling(self.protocol, frame) {
                self.last_hidden = false;
                return;
            }
        }
        let scope = if committed { FrameScope::Facts } else { FrameScope::Whole };
        let block = Block::read(without_bom(frame, &mut self.start));
        let has_data = block.data.is_some();
        let role = match block.data {
            Some(data) => self.driver.frame(block.event, &data, scope, &mut |_, _| Ok(())),
            None => FrameRole::Part,
        };
        match self.bare.follow(has_data, block.unnamed) {
            Ok(None) => {}
            Ok(Some(json)) => self.driver.bare(json),
            Err(error) => self.driver.fail_decoding(error),
        }
        self.last_hidden = self.hide_usage && role == FrameRole::UsageOnly;
    }

    pub(crate) fn finish(&mut self, cut: Option<ApiError>, out: &mut VecDeque<Bytes>) -> End {
        let unfinished = !self.framer.kept().is_empty() && self.driver.state() == RelayState::Running;
        if unfinished && cut.is_none() {
            // It may lack no more than its final blank line.
            self.frame(&[]);
        }
        if cut.is_none()
            && let Err(error) = self.bare.end()
        {
            self.driver.fail_decoding(error);
        }
        let broken = self.driver.end(cut, &mut |_, _| Ok(())).err();
        if broken.is_some() && self.framer.waits_for_lf() && !self.last_hidden {
            // Google's SDK for Node splits at whole line ends: what follows a lone CR would not be seen.
            out.push_back(Bytes::from_static(b"\n"));
        }
        match &broken {
            None if unfinished && self.hide_usage && !self.last_hidden => {
                out.push_back(Bytes::from(self.framer.take()));
            }
            None => {}
            Some(_) if self.driver.failed_in_band() => {}
            Some(error) => {
                let mut event = self.separator().as_bytes().to_vec();
                event.extend(encode_stream_error(self.protocol, error, &self.request_id));
                out.push_back(Bytes::from(event));
            }
        }
        let facts = self.driver.facts().clone();
        match broken {
            None => End::Complete(facts),
            Some(error) => End::Broken(error, facts),
        }
    }

    /// What must stand between the beginning of a frame that was sent on and an event of our own.
    fn separator(&self) -> &'static str {
        if self.hide_usage || self.framer.is_at_start() {
            return "";
        }
        // Anthropic's error event names itself in a line of its own. The last such line of a frame
        // counts, so that the frame that was begun turns into the error: its SDKs then raise their own
        // error instead of stumbling over half a document.
        let becomes_the_error = self.protocol == Protocol::AnthropicMessages;
        let has_data = Block::read(self.framer.kept()).data.is_some();
        match (self.framer.is_in_line(), has_data && !becomes_the_error) {
            (true, true) => "\n\n",
            (true, false) | (false, true) => "\n",
            (false, false) => "",
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

fn pass_on(chunk: &Bytes, from: usize, until: usize, out: &mut VecDeque<Bytes>) {
    if from < until && until <= chunk.len() {
        out.push_back(chunk.slice(from..until));
    }
}
