mod pattern;
mod skim;

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::memmem;
use weighbridge_translate::openai_responses::kept::event_as_going_on;
use weighbridge_translate::{ApiError, FrameRole, FrameScope, encode_stream_error_after, keep_alive};
use weighbridge_units::Protocol;

use self::pattern::Pattern;
use crate::driver::Driver;
use crate::facts::{End, Facts, RelayState};
use crate::relay::RelayOptions;
use crate::sse::{Bare, Block, Framer, SseLimits, without_bom};

/// Pass-through with metering: the provider's bytes leave as they came, as slices of the pieces they
/// came in, while usage, finish and errors are read beside them.
///
/// Until the commit point every frame is read. After it only those are in which a few byte strings
/// say that there is something to learn; of the others it is only checked that they are JSON, the more
/// quickly the more alike they are.
///
/// Bytes leave at once. Only while usage is hidden, or answers are to name another, is the beginning of a frame
/// withheld until the frame is whole, because it could be one to hide or to change.
pub(crate) struct Tee {
    framer: Framer,
    driver: Driver,
    protocol: Protocol,
    hide_usage: bool,
    /// The answer that every event of OpenAI Responses names which repeats its own.
    previous: Option<String>,
    /// What frames look like that tell nothing.
    pattern: Pattern,
    /// Whether the last frame was hidden: so is what still belongs to its line end.
    last_hidden: bool,
    /// How many events have passed.
    events: u64,
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
            previous: None,
            pattern: Pattern::default(),
            last_hidden: false,
            events: 0,
            start: true,
            bare: Bare::new(&SseLimits::default()),
            request_id: options.request_id.to_owned(),
        }
    }

    pub(crate) fn goes_on_from(&mut self, previous: String) {
        self.previous = Some(previous).filter(|_| self.protocol == Protocol::OpenAiResponses);
    }

    /// Whether nothing of a frame leaves before all of it has come.
    const fn withholds(&self) -> bool {
        self.hide_usage || self.previous.is_some()
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
                    let withheld = self.withholds() && !self.framer.kept().is_empty();
                    let changed = self.frame(rest.get(..length).unwrap_or_default());
                    let end = read + length;
                    if let Some(changed) = changed {
                        pass_on(&chunk, sent, read, out);
                        out.push_back(changed);
                        self.framer.forget();
                        sent = end;
                    } else if self.last_hidden {
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
                    if !self.withholds() {
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
            RelayState::Running if self.withholds() => read,
            RelayState::Running | RelayState::Ended => chunk.len(),
            RelayState::Failed => read,
        };
        pass_on(&chunk, sent, until, out);
    }

    pub(crate) fn keep_alive(&mut self, out: &mut VecDeque<Bytes>) {
        // Where the beginnings of frames are withheld, the client has nothing of a frame before the whole.
        let is_between = self.framer.is_at_start() || self.withholds();
        let is_running = self.driver.state() == RelayState::Running;
        // The rest of a line end that was cut in two is not to become a line of its own.
        if is_running && is_between && !self.framer.waits_for_lf() {
            out.push_back(Bytes::from_static(keep_alive(self.protocol)));
        }
    }

    /// Reads one whole frame, of which `piece` is the end, and says in `last_hidden` whether to hide it. Gives
    /// what leaves in its place.
    fn frame(&mut self, piece: &[u8]) -> Option<Bytes> {
        let frame = self.framer.assemble(piece);
        let committed = self.driver.committed();
        if committed && let Some(content) = self.pattern.content_of(frame) {
            self.driver.facts_mut().output_bytes += content;
            self.events += 1;
            self.last_hidden = false;
            return None;
        }
        let block = Block::read(without_bom(frame, &mut self.start));
        self.events += u64::from(block.data.is_some());
        if committed {
            self.driver.facts_mut().output_bytes += skim::content_bytes(self.protocol, frame);
            if !skim::is_telling(self.protocol, frame) && block.data.as_deref().is_some_and(skim::is_sound) {
                self.pattern.learn(self.protocol, frame, block.data.as_deref().unwrap_or_default());
                self.last_hidden = false;
                return None;
            }
        }
        let scope = if committed { FrameScope::Facts } else { FrameScope::Whole };
        let has_data = block.data.is_some();
        let changed = self.previous.as_deref().and_then(|previous| going_on(frame, &block, previous));
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
        changed
    }

    pub(crate) fn finish(&mut self, cut: Option<ApiError>, out: &mut VecDeque<Bytes>) -> End {
        let unfinished = !self.framer.kept().is_empty() && self.driver.state() == RelayState::Running;
        if unfinished && cut.is_none() {
            // It may lack no more than its final blank line.
            if let Some(changed) = self.frame(&[]) {
                self.framer.forget();
                out.push_back(changed);
            }
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
            None if unfinished && self.withholds() && !self.last_hidden => {
                out.push_back(Bytes::from(self.framer.take()));
            }
            None => {}
            Some(_) if self.driver.failed_in_band() => {}
            Some(error) => {
                let mut event = self.separator().as_bytes().to_vec();
                let said = encode_stream_error_after(self.events, self.protocol, error, &self.request_id);
                event.extend(said);
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
        if self.withholds() || self.framer.is_at_start() {
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

/// A frame whose event names another answer as the one that its own goes on from; `None` where it stays as it is.
/// Every other byte is what it was, but for the line breaks of data in several lines, which nobody writes.
fn going_on(frame: &[u8], block: &Block<'_>, previous: &str) -> Option<Bytes> {
    let data: &[u8] = block.data.as_ref()?;
    let changed = event_as_going_on(std::str::from_utf8(data).ok()?, previous)?;
    let Some(at) = memmem::find(frame, data) else {
        let name = block.event.map(|name| [b"event: ", name, b"\n"].concat()).unwrap_or_default();
        let lines = changed.split(|byte| *byte == b'\n').flat_map(|line| [b"data: ", line, b"\n"].concat());
        return Some(name.into_iter().chain(lines).chain(*b"\n").collect());
    };
    let rest = frame.get(at + data.len()..)?;
    Some([frame.get(..at)?, &changed, rest].concat().into())
}

fn pass_on(chunk: &Bytes, from: usize, until: usize, out: &mut VecDeque<Bytes>) {
    if from < until && until <= chunk.len() {
        out.push_back(chunk.slice(from..until));
    }
}
