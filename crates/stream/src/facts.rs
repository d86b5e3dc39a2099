use weighbridge_translate::{ApiError, FinishReason};
use weighbridge_units::{Loss, Usage};

/// What is known about a streamed answer, at any moment and at its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model as the provider names it.
    pub model: Option<String>,
    /// Usage as told so far; `None` if the provider told none (rule M7: not the same as zero).
    ///
    /// Before the end it may lack buckets: `Usage::told(Bucket::Output)` says whether the answer's
    /// own figure is there.
    pub usage: Option<Usage>,
    /// Why the first candidate ended, if it did.
    pub finish: Option<FinishReason>,
    /// Bytes of content seen (text, reasoning, tool arguments), for estimates where usage is missing.
    /// In a pass-through these are bytes of JSON text, in which an escape is longer than its character.
    pub output_bytes: u64,
    /// What the client's protocol could not carry; each kind of thing once.
    pub losses: Vec<Loss>,
    /// Frames that the protocol's documentation does not know, and frames after the end.
    pub unknown_events: u64,
    /// Events that had to wait because the client's grammar did not allow them yet.
    pub held_events: u64,
    /// The service tier that the answer was made in, as the provider names it.
    pub service_tier: Option<String>,
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayState {
    /// More is expected.
    Running,
    /// The protocol's own end was seen: nothing that matters follows.
    Ended,
    /// An error in the stream, a corrupt frame, or one over its limit: nothing more is read.
    Failed,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The provider ended it as its protocol demands.
    Complete(Facts),
    /// It did not; the client was sent the error in its own protocol.
    Broken(ApiError, Facts),
}

impl End {
    /// What is known about the answer.
    pub const fn facts(&self) -> &Facts {
        match self {
            Self::Complete(facts) | Self::Broken(_, facts) => facts,
        }
    }

    /// Whether the answer is complete.
    pub const fn is_complete(&self) -> bool {
        matches!(self, Self::Complete(_))
    }
}
