use async_trait::async_trait;
use futures::future::BoxFuture;
use thiserror::Error;
use weighbridge_units::{AttemptId, KeyId, NanoUsd, Timestamp};

use crate::{
    AccountId, Adjust, Balance, Book, End, Ended, EntityId, Entry, Fact, Fund, Intent, Measure, Name, Permit,
    Quantity, Reserve, Rollup, RollupKey, RowHash, UsageKey, UsageQuery,
};

/// Rows of the journal that are read at once.
const JOURNAL_PAGE: usize = 10_000;

/// Keeps a ledger. Every store runs the same pure functions ([`crate::touches`], [`crate::decide`],
/// [`crate::apply`]) and passes [`crate::testkit::check_store`].
///
/// Application code holds a [`crate::Ledger`] instead, which makes forgetting an end hard to write.
///
/// # Contract
/// - What [`Self::reserve`] confirmed survives the death of the process.
/// - [`Self::hand_over`] and [`Self::flush`] never wait for other tasks and never fail. Commands take
///   effect in the order of the calls: an end handed over after a reservation was asked for is decided
///   after it, also where the reservation's future was dropped.
/// - An end leaves the queue only when its commit is confirmed (rule C3).
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Commits an attempt's intent with its reservation.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] changed nothing. After [`LedgerError::Unavailable`] it is unknown
    /// whether the intent is committed; ending it as not dispatched is right in both cases.
    fn reserve(&self, reserve: Reserve) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Takes an end over. It is committed by the next flush or with the next reservation.
    fn hand_over(&self, end: End, permit: Permit);

    /// Whether an end that was handed over just now waits for a flush, or for the next commit.
    fn wants_flush(&self) -> bool {
        true
    }

    /// Commits what was handed over; cheap if there is nothing.
    ///
    /// A store whose commits wait for the disk only wakes its writer. Where the store cannot be
    /// written, the ends stay queued and a later flush tries again.
    fn flush(&self);

    /// Refunds.
    ///
    /// # Errors
    /// As [`Self::reserve`]; retry under the same id.
    async fn adjust(&self, adjust: Adjust) -> Result<(), LedgerError>;

    /// Moves a tenant's wallet.
    ///
    /// # Errors
    /// As [`Self::reserve`]; retry under the same id.
    async fn fund(&self, fund: Fund) -> Result<(), LedgerError>;

    /// Ends every attempt whose owner is dead as crashed, `now`. Idempotent; may be killed, and may
    /// run on several instances at once (rule C2). Must have returned before the first reservation.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`]: call it again.
    async fn recover(&self, now: Timestamp) -> Result<Recovery, LedgerError>;

    /// All open attempts, by id.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    async fn open_attempts(&self) -> Result<Vec<(AttemptId, Intent)>, LedgerError>;

    /// What is known of an attempt.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    async fn attempt(&self, attempt: AttemptId) -> Result<Option<AttemptEntry>, LedgerError>;

    /// All accounts that ever moved, by id.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    async fn balances(&self) -> Result<Vec<(AccountId, Balance)>, LedgerError>;

    /// One account.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn balance(&self, account: AccountId) -> Result<Balance, LedgerError>;

    /// At most `limit` rows of the journal with numbers above `after`, in order.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    async fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalRow>, LedgerError>;

    /// Usage by key, provider, model and hour, in that order.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    async fn rollups(&self, query: RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, LedgerError>;

    /// Usage of a period by key and what the query says beside it, in that order ([`crate::add_up`]). What was
    /// settled is in it at once (rule Q1).
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    async fn usage(&self, query: UsageQuery) -> Result<Vec<(UsageKey, Rollup)>, LedgerError> {
        Ok(crate::add_up(self.rollups(query.of).await?, query.by))
    }

    /// The rows that opening and ending an attempt wrote, in order. Its refunds are not among them: they are rows of
    /// other commands, and [`Self::attempt`] has their sum.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    async fn attempt_rows(&self, attempt: AttemptId) -> Result<Vec<JournalRow>, LedgerError> {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = self.journal(after, JOURNAL_PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.seq;
            let is_of = |row: &JournalRow| {
                row.entry.fact.attempt() == Some(attempt) && !matches!(row.entry.fact, Fact::Refunded { .. })
            };
            found.extend(page.into_iter().filter(is_of));
        }
    }

    /// Links the hash chains, if anything was written since they were linked last. A job does it each minute.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn seal(&self, now: Timestamp) -> Result<(), LedgerError>;

    /// Checks hash chains and balances. What it finds is in the [`Verification`], not an error.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] where the journal cannot be read at all.
    async fn verify(&self, extent: Extent) -> Result<Verification, LedgerError>;

    /// Whether the store can be written.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] with the reason.
    async fn health(&self) -> Result<(), LedgerError>;

    /// Makes a name known that accounts and entries mention by id only. Names in a [`Reserve`] and in
    /// [`crate::EndFacts`] need not be registered.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn register_name(&self, name: Name) -> Result<(), LedgerError>;

    /// The name behind an id, unless it is unknown or was erased.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn name(&self, id: EntityId) -> Result<Option<String>, LedgerError>;

    /// What has happened since this store was opened.
    fn counters(&self) -> Counters;
}

/// Why the ledger did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The command cannot be carried out; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot be read or written now. New work must wait; running work goes on.
    #[error("the ledger cannot be written: {reason}; requests are refused until it can")]
    Unavailable {
        /// What the store said.
        reason: String,
    },
    /// Too many attempts are open at once.
    #[error("{open} attempts are open, and no more are allowed: wait, or raise the limit")]
    Full {
        /// The limit.
        open: usize,
    },
    /// Something in the store cannot be read as what it must be.
    #[error("the ledger is damaged: {what}; run `ledger verify` and restore a backup")]
    Corrupt {
        /// Where, and what is wrong.
        what: String,
    },
}

/// Why a command was refused. It changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A budget has no room.
    #[error(
        "the budget {account} has {} left and {} are needed: raise it, or ask for less output",
        .account.measure().show(*.available), .account.measure().show(*.needed)
    )]
    Budget {
        /// The budget's account, which says what it counts ([`AccountId::measure`]).
        account: AccountId,
        /// What is left; below zero after an overage or a lowered limit.
        available: Quantity,
        /// What was to be reserved.
        needed: Quantity,
        /// What is only reserved of that which is not left, and may come back.
        pending: Quantity,
    },
    /// The tenant would owe more than it may.
    #[error(
        "the wallet has {available} USD left and {needed} USD are needed: top it up, or ask for less output"
    )]
    Wallet {
        /// What is left; below zero after an overage or a lowered limit.
        available: NanoUsd,
        /// What was to be reserved.
        needed: NanoUsd,
    },
    /// Something else was asked for under the same idempotency key.
    #[error("something else was asked for under this idempotency key: use another key")]
    ClaimConflict,
    /// The same is being carried out under the idempotency key.
    #[error("the same is being carried out as attempt {attempt}: wait for its end")]
    ClaimOpen {
        /// The attempt that has the claim.
        attempt: AttemptId,
    },
    /// The same was carried out under the idempotency key.
    #[error("the same was carried out as attempt {attempt}: use another key to ask for it again")]
    ClaimDone {
        /// The attempt that has the claim.
        attempt: AttemptId,
    },
    /// Another command was carried out under the same id.
    #[error("another command was carried out under this id: use a fresh id")]
    Conflict,
    /// The attempt has ended already.
    #[error("the attempt has ended already: an attempt ends once")]
    AlreadyEnded,
    /// No such attempt was ever reserved, or its records are no longer kept.
    #[error("no such attempt: reserve it first")]
    UnknownAttempt,
    /// This instance was taken for dead, and its open attempts were ended by another.
    #[error("this instance was declared dead by another one: open the ledger again")]
    StaleEpoch,
    /// A balance would not fit; see rule M4.
    #[error("a balance would exceed 9.2 billion dollars: amounts this large cannot be booked")]
    Overflow,
    /// No such top-up was ever made, or its records are no longer kept.
    #[error("no such top-up: name the id that it was made under")]
    UnknownTopUp,
    /// The refund would exceed what the tenant was charged for the attempt, or paid.
    #[error("only {left} USD of the original are left to refund")]
    RefundTooLarge {
        /// What may still be refunded.
        left: NanoUsd,
    },
    /// The command contradicts itself.
    #[error("the command is not valid: {0}")]
    Invalid(&'static str),
}

/// What [`LedgerStore::recover`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Attempts that were ended as crashed.
    pub crashed: u64,
    /// Writers that were found dead.
    pub writers: u64,
}

/// An attempt as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is looked up at a time, and moved once")]
pub enum AttemptEntry {
    /// Dispatched, or about to be.
    Open(Intent),
    /// Over.
    Ended(Ended),
}

/// A row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Its number: 1, 2, 3 … over all books and writers, without gaps.
    pub seq: u64,
    /// What it says.
    pub entry: Entry,
    /// Its hash, over the row before it in its chain and over itself.
    pub hash: RowHash,
}

/// Which roll-ups are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollupQuery {
    /// Of one key only.
    pub key: Option<KeyId>,
    /// From this hour on ([`Timestamp::hour`]).
    pub from_hour: i64,
    /// Before this hour.
    pub until_hour: i64,
}

impl RollupQuery {
    /// Everything there is.
    pub const ALL: Self = Self { key: None, from_hour: i64::MIN, until_hour: i64::MAX };
}

/// How much of the journal to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// From the last seal on: at every start.
    SinceSeal,
    /// All of it, balances, roll-ups, open attempts and command ids included.
    All,
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Rows that were read.
    pub rows: u64,
    /// The last row's number.
    pub last_seq: u64,
    /// Everything that is wrong, at most [`Verification::MAX_FAULTS`] of them.
    pub faults: Vec<Fault>,
}

impl Verification {
    /// Verifying stops looking after this many faults.
    pub const MAX_FAULTS: usize = 100;

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// One thing that is wrong with a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A row is missing, or out of order.
    #[error("row {expected} is missing: row {found} follows")]
    Gap {
        /// The number that should be next.
        expected: u64,
        /// The number that is.
        found: u64,
    },
    /// A row cannot be read.
    #[error("row {seq} cannot be read: {what}")]
    Unreadable {
        /// Its number.
        seq: u64,
        /// Why.
        what: String,
    },
    /// A row is not what it was when it was written, or the row before it in its chain is not.
    #[error("row {seq} ({book}) does not continue its hash chain")]
    Broken {
        /// Its number.
        seq: u64,
        /// Its book.
        book: Book,
    },
    /// A seal names another head than the chain has.
    #[error("seal {seq} ({book}) does not match the chains")]
    Seal {
        /// Its number.
        seq: u64,
        /// Its book.
        book: Book,
    },
    /// Debits and credits of a book differ (rule L1).
    #[error("debits and credits of the {book} book differ in {measure}")]
    Unbalanced {
        /// The book.
        book: Book,
        /// In what.
        measure: Measure,
    },
    /// A table is not what the journal adds up to (rule L3).
    #[error("{what} differs from what the journal adds up to")]
    Fold {
        /// Which account, roll-up, attempt or command.
        what: String,
    },
}

/// What has happened since a store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Reservations that were committed.
    pub reserved: u64,
    /// Ends that were committed.
    pub ended: u64,
    /// Ends whose price exceeded the reservation (rule R5).
    pub overages: u64,
    /// Ends that came after their attempt had been entered as crashed (rule R7).
    pub late: u64,
    /// Ends that could not be entered: of attempts that had ended, or were never reserved.
    pub rejected_ends: u64,
    /// Commits, each of one batch.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Times that a store could not carry its write-ahead log over into its tables, where it has such a log.
    pub failed_checkpoints: u64,
}
