use serde::{Deserialize, Serialize};
use weighbridge_access::TenantName;
use weighbridge_ledger::{AccountId, AccountKind, Balance, Book, EntityId, Fund, Funding, Name};
use weighbridge_units::{AttemptId, NanoUsd, Timestamp};

use crate::AdminError;

/// The longest reason. It stands in the ledger's table of names.
const REASON_CHARS: usize = 200;

/// What is to happen to a tenant's wallet, as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFunding {
    /// Whose wallet: `acme` or `acme/search`.
    pub tenant: String,
    /// What happens to it.
    pub kind: FundingKind,
    /// Dollars such as `25.00`. Text, never a number. Below zero only for an adjustment at the tenant's expense.
    pub amount_usd: String,
    /// Why, in a few words. It stands in the journal for good, so no person's name belongs here.
    pub reason: String,
    /// Of a refund: the id of the top-up.
    #[serde(default)]
    pub of: Option<String>,
    /// A UUID that names the act: repeated under the same one, it takes effect once. Absent: a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// `platform`, which it is if absent, or `surcharge` for tenants with provider keys of their own.
    #[serde(default)]
    pub book: Option<String>,
}

/// The kinds of funding, by their names in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FundingKind {
    /// The tenant paid.
    TopUp,
    /// The tenant is given something that it did not pay.
    Credit,
    /// Something is put right.
    Adjustment,
    /// The tenant gets back what it paid.
    Refund,
}

impl NewFunding {
    /// The command, under `fresh` where nobody gave an id.
    pub(crate) fn define(&self, actor: &str, at: Timestamp, fresh: u128) -> Result<Fund, AdminError> {
        let tenant = read_tenant(&self.tenant)?;
        let amount: NanoUsd =
            self.amount_usd.parse().map_err(|why| AdminError::invalid("amount_usd", why))?;
        let of = self.of.as_deref().map(|of| id("of", of)).transpose()?;
        let funding = match (self.kind, of) {
            (FundingKind::Refund, Some(of)) => Funding::Refund { of, amount },
            (FundingKind::Refund, None) => {
                return Err(AdminError::invalid("of", "a refund names the id of its top-up"));
            }
            (_, Some(_)) => return Err(AdminError::invalid("of", "only a refund has an original")),
            (FundingKind::TopUp, None) => Funding::TopUp(amount),
            (FundingKind::Credit, None) => Funding::Credit(amount),
            (FundingKind::Adjustment, None) => Funding::Adjustment(amount),
        };
        let reason = self.reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON_CHARS || reason.contains(char::is_control) {
            let why = format!("say why on one line, in at most {REASON_CHARS} characters");
            return Err(AdminError::invalid("reason", why));
        }
        let book = match self.book.as_deref() {
            None | Some("platform") => Book::Platform,
            Some("surcharge") => Book::Surcharge,
            Some(_) => {
                return Err(AdminError::invalid("book", "write platform or surcharge, or leave it out"));
            }
        };
        Ok(Fund {
            id: self.id.as_deref().map(|text| id("id", text)).transpose()?.unwrap_or(fresh),
            at,
            book,
            tenant,
            funding,
            reason: Name::new(reason),
            actor: Name::new(actor),
        })
    }

    /// What was asked for, field by field, for the audit log.
    pub(crate) fn describe(&self, fund: &Fund) -> Vec<(String, String)> {
        let fields = [
            ("id", Some(shown_id(fund.id))),
            ("book", Some(fund.book.to_string())),
            ("amount_usd", Some(self.amount_usd.clone())),
            ("reason", Some(fund.reason.to_string())),
            ("of", self.of.clone()),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

pub(crate) fn read_tenant(text: &str) -> Result<Name, AdminError> {
    let tenant = TenantName::new(text).map_err(|why| AdminError::invalid("tenant", why))?;
    Ok(Name::new(tenant.shared()))
}

/// An id of 128 bits is written as a UUID.
pub(crate) fn shown_id(id: u128) -> String {
    AttemptId::from_u128(id).to_string()
}

fn id(field: &'static str, text: &str) -> Result<u128, AdminError> {
    let id: Result<AttemptId, _> = text.parse();
    id.map(AttemptId::get).map_err(|_| AdminError::invalid(field, "write a UUID"))
}

/// A funding that took effect, now or before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FundingView {
    /// The id that it took effect under.
    pub id: String,
    /// What happened.
    pub kind: &'static str,
    /// The wallet afterwards.
    pub wallet: WalletView,
}

/// What a tenant owes in one book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WalletView {
    /// Whose.
    pub tenant: String,
    /// `platform` or `surcharge`.
    pub book: &'static str,
    /// What it owes, in dollars. Below zero: what it paid in advance.
    pub owed_usd: String,
    /// What its open attempts have reserved, in dollars.
    pub pending_usd: String,
}

impl WalletView {
    pub(crate) fn new(tenant: &Name, book: Book, balance: Balance) -> Self {
        Self {
            tenant: tenant.to_string(),
            book: book.as_str(),
            owed_usd: balance.posted.usd().to_string(),
            pending_usd: balance.pending.usd().to_string(),
        }
    }
}

/// The books that a tenant may owe in.
pub(crate) const BOOKS: [Book; 2] = [Book::Platform, Book::Surcharge];

/// The account of what a tenant owes.
pub(crate) fn receivable(book: Book, tenant: EntityId) -> AccountId {
    AccountId::new(book, AccountKind::Receivable, tenant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn funding(kind: FundingKind) -> NewFunding {
        NewFunding {
            tenant: "acme".into(),
            kind,
            amount_usd: "25.00".into(),
            reason: "invoice 17".into(),
            of: None,
            id: None,
            book: None,
        }
    }

    #[test]
    fn every_kind_becomes_what_it_says() {
        let define = |new: &NewFunding| new.define("cli", Timestamp::from_secs(1), 7).unwrap();
        let amount = NanoUsd::new(25_000_000_000);
        let top_up = define(&funding(FundingKind::TopUp));
        assert_eq!((top_up.id, top_up.funding, top_up.book), (7, Funding::TopUp(amount), Book::Platform));
        let of = Some(shown_id(7));
        let refund = define(&NewFunding { of, id: Some(shown_id(8)), ..funding(FundingKind::Refund) });
        assert_eq!((refund.id, refund.funding), (8, Funding::Refund { of: 7, amount }));
        let surcharge = NewFunding { book: Some("surcharge".into()), ..funding(FundingKind::Credit) };
        assert_eq!(define(&surcharge).book, Book::Surcharge);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let base = funding(FundingKind::TopUp);
        let some = |text: &str| Some(text.to_owned());
        for (field, new) in [
            ("tenant", NewFunding { tenant: "a b".into(), ..base.clone() }),
            ("amount_usd", NewFunding { amount_usd: "1e3".into(), ..base.clone() }),
            ("amount_usd", NewFunding { amount_usd: "0.0000000001".into(), ..base.clone() }),
            ("amount_usd", NewFunding { amount_usd: "99999999999".into(), ..base.clone() }),
            ("amount_usd", NewFunding { amount_usd: "NaN".into(), ..base.clone() }),
            ("reason", NewFunding { reason: " ".into(), ..base.clone() }),
            ("reason", NewFunding { reason: "two\nlines".into(), ..base.clone() }),
            ("of", NewFunding { of: some(&shown_id(1)), ..base.clone() }),
            ("of", funding(FundingKind::Refund)),
            ("id", NewFunding { id: some("17"), ..base.clone() }),
            ("book", NewFunding { book: some("usage"), ..base }),
        ] {
            let error = new.define("cli", Timestamp::from_secs(1), 7).unwrap_err();
            assert!(matches!(&error, AdminError::Invalid { field: found, .. } if *found == field), "{error}");
        }
        assert!(
            serde_json::from_str::<NewFunding>(
                r#"{"tenant":"t","kind":"top-up","amount_usd":25.0,"reason":"r"}"#
            )
            .is_err()
        );
    }
}
