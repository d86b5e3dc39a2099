//! The provider's side of the books: what each request used and what it costs.

use weighbridge_units::AttemptId;

use crate::Vendor;

/// How an answer ended, as the provider saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerEnd {
    /// Everything was sent, the terminal event included.
    Complete,
    /// A fault ended it.
    Faulted,
    /// The caller left first.
    CallerLeft,
}

impl AnswerEnd {
    /// The name in `/__sim/invoice`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Faulted => "faulted",
            Self::CallerLeft => "caller-left",
        }
    }
}

/// What a request used, in tokens; the fields are disjoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BilledUsage {
    /// Prompt tokens outside the cache.
    pub input: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the five-minute cache (Anthropic).
    pub cache_write_5m: u64,
    /// Prompt tokens written to the one-hour cache (Anthropic).
    pub cache_write_1h: u64,
    /// Answer tokens without reasoning.
    pub output: u64,
    /// Answer tokens spent on reasoning; they cost what output costs.
    pub reasoning: u64,
}

impl BilledUsage {
    /// All prompt tokens.
    pub const fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h
    }

    /// All answer tokens.
    pub const fn answer(&self) -> u64 {
        self.output + self.reasoning
    }
}

/// One line of a provider's invoice: one per request that consumed anything.
///
/// What is billed:
///
/// | what happened | billed | `told` |
/// |---|---|---|
/// | complete answer | input and output | true |
/// | complete answer under [`Fault::NoUsage`](crate::Fault::NoUsage), or a stream whose caller did not ask for usage | input and output | false |
/// | refused: bad credential, bad request, any [`Fault::Status`](crate::Fault::Status), no credit, too long, policy | nothing | – |
/// | policy at Google, which answers that there is no answer | input | true |
/// | connection refused or reset before the head; HTML, empty, error under 200 | nothing | – |
/// | stall before the head | input | false |
/// | a whole answer cut, reset, stalled or malformed | input and output: it was generated | false |
/// | a stream cut, reset, stalled, endless, or ended by an error event | input, and the output of the frames sent | false, unless the final usage was among them |
/// | a stream with a malformed frame inside | input, and the output of the frames sent | true once the final usage was sent |
/// | the caller leaves before the head | input | false |
/// | the caller leaves in mid-stream | input, and the output up to the chunk that was sent last | true only if the final usage was sent |
///
/// "Sent" means handed to the connection: a caller that leaves may not have read it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InvoiceLine {
    /// From the request header `x-client-request-id`, where that is a UUID.
    pub attempt: Option<AttemptId>,
    /// Whose invoice.
    pub vendor: Vendor,
    /// The model asked for.
    pub model: String,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// Tokens.
    pub usage: BilledUsage,
    /// The price of `usage`, in nano-dollars, rounded once, half to even.
    pub nano_usd: i64,
    /// How the answer ended.
    pub end: AnswerEnd,
    /// Whether the final usage was told to the caller: if so, and the answer is complete, a ledger
    /// must have exactly these figures; if not, its entry must be marked as estimated.
    pub told: bool,
}
