use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use weighbridge_units::{Monotonic, NanoUsd};

use crate::rate::Take;
use crate::{Limits, RateCell, Standing};

/// How long a request that found no place among others should wait: nobody knows when one ends.
const SOON: Duration = Duration::from_secs(1);

/// Which limit is meant. The names are those of `x-gateway-limit-kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Requests per minute.
    Rpm,
    /// Tokens per minute.
    Tpm,
    /// Requests at once.
    Concurrency,
    /// Money per minute.
    UsdPerMinute,
}

impl LimitKind {
    /// The name in headers, metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rpm => "rpm",
            Self::Tpm => "tpm",
            Self::Concurrency => "concurrency",
            Self::UsdPerMinute => "usd-per-minute",
        }
    }

    /// So many units of the limit, in words.
    pub fn amount(self, units: u64) -> String {
        match self {
            Self::Rpm => format!("{units} requests per minute"),
            Self::Tpm => format!("{units} tokens per minute"),
            Self::Concurrency => format!("{units} requests at once"),
            Self::UsdPerMinute => {
                format!("{} USD per minute", NanoUsd::new(i64::try_from(units).unwrap_or(i64::MAX)))
            }
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitOwner {
    /// The key's.
    Key,
    /// That of the key's team.
    Team,
    /// That of the key's organisation.
    Organisation,
    /// That of the model that is asked for.
    Model,
    /// That of one model at one provider.
    Deployment,
}

impl fmt::Display for LimitOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::Organisation => "organisation",
            Self::Model => "model",
            Self::Deployment => "deployment",
        })
    }
}

/// A limit has no room. Nothing was taken from any limit (rule R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the {whose}'s limit of {limit} has room for {remaining} and this request needs {needed}: {advice}",
    limit = self.kind.amount(self.limit),
    advice = if self.can_never_pass() { "make it smaller or ask for a higher limit" } else { "wait and try again" }
)]
pub struct LimitRefusal {
    /// Which limit.
    pub kind: LimitKind,
    /// Whose.
    pub whose: LimitOwner,
    /// When it is worth trying again.
    pub retry_after: Duration,
    /// Units that the limit allows; of money, nano-dollars.
    pub limit: u64,
    /// Units that were left.
    pub remaining: u64,
    /// Units that the request needs.
    pub needed: u64,
}

impl LimitRefusal {
    /// Whether the request needs more than the limit ever holds, so that waiting does not help.
    pub const fn can_never_pass(&self) -> bool {
        self.needed > self.limit
    }
}

/// What the limits of one owner are counted in. It outlives reloads: a limit that is changed goes on with what
/// was used, and one that stays is the same cell.
#[derive(Debug)]
pub struct LimitCells {
    whose: LimitOwner,
    rpm: Option<Arc<RateCell>>,
    tpm: Option<Arc<RateCell>>,
    usd: Option<Arc<RateCell>>,
    slots: Option<Slots>,
}

/// Requests that run, and how many may.
#[derive(Debug)]
struct Slots {
    most: u64,
    taken: Arc<AtomicU64>,
}

impl LimitCells {
    /// Cells for limits, which go on where those of a former definition are.
    pub fn new(whose: LimitOwner, limits: &Limits, former: Option<&Self>) -> Self {
        let usd = limits.usd_per_minute.map(|limit| u64::try_from(limit.get()).unwrap_or(0));
        Self {
            whose,
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

    fn cell(&self, kind: LimitKind) -> Option<&RateCell> {
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

/// What was taken out of the limits of one owner. It gives nothing back by itself but the slot: whoever holds
/// it knows when.
#[derive(Debug)]
pub(crate) struct Claim {
    cells: Arc<LimitCells>,
    rpm: Option<Take>,
    tpm: Option<Take>,
    usd: Option<Take>,
    slot: Option<Slot>,
}

/// A place among the requests that run; given back when dropped.
#[derive(Debug)]
struct Slot(Arc<AtomicU64>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Claim {
    /// A claim on limits that nothing has been taken from yet.
    pub(crate) const fn on(cells: Arc<LimitCells>) -> Self {
        Self { cells, rpm: None, tpm: None, usd: None, slot: None }
    }

    /// The limits.
    pub(crate) const fn cells(&self) -> &Arc<LimitCells> {
        &self.cells
    }

    /// Takes units of one kind, once; `shown` is what the request needs of them in all, for the refusal.
    pub(crate) fn take(&mut self, kind: LimitKind, units: u64, now: Monotonic) -> Result<(), LimitRefusal> {
        if kind == LimitKind::Concurrency {
            return self.take_slot();
        }
        let Some(take) = self.try_take(kind, units, now)? else { return Ok(()) };
        match kind {
            LimitKind::Rpm => self.rpm = Some(take),
            LimitKind::Tpm => self.tpm = Some(take),
            LimitKind::UsdPerMinute => self.usd = Some(take),
            LimitKind::Concurrency => {}
        }
        Ok(())
    }

    /// Takes units without noting them; `None` where there is no such limit.
    pub(crate) fn try_take(
        &self,
        kind: LimitKind,
        units: u64,
        now: Monotonic,
    ) -> Result<Option<Take>, LimitRefusal> {
        let Some(cell) = self.cells.cell(kind) else { return Ok(None) };
        cell.take(units, now).map(Some).map_err(|retry_after| {
            let Standing { limit, remaining, .. } = cell.standing(now);
            LimitRefusal { kind, whose: self.cells.whose, retry_after, limit, remaining, needed: units }
        })
    }

    fn take_slot(&mut self) -> Result<(), LimitRefusal> {
        let Some(Slots { most, taken }) = &self.cells.slots else { return Ok(()) };
        let slot = Slot(Arc::clone(taken));
        // The slot counts while it is asked about: at the limit, dropping it gives it back.
        let before = taken.fetch_add(1, Ordering::AcqRel);
        if before >= *most {
            return Err(LimitRefusal {
                kind: LimitKind::Concurrency,
                whose: self.cells.whose,
                retry_after: SOON,
                limit: *most,
                remaining: 0,
                needed: 1,
            });
        }
        self.slot = Some(slot);
        Ok(())
    }

    /// Notes further tokens that were taken.
    pub(crate) fn note_more(&mut self, more: Option<Take>) {
        if let Some(more) = more {
            self.tpm = Some(Take::joined(self.tpm.take(), more));
        }
    }

    /// Gives further tokens back that were not noted.
    pub(crate) fn return_more(&self, more: Option<Take>, now: Monotonic) {
        if let (Some(cell), Some(more)) = (&self.cells.tpm, more) {
            cell.give_back(more, now);
        }
    }

    /// Gives all rates back, as if nothing had been taken.
    pub(crate) fn give_back(&mut self, now: Monotonic) {
        let cells = &self.cells;
        for (cell, take) in
            [(&cells.usd, &mut self.usd), (&cells.tpm, &mut self.tpm), (&cells.rpm, &mut self.rpm)]
        {
            if let (Some(cell), Some(take)) = (cell, take.take()) {
                cell.give_back(take, now);
            }
        }
    }

    /// Replaces estimates by the truth. The request counts.
    pub(crate) fn correct(&mut self, tokens: u64, money: NanoUsd, now: Monotonic) {
        self.rpm = None;
        if let (Some(cell), Some(take)) = (&self.cells.tpm, self.tpm.take()) {
            cell.correct(take, tokens, now);
        }
        if let (Some(cell), Some(take)) = (&self.cells.usd, self.usd.take()) {
            cell.correct(take, nano(money), now);
        }
    }
}

/// Nano-dollars as units of a cell.
pub(crate) fn nano(money: NanoUsd) -> u64 {
    u64::try_from(money.get()).unwrap_or(0)
}
