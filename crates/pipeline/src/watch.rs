//! Soft budgets and thresholds: which budgets were used, how far they have come, and which are exceeded.
//!
//! A request notes the budgets with an eye on them that count it, and asks which are exceeded. A job looks at the
//! balances beside it: an alert comes, and a downgrade binds, within about a second of the use that led to it. What was
//! used before the process began is found again by the balances of all budgets that are defined.
//!
//! An alert is kept before anybody is told, and by its id once for all instances and for all times: whoever keeps it
//! first tells of it (`alerts.rs`).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use weighbridge_access::{Budget, OnExceed};
use weighbridge_ledger::{AccountId, Balance, BudgetScope, LedgerError, LedgerStore};
use weighbridge_records::{LogError, WebhookId};
use weighbridge_units::Timestamp;

use crate::alerts::{AlertKeeping, Notice};
use crate::budgets::{Counting, defined};
use crate::pipeline::Core;

/// Windows of budgets that are watched at once: one for each user, where a budget is. Further ones are not.
const MOST: usize = 10_000;

/// What is known of budgets that have an eye on them.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    watched: Mutex<HashMap<AccountId, Watched>>,
    /// Budgets whose use has reached their limit.
    exceeded: ArcSwap<HashSet<AccountId>>,
    alerts: AtomicU64,
    /// Where alerts are kept; in memory, where nothing else is said.
    keeping: OnceLock<AlertKeeping>,
    /// Who is told of alerts.
    listeners: Mutex<Vec<(WebhookId, mpsc::Sender<Arc<Notice>>)>>,
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
    /// The highest percent that it was seen to have reached.
    reached: u16,
    /// The highest percent whose alert is kept.
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

impl Alert {
    /// Says in the log that a budget has reached a threshold.
    fn tell(&self) {
        let Self { owner, budget, percent, used, .. } = self;
        let of = budget.limit.amount();
        tracing::warn!(%owner, %budget, percent, used, of, "a budget has reached a threshold");
    }
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
                let watch = Watched { owner, budget, end: window.end, touched: true, reached: 0, told: 0 };
                watched.insert(*account, watch);
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

    /// Keeps alerts there, from now on; what was said first stays.
    pub(crate) fn keep_in(&self, keeping: AlertKeeping) {
        if self.keeping.set(keeping).is_err() {
            tracing::warn!("alerts are kept where they were kept before");
        }
    }

    /// Where alerts are kept.
    pub(crate) fn keeping(&self) -> &AlertKeeping {
        self.keeping.get_or_init(AlertKeeping::in_memory)
    }

    /// Tells a webhook from now on of every alert.
    pub(crate) fn add_listener(&self, webhook: WebhookId, listener: mpsc::Sender<Arc<Notice>>) {
        self.listeners().push((webhook, listener));
    }

    /// Keeps an alert, and tells of it unless it is kept already. Until it is kept, it comes again at the next look.
    pub(crate) async fn raise(&self, alert: &Alert, at: Timestamp) -> Result<(), LogError> {
        let notice = Notice::new(alert, at);
        let listening: Vec<WebhookId> = self.listeners().iter().map(|(webhook, _)| *webhook).collect();
        let is_new = self.keeping().keep(&notice, at, alert.end, listening).await?;
        if let Some(watched) = self.watched().get_mut(&alert.account) {
            watched.told = watched.told.max(alert.percent);
        }
        if is_new {
            self.alerts.fetch_add(1, Ordering::Relaxed);
            alert.tell();
            self.send(notice);
        }
        Ok(())
    }

    /// Tells of an alert. Who has no room for it finds it later where it is kept.
    fn send(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for (_, listener) in &*self.listeners() {
            if listener.try_send(Arc::clone(&notice)).is_err() {
                tracing::warn!("too many alerts wait for a webhook; this one comes later");
            }
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<(WebhookId, mpsc::Sender<Arc<Notice>>)>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count_delivery(&self, is_delivered: bool) {
        let counter = if is_delivered { &self.delivered } else { &self.undelivered };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Deliveries to webhooks that came to something, and those that were given up.
    pub(crate) fn deliveries(&self) -> (u64, u64) {
        (self.delivered.load(Ordering::Relaxed), self.undelivered.load(Ordering::Relaxed))
    }

    /// Notes the budgets that have reached a threshold before this process began. Those for each user are not among
    /// them, as nobody knows the users: they are noted with their next use.
    pub(crate) async fn find_again(&self, core: &Core) -> Result<(), LedgerError> {
        let (settings, at) = (core.compiled.load_full(), core.env.now());
        let (tenants, principals) = (core.directory.tenants(), core.directory.principals());
        for counting in defined(&settings, &tenants, &principals, at) {
            if !has_an_eye(counting.budget) {
                continue;
            }
            let used = core.ledger.store().balance(counting.account).await?.posted.get();
            if used > 0 && reached(counting.budget, used) > 0 {
                self.note(&[counting]);
            }
        }
        Ok(())
    }

    /// Looks at what was used since the last time, and finds what has come to a threshold that nobody was told of.
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
        let used = balance.posted.get();
        watched.reached = watched.reached.max(reached(&watched.budget, used));
        let is_untold = watched.reached > watched.told;
        // What runs will be posted, and what is to be told may not be kept: then it is looked at again.
        watched.touched = balance.pending.get() > 0 || is_untold;
        is_untold.then(|| Alert {
            owner: watched.owner.clone(),
            account,
            end: watched.end,
            budget: watched.budget.clone(),
            percent: watched.reached,
            used,
        })
    }

    fn exceeded_now(&self) -> HashSet<AccountId> {
        let watched = self.watched();
        let full = watched.iter().filter(|(_, watched)| !watched.budget.is_hard() && watched.reached >= 100);
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
