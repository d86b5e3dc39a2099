//! How steadily the content of a stream comes.

use std::time::Duration;

use weighbridge_records::TokenGaps;

/// When content came. Times count from the dispatch of the attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    first: Option<Duration>,
    last: Duration,
    gaps: u64,
    longest: Duration,
    /// Bytes of content by then.
    bytes: u64,
}

impl Pace {
    /// Takes a piece that came at `at`, with which there are `bytes` of content. The first is the one at the
    /// commit point, which may be no more than the name of a tool; of later ones those count that bring
    /// content.
    pub(crate) fn note(&mut self, at: Duration, bytes: u64) {
        if self.first.is_none() {
            self.first = Some(at);
            self.last = at;
        } else if bytes > self.bytes {
            self.gaps += 1;
            self.longest = self.longest.max(at.saturating_sub(self.last));
            self.last = at;
        }
        self.bytes = bytes;
    }

    /// When the first content came.
    pub(crate) fn first(&self) -> Option<Duration> {
        self.first
    }

    /// The gaps between pieces with content, if there were two.
    pub(crate) fn gaps(&self) -> Option<TokenGaps> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let span = self.last.saturating_sub(self.first?);
        let mean_us = micros(span).checked_div(self.gaps)?;
        Some(TokenGaps { count: self.gaps, mean_us, longest_us: micros(self.longest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_lie_between_pieces_with_content() {
        let at = Duration::from_millis;
        let mut pace = Pace::default();
        assert_eq!((pace.first(), pace.gaps()), (None, None));
        pace.note(at(500), 0);
        assert_eq!((pace.first(), pace.gaps()), (Some(at(500)), None));
        pace.note(at(600), 4);
        // A ping, or the first half of a frame.
        pace.note(at(900), 4);
        pace.note(at(1_000), 9);
        let gaps = TokenGaps { count: 2, mean_us: 250_000, longest_us: 400_000 };
        assert_eq!((pace.first(), pace.gaps()), (Some(at(500)), Some(gaps)));
    }
}
