use weighbridge_units::{NanoUsd, Timestamp};

use crate::codec::fund_payload;
use crate::{
    AccountId, AccountKind, Act, Book, CommandId, EntityId, Entry, Epoch, Fact, Name, Phase, Refusal,
    Transfer, View,
};

/// Moves what a tenant owes by something else than its requests (rule L4: once per id).
///
/// What a tenant owes is its wallet with the sign turned round: a prepaid tenant has topped up more than it
/// was charged. [`crate::Reserve::credit_limit`] bounds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fund {
    /// The caller's id: the same one twice has one effect, whatever the kind of funding.
    pub id: u128,
    /// Now. Of a repetition it may be another time.
    pub at: Timestamp,
    /// The book that the tenant owes in; not [`Book::Usage`].
    pub book: Book,
    /// Whose wallet it is.
    pub tenant: Name,
    /// What happens to it.
    pub funding: Funding,
    /// Why, in a word or two.
    pub reason: Name,
    /// Who did it.
    pub actor: Name,
}

/// What happens to a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Funding {
    /// The tenant paid so much, above zero.
    TopUp(NanoUsd),
    /// The tenant is given so much, above zero, that it did not pay.
    Credit(NanoUsd),
    /// Something is put right: above zero in the tenant's favour, below zero at its expense.
    Adjustment(NanoUsd),
    /// The tenant gets paid back what it paid. All refunds of a top-up never exceed it (rule L6).
    Refund {
        /// The id of the top-up.
        of: u128,
        /// How much of it, above zero.
        amount: NanoUsd,
    },
}

impl Funding {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp(_) => "top-up",
            Self::Credit(_) => "credit",
            Self::Adjustment(_) => "adjustment",
            Self::Refund { .. } => "refund",
        }
    }

    /// What it moves: against which account, and how much the tenant owes less by it.
    pub(crate) const fn moves(self) -> (AccountKind, NanoUsd) {
        match self {
            Self::TopUp(amount) => (AccountKind::Cash, amount),
            Self::Credit(amount) => (AccountKind::Promotions, amount),
            Self::Adjustment(amount) => (AccountKind::Adjustments, amount),
            Self::Refund { amount, .. } => (AccountKind::Cash, NanoUsd::new(amount.get().saturating_neg())),
        }
    }
}

/// A top-up as its refunds see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopUp {
    /// The book.
    pub book: Book,
    /// Who paid.
    pub tenant: EntityId,
    /// How much.
    pub amount: NanoUsd,
    /// How much of it was paid back.
    pub refunded: NanoUsd,
}

/// The accounts that a funding moves: what the tenant owes, and where it goes to or comes from.
pub(crate) fn funding_accounts(fund: &Fund) -> [AccountId; 2] {
    let (other, _) = fund.funding.moves();
    [
        AccountId::new(fund.book, AccountKind::Receivable, fund.tenant.id()),
        AccountId::new(fund.book, other, EntityId::NONE),
    ]
}

pub(crate) fn funded(view: &impl View, writer: Epoch, fund: &Fund) -> Result<Option<Vec<Entry>>, Refusal> {
    let payload = fund_payload(fund);
    match view.claim(CommandId { id: fund.id, act: Act::Fund }) {
        Some(claimed) if claimed == payload => return Ok(None),
        Some(_) => return Err(Refusal::Conflict),
        None => {}
    }
    valid_fund(fund)?;
    if let Funding::Refund { of, amount } = fund.funding {
        let top_up = view.top_up(of).ok_or(Refusal::UnknownTopUp)?;
        if (top_up.book, top_up.tenant) != (fund.book, fund.tenant.id()) {
            return Err(Refusal::Invalid("the top-up is another tenant's, or in another book"));
        }
        let left = top_up.amount.minus(top_up.refunded).map_err(|_| Refusal::Overflow)?;
        if amount > left {
            return Err(Refusal::RefundTooLarge { left });
        }
    }
    let [receivable, other] = funding_accounts(fund);
    let (_, relief) = fund.funding.moves();
    let amount = NanoUsd::new(relief.get().checked_abs().ok_or(Refusal::Overflow)?).into();
    let transfer = match relief.is_negative() {
        false => Transfer { phase: Phase::Post, debit: other, credit: receivable, amount },
        true => Transfer { phase: Phase::Post, debit: receivable, credit: other, amount },
    };
    let fact = Fact::Funded {
        id: fund.id,
        payload,
        tenant: fund.tenant.id(),
        funding: fund.funding,
        reason: fund.reason.id(),
        actor: fund.actor.id(),
    };
    Ok(Some(vec![Entry { book: fund.book, writer, at: fund.at, fact, transfers: vec![transfer] }]))
}

fn valid_fund(fund: &Fund) -> Result<(), Refusal> {
    if fund.book == Book::Usage {
        return Err(Refusal::Invalid("nobody owes anything in the usage book"));
    }
    match fund.funding {
        Funding::TopUp(amount) | Funding::Credit(amount) | Funding::Refund { amount, .. }
            if amount <= NanoUsd::ZERO =>
        {
            Err(Refusal::Invalid("a top-up, a credit or a refund must be above zero"))
        }
        Funding::Adjustment(NanoUsd::ZERO) => Err(Refusal::Invalid("an adjustment by nothing")),
        _ => Ok(()),
    }
}
