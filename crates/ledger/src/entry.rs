use std::fmt;

use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd};

use crate::{
    AccountId, Billing, Book, ChainHead, Claim, ClaimId, EntityId, Funding, Hold, Quantity, RollupKey,
};

/// One writer of the journal: every opening of a ledger for writing is a new one, and numbers grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch of that number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// BLAKE3 of what a caller asked for under an id, shortened: tells a repetition from a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PayloadHash(pub [u8; 16]);

/// What the journal says in one row: a fact, and the transfers that follow from it, in one book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The book.
    pub book: Book,
    /// Who wrote it.
    pub writer: Epoch,
    /// When, by the caller's clock.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
    /// Which accounts moved; all of them in `book`.
    pub transfers: Vec<Transfer>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An attempt was opened.
    Reserved {
        /// The attempt.
        attempt: AttemptId,
        /// What was asked for.
        payload: PayloadHash,
        /// Everything that its end needs to know.
        intent: Intent,
    },
    /// An attempt ended, as the book of its charge sees it.
    Ended {
        /// The attempt.
        attempt: AttemptId,
        /// What was asked for.
        payload: PayloadHash,
        /// What it came to.
        settlement: Settlement,
        /// The claim that it was reserved with.
        claim: Option<ClaimId>,
    },
    /// More was charged, or counted, than had been reserved (rule R5); the end before it posted the rest.
    Overage {
        /// The attempt.
        attempt: AttemptId,
        /// By how much.
        excess: NanoUsd,
        /// By how many tokens, where budgets count them.
        tokens: u64,
    },
    /// What was learned after an attempt had been entered as crashed replaces that entry (rule R7).
    Late {
        /// The attempt.
        attempt: AttemptId,
        /// What was asked for.
        payload: PayloadHash,
        /// What it came to instead.
        settlement: Settlement,
        /// The claim that it was reserved with.
        claim: Option<ClaimId>,
    },
    /// A tenant got something back (rule L6).
    Refunded {
        /// The attempt that was charged.
        attempt: AttemptId,
        /// The caller's id.
        id: u128,
        /// What was asked for.
        payload: PayloadHash,
        /// Which roll-up's charge it lowers: the attempt's own.
        rollup: RollupKey,
        /// How much.
        amount: NanoUsd,
        /// Why.
        reason: EntityId,
    },
    /// A tenant's wallet was moved.
    Funded {
        /// The caller's id.
        id: u128,
        /// What was asked for.
        payload: PayloadHash,
        /// Whose wallet.
        tenant: EntityId,
        /// What happened to it.
        funding: Funding,
        /// Why.
        reason: EntityId,
        /// Who did it.
        actor: EntityId,
    },
    /// What an attempt used upstream (usage book). Roll-ups are sums of these, less refunds.
    Used {
        /// The attempt.
        attempt: AttemptId,
        /// Which roll-up it counts in.
        rollup: RollupKey,
        /// The figures.
        used: Used,
        /// The figures that these replace, where they came late. On the heap, as hardly any do: else every row
        /// would have the room for it.
        replaces: Option<Box<Used>>,
    },
    /// The chains of this book as they were.
    Sealed {
        /// The last row of each chain that may still grow, or grew since the last seal.
        heads: Vec<ChainHead>,
    },
}

impl Fact {
    /// The attempt that it is about, if it is about one.
    pub const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Reserved { attempt, .. }
            | Self::Ended { attempt, .. }
            | Self::Overage { attempt, .. }
            | Self::Late { attempt, .. }
            | Self::Refunded { attempt, .. }
            | Self::Used { attempt, .. } => Some(*attempt),
            Self::Funded { .. } | Self::Sealed { .. } => None,
        }
    }
}

/// An open attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Who opened it, and must end it while alive.
    pub writer: Epoch,
    /// When it was opened.
    pub at: Timestamp,
    /// See [`crate::Reserve::expires`].
    pub expires: Timestamp,
    /// The virtual key.
    pub key: KeyId,
    /// The tenant's name.
    pub tenant: EntityId,
    /// The provider's name.
    pub provider: EntityId,
    /// The model's name.
    pub model: EntityId,
    /// The price book's version.
    pub price_version: EntityId,
    /// Whose credential pays the provider.
    pub billing: Billing,
    /// What is reserved on each hold that counts money.
    pub amount: NanoUsd,
    /// What is reserved on each hold that counts tokens.
    pub tokens: u64,
    /// The provider's cost at worst.
    pub estimate: NanoUsd,
    /// What the tenant might owe at most.
    pub credit_limit: Option<NanoUsd>,
    /// The claim that it was reserved with.
    pub claim: Option<Box<Claim>>,
    /// The budgets that it counts against.
    pub holds: Vec<Hold>,
}

impl Intent {
    /// The roll-up that the attempt counts in: by the hour in which it was opened.
    pub fn rollup(&self) -> RollupKey {
        RollupKey { key: self.key, provider: self.provider, model: self.model, hour: self.at.hour() }
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why its cost is absorbed, where it is.
    pub reason: EntityId,
    /// What the tenant was charged.
    pub charged: NanoUsd,
    /// The provider's cost.
    pub cost: NanoUsd,
}

/// What an attempt used upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// By bucket.
    pub usage: Usage,
    /// Where the figures come from.
    pub provenance: Provenance,
    /// The provider's cost, posted.
    pub cost: NanoUsd,
    /// The provider's cost before rounding.
    pub exact: Usd,
    /// What the tenant was charged; the money itself moves in another book.
    pub charged: NanoUsd,
}

/// An ended attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it was opened.
    pub intent: Intent,
    /// What it came to.
    pub settlement: Settlement,
    /// What it used.
    pub used: Used,
    /// Whether it was entered as crashed first, and the truth came late.
    pub late: bool,
    /// How much of the charge was refunded.
    pub refunded: NanoUsd,
}

/// One movement between two accounts of one book and one measure. Amounts are never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Reserving, releasing, or for good.
    pub phase: Phase,
    /// This balance grows (with [`Phase::Release`]: shrinks).
    pub debit: AccountId,
    /// This balance shrinks (with [`Phase::Release`]: grows).
    pub credit: AccountId,
    /// By how much.
    pub amount: Quantity,
}

/// Which half of a balance a transfer moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Adds to what is pending.
    Pend = 1,
    /// Takes a [`Phase::Pend`] back.
    Release = 2,
    /// Moves what is posted.
    Post = 3,
}
