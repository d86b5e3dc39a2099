use super::{SseError, SseLimits};
use crate::json_array::ValueScanner;

/// The most bytes of such an object: it is an error, not an image.
const BARE_MAX: usize = 1 << 20;

/// Collects a JSON object that stands in the stream without a field in front of it, over lines and
/// blank lines.
///
/// The specification has such lines ignored. Providers break off like that all the same: a front end
/// that finds its back end gone has nothing left to say it with.
#[derive(Debug)]
pub(crate) struct Bare {
    limit: usize,
    text: Vec<u8>,
    scanner: Option<ValueScanner>,
}

impl Bare {
    pub(crate) fn new(limits: &SseLimits) -> Self {
        Self { limit: limits.event_bytes.min(BARE_MAX), text: Vec::new(), scanner: None }
    }

    /// Follows a block: whether it has data, and its lines without a name. Gives the object that they
    /// complete.
    ///
    /// # Errors
    /// When the object is over its limit.
    #[inline]
    pub(crate) fn follow(
        &mut self,
        has_data: bool,
        unnamed: Option<&[u8]>,
    ) -> Result<Option<&str>, SseError> {
        match unnamed {
            Some(lines) => return self.take(lines),
            // The stream went on with an event: what was collected was no last word.
            None if has_data && self.scanner.is_some() => self.forget(),
            None => {}
        }
        Ok(None)
    }

    fn take(&mut self, lines: &[u8]) -> Result<Option<&str>, SseError> {
        if self.scanner.is_none() {
            self.text.clear();
            self.scanner = match lines.trim_ascii_start().first() {
                Some(b'{') => ValueScanner::starting_with(b'{'),
                _ => None,
            };
        }
        let Some(scanner) = &mut self.scanner else { return Ok(None) };
        match scanner.scan(lines) {
            Ok(end) => {
                let piece = lines.get(..end.unwrap_or(lines.len())).unwrap_or_default();
                if piece.len() > self.limit.saturating_sub(self.text.len()) {
                    return Err(SseError::EventTooLong { limit: self.limit });
                }
                self.text.extend_from_slice(piece);
                if end.is_some() {
                    self.scanner = None;
                }
                Ok(end.and_then(|_| std::str::from_utf8(&self.text).ok()))
            }
            // It was none: lines to ignore.
            Err(_) => {
                self.forget();
                Ok(None)
            }
        }
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// When it ended within an object.
    pub(crate) fn end(&self) -> Result<(), SseError> {
        if self.scanner.is_some() { Err(SseError::Truncated) } else { Ok(()) }
    }

    fn forget(&mut self) {
        self.scanner = None;
        self.text = Vec::new();
    }
}
