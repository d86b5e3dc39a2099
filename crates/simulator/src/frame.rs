//! Streams before they become bytes: frames, each knowing what was generated up to it.

use crate::scatter::Scatter;
use crate::script::Candidate;
use crate::tokens;

/// One event of a stream, or one whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// What goes over the wire.
    pub(crate) bytes: Vec<u8>,
    /// Answer tokens generated once this frame is sent.
    pub(crate) progress: Progress,
    /// Whether the frame tells the final usage.
    pub(crate) tells_usage: bool,
}

/// Answer tokens generated so far, disjoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

impl Progress {
    /// Everything.
    pub(crate) fn total(candidates: &[Candidate]) -> Self {
        candidates.iter().fold(Self::default(), |sum, candidate| {
            sum.plus(Self { output: candidate.output_tokens(), reasoning: candidate.reasoning_tokens })
        })
    }

    #[must_use]
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self { output: self.output + other.output, reasoning: self.reasoning + other.reasoning }
    }
}

/// What of the usage a stream tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// As the API documents it.
    Documented,
    /// Never.
    Never,
    /// The running total on every chunk.
    Running,
}

/// A text in pieces of 1 to `longest` characters, each with the tokens that it adds. A token counts
/// with the piece in which it begins.
pub(crate) fn pieces<'a>(text: &'a str, scatter: &mut Scatter, longest: u64) -> Vec<(&'a str, u64)> {
    let mut rest = text;
    let mut sent = 0;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = 1 + scatter.below(longest) as usize;
        let end = rest.char_indices().nth(length).map_or(rest.len(), |(place, _)| place);
        let (piece, others) = rest.split_at(end);
        let before = tokens::of_characters(sent);
        sent += piece.chars().count();
        pieces.push((piece, tokens::of_characters(sent) - before));
        rest = others;
    }
    pieces
}

/// A server-sent event: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
pub(crate) fn sse(event: Option<&str>, data: &str) -> Vec<u8> {
    let text = match event {
        Some(event) => format!("event: {event}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    };
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_join_to_their_text_and_count_the_same(text in ".{0,80}", seed in any::<u64>(), longest in 1_u64..9) {
            let pieces = pieces(&text, &mut Scatter::new(seed, 0), longest);
            prop_assert_eq!(pieces.iter().map(|(piece, _)| *piece).collect::<String>(), text.as_str());
            prop_assert_eq!(pieces.iter().map(|(_, tokens)| tokens).sum::<u64>(), tokens::count(&text));
        }
    }
}
