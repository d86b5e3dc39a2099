use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weighbridge_units::{Monotonic, NanoUsd};

use crate::limit_cells::Slots;
use crate::rate::Take;
use crate::rate::standing;
use crate::{LimitCells, LimitKind, LimitRefusal, Share, Standing};

/// How long a request that found no place among others should wait: nobody knows when one ends.
pub(crate) const SOON: Duration = Duration::from_secs(1);

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
    pub(crate) fn take(
        &mut self,
        kind: LimitKind,
        share: Share,
        units: u64,
        now: Monotonic,
    ) -> Result<(), LimitRefusal> {
        if kind == LimitKind::Concurrency {
            return self.take_slot(share);
        }
        let Some(take) = self.try_take(kind, share, units, now)? else { return Ok(()) };
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
        share: Share,
        units: u64,
        now: Monotonic,
    ) -> Result<Option<Take>, LimitRefusal> {
        let Some(cell) = self.cells.cell(kind) else { return Ok(None) };
        cell.take_of(share, units, now).map(Some).map_err(|retry_after| {
            let limit = cell.per_minute();
            let ahead = if share.is_whole() { cell.own_ahead(now) } else { cell.known_ahead(now) };
            let Standing { remaining, .. } = standing(share.of(limit), ahead);
            LimitRefusal { kind, whose: self.cells.whose, retry_after, limit, remaining, needed: units }
        })
    }

    fn take_slot(&mut self, share: Share) -> Result<(), LimitRefusal> {
        let Some(slots) = &self.cells.slots else { return Ok(()) };
        let slot = Slot(Arc::clone(&slots.taken));
        // The slot counts while it is asked about: at the limit, dropping it gives it back.
        let before = slots.taken.fetch_add(1, Ordering::AcqRel);
        if before >= share.of(slots.most) {
            return Err(self.no_place(slots));
        }
        self.slot = Some(slot);
        Ok(())
    }

    /// Whether the requests that run, this one included, fit into a part of the limit of them.
    pub(crate) fn fits_places(&self, share: Share) -> Result<(), LimitRefusal> {
        match &self.cells.slots {
            Some(slots) if slots.taken.load(Ordering::Acquire) > share.of(slots.most) => {
                Err(self.no_place(slots))
            }
            _ => Ok(()),
        }
    }

    fn no_place(&self, slots: &Slots) -> LimitRefusal {
        LimitRefusal {
            kind: LimitKind::Concurrency,
            whose: self.cells.whose,
            retry_after: SOON,
            limit: slots.most,
            remaining: 0,
            needed: 1,
        }
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
    pub(crate) fn correct(&mut self, share: Share, tokens: u64, money: NanoUsd, now: Monotonic) {
        self.rpm = None;
        if let (Some(cell), Some(take)) = (&self.cells.tpm, self.tpm.take()) {
            cell.correct_of(share, take, tokens, now);
        }
        if let (Some(cell), Some(take)) = (&self.cells.usd, self.usd.take()) {
            cell.correct_of(share, take, nano(money), now);
        }
    }
}

/// Nano-dollars as units of a cell.
pub(crate) fn nano(money: NanoUsd) -> u64 {
    u64::try_from(money.get()).unwrap_or(0)
}
