use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weighbridge_units::Monotonic;

use crate::{LimitKind, LimitOwner, Limits, RateCell, Standing};

/// What the limits of one owner are counted in. It outlives reloads: a limit that is changed goes on with what
/// was used, and one that stays is the same cell.
#[derive(Debug)]
pub struct LimitCells {
    pub(crate) whose: LimitOwner,
    /// The owner's name among those of its kind; empty where nothing is limited.
    name: Box<str>,
    pub(crate) rpm: Option<Arc<RateCell>>,
    pub(crate) tpm: Option<Arc<RateCell>>,
    pub(crate) usd: Option<Arc<RateCell>>,
    pub(crate) slots: Option<Slots>,
}

/// Requests that run, and how many may.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(crate) most: u64,
    pub(crate) taken: Arc<AtomicU64>,
}

impl LimitCells {
    /// Cells for limits, which go on where those of a former definition are. Instances that count together
    /// find each other by the owner's kind and name.
    pub fn new(whose: LimitOwner, name: &str, limits: &Limits, former: Option<&Self>) -> Self {
        let name = if *limits == Limits::NONE { "" } else { name };
        let usd = limits.usd_per_minute.map(|limit| u64::try_from(limit.get()).unwrap_or(0));
        Self {
            whose,
            name: name.into(),
            rpm: cell(limits.rpm, former.and_then(|former| former.rpm.as_ref()), RateCell::new),
            tpm: cell(limits.tpm, former.and_then(|former| former.tpm.as_ref()), RateCell::new),
            usd: cell(usd, former.and_then(|former| former.usd.as_ref()), RateCell::of_money),
            slots: limits.concurrency.map(|most| Slots {
                most,
                taken: former
                    .and_then(|former| former.slots.as_ref())
                    .map_or_else(Arc::default, |slots| Arc::clone(&slots.taken)),
            }),
        }
    }

    /// Whose limits they are.
    pub const fn whose(&self) -> LimitOwner {
        self.whose
    }

    /// The owner's name among those of its kind.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is no limit at all.
    pub const fn is_unlimited(&self) -> bool {
        self.rpm.is_none() && self.tpm.is_none() && self.usd.is_none() && self.slots.is_none()
    }

    /// How the limit of requests per minute stands; `None` without such a limit.
    pub fn requests(&self, now: Monotonic) -> Option<Standing> {
        self.rpm.as_ref().map(|cell| cell.standing(now))
    }

    /// How the limit of tokens per minute stands; `None` without such a limit.
    pub fn tokens(&self, now: Monotonic) -> Option<Standing> {
        self.tpm.as_ref().map(|cell| cell.standing(now))
    }

    /// How the limit of money per minute stands, in nano-dollars; `None` without such a limit.
    pub fn money(&self, now: Monotonic) -> Option<Standing> {
        self.usd.as_ref().map(|cell| cell.standing(now))
    }

    /// Requests that run at the moment; `None` without a limit of them.
    pub fn running(&self) -> Option<u64> {
        self.slots.as_ref().map(|slots| slots.taken.load(Ordering::Acquire))
    }

    /// Units that a limit allows, per minute or at once; of money, nano-dollars. `None` without such a limit.
    pub fn limit(&self, kind: LimitKind) -> Option<u64> {
        match kind {
            LimitKind::Concurrency => self.slots.as_ref().map(|slots| slots.most),
            _ => self.cell(kind).map(RateCell::per_minute),
        }
    }

    /// The cell of a limit per minute; `None` without such a limit.
    pub fn cell(&self, kind: LimitKind) -> Option<&RateCell> {
        match kind {
            LimitKind::Rpm => self.rpm.as_deref(),
            LimitKind::Tpm => self.tpm.as_deref(),
            LimitKind::UsdPerMinute => self.usd.as_deref(),
            LimitKind::Concurrency => None,
        }
    }
}

fn cell(
    limit: Option<u64>,
    former: Option<&Arc<RateCell>>,
    new: fn(u64) -> RateCell,
) -> Option<Arc<RateCell>> {
    let limit = limit?;
    Some(match former {
        Some(cell) if cell.per_minute() == limit => Arc::clone(cell),
        Some(cell) => Arc::new(cell.with_limit(limit)),
        None => Arc::new(new(limit)),
    })
}
