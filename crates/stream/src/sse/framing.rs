use memchr::memchr2;

use super::{SseError, SseLimits};

/// Finds where blocks end: a block is the lines up to and including a blank line.
///
/// It keeps a copy of an unfinished block only; a block that lies within one chunk is never copied.
/// Every byte is looked at once, however the stream is cut.
#[derive(Debug)]
pub(crate) struct Framer {
    limits: SseLimits,
    /// The beginning of a block whose end has not arrived.
    carry: Vec<u8>,
    /// Bytes of the unfinished line so far.
    line: usize,
    /// Bytes of the unfinished block so far.
    block: usize,
    /// The last byte was a CR: a LF that follows belongs to the same line end.
    after_cr: bool,
}

/// A line or block that is over its limit, and how many bytes of it were within.
#[derive(Debug)]
pub(crate) struct Overrun {
    pub(crate) error: SseError,
    pub(crate) within: usize,
}

impl Framer {
    pub(crate) fn new(limits: SseLimits) -> Self {
        Self { limits, carry: Vec::new(), line: 0, block: 0, after_cr: false }
    }

    /// How many bytes at the start of `chunk` still belong to the block that has ended: 1 where its last
    /// line end was CR LF, else 0. What remains goes to [`Framer::find_end`].
    pub(crate) fn take_late_lf(&mut self, chunk: &[u8]) -> usize {
        let is_late = self.waits_for_lf() && chunk.starts_with(b"\n");
        if is_late {
            self.after_cr = false;
        }
        usize::from(is_late)
    }

    /// Whether a block has ended with a CR, and a LF that may belong to it has not come.
    pub(crate) fn waits_for_lf(&self) -> bool {
        self.after_cr && self.is_at_start()
    }

    /// Whether nothing of the next block has come.
    pub(crate) fn is_at_start(&self) -> bool {
        self.block == 0
    }

    /// How many bytes of `rest` are left to the end of the block, or `None` if it does not end here.
    ///
    /// A block that ends with CR ends right there, so that it ends alike whether or not a LF has come
    /// yet; [`Framer::take_late_lf`] is for that one.
    ///
    /// Call it with what follows the bytes of the call before; after `None`, hand the same bytes to
    /// [`Framer::keep`].
    pub(crate) fn find_end(&mut self, rest: &[u8]) -> Result<Option<usize>, Overrun> {
        let mut at = 0;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            at = usize::from(rest.starts_with(b"\n"));
        }
        loop {
            let unread = rest.get(at..).unwrap_or_default();
            let Some(text) = memchr2(b'\r', b'\n', unread) else {
                self.check(at, unread.len())?;
                self.line += unread.len();
                break;
            };
            self.check(at, text)?;
            let is_blank = self.line + text == 0;
            let is_cr = unread.get(text) == Some(&b'\r');
            self.line = 0;
            at += text + 1;
            if is_blank {
                self.after_cr = is_cr;
                self.block = 0;
                return Ok(Some(at));
            }
            match rest.get(at) {
                Some(b'\n') if is_cr => at += 1,
                None => self.after_cr = is_cr,
                Some(_) => {}
            }
        }
        self.block += rest.len();
        Ok(None)
    }

    fn check(&mut self, at: usize, text: usize) -> Result<(), Overrun> {
        let line_room = self.limits.line_bytes.saturating_sub(self.line);
        let block_room = self.limits.event_bytes.saturating_sub(self.block + at);
        if text > line_room.min(block_room) {
            let error = if line_room <= block_room {
                SseError::LineTooLong { limit: self.limits.line_bytes }
            } else {
                SseError::EventTooLong { limit: self.limits.event_bytes }
            };
            let within = at + line_room.min(block_room);
            self.line += within - at;
            self.block += within;
            return Err(Overrun { error, within });
        }
        Ok(())
    }

    /// The whole block of which `piece` is the end: the piece itself, or a copy with what came before.
    pub(crate) fn assemble<'a>(&'a mut self, piece: &'a [u8]) -> &'a [u8] {
        if self.carry.is_empty() {
            return piece;
        }
        self.carry.extend_from_slice(piece);
        &self.carry
    }

    /// Forgets the block that [`Framer::assemble`] gave.
    pub(crate) fn forget(&mut self) {
        // One large block must not pin its memory for the rest of a long stream.
        if self.carry.capacity() > KEPT_CAPACITY {
            self.carry = Vec::new();
        } else {
            self.carry.clear();
        }
    }

    /// Takes the copied block out, so that it can be sent on without another copy.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carry)
    }

    /// Keeps the beginning of a block whose end is still to come.
    pub(crate) fn keep(&mut self, piece: &[u8]) {
        self.carry.extend_from_slice(piece);
    }

    /// What was kept of an unfinished block.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.carry
    }

    /// Whether the stream stands in the middle of a line.
    pub(crate) fn is_in_line(&self) -> bool {
        self.line > 0
    }
}

/// How much memory an idle framer keeps for the next block that is cut, in bytes.
const KEPT_CAPACITY: usize = 16 * 1024;
