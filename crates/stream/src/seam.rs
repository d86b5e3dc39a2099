//! Where one provider's stream broke off and another's goes on: what the client was given of the first, and what of
//! the second continues it.

use std::borrow::Cow;

use weighbridge_translate::{Delta, Event, FrameError, PartKind};
use weighbridge_units::Usage;

/// The longest text that is continued, in bytes: it is held for as long as the stream runs.
const TEXT_MAX: usize = 256 * 1024;

/// What must hold of an answer so far for another provider to go on with it, and how it does.
#[derive(Default)]
pub(crate) struct Seam {
    /// The text so far: of one part of the first candidate, and nothing beside it.
    text: String,
    /// That part, as the client's writer knows it.
    part: Option<u32>,
    /// Something came that no text says: the answer cannot be continued.
    is_more: bool,
    usage: Option<Usage>,
    second: Option<Second>,
}

/// How the events of the second stream become those of the first.
struct Second {
    /// What the answer may begin with once more; empty where it is over, or does not repeat anything.
    repeated: String,
    /// What may be that.
    held: String,
    /// The white space at the end of the text, as far as the second has not said it once more.
    blanks: String,
    /// The part that continues the first's, once it has begun.
    part: Option<u32>,
    /// The first's part is still open.
    is_open: bool,
}

/// Takes events for the client.
type Write<'w> = dyn FnMut(&Event<'_>) -> Result<(), FrameError> + 'w;

impl Seam {
    /// Whether the answer could be continued, were it to break off now.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_more && self.second.is_none()
    }

    /// The text so far, where all of the answer so far is text.
    pub(crate) fn text(&self) -> Option<&str> {
        (self.is_plain() && !self.text.trim().is_empty()).then_some(&self.text)
    }

    /// Another stream follows, whose provider was given the text up to its final white space. `repeats` where it
    /// repeats what it was given.
    pub(crate) fn resume(&mut self, repeats: bool) {
        let given = self.text.trim_end().len();
        let blanks = self.text.split_off(given);
        let repeated = std::mem::take(&mut self.text);
        self.second = Some(Second {
            repeated: if repeats { repeated } else { String::new() },
            held: String::new(),
            blanks,
            part: None,
            is_open: true,
        });
    }

    /// Hands an event on as the client's writer is to take it.
    pub(crate) fn pass(&mut self, event: &Event<'_>, write: &mut Write<'_>) -> Result<(), FrameError> {
        let (Some(ours), Some(second)) = (self.part, &mut self.second) else {
            self.note(event);
            return write(event);
        };
        // Numbers of parts are never used twice.
        let other = |part: u32| part.saturating_add(ours).saturating_add(1);
        match event {
            Event::Start { .. } => Ok(()),
            Event::Open { part, candidate: 0, kind: PartKind::Text, .. }
                if second.is_open && second.part.is_none() =>
            {
                second.part = Some(*part);
                Ok(())
            }
            Event::Open { part, group, candidate, kind } => {
                second.close(ours, write)?;
                let (part, group, kind) = (other(*part), other(*group), kind.clone());
                write(&Event::Open { part, group, candidate: *candidate, kind })
            }
            Event::Delta { part, delta: Delta::Text(text) } if second.part == Some(*part) => {
                second.text(text, ours, write)
            }
            Event::Delta { part, delta } => {
                let part = if second.part == Some(*part) { ours } else { other(*part) };
                write(&Event::Delta { part, delta: delta.clone() })
            }
            Event::Close { part } if second.part == Some(*part) => second.close(ours, write),
            Event::Close { part } => write(&Event::Close { part: other(*part) }),
            Event::Finish { .. } => {
                second.close(ours, write)?;
                write(event)
            }
            Event::Usage(usage) => {
                // What the first told is not to show through where the second tells nothing.
                let mut told = Usage::new();
                for (bucket, _) in self.usage.iter().flat_map(Usage::iter) {
                    told.set(bucket, 0);
                }
                told.update(usage);
                write(&Event::Usage(told))
            }
            _ => write(event),
        }
    }

    /// Takes note of what the client is given of the first stream.
    pub(crate) fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Open { part, candidate: 0, kind: PartKind::Text, .. } if self.part.is_none() => {
                self.part = Some(*part);
            }
            Event::Delta { part, delta: Delta::Text(text) }
                if self.part == Some(*part) && self.text.len() + text.len() <= TEXT_MAX =>
            {
                if !self.is_more {
                    self.text.push_str(text);
                }
            }
            Event::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            Event::Start { .. }
            | Event::ServiceTier(_)
            | Event::Extra { .. }
            | Event::Ping
            | Event::Failed(_) => {}
            _ => self.spoil(),
        }
    }

    /// The answer cannot be continued any more.
    pub(crate) fn spoil(&mut self) {
        self.is_more = true;
        self.text = String::new();
    }
}

impl Second {
    /// More text of the continued part.
    fn text(&mut self, text: &str, ours: u32, write: &mut Write<'_>) -> Result<(), FrameError> {
        if self.repeated.is_empty() {
            return self.new_text(text, ours, write);
        }
        self.held.push_str(text);
        if self.held.len() < self.repeated.len() && self.repeated.starts_with(&self.held) {
            return Ok(());
        }
        let (held, repeated) = (std::mem::take(&mut self.held), std::mem::take(&mut self.repeated));
        self.new_text(held.strip_prefix(&repeated).unwrap_or(&held), ours, write)
    }

    /// Text that is no repetition, but for white space that the client has.
    fn new_text(&mut self, text: &str, ours: u32, write: &mut Write<'_>) -> Result<(), FrameError> {
        let same = text.chars().zip(self.blanks.chars()).take_while(|(one, other)| one == other);
        let same = same.map(|(one, _)| one.len_utf8()).sum();
        let text = text.get(same..).unwrap_or_default();
        if text.is_empty() {
            self.blanks.replace_range(..same, "");
            return Ok(());
        }
        self.blanks = String::new();
        write(&Event::Delta { part: ours, delta: Delta::Text(Cow::Borrowed(text)) })
    }

    /// The continued part is whole.
    fn close(&mut self, ours: u32, write: &mut Write<'_>) -> Result<(), FrameError> {
        if !std::mem::take(&mut self.is_open) {
            return Ok(());
        }
        self.repeated = String::new();
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.new_text(&held, ours, write)?;
        }
        write(&Event::Close { part: ours })
    }
}
