//! Turns frames into the bytes, pauses and breaks that a caller sees.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::api::Api;
use crate::ask::{Ask, Form};
use crate::frame::{Frame, Progress};
use crate::scatter::Scatter;
use crate::{Fault, api};

/// How a stream's bytes are cut into chunks; frames are cut anywhere, within characters too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chunking {
    /// Chunks of random size that ignore where frames and characters end; a function of the request.
    #[default]
    Ragged,
    /// One chunk per frame.
    PerFrame,
    /// Chunks of this many bytes; 0 counts as 1.
    Bytes(usize),
}

/// What happens next to the caller of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes, after a pause; what was generated and told once they are sent.
    Chunk { bytes: Bytes, pause: Duration, progress: Progress, told: bool },
    /// Nothing, until the caller leaves.
    Hang,
    /// The connection breaks.
    Break,
    /// A line without end: this many bytes are left of it.
    Endless { left: usize },
}

/// The size of a chunk of an endless line, and of the whole line.
pub(crate) const ENDLESS_CHUNK: usize = 64 * 1024;
const ENDLESS_LINE: usize = 64 * 1024 * 1024;

/// What a caller is going to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) steps: VecDeque<Step>,
    /// The length that the head promises.
    pub(crate) length: Option<u64>,
}

/// How a stream is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cutting {
    pub(crate) chunking: Chunking,
    /// Before each frame.
    pub(crate) pause: Duration,
    /// Whether lines end with CR LF.
    pub(crate) crlf: bool,
}

/// A streamed answer, with what a fault does to it.
pub(crate) fn stream(
    mut frames: Vec<Frame>,
    fault: Option<&Fault>,
    ask: &Ask,
    cutting: Cutting,
    scatter: &mut Scatter,
) -> Delivery {
    let then = fault.and_then(|fault| break_stream(&mut frames, fault, ask));
    // Google ends its lines so by itself; arrays and binary frames have none.
    if cutting.crlf && ask.form == Form::Events && ask.api() != Api::Gemini {
        frames.iter_mut().for_each(|frame| frame.bytes = with_crlf(&frame.bytes));
    }
    let mut steps = steps(&frames, cutting.chunking, cutting.pause, scatter);
    steps.extend(then);
    Delivery { steps, length: None }
}

/// The same lines, ended by CR LF.
pub(crate) fn with_crlf(lines: &[u8]) -> Vec<u8> {
    let mut ended = Vec::with_capacity(lines.len() + 8);
    for byte in lines {
        if *byte == b'\n' {
            ended.push(b'\r');
        }
        ended.push(*byte);
    }
    ended
}

/// A whole answer, with what a fault does to it: everything was generated before it broke.
pub(crate) fn whole(mut frame: Frame, fault: Option<&Fault>) -> Delivery {
    let full = frame.bytes.len();
    let then = match fault {
        Some(Fault::StallMidStream { .. }) => Some(Step::Hang),
        Some(Fault::ResetMidStream { .. }) => Some(Step::Break),
        Some(Fault::EndlessEvent { .. }) => Some(Step::Endless { left: ENDLESS_LINE }),
        _ => None,
    };
    if fault.is_some_and(Fault::ends_badly) {
        frame.bytes.truncate(full / 2);
        frame.tells_usage = false;
    }
    if let Some(Fault::MalformedMidStream { .. }) = fault {
        frame.bytes.extend_from_slice(b"}{");
    }
    let length = match then {
        Some(Step::Hang | Step::Break) => Some(full as u64),
        Some(_) => None,
        // A body that was cut ends cleanly, or its length would betray it.
        None => Some(frame.bytes.len() as u64),
    };
    let no_pause = Duration::ZERO;
    let mut steps = steps(&[frame], Chunking::Bytes(16 * 1024), no_pause, &mut Scatter::new(0, 0));
    steps.extend(then);
    Delivery { steps, length }
}

/// Cuts frames into steps.
fn steps(frames: &[Frame], chunking: Chunking, pause: Duration, scatter: &mut Scatter) -> VecDeque<Step> {
    let mut steps = VecDeque::new();
    let mut joined: Vec<u8> = Vec::new();
    // Where each frame ends in `joined`.
    let mut ends = Vec::with_capacity(frames.len());
    for frame in frames {
        joined.extend_from_slice(&frame.bytes);
        ends.push(joined.len());
    }
    let joined = Bytes::from(joined);
    let (mut at, mut begun, mut ended) = (0, 0, 0);
    let mut told = false;
    while at < joined.len() {
        let frame_end = ends.get(ended).copied().unwrap_or(joined.len());
        let size = match chunking {
            Chunking::PerFrame => frame_end - at,
            Chunking::Bytes(size) => size.max(1),
            Chunking::Ragged => {
                let longest = if scatter.below(4) == 0 { 16 } else { 700 };
                1 + scatter.below(longest) as usize
            }
        };
        let bound = if pause.is_zero() { joined.len() } else { frame_end };
        let end = (at + size).min(bound);
        let pause =
            if begun <= ended && (begun == 0 || at == ends[begun - 1]) { pause } else { Duration::ZERO };
        while begun < ends.len() && (begun == 0 || ends[begun - 1] < end) {
            begun += 1;
        }
        while ended < ends.len() && ends[ended] <= end {
            told |= frames[ended].tells_usage;
            ended += 1;
        }
        steps.push_back(Step::Chunk {
            bytes: joined.slice(at..end),
            pause,
            progress: frames.get(begun.saturating_sub(1)).map_or(Progress::default(), |frame| frame.progress),
            told,
        });
        at = end;
    }
    steps
}

/// What a fault does to a stream's frames, and the step that follows them.
fn break_stream(frames: &mut Vec<Frame>, fault: &Fault, ask: &Ask) -> Option<Step> {
    let endless = Step::Endless { left: ENDLESS_LINE };
    let last = frames.len().saturating_sub(1);
    let (after, insert, then) = match fault {
        Fault::StallMidStream { after_frames } => (*after_frames, None, Some(Step::Hang)),
        Fault::CutMidStream { after_frames } => (*after_frames, None, None),
        Fault::ResetMidStream { after_frames } => (*after_frames, None, Some(Step::Break)),
        Fault::ErrorMidStream { after_frames } => {
            (*after_frames, Some(api::error_frame(ask, last.min(*after_frames))), None)
        }
        Fault::MalformedMidStream { after_frames } => {
            let place = last.min(*after_frames);
            let progress = progress_at(frames, place);
            frames.insert(place, Frame { bytes: api::malformed_frame(ask), progress, tells_usage: false });
            return None;
        }
        Fault::TwoEnds => {
            frames.extend(frames.last().cloned());
            return None;
        }
        Fault::EndlessEvent { after_frames } => {
            (*after_frames, Some(api::endless_head(ask, ENDLESS_LINE)), Some(endless))
        }
        Fault::CutBody => (frames.len() / 2, None, None),
        _ => return None,
    };
    frames.truncate(after.min(last));
    let progress = progress_at(frames, frames.len());
    if let Some(bytes) = insert {
        frames.push(Frame { bytes, progress, tells_usage: false });
    }
    then
}

/// What was generated before the frame at a place.
fn progress_at(frames: &[Frame], place: usize) -> Progress {
    place
        .checked_sub(1)
        .and_then(|place| frames.get(place))
        .map_or(Progress::default(), |frame| frame.progress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(texts: &[String]) -> Vec<Frame> {
        let frame = |(place, text): (usize, &String)| Frame {
            bytes: format!("data: {text}\n\n").into_bytes(),
            progress: Progress { output: place as u64 + 1, reasoning: 0 },
            tells_usage: place + 1 == texts.len(),
        };
        texts.iter().enumerate().map(frame).collect()
    }

    proptest! {
        #[test]
        fn a_cut_changes_no_byte_and_tells_nothing_early(
            texts in proptest::collection::vec(".{0,20}", 1..8),
            chunking in prop_oneof![Just(Chunking::Ragged), Just(Chunking::PerFrame), (0_usize..9).prop_map(Chunking::Bytes)],
            paused in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let frames = frames(&texts);
            let pause = Duration::from_millis(u64::from(paused));
            let steps = steps(&frames, chunking, pause, &mut Scatter::new(seed, 0));
            let whole: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes.clone()).collect();
            let mut sent = Vec::new();
            let mut pauses = 0;
            for step in &steps {
                let Step::Chunk { bytes, pause, progress, told } = step else { panic!("{step:?}") };
                sent.extend_from_slice(bytes);
                pauses += u32::from(!pause.is_zero());
                prop_assert_eq!(*told, sent.len() == whole.len());
                // Everything begun counts as generated.
                let mut end = 0;
                let begun = frames.iter().take_while(|frame| {
                    let begins = end;
                    end += frame.bytes.len();
                    begins < sent.len()
                });
                prop_assert_eq!(progress.output, begun.count() as u64);
            }
            prop_assert_eq!(sent, whole);
            prop_assert_eq!(pauses as usize, if paused { frames.len() } else { 0 });
        }
    }
}
