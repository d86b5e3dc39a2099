use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use weighbridge_ledger::{AccountId, Book, EntityId, Entry, Fact, Funding, Name, Phase, RollupKey, Used};
use weighbridge_units::{AttemptId, NanoUsd, Timestamp};

use crate::AdminError;
use crate::new_key::instant;
use crate::wallet::{BOOKS, receivable, shown_id};

/// What moved a tenant's wallet in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementView {
    /// Whose wallet.
    pub tenant: String,
    /// From this day on (UTC).
    pub from: String,
    /// Before this day.
    pub to: String,
    /// The books in which something is, or was, owed.
    pub books: Vec<StatementBook>,
}

/// One book's part of a statement. Opening, lines and closing add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementBook {
    /// `platform` or `surcharge`.
    pub book: &'static str,
    /// What was owed at the beginning, in dollars; below zero: paid in advance.
    pub opening_usd: String,
    /// What changed it.
    pub lines: Vec<StatementLine>,
    /// What was owed at the end.
    pub closing_usd: String,
}

/// One line: a day's requests to one model, or one act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementLine {
    /// The day (UTC).
    pub date: String,
    /// `charge`, `charge-refund`, `top-up`, `credit`, `adjustment` or `refund`.
    pub kind: &'static str,
    /// Of charges: provider and model. Else why.
    pub text: String,
    /// Of acts: the id.
    pub id: Option<String>,
    /// Of acts on the wallet: who did it.
    pub actor: Option<String>,
    /// Attempts that were charged.
    pub attempts: u64,
    /// Their tokens.
    pub tokens: u64,
    /// By how much more is owed, in dollars; below zero: less.
    pub amount_usd: String,
}

/// Gathers a statement from the rows of the journal, in their order.
pub(crate) struct Statement {
    tenant: EntityId,
    from: Timestamp,
    until: Timestamp,
    books: BTreeMap<Book, Gathered>,
    /// Attempts of the tenant whose end was read, and whose usage follows: where their charges stand.
    ending: HashMap<AttemptId, Book>,
}

#[derive(Default)]
struct Gathered {
    opening: i128,
    closing: i128,
    charges: BTreeMap<(i64, EntityId, EntityId), Charges>,
    acts: Vec<Line>,
}

#[derive(Default)]
struct Charges {
    attempts: u64,
    tokens: u64,
    amount: i128,
}

struct Line {
    day: i64,
    kind: &'static str,
    reason: EntityId,
    actor: Option<EntityId>,
    id: u128,
    amount: i128,
}

const DAY_SECS: i64 = 86_400;

impl Statement {
    pub(crate) fn new(tenant: EntityId, from: &str, until: &str) -> Result<Self, AdminError> {
        let day = |field, text: &str| {
            let read = instant(text).filter(|_| text.len() == 10);
            read.ok_or_else(|| AdminError::invalid(field, "write a day such as 2026-11-01"))
        };
        let (from, until) = (day("from", from)?, day("to", until)?);
        if until <= from {
            return Err(AdminError::invalid("to", "the day after the last one, so later than `from`"));
        }
        Ok(Self { tenant, from, until, books: BTreeMap::new(), ending: HashMap::new() })
    }

    /// The next row. A charge belongs to the time of the row that posted it.
    pub(crate) fn row(&mut self, entry: &Entry) {
        let receivable = receivable(entry.book, self.tenant);
        let moved = posted(entry, receivable);
        if let Fact::Used { attempt, rollup, used, replaces } = &entry.fact {
            if let Some(book) = self.ending.remove(attempt) {
                self.charge(entry.at, book, rollup, used, replaces.as_deref());
            }
            return;
        }
        if !BOOKS.contains(&entry.book) || entry.at >= self.until {
            return;
        }
        let touched = entry.transfers.iter().any(|t| t.debit == receivable || t.credit == receivable);
        if !touched {
            return;
        }
        let gathered = self.books.entry(entry.book).or_default();
        gathered.closing += moved;
        if entry.at < self.from {
            gathered.opening += moved;
            return;
        }
        let day = entry.at.as_secs().div_euclid(DAY_SECS);
        match &entry.fact {
            Fact::Ended { attempt, .. } | Fact::Late { attempt, .. } => {
                self.ending.insert(*attempt, entry.book);
            }
            Fact::Refunded { id, reason, .. } => {
                let (kind, actor) = ("charge-refund", None);
                gathered.acts.push(Line { day, kind, reason: *reason, actor, id: *id, amount: moved });
            }
            Fact::Funded { id, reason, actor, funding, .. } => {
                let (kind, actor) = (Funding::as_str(*funding), Some(*actor));
                gathered.acts.push(Line { day, kind, reason: *reason, actor, id: *id, amount: moved });
            }
            _ => {}
        }
    }

    fn charge(
        &mut self,
        at: Timestamp,
        book: Book,
        rollup: &RollupKey,
        used: &Used,
        replaces: Option<&Used>,
    ) {
        let before = replaces.map_or(NanoUsd::ZERO, |replaced| replaced.charged);
        let amount = i128::from(used.charged.get()) - i128::from(before.get());
        if amount == 0 {
            return; // Nobody paid for it.
        }
        let day = at.as_secs().div_euclid(DAY_SECS);
        let gathered = self.books.entry(book).or_default();
        let charges = gathered.charges.entry((day, rollup.provider, rollup.model)).or_default();
        charges.attempts += 1;
        charges.tokens = charges.tokens.saturating_add(used.usage.total());
        charges.amount += amount;
    }

    /// The names that the lines mention.
    pub(crate) fn names(&self) -> BTreeSet<EntityId> {
        let of = |gathered: &Gathered| {
            let charges = gathered.charges.keys().flat_map(|(_, provider, model)| [*provider, *model]);
            let acts = gathered.acts.iter().flat_map(|line| [Some(line.reason), line.actor]);
            charges.chain(acts.flatten()).collect::<Vec<_>>()
        };
        self.books.values().flat_map(of).collect()
    }

    pub(crate) fn finish(
        self,
        tenant: &Name,
        from: &str,
        to: &str,
        name: impl Fn(EntityId) -> Option<String>,
    ) -> StatementView {
        let name = |id| name(id).unwrap_or_else(|| "?".to_owned());
        let book = |(book, gathered): (Book, Gathered)| {
            let charges = gathered.charges.into_iter().map(|((day, provider, model), charges)| {
                let line = StatementLine {
                    date: date(day),
                    kind: "charge",
                    text: format!("{}/{}", name(provider), name(model)),
                    id: None,
                    actor: None,
                    attempts: charges.attempts,
                    tokens: charges.tokens,
                    amount_usd: usd(charges.amount),
                };
                (day, line)
            });
            let acts = gathered.acts.into_iter().map(|act| {
                let line = StatementLine {
                    date: date(act.day),
                    kind: act.kind,
                    text: name(act.reason),
                    id: Some(shown_id(act.id)),
                    actor: act.actor.map(name),
                    attempts: 0,
                    tokens: 0,
                    amount_usd: usd(act.amount),
                };
                (act.day, line)
            });
            let mut lines: Vec<_> = acts.chain(charges).collect();
            lines.sort_by_key(|(day, _)| *day); // Stable: acts in their order, then charges.
            StatementBook {
                book: book.as_str(),
                opening_usd: usd(gathered.opening),
                lines: lines.into_iter().map(|(_, line)| line).collect(),
                closing_usd: usd(gathered.closing),
            }
        };
        StatementView {
            tenant: tenant.to_string(),
            from: from.to_owned(),
            to: to.to_owned(),
            books: self.books.into_iter().map(book).collect(),
        }
    }
}

/// By how much a row changes what is posted on an account.
fn posted(entry: &Entry, account: AccountId) -> i128 {
    let posts = entry.transfers.iter().filter(|transfer| transfer.phase == Phase::Post);
    let signed = posts.map(|transfer| {
        let amount = i128::from(transfer.amount.get());
        i128::from(transfer.debit == account) * amount - i128::from(transfer.credit == account) * amount
    });
    signed.sum()
}

fn date(day: i64) -> String {
    let (year, month, day) = Timestamp::from_secs(day.saturating_mul(DAY_SECS)).date();
    format!("{year:04}-{month:02}-{day:02}")
}

/// Sums of a journal fit, as its balances do.
fn usd(nanos: i128) -> String {
    NanoUsd::new(i64::try_from(nanos).unwrap_or(i64::MAX)).to_string()
}
