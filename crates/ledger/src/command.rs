use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd};

use crate::{AccountId, Book, Claim, Epoch, Fund, Measure, Name, Quantity, RowHash};

/// The most holds that one reservation may have.
pub const MAX_HOLDS: usize = 16;

/// Whose credential pays the provider, and so which book the tenant's charge stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Billing {
    /// A credential of the installation: the tenant owes the price, the installation owes the provider.
    #[default]
    Platform,
    /// The tenant's own credential (BYOK): the tenant owes a surcharge and settles with the provider itself.
    OwnKey,
    /// A credential of the installation, for a purpose of its own, such as a copy of a request: nobody owes
    /// anything, and the budgets that it counts against count what the provider charges.
    House,
}

impl Billing {
    /// The book in which the tenant's charge stands.
    pub const fn book(self) -> Book {
        match self {
            Self::Platform | Self::House => Book::Platform,
            Self::OwnKey => Book::Surcharge,
        }
    }
}

/// Whatever changes the ledger. Each is identified by its caller (rule L4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Opens an attempt and reserves its worst price.
    Reserve(Reserve),
    /// Ends an attempt: releases what was reserved and posts what was used.
    End(End),
    /// Changes what an ended attempt was charged.
    Adjust(Adjust),
    /// Moves a tenant's wallet.
    Fund(Fund),
    /// Links the hash chains.
    Seal(Seal),
}

/// Opens an attempt: must be committed before its first byte goes upstream (rule R1).
///
/// Its id is the attempt's. Repeating it unchanged has no effect; another reservation under the
/// same attempt is a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The attempt; a fresh one for every candidate of a request.
    pub attempt: AttemptId,
    /// Now. Budget windows and roll-ups belong to this instant.
    pub at: Timestamp,
    /// When a store may end the attempt as crashed although it cannot see whether its owner lives.
    pub expires: Timestamp,
    /// The virtual key that asks.
    pub key: KeyId,
    /// Who owes the price.
    pub tenant: Name,
    /// Who is paid for the answer.
    pub provider: Name,
    /// The provider's model.
    pub model: Name,
    /// The price book that the attempt is priced by (rule P1).
    pub price_version: Name,
    /// Whose credential pays the provider.
    pub billing: Billing,
    /// What the tenant may have to pay at worst (rule R4), with [`Billing::House`] what the provider may charge;
    /// reserved on every hold that counts money.
    pub amount: NanoUsd,
    /// How many tokens it may come to at worst, those of the prompt and of the answer; reserved on every hold
    /// that counts tokens. More than [`crate::MAX_COUNT`] is cut to it.
    pub tokens: u64,
    /// What the tenant may owe at most, in the book of the reservation's [`Billing`], what is reserved
    /// included: zero for prepaid, more for post-paid. `None`: not bounded. With [`Billing::House`] nobody owes, and
    /// it must be `None`.
    pub credit_limit: Option<NanoUsd>,
    /// That nothing else is carried out under the caller's idempotency key. On the heap, as hardly any has one. With
    /// [`Billing::House`] nobody has asked, and it must be `None`.
    pub claim: Option<Box<Claim>>,
    /// The budgets that this attempt counts against, at most [`MAX_HOLDS`], each once.
    pub holds: Vec<Hold>,
    /// The provider's cost at worst. Entered if the truth is lost in a crash: the real cost lies
    /// between nothing and this.
    pub estimate: NanoUsd,
}

/// One budget that a reservation counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// A budget account, see [`crate::budget_account`], in the book of the reservation's [`Billing`].
    pub account: AccountId,
    /// Posted and reserved together may reach this and not more, in what the account counts. `None`: counted,
    /// not bounded.
    pub limit: Option<Quantity>,
}

impl Hold {
    /// What is held: the attempt's worst price, its worst count of tokens, or one request.
    pub fn measure(&self) -> Measure {
        self.account.measure()
    }
}

/// Ends an attempt. The second end of an attempt is refused, but for one: what is learned after an
/// attempt was entered as crashed replaces that entry, once (rule R7). It is posted in full, whatever the
/// budget says, as an overage is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The attempt.
    pub attempt: AttemptId,
    /// How it ended.
    pub facts: EndFacts,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndFacts {
    /// When.
    pub at: Timestamp,
    /// How; who pays is a function of this ([`crate::charge`]).
    pub outcome: AttemptOutcome,
    /// What the provider metered, or what is known of it.
    pub usage: Usage,
    /// Where `usage` comes from.
    pub provenance: Provenance,
    /// What the tenant owes *if* the outcome makes it pay: the price, or with [`Billing::OwnKey`] the surcharge.
    pub price: NanoUsd,
    /// The provider's cost, posted (rounded once).
    pub cost: NanoUsd,
    /// The provider's cost before rounding.
    pub exact: Usd,
    /// Why a failed attempt's cost is absorbed (`absorbed:<reason>`). Outcomes that name their own
    /// reason (time-out, lost hedge, shadow, crash) ignore it.
    pub reason: Name,
}

impl EndFacts {
    /// The end of an attempt that certainly never reached the provider: nothing used, nothing owed.
    pub fn not_dispatched(at: Timestamp) -> Self {
        Self {
            at,
            outcome: AttemptOutcome::FailedBeforeOutput,
            usage: Usage::new(),
            provenance: Provenance::Reported,
            price: NanoUsd::ZERO,
            cost: NanoUsd::ZERO,
            exact: Usd::ZERO,
            reason: Name::new("not-dispatched"),
        }
    }

    /// The end of an attempt whose truth is lost: the provider may have billed up to `estimate`.
    pub fn crashed(at: Timestamp, estimate: NanoUsd) -> Self {
        Self {
            at,
            outcome: AttemptOutcome::Crashed,
            usage: Usage::new(),
            provenance: Provenance::Estimated,
            price: NanoUsd::ZERO,
            cost: estimate,
            exact: Usd::from(estimate),
            reason: Name::new("crash"),
        }
    }
}

/// Gives a tenant back what it was charged for an attempt (rule L6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjust {
    /// The caller's id: the same one twice has one effect.
    pub id: u128,
    /// The attempt that was charged.
    pub attempt: AttemptId,
    /// Now.
    pub at: Timestamp,
    /// How much, above zero. All refunds of an attempt never exceed its charge.
    pub refund: NanoUsd,
    /// Why, in a word or two.
    pub reason: Name,
}

/// Links the hash chains of all books, so that verifying can start here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Now.
    pub at: Timestamp,
    /// The last row of each chain that may grow, or grew since the last seal.
    pub heads: Vec<ChainHead>,
}

/// The last row of one hash chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// The book.
    pub book: Book,
    /// The writer.
    pub writer: Epoch,
    /// The row's number.
    pub seq: u64,
    /// The row's hash.
    pub hash: RowHash,
}

/// What a command is known by for as long as records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId {
    /// The attempt, or the caller's id.
    pub id: u128,
    /// What is done to it.
    pub act: Act,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Act {
    /// Opens the attempt.
    Reserve = 1,
    /// Ends the attempt.
    End = 2,
    /// Replaces the end of an attempt that was entered as crashed.
    Late = 3,
    /// Refunds.
    Refund = 4,
    /// Moves a wallet.
    Fund = 5,
}

impl Act {
    /// Every act.
    pub const ALL: [Self; 5] = [Self::Reserve, Self::End, Self::Late, Self::Refund, Self::Fund];

    /// The act of that number, as stores write it.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|act| *act as u8 == code)
    }
}

impl CommandId {
    /// The id of an act on an attempt.
    pub const fn of(attempt: AttemptId, act: Act) -> Self {
        Self { id: attempt.get(), act }
    }

    /// As stores write it: the id, then the act, so that the acts on one attempt are neighbours.
    pub fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [self.act as u8; 17];
        bytes[..16].copy_from_slice(&self.id.to_be_bytes());
        bytes
    }
}
