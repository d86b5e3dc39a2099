//! What can go wrong at a provider, and in which order it does.

use std::time::Duration;

/// One way in which a simulated provider fails the next request.
///
/// "After `after_frames`" counts frames of the vendor's stream: server-sent events, pings included;
/// pieces of Google's arrays; AWS's binary frames. An answer that is not streamed has one frame, so a fault in mid-stream hits it
/// halfway through its body; [`Fault::ErrorMidStream`] is then a [`Fault::ErrorUnder200`]. What is
/// billed is in the table of [`InvoiceLine`](crate::InvoiceLine).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is refused: nothing reaches the provider. A server cannot refuse what it has
    /// accepted, so over TCP this is a [`Fault::Reset`].
    RefuseConnection,
    /// The connection breaks after the request was sent and before any byte of an answer.
    Reset,
    /// An error of the vendor's own shape with this status; `retry_after` is in seconds.
    Status {
        /// The HTTP status: 4xx or 5xx.
        code: u16,
        /// The `retry-after` header, in whole seconds.
        retry_after: Option<u32>,
    },
    /// The account has no credit: 429 `insufficient_quota` at OpenAI, 400 at Anthropic and AWS, 403 at
    /// Google.
    NoCredit,
    /// The prompt is said to exceed the model's context window.
    ContextTooLong,
    /// The prompt is said to violate the vendor's content policy. Google answers so, with status 200.
    ContentPolicy,
    /// Status 200 around an error object of the vendor's own shape; a stream gets it as plain JSON.
    ErrorUnder200,
    /// An HTML page under this status, as a proxy in front of a provider sends it.
    Html {
        /// The HTTP status.
        code: u16,
    },
    /// Status 200 and no body.
    Empty,
    /// Half of the body, then an end that looks clean.
    CutBody,
    /// No byte of an answer until the caller leaves.
    StallBeforeHead,
    /// The head, then nothing until the caller leaves.
    StallMidStream {
        /// Frames that are sent before.
        after_frames: usize,
    },
    /// A clean end of the body without the terminal event.
    CutMidStream {
        /// Frames that are sent before.
        after_frames: usize,
    },
    /// The connection breaks.
    ResetMidStream {
        /// Frames that are sent before.
        after_frames: usize,
    },
    /// An error event of the vendor's own shape, then the end.
    ErrorMidStream {
        /// Frames that are sent before.
        after_frames: usize,
    },
    /// A frame that is not JSON, then the rest of the answer.
    MalformedMidStream {
        /// Frames that are sent before.
        after_frames: usize,
    },
    /// A complete stream whose last frame comes twice.
    TwoEnds,
    /// A line that never ends, until the caller leaves or 64 MiB were sent.
    EndlessEvent {
        /// Frames that are sent before.
        after_frames: usize,
    },
    /// A complete answer that never says what was used.
    NoUsage,
    /// A complete stream in which every frame that may carry usage carries the running total.
    RunningUsage,
    /// A complete answer whose head comes late.
    SlowHead(Duration),
    /// A complete answer with this pause before each frame.
    SlowFrames(Duration),
}

impl Fault {
    /// Whether an answer that had begun is not delivered as it should be.
    pub(crate) const fn ends_badly(&self) -> bool {
        matches!(
            self,
            Self::CutBody
                | Self::StallBeforeHead
                | Self::StallMidStream { .. }
                | Self::CutMidStream { .. }
                | Self::ResetMidStream { .. }
                | Self::ErrorMidStream { .. }
                | Self::MalformedMidStream { .. }
                | Self::EndlessEvent { .. }
        )
    }
}

/// Random faults: reproducible, since the n-th request's fault is a function of `seed` and n.
#[derive(Debug, Clone, Default)]
pub struct FaultMix {
    /// Changes which requests are hit.
    pub seed: u64,
    /// Faults with their share in requests per ten thousand; the rest is answered properly.
    pub per_ten_thousand: Vec<(u32, Fault)>,
}

impl FaultMix {
    /// The fault of the request with this number, if it is hit.
    pub fn draw(&self, number: u64) -> Option<Fault> {
        let mut rest = crate::scatter::Scatter::new(self.seed, number).below(10_000);
        for (share, fault) in &self.per_ten_thousand {
            let share = u64::from(*share);
            if rest < share {
                return Some(fault.clone());
            }
            rest -= share;
        }
        None
    }
}
