//! Soft budgets and thresholds: which budgets were used, how far they have come, and which are exceeded.
//!
//! A request notes the budgets with an eye on them that count it, and asks which are exceeded. A job looks at the
//! balances beside it: an alert comes, and a downgrade binds, within about a second of the use that led to it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use weighbridge_access::{Budget, OnExceed};
use weighbridge_ledger::{AccountId, Balance, BudgetScope, LedgerError, LedgerStore};
use weighbridge_units::Timestamp;

use crate::alerts::Notice;
use crate::budgets::Counting;

/// Windows of budgets that are watched at once: one for each user, where a budget is. Further ones are not.
const MOST: usize = 10_000;

/// What is known of budgets that have an eye on them.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    watched: Mutex<HashMap<AccountId, Watched>>,
    /// Budgets whose use has reached their limit.
    exceeded: ArcSwap<HashSet<AccountId>>,
    alerts: AtomicU64,
    /// Who is told of alerts.
    listeners: Mutex<Vec<mpsc::Sender<Arc<Notice>>>>,
    delivered: AtomicU64,
    undelivered: AtomicU64,
}

#[derive(Debug)]
struct Watched {
    owner: String,
    budget: Budget,
    /// When the window ends, if it does.
    end: Option<Timestamp>,
    /// Whether it may have been used since it was looked at.
    touched: bool,
    /// The highest percent that was told of.
    told: u16,
}

/// A threshold that a budget has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) owner: String,
    /// The budget's account, which is another one in each window.
    pub(crate) account: AccountId,
    pub(crate) budget: Budget,
    /// When the window ends, if it does.
    pub(crate) end: Option<Timestamp>,
    pub(crate) percent: u16,
    pub(crate) used: i64,
}

/// Whether somebody wants to know how far a budget has come.
pub(crate) fn has_an_eye(budget: &Budget) -> bool {
    !budget.is_hard() || !budget.thresholds.is_empty()
}

impl Watch {
    /// Notes that budgets count a request that goes to a provider.
    pub(crate) fn note(&self, counting: &[Counting<'_>]) {
        let mut eyed = counting.iter().filter(|counting| has_an_eye(counting.budget)).peekable();
        if eyed.peek().is_none() {
            return;
        }
        let mut watched = self.watched();
        for Counting { budget, account, window, owner } in eyed {
            if let Some(known) = watched.get_mut(account) {
                known.touched = true;
            } else if watched.len() < MOST {
                let owner = shown(owner);
                let budget = (*budget).clone();
                watched.insert(*account, Watched { owner, budget, end: window.end, touched: true, told: 0 });
            }
        }
    }

    /// Whether any soft budget is exceeded.
    pub(crate) fn has_exceeded(&self) -> bool {
        !self.exceeded.load().is_empty()
    }

    /// The model that requests get because a budget that counts them is exceeded.
    pub(crate) fn downgrade<'b>(&self, mut counting: impl Iterator<Item = Counting<'b>>) -> Option<&'b str> {
        let exceeded = self.exceeded.load();
        counting.find_map(|counting| match &counting.budget.on_exceed {
            OnExceed::Downgrade(model) if exceeded.contains(&counting.account) => Some(&**model),
            _ => None,
        })
    }

    /// Alerts so far.
    pub(crate) fn alerts(&self) -> u64 {
        self.alerts.load(Ordering::Relaxed)
    }

    /// Tells whoever is there from now on of every alert.
    pub(crate) fn add_listener(&self, listener: mpsc::Sender<Arc<Notice>>) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Tells of an alert. Who has no room for it misses it, which counts as a delivery that failed.
    pub(crate) fn send(&self, notice: &Notice) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let notice = Arc::new(notice.clone());
        for listener in &*listeners {
            if listener.try_send(Arc::clone(&notice)).is_err() {
                self.count_delivery(false);
            }
        }
    }

    pub(crate) fn count_delivery(&self, is_delivered: bool) {
        let counter = if is_delivered { &self.delivered } else { &self.undelivered };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Deliveries to webhooks that came to something, and those that were given up.
    pub(crate) fn deliveries(&self) -> (u64, u64) {
        (self.delivered.load(Ordering::Relaxed), self.undelivered.load(Ordering::Relaxed))
    }

    /// Looks at what was used since the last time, and tells what has come to a threshold.
    pub(crate) async fn look(
        &self,
        store: &dyn LedgerStore,
        now: Timestamp,
    ) -> Result<Vec<Alert>, LedgerError> {
        let touched: Vec<AccountId> = {
            let mut watched = self.watched();
            watched.retain(|_, watched| watched.end.is_none_or(|end| now < end));
            watched.iter().filter(|(_, watched)| watched.touched).map(|(account, _)| *account).collect()
        };
        let mut alerts = Vec::new();
        for account in touched {
            let balance = store.balance(account).await?;
            alerts.extend(self.saw(account, balance));
        }
        self.alerts.fetch_add(alerts.len() as u64, Ordering::Relaxed);
        let exceeded = self.exceeded_now();
        if **self.exceeded.load() != exceeded {
            self.exceeded.store(exceeded.into());
        }
        Ok(alerts)
    }

    /// Takes note of a balance.
    fn saw(&self, account: AccountId, balance: Balance) -> Option<Alert> {
        let mut all = self.watched();
        let watched = all.get_mut(&account)?;
        // What runs will be posted: then it is looked at again.
        watched.touched = balance.pending.get() > 0;
        let (used, before) = (balance.posted.get(), watched.told);
        watched.told = watched.told.max(reached(&watched.budget, used));
        (watched.told > before).then(|| Alert {
            owner: watched.owner.clone(),
            account,
            end: watched.end,
            budget: watched.budget.clone(),
            percent: watched.told,
            used,
        })
    }

    fn exceeded_now(&self) -> HashSet<AccountId> {
        let watched = self.watched();
        let full = watched.iter().filter(|(_, watched)| !watched.budget.is_hard() && watched.told >= 100);
        full.map(|(account, _)| *account).collect()
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<AccountId, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The highest threshold that a use has reached; 0 for none. A soft budget has one at its limit.
fn reached(budget: &Budget, used: i64) -> u16 {
    let at_limit = (!budget.is_hard()).then_some(100);
    let limit = i128::from(budget.limit.amount());
    let is_reached = |percent: &u16| i128::from(used) * 100 >= limit * i128::from(*percent);
    budget.thresholds.iter().copied().chain(at_limit).filter(is_reached).max().unwrap_or(0)
}

/// Whose budget it is, for people.
fn shown(owner: &BudgetScope<'_>) -> String {
    match owner {
        BudgetScope::Tenant(name) => format!("tenant {name}"),
        BudgetScope::Key(key) => format!("key {key}"),
        BudgetScope::Provider(name) => format!("provider {name}"),
        BudgetScope::Model(name) => format!("model {name}"),
        _ => "installation".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_reached_exactly() {
        let budget = |text: &str| text.parse::<Budget>().unwrap();
        let hard = budget("requests=200 thresholds=50,80,150");
        for (used, percent) in [(0, 0), (99, 0), (100, 50), (159, 50), (160, 80), (299, 80), (300, 150)] {
            assert_eq!(reached(&hard, used), percent, "{used}");
        }
        let soft = budget("requests=200 on_exceed=alert");
        assert_eq!((reached(&soft, 199), reached(&soft, 200)), (0, 100));
        assert_eq!(reached(&budget("tokens=9007199254740992 thresholds=1000"), i64::MAX), 1_000);
        assert_eq!(
            reached(&budget("usd=0 on_exceed=alert"), 0),
            100,
            "a limit of nothing is reached by nothing"
        );
    }
}
