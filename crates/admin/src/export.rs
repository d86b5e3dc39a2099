use std::collections::BTreeMap;

use serde::Serialize;
use weighbridge_ledger::{
    AccountId, EntityId, Entry, Fact, Funding, JournalRow, Phase, RollupKey, Settlement, Transfer, Used,
};
use weighbridge_units::NanoUsd;

use crate::views::shown;
use crate::wallet::shown_id;

/// A row of the journal, decoded: what happened and what it moved. Fields that a fact has no use for are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct JournalView {
    /// Its number.
    pub seq: u64,
    /// `platform`, `surcharge` or `usage`.
    pub book: &'static str,
    /// The opening of the ledger that wrote it.
    pub writer: u32,
    /// When.
    pub at: String,
    /// What happened: `reserved`, `ended`, `overage`, `late`, `refunded`, `used`, `funded` or `sealed`.
    pub fact: &'static str,
    /// The attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    /// The caller's id of a refund or a funding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of a refund of a top-up: the top-up's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The kind of a funding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// The key that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Names, or the ids of those that are unknown or were erased: `tenant`, `provider`, `model`,
    /// `price_version`, `reason`, `actor`.
    #[serde(flatten)]
    pub names: BTreeMap<&'static str, String>,
    /// How the attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// Where its usage comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<&'static str>,
    /// Its usage, by bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<BTreeMap<&'static str, u64>>,
    /// What was reserved, refunded, funded, or charged beyond the reservation, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// What the tenant was charged, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_usd: Option<String>,
    /// The provider's cost, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// The provider's cost before rounding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact_usd: Option<String>,
    /// What it moved.
    pub transfers: Vec<TransferView>,
    /// Its hash, over the row before it in its chain and over itself.
    pub hash: String,
}

/// One movement between two accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransferView {
    /// `pend`, `release` or `post`.
    pub phase: &'static str,
    /// The account that is debited.
    pub debit: String,
    /// The account that is credited.
    pub credit: String,
    /// What both count: `usd`, `tokens` or `requests`.
    pub measure: &'static str,
    /// How much: dollars as a decimal, else a whole number.
    pub amount: String,
}

impl JournalView {
    pub(crate) fn new(row: &JournalRow, name: impl Fn(EntityId) -> Option<String>) -> Self {
        let entry = &row.entry;
        let mut view = Self {
            seq: row.seq,
            book: entry.book.as_str(),
            writer: entry.writer.get(),
            at: entry.at.to_string(),
            transfers: entry.transfers.iter().map(TransferView::new).collect(),
            hash: row.hash.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            ..Self::default()
        };
        let named = named(entry).into_iter();
        view.names = named.map(|(what, id)| (what, name(id).unwrap_or_else(|| id.to_string()))).collect();
        view.tell(&entry.fact);
        view
    }

    /// The same, with the names of those whose accounts were moved.
    pub(crate) fn with_names(row: &JournalRow, name: impl Fn(EntityId) -> Option<String>) -> Self {
        let mut view = Self::new(row, &name);
        let shown = |account: AccountId| match name(account.entity()) {
            Some(name) => format!("{} ({name})", account.kind().as_str()),
            None if account.entity() == EntityId::NONE => account.kind().as_str().to_owned(),
            None => account.to_string(),
        };
        for (transfer, view) in row.entry.transfers.iter().zip(&mut view.transfers) {
            (view.debit, view.credit) = (shown(transfer.debit), shown(transfer.credit));
        }
        view
    }

    fn tell(&mut self, fact: &Fact) {
        let dollars = |amount: NanoUsd| Some(amount.to_string());
        match fact {
            Fact::Reserved { attempt, intent, .. } => {
                self.fact = "reserved";
                (self.attempt, self.key) = (Some(attempt.to_string()), Some(intent.key.to_string()));
                self.amount_usd = dollars(intent.amount);
            }
            Fact::Ended { attempt, settlement, .. } => {
                (self.fact, self.attempt) = ("ended", Some(attempt.to_string()));
                self.settled(settlement);
            }
            Fact::Late { attempt, settlement, .. } => {
                (self.fact, self.attempt) = ("late", Some(attempt.to_string()));
                self.settled(settlement);
            }
            Fact::Overage { attempt, excess, .. } => {
                (self.fact, self.attempt) = ("overage", Some(attempt.to_string()));
                self.amount_usd = dollars(*excess);
            }
            Fact::Refunded { attempt, id, amount, rollup, .. } => {
                (self.fact, self.attempt) = ("refunded", Some(attempt.to_string()));
                (self.id, self.key) = (Some(shown_id(*id)), Some(rollup.key.to_string()));
                self.amount_usd = dollars(*amount);
            }
            Fact::Used { attempt, rollup, used, .. } => {
                (self.fact, self.attempt) = ("used", Some(attempt.to_string()));
                self.key = Some(rollup.key.to_string());
                self.used(used);
            }
            Fact::Funded { id, funding, .. } => {
                (self.fact, self.id) = ("funded", Some(shown_id(*id)));
                self.kind = Some(funding.as_str());
                let (amount, of) = match *funding {
                    Funding::TopUp(amount) | Funding::Credit(amount) | Funding::Adjustment(amount) => {
                        (amount, None)
                    }
                    Funding::Refund { of, amount } => (amount, Some(shown_id(of))),
                };
                (self.amount_usd, self.of) = (dollars(amount), of);
            }
            Fact::Sealed { .. } => self.fact = "sealed",
        }
    }

    fn settled(&mut self, settlement: &Settlement) {
        self.outcome = Some(settlement.outcome.as_str());
        self.charged_usd = Some(settlement.charged.to_string());
        self.cost_usd = Some(settlement.cost.to_string());
    }

    fn used(&mut self, used: &Used) {
        self.outcome = Some(used.outcome.as_str());
        self.provenance = Some(used.provenance.as_str());
        self.usage = Some(used.usage.iter().map(|(bucket, count)| (bucket.as_str(), count)).collect());
        self.charged_usd = Some(used.charged.to_string());
        self.cost_usd = Some(used.cost.to_string());
        self.exact_usd = Some(used.exact.to_string());
    }
}

impl TransferView {
    fn new(transfer: &Transfer) -> Self {
        let account = |account: AccountId| account.to_string();
        let measure = transfer.debit.measure();
        Self {
            phase: match transfer.phase {
                Phase::Pend => "pend",
                Phase::Release => "release",
                Phase::Post => "post",
            },
            debit: account(transfer.debit),
            credit: account(transfer.credit),
            measure: measure.as_str(),
            amount: shown(measure, transfer.amount),
        }
    }
}

/// What a row calls by name.
fn named(entry: &Entry) -> Vec<(&'static str, EntityId)> {
    let of_rollup = |rollup: &RollupKey| vec![("provider", rollup.provider), ("model", rollup.model)];
    match &entry.fact {
        Fact::Reserved { intent, .. } => vec![
            ("tenant", intent.tenant),
            ("provider", intent.provider),
            ("model", intent.model),
            ("price_version", intent.price_version),
        ],
        Fact::Ended { settlement, .. } | Fact::Late { settlement, .. } => vec![("reason", settlement.reason)],
        Fact::Refunded { rollup, reason, .. } => {
            let mut named = of_rollup(rollup);
            named.push(("reason", *reason));
            named
        }
        Fact::Used { rollup, .. } => of_rollup(rollup),
        Fact::Funded { tenant, reason, actor, .. } => {
            vec![("tenant", *tenant), ("reason", *reason), ("actor", *actor)]
        }
        Fact::Overage { .. } | Fact::Sealed { .. } => Vec::new(),
    }
}

/// The names that a row needs.
pub(crate) fn names(entry: &Entry) -> impl Iterator<Item = EntityId> {
    named(entry).into_iter().map(|(_, id)| id)
}
